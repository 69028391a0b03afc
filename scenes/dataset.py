"""A folder of class folders as a data set: names, labels, what it holds and whether it leaks."""

import csv
import functools
import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path

import numpy as np
from tqdm import tqdm

from scenes._array_parts import ArrayPart
from scenes.reading import SUFFIXES, UnreadableImage, pixel_hash, read_pixels
from scenes.threads import in_threads


@dataclass(frozen=True)
class Part:
    """One part (train or test) of a data set, in sorted order of `names`.

    names : POSIX paths relative to the part's folder, ``Kitchen/image_0028.jpg``; of a set in arrays its own.
    paths : what to read, one a name; or the pixels.
    labels : class names, one a name.
    """

    names: tuple[str, ...]
    paths: tuple[Path | np.ndarray, ...]
    labels: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)

    def select(self, keep: Iterable[int]) -> "Part":
        """The part's images at these positions."""
        keep = list(keep)
        return Part(
            tuple(self.names[i] for i in keep),
            tuple(self.paths[i] for i in keep),
            tuple(self.labels[i] for i in keep),
        )


@dataclass(frozen=True)
class Scan:
    """What one look at every image of a part found; arrays and tuples run along its images."""

    hashes: tuple[str, ...]
    shapes: tuple[tuple[int, int], ...]
    flat: tuple[str, ...]
    unreadable: tuple[str, ...]


