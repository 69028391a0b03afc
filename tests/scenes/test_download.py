"""Downloads against a local server that misbehaves, and sets made of them and of local archives."""

import gzip
import hashlib
import io
import os
import re
import stat
import tarfile
import threading
import zipfile
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scenes import download as module
from scenes.download import SOURCES, PublishedFile, Source, download, get_set, split_files

BODY = np.random.default_rng(0).bytes(5000)
Reply = Callable[[BaseHTTPRequestHandler, bytes], None]


def md5(data: bytes) -> str:
    return f"md5:{hashlib.md5(data).hexdigest()}"


# ---- a server and its ways to answer ----


class Server:
    """Serves `bodies` by path. The first replies can be prescribed, the rest are `well_behaved`."""

    def __init__(self):
        self.bodies: dict[str, bytes] = {"/file": BODY}
        self.replies: list[Reply] = []
        self.requests: list[tuple[str, str | None]] = []  # path and Range header
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):  # noqa: N802
                outer.requests.append((self.path, self.headers["Range"]))
                reply = outer.replies.pop(0) if outer.replies else well_behaved
                if self.path in outer.bodies:
                    reply(self, outer.bodies[self.path])
                else:
                    self.send_error(404)

            def log_message(self, *args):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def close(self):
        self.http.shutdown()
        self.thread.join()
        self.http.server_close()

    @property
    def ranges(self) -> list[str | None]:
        return [wanted for _, wanted in self.requests]


def answer(
    handler, status: int, body: bytes, *, content_range: str | None = None, length: int | None = None
) -> None:
    """`body` under a Content-Length of `length`, by default the true one."""
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(body) if length is None else length))
    if content_range is not None:
        handler.send_header("Content-Range", content_range)
    handler.end_headers()
    handler.wfile.write(body)


def asked_start(handler) -> int | None:
    match = re.fullmatch(r"bytes=(\d+)-", handler.headers["Range"] or "")
    return int(match[1]) if match else None


def well_behaved(handler, body: bytes) -> None:
    """HTTP ranges as RFC 9110 wants them."""
    start = asked_start(handler)
    if start is None:
        answer(handler, 200, body)
    elif start >= len(body):
        answer(handler, 416, b"", content_range=f"bytes */{len(body)}")
    else:
        answer(handler, 206, body[start:], content_range=f"bytes {start}-{len(body) - 1}/{len(body)}")


def broken_off(n_bytes: int) -> Reply:
    """What was asked for is announced in full, and the connection closed after `n_bytes`."""

    def reply(handler, body):
        start = asked_start(handler)
        rest = body[start or 0 :]
        where = None if start is None else f"bytes {start}-{len(body) - 1}/{len(body)}"
        answer(handler, 200 if start is None else 206, rest[:n_bytes], content_range=where, length=len(rest))

    return reply


def without_ranges(handler, body: bytes) -> None:
    answer(handler, 200, body)


def announcing(n_bytes: int) -> Reply:
    """The whole body under a false Content-Length."""
    return lambda handler, body: answer(handler, 200, body, length=n_bytes)


def sending(other: bytes) -> Reply:
    return lambda handler, body: answer(handler, 200, other)


def refusing(status: int) -> Reply:
    return lambda handler, body: answer(handler, status, b"")


def from_elsewhere(handler, body: bytes) -> None:
    """A range, but not the one that was asked for."""
    answer(handler, 206, body[7:], content_range=f"bytes 7-{len(body) - 1}/{len(body)}")


def chunked_and_cut(handler, body: bytes) -> None:
    handler.protocol_version = "HTTP/1.1"
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.send_header("Connection", "close")
    handler.end_headers()
    handler.wfile.write(b"3e8\r\n" + body[:1000] + b"\r\n3e8\r\n" + body[1000:1100])


@pytest.fixture
def server():
    server = Server()
    yield server
    server.close()


def fetch(server: Server, part: Path, **kwargs) -> bytes:
    kwargs = {"checksum": md5(BODY), "pause_seconds": 0} | kwargs
    download(f"{server.url}/file", part, **kwargs)
    return part.read_bytes()


# ---- download ----


