"""A folder of class folders: layouts, the drawn split, fingerprints, identical images, unreadable ones."""

import hashlib
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scenes import SceneDataset, UnreadableImage, pixel_hash, read_pixels
from scenes.dataset import committed_fingerprint, committed_split, fingerprint, identical_images


def picture(seed, shape=(6, 8)):
    return np.random.default_rng([77, seed]).integers(0, 256, shape).astype(np.uint8)


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def folder_of(root, classes, prefix=""):
    """A folder a class: `classes` maps a class to the seeds of its pictures."""
    for label, seeds in classes.items():
        for i, seed in enumerate(seeds):
            save(root / label / f"{prefix}{i:02d}.png", picture(seed))
    return root


def hashes(part):
    return [pixel_hash(read_pixels(path)) for path in part.paths]


def drawn(dataset):
    """What a split consists of, whatever its files are called: (pixel hash, class) by part."""
    return {
        which: sorted(zip(hashes(part), part.labels, strict=True))
        for which, part in (("train", dataset.train), ("test", dataset.test))
    }


# layouts


def test_a_folder_with_train_and_test(small_folder):
    dataset = SceneDataset.from_folder(small_folder)
    assert dataset.name == "small"
    assert dataset.classes == ("bars", "checks", "stripes")
    assert len(dataset.train) == 12 and len(dataset.test) == 9
    assert dataset.train.names[:5] == (
        "bars/image_0.png", "bars/image_1.png", "bars/image_2.png", "bars/image_3.png", "checks/image_0.png",
    )  # fmt: skip
    assert dataset.train.labels[:5] == ("bars",) * 4 + ("checks",)
    assert dataset.test.paths[-1] == small_folder / "test" / "stripes" / "image_2.png"
    assert dataset.skipped == ()


def test_the_split_may_be_named(small_folder):
    named = SceneDataset.from_folder(small_folder, split="train/test")
    assert named == SceneDataset.from_folder(small_folder)


def test_the_folder_may_be_text_and_the_set_may_be_named(small_folder):
    assert SceneDataset.from_folder(str(small_folder), name="mine").name == "mine"


def test_names_come_in_sorted_order_and_classes_sort_as_strings(tmp_path):
    folder_of(tmp_path / "train", {"b": [1, 2], "10": [3], "9": [4], "Zoo": [5], "a-b": [6], "a": [7]})
    folder_of(tmp_path / "test", {"b": [8]})
    dataset = SceneDataset.from_folder(tmp_path)
    assert dataset.classes == ("10", "9", "Zoo", "a", "a-b", "b")
    assert dataset.train.names == tuple(sorted(dataset.train.names))
    assert tuple(name.split("/")[0] for name in dataset.train.names) == dataset.train.labels


def test_a_class_may_be_missing_from_the_test_part(small_folder):
    shutil.rmtree(small_folder / "test" / "bars")
    dataset = SceneDataset.from_folder(small_folder)
    assert dataset.classes == ("bars", "checks", "stripes")
    assert set(dataset.test.labels) == {"checks", "stripes"}


def test_hidden_files_and_other_suffixes_are_not_looked_at(small_folder):
    before = SceneDataset.from_folder(small_folder)
    bars = small_folder / "train" / "bars"
    (bars / "notes.txt").write_text("no image")
    (bars / "Thumbs.db").write_bytes(b"no image")
    (bars / ".image_9.png").write_bytes(b"no image")
    (bars / "folder.png").mkdir()
    (small_folder / "train" / ".hidden").mkdir()
    (small_folder / "train" / "readme.png").write_bytes(b"not in a class folder")
    assert SceneDataset.from_folder(small_folder) == before


@pytest.mark.parametrize("suffix", [".jpg", ".JPEG", ".PNG", ".bmp", ".webp", ".tif", ".TIFF", ".pgm"])
def test_every_known_suffix_is_seen_in_either_case(small_folder, suffix):
    shutil.copy(small_folder / "train/bars/image_0.png", small_folder / "train/bars" / f"extra{suffix}")
    assert f"bars/extra{suffix}" in SceneDataset.from_folder(small_folder).train.names


# errors


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError) as error:
        SceneDataset.from_folder(tmp_path / "none")
    assert str(error.value) == f"{tmp_path / 'none'}: no such folder: check the path given to --data"


@pytest.mark.parametrize("part", ["train", "test"])
def test_a_missing_part_is_named(small_folder, part):
    shutil.rmtree(small_folder / part)
    with pytest.raises(FileNotFoundError) as error:
        SceneDataset.from_folder(small_folder)
    assert str(error.value) == (
        f"{small_folder / part}: no such folder: a data set holds train/<class>/* and test/<class>/*"
    )


