"""Known image sets, from the network or from a local archive, into a data folder: complete or absent.

`get_set` is the whole way: fetch what is missing, unpack, compare every file with its published checksum
(the 15 scenes: with the committed hash of its pixels), rename the finished folder into place.

What is unpacked is found by content alone. The names inside an archive are looked at only to refuse it
(`scenes.archives`); where a file lands is always a name from `SOURCES` or from the committed split. Nothing a
server says is believed beyond what the checksums confirm.

The addresses are the ones the sets are published under. None of them could be tried when this was
written; the code is tested against a local server. Where one has moved, pass another (``--url``) or a
copy from elsewhere (``--archive``): the checks are the same.
"""

import hashlib
import http.client
import os
import re
import shutil
import ssl
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from tqdm import tqdm

from scenes.archives import archive_members, damage_reported
from scenes.dataset import committed_split
from scenes.files import scratch_folder, sync_folder
from scenes.reading import UnreadableImage, pixel_hash, read_pixels

MAX_DOWNLOAD_BYTES = 2**30  # where no size is published; the largest known set has 170 MB

_CHUNK = 2**18
_PASSING = (408, 425, 429, 500, 502, 503, 504)  # HTTP answers that another try may improve


@dataclass(frozen=True)
class PublishedFile:
    """A file as its publisher describes it.

    path : a name, or a POSIX path relative to the set's folder.
    checksum : ``md5:<hex>``, ``sha256:<hex>`` or ``pixels:<hex>`` (`pixel_hash` of the decoded image);
        empty where none is published, which only an archive's may be.
    size_bytes : length in bytes, None if unknown.
    """

    path: str
    checksum: str
    size_bytes: int | None = None


@dataclass(frozen=True)
class Source:
    """Where a set comes from and what a complete one holds.

    name : the set's name and its folder's.
    url : with an `archive` its whole address, else the address of the folder that holds `files`.
    files : the files of a complete set. Empty: those of the committed split of that name.
    archive : the one file to fetch, where the set is packed in one.
    """

    name: str
    url: str
    files: tuple[PublishedFile, ...] = ()
    archive: PublishedFile | None = None

    def known_files(self) -> tuple[PublishedFile, ...]:
        """What a complete set holds, each with its checksum."""
        return self.files or split_files(committed_split(self.name))


@dataclass(frozen=True)
class Fetched:
    """What `get_set` did.

    folder : the set's folder.
    is_new : False if a complete set was there already and was left as it is.
    n_files : files of the set that are in the folder, each with the right checksum.
    n_known : files of a complete set.
    """

    folder: Path
    is_new: bool
    n_files: int
    n_known: int


def _idx_files(*rows: tuple[str, str, int]) -> tuple[PublishedFile, ...]:
    return tuple(PublishedFile(f"{name}-ubyte.gz", f"md5:{md5}", size) for name, md5, size in rows)


def _cifar10_files(*rows: tuple[str, str]) -> tuple[PublishedFile, ...]:
    return tuple(PublishedFile(f"cifar-10-batches-py/{name}", f"md5:{md5}") for name, md5 in rows)


SOURCES = {
    source.name: source
    for source in (
        Source(
            "cifar10",
            "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
            files=_cifar10_files(
                ("batches.meta", "5ff9c542aee3614f3951f8cda6e48888"),
                ("data_batch_1", "c99cafc152244af753f735de768cd75f"),
                ("data_batch_2", "d4bba439e000b95fd0a9bffe97cbabec"),
                ("data_batch_3", "54ebc095f3ab1f0389bbae665268c751"),
                ("data_batch_4", "634d18415352ddfa80567beed471001a"),
                ("data_batch_5", "482c414d41f54cd18b22e5b47cb7c3cb"),
                ("test_batch", "40351d587109b95175f43aff81a1287e"),
            ),
            archive=PublishedFile(
                "cifar-10-python.tar.gz", "md5:c58f30108f718f92721af3b95e74349a", 170_498_071
            ),
        ),
        Source(
            "mnist",
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            files=_idx_files(
                ("train-images-idx3", "f68b3c2dcbeaaa9fbdd348bbdeb94873", 9_912_422),
                ("train-labels-idx1", "d53e105ee54ea40749a09fcbcd1e9432", 28_881),
                ("t10k-images-idx3", "9fb629c4189551a2d022fa330f9573f3", 1_648_877),
                ("t10k-labels-idx1", "ec29112dd5afa0611ce80d1b7f02629c", 4_542),
            ),
        ),
        Source(
            "fashion_mnist",
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            files=_idx_files(
                ("train-images-idx3", "8d4fb7e6c68d591d4c3dfef9ec88bf0d", 26_421_880),
                ("train-labels-idx1", "25c81989df183df01b3e8a0aad5dffbe", 29_515),
                ("t10k-images-idx3", "bef4ecab320f06d8554ea6380940ec79", 4_422_102),
                ("t10k-labels-idx1", "bb300cfdad3c16e7a12a480ee83cd310", 5_148),
            ),
        ),
        # The 15-Scene archive on figshare. Its checksum is not published: the pixel hashes vouch for it.
        # figshare.com/ndownloader/files/12855452, the address on the page, answers 202 and no file to
        # anything but a browser; figshare's download host has the same file under the same number.
        Source(
            "scene15",
            "https://ndownloader.figshare.com/files/12855452",
            archive=PublishedFile("15-Scene.zip", ""),
        ),
    )
}


