"""Which images a command uses, said in one line before anything else."""

import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scenes.dataset import SceneDataset
from scenes.formats import ArrayPart, cifar10_parts, read_cifar10, read_mnist_like, which_kind
from scenes.synthetic import synthetic_folder

PROJECT = Path(__file__).resolve().parents[1]

ARRAY_SETS = ("cifar10", "mnist", "fashion_mnist")
DATASETS = ("scene15", *ARRAY_SETS, "synthetic")

# Images a class and part in a --lite run.
LITE_IMAGES = 8

GET_SCENES = "python scripts/get_data.py scene15"


def load_data(
    data: str | Path | None = None,
    dataset: str | None = None,
    *,
    split: float | None = None,
    seed: int = 0,
    course_split: bool = False,
    lite: bool = False,
    skip_unreadable: bool = False,
    jobs: int | None = None,
) -> tuple[SceneDataset, str]:
    """The images to use, looked at once, and a line that says which they are and why.

    In this order: the folder `data`; the set `dataset` (scene15 if None) in the folder that the
    environment variable SCENEBENCH_DATA names, or where it is unset in ``data/`` under the project;
    the built-in synthetic scenes, if no set was asked for by name. A folder may hold class folders, or the
    files of CIFAR-10 or MNIST.

    Raises
    ------
    FileNotFoundError, ValueError
        No such folder or set; both `data` and `dataset` given; what `SceneDataset` refuses; a split of a set
        that has its own, or the course's of another than CIFAR-10.
    """
    if data is not None and dataset is not None:
        raise ValueError("--data and --dataset exclude each other: give one of them")
    folder, name, note = _choose(data, dataset)
    kind = "folders" if name in ("scene15", "synthetic") else _kind(folder)
    check_split(kind, split, course_split, note)
    if kind in ("cifar10", "mnist"):
        arrays = read_arrays(folder, kind, name, course_split=course_split)
        name = name or folder.resolve().name
        found = SceneDataset.from_arrays(name, arrays.train, arrays.heldout, arrays.classes)
    else:
        found = SceneDataset.from_folder(folder, split=split, random_state=seed, name=name, n_jobs=jobs)
        if found.others:
            kinds = sorted(set(found.others))
            more = ", ..." if len(kinds) > 3 else ""
            files = f"{len(found.others)} file{'s' * (len(found.others) > 1)}"
            note += f" ({files} left out, no images by name: {', '.join(kinds[:3])}{more})"
    if found.drawn:
        note += f", split {found.drawn[0]:g} with seed {found.drawn[1]}"
    if lite:
        found = found.lite(LITE_IMAGES)
        note += f", only {LITE_IMAGES} + {LITE_IMAGES} images a class (--lite)"
    found = found.scan(skip_unreadable=skip_unreadable, n_jobs=jobs)
    sizes = f"{len(found.train)} training and {len(found.test)} test images of {len(found.classes)} classes"
    return found, f"data: {note}: {sizes}"


@dataclass(frozen=True)
class Arrays:
    """A set in arrays: both parts, the classes in official order, and how many training images are unused."""

    train: ArrayPart
    heldout: ArrayPart
    classes: tuple[str, ...]
    unlabelled: int = 0


def read_arrays(folder: Path, kind: str, name: str | None = None, *, course_split: bool = False) -> Arrays:
    """CIFAR-10 ("cifar10") or a set in idx files ("mnist") with the images that it holds out.

    Of CIFAR-10 without its test batch these are 5,000 training images by a committed list; in the course's
    split too, which trains on 20,000.
    """
    if kind == "mnist":
        return Arrays(*read_mnist_like(folder, name=name))
    train, heldout, classes = read_cifar10(folder)
    if heldout is not None and not course_split:
        return Arrays(train, heldout, classes)
    fit_rows, heldout_rows, rest = cifar10_parts(train.images, train.labels, course=course_split)
    return Arrays(train.select(fit_rows), train.select(heldout_rows), classes, len(rest))


