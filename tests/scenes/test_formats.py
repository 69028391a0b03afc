"""CIFAR-10 batches, idx files, the course's layout; splits, merged classes and fingerprints of arrays."""

import functools
import gzip
import hashlib
import json
import os
import pickle
import struct
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from scenes import SceneDataset, _cifar10, _idx, formats, pixel_hash, read_pixels
from scenes._array_parts import _committed_rows
from scenes._cifar_pickle import load_batch
from scenes.dataset import fingerprint
from scenes.files import Limits
from scenes.formats import (
    CIFAR10_CLASSES,
    FASHION_CLASSES,
    ArrayPart,
    cifar10_list,
    cifar10_parts,
    merge_classes,
    pixel_hashes,
    read_cifar10,
    read_course,
    read_idx,
    read_mnist_like,
    select_part,
    which_kind,
)

PER_BATCH = 4  # images of a batch in the hand-made files; the official ones have 10,000


def noise(*shape, seed=0):
    return np.random.default_rng([10, seed]).integers(0, 256, shape).astype(np.uint8)


def part_of(images, labels=None):
    labels = np.zeros(len(images), np.int64) if labels is None else np.array(labels, np.int64)
    return ArrayPart(images, labels, tuple(f"train/{i:05d}" for i in range(len(images))))


@functools.cache
def _real_cifar10(folder):
    return read_cifar10(folder)


@pytest.fixture
def real_set():
    """The folder of a real set by name; for tests marked `data`. A missing one skips or fails the test."""
    root = Path(os.environ["SCENEBENCH_DATA"])

    def folder(name):
        if not (root / name).is_dir():
            if "data" in os.environ.get("SCENEBENCH_REQUIRE", "").replace(" ", "").split(","):
                pytest.fail(f"SCENEBENCH_DATA ({root}) holds no {name}", pytrace=False)
            pytest.skip(f"SCENEBENCH_DATA ({root}) holds no {name}")
        return root / name

    return folder


# arrays as parts


@pytest.mark.parametrize(
    ("images", "labels", "names"),
    [
        (np.zeros((2, 4, 4), np.uint8), np.zeros(2, np.int64), 2),
        (np.zeros((2, 4, 4, 2), np.uint8), np.zeros(2, np.int64), 2),
        (np.zeros((2, 4, 4, 3), np.float32), np.zeros(2, np.int64), 2),
        (np.zeros((2, 4, 4, 3), np.uint8), np.zeros(2, np.int32), 2),
        (np.zeros((2, 4, 4, 3), np.uint8), np.zeros(1, np.int64), 2),
        (np.zeros((2, 4, 4, 3), np.uint8), np.zeros(2, np.int64), 1),
    ],
)
def test_a_part_whose_arrays_do_not_fit_is_refused(images, labels, names):
    with pytest.raises((TypeError, ValueError)):
        ArrayPart(images, labels, ("train/00000",) * names)


def test_a_part_selects_images_with_their_labels_and_names():
    part = part_of(noise(4, 2, 2, 1), [0, 1, 2, 3]).select([3, 1])
    assert len(part) == 2 and part.labels.tolist() == [3, 1]
    assert part.filenames == ("train/00003", "train/00001")
    unlabelled = ArrayPart(noise(4, 2, 2, 1), np.zeros(0, np.int64), ("a", "b", "c", "d"))
    assert unlabelled.select(np.array([2])).labels.shape == (0,)


# pixel hashes and fingerprints


def test_hashes_are_those_of_the_same_images_in_files(tmp_path):
    grey, colour = noise(3, 5, 7, 1), noise(3, 5, 7, 3)
    for i in range(3):
        Image.fromarray(grey[i, :, :, 0]).save(tmp_path / f"grey{i}.png")
        Image.fromarray(colour[i]).save(tmp_path / f"colour{i}.png")
    assert pixel_hashes(grey) == [pixel_hash(read_pixels(tmp_path / f"grey{i}.png")) for i in range(3)]
    assert pixel_hashes(colour) == [pixel_hash(read_pixels(tmp_path / f"colour{i}.png")) for i in range(3)]


def test_hashes_do_not_depend_on_the_layout_in_memory():
    images = noise(3, 5, 7, 3)
    assert pixel_hashes(np.asfortranarray(images)) == pixel_hashes(images)


def test_a_fingerprint_is_that_of_a_folder_with_the_same_images(tmp_path):
    images = noise(6, 5, 7, 3)
    labels, classes = [0, 1, 0, 1, 0, 1], ("cat", "dog")
    for which in ("train", "test"):
        for i, label in enumerate(labels):
            path = tmp_path / which / classes[label] / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(images[i]).save(path)
    expected = SceneDataset.from_folder(tmp_path).fingerprint["train"]
    names = [classes[label] for label in labels]
    assert fingerprint(pixel_hashes(images), names) == expected
    assert fingerprint(pixel_hashes(images[::-1]), names[::-1]) == expected
    assert fingerprint(pixel_hashes(images), names[::-1]) != expected


# the pickle of a CIFAR-10 batch, opcode by opcode


def py2_string(value):
    return b"T" + struct.pack("<i", len(value)) + value


def py2_array(pixels):
    """What Python 2 and numpy 1 wrote for a uint8 array of two dimensions."""
    shape = b"".join(b"J" + struct.pack("<i", n) for n in pixels.shape)
    return (
        b"cnumpy.core.multiarray\n_reconstruct\nq\x07cnumpy\nndarray\nq\x08K\x00\x85U\x01b\x87Rq\x09"
        b"(K\x01" + shape + b"\x86cnumpy\ndtype\nq\x0aU\x02u1K\x00K\x01\x87Rq\x0b"
        b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89" + py2_string(pixels.tobytes()) + b"tb"
    )