def get_set(
    source: Source,
    to: str | os.PathLike,
    *,
    url: str | None = None,
    archive: str | os.PathLike | None = None,
    required: int | None = None,
    pause_seconds: float = 1.0,
) -> Fetched:
    """The folder ``to/<name>`` with a complete, checked set; a complete one is left as it is.

    Until the last rename nothing but unfinished downloads (``*.part``) is visible in `to`. Those stay
    when the command is interrupted or the connection fails, and the next call goes on from them.

    Parameters
    ----------
    source : Source
        A row of `SOURCES`, or one's own.
    to : path
        The data folder; made if it is missing.
    url : str, optional
        Replaces ``source.url``.
    archive : path, optional
        A local .zip, .tar or .tar.gz, or a folder, that holds the set's files at any depth under any
        name: nothing is fetched then.
    required : int, optional
        How many of the set's files must be found. All of them by default.
    pause_seconds : float, default=1.0
        See `download`.

    Raises
    ------
    ValueError
        Fewer than `required` files were found (nothing is written then); the download has a wrong
        checksum; the archive is damaged or not to be trusted; ``to/<name>`` is there but not complete.
    OSError
        The download failed, `archive` is missing, or the disk refuses.
    """
    to, files = Path(to), source.known_files()
    target, required = to / source.name, len(files) if required is None else required
    if os.path.lexists(target):
        return _check_existing(source, target, files, required)
    if archive is not None:
        members = archive_members(archive)
        to.mkdir(parents=True, exist_ok=True)
        return _make(target, members, files, required, str(archive))

    url = source.url if url is None else url
    to.mkdir(parents=True, exist_ok=True)
    parts = [
        _download_part(source.name, to, file, _address(source, url, file), pause_seconds)
        for file in ([source.archive] if source.archive else files)
    ]
    try:
        members = archive_members(parts[0]) if source.archive else _opened(parts)
        made = _make(target, members, files, required, url)
    except ValueError:
        # Fetched in full, and yet not the set: another try from the same bytes would only fail again.
        _remove(parts)
        raise
    _remove(parts)
    return made


def split_files(split: Mapping[str, Mapping[str, str]]) -> tuple[PublishedFile, ...]:
    """The files of a split list (part to file name to pixel hash, see `committed_split`)."""
    return tuple(
        PublishedFile(f"{part}/{name}", f"pixels:{digest}")
        for part, rows in split.items()
        for name, digest in rows.items()
    )


def download(
    url: str,
    part: str | os.PathLike,
    *,
    checksum: str = "",
    size_bytes: int | None = None,
    tries: int = 4,
    pause_seconds: float = 1.0,
    timeout_seconds: float = 30.0,
) -> None:
    """Fetch `url` into the file `part`, going on from what `part` holds already.

    A broken connection, a short body and a busy server are tried again from where they stopped. A server
    that cannot go on from there (no HTTP ranges) is read from the beginning. A `part` with the right
    checksum is not asked for again.

    Parameters
    ----------
    url : str
        http or https.
    part : path
        Holds the file afterwards; after an error of the network, what has come so far.
    checksum : str, optional
        ``md5:<hex>`` or ``sha256:<hex>``; empty: whatever comes is taken.
    size_bytes : int, optional
        The published length; believed more than the server's. No more than this is read, or than
        `MAX_DOWNLOAD_BYTES` where it is unknown.
    tries : int, default=4
        Requests in all.
    pause_seconds : float, default=1.0
        Pause before the second request; it doubles with each one after.
    timeout_seconds : float, default=30.0
        How long the server may be silent.

    Raises
    ------
    ValueError
        No http address; wrong checksum or too long (`part` is removed then).
    OSError
        The server refuses, or the connection failed `tries` times (`part` is kept).
    """
    part = Path(part)
    if urlsplit(url).scheme not in ("http", "https"):
        raise ValueError(f"{url}: not an http or https address: for a local file use --archive")
    if _matches(part, checksum):
        return
    # Bytes of an earlier call may be those of another file; then one more round starts from nothing.
    for _ in range(2 if part.exists() else 1):
        _fetch(url, part, size_bytes, tries, pause_seconds, timeout_seconds)
        if not checksum or _matches(part, checksum):
            return
        found = _checksum(part, _kind(checksum))
        part.unlink()
    raise ValueError(
        f"{url}: the file has the checksum {found}, published is {checksum}: give another address with --url"
    )


