"""Idx files, the format of MNIST and of the sets made like it."""

import gzip
import math
import os
import zlib
from pathlib import Path
from typing import IO

import numpy as np

from scenes._array_parts import ArrayPart, numbered_part
from scenes.files import DEFAULT_LIMITS, Limits

DIGITS = tuple("0123456789")
FASHION_CLASSES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip

_IDX_BYTE = 0x08  # the element type of images and labels
_DEFLATE_RATIO = 1032  # a byte of gzip never unpacks to more


def read_idx(path: str | os.PathLike, limits: Limits = DEFAULT_LIMITS) -> np.ndarray:
    """The uint8 array of an idx file, gzipped or not (its first bytes say which).

    The header, two zero bytes, the element type, the number of dimensions, then each dimension as 4 bytes
    with the largest first, is compared with the length of what follows. No more is ever decompressed than
    the header announces.

    Parameters
    ----------
    path : path
    limits : Limits
        ``max_bytes`` bounds what the header may announce.

    Raises
    ------
    FileNotFoundError
        No such file.
    ValueError
        No idx file, another element type than unsigned bytes, damaged, too short, too long, or over the
        limit.

    References
    ----------
    Y. LeCun, C. Cortes, C. Burges, "The MNIST database", section "File formats".
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file: check the path")
    with open(path, "rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        most = os.fstat(file.fileno()).st_size * (_DEFLATE_RATIO if packed else 1)
        if not packed:
            return _read_idx(file, path, most, limits)
        try:
            with gzip.open(file) as unpacked:
                return _read_idx(unpacked, path, most, limits)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            reason = " ".join(str(error).split())[:200]
            raise ValueError(f"{path}: the file is damaged ({reason}): fetch it again") from error


def read_mnist_like(
    folder: str | os.PathLike, name: str | None = None
) -> tuple[ArrayPart, ArrayPart, tuple[str, ...]]:
    """The training part, the test part and the class names of MNIST or a set made like it.

    Parameters
    ----------
    folder : path
        Holds ``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte`` and the two ``t10k-`` files, each
        plain or ``.gz``; ``train-images.idx3-ubyte`` is accepted too.
    name : str, optional
        The set's name, else the folder's. With "fashion" in it the classes are Fashion-MNIST's, in the
        published order (which is not the sorted one); else the digits ``0`` to ``9``.

    Returns
    -------
    train, test : ArrayPart
        images (n, H, W, 1), black 0, as in the files (digits are white on black).
    classes : tuple of str

    Raises
    ------
    FileNotFoundError
        One of the four files is missing.
    ValueError
        See `read_idx`; counts or sizes of images that do not fit together; a label above 9.
    """
    folder = Path(folder)
    name = folder.resolve().name if name is None else name
    parts = []
    for which, prefix in (("train", "train"), ("test", "t10k")):
        images = _read_named(folder, f"{prefix}-images", 3)
        labels = _read_named(folder, f"{prefix}-labels", 1)
        if 0 in images.shape or len(images) != len(labels):
            raise ValueError(
                f"{folder}: {prefix}-images have shape {images.shape}, with {len(labels)} labels: "
                "use files of one set"
            )
        parts.append(numbered_part(folder, which, images[..., None], labels.astype(np.int64), len(DIGITS)))
    train, test = parts
    if train.images.shape[1:] != test.images.shape[1:]:
        raise ValueError(
            f"{folder}: training images are {train.images.shape[1:3]} pixels, test images "
            f"{test.images.shape[1:3]}: use files of one set"
        )
    return train, test, FASHION_CLASSES if "fashion" in name.lower() else DIGITS


def idx_file(folder: Path, start: str, dimensions: int) -> Path | None:
    """The file of that name in one of its spellings; the unpacked one first."""
    names = (f"{start}{mark}idx{dimensions}-ubyte{end}" for end in ("", ".gz") for mark in "-.")
    return next((folder / name for name in names if (folder / name).is_file()), None)


def _read_named(folder: Path, start: str, dimensions: int) -> np.ndarray:
    path = idx_file(folder, start, dimensions)
    if path is None:
        raise FileNotFoundError(
            f"{folder}: no {start}-idx{dimensions}-ubyte or .gz: get the set with python scripts/get_data.py"
        )
    array = read_idx(path)
    if array.ndim != dimensions:
        raise ValueError(f"{path}: {array.ndim} dimensions instead of {dimensions}: fetch it again")
    return array


def _read_idx(file: IO[bytes] | gzip.GzipFile, path: Path, most: int, limits: Limits) -> np.ndarray:
    """The array of an open idx file that holds at most `most` bytes."""
    start = file.read(4)
    if len(start) < 4 or start[:2] != b"\0\0" or start[2] != _IDX_BYTE or not 1 <= start[3] <= 4:
        raise ValueError(f"{path}: not an idx file of bytes (begins with {start!r}): give one as MNIST's")
    header = file.read(4 * start[3])
    shape = tuple(int.from_bytes(header[i : i + 4], "big") for i in range(0, 4 * start[3], 4))
    size = math.prod(shape)
    # a 0 must not hide other dimensions that numpy cannot count
    if math.prod(n or 1 for n in shape) > limits.max_bytes:
        raise ValueError(f"{path}: announces {shape}, at most {limits.max_bytes} bytes are read: split it")
    # read() takes the memory at once, so not for more than can be there; one byte more shows a longer file.
    data = file.read(min(size, most) + 1)
    if len(data) != size or len(header) != 4 * start[3]:
        there = "more" if len(data) > size else "fewer"
        raise ValueError(f"{path}: announces {size} bytes, {there} follow: it is damaged, fetch it again")
    return np.frombuffer(data, np.uint8).reshape(shape).copy()