def py2_batch(pixels, labels):
    """A batch as the official ones are written."""
    numbers = b"".join(b"K" + bytes([label]) for label in labels)
    return (
        b"\x80\x02}q\x01(U\x0bbatch_labelq\x02U\x15training batch 1 of 5q\x03U\x06labelsq\x04]q\x05("
        + numbers
        + b"eU\x04dataq\x06"
        + py2_array(pixels)
        + b"u."
    )


def py2_meta(names):
    listed = b"".join(b"U" + bytes([len(name)]) + name.encode() for name in names)
    return b"\x80\x02}q\x01U\x0blabel_namesq\x02]q\x03(" + listed + b"es."


def test_a_batch_comes_out_as_dict_list_and_array():
    pixels = noise(3, 3072)
    batch = load_batch(py2_batch(pixels, [6, 9, 0]))
    assert set(batch) == {b"batch_label", b"labels", b"data"}
    assert batch[b"batch_label"] == b"training batch 1 of 5" and batch[b"labels"] == [6, 9, 0]
    assert batch[b"data"].dtype == np.uint8 and np.array_equal(batch[b"data"], pixels)


def test_our_reader_and_pythons_agree_on_a_batch():
    data = py2_batch(noise(3, 3072), [6, 9, 0])
    ours, theirs = load_batch(data), pickle.loads(data, encoding="bytes")
    assert ours.keys() == theirs.keys()
    assert all(np.array_equal(ours[key], theirs[key]) for key in ours)


def test_names_are_read():
    assert load_batch(py2_meta(["cat", "dog"])) == {b"label_names": [b"cat", b"dog"]}


