"""Files that are complete or absent, and array files that are trusted no further than their headers.

Writing: `atomic_path` for one file, `scratch_folder` for a folder, `write_npz` for arrays (equal arrays
give equal bytes). Reading: `read_npz` and `read_npy` check every size before they allocate and never
unpickle.
"""

from __future__ import annotations

import contextlib
import errno
import math
import os
import secrets
import shutil
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

# What zipfile and numpy raise on damaged input beside ValueError (found by changing bytes at random).
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    tokenize.TokenError,
    EOFError,
    KeyError,
    MemoryError,
    NotImplementedError,
    OverflowError,
    RecursionError,
    RuntimeError,
    SyntaxError,
    TypeError,
)
_HEADER_READERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
_PLAIN_KINDS = "biufcUS"  # numbers, bytes and text; no objects, records or dates


@dataclass(frozen=True)
class Limits:
    """What a reader of array files accepts.

    Parameters
    ----------
    max_bytes : int, default=2**30
        Bytes of all arrays of a file together, once decompressed.
    max_arrays : int, default=64
        Arrays in one file.
    """

    max_bytes: int = 2**30
    max_arrays: int = 64


DEFAULT_LIMITS = Limits()


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a temporary file beside `path` that takes its place when the block ends without an error.

    The temporary file keeps the suffix of `path` (some writers choose the format by it). It is flushed to
    the disk before the rename, so that `path` holds the old content or the new, never a part. Whatever
    ends the block early, ``KeyboardInterrupt`` included, removes it and leaves `path` as it was.

    Raises
    ------
    OSError
        The folder is missing or not writable, the disk is full, `path` is a folder.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> with atomic_path(folder / "words.txt") as temporary:
    ...     _ = temporary.write_text("sky")
    >>> [(file.name, file.read_text()) for file in folder.iterdir()]
    [('words.txt', 'sky')]
    """
    path = Path(path)
    temporary = path.with_name(_scratch_name() + path.suffix)
    try:
        # Not tempfile.mkstemp: its files are readable by their owner only, whatever the umask says.
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        yield temporary
        _sync_file(temporary)
        os.replace(temporary, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        _name_wanted(error, temporary, path)
        raise
    _sync_names(path.parent)


@contextlib.contextmanager
def scratch_folder(parent: str | os.PathLike) -> Iterator[Path]:
    """Yield a new hidden folder in `parent` that is gone when the block ends.

    To publish what was made in it, rename it (or a part of it) inside the block: within one parent that
    is a single step, so nobody sees half of it. Call `sync_folder` first; the new name is flushed to the disk
    when the block ends.

    Raises
    ------
    OSError
        `parent` is missing or not writable.
    """
    folder = Path(parent) / _scratch_name()
    try:
        folder.mkdir()
        yield folder
    except OSError as error:
        _name_wanted(error, folder, Path(parent))
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        _sync_names(Path(parent))


def sync_folder(folder: str | os.PathLike) -> None:
    """Flush every file below `folder`, and the names in it, to the disk."""
    for root, _, names in os.walk(Path(folder)):
        for name in names:
            _sync_file(Path(root, name))
        _sync_names(Path(root))


def write_npz(path_or_file: str | os.PathLike | IO[bytes], arrays: Mapping[str, np.ndarray]) -> None:
    """Write named arrays as an uncompressed ``.npz``; equal arrays give equal bytes.

    ``numpy.savez`` stamps each member with the time. Here the time is fixed, members come in the order of
    their names, and arrays are stored little-endian in C order. Nothing is compressed, since compressed
    bytes depend on the version of zlib. ``numpy.load`` reads the result.

    Parameters
    ----------
    path_or_file : path or binary file
        A path is written atomically and exactly as named (no suffix is added).
    arrays : mapping of str to array_like
        Numbers, booleans, bytes or text; text may be a plain ``str``.

    Raises
    ------
    ValueError
        An array would have to be pickled, or is neither numbers nor text.
    OSError
        The file cannot be written.
    """
    plain = {name: _plain_array(name, arrays[name]) for name in sorted(arrays)}
    if not isinstance(path_or_file, str | os.PathLike):
        _write_members(path_or_file, plain)
        return
    with atomic_path(path_or_file) as temporary, open(temporary, "wb") as file:
        _write_members(file, plain)


def read_npz(path: str | os.PathLike, limits: Limits = DEFAULT_LIMITS) -> dict[str, np.ndarray]:
    """Return the arrays of an ``.npz`` file from anywhere, by name, in the file's order.

    Names, number and sizes are checked against `limits` and against the headers before anything is
    allocated; checksums are checked; nothing is unpickled.

    Raises
    ------
    ValueError
        The file is a pickle or holds one, is damaged, is no ``.npz``, or exceeds `limits`.
    OSError
        The file cannot be opened.
    """
    path = Path(path)
    with open(path, "rb") as file, _named_errors(path):
        _check_start(file, path, (b"PK\x03\x04", b"PK\x05\x06"), ".npz")
        with zipfile.ZipFile(file) as archive:
            return _read_members(archive, limits)


def read_npy(path: str | os.PathLike, limits: Limits = DEFAULT_LIMITS) -> np.ndarray:
    """Return the array of an ``.npy`` file from anywhere, with the checks of `read_npz`.

    Raises
    ------
    ValueError
        The file is a pickle or holds one, is damaged, is no ``.npy``, or exceeds `limits`.
    OSError
        The file cannot be opened.
    """
    path = Path(path)
    with open(path, "rb") as file, _named_errors(path):
        _check_start(file, path, (np.lib.format.MAGIC_PREFIX,), ".npy")
        size = os.fstat(file.fileno()).st_size
        _check_total(size, limits)
        return _read_array(file, path.stem, size)


def _scratch_name() -> str:
    return f".part-{secrets.token_hex(6)}"


def _name_wanted(error: BaseException, scratch: Path, wanted: Path) -> None:
    """Let an OSError name what was asked for, not what was in the making; a full disk names nothing."""
    if isinstance(error, OSError) and error.errno is not None:
        named = error.filename
        if named is None or (isinstance(named, str | os.PathLike) and Path(named).is_relative_to(scratch)):
            error.filename = str(wanted)


def _sync_file(path: Path) -> None:
    with open(path, "rb+") as file:  # Windows flushes only what is open for writing
        os.fsync(file.fileno())


def _sync_names(folder: Path) -> None:
    """Make renames in `folder` durable; the data are safe already, so a refusal is no failure."""
    if os.name == "nt":
        return
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _plain_array(name: str, value) -> np.ndarray:
    array = np.asarray(value, order="C")
    if array.dtype.kind not in _PLAIN_KINDS:
        raise ValueError(
            f"array {name!r} has dtype {array.dtype}, which cannot be stored without pickle: "
            "give numbers or text"
        )
    return array.astype(array.dtype.newbyteorder("<"), copy=False)


def _write_members(file: IO[bytes], arrays: Mapping[str, np.ndarray]) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            info = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            info.create_system = 3  # else it names the operating system
            info.external_attr = 0o644 << 16
            with archive.open(info, "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


@contextlib.contextmanager
def _named_errors(path: Path) -> Iterator[None]:
    """Turn what parsers raise into a one-line ValueError that names the file."""
    try:
        yield
    except ValueError as error:
        text = " ".join(str(error).split())[:400]
        raise ValueError(f"{path}: {text}") from error
    except (*_DAMAGE, OSError) as error:
        # A false offset makes zipfile seek to before the start; other OSErrors are the disk's.
        if isinstance(error, OSError) and error.errno != errno.EINVAL:
            raise
        text = " ".join(f"{type(error).__name__} {error}".split())[:200]
        raise ValueError(f"{path}: the file is damaged ({text}): make it or fetch it again") from error


def _check_start(file: IO[bytes], path: Path, magics: tuple[bytes, ...], suffix: str) -> None:
    """Refuse by the first bytes what is not of the wanted format, pickles with the way out."""
    start = file.read(6)
    file.seek(0)
    if any(start.startswith(magic) for magic in magics):
        return
    if len(start) > 1 and start[0] == 0x80 and start[1] <= 5:  # PROTO, the first opcode of pickles since 2003
        raise ValueError(
            "a pickle can run any code when it is loaded and is not opened: where you trust it, "
            f"run `array = numpy.load({path.name!r}, allow_pickle=True)` and "
            f"`numpy.save({path.stem + '.npy'!r}, numpy.asarray(array, dtype='float32'))`, "
            "and pass the .npy file"
        )
    raise ValueError(f"not an {suffix} file: give one written by numpy or by this project")


def _check_total(n_bytes: int, limits: Limits) -> None:
    if n_bytes > limits.max_bytes:
        raise ValueError(
            f"holds {n_bytes} bytes of arrays, at most {limits.max_bytes} are read here: make it smaller"
        )


def _read_members(archive: zipfile.ZipFile, limits: Limits) -> dict[str, np.ndarray]:
    members = archive.infolist()
    if len(members) > limits.max_arrays:
        raise ValueError(f"holds {len(members)} arrays, at most {limits.max_arrays} are read here")
    # zipfile gives out no more than the stated size, so the sum below bounds all that is read.
    _check_total(sum(member.file_size for member in members), limits)
    arrays: dict[str, np.ndarray] = {}
    for member in members:
        name = member.filename.removesuffix(".npy")
        if name == member.filename or name in arrays:
            raise ValueError(f"member {member.filename!r} is no array or stands there twice: write it again")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError(f"member {member.filename!r} is compressed in an unknown way: use numpy.savez")
        with archive.open(member) as file:
            arrays[name] = _read_array(file, name, member.file_size)
    return arrays


def _read_array(file: IO[bytes], name: str, size: int) -> np.ndarray:
    """Return the array of one npy stream of `size` bytes after comparing its header with that size."""
    version = np.lib.format.read_magic(file)
    if version not in _HEADER_READERS:
        raise ValueError(f"array {name!r} has npy version {version}: save it with a current numpy")
    shape, _, dtype = _HEADER_READERS[version](file)
    if dtype.hasobject:
        raise ValueError(
            f"array {name!r} holds pickled objects, which can run any code when loaded, and is "
            "not opened: save it as an array of numbers or text"
        )
    if dtype.kind not in _PLAIN_KINDS or dtype.itemsize == 0:
        raise ValueError(f"array {name!r} has dtype {dtype}: save it as an array of numbers or text")
    stated, there = math.prod(shape) * dtype.itemsize, size - file.tell()
    if stated != there or any(n < 0 for n in shape):
        raise ValueError(
            f"array {name!r} states shape {shape} of {dtype}, {stated} bytes, but {there} bytes "
            "follow: the file is damaged, make it or fetch it again"
        )
    file.seek(0)
    array = np.lib.format.read_array(file, allow_pickle=False)
    file.read(1)  # reaching the end makes zipfile compare its checksum
    return array