def test_a_folder_without_parts_is_no_train_test_folder(tmp_path):
    folder_of(tmp_path, {"a": [1, 2], "b": [3, 4]})
    with pytest.raises(FileNotFoundError, match="train: no such folder"):
        SceneDataset.from_folder(tmp_path, split="train/test")


def test_a_folder_without_images_says_where_they_belong(tmp_path):
    with pytest.raises(ValueError) as error:
        SceneDataset.from_folder(tmp_path)
    suffixes = ".jpg, .jpeg, .png, .bmp, .webp, ..."
    assert str(error.value) == f"{tmp_path}: no images: put them into one folder a class ({suffixes})"


def test_an_empty_class_is_named(small_folder):
    (small_folder / "train" / "empty").mkdir()
    with pytest.raises(ValueError) as error:
        SceneDataset.from_folder(small_folder)
    empty = small_folder / "train" / "empty"
    assert str(error.value) == f"{empty}: class without images: add some or remove the folder"


def test_one_class_is_too_few(tmp_path):
    folder_of(tmp_path / "train", {"a": [1, 2]})
    folder_of(tmp_path / "test", {"a": [3]})
    with pytest.raises(ValueError) as error:
        SceneDataset.from_folder(tmp_path)
    assert str(error.value) == f"{tmp_path}: only one class (a): classification needs two or more"


def test_a_test_class_unknown_in_training_is_named(small_folder):
    save(small_folder / "test" / "waves" / "a.png", picture(1))
    with pytest.raises(ValueError) as error:
        SceneDataset.from_folder(small_folder)
    assert str(error.value) == (
        f"{small_folder}: test class waves is unknown in training: add train/waves or remove it"
    )


def test_a_share_for_a_folder_that_is_split_already_is_refused(small_folder):
    with pytest.raises(ValueError) as error:
        SceneDataset.from_folder(small_folder, split=0.5)
    assert str(error.value) == f"{small_folder} holds train/ and test/ already: leave --split out"


@pytest.mark.parametrize("share", [0.0, 1.0, 1, 0, -0.2, 1.5, float("nan")])
def test_a_share_outside_0_and_1_is_refused(tmp_path, share):
    folder_of(tmp_path, {"a": [1, 2], "b": [3, 4]})
    with pytest.raises(ValueError) as error:
        SceneDataset.from_folder(tmp_path, split=share)
    assert str(error.value) == f"--split is {share:g}: give the share that trains, between 0 and 1"


@pytest.mark.parametrize("seeds", [[1], [1, 1, 1]], ids=["one image", "three copies of one"])
def test_a_class_that_cannot_be_split_is_named(tmp_path, seeds):
    folder_of(tmp_path, {"a": seeds, "b": [3, 4]})
    with pytest.raises(ValueError) as error:
        SceneDataset.from_folder(tmp_path)
    assert str(error.value) == (
        "class a has too few different images to split: add some or make train/ and test/"
    )


# the drawn split


@pytest.mark.parametrize(("share", "trains"), [(None, 5), (0.5, 5), (0.3, 3), (0.01, 1), (0.99, 9)])
def test_the_draw_takes_its_share_of_each_class_and_leaves_none_empty(tmp_path, share, trains):
    folder_of(tmp_path, {"a": range(10), "b": range(10, 20)})
    dataset = SceneDataset.from_folder(tmp_path, split=share)
    for label in "ab":
        assert dataset.train.labels.count(label) == trains
        assert dataset.test.labels.count(label) == 10 - trains
    everything = [f"{label}/{i:02d}.png" for label in "ab" for i in range(10)]
    assert sorted(dataset.train.names + dataset.test.names) == everything


def test_the_same_seed_draws_the_same_split_and_another_seed_another(tmp_path):
    folder_of(tmp_path, {"a": range(10), "b": range(10, 20)})
    assert SceneDataset.from_folder(tmp_path) == SceneDataset.from_folder(tmp_path, random_state=0)
    assert len({SceneDataset.from_folder(tmp_path, random_state=seed).train.names for seed in range(6)}) == 6


def test_the_draw_depends_on_pixels_and_not_on_names(tmp_path):
    folder_of(tmp_path / "one", {"a": range(9), "b": range(10, 19)})
    folder_of(tmp_path / "two", {"a": reversed(range(9)), "b": [*range(15, 19), *range(10, 15)]}, prefix="x")
    one = SceneDataset.from_folder(tmp_path / "one", split=0.4, random_state=3)
    two = SceneDataset.from_folder(tmp_path / "two", split=0.4, random_state=3)
    assert one.train.names != two.train.names
    assert drawn(one) == drawn(two)