class Runs:
    """Pickled, it makes a folder when it is loaded by Python."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.system, (f"mkdir {self.folder}",)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_that_runs_a_command_is_refused_and_runs_nothing(tmp_path, protocol):
    data = pickle.dumps({"data": Runs(tmp_path / "ran")}, protocol)
    with pytest.raises(ValueError, match="not a CIFAR-10 batch"):
        load_batch(data)
    assert not (tmp_path / "ran").exists()
    pickle.loads(data)  # the pickle is what we say it is
    assert (tmp_path / "ran").exists()


NEW_ARRAY = b"cnumpy.core.multiarray\n_reconstruct\n"
UINT8 = b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"cos\nsystem\n(S'true'\ntR.", "names 'os system'"),
        (b"\x80\x02cposix\nsystem\nU\x04true\x85R.", "names 'posix system'"),
        (b"\x80\x02cbuiltins\neval\nU\x011\x85R.", "names 'builtins eval'"),
        (b"\x80\x02cnumpy\nload\nU\x011\x85R.", "names 'numpy load'"),
        (b"\x80\x04\x8c\x02os\x8c\x06system\x93.", "SHORT_BINUNICODE"),
        (b"(S'true'\nios\nsystem\n.", "STRING"),
        (b"\x80\x02}\x81.", "NEWOBJ"),
        (b"\x80\x02\x82\x01.", "EXT1"),
        (b"\x80\x02cnumpy\nndarray\nK\x01\x85R.", "calls something else"),
        (b"\x80\x02" + NEW_ARRAY + b"K\x01\x85R.", "calls something else"),
        (b"\x80\x02cnumpy\ndtype\nU\x01OK\x00K\x01\x87R.", "calls something else"),
        (b"\x80\x02K\x01K\x02R.", "calls something else"),
        (b"\x80\x02}}b.", "another state"),
        (b"\x80\x02]K\x01\x85b.", "another state"),
        (b"\x80\x02]]K\x01s.", "no text"),
        (b"\x80\x02}K\x01K\x02s.", "no text"),
        (b"\x80\x02}(U\x01au.", "zip"),
        (b"\x80\x02}K\x01a.", "no list"),
        (b"\x80\x02h\x07.", "7"),
        (b"\x80\x02K\x01", "exhausted"),
        (b"\x80\x02K\x01K\x02.", "too many values"),
        (b"\x80\x02.", "not enough values"),
        (b"\x80\x02R.", "pop from empty list"),
        (b"\x80\x02e.", "pop from empty list"),
        (b"\x80\x02T\xff\xff\xff\x7fabc.", "expected 2147483647 bytes"),
        (b"\x80\x02T\xff\xff\xff\xffabc.", "count < 0"),
        (b"", "exhausted"),
        (b"not a pickle", ""),
    ],
)
def test_anything_but_a_batch_is_refused_in_one_line(data, reason):
    with pytest.raises(ValueError, match="not a CIFAR-10 batch") as error:
        load_batch(data)
    assert reason in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"J" + struct.pack("<i", 3072), b"J" + struct.pack("<i", 3073)),
        (b"J" + struct.pack("<i", 3072), b"J" + struct.pack("<i", -3072)),
        (b"J" + struct.pack("<i", 3), b"J" + struct.pack("<i", 2**31 - 1)),
        (b"U\x02u1", b"U\x02O8"),
        (b"U\x02u1", b"U\x02u2"),
        (b"U\x01|", b"U\x01>"),
        (b"\x89T", b"\x88T"),
        (b"K\x00tb", b"K\x01tb"),
    ],
)
def test_an_array_that_is_not_of_bytes_or_lies_about_its_shape_is_refused(before, after):
    data = py2_batch(noise(3, 3072), [1, 2, 3])
    assert before in data
    with pytest.raises(ValueError, match="not a CIFAR-10 batch"):
        load_batch(data.replace(before, after))


@given(st.data())
def test_a_changed_or_cut_pickle_is_read_or_refused_never_more(data):
    whole = bytearray(py2_batch(noise(1, 12), [3]))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(whole[: data.draw(st.integers(0, len(whole)))])
    try:
        load_batch(cut)
    except ValueError as error:
        assert "\n" not in str(error)


# CIFAR-10 folders


@pytest.fixture
def small_batches(monkeypatch):
    """Batches of four images: returns what writes them into a folder, and makes them the official ones."""
    monkeypatch.setattr(_cifar10, "_BATCH_IMAGES", PER_BATCH)
    official = {}
    monkeypatch.setattr(_cifar10, "_official_md5s", lambda: official)

    def write(folder, binary=False, test=True, meta=True):
        folder.mkdir(parents=True, exist_ok=True)
        images, labels = noise(6 * PER_BATCH, 3072), np.arange(6 * PER_BATCH) % 10
        names = [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"] * test
        files = {}
        for i, name in enumerate(names):
            own, own_labels = images[i * PER_BATCH :][:PER_BATCH], labels[i * PER_BATCH :][:PER_BATCH]
            files[name] = py2_batch(own, own_labels.tolist())
            if binary:
                files[name] = np.column_stack([own_labels.astype(np.uint8), own]).tobytes()
        files["batches.meta"] = py2_meta(CIFAR10_CLASSES)
        if binary:
            files = {f"{name}.bin": data for name, data in files.items() if name != "batches.meta"}
            files["batches.meta.txt"] = "\n".join(CIFAR10_CLASSES).encode() + b"\n\n"
        for name, data in files.items():
            if meta or "meta" not in name:
                (folder / name).write_bytes(data)
                official[name] = hashlib.md5(data).hexdigest()
        return images, labels

    return write


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("inner", [False, True])
def test_batches_become_parts_in_official_order(small_batches, tmp_path, binary, inner):
    folder = tmp_path / ("cifar-10-batches-bin" if binary else "cifar-10-batches-py") if inner else tmp_path
    rows, labels = small_batches(folder, binary)
    train, test, classes = read_cifar10(tmp_path)
    assert classes == CIFAR10_CLASSES == tuple(sorted(CIFAR10_CLASSES))
    assert train.images.shape == (20, 32, 32, 3) and test.images.shape == (4, 32, 32, 3)
    assert train.labels.tolist() == labels[:20].tolist() and test.labels.tolist() == labels[20:].tolist()
    assert train.filenames[0] == "train/00000" and train.filenames[-1] == "train/00019"
    assert test.filenames[-1] == "test/00003"
    # a row holds the red plane, then green, then blue, each from the top left, line by line
    assert train.images[7, 2, 5].tolist() == [rows[7, c * 1024 + 2 * 32 + 5] for c in range(3)]
    assert test.images[1, 31, 0].tolist() == [rows[21, c * 1024 + 31 * 32] for c in range(3)]
    assert train.images.flags.c_contiguous


@pytest.mark.parametrize("binary", [False, True])
def test_without_a_test_batch_and_names_the_training_part_is_read(small_batches, tmp_path, binary):
    small_batches(tmp_path, binary, test=False, meta=False)
    train, test, classes = read_cifar10(tmp_path)
    assert len(train) == 20 and test is None and classes == CIFAR10_CLASSES


@pytest.mark.parametrize(("binary", "name"), [(False, "data_batch_3"), (True, "data_batch_3.bin")])
def test_a_missing_training_batch_is_named(small_batches, tmp_path, binary, name):
    small_batches(tmp_path, binary)
    (tmp_path / name).unlink()
    with pytest.raises(FileNotFoundError, match=f"{name}: no such file: get the set with python scripts"):
        read_cifar10(tmp_path)


def test_a_folder_without_batches_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="no data_batch_1: get the set"):
        read_cifar10(tmp_path)


@pytest.mark.parametrize("name", ["data_batch_2", "test_batch", "batches.meta"])
def test_a_batch_with_another_md5_is_not_looked_into(small_batches, tmp_path, monkeypatch, name):
    small_batches(tmp_path)
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[:-1] + b"!.")
    opened = []
    monkeypatch.setattr(_cifar10, "load_batch", lambda data: opened.append(data) or load_batch(data))
    with pytest.raises(ValueError, match=f"{name}: the MD5 is [0-9a-f]{{32}}, the official file's"):
        read_cifar10(tmp_path)
    assert data[:-1] + b"!." not in opened


@pytest.mark.parametrize("known", [False, True])
def test_a_hostile_batch_is_refused_by_its_md5_and_if_that_were_right_by_the_reader(
    small_batches, tmp_path, monkeypatch, known
):
    small_batches(tmp_path)
    data = pickle.dumps({b"data": Runs(tmp_path / "ran")}, 2)
    (tmp_path / "data_batch_1").write_bytes(data)
    if known:
        monkeypatch.setitem(_cifar10._official_md5s(), "data_batch_1", hashlib.md5(data).hexdigest())
    with pytest.raises(ValueError, match="data_batch_1: not a CIFAR-10 batch" if known else "the MD5 is"):
        read_cifar10(tmp_path)
    assert not (tmp_path / "ran").exists()


def test_the_real_checksums_hold_outside_these_tests(tmp_path):
    (tmp_path / "data_batch_1").write_bytes(py2_batch(noise(4, 3072), [0, 1, 2, 3]))
    with pytest.raises(ValueError, match="the official file's c99cafc152244af753f735de768cd75f"):
        read_cifar10(tmp_path)
    assert sorted(_cifar10._official_md5s()) == sorted(
        ["batches.meta", "test_batch", *(f"data_batch_{i}" for i in range(1, 6))]
    )


def test_an_overlong_batch_is_not_read(tmp_path):
    with open(tmp_path / "data_batch_1", "wb") as file:
        file.truncate(2**40)  # takes no space on the disk
    with pytest.raises(ValueError, match="too long for a CIFAR-10 batch"):
        read_cifar10(tmp_path)


@pytest.mark.parametrize(
    "batch",
    [
        py2_batch(noise(3, 3072), [0, 1, 2]),
        py2_batch(noise(4, 3071), [0, 1, 2, 3]),
        py2_batch(noise(4, 3072), [0, 1, 2]),
        py2_batch(noise(4, 3072), [0, 1, 2, 3]).replace(b"data", b"Data"),
        py2_batch(noise(4, 3072), [0, 1, 2, 3]).replace(b"labels", b"Labels"),
        py2_meta(["cat"]),
        b"\x80\x02K\x01.",
    ],
    ids=["count", "width", "labels", "no data", "no labels", "names", "number"],
)
def test_a_batch_with_wrong_contents_is_refused_even_with_its_md5(
    small_batches, tmp_path, monkeypatch, batch
):
    small_batches(tmp_path)
    (tmp_path / "data_batch_4").write_bytes(batch)
    monkeypatch.setitem(_cifar10._official_md5s(), "data_batch_4", hashlib.md5(batch).hexdigest())
    with pytest.raises(ValueError, match="data_batch_4: not "):
        read_cifar10(tmp_path)


@pytest.mark.parametrize("change", [-1, 1, -3073, 3073])
def test_a_binary_batch_of_another_size_is_refused(small_batches, tmp_path, change):
    small_batches(tmp_path, binary=True)
    path = tmp_path / "data_batch_5.bin"
    os.truncate(path, path.stat().st_size + change)
    with pytest.raises(ValueError, match=r"data_batch_5.bin: \d+ bytes, not 4 records of 3073"):
        read_cifar10(tmp_path)


def test_label_10_is_refused_in_both_layouts(small_batches, tmp_path, monkeypatch):
    small_batches(tmp_path / "bin", binary=True)
    with open(tmp_path / "bin" / "data_batch_1.bin", "rb+") as file:
        file.write(b"\x0a")
    small_batches(tmp_path / "py")
    data = py2_batch(noise(4, 3072), [0, 1, 10, 3])
    (tmp_path / "py" / "data_batch_1").write_bytes(data)
    monkeypatch.setitem(_cifar10._official_md5s(), "data_batch_1", hashlib.md5(data).hexdigest())
    for name in ("bin", "py"):
        with pytest.raises(ValueError, match="label 10 is none of the 10 classes"):
            read_cifar10(tmp_path / name)


def test_other_class_names_are_refused(small_batches, tmp_path):
    small_batches(tmp_path, binary=True)
    (tmp_path / "batches.meta.txt").write_text("apple\npear\n")
    with pytest.raises(ValueError, match="not the ten class names of CIFAR-10"):
        read_cifar10(tmp_path)


@pytest.mark.data
def test_the_real_batches(real_set):
    train, test, classes = _real_cifar10(real_set("cifar10"))
    assert train.images.shape == (50_000, 32, 32, 3) and classes == CIFAR10_CLASSES
    assert np.bincount(train.labels).tolist() == [5000] * 10
    # the first image is a frog, the second a truck (cs.toronto.edu/~kriz/cifar.html lists no more)
    assert [classes[label] for label in train.labels[:2]] == ["frog", "truck"]
    assert test is None or test.images.shape == (10_000, 32, 32, 3)


# idx files


def idx(array):
    array = np.asarray(array, np.uint8)
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


@pytest.mark.parametrize("shape", [(5,), (3, 4), (2, 3, 4), (2, 3, 4, 3), (0,), (0, 28, 28)])
@pytest.mark.parametrize("packed", [False, True])
def test_an_idx_file_comes_out_as_it_went_in(tmp_path, shape, packed):
    array = noise(*shape)
    path = tmp_path / "some-idx"
    path.write_bytes(gzip.compress(idx(array)) if packed else idx(array))
    read = read_idx(path)
    assert read.dtype == np.uint8 and read.shape == shape and np.array_equal(read, array)
    assert read.flags.writeable


def test_whether_it_is_packed_is_told_by_the_bytes_not_by_the_name(tmp_path):
    (tmp_path / "a.gz").write_bytes(idx([1, 2]))
    assert read_idx(tmp_path / "a.gz").tolist() == [1, 2]


SMALL = idx([[1, 2, 3], [4, 5, 6]])


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not an idx file"),
        (b"\0\0\x08", "not an idx file"),
        (b"\x89PNG\r\n\x1a\n", "not an idx file"),
        (b"\0\0\x0d\x01\0\0\0\x01\0\0\0\0", "not an idx file of bytes"),
        (b"\0\0\x08\0", "not an idx file"),
        (b"\0\0\x08\x05" + b"\0\0\0\x01" * 5 + b"a", "not an idx file"),
        (SMALL[:6], "it is damaged"),
        (SMALL[:-1], "announces 6 bytes, fewer follow"),
        (SMALL + b"\0", "announces 6 bytes, more follow"),
        (b"\0\0\x08\x01\x3f\xff\xff\xff" + b"abc", "announces 1073741823 bytes, fewer follow"),
        (b"\0\0\x08\x03" + b"\xff" * 12 + b"abc", "at most 1073741824 bytes are read"),
        (b"\0\0\x08\x03" + b"\xff" * 8 + bytes(4), "at most 1073741824 bytes are read"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_a_damaged_or_lying_idx_file_is_refused_in_one_line(tmp_path, data, reason, packed):
    path = tmp_path / "images"
    path.write_bytes(gzip.compress(data) if packed else data)
    with pytest.raises(ValueError, match=reason) as error:
        read_idx(path)
    assert str(error.value).startswith(f"{path}: ") and "\n" not in str(error.value)


def test_a_lying_header_costs_no_memory(tmp_path, monkeypatch):
    path = tmp_path / "images"
    path.write_bytes(b"\0\0\x08\x01\x3f\xff\xff\xff" + b"abc")
    asked = []
    read = _idx._read_idx

    class Watched:
        def __init__(self, file):
            self.file = file

        def read(self, n):
            asked.append(n)
            return self.file.read(n)

    monkeypatch.setattr(_idx, "_read_idx", lambda file, *rest: read(Watched(file), *rest))
    with pytest.raises(ValueError, match="fewer follow"):
        read_idx(path)
    assert max(asked) <= path.stat().st_size + 1


def test_a_gzip_bomb_is_not_unpacked_beyond_what_its_header_announces(tmp_path, monkeypatch):
    path = tmp_path / "images.gz"
    path.write_bytes(gzip.compress(SMALL + bytes(2**24)))
    unpacked = []
    read = gzip.GzipFile.read
    monkeypatch.setattr(gzip.GzipFile, "read", lambda self, n: unpacked.append(n) or read(self, n))
    with pytest.raises(ValueError, match="announces 6 bytes, more follow"):
        read_idx(path)
    assert sum(unpacked) < 50


def test_a_bomb_that_announces_its_size_meets_the_limit(tmp_path):
    path = tmp_path / "images.gz"
    path.write_bytes(gzip.compress(b"\0\0\x08\x01" + struct.pack(">I", 2**20) + bytes(2**20)))
    with pytest.raises(ValueError, match=r"announces \(1048576,\), at most 1000 bytes are read"):
        read_idx(path, Limits(max_bytes=1000))
    assert len(read_idx(path)) == 2**20


@pytest.mark.parametrize("change", ["cut", "flip", "garbage"])
def test_a_damaged_gzip_file_is_refused_in_one_line(tmp_path, change):
    data = bytearray(gzip.compress(idx(noise(50, 4))))
    if change == "cut":
        data = data[:-10]
    elif change == "flip":
        data[-6] ^= 255  # in the checksum
    else:
        data[12:20] = b"\xff" * 8
    path = tmp_path / "images.gz"
    path.write_bytes(data)
    with pytest.raises(ValueError, match="damaged") as error:
        read_idx(path)
    assert "\n" not in str(error.value)


def test_a_missing_idx_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing-here: no such file"):
        read_idx(tmp_path / "nothing-here")


# MNIST and sets made like it


def write_mnist(folder, end="", mark="-", **replaced):
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {
        "train-images": noise(20, 6, 5, seed=1),
        "train-labels": np.arange(20) % 10,
        "t10k-images": noise(10, 6, 5, seed=2),
        "t10k-labels": np.arange(10),
    }
    arrays.update({name.replace("_", "-"): array for name, array in replaced.items()})
    for name, array in arrays.items():
        data = idx(array)
        path = folder / f"{name}{mark}idx{np.ndim(array)}-ubyte{end}"
        path.write_bytes(gzip.compress(data) if end else data)
    return arrays


@pytest.mark.parametrize("end", ["", ".gz"])
@pytest.mark.parametrize("mark", ["-", "."])
def test_four_idx_files_become_two_parts(tmp_path, end, mark):
    arrays = write_mnist(tmp_path / "mnist", end, mark)
    train, test, classes = read_mnist_like(tmp_path / "mnist")
    assert train.images.shape == (20, 6, 5, 1) and test.images.shape == (10, 6, 5, 1)
    assert np.array_equal(train.images[..., 0], arrays["train-images"])
    assert test.labels.tolist() == list(range(10)) and test.labels.dtype == np.int64
    assert (train.filenames[3], test.filenames[9]) == ("train/00003", "test/00009")
    assert classes == tuple("0123456789")


@pytest.mark.parametrize(
    ("folder", "name", "fashion"),
    [
        ("fashion_mnist", None, True),
        ("FashionMNIST", None, True),
        ("raw", "fashion_mnist", True),
        ("raw", None, False),
        ("fashion_mnist", "mnist", False),
    ],
)
def test_the_names_of_fashion_mnist_come_with_its_name(tmp_path, folder, name, fashion):
    write_mnist(tmp_path / folder)
    classes = read_mnist_like(tmp_path / folder, name)[2]
    assert (classes == FASHION_CLASSES) is fashion and len(classes) == 10


@pytest.mark.parametrize(
    ("replaced", "reason"),
    [
        ({"train_labels": np.arange(19) % 10}, "with 19 labels: use files of one set"),
        ({"train_labels": np.arange(20) % 11}, "label 10 is none of the 10 classes"),
        ({"t10k_images": noise(10, 5, 6)}, "training images are .6, 5. pixels, test images .5, 6."),
        ({"t10k_images": noise(0, 6, 5), "t10k_labels": np.zeros(0)}, "use files of one set"),
    ],
)
def test_files_that_do_not_fit_together_are_refused(tmp_path, replaced, reason):
    write_mnist(tmp_path, **replaced)
    with pytest.raises(ValueError, match=reason):
        read_mnist_like(tmp_path)


def test_labels_in_the_place_of_images_are_refused(tmp_path):
    write_mnist(tmp_path)
    labels = (tmp_path / "train-labels-idx1-ubyte").read_bytes()
    (tmp_path / "train-images-idx3-ubyte").write_bytes(labels)
    with pytest.raises(ValueError, match="1 dimensions instead of 3"):
        read_mnist_like(tmp_path)


def test_a_missing_file_of_mnist_is_named(tmp_path):
    write_mnist(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(FileNotFoundError, match="no t10k-labels-idx1-ubyte or .gz: get the set"):
        read_mnist_like(tmp_path)


@pytest.mark.data
@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_the_real_digits_and_clothes(real_set, name):
    train, test, classes = read_mnist_like(real_set(name))
    assert train.images.shape == (60_000, 28, 28, 1) and test.images.shape == (10_000, 28, 28, 1)
    assert train.labels[0] == {"mnist": 5, "fashion_mnist": 9}[name]
    assert classes[train.labels[0]] == {"mnist": "5", "fashion_mnist": "Ankle boot"}[name]


# the course's layout


def write_course(root, unlabelled="unlabel", **changed):
    """train/ with 3 images, val/ with 2, unlabelled images; `changed` replaces a part's annotations."""
    lists = {
        "train": {"filenames": ["0001.png", "0002.png", "b/0003.png"], "labels": [3, 0, 9]},
        "val": {"filenames": ["0001.png", "0002.png"], "labels": [1, 3]},
        unlabelled: {"filenames": ["0009.png"]},
    }
    for which, content in lists.items():
        (root / which / "b").mkdir(parents=True)
        for name in content["filenames"]:
            (root / which / name).write_bytes(b"never opened")
        content = changed.get(which, content)
        text = content if isinstance(content, str) else json.dumps(content)
        (root / which / "annotations.json").write_text(text)
    return root