def check_split(kind: str, split: float | None, course_split: bool, note: str) -> None:
    """ValueError for a split that data of this kind cannot have."""
    if course_split and kind != "cifar10":
        raise ValueError("--course-split divides the CIFAR-10 training images: use it with --dataset cifar10")
    if split is not None and kind != "folders":
        raise ValueError(f"--split is for folders without train/: {note} has its own parts")


def _kind(folder: Path) -> str:
    """ "cifar10" or "mnist" for a folder with such files; all others are folders of classes."""
    try:
        kind = which_kind(folder)
    except (ValueError, OSError):
        return "folders"
    return kind if kind in ("cifar10", "mnist") else "folders"


def set_folder(name: str) -> Path:
    """Where a known set lies if it is here: below SCENEBENCH_DATA, or where that is unset in ``data/``.

    The synthetic scenes are always here.
    """
    if name == "synthetic":
        return synthetic_folder()
    root = os.environ.get("SCENEBENCH_DATA")
    return (Path(root) if root is not None else PROJECT / "data") / name


def is_taken_unasked(name: str) -> bool:
    """Whether a known set is used where none is named: it is here, or SCENEBENCH_DATA says it should be."""
    return "SCENEBENCH_DATA" in os.environ or set_folder(name).is_dir()


def known_folder(name: str) -> Path:
    """`set_folder`, where there must be one.

    Raises
    ------
    FileNotFoundError
        The set is not here; the message says how to get it.
    """
    folder = set_folder(name)
    if folder.is_dir():
        return folder
    get = f"python scripts/get_data.py {name} --to {shlex.quote(str(folder.parent))}"
    if "SCENEBENCH_DATA" in os.environ:
        raise FileNotFoundError(
            f"{folder}: SCENEBENCH_DATA is set, but holds no {name}: unset it or make the folder ({get})"
        )
    raise FileNotFoundError(f"{folder}: no such folder: get the set with {get}")


def source_of(name: str) -> str:
    """Where a known set was found, as a run tells it."""
    where = " (SCENEBENCH_DATA)" if "SCENEBENCH_DATA" in os.environ else ""
    return f"{name} in {set_folder(name).parent}{where}"


def folder_of_images(folder: Path, names: Sequence[str]) -> Path | None:
    """That of a folder's ``test/``, its ``val/`` and itself which has files of all these names."""
    for inside in (folder / "test", folder / "val", folder):
        if all((inside / name).is_file() for name in names):
            return inside
    return None


def image_sources(folder: Path, names: Sequence[str]) -> dict[str, Path | np.ndarray] | None:
    """Where the images of these names are in a folder: files below it, its ``test/`` or ``val/``, or pixels
    of a set in arrays; None where it has not all of them."""
    inside = folder_of_images(folder, names)
    if inside is not None:
        return {name: inside / name for name in names}
    if not folder.is_dir() or names[0].split("/")[0] not in ("train", "test"):
        return None
    try:
        kind = which_kind(folder)
    except ValueError:
        return None
    if kind not in ("cifar10", "mnist"):
        return None
    first, second, _ = read_cifar10(folder) if kind == "cifar10" else read_mnist_like(folder)
    parts = [part for part in (first, second) if part is not None]
    pixels = {name: image for part in parts for name, image in zip(part.filenames, part.images, strict=True)}
    return {name: pixels[name] for name in names} if set(names) <= pixels.keys() else None


def _choose(data, dataset) -> tuple[Path, str | None, str]:
    if data is not None:
        return Path(data), None, str(data)
    named = dataset or "scene15"
    if named != "synthetic" and (dataset is not None or is_taken_unasked(named)):
        return known_folder(named), named, source_of(named)
    note = "the built-in synthetic scenes"
    if dataset is None:
        note += f" (for the real ones: {GET_SCENES}, for your own: --data DIR)"
    return synthetic_folder(), "synthetic", note