# ---- the set's folder ----


def _check_existing(source: Source, target: Path, files: Sequence[PublishedFile], required: int) -> Fetched:
    bar = tqdm(files, desc=f"checking {target.name}", unit=" files", disable=None, leave=False)
    n_files = sum(_matches(target / file.path, file.checksum) for file in bar)
    if n_files < required:
        raise ValueError(
            f"{target} is there already, with {n_files} of the {len(files)} files of {source.name}: "
            "move it away and run this again"
        )
    return Fetched(target, False, n_files, len(files))


def _make(
    target: Path,
    members: Iterable[tuple[str, IO[bytes]]],
    files: Sequence[PublishedFile],
    required: int,
    origin: str,
) -> Fetched:
    """Sort `members` into a new folder and rename it to `target`, or leave nothing at all."""
    with scratch_folder(target.parent) as scratch:
        folder = scratch / target.name
        with damage_reported(origin):
            missing = _sort_out(members, files, folder, scratch / "member")
        n_files = len(files) - len(missing)
        if n_files < required:
            raise ValueError(
                f"{origin}: {n_files} of the {len(files)} files of {target.name} found, {required} are "
                f"needed (not there: {', '.join(missing[:3])}{', ...' if len(missing) > 3 else ''}); nothing "
                "was written: give the published files with --archive or another address with --url"
            )
        sync_folder(folder)
        folder.rename(target)  # on the disk too, once the scratch folder is gone
    return Fetched(target, True, n_files, len(files))


def _sort_out(
    members: Iterable[tuple[str, IO[bytes]]], files: Sequence[PublishedFile], folder: Path, candidate: Path
) -> list[str]:
    """Put each member that is one of `files` in its place, all its places; return the paths not found.

    `candidate` is where a member lies while nobody knows yet what it is.
    """
    wanted: dict[str, list[str]] = defaultdict(list)
    for file in files:
        wanted[file.checksum].append(file.path)
    kinds = {_kind(checksum) for checksum in wanted}
    folder.mkdir()
    for _, stream in tqdm(members, desc=f"unpacking {folder.name}", unit=" files", disable=None, leave=False):
        with open(candidate, "wb") as out:
            shutil.copyfileobj(stream, out, _CHUNK)
        for kind in kinds:
            for path in wanted.pop(_checksum(candidate, kind), []):
                place = folder / path
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(candidate, place)
    return sorted(path for paths in wanted.values() for path in paths)


def _kind(checksum: str) -> str:
    return checksum.partition(":")[0]


def _checksum(path: Path, kind: str) -> str:
    """The file's checksum as a `PublishedFile` states it; ``pixels:none`` if it is no image."""
    if kind == "pixels":
        try:
            return f"pixels:{pixel_hash(read_pixels(path))}"
        except UnreadableImage:
            return "pixels:none"
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, lambda: hashlib.new(kind, usedforsecurity=False))
    return f"{kind}:{digest.hexdigest()}"


def _matches(path: Path, checksum: str) -> bool:
    return bool(checksum) and path.is_file() and _checksum(path, _kind(checksum)) == checksum


# ---- the network ----


def _address(source: Source, url: str, file: PublishedFile) -> str:
    return url if source.archive else f"{url.rstrip('/')}/{file.path}"