def test_a_file_comes_in_one_request(server, tmp_path):
    assert fetch(server, tmp_path / "x.part") == BODY
    assert server.ranges == [None]


def test_sha256_is_checked_too(server, tmp_path):
    assert fetch(server, tmp_path / "x.part", checksum=f"sha256:{hashlib.sha256(BODY).hexdigest()}") == BODY
    with pytest.raises(ValueError, match="sha256:"):
        fetch(server, tmp_path / "y.part", checksum=f"sha256:{'0' * 64}")


def test_a_broken_connection_is_resumed_where_it_broke(server, tmp_path):
    server.replies = [broken_off(600), broken_off(1000)]
    assert fetch(server, tmp_path / "x.part") == BODY
    assert server.ranges == [None, "bytes=600-", "bytes=1600-"]


def test_a_cut_chunked_body_is_resumed(server, tmp_path):
    server.replies = [chunked_and_cut]
    assert fetch(server, tmp_path / "x.part") == BODY
    assert len(server.requests) == 2 and re.fullmatch(r"bytes=1[01]00-", server.ranges[1])


def test_what_an_earlier_call_left_is_not_fetched_again(server, tmp_path):
    (tmp_path / "x.part").write_bytes(BODY[:1234])
    assert fetch(server, tmp_path / "x.part") == BODY
    assert server.ranges == ["bytes=1234-"]


def test_a_complete_part_with_the_right_checksum_needs_no_request(server, tmp_path):
    (tmp_path / "x.part").write_bytes(BODY)
    assert fetch(server, tmp_path / "x.part") == BODY
    assert server.requests == []


def test_a_complete_part_without_a_checksum_is_settled_by_the_server(server, tmp_path):
    (tmp_path / "x.part").write_bytes(BODY)
    assert fetch(server, tmp_path / "x.part", checksum="") == BODY
    assert server.ranges == ["bytes=5000-"]


def test_a_server_that_ignores_ranges_is_read_from_the_beginning(server, tmp_path):
    server.replies = [broken_off(600), without_ranges]
    assert fetch(server, tmp_path / "x.part") == BODY
    assert server.ranges == [None, "bytes=600-"]


def test_a_range_from_elsewhere_is_not_appended(server, tmp_path):
    server.replies = [broken_off(600), from_elsewhere]
    assert fetch(server, tmp_path / "x.part") == BODY
    assert server.ranges == [None, "bytes=600-", None]


@pytest.mark.parametrize("size_bytes", [None, len(BODY)])
def test_a_length_announced_too_long_does_no_harm(server, tmp_path, size_bytes):
    server.replies = [announcing(len(BODY) + 100)]
    assert fetch(server, tmp_path / "x.part", size_bytes=size_bytes) == BODY


def test_a_length_announced_too_long_without_end_is_an_error_that_keeps_the_part(server, tmp_path):
    server.replies = [announcing(len(BODY) + 100)] + [refusing(503)] * 3
    with pytest.raises(OSError, match="failed 4 times"):
        fetch(server, tmp_path / "x.part")
    assert (tmp_path / "x.part").read_bytes() == BODY


def test_a_length_announced_too_short_is_made_up_for_where_the_size_is_published(server, tmp_path):
    server.replies = [announcing(900)]
    assert fetch(server, tmp_path / "x.part", size_bytes=len(BODY)) == BODY
    assert server.ranges == [None, "bytes=900-"]


def test_a_length_announced_too_short_fails_the_checksum_where_no_size_is_published(server, tmp_path):
    server.replies = [announcing(900)]
    with pytest.raises(ValueError, match=md5(BODY[:900])):
        fetch(server, tmp_path / "x.part")
    assert not (tmp_path / "x.part").exists()


def test_no_more_than_the_published_size_is_read(server, tmp_path):
    server.replies = [sending(BODY + b"more" * 1000)]
    assert fetch(server, tmp_path / "x.part", size_bytes=len(BODY)) == BODY


