"""Files that are complete or absent; array files that may come from anywhere."""

import io
import os
import pickle
import stat
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from scenes.files import (
    Limits,
    atomic_path,
    read_npy,
    read_npz,
    scratch_folder,
    sync_folder,
    write_npz,
)

ARRAYS = {
    "words": np.arange(12, dtype=np.float32).reshape(3, 4),
    "labels": np.array(["Kitchen", "Küche"]),
    "counts": np.array([1, 2], dtype=np.int64),
    "identity": np.array('{"step": 1}'),
    "nothing": np.zeros((0, 5), dtype=np.uint8),
}


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def npz_bytes(arrays):
    buffer = io.BytesIO()
    write_npz(buffer, arrays)
    return buffer.getvalue()


def npy_header(descr, shape):
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": descr, "fortran_order": False, "shape": shape})
    return buffer.getvalue()


def zip_of(path, members, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


# atomic_path


def test_atomic_path_shows_the_file_only_when_complete(tmp_path):
    target = tmp_path / "a.txt"
    with atomic_path(target) as temporary:
        temporary.write_text("new")
        assert temporary.parent == tmp_path and temporary.suffix == ".txt"
        assert not target.exists()
    assert target.read_text() == "new" and names(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_atomic_path_keeps_the_old_content_after_an_error(tmp_path, error):
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(error), atomic_path(target) as temporary:
        temporary.write_text("half")
        raise error
    assert target.read_text() == "old" and names(tmp_path) == ["a.txt"]


def test_atomic_path_onto_a_folder_is_an_error_and_leaves_nothing(tmp_path):
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError), atomic_path(tmp_path / "taken"):
        pass
    assert names(tmp_path) == ["taken"]


def test_atomic_path_in_a_missing_folder_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError), atomic_path(tmp_path / "no" / "a.txt"):
        pass


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")
def test_atomic_path_follows_the_umask(tmp_path):
    before = os.umask(0o022)
    try:
        with atomic_path(tmp_path / "a.txt"):
            pass
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == 0o644


# scratch_folder


def test_scratch_folder_is_gone_after_the_block_unless_renamed(tmp_path):
    with scratch_folder(tmp_path) as folder:
        (folder / "a").write_text("a")
    assert names(tmp_path) == []
    with scratch_folder(tmp_path) as folder:
        (folder / "a").write_text("a")
        sync_folder(folder)
        folder.rename(tmp_path / "done")
    assert names(tmp_path) == ["done"] and names(tmp_path / "done") == ["a"]


def test_scratch_folder_is_gone_after_an_interrupt(tmp_path):
    with pytest.raises(KeyboardInterrupt), scratch_folder(tmp_path) as folder:
        (folder / "a").write_text("a")
        raise KeyboardInterrupt
    assert names(tmp_path) == []


# write_npz


def test_npz_comes_back_equal_and_numpy_reads_it(tmp_path):
    path = tmp_path / "a.npz"
    write_npz(path, ARRAYS)
    with np.load(path, allow_pickle=False) as by_numpy:
        numpys = dict(by_numpy)
    for arrays in (read_npz(path), numpys):
        assert sorted(arrays) == sorted(ARRAYS)
        for name, array in ARRAYS.items():
            np.testing.assert_array_equal(arrays[name], array)
            assert arrays[name].dtype == array.dtype


def test_npz_written_by_numpy_is_read(tmp_path):
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "a.npz", **ARRAYS)
        np.testing.assert_array_equal(read_npz(tmp_path / "a.npz")["words"], ARRAYS["words"])


def test_npz_bytes_do_not_depend_on_order_layout_or_byte_order():
    words = np.arange(12, dtype=np.float32).reshape(3, 4)
    plain = npz_bytes({"a": words, "b": np.arange(3)})
    assert plain == npz_bytes({"b": np.arange(3), "a": np.asfortranarray(words)})
    assert plain == npz_bytes({"a": words.astype(">f4"), "b": np.arange(3).astype(">i8")})


def test_npz_path_is_taken_as_named(tmp_path):
    write_npz(tmp_path / "model", {"a": np.zeros(1)})
    assert names(tmp_path) == ["model"]


@pytest.mark.parametrize("value", [np.array([{}], dtype=object), np.zeros(2, "f4,i4"), None])
def test_npz_refuses_what_needs_pickle(tmp_path, value):
    with pytest.raises(ValueError, match="array 'odd' has dtype"):
        write_npz(tmp_path / "a.npz", {"odd": value})
    assert names(tmp_path) == []


