"""CIFAR-10's official batches, Python's and the binary ones, as arrays."""

import hashlib
import math
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from scenes._array_parts import ArrayPart, numbered_part
from scenes._cifar_pickle import load_batch
from scenes.download import SOURCES

CIFAR10_CLASSES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip

_TRAIN_BATCHES = tuple(f"data_batch_{i}" for i in range(1, 6))
_BATCH_IMAGES = 10_000
_PLANES = (3, 32, 32)  # a row of a batch: all of red, all of green, all of blue
_MAX_BATCH_BYTES = 2**25  # the official files have 31,035,999 bytes at most
_GET_CIFAR10 = "get the set with python scripts/get_data.py cifar10"


def read_cifar10(folder: str | os.PathLike) -> tuple[ArrayPart, ArrayPart | None, tuple[str, ...]]:
    """CIFAR-10's training part, its test part if it is there, and the class names.

    Parameters
    ----------
    folder : path
        Holds the Python batches (``data_batch_1`` to ``5``, ``test_batch``, ``batches.meta``) or the binary
        ones (``data_batch_1.bin``, ..., ``batches.meta.txt``), or ``cifar-10-batches-py`` or ``-bin`` with
        them. Without ``batches.meta`` the names are the official ones.

    Returns
    -------
    train : ArrayPart
        images (50000, 32, 32, 3), names ``train/00000`` to ``train/49999`` in official order.
    test : ArrayPart or None
        images (10000, 32, 32, 3); None where there is no test batch.
    classes : tuple of str
        In official order, which is the sorted one.

    Raises
    ------
    FileNotFoundError
        One of the five training batches is missing.
    ValueError
        A Python batch is not the official file (its MD5 is compared before it is looked into); a binary
        one has another size than 10,000 records or a label above 9.

    References
    ----------
    A. Krizhevsky, "Learning multiple layers of features from tiny images", 2009;
    https://www.cs.toronto.edu/~kriz/cifar.html describes both layouts.
    """
    inner = cifar10_folder(Path(folder))
    if inner is None:
        raise FileNotFoundError(f"{folder}: no data_batch_1: {_GET_CIFAR10}")
    is_binary = not any((inner / name).is_file() for name in _TRAIN_BATCHES)
    suffix, read = (".bin", _read_binary_batch) if is_binary else ("", _read_python_batch)
    parts = {}
    for which, names in (("train", _TRAIN_BATCHES), ("test", ("test_batch",))):
        paths = [inner / f"{name}{suffix}" for name in names]
        if which == "test" and not paths[0].is_file():
            continue
        images = np.empty((len(paths) * _BATCH_IMAGES, 32, 32, 3), np.uint8)
        labels = np.empty(len(images), np.int64)
        for i, path in enumerate(paths):
            rows = slice(i * _BATCH_IMAGES, (i + 1) * _BATCH_IMAGES)
            pixels, labels[rows] = read(path)
            images[rows] = pixels.reshape(-1, *_PLANES).transpose(0, 2, 3, 1)
        parts[which] = numbered_part(inner, which, images, labels, len(CIFAR10_CLASSES))
    return parts["train"], parts.get("test"), _cifar10_classes(inner, is_binary)


def cifar10_folder(folder: Path) -> Path | None:
    """The folder itself or one inside, whichever holds a training batch."""
    for inner in (folder, folder / "cifar-10-batches-py", folder / "cifar-10-batches-bin"):
        if any((inner / f"{name}{suffix}").is_file() for name in _TRAIN_BATCHES for suffix in ("", ".bin")):
            return inner
    return None


def _official_md5s() -> dict[str, str]:
    """The MD5 of each official Python batch, by name."""
    return {Path(file.path).name: file.checksum.removeprefix("md5:") for file in SOURCES["cifar10"].files}


def _read_official(path: Path) -> bytes:
    """A file's bytes, if their MD5 is the official one.

    That also holds against intent: nobody can make another file for a given MD5 (only two new ones alike).
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file: {_GET_CIFAR10}")
    if path.stat().st_size > _MAX_BATCH_BYTES:
        raise ValueError(f"{path}: too long for a CIFAR-10 batch: {_GET_CIFAR10}")
    data = path.read_bytes()
    found, official = hashlib.md5(data, usedforsecurity=False).hexdigest(), _official_md5s()[path.name]
    if found != official:
        raise ValueError(f"{path}: the MD5 is {found}, the official file's {official}: {_GET_CIFAR10}")
    return data


def _read_python_batch(path: Path) -> tuple[np.ndarray, Sequence[int]]:
    """Pixels, uint8 (10000, 3072), and labels of a Python batch."""
    batch = _unpickled(path)
    pixels, labels = batch.get(b"data"), batch.get(b"labels")
    if (
        not isinstance(pixels, np.ndarray)
        or pixels.shape != (_BATCH_IMAGES, math.prod(_PLANES))
        or not isinstance(labels, list)
        or len(labels) != _BATCH_IMAGES
        or not all(type(label) is int and label >= 0 for label in labels)
    ):
        raise ValueError(f"{path}: not {_BATCH_IMAGES} images with a label each: {_GET_CIFAR10}")
    return pixels, labels


def _unpickled(path: Path) -> dict:
    data = _read_official(path)
    try:
        batch = load_batch(data)
    except ValueError as error:
        raise ValueError(f"{path}: {error}: {_GET_CIFAR10}") from error
    if not isinstance(batch, dict):
        raise ValueError(f"{path}: not a CIFAR-10 batch: {_GET_CIFAR10}")
    return batch


def _read_binary_batch(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Pixels, uint8 (10000, 3072), and labels of a binary batch: records of one label byte and the pixels."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file: {_GET_CIFAR10}")
    record, size = 1 + math.prod(_PLANES), path.stat().st_size
    if size != _BATCH_IMAGES * record:
        raise ValueError(f"{path}: {size} bytes, not {_BATCH_IMAGES} records of {record}: fetch it again")
    records = np.fromfile(path, np.uint8, _BATCH_IMAGES * record).reshape(-1, record)
    return records[:, 1:], records[:, 0]


def _cifar10_classes(folder: Path, is_binary: bool) -> tuple[str, ...]:
    path = folder / ("batches.meta.txt" if is_binary else "batches.meta")
    if not path.is_file():
        return CIFAR10_CLASSES
    if is_binary:
        with open(path, "rb") as file:
            names = file.read(4096).split()
    else:
        names = _unpickled(path).get(b"label_names", [])
    if names != [name.encode() for name in CIFAR10_CLASSES]:
        raise ValueError(f"{path}: not the ten class names of CIFAR-10: {_GET_CIFAR10}")
    return CIFAR10_CLASSES
