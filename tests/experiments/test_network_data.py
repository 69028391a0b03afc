"""Images for networks: each kind of folder in arrays, three parts, and what is refused."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from experiments import network_data
from experiments.network_data import load_network_data, recipe_set, set_of
from scenes import SceneDataset, UnreadableImage, pixel_hash, read_pixels
from scenes.dataset import fingerprint


def course_folder(root, size=32, classes=3):
    rng = np.random.default_rng(3)
    for part, count in (("train", 6), ("val", 3), ("unlabel", 2)):
        (root / part).mkdir(parents=True)
        names = [f"{i:04d}.png" for i in range(count)]
        for name in names:
            Image.fromarray(rng.integers(0, 256, (size, size, 3), np.uint8)).save(root / part / name)
        listed = {"filenames": names}
        if part != "unlabel":
            listed["labels"] = [i % classes for i in range(count)]
        (root / part / "annotations.json").write_text(json.dumps(listed))
    return root


def load(model="mynet", size=(3, 32, 32), **kwargs):
    return load_network_data(model, size, **kwargs)


def test_the_set_of_a_network_is_its_reports():
    expected = {"mynet": "cifar10", "fastnet": "cifar10", "lenet_32": "cifar10", "lenet_fc5": "fashion_mnist",
                "alexnet_28": "fashion_mnist", "alexnet_224": "fashion_mnist", "alexnet_227_lrn": "cifar10",
                "alexnet_32": "cifar10", "mnist_conv3": "mnist", "cifar_50k": "cifar10"}  # fmt: skip
    assert {model: set_of(model) for model in expected} == expected


def test_folders_of_classes_are_brought_to_the_networks_size(small_folder):
    data = load(data=str(small_folder))
    assert data.train.images.shape == (12, 32, 32, 3) and data.heldout.images.shape == (9, 32, 32, 3)
    assert data.classes == ("bars", "checks", "stripes") and data.channels == 3
    assert data.heldout.filenames[0] == "bars/image_0.png" and data.name == "small"
    assert data.note.startswith(f"data: {small_folder}: 12 training and 9 held-out images of 3 classes")


def test_a_grey_network_reads_grey_and_small_pictures_stay_small(tmp_path):
    for part in ("train", "test"):
        for label in "ab":
            (tmp_path / "d" / part / label).mkdir(parents=True)
            for i in range(2):
                shade = np.full((20, 24, 3), 50 * i + 10 * (label == "b"), np.uint8)
                Image.fromarray(shade).save(tmp_path / "d" / part / label / f"{i}.png")
    data = load("lenet_modern", (1, 32, 32), data=str(tmp_path / "d"))
    assert data.train.images.shape == (4, 20, 24, 1) and data.image_size == "20x24"


def test_fit_and_select_are_a_seeded_split_of_the_training_part(small_folder):
    data = load(data=str(small_folder))
    fit, select = data.fit_and_select(0, False)
    assert (len(fit), len(select)) == (9, 3) and sorted(select.labels.tolist()) == [0, 1, 2]
    assert [len(part) for part in data.fit_and_select(0, True)] == [12, 0]
    again, other = data.fit_and_select(0, False)[1], data.fit_and_select(1, False)[1]
    assert (again.pixels == select.pixels).all() and not (other.pixels == select.pixels).all()


def test_idx_files_are_read_and_cut_by_lite(tmp_path, idx_folder):
    folder = str(idx_folder(tmp_path / "digits", 40))
    whole = load("mnist_conv3", (1, 28, 28), data=folder)
    assert whole.train.images.shape == (40, 28, 28, 1) and len(whole.classes) == 10
    network_data_lite = load("mnist_conv3", (1, 28, 28), data=folder, lite=True)
    assert len(network_data_lite.train) == 40 and "(--lite)" in network_data_lite.note
    assert network_data_lite.train_fingerprint == whole.train_fingerprint


def test_lite_takes_the_first_of_each_class(tmp_path, monkeypatch, idx_folder):
    monkeypatch.setattr(network_data, "LITE_FIT", 3)
    folder = str(idx_folder(tmp_path / "digits", 80))
    data = load(data=folder, lite=True)
    assert data.train_fingerprint != load(data=folder).train_fingerprint  # of the images that are there
    assert np.bincount(data.train.labels).tolist() == [3] * 10
    assert data.train.filenames[:2] == ("train/00000", "train/00001")


def test_the_course_layout_counts_what_stays_unlabelled(tmp_path):
    root = course_folder(tmp_path / "course")
    (tmp_path / "names.txt").write_text("zebra\nape\ncat\n")
    data = load(data=str(root), classes_file=str(tmp_path / "names.txt"))
    # sorted names, and labels that follow them
    assert data.classes == ("ape", "cat", "zebra") and data.train.labels.tolist() == [2, 0, 1, 2, 0, 1]
    assert data.unlabelled == 2 and data.heldout.filenames == ("0000.png", "0001.png", "0002.png")


@pytest.mark.parametrize(("model", "size"), [("mynet", (3, 32, 32)), ("lenet_modern", (1, 28, 28))])
def test_a_fingerprint_is_of_the_images_as_they_are_not_as_a_network_sees_them(small_folder, model, size):
    found = load(model, size, data=str(small_folder), resize="crop")
    expected = SceneDataset.from_folder(small_folder).fingerprint
    assert {"train": found.train_fingerprint, "test": found.heldout_fingerprint} == expected


def test_course_images_larger_than_the_network_have_the_fingerprint_of_their_pixels(tmp_path):
    root = course_folder(tmp_path / "course", size=40)
    found = load(data=str(root))
    hashes = [pixel_hash(read_pixels(root / "val" / f"{i:04d}.png")) for i in range(3)]
    assert found.heldout_fingerprint == fingerprint(hashes, ["0", "1", "2"])
    assert found.heldout.images.shape == (3, 32, 32, 3)


def test_identical_images_are_found_in_folders_arrays_and_the_course(small_folder, tmp_path, idx_folder):
    shutil.copy(small_folder / "train/bars/image_0.png", small_folder / "test/bars/copy.png")
    found = load(data=str(small_folder)).leaks
    assert found["train_test"] == [["bars/image_0.png", "bars/copy.png"]] and found["within"] == []
    assert load(data=str(small_folder)).folders == ("train/", "test/")
    root = course_folder(tmp_path / "course")
    shutil.copy(root / "train/0001.png", root / "val/0000.png")
    shutil.copy(root / "train/0001.png", root / "train/0002.png")
    found = load(data=str(root)).leaks
    assert found["train_test"] == [["0001.png", "0000.png"]]
    assert found["within"] == [["train/0001.png", "train/0002.png"]]
    assert ["train/0001.png", "val/0000.png"] in found["across_classes"]
    folder = idx_folder(tmp_path / "digits", 20, twin=True)
    found = load("mnist_conv3", (1, 28, 28), data=str(folder)).leaks
    assert found == {
        "train_test": [["train/00000", "test/00005"]], "within": [],
        "across_classes": [["train/00000", "test/00005"]],
    }  # fmt: skip


def test_unreadable_pictures_are_named_or_left_out(small_folder, tmp_path):
    (small_folder / "train/bars/image_1.png").write_bytes(b"broken")
    with pytest.raises(UnreadableImage, match="image_1.png"):
        load(data=str(small_folder))
    found = load(data=str(small_folder), skip_unreadable=True)
    assert found.skipped == ("train/bars/image_1.png",) and len(found.train) == 11
    root = course_folder(tmp_path / "course")
    (root / "val/0002.png").write_bytes(b"broken")
    with pytest.raises(UnreadableImage, match="0002.png"):
        load(data=str(root))
    found = load(data=str(root), skip_unreadable=True)
    assert found.skipped == ("val/0002.png",) and found.heldout.filenames == ("0000.png", "0001.png")
    for path in (root / "val").glob("*.png"):
        path.write_bytes(b"broken")
    with pytest.raises(ValueError, match="val/ has no readable image left"):
        load(data=str(root), skip_unreadable=True)


def test_names_for_other_data_than_the_courses_and_a_single_merged_class_are_refused(small_folder, tmp_path):
    (tmp_path / "names.txt").write_text("a\nb\nc\n")
    with pytest.raises(ValueError, match="--classes names the classes of annotations.json"):
        load(data=str(small_folder), classes_file=str(tmp_path / "names.txt"))
    with pytest.raises(ValueError, match="merge leaves a single class"):
        load(data=str(small_folder), merge=((0, 1, 2),))


def test_merged_classes_have_both_names(tmp_path, idx_folder):
    groups = ((0, 6), (1, 7), (2, 3, 5, 8), (4, 9))
    data = load("mnist_conv3", (1, 28, 28), data=str(idx_folder(tmp_path / "d", 20)), merge=groups)
    assert data.classes == ("0/6", "1/7", "2/3/5/8", "4/9")
    assert data.train.labels.tolist() == [0, 1, 2, 2, 3, 2, 0, 1, 2, 3] * 2


def test_without_any_set_the_synthetic_scenes_say_how_to_get_the_real_one(monkeypatch, tmp_path):
    monkeypatch.setattr("experiments.data.PROJECT", tmp_path)
    data = load(lite=True)
    assert data.name == "synthetic" and data.train.images.shape[1:] == (32, 32, 3)
    assert "get_data.py cifar10" in data.note
    assert "get_data.py" not in load(dataset="synthetic", lite=True).note
    assert recipe_set("mynet", None, None) == "folders"


def test_a_path_with_a_colon_is_named_whole(small_folder, tmp_path):
    moved = small_folder.rename(tmp_path / "a: b")
    assert f"data: {moved}: 12 training" in load(data=str(moved)).note


@pytest.mark.parametrize(
    ("kwargs", "says"),
    [
        ({"data": "nowhere"}, "no such folder"),
        ({"data": "small", "dataset": "cifar10"}, "exclude each other"),
        ({"data": "small", "course_split": True}, "--course-split"),
        ({"data": "empty"}, "no images found"),
        ({"data": "digits", "split": 0.5}, "--split"),
        ({"dataset": "mnist"}, "get_data.py mnist"),
    ],
)
def test_wrong_data_is_refused(small_folder, tmp_path, monkeypatch, kwargs, says, idx_folder):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("experiments.data.PROJECT", tmp_path)
    (tmp_path / "empty").mkdir()
    idx_folder(tmp_path / "digits")
    with pytest.raises((ValueError, OSError), match=says):
        load(**kwargs)


def test_a_set_variable_without_the_set_is_no_fall_through(monkeypatch, tmp_path):
    monkeypatch.setenv("SCENEBENCH_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="SCENEBENCH_DATA is set"):
        load()


def test_the_recipe_goes_by_what_a_folder_holds(small_folder, tmp_path, idx_folder):
    assert recipe_set("mynet", str(small_folder), None) == "folders"
    assert recipe_set("mynet", str(idx_folder(tmp_path / "digits")), None) == "mnist"
    assert recipe_set("mynet", str(course_folder(tmp_path / "course")), None) == "cifar10"
    assert recipe_set("mynet", None, "scene15") == "folders"


@pytest.mark.data
def test_the_real_sets_have_their_parts():
    data = load(dataset="cifar10", course_split=True)
    assert (len(data.train), len(data.heldout), data.unlabelled) == (20_000, 5_000, 25_000)
    assert data.classes == tuple(sorted(data.classes)) and data.image_size == "32x32"
    digits = load("mnist_conv3", (1, 28, 28), dataset="mnist")
    assert (len(digits.train), len(digits.heldout)) == (60_000, 10_000)
