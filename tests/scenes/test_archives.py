"""Archives of every kind, whole, damaged and hostile: what they hold, or one line that says why not."""

import errno
import io
import stat
import struct
import tarfile
import zipfile
from pathlib import Path

import pytest

from scenes.archives import archive_members, damage_reported

CONTENT = {"inner/a.bin": b"first file" * 50, "inner/deep/b.bin": bytes(range(256)) * 20, "c.bin": b""}


def zipped(content: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def tarred(content: dict[str, bytes], *others: tarfile.TarInfo, mode: str = "w:gz") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for name, data in content.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        for info in others:
            archive.addfile(info)
    return buffer.getvalue()


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def in_directory(packed: bytes, offset: int, fmt: str, value: int) -> bytes:
    """The zip with one field of its last directory entry changed (APPNOTE 4.3.12)."""
    data = bytearray(packed)
    struct.pack_into(fmt, data, data.rindex(b"PK\x01\x02") + offset, value)
    return bytes(data)


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def read(path: Path) -> dict[str, bytes]:
    with damage_reported(path):
        return {name: stream.read() for name, stream in archive_members(path)}


def refuse(tmp_path: Path, packed: bytes, message: str) -> None:
    archive = write(tmp_path / "archive", packed)
    with pytest.raises(ValueError, match=message) as caught:
        read(archive)
    assert str(caught.value).startswith(f"{archive}: ") and "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == [archive]


# ---- whole ----


@pytest.mark.parametrize("packed", [zipped(CONTENT), tarred(CONTENT), tarred(CONTENT, mode="w")])
def test_members_come_out_whatever_the_archive_is_called(tmp_path, packed):
    assert read(write(tmp_path / "any.name", packed)) == CONTENT


@pytest.mark.parametrize("fmt", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_all_formats_of_tar_are_read(tmp_path, fmt):
    name = "a" * 60 + "/" + "b" * 90 + (".bin" if fmt == tarfile.USTAR_FORMAT else "\u00fc" * 60)
    with tarfile.open(tmp_path / "x.tar", "w", format=fmt) as archive:
        archive.addfile(special("a" * 60, tarfile.DIRTYPE))
        archive.addfile(tarfile.TarInfo(name))
    assert read(tmp_path / "x.tar") == {name: b""}


def test_folders_in_an_archive_are_no_members(tmp_path):
    packed = zipped({"inner/": b"", **CONTENT})
    assert read(write(tmp_path / "x.zip", packed)) == CONTENT


def test_a_folder_serves_as_an_archive(tmp_path):
    for name, data in CONTENT.items():
        path = tmp_path / "unpacked" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (tmp_path / "link").symlink_to(tmp_path / "unpacked")
    (tmp_path / "unpacked" / "d.bin").symlink_to(tmp_path / "unpacked" / "c.bin")
    assert list(read(tmp_path / "link")) == ["c.bin", "d.bin", "inner/a.bin", "inner/deep/b.bin"]
    assert read(tmp_path / "link") == CONTENT | {"d.bin": b""}


# ---- none ----


def test_a_missing_archive_is_named_at_once(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.zip: no such file or folder: check the path"):
        archive_members(tmp_path / "nowhere.zip")


@pytest.mark.parametrize("data", [b"", b"Rar!\x1a\x07\x01\x00", b"%PDF-1.7", b"<!DOCTYPE html>" * 40])
def test_what_is_no_archive_is_named_at_once(tmp_path, data):
    with pytest.raises(ValueError, match=r"x\.zip: not a \.zip, \.tar or \.tar\.gz \(begins with b'"):
        archive_members(write(tmp_path / "x.zip", data))


# ---- damaged ----


@pytest.mark.parametrize("packed", [zipped(CONTENT), tarred(CONTENT), tarred(CONTENT, mode="w")])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_cut_archive_is_damaged_or_holds_less(tmp_path, packed, share):
    # A tar ends in at least two empty blocks, often twenty: only what lies before them is cut.
    archive = write(tmp_path / "cut", packed[: int(share * min(len(packed), 5500))])
    try:
        found = read(archive)
    except ValueError as error:
        assert str(error).startswith(f"{archive}: the archive is damaged (")
    else:
        assert found.items() < CONTENT.items()  # cut between two members


@pytest.mark.parametrize("start", [b"PK\x03\x04", b"PK\x05\x06", b"\x1f\x8b\x08\x00"])
def test_a_mere_beginning_is_damaged(tmp_path, start):
    refuse(tmp_path, start, "the archive is damaged")


@pytest.mark.parametrize("place", ["find", "rfind"], ids=["member", "directory"])
def test_a_name_that_is_no_text_is_damage(tmp_path, place):
    packed = bytearray(zipped({"\u00fc.bin": b"x"}))
    packed[getattr(packed, place)("\u00fc".encode())] = 0xFF
    refuse(tmp_path, bytes(packed), "the archive is damaged")


def test_a_name_that_is_empty_is_refused(tmp_path):
    packed = zipped({"name": b"x"}).replace(b"name", b"\0ame")  # which zipfile cuts at the zero
    refuse(tmp_path, packed, "the archive is damaged|unsafe name")


def test_a_number_that_is_none_is_damage(tmp_path):
    header = special("x", tarfile.REGTYPE)
    header.pax_headers = {"GNU.sparse.map": "one,two"}
    refuse(tmp_path, tarred(CONTENT, header), "the archive is damaged")


def test_a_wrong_checksum_is_damage(tmp_path):
    refuse(tmp_path, in_directory(zipped({**CONTENT, "d": b"data"}), 16, "<L", 1), "the archive is damaged")


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left"), ValueError("mine"), KeyError("x")])
def test_other_errors_are_not_called_damage(error):
    with pytest.raises(type(error)) as caught, damage_reported("x.zip"):
        raise error
    assert caught.value is error


# ---- hostile ----

UNSAFE = ["../evil", "x/../../evil", "/tmp/scenebench-evil", "..\\evil", "C:\\evil", "C:evil", "x/.."]


@pytest.mark.parametrize("pack", [zipped, tarred])
@pytest.mark.parametrize("name", UNSAFE)
def test_unsafe_names_are_refused(tmp_path, pack, name):
    refuse(tmp_path, pack({**CONTENT, name: b"evil"}), "unsafe name: unpack nothing")


@pytest.mark.parametrize(
    "member",
    [
        special("link", tarfile.SYMTYPE, "/etc/passwd"),
        special("link", tarfile.LNKTYPE, "inner/a.bin"),
        special("device", tarfile.CHRTYPE),
        special("device", tarfile.BLKTYPE),
        special("pipe", tarfile.FIFOTYPE),
        special("unknown", b"?"),
    ],
    ids=lambda info: repr(info.type),
)
def test_links_and_devices_in_a_tar_are_refused(tmp_path, member):
    refuse(tmp_path, tarred(CONTENT, member), "is a link or a device")


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO])
def test_links_and_devices_in_a_zip_are_refused(tmp_path, kind):
    buffer = io.BytesIO(zipped(CONTENT))
    with zipfile.ZipFile(buffer, "a") as archive:
        info = zipfile.ZipInfo("link")
        info.create_system, info.external_attr = 3, (kind | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    refuse(tmp_path, buffer.getvalue(), "is a link or a device")


def test_an_encrypted_zip_is_refused(tmp_path):
    refuse(tmp_path, in_directory(zipped(CONTENT), 8, "<H", 1), "is encrypted: pass")


def test_a_rare_compression_is_refused(tmp_path):
    refuse(tmp_path, in_directory(zipped(CONTENT), 10, "<H", 12), "is compressed in a rare way: pass")


def test_a_zip_bomb_is_refused_by_its_declared_size(tmp_path):
    refuse(tmp_path, in_directory(zipped({**CONTENT, "bomb": b"0"}), 24, "<L", 2**30), "unpacks to over")


def test_a_tar_bomb_is_refused_by_its_declared_size(tmp_path):
    bomb = tarfile.TarInfo("bomb")
    bomb.size = 2**30
    refuse(tmp_path, tarred(CONTENT, bomb), "unpacks to over")


def test_a_zip_that_declares_less_than_it_holds_is_refused(tmp_path):
    packed = in_directory(zipped({**CONTENT, "more": bytes(10**6)}), 24, "<L", 10)
    refuse(tmp_path, packed, "the archive is damaged")


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME])
def test_a_huge_tar_header_is_refused_before_it_is_read(tmp_path, kind):
    bomb = special("header", kind)
    bomb.size = 2**29
    refuse(tmp_path, tarred(CONTENT, bomb), "announces 536870912 bytes")


@pytest.mark.parametrize(
    "header",
    [
        special("sparse", tarfile.GNUTYPE_SPARSE),
        {"GNU.sparse.major": "1", "GNU.sparse.minor": "0"},  # the list begins the data, and has any length
        {"GNU.sparse.map": "0,1"},
    ],
    ids=["old", "list in the data", "list in the header"],
)
def test_sparse_files_are_refused(tmp_path, header):
    if isinstance(header, dict):
        fields, header = header, tarfile.TarInfo("sparse")
        header.pax_headers = fields
    refuse(tmp_path, tarred(CONTENT, header), r"\(ReadError a sparse file|is sparse: pass")


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_members_and_bytes_are_counted(tmp_path, pack):
    archive = write(tmp_path / "x", pack({"a": b"12345", "b": b"123", "c": b"1"}))
    assert [name for name, _ in archive_members(archive, max_members=3, max_bytes=9)] == ["a", "b", "c"]
    with pytest.raises(ValueError, match="more than 2 members"):
        list(archive_members(archive, max_members=2))
    with pytest.raises(ValueError, match="unpacks to over 8 bytes"):
        list(archive_members(archive, max_bytes=8))