@pytest.mark.parametrize("spelling", ["unlabel", "unlabeled"])
def test_a_course_folder_in_the_order_of_its_lists(tmp_path, spelling):
    course = read_course(write_course(tmp_path, spelling))
    assert course.train.names == ("0001.png", "0002.png", "b/0003.png")
    assert course.train.paths[2] == tmp_path / "train" / "b" / "0003.png"
    assert course.train.labels.tolist() == [3, 0, 9] and course.train.labels.dtype == np.int64
    assert course.val.names == ("0001.png", "0002.png") and course.val.labels.tolist() == [1, 3]
    assert course.unlabelled.names == ("0009.png",) and course.unlabelled.labels.shape == (0,)
    assert course.classes == tuple("0123456789") and len(course.train) == 3


def test_without_unlabelled_images_there_is_no_such_part(tmp_path):
    write_course(tmp_path)
    (tmp_path / "unlabel" / "0009.png").rename(tmp_path / "0009.png")
    (tmp_path / "unlabel").rename(tmp_path / "other")
    assert read_course(tmp_path).unlabelled is None


def test_names_of_classes_are_read_one_a_line(tmp_path):
    write_course(tmp_path)
    file = tmp_path / "classes.txt"
    file.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(f"Küche {i}" for i in range(12)).encode() + b"\r\n\r\n")
    assert read_course(tmp_path, file).classes[3] == "Küche 3"
    assert len(read_course(tmp_path, file).classes) == 12


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"cat\ndog\ncat\n", "class 'cat' stands twice"),
        (b"cat\n\ndog\n", "an empty line"),
        (b"cat\n", "fewer than two"),
        (b"", "fewer than two"),
        (b"\xff\xfe\x00", "not UTF-8"),
        ("\n".join("abc").encode(), "label '3' is no integer from 0 to 2"),
    ],
)
def test_wrong_names_of_classes_are_refused(tmp_path, text, reason):
    write_course(tmp_path)
    (tmp_path / "classes.txt").write_bytes(text)
    with pytest.raises(ValueError, match=reason):
        read_course(tmp_path, tmp_path / "classes.txt")


