"""What the images of a set really show, and what somebody says they show, read from files with checks."""

import csv
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from experiments.data import DATASETS, image_sources, known_folder, read_arrays, set_folder
from reports import read_run
from reports.judging import Truth
from scenes.dataset import SceneDataset, committed_split, image_files
from scenes.formats import (
    ANNOTATIONS,
    DIGITS,
    read_annotations,
    read_classes,
    which_kind,
)
from scenes.reading import UnreadableImage, read_pixels
from scenes.synthetic import synthetic_folder

COLUMNS = ("filename", "label")

_MOST_BYTES = 2**26


def read_truth(truth: str | Path, classes_file: str | Path | None = None) -> Truth:
    """The truth in a file or folder, or that of a known set.

    Parameters
    ----------
    truth : path or str
        ``annotations.json`` or a folder with it (or with it in ``val/``); a CSV ``filename,label``; a
        folder of class folders (of one with ``test/``, that part); a folder with CIFAR-10's or MNIST's files,
        or the name of a known set: its held-out images, as `experiments.network_data` holds them out.
    classes_file : path, optional
        Class names, one a line; the first is label 0. Without it annotations.json has ``0`` to ``9``.

    Raises
    ------
    FileNotFoundError, ValueError
        No such file or set; labels that are no classes; an image named twice; fewer than two classes.
    """
    path, official = Path(truth), () if classes_file is None else read_classes(classes_file)
    if not path.exists() and str(truth) in DATASETS:
        found = _of_known_set(str(truth))
    elif path.is_dir():
        found = _of_folder(path, official)
    elif path.suffix == ".json":
        found = _of_annotations(path, official)
    elif path.is_file():
        found = _of_csv(path, official)
    else:
        raise FileNotFoundError(
            f"{truth}: no such truth: give {ANNOTATIONS}, a CSV {','.join(COLUMNS)}, a folder, or one of "
            f"{', '.join(DATASETS)}"
        )
    if official and official != found.official:
        if found.official:
            raise ValueError(f"{truth} has classes of its own: leave --classes out")
        if unknown := sorted(set(found.classes) - set(official)):
            raise ValueError(f"{truth}: class {unknown[0]!r} is not in {classes_file}: add it there")
        found = replace(found, classes=tuple(sorted(official)), official=official)
    if len(found.classes) < 2:
        raise ValueError(f"{truth}: fewer than two classes: give a truth with more, or --classes FILE")
    for index, name in enumerate(found.official):
        if re.fullmatch("[0-9]+", name) and name != str(index):
            raise ValueError(
                f"class {name!r} is number {index}: it could mean either, give the classes other names"
            )
    return found


def images_of(truth: str, names: Sequence[str]) -> Path | None:
    """The folder with the images of a truth, where it is one or is named by a known set; else None."""
    path = Path(truth)
    folder = path if path.is_dir() else path.parent if path.name == "annotations.json" else set_folder(truth)
    return folder if folder.is_dir() and image_sources(folder, names) is not None else None


def pictures_in(folder: Path, names: Sequence[str]) -> Callable[[str], np.ndarray]:
    """The pixels of the images of these names, by name, from a folder that `images_of` found.

    Raises
    ------
    FileNotFoundError
        The folder has not all of them.
    """
    sources = image_sources(folder, names)
    if sources is None:
        raise FileNotFoundError(f"{folder} holds no {names[0]}: give the folder with the test images")
    return lambda name: read_pixels(sources[name])


def shown_in(folder: Path, names: Sequence[str]) -> Callable[[str], np.ndarray | None]:
    """As `pictures_in`, but None for a picture that cannot be read."""
    pixels = pictures_in(folder, names)

    def shown(name: str) -> np.ndarray | None:
        try:
            return pixels(name)
        except UnreadableImage:
            return None

    return shown


def read_predictions(path: Path) -> tuple[list[tuple[str, str]], tuple[str, ...]]:
    """Rows (image name, label) of a ``pred.csv``, or of a run folder, and the run's classes, () of a CSV.

    Raises
    ------
    FileNotFoundError, ValueError
        No such file; no CSV with the header ``filename,label``; a damaged run.
    """
    path = Path(path)
    if path.is_dir():
        if (path / "result.json").is_file() or not (path / "pred.csv").is_file():
            run = read_run(path)
            return list(zip(run.filenames, run.predicted, strict=True)), run.classes
        path = path / "pred.csv"
    return _read_csv(path), ()