@dataclass(frozen=True)
class SceneDataset:
    """Labelled images in a training and a test part.

    Attributes
    ----------
    name : str
    classes : tuple of str
        Class names in sorted order; a class's index is its place here.
    train, test : Part
    skipped : tuple of str
        Unreadable images left out by `scan`, as ``train/Kitchen/a.jpg``.
    drawn : (float, int) or None
        Share and seed of the split, where it was drawn and not laid out in folders.
    folders : (str, str)
        What stands before a training and a test image's name to tell them apart; names of arrays do already.
    others : tuple of str
        The suffix of each file among the images that is none by its suffix, and is left alone.
    """

    name: str
    classes: tuple[str, ...]
    train: Part
    test: Part
    skipped: tuple[str, ...] = ()
    scans: dict[str, Scan] = field(default_factory=dict, repr=False, compare=False)
    drawn: tuple[float, int] | None = None
    folders: tuple[str, str] = ("train/", "test/")
    others: tuple[str, ...] = field(default=(), compare=False)

    @classmethod
    def from_folder(
        cls,
        root,
        *,
        split: str | float | None = None,
        random_state: int = 0,
        name: str | None = None,
        n_jobs: int | None = None,
    ) -> "SceneDataset":
        """The data set in a folder.

        Parameters
        ----------
        root : path
            Holds ``train/<class>/*`` and ``test/<class>/*``; or ``<class>/*``, to be split.
        split : "train/test", float or None
            The share of each class that trains, 0 < split < 1, for a folder without ``train`` and
            ``test``. None: as the folder is laid out, 0.5 where it must be split. The draw is
            stratified, depends on pixels and seed only (not on names), and keeps identical images
            on one side.
        random_state : int
            Seed of the draw.
        n_jobs : int or None
            Threads that read the images of a folder that must be split; None means all cores.

        Raises
        ------
        FileNotFoundError, ValueError
            No such folder; no images; one class; an empty class; a test class unknown in training;
            a share outside (0, 1) or given for a folder that is split already.
        """
        root = Path(root)
        if not root.is_dir():
            raise FileNotFoundError(f"{root}: no such folder: check the path given to --data")
        name = name or root.resolve().name
        drawn = None
        laid_out = (root / "train").is_dir() or (root / "test").is_dir()
        if laid_out and isinstance(split, (int, float)):
            raise ValueError(f"{root} holds train/ and test/ already: leave --split out")
        if laid_out or split == "train/test":
            train, test = _read_part(root / "train"), _read_part(root / "test")
            _check_classes(root, train, test)
        else:
            whole = _read_part(root)
            _check_classes(root, whole, whole)
            drawn = (0.5 if split is None else float(split), random_state)
            train, test = _draw_split(whole, *drawn, n_jobs)
        parts = [root / "train", root / "test"] if drawn is None else [root]
        others = tuple(suffix for part in parts for suffix in _other_suffixes(part))
        return cls(name, tuple(sorted(set(train.labels))), train, test, drawn=drawn, others=others)

    @classmethod
    def from_arrays(
        cls, name: str, train: ArrayPart, test: ArrayPart, classes: Sequence[str]
    ) -> "SceneDataset":
        """The data set in arrays, as CIFAR-10 and MNIST are; `classes` names their labels."""

        def named(part: ArrayPart) -> Part:
            # grey images have two axes, as those of files have
            images = part.images[..., 0] if part.images.shape[3] == 1 else part.images
            return Part(part.filenames, tuple(images), tuple(classes[i] for i in part.labels))

        parts = named(train), named(test)
        return cls(name, tuple(sorted(set(parts[0].labels))), *parts, folders=("", ""))

    def lite(self, per_class: int) -> "SceneDataset":
        """The first `per_class` images of each class in both parts, for a quick look."""
        return replace(self, train=_first(self.train, per_class), test=_first(self.test, per_class), scans={})

    def scan(self, *, skip_unreadable: bool = False, n_jobs: int | None = None) -> "SceneDataset":
        """The same set after one look at every image: hashes, sizes, flat images, unreadable ones.

        Raises `UnreadableImage` for the first unreadable image in order, unless `skip_unreadable`:
        then those are left out and stand in `skipped`. A class left without images is a ValueError.
        """
        if self.scans:
            return self
        parts, scans, skipped = {}, {}, []
        for which, folder, part in zip(("train", "test"), self.folders, (self.train, self.test), strict=True):
            parts[which], scans[which] = _scan(which, folder, part, skip_unreadable, n_jobs)
            skipped += [f"{folder}{name}" for name in scans[which].unreadable]
        for which, part in parts.items():
            lost = sorted(set(self.classes) - set(part.labels)) if which == "train" else []
            if lost or not len(part):
                what = f"class {lost[0]}" if lost else f"the {which} part"
                raise ValueError(f"{what} has no readable image left: replace its files")
        return replace(self, train=parts["train"], test=parts["test"], skipped=tuple(skipped), scans=scans)

    @functools.cached_property
    def fingerprint(self) -> dict[str, str]:
        """For "train" and "test": the SHA-256 of the sorted (pixel hash, class) pairs."""
        scanned = self.scan()
        return {
            "train": fingerprint(scanned.scans["train"].hashes, self.train.labels),
            "test": fingerprint(scanned.scans["test"].hashes, self.test.labels),
        }

    def leaks(self) -> dict[str, list[list[str]]]:
        """Identical decoded images: between the parts, within one, and across classes.

        Returns
        -------
        dict
            ``train_test``: pairs [train name, test name]. ``within``: pairs inside one part, and
            ``across_classes``: pairs whose classes differ, both named ``train/...`` or ``test/...``.
        """
        scanned = self.scan()
        train, test = (
            (scanned.scans[which].hashes, part.names, part.labels)
            for which, part in (("train", scanned.train), ("test", scanned.test))
        )
        return identical_images(train, test, self.folders)

    def image_sizes(self) -> str:
        """The smallest and largest image by area, ``200x200 to 411x300`` (width x height)."""
        scanned = self.scan()
        shapes = {shape for scan in scanned.scans.values() for shape in scan.shapes}
        ordered = sorted(shapes, key=lambda shape: (shape[0] * shape[1], shape))
        texts = [f"{width}x{height}" for height, width in (ordered[0], ordered[-1])]
        return texts[0] if texts[0] == texts[1] else " to ".join(texts)


def fingerprint(hashes: Sequence[str], labels: Sequence[str]) -> str:
    """The SHA-256, in hex, of the sorted (pixel hash, class) pairs: names and copies do not matter."""
    pairs = sorted(set(zip(hashes, labels, strict=True)))
    text = "".join(f"{digest} {label}\n" for digest, label in pairs)
    # names of folders need not be valid UTF-8
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