NAMES = ["0001.png", "0002.png", "b/0003.png"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[1]", "lists no images"),
        ({}, "lists no images"),
        ({"filenames": "0001.png", "labels": [1]}, "lists no images"),
        ({"filenames": [], "labels": []}, "lists no images"),
        ({"filenames": NAMES}, "3 names and no list of labels"),
        ({"filenames": NAMES, "labels": [1, 2]}, "3 names and 2 labels"),
        ({"filenames": NAMES, "labels": [1, 2, 10]}, "label '10' is no integer from 0 to 9"),
        ({"filenames": NAMES, "labels": [1, 2, -1]}, "label '-1' is no integer"),
        ({"filenames": NAMES, "labels": [1, 2, 3.0]}, "label '3.0' is no integer"),
        ({"filenames": NAMES, "labels": [1, 2, True]}, "label 'True' is no integer"),
        ({"filenames": NAMES, "labels": [1, 2, "3"]}, "label '3' is no integer"),
        ({"filenames": NAMES, "labels": [1, 2, None]}, "label 'None' is no integer"),
        ({"filenames": ["0001.png"] * 2, "labels": [1, 2]}, "'0001.png' is listed twice"),
        ({"filenames": ["../val/0001.png"], "labels": [1]}, "is no name of a file beside it"),
        ({"filenames": ["b/../../val/0001.png"], "labels": [1]}, "is no name of a file beside it"),
        ({"filenames": ["./0001.png"], "labels": [1]}, "is no name of a file beside it"),
        ({"filenames": ["b//0003.png"], "labels": [1]}, "is no name of a file beside it"),
        ({"filenames": ["/etc/passwd"], "labels": [1]}, "is no name of a file beside it"),
        ({"filenames": ["..\\val\\0001.png"], "labels": [1]}, "is no name of a file beside it"),
        ({"filenames": ["C:0001.png"], "labels": [1]}, "is no name of a file beside it"),
        ({"filenames": ["a\0b"], "labels": [1]}, "is no name of a file beside it"),
        ({"filenames": [""], "labels": [1]}, "is no name of a file beside it"),
        ({"filenames": [7], "labels": [1]}, "is no name of a file beside it"),
        ({"filenames": [["0001.png"]], "labels": [1]}, "is no name of a file beside it"),
    ],
)
def test_a_wrong_list_is_refused_in_one_line(tmp_path, content, reason):
    write_course(tmp_path, train=content)
    with pytest.raises(ValueError, match=reason) as error:
        read_course(tmp_path)
    assert "annotations.json: " in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["0404.png", "b", "\ud800.png", "x" * 5000])