@pytest.mark.skipif(os.name == "nt", reason="POSIX limits")
def test_full_disk_is_an_os_error_and_leaves_nothing(tmp_path):
    import resource

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(OSError):
            write_npz(tmp_path / "a.npz", {"a": np.zeros(1_000_000, np.uint8)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert names(tmp_path) == []


@given(
    hnp.arrays(
        st.sampled_from(["f4", "f8", "u1", "i8", "?", "U3", "S2"]),
        hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
    )
)
@settings(max_examples=50, deadline=None)
def test_any_plain_array_survives_the_round_trip(tmp_path_factory, array):
    path = tmp_path_factory.mktemp("npz") / "a.npz"
    write_npz(path, {"x": array})
    back = read_npz(path)["x"]
    assert back.dtype == array.dtype and back.shape == array.shape
    np.testing.assert_array_equal(back, array)


# read_npz and read_npy on files from anywhere


def test_npy_is_read(tmp_path):
    np.save(tmp_path / "a.npy", ARRAYS["words"])
    np.testing.assert_array_equal(read_npy(tmp_path / "a.npy"), ARRAYS["words"])


@pytest.mark.parametrize("read", [read_npz, read_npy])
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_pickle_is_refused_with_the_two_lines_that_convert_it(tmp_path, read, protocol):
    path = tmp_path / "vocab.pkl"
    path.write_bytes(pickle.dumps([[1.0, 2.0]], protocol=protocol))
    with pytest.raises(ValueError, match="pickle") as error:
        read(path)
    message = str(error.value)
    assert message.startswith(str(path)) and "\n" not in message
    line = message.split("`")
    here = os.getcwd()
    try:  # the lines in the message do what it says
        os.chdir(tmp_path)
        exec(f"import numpy\n{line[1]}\n{line[3]}", {})
    finally:
        os.chdir(here)
    np.testing.assert_array_equal(read_npy(tmp_path / "vocab.npy"), [[1.0, 2.0]])


def test_pickled_objects_inside_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", a=np.array([{}], dtype=object))
    np.save(tmp_path / "a.npy", np.array([{}], dtype=object))
    for read, name in ((read_npz, "a.npz"), (read_npy, "a.npy")):
        with pytest.raises(ValueError, match="array 'a' holds pickled objects"):
            read(tmp_path / name)


@pytest.mark.parametrize("content", [b"", b"x", b"\x89PNG\r\n", b"PK\x03\x04 but no more", b"hello, world"])
@pytest.mark.parametrize("read", [read_npz, read_npy])
def test_other_files_are_refused_by_name(tmp_path, read, content):
    path = tmp_path / "file.bin"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="file.bin"):
        read(path)


def test_missing_file_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_npz(tmp_path / "no.npz")


def test_header_that_promises_more_than_there_is_allocates_nothing(tmp_path):
    huge = npy_header("<f4", (10**15,))
    with pytest.raises(ValueError, match="states shape"):
        read_npz(zip_of(tmp_path / "a.npz", [("a.npy", huge + b"1234")]))
    (tmp_path / "a.npy").write_bytes(huge + b"1234")
    with pytest.raises(ValueError, match="states shape"):
        read_npy(tmp_path / "a.npy")


@pytest.mark.parametrize(
    ("descr", "shape"), [("<U0", (10**18,)), ("<f4", (-1, -4)), ("<f4", (0, 10**30)), ("<M8[s]", (2,))]
)
def test_odd_headers_are_refused(tmp_path, descr, shape):
    content = npy_header(descr, shape) + bytes(16 if shape in {(-1, -4), (2,)} else 0)
    with pytest.raises(ValueError, match="a.npz"):
        read_npz(zip_of(tmp_path / "a.npz", [("a.npy", content)]))


def test_decompression_bomb_is_refused_before_it_unfolds(tmp_path):
    content = npy_header("|u1", (50_000_000,)) + bytes(50_000_000)
    path = zip_of(tmp_path / "a.npz", [("a.npy", content)], zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 100_000
    with pytest.raises(ValueError, match="at most 1000000 are read here"):
        read_npz(path, Limits(max_bytes=1_000_000))


def test_limits_count_all_arrays(tmp_path):
    write_npz(tmp_path / "a.npz", {"a": np.zeros(100, np.uint8), "b": np.zeros(100, np.uint8)})
    with pytest.raises(ValueError, match="bytes of arrays"):
        read_npz(tmp_path / "a.npz", Limits(max_bytes=400))
    with pytest.raises(ValueError, match="holds 2 arrays, at most 1"):
        read_npz(tmp_path / "a.npz", Limits(max_arrays=1))
    np.save(tmp_path / "a.npy", np.zeros(1000))
    with pytest.raises(ValueError, match="bytes of arrays"):
        read_npy(tmp_path / "a.npy", Limits(max_bytes=400))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_doubled_and_foreign_members_are_refused(tmp_path):
    array = npy_header("|u1", (1,)) + b"1"
    with pytest.raises(ValueError, match="stands there twice"):
        read_npz(zip_of(tmp_path / "a.npz", [("a.npy", array), ("a.npy", array)]))
    with pytest.raises(ValueError, match="is no array"):
        read_npz(zip_of(tmp_path / "b.npz", [("setup.py", "print()")]))
    with pytest.raises(ValueError, match="compressed in an unknown way"):
        read_npz(zip_of(tmp_path / "c.npz", [("a.npy", array)], zipfile.ZIP_BZIP2))


def test_changed_data_fail_the_checksum(tmp_path):
    path = tmp_path / "a.npz"
    write_npz(path, {"a": np.full(1000, 7, np.uint8)})
    content = bytearray(path.read_bytes())
    content[content.index(bytes([7] * 1000)) + 500] = 8
    path.write_bytes(content)
    with pytest.raises(ValueError, match="damaged"):
        read_npz(path)


@given(
    st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=4), st.integers(0, 3)
)
@settings(max_examples=300, deadline=None)
@pytest.mark.filterwarnings("ignore")
def test_damaged_bytes_give_arrays_or_one_clear_error(tmp_path_factory, changes, cut):
    content = bytearray(npz_bytes(ARRAYS))
    for position, value in changes:
        content[position % len(content)] = value
    path = tmp_path_factory.mktemp("damaged") / "a.npz"
    path.write_bytes(content[: len(content) - 40 * cut])
    try:
        arrays = read_npz(path)
    except ValueError as error:
        assert str(path) in str(error) and "\n" not in str(error)
    else:
        assert all(isinstance(array, np.ndarray) for array in arrays.values())
