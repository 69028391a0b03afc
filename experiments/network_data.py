"""Images for networks: which set, brought into arrays, in the three parts fit, select and held-out."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from deep.data import Images, at_stored_size
from experiments.data import (
    ARRAY_SETS,
    check_split,
    is_taken_unasked,
    known_folder,
    read_arrays,
    source_of,
)
from experiments.data import load_data as load_scenes
from scenes.dataset import SceneDataset, fingerprint, identical_images, progress
from scenes.formats import (
    ArrayPart,
    CoursePart,
    merge_classes,
    pixel_hashes,
    read_course,
    select_part,
    which_kind,
)
from scenes.reading import UnreadableImage, pixel_hash, read_grey, read_pixels, read_rgb
from scenes.threads import in_threads

# Images a class of a --lite training, and held out.
LITE_FIT, LITE_HELDOUT = 60, 20

# What stands before an image's name in each part; names of arrays carry it already.
_FOLDERS = {"cifar10": ("", ""), "mnist": ("", ""), "course": ("train/", "val/"),
            "folders": ("train/", "test/")}  # fmt: skip

# The set of each network's report; others take cifar10.
_SET_OF_MODEL = {"lenet_32": "cifar10", "lenet_": "fashion_mnist", "alexnet_32": "cifar10",
                 "alexnet_227": "cifar10", "alexnet_": "fashion_mnist", "mnist_": "mnist"}  # fmt: skip


@dataclass(frozen=True, eq=False)
class NetworkData:
    """A set in arrays.

    Attributes
    ----------
    name, note : str
        Name of the set; the line that says which it is and why.
    classes : tuple of str, sorted
    train, heldout : ArrayPart
    unlabelled : int
        Images of the training part that stay unused (the course split).
    train_fingerprint, heldout_fingerprint : str
        Of the decoded images, before classes are merged.
    image_size : str
    leaks : dict
        Identical images, as `SceneDataset.leaks` gives them; an array's images by their names alone.
    skipped : tuple of str
        Unreadable files that were left out.
    folders : (str, str)
        What stands before the names of training and held-out images on the disk.
    """

    name: str
    note: str
    classes: tuple[str, ...]
    train: ArrayPart
    heldout: ArrayPart
    unlabelled: int
    train_fingerprint: str
    heldout_fingerprint: str
    image_size: str
    leaks: dict[str, list[list[str]]] = field(default_factory=dict)
    skipped: tuple[str, ...] = ()
    folders: tuple[str, str] = ("", "")

    @property
    def channels(self) -> int:
        return self.train.images.shape[3]

    def fit_and_select(self, seed: int, fit_all: bool) -> tuple[Images, Images]:
        """The fitted images and the seeded tenth that is chosen on (empty with `fit_all`)."""
        fit, select = self._rows(seed, fit_all)
        whole = Images.of(self.train.images, self.train.labels)
        return whole.taken(fit), whole.taken(select)

    def n_fit(self, seed: int, fit_all: bool) -> int:
        """How many images `fit_and_select` gives to fit, without taking them."""
        return len(self._rows(seed, fit_all)[0])

    def _rows(self, seed: int, fit_all: bool) -> tuple[np.ndarray, np.ndarray]:
        if fit_all:
            return np.arange(len(self.train)), np.arange(0)
        return select_part(self.train.labels, seed)

    def heldout_images(self) -> Images:
        """The held-out images."""
        return Images.of(self.heldout.images, self.heldout.labels)


def set_of(model: str) -> str:
    """The set that a network's report trained on."""
    found = max((start for start in _SET_OF_MODEL if model.startswith(start)), key=len, default="")
    return _SET_OF_MODEL.get(found, "cifar10")


def recipe_set(model: str, data: str | None, dataset: str | None) -> str:
    """Which set a network's recipe is looked up for: cifar10, mnist, fashion_mnist or folders.

    Raises
    ------
    FileNotFoundError, ValueError
        As `load_network_data`.
    """
    folder, name, _ = _folder_of(model, data, dataset)
    if name is not None:
        return name if name in ARRAY_SETS else "folders"
    assert folder is not None
    # the course's images are CIFAR-10's
    return {"cifar10": "cifar10", "course": "cifar10", "mnist": "mnist"}.get(which_kind(folder), "folders")