def test_a_listed_image_that_is_no_file_is_named(tmp_path, name):
    write_course(tmp_path, val={"filenames": [name], "labels": [1]})
    with pytest.raises(FileNotFoundError, match="is listed and not there: add it or remove the entry"):
        read_course(tmp_path)


def test_the_unlabelled_parts_names_are_checked_too(tmp_path):
    write_course(tmp_path, unlabel={"filenames": ["../val/0001.png"]})
    with pytest.raises(ValueError, match="is no name of a file beside it"):
        read_course(tmp_path)


def test_a_part_without_its_list_is_refused(tmp_path):
    write_course(tmp_path)
    (tmp_path / "val" / "annotations.json").unlink()
    with pytest.raises(FileNotFoundError, match="annotations.json: no such file: a course folder holds"):
        read_course(tmp_path)


def test_both_spellings_at_once_are_refused(tmp_path):
    write_course(tmp_path)
    (tmp_path / "unlabeled").mkdir()
    with pytest.raises(ValueError, match="unlabel and unlabeled: keep one"):
        read_course(tmp_path)


# which kind of folder


def test_each_kind_of_folder_is_told_from_the_others(tmp_path, small_batches, small_folder):
    small_batches(tmp_path / "a" / "cifar-10-batches-py")
    small_batches(tmp_path / "b", binary=True)
    write_mnist(tmp_path / "c", ".gz")
    write_course(tmp_path / "d")
    assert [which_kind(tmp_path / name) for name in "abcd"] == ["cifar10", "cifar10", "mnist", "course"]
    assert which_kind(small_folder) == "folders" and which_kind(small_folder / "train") == "folders"