def _of_annotations(path: Path, official: tuple[str, ...]) -> Truth:
    classes = official or DIGITS
    names, labels = read_annotations(path, len(classes))
    rows = {name: classes[label] for name, label in zip(names, labels, strict=True)}
    return Truth(path.resolve().parent.name, rows, tuple(sorted(classes)), classes)


def _of_csv(path: Path, official: tuple[str, ...]) -> Truth:
    labels: dict[str, str] = {}
    classes = tuple(sorted(official))
    known = Truth(path.stem, labels, classes, official)
    for name, label in _read_csv(path):
        meant = known.class_of(label) if official else label
        if not meant:
            raise ValueError(f"{path}: {name[:80]!r} has label {label[:40]!r}, which is no class: correct it")
        if labels.setdefault(name, meant) != meant:
            raise ValueError(f"{path}: {name[:80]!r} has two labels: keep one of the rows")
    if not labels:
        raise ValueError(f"{path}: no rows: give a truth with images")
    return replace(known, classes=classes or tuple(sorted(set(labels.values()))))


def _of_folder(path: Path, official: tuple[str, ...]) -> Truth:
    for inner in (path, path / "val"):
        if (inner / ANNOTATIONS).is_file():
            return _of_annotations(inner / ANNOTATIONS, official)
    name = path.resolve().name
    if (path / "test").is_dir():
        scenes = SceneDataset.from_folder(path)
        return Truth(name, dict(zip(scenes.test.names, scenes.test.labels, strict=True)), scenes.classes)
    kind = which_kind(path)
    if kind in ("cifar10", "mnist"):
        return _of_arrays(path, name, kind)
    labels = {
        f"{folder.name}/{image.name}": folder.name
        for folder in sorted(path.iterdir()) if folder.is_dir() and folder.name[0] != "."
        for image in image_files(folder)
    }  # fmt: skip
    if not labels:
        raise ValueError(f"{path}: no images in class folders, and no {ANNOTATIONS}: give another truth")
    return Truth(name, labels, tuple(sorted(set(labels.values()))))


def _of_known_set(name: str) -> Truth:
    if name == "scene15":
        labels = {image: image.split("/")[0] for image in committed_split(name)["test"]}
        return Truth(name, labels, tuple(sorted(set(labels.values()))))
    if name == "synthetic":
        return replace(_of_folder(synthetic_folder(), ()), name=name)
    return _of_arrays(known_folder(name), name, "cifar10" if name == "cifar10" else "mnist")


def _of_arrays(folder: Path, name: str, kind: str) -> Truth:
    """The held-out images of a set in arrays; of CIFAR-10 without a test batch the committed 5,000."""
    arrays = read_arrays(folder, kind, name)
    heldout, classes = arrays.heldout, arrays.classes
    labels = {image: classes[label] for image, label in zip(heldout.filenames, heldout.labels, strict=True)}
    return Truth(name, labels, tuple(sorted(classes)), tuple(classes))


def _read_csv(path: Path) -> list[tuple[str, str]]:
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file: give a CSV {','.join(COLUMNS)} or a run folder")
    try:
        rows = list(csv.reader(io.StringIO(_text(path), newline=""), strict=True))
    except csv.Error as error:
        raise ValueError(f"{path}: not valid CSV ({error}): write it again") from None
    header = tuple(cell.strip() for cell in rows[0]) if rows else ()
    if header != COLUMNS:
        # predictions.csv of a run holds the truth under `label`
        raise ValueError(
            f"{path}: does not start with the line {','.join(COLUMNS)}: write that, or give a run folder"
        )
    for number, row in enumerate(rows[1:], 2):
        if row and len(row) != len(COLUMNS):
            raise ValueError(f"{path}: row {number} has {len(row)} cells, not {len(COLUMNS)}: correct it")
    # names may be written on Windows, and need not be valid UTF-8; classes have to be
    found = [(row[0].replace("\\", "/"), row[1].strip()) for row in rows[1:] if row]
    for name, label in found:
        if any("\ud800" <= letter <= "\udfff" for letter in label):
            raise ValueError(f"{path}: the label of {name[:80]!r} is not UTF-8: save the file as UTF-8")
    return found


def _text(path: Path) -> str:
    if path.stat().st_size > _MOST_BYTES:
        raise ValueError(f"{path}: more than {_MOST_BYTES} bytes: give a smaller file")
    # names of files need not be valid UTF-8; this keeps their bytes
    return path.read_bytes().removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")