def test_a_body_above_the_limit_is_refused(server, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MAX_DOWNLOAD_BYTES", 1000)
    with pytest.raises(ValueError, match="more than 1000 bytes"):
        fetch(server, tmp_path / "x.part", checksum="")
    assert not (tmp_path / "x.part").exists()


def test_a_connection_that_always_breaks_is_an_error_that_keeps_the_part(server, tmp_path):
    server.replies = [broken_off(100)] * 3
    with pytest.raises(OSError, match=r"failed 3 times \(300 of 5000 bytes came\).*x\.part"):
        fetch(server, tmp_path / "x.part", tries=3)
    assert (tmp_path / "x.part").read_bytes() == BODY[:300]
    assert len(server.requests) == 3


def test_a_silent_server_is_given_up(server, tmp_path):
    over = threading.Event()
    server.replies = [lambda handler, body: over.wait(10)] * 2
    try:
        with pytest.raises(OSError, match=r"failed 2 times \(timed out"):
            fetch(server, tmp_path / "x.part", tries=2, timeout_seconds=0.05)
    finally:
        over.set()


def test_wrong_bytes_are_an_error_and_removed(server, tmp_path):
    server.replies = [sending(b"something else")]
    with pytest.raises(ValueError, match=f"{md5(b'something else')}, published is {md5(BODY)}: give"):
        fetch(server, tmp_path / "x.part")
    assert not (tmp_path / "x.part").exists()
    assert len(server.requests) == 1


@pytest.mark.parametrize("stale", [b"?" * 400, b"?" * len(BODY), b"?" * (len(BODY) + 9)])
@pytest.mark.parametrize("size_bytes", [None, len(BODY)])
def test_a_part_of_another_file_is_dropped_and_fetched_anew(server, tmp_path, stale, size_bytes):
    (tmp_path / "x.part").write_bytes(stale)
    assert fetch(server, tmp_path / "x.part", size_bytes=size_bytes) == BODY


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_refusal_is_final(server, tmp_path, status):
    server.replies = [refusing(status)]
    with pytest.raises(OSError, match=f"answers {status} .*--url.*--archive"):
        fetch(server, tmp_path / "x.part")
    assert len(server.requests) == 1 and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_server_is_asked_again(server, tmp_path, status):
    server.replies = [refusing(status)]
    assert fetch(server, tmp_path / "x.part") == BODY


def test_an_answer_without_a_file_is_no_empty_file(server, tmp_path):
    server.replies = [refusing(202)]
    with pytest.raises(OSError, match="answers 202 .*browser"):
        fetch(server, tmp_path / "x.part", checksum="")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("url", ["file:///etc/hostname", "ftp://localhost/x", "data.zip"])
def test_only_http_is_fetched(tmp_path, url):
    with pytest.raises(ValueError, match="not an http"):
        download(url, tmp_path / "x.part")


def test_no_progress_bar_without_a_terminal(server, tmp_path, capfd):
    fetch(server, tmp_path / "x.part")
    assert capfd.readouterr() == ("", "")


# ---- sets ----

CONTENT = {"inner/a.bin": b"first file" * 50, "inner/b.bin": BODY, "c.bin": b""}
FILES = tuple(PublishedFile(path, md5(data), len(data)) for path, data in CONTENT.items())


def zipped(content: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def tarred(content: dict[str, bytes], mode: str = "w:gz") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for name, data in content.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def packed_source(archive: bytes, url: str = "http://127.0.0.1:9/set.tar.gz") -> Source:
    return Source("tiny", url, FILES, PublishedFile("set.tar.gz", md5(archive), len(archive)))


def loose_source(server: Server) -> Source:
    """The same files, fetched one by one from /tiny/."""
    server.bodies |= {f"/tiny/{Path(path).name}": data for path, data in CONTENT.items()}
    files = tuple(PublishedFile(Path(file.path).name, file.checksum, file.size_bytes) for file in FILES)
    return Source("tiny", f"{server.url}/tiny/", files)


def content_of(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("packed", [zipped(CONTENT), tarred(CONTENT), tarred(CONTENT, "w")])
def test_a_packed_set_is_fetched_and_unpacked_and_nothing_else_stays(server, tmp_path, packed):
    server.bodies["/set"] = packed
    fetched = get_set(packed_source(packed, f"{server.url}/set"), tmp_path / "data")
    assert (fetched.is_new, fetched.n_files, fetched.n_known) == (True, 3, 3)
    assert content_of(fetched.folder) == CONTENT
    assert names(tmp_path / "data") == ["tiny"]


def test_a_set_of_single_files_is_fetched_from_a_base_address(server, tmp_path):
    fetched = get_set(loose_source(server), tmp_path)
    assert content_of(fetched.folder) == {Path(path).name: data for path, data in CONTENT.items()}
    assert names(tmp_path) == ["tiny"]


def test_another_address_replaces_the_known_one(server, tmp_path):
    source = loose_source(server)
    server.bodies |= {f"/mirror/{file.path}": server.bodies[f"/tiny/{file.path}"] for file in source.files}
    get_set(source, tmp_path, url=f"{server.url}/mirror")
    assert {path.split("/")[1] for path, _ in server.requests} == {"mirror"}


def test_a_missing_file_leaves_no_set_and_the_next_call_goes_on(server, tmp_path):
    source = loose_source(server)
    last = server.bodies.pop("/tiny/c.bin")
    with pytest.raises(OSError, match="answers 404"):
        get_set(source, tmp_path)
    assert names(tmp_path) == ["tiny-a.bin.part", "tiny-b.bin.part"]
    server.bodies["/tiny/c.bin"] = last
    server.requests.clear()
    assert get_set(source, tmp_path).is_new
    assert [path for path, _ in server.requests] == ["/tiny/c.bin"]
    assert names(tmp_path) == ["tiny"]


def test_a_wrong_file_in_a_set_leaves_no_set(server, tmp_path):
    source = loose_source(server)
    server.bodies["/tiny/b.bin"] = bytes(len(BODY))
    with pytest.raises(ValueError, match="published is"):
        get_set(source, tmp_path)
    assert names(tmp_path) == ["tiny-a.bin.part"]


def test_sets_with_equal_file_names_do_not_share_unfinished_downloads(server, tmp_path):
    server.bodies |= {"/one/x.gz": b"one", "/two/x.gz": b"two"}
    absent = PublishedFile("absent.gz", md5(b""))
    one = Source("one", f"{server.url}/one", (PublishedFile("x.gz", md5(b"one")), absent))
    two = Source("two", f"{server.url}/two", (PublishedFile("x.gz", md5(b"two")),))
    with pytest.raises(OSError, match="absent.gz"):
        get_set(one, tmp_path)
    get_set(two, tmp_path)
    assert (tmp_path / "one-x.gz.part").read_bytes() == b"one"
    assert server.requests[-1] == ("/two/x.gz", None)


def test_without_a_checksum_no_other_address_continues_a_download(server, tmp_path):
    packed = zipped(CONTENT)
    server.bodies |= {"/old": b"?" * 5000, "/new": packed}
    source = Source("tiny", f"{server.url}/old", FILES, PublishedFile("set.zip", ""))
    server.replies = [broken_off(50)] + [refusing(503)] * 3
    with pytest.raises(OSError, match="failed 4 times"):
        get_set(source, tmp_path, pause_seconds=0)
    assert get_set(source, tmp_path, url=f"{server.url}/new").is_new
    assert server.requests[-1] == ("/new", None)


def test_a_download_that_is_no_archive_is_refused_and_removed(server, tmp_path):
    server.bodies["/set"] = b"<!DOCTYPE html><p>Please log in</p>"
    with pytest.raises(ValueError, match=r"not a \.zip.*DOCTYP"):
        get_set(Source("tiny", f"{server.url}/set", FILES, PublishedFile("set.zip", "")), tmp_path)
    assert names(tmp_path) == []


def test_a_download_that_is_another_set_is_refused_and_removed(server, tmp_path):
    server.bodies["/set"] = zipped({"a.bin": CONTENT["inner/a.bin"]})
    with pytest.raises(ValueError, match="1 of the 3 files of tiny found, 3 are needed"):
        get_set(Source("tiny", f"{server.url}/set", FILES, PublishedFile("set.zip", "")), tmp_path)
    assert names(tmp_path) == []


def test_a_complete_set_is_left_as_it_is(server, tmp_path):
    source = loose_source(server)
    folder = get_set(source, tmp_path).folder
    before = {path: path.stat().st_mtime_ns for path in [folder, *folder.iterdir()]}
    server.requests.clear()
    fetched = get_set(source, tmp_path)
    assert (fetched.is_new, fetched.folder, fetched.n_files) == (False, folder, 3)
    assert {path: path.stat().st_mtime_ns for path in [folder, *folder.iterdir()]} == before
    assert server.requests == []


@pytest.mark.parametrize(
    "there",
    [{}, {"c.bin": b""}, CONTENT | {"inner/a.bin": b"mine"}, b"mine"],
    ids=["empty", "a file is missing", "a file differs", "a file in its place"],
)
def test_an_incomplete_folder_is_refused_and_not_touched(tmp_path, there):
    archive = write(tmp_path / "set.zip", zipped(CONTENT))
    target = tmp_path / "data" / "tiny"
    target.parent.mkdir()
    if isinstance(there, bytes):
        target.write_bytes(there)
    else:
        (target / "inner").mkdir(parents=True)
        for name, data in there.items():
            (target / name).write_bytes(data)
    before = content_of(tmp_path)
    with pytest.raises(ValueError, match=r"is there already, with [012] of the 3 files of tiny: move it"):
        get_set(packed_source(b""), tmp_path / "data", archive=archive)
    assert content_of(tmp_path) == before


def test_an_interrupt_while_unpacking_leaves_only_the_download(server, tmp_path, monkeypatch):
    packed = server.bodies["/set"] = zipped(CONTENT)

    def interrupted(path):
        yield "a.bin", io.BytesIO(CONTENT["inner/a.bin"])
        raise KeyboardInterrupt

    source = packed_source(packed, f"{server.url}/set")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(module, "archive_members", interrupted)
        get_set(source, tmp_path)
    assert names(tmp_path) == ["tiny-set.tar.gz.part"]
    server.requests.clear()
    assert content_of(get_set(source, tmp_path).folder) == CONTENT
    assert server.requests == []


@pytest.mark.skipif(os.name == "nt", reason="Windows cannot flush a folder")
def test_a_set_is_on_the_disk_before_its_download_is_removed(server, tmp_path, monkeypatch):
    packed = server.bodies["/set"] = zipped(CONTENT)
    flushed = []

    def fsync(handle):
        if os.path.samestat(os.fstat(handle), os.stat(tmp_path)):
            flushed.append(names(tmp_path))

    monkeypatch.setattr(os, "fsync", fsync)
    get_set(packed_source(packed, f"{server.url}/set"), tmp_path)
    assert flushed == [["tiny", "tiny-set.tar.gz.part"]]


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")
def test_a_set_is_as_readable_as_the_umask_says(tmp_path):
    archive = write(tmp_path / "set.zip", zipped(CONTENT))
    old = os.umask(0o022)
    try:
        folder = get_set(packed_source(b""), tmp_path / "data", archive=archive).folder
    finally:
        os.umask(old)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o755
    assert stat.S_IMODE((folder / "c.bin").stat().st_mode) == 0o644


# ---- local archives ----


def test_a_local_archive_may_name_and_nest_the_files_as_it_likes(tmp_path):
    renamed = {f"some/where/{i}": data for i, data in enumerate(CONTENT.values())}
    archive = write(tmp_path / "any.name", zipped({"readme.txt": b"hello", **renamed}))
    assert content_of(get_set(packed_source(b""), tmp_path / "data", archive=archive).folder) == CONTENT


def test_a_local_folder_serves_as_an_archive(tmp_path):
    for name, data in CONTENT.items():
        path = tmp_path / "unpacked" / "deep" / Path(name).name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (tmp_path / "link").symlink_to(tmp_path / "unpacked")
    fetched = get_set(packed_source(b""), tmp_path / "data", archive=tmp_path / "link")
    assert content_of(fetched.folder) == CONTENT
    assert len(content_of(tmp_path / "unpacked")) == 3


def test_a_missing_archive_is_named_and_makes_nothing(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.zip: no such file or folder"):
        get_set(packed_source(b""), tmp_path / "data", archive=tmp_path / "nowhere.zip")
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    "data",
    [b"", b"Rar!\x1a\x07\x01\x00", b"%PDF-1.7", gzip.compress(b"no tar"), b"PK\x03\x04", b"\x1f\x8b\x08\x00"],
    ids=["empty", "rar", "pdf", "gzip of no tar", "start of a zip", "start of a gzip"],
)
def test_what_is_no_archive_is_named_and_makes_nothing(tmp_path, data):
    archive = write(tmp_path / "set.zip", data)
    with pytest.raises(ValueError, match=r"set\.zip: (not a \.zip|the archive is damaged)"):
        get_set(packed_source(b""), tmp_path / "data", archive=archive)
    assert not (tmp_path / "data" / "tiny").exists()


@pytest.mark.parametrize("packed", [zipped(CONTENT), tarred(CONTENT), tarred(CONTENT, "w")])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_cut_archive_makes_nothing(tmp_path, packed, share):
    # A tar ends in at least two empty blocks, often twenty: only what lies before them is cut.
    cut = write(tmp_path / "set", packed[: int(share * min(len(packed), 5500))])
    with pytest.raises(ValueError, match=r"set: (the archive is damaged|. of the 3 files)"):
        get_set(packed_source(b""), tmp_path / "data", archive=cut)
    assert names(tmp_path / "data") == []


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_an_archive_that_means_harm_makes_nothing(tmp_path, pack):
    deep = tmp_path / "a" / "b" / "c"
    deep.mkdir(parents=True)
    archive = write(deep / "set", pack({**CONTENT, "../evil": b"evil"}))  # a whole set, and more
    with pytest.raises(ValueError, match="unsafe name"):
        get_set(packed_source(b""), deep / "data", archive=archive)
    assert list(content_of(tmp_path)) == ["a/b/c/set"]
    assert names(deep / "data") == []


# ---- the 15 scenes: found by their pixels ----


def image_bytes(pixels: np.ndarray, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


def grey(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (7 + seed, 12), dtype=np.uint8)


def stated_hash(pixels: np.ndarray) -> str:
    return hashlib.sha256(repr(pixels.shape).encode("utf-8") + pixels.tobytes()).hexdigest()


SPLIT = {
    "train": {
        "Kitchen/image_0001.jpg": stated_hash(grey(1)),
        "Kitchen/image_0002.jpg": stated_hash(grey(2)),
        "Office/image_0001.jpg": stated_hash(grey(3)),
        "Office/image_0002.jpg": stated_hash(grey(3)),  # the same picture twice in train
    },
    "test": {
        "Kitchen/image_0001.jpg": stated_hash(grey(2)),  # and one in train and test
        "Office/image_0001.jpg": stated_hash(grey(4)),
    },
}
SCENES = Source("scenes", "http://127.0.0.1:9/", split_files(SPLIT), PublishedFile("scenes.zip", ""))
PICTURES = {
    "15-Scene/00/1.png": image_bytes(grey(1)),
    "15-Scene/00/2.png": image_bytes(grey(2)),
    "15-Scene/07/1.pgm": image_bytes(grey(3), "PPM"),
    "15-Scene/07/2.bmp": image_bytes(grey(4), "BMP"),
    "15-Scene/07/3.png": image_bytes(grey(5)),  # in no row
    "15-Scene/07/4.png": image_bytes(np.zeros((4, 5, 3), np.uint8)),
    "15-Scene/07/5.png": image_bytes(grey(6))[:60],  # damaged
    "__MACOSX/15-Scene/._1.png": b"\0\5\26\7 no image",
    "readme.txt": b"hello",
}


def expected_tree() -> dict[str, bytes]:
    one, two, three, four, *_ = PICTURES.values()
    return {
        "train/Kitchen/image_0001.jpg": one,
        "train/Kitchen/image_0002.jpg": two,
        "train/Office/image_0001.jpg": three,
        "train/Office/image_0002.jpg": three,
        "test/Kitchen/image_0001.jpg": two,
        "test/Office/image_0001.jpg": four,
    }


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_images_are_sorted_into_the_split_by_their_pixels(tmp_path, pack):
    archive = write(tmp_path / "scenes.zip", pack(PICTURES))
    fetched = get_set(SCENES, tmp_path / "data", archive=archive)
    assert content_of(tmp_path / "data") == {f"scenes/{k}": v for k, v in expected_tree().items()}
    assert (fetched.is_new, fetched.n_files, fetched.n_known) == (True, 6, 6)


def test_the_scenes_are_fetched_without_a_published_checksum(server, tmp_path):
    server.bodies["/scenes"] = zipped(PICTURES)
    server.replies = [broken_off(400)]
    fetched = get_set(SCENES, tmp_path, url=f"{server.url}/scenes", pause_seconds=0)
    assert server.ranges == [None, "bytes=400-"]
    assert content_of(fetched.folder) == expected_tree()
    assert names(tmp_path) == ["scenes"]


def test_a_missing_image_refuses_the_set_and_says_how_many_matched(tmp_path):
    pictures = {name: data for name, data in PICTURES.items() if name != "15-Scene/00/2.png"}
    archive = write(tmp_path / "scenes.zip", zipped(pictures))
    message = r"4 of the 6 files of scenes found, 6 are needed \(not there: test/Kitchen/image_0001\.jpg, tr"
    with pytest.raises(ValueError, match=message):
        get_set(SCENES, tmp_path / "data", archive=archive)
    assert names(tmp_path / "data") == []


def test_a_lower_requirement_takes_what_is_there(tmp_path):
    pictures = {name: data for name, data in PICTURES.items() if name != "15-Scene/00/2.png"}
    archive = write(tmp_path / "scenes.zip", zipped(pictures))
    with pytest.raises(ValueError, match="5 are needed"):
        get_set(SCENES, tmp_path / "data", archive=archive, required=5)
    fetched = get_set(SCENES, tmp_path / "data", archive=archive, required=4)
    assert (fetched.n_files, fetched.n_known, len(content_of(fetched.folder))) == (4, 6, 4)


def test_a_changed_pixel_is_another_image(tmp_path):
    pixels = grey(1)
    pixels[0, 0] ^= 1
    archive = write(tmp_path / "scenes.zip", zipped(PICTURES | {"15-Scene/00/1.png": image_bytes(pixels)}))
    with pytest.raises(ValueError, match="5 of the 6 files"):
        get_set(SCENES, tmp_path / "data", archive=archive)


def test_existing_scenes_are_checked_by_their_pixels(tmp_path):
    archive = write(tmp_path / "scenes.zip", zipped(PICTURES))
    folder = get_set(SCENES, tmp_path / "data", archive=archive).folder
    first = folder / "train/Kitchen/image_0001.jpg"
    first.write_bytes(image_bytes(grey(1), "BMP"))  # other bytes, the same pixels
    assert not get_set(SCENES, tmp_path / "data").is_new
    first.write_bytes(image_bytes(grey(9)))
    with pytest.raises(ValueError, match="with 5 of the 6 files"):
        get_set(SCENES, tmp_path / "data")


# ---- the table ----


def test_every_known_file_has_a_checksum():
    patterns = {"scene15": "pixels:[0-9a-f]{64}"}
    for name, source in SOURCES.items():
        assert source.name == name
        files = source.known_files()
        assert all(re.fullmatch(patterns.get(name, "md5:[0-9a-f]{32}"), file.checksum) for file in files)
        assert len({file.path for file in files}) == len(files)


def test_the_scenes_have_all_their_rows():
    paths = [file.path.split("/") for file in SOURCES["scene15"].known_files()]
    assert len(paths) == 3000
    assert {(part, len(rest)) for part, *rest in paths} == {("train", 2), ("test", 2)}
    assert len({rest[0] for _, *rest in paths}) == 15


@pytest.mark.data
@pytest.mark.parametrize("name", ["mnist", "fashion_mnist", "scene15"])
def test_the_real_sets_are_what_the_table_says(tmp_path, name):
    root = os.environ.get("SCENEBENCH_DATA") or pytest.skip("SCENEBENCH_DATA is not set")
    fetched = get_set(SOURCES[name], tmp_path, archive=Path(root, name))
    assert fetched.n_files == fetched.n_known == (3000 if name == "scene15" else 4)