def _download_part(name: str, to: Path, file: PublishedFile, url: str, pause_seconds: float) -> Path:
    """Download one file of a set beside the set's folder and return where it lies."""
    # MNIST's and Fashion-MNIST's files have the same names, so the set's name goes first. Without a
    # checksum nothing tells two addresses' bytes apart later, so each address has its own file.
    mark = "" if file.checksum else f"-{hashlib.sha256(url.encode()).hexdigest()[:8]}"
    part = to / f"{name}-{Path(file.path).name}{mark}.part"
    download(url, part, checksum=file.checksum, size_bytes=file.size_bytes, pause_seconds=pause_seconds)
    return part


def _opened(paths: Iterable[Path]) -> Iterator[tuple[str, IO[bytes]]]:
    for path in paths:
        with open(path, "rb") as stream:
            yield path.name, stream


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def _length(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _fetch(
    url: str, part: Path, size_bytes: int | None, tries: int, pause_seconds: float, timeout_seconds: float
) -> None:
    """Request after request until `part` is complete."""
    for attempt in range(tries):
        if attempt:
            time.sleep(pause_seconds * 2 ** (attempt - 1))
        try:
            _fetch_rest(url, part, size_bytes, timeout_seconds)
            return
        except (URLError, ConnectionError, TimeoutError, http.client.HTTPException, ssl.SSLError) as error:
            reason = str(getattr(error, "reason", error)) or type(error).__name__
    kept = f" (it goes on from {part})" if part.exists() else ""
    raise OSError(
        f"{url}: the download failed {tries} times ({reason}): run this again later{kept}, "
        "or give a local copy with --archive"
    )


def _fetch_rest(url: str, part: Path, size_bytes: int | None, timeout_seconds: float) -> None:
    """One request for what `part` lacks; ConnectionError if it lacks something afterwards."""
    have = _length(part)
    if size_bytes is not None and have >= size_bytes and part.exists():
        return
    headers = {"User-Agent": "scenebench", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    try:
        response = urlopen(Request(url, headers=headers), timeout=timeout_seconds)
    except HTTPError as error:
        with error:
            if error.code != 416:
                raise _refusal(url, error) from error
            length_there = _numbers(error.headers.get("Content-Range", ""))[-1:]
        if length_there == [have] and size_bytes is None:
            return
        part.unlink(missing_ok=True)
        raise ConnectionError(f"the server cannot go on from byte {have}") from None
    with response:
        start, announced = _announced(url, response)
        if start not in (0, have):
            part.unlink(missing_ok=True)
            raise ConnectionError(f"asked for bytes from {have}, the server sent those from {start}")
        expected = announced if size_bytes is None else size_bytes
        _append(response, part, start, expected, size_bytes)
    if expected is not None and _length(part) < expected:
        raise ConnectionError(f"{_length(part)} of {expected} bytes came")


def _refusal(url: str, error: HTTPError) -> OSError:
    if error.code in _PASSING:
        return ConnectionError(f"the server answers {error.code} {error.reason}")
    return OSError(
        f"{url}: the server answers {error.code} {error.reason}: give another address with --url "
        "or a local copy with --archive"
    )


def _announced(url: str, response: http.client.HTTPResponse) -> tuple[int, int | None]:
    """Where in the file the body starts, and the file's length if the server says it."""
    if response.status == 206:
        start, *rest = _numbers(response.headers.get("Content-Range", "")) or [-1]
        return start, rest[1] if len(rest) == 2 else None
    if response.status != 200:
        raise OSError(
            f"{url}: the server answers {response.status} and sends no file (some do so to anything but a "
            "browser): download it with a browser and pass it with --archive"
        )
    return 0, response.length


def _numbers(content_range: str) -> list[int]:
    """``bytes 5-9/10`` to [5, 9, 10], ``bytes */10`` to [10]."""
    return [int(digits) for digits in re.findall("[0-9]{1,18}", content_range)]


def _append(
    response: http.client.HTTPResponse, part: Path, start: int, expected: int | None, size_bytes: int | None
) -> None:
    """Write the body into `part` from byte `start` (its end, or 0: then what it held is dropped)."""
    have, limit = start, MAX_DOWNLOAD_BYTES if size_bytes is None else size_bytes
    with (
        open(part, "ab" if start else "wb") as file,
        tqdm(desc=part.stem, total=expected, initial=start, unit="B", unit_scale=True, disable=None) as bar,
    ):
        while have < limit and (chunk := response.read1(min(_CHUNK, limit - have))):
            file.write(chunk)
            have += len(chunk)
            bar.update(len(chunk))
    if size_bytes is None and have >= limit:
        part.unlink()
        raise ValueError(f"{part.name}: more than {limit} bytes came: give another address with --url")