def load_network_data(
    model: str,
    input_size: tuple[int, int, int],
    *,
    data: str | None = None,
    dataset: str | None = None,
    split: float | None = None,
    classes_file: str | None = None,
    course_split: bool = False,
    resize: str = "squash",
    merge: Sequence[Sequence[int]] = (),
    lite: bool = False,
    seed: int = 0,
    skip_unreadable: bool = False,
    jobs: int | None = None,
) -> NetworkData:
    """The images a network is trained on, in arrays.

    Sets of one size stay at that size (the device brings each batch to the network's); pictures of files are
    brought to the network's input size, or stay as they are if all have one smaller size.

    Raises
    ------
    FileNotFoundError, ValueError
        No such folder or set; a folder of another kind; flags that exclude each other.
    """
    if data is not None and dataset is not None:
        raise ValueError("--data and --dataset exclude each other: give one of them")
    folder, name, note = _folder_of(model, data, dataset)
    kind = "folders" if name in ("scene15", "synthetic") or folder is None else which_kind(folder)
    check_split(kind, split, course_split, note)
    if classes_file is not None and kind != "course":
        raise ValueError("--classes names the classes of annotations.json: other data have their own names")
    unlabelled, hint = 0, ""
    train_hashes: list[str] = []
    heldout_hashes: list[str] = []
    skipped: tuple[str, ...] = ()
    if folder is None and data is None and dataset is None:
        wanted = set_of(model)
        hint = f" (for {wanted}: python scripts/get_data.py {wanted}, for your own images: --data DIR)"
    if kind in ("cifar10", "mnist"):
        assert folder is not None
        found = read_arrays(folder, kind, name, course_split=course_split)
        train, heldout, classes, unlabelled = found.train, found.heldout, found.classes, found.unlabelled
    elif kind == "course":
        assert folder is not None
        course = read_course(folder, classes_file)
        unlabelled, classes = len(course.unlabelled.paths) if course.unlabelled else 0, course.classes
        parts = {"train": course.train, "val": course.val}
        (train, train_hashes, lost), (heldout, heldout_hashes, more_lost) = (
            _decoded(part, which, input_size, resize, skip_unreadable, jobs) for which, part in parts.items()
        )
        skipped = lost + more_lost
    else:
        scenes, note = load_scenes(
            None if name in ("scene15", "synthetic") else data, name if data is None else None,
            split=split, seed=seed, lite=lite, skip_unreadable=skip_unreadable, jobs=jobs,
        )  # fmt: skip
        # the sizes behind the last colon are said again below
        note, classes = note.removeprefix("data: ").rpartition(": ")[0] + hint, tuple(scenes.classes)
        train, heldout = (_of_scenes(scenes, part, input_size, resize, jobs) for part in ("train", "test"))
        train_hashes, heldout_hashes = (list(scenes.scans[part].hashes) for part in ("train", "test"))
        name, skipped = scenes.name, scenes.skipped
    if not train_hashes:
        train_hashes, heldout_hashes = pixel_hashes(train.images), pixel_hashes(heldout.images)
    if lite and kind != "folders":
        few = [_first_rows(part.labels, n) for part, n in ((train, LITE_FIT), (heldout, LITE_HELDOUT))]
        train, heldout = train.select(few[0]), heldout.select(few[1])
        train_hashes, heldout_hashes = (
            [hashes[row] for row in rows]
            for hashes, rows in zip((train_hashes, heldout_hashes), few, strict=True)
        )
        note += f", only {LITE_FIT} + {LITE_HELDOUT} images a class (--lite)"
    labelled = [
        (hashes, part.filenames, [classes[label] for label in part.labels])
        for hashes, part in ((train_hashes, train), (heldout_hashes, heldout))
    ]
    prints = [fingerprint(hashes, labels) for hashes, _, labels in labelled]
    leaks = identical_images(labelled[0], labelled[1], _FOLDERS[kind])
    if merge:
        train, heldout, classes = _merged(train, heldout, classes, merge)
    train, heldout, classes = _in_sorted_order(train, heldout, classes)
    sizes = f"{len(train)} training and {len(heldout)} held-out images of {len(classes)} classes"
    height, width = train.images.shape[1:3]
    return NetworkData(
        name or Path(str(data)).resolve().name, f"data: {note}: {sizes}", classes, train, heldout, unlabelled,
        prints[0], prints[1], f"{height}x{width}", leaks, tuple(skipped),
        _FOLDERS[kind],
    )  # fmt: skip


def read_picture(picture: Path | np.ndarray, input_size: tuple[int, int, int], resize: str) -> np.ndarray:
    """A picture for a network, uint8 (H, W, C): cut or shrunk to its input size, smaller ones as they are."""
    return _picture(read_pixels(picture), input_size, resize)


