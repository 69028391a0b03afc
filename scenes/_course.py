"""The course's layout: annotations.json beside the images in train/, val/ and unlabel/."""

import json
import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from scenes._idx import DIGITS

ANNOTATIONS = "annotations.json"

_UNLABELLED = ("unlabel", "unlabeled")  # both spellings are about
_MAX_JSON_BYTES = 2**26


@dataclass(frozen=True, eq=False)
class CoursePart:
    """One part of a course folder, in the order of its annotations.json.

    names : what the images are called there.
    paths : what to read, one a name.
    labels : int64 (n,), indices into the course's classes; (0,) where the part has none.
    """

    names: tuple[str, ...]
    paths: tuple[Path, ...]
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True, eq=False)
class Course:
    """A course folder: `val` is held out, `unlabelled` is None where there is no such folder."""

    train: CoursePart
    val: CoursePart
    unlabelled: CoursePart | None
    classes: tuple[str, ...]


def read_course(folder, classes_file=None) -> Course:
    """The images and labels that a course folder lists; no image is opened.

    Parameters
    ----------
    folder : path
        Holds ``train/``, ``val/`` and perhaps ``unlabel/`` (or ``unlabeled/``), each with its images and
        ``annotations.json``: ``{"filenames": ["0001.png", ...], "labels": [3, ...]}``. Files that no list
        names are not looked at, nor are labels in the unlabelled part.
    classes_file : path, optional
        Class names, one a line, UTF-8; the first is label 0. Without it the classes are ``0`` to ``9``.

    Raises
    ------
    FileNotFoundError
        A folder, an annotations.json, `classes_file` or a listed image is missing.
    ValueError
        A list that is no such JSON, is empty, or has another number of labels than names; a label that
        is no integer or no class; a name that stands twice or leads out of its folder; names of classes
        that are empty or stand twice.
    """
    folder = Path(folder)
    classes = DIGITS if classes_file is None else read_classes(classes_file)
    unlabelled = [name for name in _UNLABELLED if (folder / name).is_dir()]
    if len(unlabelled) > 1:
        raise ValueError(f"{folder} holds {' and '.join(unlabelled)}: keep one of them")
    return Course(
        _read_part(folder / "train", len(classes)),
        _read_part(folder / "val", len(classes)),
        _read_part(folder / unlabelled[0], None) if unlabelled else None,
        classes,
    )


def read_classes(path: str | os.PathLike) -> tuple[str, ...]:
    """Class names, one a line, UTF-8; the first is label 0.

    Raises
    ------
    FileNotFoundError, ValueError
        No such file; an empty line, a name twice, fewer than two classes, another encoding.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file: give the class names, one a line, with --classes")
    try:
        names = tuple(line.strip() for line in path.read_text("utf-8-sig").rstrip().split("\n"))
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not UTF-8 text: save the class names as UTF-8, one a line") from error
    if "" in names or len(names) < 2:
        raise ValueError(f"{path}: an empty line, or fewer than two classes: give one name a line")
    if len(set(names)) < len(names):
        raise ValueError(f"{path}: class {_most_common(names)!r} stands twice: remove one of the lines")
    return names


def read_annotations(path: str | os.PathLike, n_classes: int | None) -> tuple[list[str], list[int]]:
    """Names and labels in an ``annotations.json``; no image needs to be there.

    Parameters
    ----------
    path : path
    n_classes : int or None
        Labels are 0 to one less; None: images without labels, and labels are not looked at.

    Raises
    ------
    FileNotFoundError, ValueError
        No such file; no such JSON, no names, a name twice; another number of labels than names, a label
        that is no integer or no class.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: no such file: a course folder holds train/ and val/, each with images and {ANNOTATIONS}"
        )
    found = _read_json(path)
    names = found.get("filenames") if isinstance(found, dict) else None
    if not isinstance(names, list) or not names:
        raise ValueError(
            f'{path}: lists no images: write {{"filenames": ["0001.png", ...], "labels": [...]}}'
        )
    for name in names:
        # Windows takes a backslash for a separator and "C:" for a disk, so both are looked at everywhere.
        plain = isinstance(name, str) and not re.match("[A-Za-z]:", name) and not re.search("[\\\\\0]", name)
        if not plain or any(step in ("", ".", "..") for step in name.split("/")):
            raise ValueError(
                f"{path}: {str(name)[:80]!r} is no name of a file beside it: give such names only"
            )
    if len(set(names)) < len(names):
        raise ValueError(f"{path}: {_most_common(names)[:80]!r} is listed twice: keep one of the entries")
    labels = [] if n_classes is None else _checked_labels(path, found.get("labels"), len(names), n_classes)
    return names, labels


def _most_common(names: Sequence[str]) -> str:
    return Counter(names).most_common(1)[0][0]


def _read_part(folder: Path, n_classes: int | None) -> CoursePart:
    """A part's checked list; `n_classes` is None for unlabelled images."""
    path = folder / ANNOTATIONS
    names, labels = read_annotations(path, n_classes)
    paths = tuple(_there(path, name) for name in names)
    return CoursePart(tuple(names), paths, np.array(labels, np.int64))


def _read_json(path: Path) -> Any:
    if path.stat().st_size > _MAX_JSON_BYTES:
        raise ValueError(f"{path}: more than {_MAX_JSON_BYTES} bytes: list fewer images")
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"{path}: not JSON ({reason}): write the file again") from error


def _there(path: Path, name: str) -> Path:
    """Where an image lies; links are followed, as in any folder of images."""
    image = path.parent / name
    if not os.path.isfile(image):  # unlike Path.is_file no error for a name too long to be one
        raise FileNotFoundError(f"{path}: {name[:80]!r} is listed and not there: add it or remove the entry")
    return image


def _checked_labels(path: Path, labels: Any, n_names: int, n_classes: int) -> list[int]:
    if not isinstance(labels, list) or len(labels) != n_names:
        there = len(labels) if isinstance(labels, list) else "no list of"
        raise ValueError(f"{path}: {n_names} names and {there} labels: give one label a name")
    for label in labels:
        if type(label) is not int or not 0 <= label < n_classes:  # JSON's true is an int to Python
            raise ValueError(
                f"{path}: label {str(label)[:40]!r} is no integer from 0 to {n_classes - 1}: correct it, "
                "or give the class names with --classes"
            )
    return labels