@pytest.mark.parametrize("seed", range(8))
def test_identical_images_stay_on_one_side(tmp_path, seed):
    # four pictures with 3, 2, 1 and 1 copies; the second class is there to be the second
    folder_of(tmp_path, {"a": [1, 1, 1, 2, 2, 3, 4], "b": [11, 12]})
    dataset = SceneDataset.from_folder(tmp_path, random_state=seed)
    assert not set(hashes(dataset.train)) & set(hashes(dataset.test))
    assert 1 <= dataset.train.labels.count("a") <= 6


@pytest.mark.parametrize("seed", range(8))
def test_two_different_images_can_always_be_split(tmp_path, seed):
    folder_of(tmp_path, {"a": [1, 2, 2, 2, 2, 2], "b": [11, 12]})
    dataset = SceneDataset.from_folder(tmp_path, random_state=seed)
    assert sorted((dataset.train.labels.count("a"), dataset.test.labels.count("a"))) == [1, 5]


@pytest.mark.parametrize("seed", range(8))
def test_identical_images_of_two_classes_stay_on_one_side(tmp_path, seed):
    folder_of(tmp_path, {"a": [1, 2, 3, 4], "b": [1, 2, 13, 14]})
    dataset = SceneDataset.from_folder(tmp_path, random_state=seed)
    assert not set(hashes(dataset.train)) & set(hashes(dataset.test))
    assert dataset.train.labels.count("a") == 2
    assert set(dataset.train.labels) == set(dataset.test.labels) == {"a", "b"}


def test_an_unreadable_image_does_not_stop_the_draw_and_is_skipped_later(tmp_path):
    folder_of(tmp_path, {"a": range(6), "b": range(10, 16)})
    (tmp_path / "a" / "bad.png").write_bytes(b"bad")
    scanned = SceneDataset.from_folder(tmp_path).scan(skip_unreadable=True)
    assert [name.split("/", 1)[1] for name in scanned.skipped] == ["a/bad.png"]
    assert len(scanned.train) + len(scanned.test) == 12


# fingerprints


def test_the_fingerprint_is_the_sha256_of_sorted_lines_of_hash_and_class():
    expected = hashlib.sha256(b"aa bars\nbb bars\nbb stripes\n").hexdigest()
    assert fingerprint(["bb", "aa", "bb", "aa"], ["bars", "bars", "stripes", "bars"]) == expected


def test_the_fingerprint_of_a_set_is_that_of_its_pixels_and_labels(small_folder):
    dataset = SceneDataset.from_folder(small_folder)
    for which, part in (("train", dataset.train), ("test", dataset.test)):
        assert dataset.fingerprint[which] == fingerprint(hashes(part), part.labels)


def test_renaming_copying_and_reencoding_files_leave_the_fingerprint_alone(small_folder):
    before = SceneDataset.from_folder(small_folder).fingerprint
    bars = small_folder / "train" / "bars"
    (bars / "image_0.png").rename(bars / "zebra.png")
    shutil.copy(bars / "image_1.png", bars / "copy.png")
    Image.open(bars / "image_2.png").save(bars / "image_2.bmp")
    (bars / "image_2.png").unlink()
    assert SceneDataset.from_folder(small_folder).fingerprint == before


def test_another_label_changes_the_fingerprint_of_its_part_only(small_folder):
    before = SceneDataset.from_folder(small_folder).fingerprint
    shutil.move(small_folder / "train/bars/image_0.png", small_folder / "train/checks/moved.png")
    after = SceneDataset.from_folder(small_folder).fingerprint
    assert after["train"] != before["train"] and after["test"] == before["test"]


def test_another_pixel_changes_the_fingerprint(small_folder):
    before = SceneDataset.from_folder(small_folder).fingerprint
    path = small_folder / "test/bars/image_0.png"
    pixels = read_pixels(path).copy()
    pixels[0, 0] ^= 1
    save(path, pixels)
    assert SceneDataset.from_folder(small_folder).fingerprint["test"] != before["test"]


# identical images


def test_a_set_without_identical_images_has_no_leaks(small_folder):
    leaks = SceneDataset.from_folder(small_folder).leaks()
    assert leaks == {"train_test": [], "within": [], "across_classes": []}