def test_a_folder_without_images_is_told_what_one_looks_like(tmp_path):
    (tmp_path / "train" / "notes").mkdir(parents=True)
    (tmp_path / "train" / "notes" / "a.txt").write_text("a")
    with pytest.raises(ValueError, match="no images found: give a folder with train/<class>") as error:
        which_kind(tmp_path)
    assert "\n" not in str(error.value)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere: no such folder"):
        which_kind(tmp_path / "nowhere")


@pytest.mark.data
def test_the_real_sets_are_told_apart(real_set):
    for name, kind in [("cifar10", "cifar10"), ("mnist", "mnist"), ("fashion_mnist", "mnist")]:
        assert which_kind(real_set(name)) == kind
    assert which_kind(real_set("scene15")) == "folders"


# the committed split of CIFAR-10


def drawn(hashes, labels, **options):
    """The drawn list as hash to part; hashes here are 8 digits long, as in the list."""
    rows = [line.split(",") for line in cifar10_list(hashes, labels, **options).splitlines()[1:]]
    assert [row[0] for row in rows] == [str(i) for i in range(len(hashes))]
    return {digest: part for _, _, part, digest in rows}


SMALL_SPLIT = {"heldout": 3, "train": 5}


def test_a_draw_takes_the_asked_number_of_every_class():
    labels = np.arange(40) % 4
    parts = drawn([f"{i:08x}" for i in range(40)], labels, per_class=SMALL_SPLIT)
    for label in range(4):
        counts = Counter(parts[f"{i:08x}"] for i in range(40) if labels[i] == label)
        assert counts == {"heldout": 3, "train": 5, "unlabelled": 2}


@given(st.permutations(range(30)))
def test_a_draw_depends_on_the_pixels_not_on_the_order_of_files(order):
    hashes, labels = [f"{i:08x}" for i in range(30)], [i % 3 for i in range(30)]
    moved = drawn([hashes[i] for i in order], [labels[i] for i in order], per_class=SMALL_SPLIT)
    assert moved == drawn(hashes, labels, per_class=SMALL_SPLIT)


def test_a_draw_depends_on_the_seed():
    hashes, labels = [f"{i:08x}" for i in range(30)], [0] * 30
    assert drawn(hashes, labels, seed=0) == drawn(hashes, labels)
    assert drawn(hashes, labels, seed=1, per_class=SMALL_SPLIT) != drawn(
        hashes, labels, per_class=SMALL_SPLIT
    )


def test_the_committed_list_holds_out_500_and_trains_2000_of_each_class():
    rows = list(_committed_rows())
    assert [row["index"] for row in rows] == [str(i) for i in range(50_000)]
    counts = Counter((row["label"], row["part"]) for row in rows)
    sizes = {"heldout": 500, "train": 2000, "unlabelled": 2500}
    assert counts == {(str(label), part): n for label in range(10) for part, n in sizes.items()}
    assert all(len(row["sha256"]) == 8 for row in rows)


@pytest.fixture
def small_split(monkeypatch):
    """24 images, their labels and a list of them in the place of the committed one."""
    images, labels = noise(24, 4, 4, 3), np.arange(24) % 2
    lines = cifar10_list(pixel_hashes(images), labels, per_class=SMALL_SPLIT).splitlines()
    rows = [dict(zip(lines[0].split(","), line.split(","), strict=True)) for line in lines[1:]]
    monkeypatch.setattr("scenes._array_parts._committed_rows", lambda: iter(rows))
    return images, labels


def test_parts_cover_the_images_and_both_splits_hold_out_the_same(small_split):
    images, labels = small_split
    train, heldout, unlabelled = cifar10_parts(images, labels)
    assert (len(train), len(heldout), len(unlabelled)) == (18, 6, 0)
    assert sorted([*train, *heldout]) == list(range(24))
    course_train, course_heldout, rest = cifar10_parts(images, labels, course=True)
    assert np.array_equal(course_heldout, heldout)
    assert sorted([*course_train, *rest]) == train.tolist() and (len(course_train), len(rest)) == (10, 8)
    assert np.bincount(labels[course_train]).tolist() == [5, 5]


