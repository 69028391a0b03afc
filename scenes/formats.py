"""Other data than folders of images: CIFAR-10 batches, idx files (MNIST), the course's annotations.json.

| kind | what the folder holds |
|---|---|
| ``cifar10`` | the official Python or binary batches, also in ``cifar-10-batches-py`` or ``-bin`` inside |
| ``mnist`` | the four idx files of MNIST, Fashion-MNIST or a set made like them, gzipped or not |
| ``course`` | ``train/`` and ``val/`` with ``annotations.json`` (see `read_course`) |
| ``folders`` | one folder of images a class (see `scenes.SceneDataset`) |

Every file is hostile until parsed: sizes are checked before anything is allocated, and the official
CIFAR-10 batches, which are pickles, are not unpickled by Python.
"""

import os
from pathlib import Path

from scenes._array_parts import (
    ArrayPart,
    cifar10_list,
    cifar10_parts,
    merge_classes,
    pixel_hashes,
    select_part,
)
from scenes._cifar10 import CIFAR10_CLASSES, cifar10_folder, read_cifar10
from scenes._course import ANNOTATIONS, Course, CoursePart, read_annotations, read_classes, read_course
from scenes._idx import DIGITS, FASHION_CLASSES, idx_file, read_idx, read_mnist_like
from scenes.dataset import image_files

__all__ = [
    "ANNOTATIONS",
    "CIFAR10_CLASSES",
    "DIGITS",
    "FASHION_CLASSES",
    "ArrayPart",
    "Course",
    "CoursePart",
    "cifar10_list",
    "cifar10_parts",
    "merge_classes",
    "pixel_hashes",
    "read_annotations",
    "read_cifar10",
    "read_classes",
    "read_course",
    "read_idx",
    "read_mnist_like",
    "select_part",
    "which_kind",
]


def which_kind(folder: str | os.PathLike) -> str:
    """What a data folder holds: "cifar10", "mnist", "course" or "folders"; no file is opened.

    Raises
    ------
    FileNotFoundError
        No such folder.
    ValueError
        It looks like none of these.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder: check the path given to --data")
    if cifar10_folder(folder):
        return "cifar10"
    if idx_file(folder, "train-images", 3):
        return "mnist"
    if (folder / "train" / ANNOTATIONS).is_file():
        return "course"
    inside = _folders(folder)
    if any(image_files(path) for path in inside + [deep for path in inside for deep in _folders(path)]):
        return "folders"
    raise ValueError(
        f"{folder}: no images found: give a folder with train/<class>/* and test/<class>/*, with <class>/*, "
        f"with the CIFAR-10 batches, with MNIST's idx files, or with {ANNOTATIONS} in train/ and val/"
    )


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and path.name[0] != ".")