def test_leaks_between_the_parts_within_one_and_across_classes(small_folder):
    train, test = small_folder / "train", small_folder / "test"
    shutil.copy(train / "bars/image_0.png", test / "bars/leak.png")
    shutil.copy(train / "checks/image_1.png", train / "checks/twin.png")
    shutil.copy(test / "checks/image_2.png", test / "stripes/other.png")
    assert SceneDataset.from_folder(small_folder).leaks() == {
        "train_test": [["bars/image_0.png", "bars/leak.png"]],
        "within": [
            ["test/checks/image_2.png", "test/stripes/other.png"],
            ["train/checks/image_1.png", "train/checks/twin.png"],
        ],
        "across_classes": [["test/checks/image_2.png", "test/stripes/other.png"]],
    }


def test_each_copy_is_paired_with_the_first_and_a_leak_may_cross_classes_too(small_folder):
    train, test = small_folder / "train", small_folder / "test"
    shutil.copy(train / "bars/image_0.png", train / "bars/twin.png")
    shutil.copy(train / "bars/image_0.png", test / "checks/twin.png")
    shutil.copy(train / "bars/image_0.png", test / "checks/other.png")
    assert SceneDataset.from_folder(small_folder).leaks() == {
        "train_test": [["bars/image_0.png", "checks/other.png"], ["bars/image_0.png", "checks/twin.png"]],
        "within": [
            ["test/checks/other.png", "test/checks/twin.png"],
            ["train/bars/image_0.png", "train/bars/twin.png"],
        ],
        "across_classes": [
            ["train/bars/image_0.png", "test/checks/other.png"],
            ["train/bars/image_0.png", "test/checks/twin.png"],
        ],
    }


def test_many_copies_make_no_more_pairs_than_images():
    n = 20_000
    names = [f"{i:05d}" for i in range(n)]
    found = identical_images((["same"] * n, names, ["a"] * n), (["same"] * n, names, ["b"] * n))
    assert {kind: len(pairs) for kind, pairs in found.items()} == {
        "train_test": n, "within": 2 * (n - 1), "across_classes": n
    }  # fmt: skip


# scan, lite, sizes


def test_scan_finds_hashes_shapes_and_flat_images(tmp_path):
    save(tmp_path / "train/a/0.png", picture(1))
    save(tmp_path / "train/b/flat.png", np.full((3, 5), 9, np.uint8))
    save(tmp_path / "test/a/colour.png", np.full((4, 2, 3), [1, 2, 3], np.uint8))
    save(tmp_path / "test/b/0.png", np.arange(24, dtype=np.uint8).reshape(4, 2, 3))
    scans = SceneDataset.from_folder(tmp_path).scan().scans
    assert scans["train"].shapes == ((6, 8), (3, 5)) and scans["test"].shapes == ((4, 2), (4, 2))
    assert scans["train"].flat == ("train/b/flat.png",) and scans["test"].flat == ("test/a/colour.png",)
    assert scans["train"].hashes[0] == pixel_hash(picture(1))
    assert scans["train"].unreadable == scans["test"].unreadable == ()


def test_scanning_twice_reads_once(small_folder):
    scanned = SceneDataset.from_folder(small_folder).scan()
    shutil.rmtree(small_folder)
    assert scanned.scan() is scanned
    assert set(scanned.fingerprint) == {"train", "test"} and scanned.leaks()["within"] == []


def test_the_number_of_threads_does_not_change_a_scan(small_folder):
    one = SceneDataset.from_folder(small_folder).scan(n_jobs=1)
    four = SceneDataset.from_folder(small_folder).scan(n_jobs=4)
    assert one.scans == four.scans


def test_the_first_unreadable_image_in_order_stops_a_scan(small_folder):
    for name in ("train/stripes/image_3.png", "train/bars/image_2.png", "test/bars/image_0.png"):
        (small_folder / name).write_bytes(b"broken")
    with pytest.raises(UnreadableImage, match="bars/image_2.png"):
        SceneDataset.from_folder(small_folder).scan()


def test_unreadable_images_are_left_out_by_name_when_asked(small_folder):
    whole = SceneDataset.from_folder(small_folder)
    for name in ("train/stripes/image_3.png", "test/bars/image_0.png"):
        (small_folder / name).write_bytes(b"broken")
    scanned = whole.scan(skip_unreadable=True)
    assert scanned.skipped == ("train/stripes/image_3.png", "test/bars/image_0.png")
    assert scanned.train.names == whole.train.names[:-1] and scanned.test.names == whole.test.names[1:]
    assert len(scanned.scans["train"].hashes) == len(scanned.train.labels) == 11
    assert scanned.fingerprint["train"] == fingerprint(hashes(scanned.train), scanned.train.labels)
    assert scanned.leaks()["within"] == []


