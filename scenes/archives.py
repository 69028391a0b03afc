"""Archives that may mean harm: every member is checked before it is opened, and nothing is unpacked here.

A .zip, a .tar, a .tar.gz and a folder look the same from outside: a name and a stream per file.
"""

import contextlib
import errno
import os
import re
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any, Literal

MAX_UNPACKED_BYTES = 2**30
MAX_MEMBERS = 20_000

# What tarfile and zipfile raise on damaged input (found by cutting archives and changing bytes at random).
_DAMAGE = (tarfile.TarError, zipfile.BadZipFile, zlib.error, struct.error, EOFError, RuntimeError)
# The headers of a tar that only hold names; tarfile reads them into memory whole.
_EXTRA_HEADERS = (
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
)
_MAX_EXTRA_HEADER = 2**20


def archive_members(
    path: str | os.PathLike, *, max_members: int = MAX_MEMBERS, max_bytes: int = MAX_UNPACKED_BYTES
) -> Iterator[tuple[str, IO[bytes]]]:
    """The (name, stream) of each file in a .zip, .tar, .tar.gz or folder, checked before it is opened.

    A stream is to be read before the next one is asked for. The kind of archive is told by its content,
    not by its suffix. In a folder, links to files are followed.

    Damage shows while the members are gone through or read, in many kinds of errors: do both inside
    `damage_reported`.

    Parameters
    ----------
    path : path
    max_members : int
        Files, and the folders that an archive lists.
    max_bytes : int
        What all files together may claim to hold. No stream of an archive gives out more than it claims.

    Raises
    ------
    FileNotFoundError
        No such `path`; at once.
    ValueError
        No archive of these kinds; at once. When its turn comes: one member or byte too many, a member that
        is encrypted, a link or a device, a name that is absolute or contains ``..``.
    """
    path = Path(path)
    return _checked(path, _entries(path), max_members, max_bytes)


@contextlib.contextmanager
def damage_reported(origin: str | os.PathLike) -> Iterator[None]:
    """What `archive_members` and its streams raise on damage, as a ValueError of one line with `origin`."""
    try:
        yield
    except (*_DAMAGE, OSError) as error:
        # zipfile seeks wherever a damaged directory points; any other OSError is the disk's own.
        if isinstance(error, OSError) and error.errno != errno.EINVAL:
            raise
        reason = " ".join(f"{type(error).__name__} {error}".split())[:200]
        raise ValueError(f"{origin}: the archive is damaged ({reason}): make it or fetch it again") from error


@dataclass(frozen=True)
class _Entry:
    """A member before anybody opened it; `kind` is "file", "folder" or what is wrong with it."""

    name: str
    size: int
    kind: str
    open: Callable[[], Any]  # gives the binary stream of a file


class _CheckedHeader(tarfile.TarInfo):
    """A tar header that is refused before `tarfile` reads what it announces into memory."""

    @classmethod
    def frombuf(cls, buf, encoding, errors):
        header = super().frombuf(buf, encoding, errors)
        too_long = header.type in _EXTRA_HEADERS and header.size > _MAX_EXTRA_HEADER
        if too_long or header.size < 0 or header.type == tarfile.GNUTYPE_SPARSE:
            raise tarfile.ReadError(f"a sparse file, or a header that announces {header.size} bytes")
        return header

    def _proc_gnusparse_10(self, *args):
        # The other way to say "sparse". tarfile would read a list of any length, which packs into almost
        # nothing, before anybody saw the header.
        raise tarfile.ReadError("a sparse file")


@contextlib.contextmanager
def _named_damage() -> Iterator[None]:
    """Damage that trips `tarfile` or `zipfile` up, such as a name that is no text, as an error of theirs."""
    try:
        yield
    except (ValueError, IndexError) as error:
        raise tarfile.ReadError(f"{type(error).__name__} {error}") from error


def _entries(path: Path) -> Iterator[_Entry]:
    if path.is_dir():
        return _folder_entries(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file or folder: check the path")
    with open(path, "rb") as file:
        head = file.read(512)
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _zip_entries(path)
    if head.startswith(b"\x1f\x8b"):
        return _tar_entries(path, "r|gz")
    if head[257:262] == b"ustar":
        return _tar_entries(path, "r|")
    raise ValueError(
        f"{path}: not a .zip, .tar or .tar.gz (begins with {head[:8]!r}): pass one of these or "
        "an unpacked folder"
    )


def _folder_entries(path: Path) -> Iterator[_Entry]:
    for root, folders, names in os.walk(path):
        folders.sort()
        for file in (Path(root, name) for name in sorted(names)):
            if file.is_file():
                name = file.relative_to(path).as_posix()
                yield _Entry(name, file.stat().st_size, "file", partial(file.open, "rb"))


def _zip_entries(path: Path) -> Iterator[_Entry]:
    with _named_damage(), zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            kind = "folder" if info.is_dir() else "file"
            if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
                kind = "a link or a device"
            elif info.flag_bits & 1:
                kind = "encrypted"
            elif info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                kind = "compressed in a rare way"
            yield _Entry(info.filename, info.file_size, kind, partial(archive.open, info))


def _tar_entries(path: Path, mode: Literal["r|gz", "r|"]) -> Iterator[_Entry]:
    # A stream ("r|"): read once from front to back, so that no header can send the reader in circles.
    with _named_damage(), tarfile.open(path, mode, tarinfo=_CheckedHeader) as archive:
        for info in archive:
            kind = "file" if info.isreg() else "folder" if info.isdir() else "a link or a device"
            kind = "sparse" if info.issparse() else kind
            yield _Entry(info.name, info.size, kind, partial(archive.extractfile, info))


def _checked(
    path: Path, entries: Iterable[_Entry], max_members: int, max_bytes: int
) -> Iterator[tuple[str, IO[bytes]]]:
    total = 0
    for count, entry in enumerate(entries, 1):
        if count > max_members:
            raise ValueError(f"{path}: more than {max_members} members: pass a smaller archive")
        _check_member(path, entry)
        total += entry.size
        if total > max_bytes:
            raise ValueError(f"{path}: unpacks to over {max_bytes} bytes: pass a smaller archive")
        if entry.kind == "file":
            with _named_damage():
                stream = entry.open()
            with stream:
                yield entry.name, stream


def _check_member(path: Path, entry: _Entry) -> None:
    # Windows takes a backslash for a separator and "C:" for a disk, so both are looked at everywhere.
    steps = entry.name.replace("\\", "/").split("/")
    shown = repr(entry.name[:80])
    if steps[0] == "" or ".." in steps or re.match("[A-Za-z]:", entry.name) or "\0" in entry.name:
        raise ValueError(f"{path}: member {shown} has an unsafe name: unpack nothing from this archive")
    if entry.kind not in ("file", "folder"):
        raise ValueError(f"{path}: member {shown} is {entry.kind}: pass an archive of plain files")
    if entry.size < 0:
        raise ValueError(f"{path}: member {shown} has a negative size: fetch the archive again")