Labelled = tuple[Sequence[str], Sequence[str], Sequence[str]]


def identical_images(
    train: Labelled, test: Labelled, folders: tuple[str, str] = ("train/", "test/")
) -> dict[str, list[list[str]]]:
    """Identical images, by their pixel hashes: between two parts, within one, and across classes.

    Parameters
    ----------
    train, test : (hashes, names, labels), sequences of str
    folders : (str, str)
        What stands before the names of each part where a pair may be of one part.

    Returns
    -------
    dict
        Sorted pairs of names as `SceneDataset.leaks` has them. Each image is paired with the first of its
        kind, so that their number grows with the number of images and no faster.
    """
    first: dict[tuple[str, str], tuple[str, str]] = {}  # of each hash in each part
    labels_of: dict[str, dict[str, tuple[str, str]]] = defaultdict(dict)  # first of each label of a hash
    found: dict[str, list[tuple]] = {"train_test": [], "within": [], "across_classes": []}
    for which, part in (("train", train), ("test", test)):
        for digest, name, label in zip(*part, strict=True):
            image = (which, name)
            if (which, digest) in first:
                found["within"].append((first[which, digest], image))
            if which == "test" and ("train", digest) in first:
                found["train_test"].append((first["train", digest], image))
            first.setdefault((which, digest), image)
            others = [other for known, other in labels_of[digest].items() if known != label]
            if others:
                found["across_classes"].append((others[0], image))
            labels_of[digest].setdefault(label, image)
    folder = dict(zip(("train", "test"), folders, strict=True))
    return {
        kind: [
            [name if kind == "train_test" else folder[which] + name for which, name in pair]
            for pair in sorted(pairs)
        ]
        for kind, pairs in found.items()
    }


def in_folders(pairs: Sequence[Sequence[str]], folders: tuple[str, str]) -> list[list[str]]:
    """Pairs of a training and a test image, each with what stands before the names of its part."""
    return [[f"{folder}{name}" for folder, name in zip(folders, pair, strict=True)] for pair in pairs]


def committed_split(name: str) -> dict[str, dict[str, str]]:
    """The committed list of a set's split: for "train" and "test", file name to pixel hash."""
    parts: dict[str, dict[str, str]] = {"train": {}, "test": {}}
    text = resources.files("scenes").joinpath(f"splits/{name}.csv").read_text("utf-8")
    for row in csv.DictReader(text.splitlines()):
        parts[row["split"]][row["filename"]] = row["sha256"]
    return parts


def committed_fingerprint(name: str) -> dict[str, str]:
    """For "train" and "test": the fingerprint of a committed split, without reading an image."""
    return {
        which: fingerprint(list(rows.values()), [filename.split("/")[0] for filename in rows])
        for which, rows in committed_split(name).items()
    }


def image_files(folder: Path) -> list[Path]:
    """The image files in a folder, by suffix, sorted by name; hidden files are not looked at."""
    return sorted(
        (p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and p.name[0] != "." and p.is_file()),
        key=lambda path: path.name,
    )


def _other_suffixes(part: Path) -> list[str]:
    """The suffix (of a file without one its name) of each file in class folders that is no image by it."""
    found = (path for folder in _class_folders(part) for path in folder.iterdir()
             if path.suffix.lower() not in SUFFIXES and path.name[0] != ".")  # fmt: skip
    return sorted(path.suffix.lower() or path.name for path in found if path.is_file())


def _class_folders(part: Path) -> list[Path]:
    return sorted(path for path in part.iterdir() if path.is_dir() and path.name[0] != ".")


def progress(iterable: Iterable, *, total: int, description: str, unit: str = "images") -> tqdm:
    """A progress bar with a rate on stderr, silent when stderr is no terminal."""
    return tqdm(iterable, total=total, desc=description, unit=f" {unit}", disable=None, leave=False)