def _picture(pixels: np.ndarray, input_size: tuple[int, int, int], resize: str) -> np.ndarray:
    pixels = read_grey(pixels)[..., None] if input_size[0] == 1 else read_rgb(pixels)
    return at_stored_size(np.rint(pixels).astype(np.uint8), input_size[1:], resize)


def _folder_of(model: str, data: str | None, dataset: str | None) -> tuple[Path | None, str | None, str]:
    if data is not None:
        folder = Path(data)
        if not folder.is_dir():
            raise FileNotFoundError(f"{folder}: no such folder: give one with train/<class>/* or a known set")
        return folder, None, str(data)
    name = dataset or set_of(model)
    if name in ("scene15", "synthetic"):
        return None, name, name
    if dataset is None and not is_taken_unasked(name):
        return None, "synthetic", "synthetic"
    return known_folder(name), name, source_of(name)


def _of_scenes(scenes: SceneDataset, which: str, input_size, resize: str, jobs: int | None) -> ArrayPart:
    part = getattr(scenes, which)
    labels = np.array([scenes.classes.index(label) for label in part.labels], np.int64)
    return ArrayPart(_stacked(part.paths, input_size, resize, jobs), labels, tuple(part.names))


def _decoded(
    part: CoursePart, which: str, input_size, resize: str, skip_unreadable: bool, jobs: int | None
) -> tuple[ArrayPart, list[str], tuple[str, ...]]:
    """A part's pictures, the pixel hashes of its images as they are, and the files that were left out."""
    look = partial(_looked_at, input_size=input_size, resize=resize)
    looks = list(progress(in_threads(look, part.paths, jobs), total=len(part), description="reading"))
    lost = [i for i, found in enumerate(looks) if isinstance(found, UnreadableImage)]
    if lost and not skip_unreadable:
        raise looks[lost[0]]
    kept = [i for i in range(len(looks)) if i not in set(lost)]
    if not kept:
        raise ValueError(f"{which}/ has no readable image left: replace its files")
    images = _one_size([looks[i][0] for i in kept], input_size, resize)
    names = tuple(part.names[i] for i in kept)
    found = ArrayPart(images, np.asarray(part.labels, np.int64)[kept], names)
    return found, [looks[i][1] for i in kept], tuple(f"{which}/{part.names[i]}" for i in lost)


def _looked_at(path: Path, input_size, resize: str):
    try:
        pixels = read_pixels(path)
    except UnreadableImage as error:
        return error
    return _picture(pixels, input_size, resize), pixel_hash(pixels)


def _stacked(paths, input_size, resize: str, jobs: int | None) -> np.ndarray:
    reading = in_threads(partial(read_picture, input_size=input_size, resize=resize), paths, jobs)
    images = list(progress(reading, total=len(paths), description="reading"))
    return _one_size(images, input_size, resize)


def _one_size(images: list[np.ndarray], input_size, resize: str) -> np.ndarray:
    if len({image.shape for image in images}) > 1:
        images = [at_stored_size(image, input_size[1:], resize, enlarge=True) for image in images]
    return np.stack(images)


def first_of_each_class(part: ArrayPart, per_class: int) -> ArrayPart:
    """The first images of each class, in their order."""
    return part.select(_first_rows(part.labels, per_class))


def _first_rows(labels: np.ndarray, per_class: int) -> np.ndarray:
    return np.sort(np.concatenate([np.flatnonzero(labels == each)[:per_class] for each in np.unique(labels)]))


def _merged(train: ArrayPart, heldout: ArrayPart, classes, merge):
    if len(merge) < 2:
        raise ValueError("merge leaves a single class: give two groups or more")
    labels, names = merge_classes(train.labels, classes, merge)
    other, _ = merge_classes(heldout.labels, classes, merge)
    train = ArrayPart(train.images, labels, train.filenames)
    return train, ArrayPart(heldout.images, other, heldout.filenames), tuple(names)


def _in_sorted_order(train: ArrayPart, heldout: ArrayPart, classes):
    """Class indices in the order of the sorted names, as in every file that is written."""
    order = sorted(range(len(classes)), key=lambda index: classes[index])
    rank = np.argsort(order)
    parts = [ArrayPart(part.images, rank[part.labels], part.filenames) for part in (train, heldout)]
    return parts[0], parts[1], tuple(classes[index] for index in order)