@pytest.mark.parametrize("change", ["pixel", "label", "order", "fewer"])
def test_other_images_than_the_lists_are_refused_in_one_line(small_split, change):
    images, labels = small_split[0].copy(), small_split[1].copy()
    if change == "pixel":
        images[5, 0, 0, 0] ^= 1
    elif change == "label":
        labels[5] = 0
    elif change == "order":
        images, labels = images[::-1], labels[::-1]
    else:
        images, labels = images[:-1], labels[:-1]
    expected = {
        "pixel": "image 5 or its label is not CIFAR-10's train/00005",
        "label": "image 5 or its label",
    }
    with pytest.raises(ValueError, match=expected.get(change, "training")) as error:
        cifar10_parts(images, labels)
    assert "\n" not in str(error.value)


@pytest.mark.data
def test_the_committed_list_is_drawn_again_from_the_real_images(real_set):
    train = _real_cifar10(real_set("cifar10"))[0]
    text = Path(formats.__file__).with_name("splits").joinpath("cifar10.csv").read_text()
    assert cifar10_list(pixel_hashes(train.images), train.labels) == text


@pytest.mark.data
@pytest.mark.parametrize(("course", "sizes"), [(False, (45_000, 5_000, 0)), (True, (20_000, 5_000, 25_000))])
def test_the_real_images_are_split_evenly_and_without_a_shared_image(real_set, course, sizes):
    train = _real_cifar10(real_set("cifar10"))[0]
    parts = cifar10_parts(train.images, train.labels, course=course)
    assert tuple(len(part) for part in parts) == sizes
    hashes = np.array(pixel_hashes(train.images))
    for part in parts:
        assert len(set(np.bincount(train.labels[part], minlength=10).tolist())) == 1
    assert not set(hashes[parts[0]]) & set(hashes[parts[1]])


# the part for choosing


def test_a_tenth_of_each_class_is_set_aside():
    labels = np.repeat([0, 1, 2], [100, 50, 14])
    fit, select = select_part(labels, seed=3)
    assert np.bincount(labels[select]).tolist() == [10, 5, 1]
    assert sorted([*fit, *select]) == list(range(164))
    assert fit.tolist() == sorted(fit) and select.tolist() == sorted(select)


def test_the_draw_is_seeded():
    labels = np.arange(100) % 5
    assert all(map(np.array_equal, select_part(labels, 1), select_part(labels, 1)))
    assert not np.array_equal(select_part(labels, 1)[1], select_part(labels, 2)[1])
    assert np.array_equal(select_part(labels, 1)[1], select_part(labels, np.random.default_rng(1))[1])


@given(st.lists(st.integers(2, 9), min_size=1, max_size=5), st.floats(0.01, 0.99), st.integers(0, 9))
def test_every_class_stays_on_both_sides(sizes, share, seed):
    labels = np.repeat(np.arange(len(sizes)), sizes)
    fit, select = select_part(labels, seed, share)
    assert set(labels[fit]) == set(labels[select]) == set(labels.tolist())
    assert len(fit) + len(select) == len(labels) and not set(fit) & set(select)


@pytest.mark.parametrize(
    ("labels", "share", "reason"),
    [
        ([0, 0, 1], 0.1, "class 1 has a single training image"),
        ([0, 0], 0.0, "give one between 0 and 1"),
        ([0, 0], 1.0, "give one between 0 and 1"),
        ([], 0.1, "no labels to draw from"),
    ],
)
def test_a_draw_that_cannot_be_made_says_why(labels, share, reason):
    with pytest.raises(ValueError, match=reason):
        select_part(labels, 0, share)


# merged classes

GROUPS = ({0, 6}, {1, 7}, {2, 3, 5, 8}, {4, 9})


def test_ten_digits_become_four_classes():
    labels, names = merge_classes(np.arange(10), tuple("0123456789"), GROUPS)
    assert labels.tolist() == [0, 1, 2, 2, 3, 2, 0, 1, 2, 3] and labels.dtype == np.int64
    assert names == ("0/6", "1/7", "2/3/5/8", "4/9")


@pytest.mark.parametrize(
    "groups",
    [
        ({0, 6}, {1, 7}, {2, 3, 5, 8}, {4}),
        ({0, 6}, {1, 7, 6}, {2, 3, 5, 8}, {4, 9}),
        ({0, 6}, {1, 7}, {2, 3, 5, 8}, {4, 10}),
        ({0, 6}, {1, 7}, {2, 3, 5, 8}, {4, 9}, set()),
        (),
    ],
)
def test_groups_that_are_no_partition_are_refused(groups):
    with pytest.raises(ValueError, match="do not hold each of 10 classes once"):
        merge_classes([0, 1], tuple("0123456789"), groups)


@pytest.mark.parametrize("label", [-1, 10])
def test_a_label_that_is_no_class_is_not_merged(label):
    with pytest.raises(ValueError, match="there are 10 classes"):
        merge_classes([0, label], tuple("0123456789"), GROUPS)


def test_no_labels_merge_into_none():
    assert merge_classes([], ("a", "b"), ({0}, {1}))[0].shape == (0,)


@pytest.mark.data
def test_the_merged_counts_of_the_real_digits(real_set):
    train, test, classes = read_mnist_like(real_set("mnist"))
    merged = [np.bincount(merge_classes(part.labels, classes, GROUPS)[0]).tolist() for part in (train, test)]
    assert merged == [[11_841, 13_007, 23_361, 11_791], [1_938, 2_163, 3_908, 1_991]]