def test_a_class_without_a_readable_image_left_is_named(small_folder):
    for path in (small_folder / "train/checks").iterdir():
        path.write_bytes(b"broken")
    with pytest.raises(ValueError) as error:
        SceneDataset.from_folder(small_folder).scan(skip_unreadable=True)
    assert str(error.value) == "class checks has no readable image left: replace its files"


def test_a_test_part_without_a_readable_image_left_is_named(small_folder):
    for path in (small_folder / "test").rglob("*.png"):
        path.write_bytes(b"broken")
    with pytest.raises(ValueError) as error:
        SceneDataset.from_folder(small_folder).scan(skip_unreadable=True)
    assert str(error.value) == "the test part has no readable image left: replace its files"


def test_lite_keeps_the_first_images_of_each_class_in_both_parts(small_folder):
    lite = SceneDataset.from_folder(small_folder).scan().lite(2)
    expected = tuple(f"{label}/image_{i}.png" for label in ("bars", "checks", "stripes") for i in range(2))
    assert lite.train.names == lite.test.names == expected
    assert lite.train.labels == ("bars", "bars", "checks", "checks", "stripes", "stripes")
    assert lite.classes == ("bars", "checks", "stripes")
    assert len(lite.scan().scans["train"].hashes) == 6
    assert lite.fingerprint["train"] == fingerprint(hashes(lite.train), lite.train.labels)


def test_lite_larger_than_a_class_keeps_all_of_it(small_folder):
    dataset = SceneDataset.from_folder(small_folder)
    assert dataset.lite(100) == dataset


def test_a_part_of_a_part_keeps_its_order(small_folder):
    part = SceneDataset.from_folder(small_folder).train.select([4, 0])
    assert part.names == ("checks/image_0.png", "bars/image_0.png")
    assert part.labels == ("checks", "bars")
    assert [path.parent.name for path in part.paths] == ["checks", "bars"]


def test_image_sizes_name_the_smallest_and_the_largest_by_area(tmp_path):
    for i, (part, shape) in enumerate((("train", (10, 30)), ("train", (4, 50)), ("test", (20, 15)))):
        save(tmp_path / part / "a" / f"{i}.png", picture(i, shape))
    save(tmp_path / "train/b/0.png", picture(9, (10, 21)))
    # areas 300, 200, 300 and 210; of equal areas the lower one comes first
    assert SceneDataset.from_folder(tmp_path).image_sizes() == "50x4 to 15x20"


def test_one_image_size_stands_alone(tmp_path):
    folder_of(tmp_path, {"a": [1, 2], "b": [3, 4]})
    assert SceneDataset.from_folder(tmp_path).image_sizes() == "8x6"


# the real set


def test_the_committed_split_has_100_and_100_images_of_15_classes():
    for rows in committed_split("scene15").values():
        labels = [Path(name).parent.name for name in rows]
        assert {labels.count(label) for label in set(labels)} == {100} and len(set(labels)) == 15
        assert all(len(digest) == 64 for digest in rows.values())


@pytest.mark.data
def test_the_real_scenes_are_the_committed_ones_and_leak_four_pairs(scene15):
    dataset = SceneDataset.from_folder(scene15).scan()
    assert len(dataset.train) == len(dataset.test) == 1500
    assert len(dataset.classes) == 15
    assert dataset.fingerprint == committed_fingerprint("scene15")
    assert dataset.skipped == () and dataset.scans["train"].flat == ()

    def living_room(number):
        return f"LivingRoom/image_{number}.jpg"

    leaks = dataset.leaks()
    assert leaks["across_classes"] == []
    pairs = [["0028", "0003"], ["0030", "0004"], ["0034", "0005"], ["0289", "0027"]]
    assert leaks["train_test"] == [[living_room(train), living_room(test)] for train, test in pairs]
    assert leaks["within"] == [
        [f"train/{living_room(one)}", f"train/{living_room(other)}"]
        for one, other in (("0208", "0211"), ("0269", "0286"))
    ]
    height, width = np.array([shape for scan in dataset.scans.values() for shape in scan.shapes]).T
    assert min(height.min(), width.min()) == 200 and max(height.max(), width.max()) == 411


@pytest.mark.data
def test_the_real_image_with_a_stale_orientation_stays_as_it_is(scene15):
    # its EXIF block says "turn", its noted size says that this was done
    path = next(scene15.glob("*/Kitchen/image_0172.jpg"))
    with Image.open(path) as image:
        assert image.getexif()[0x0112] in (5, 6, 7, 8)
        assert read_pixels(path).shape == image.size[::-1]