def _read_part(folder: Path) -> Part:
    if not folder.is_dir():
        raise FileNotFoundError(
            f"{folder}: no such folder: a data set holds train/<class>/* and test/<class>/*"
        )
    rows = []
    for class_folder in _class_folders(folder):
        files = image_files(class_folder)
        if not files:
            raise ValueError(f"{class_folder}: class without images: add some or remove the folder")
        rows += [(f"{class_folder.name}/{path.name}", path, class_folder.name) for path in files]
    if not rows:
        raise ValueError(
            f"{folder}: no images: put them into one folder a class ({', '.join(SUFFIXES[:5])}, ...)"
        )
    names, paths, labels = zip(*sorted(rows, key=lambda row: row[0]), strict=True)
    return Part(names, paths, labels)


def _check_classes(root: Path, train: Part, test: Part) -> None:
    known = sorted(set(train.labels))
    if len(known) < 2:
        raise ValueError(f"{root}: only one class ({known[0]}): classification needs two or more")
    unknown = sorted(set(test.labels) - set(known))
    if unknown:
        raise ValueError(
            f"{root}: test class {unknown[0]} is unknown in training: add train/{unknown[0]} or remove it"
        )


def _first(part: Part, per_class: int) -> Part:
    count: dict[str, int] = defaultdict(int)
    keep = []
    for i, label in enumerate(part.labels):
        if count[label] < per_class:
            keep.append(i)
        count[label] += 1
    return part.select(keep)


def _look(path: Path | np.ndarray) -> tuple[str, tuple[int, int], bool] | UnreadableImage:
    try:
        pixels = read_pixels(path)
    except UnreadableImage as error:
        return error
    return pixel_hash(pixels), pixels.shape[:2], bool((pixels == pixels[0, 0]).all())


def _scan(
    which: str, folder: str, part: Part, skip_unreadable: bool, n_jobs: int | None
) -> tuple[Part, Scan]:
    keep, hashes, shapes, flat, unreadable = [], [], [], [], []
    looks = in_threads(_look, part.paths, n_jobs)
    for i, look in enumerate(progress(looks, total=len(part), description=f"reading {which}")):
        if isinstance(look, UnreadableImage):
            if not skip_unreadable:
                raise look
            unreadable.append(part.names[i])
            continue
        keep.append(i)
        hashes.append(look[0])
        shapes.append(look[1])
        if look[2]:
            flat.append(f"{folder}{part.names[i]}")
    scan = Scan(tuple(hashes), tuple(shapes), tuple(flat), tuple(unreadable))
    return (part if len(keep) == len(part) else part.select(keep)), scan


def _draw_split(whole: Part, share: float, seed: int, n_jobs: int | None) -> tuple[Part, Part]:
    """A stratified draw by pixel hash: each class's groups of identical images in a seeded order."""
    if not 0 < share < 1:
        raise ValueError(f"--split is {share:g}: give the share that trains, between 0 and 1")
    reading = in_threads(_hash_or_name, whole.paths, n_jobs)
    hashes = list(progress(reading, total=len(whole), description="splitting"))
    order = {digest: hashlib.sha256(f"{seed} {digest}".encode()).hexdigest() for digest in set(hashes)}
    trains: dict[str, bool] = {}
    for label in sorted(set(whole.labels)):
        members = [digest for digest, own in zip(hashes, whole.labels, strict=True) if own == label]
        copies = Counter(members)
        wanted = min(max(round(share * len(members)), 1), len(members) - 1)
        taken = sum(trains.get(digest, False) for digest in members)
        for digest in sorted(set(members) - set(trains), key=order.__getitem__):
            trains[digest] = taken < wanted and taken + copies[digest] < len(members)
            taken += copies[digest] if trains[digest] else 0
        if len({trains[digest] for digest in members}) < 2:
            raise ValueError(
                f"class {label} has too few different images to split: add some or make train/ and test/"
            )
    return (
        whole.select(i for i, digest in enumerate(hashes) if trains[digest]),
        whole.select(i for i, digest in enumerate(hashes) if not trains[digest]),
    )


def _hash_or_name(path: Path | np.ndarray) -> str:
    """An image's pixel hash; its path where it cannot be read, which `scan` will say or skip."""
    try:
        return pixel_hash(read_pixels(path))
    except UnreadableImage:
        return f"unreadable {path}"
