"""Which images a command uses: the order of places, and what is said about it."""

import shutil
from pathlib import Path

import pytest

from experiments.data import load_data
from scenes import UnreadableImage


@pytest.fixture
def places(small_folder, tmp_path, monkeypatch):
    """Every place a set can come from, all of them filled."""
    project, variable, built_in = (tmp_path / name for name in ("project", "variable", "built-in"))
    shutil.copytree(small_folder, project / "data" / "scene15")
    shutil.copytree(small_folder, variable / "scene15")
    shutil.copytree(small_folder, built_in)
    monkeypatch.setattr("experiments.data.PROJECT", project)
    monkeypatch.setattr("experiments.data.synthetic_folder", lambda: built_in)
    monkeypatch.delenv("SCENEBENCH_DATA", raising=False)
    return {"project": project, "variable": variable, "built-in": built_in}


def folder_of(dataset) -> Path:
    return dataset.train.paths[0].parents[2]


def test_a_given_folder_comes_before_everything(places, small_folder, monkeypatch):
    monkeypatch.setenv("SCENEBENCH_DATA", str(places["variable"]))
    dataset, note = load_data(small_folder)
    assert folder_of(dataset) == small_folder and dataset.name == "small"
    assert note == f"data: {small_folder}: 12 training and 9 test images of 3 classes"


@pytest.mark.parametrize("asked", [None, "scene15"])
def test_the_variables_folder_comes_before_the_projects(places, monkeypatch, asked):
    monkeypatch.setenv("SCENEBENCH_DATA", str(places["variable"]))
    dataset, note = load_data(None, asked)
    assert folder_of(dataset) == places["variable"] / "scene15" and dataset.name == "scene15"
    assert note.startswith(f"data: scene15 in {places['variable']} (SCENEBENCH_DATA): 12 training")


@pytest.mark.parametrize("asked", [None, "scene15"])
def test_a_variable_without_the_set_is_an_error_not_a_fall_through(places, monkeypatch, asked):
    monkeypatch.setenv("SCENEBENCH_DATA", str(places["project"]))  # holds data/, but no scene15/
    with pytest.raises(
        FileNotFoundError, match="SCENEBENCH_DATA is set, but holds no scene15: unset it or make"
    ):
        load_data(None, asked)


@pytest.mark.parametrize("asked", [None, "scene15"])
def test_without_the_variable_the_projects_data_folder_is_used(places, asked):
    dataset, note = load_data(None, asked)
    assert folder_of(dataset) == places["project"] / "data" / "scene15" and dataset.name == "scene15"
    assert note.startswith(f"data: scene15 in {places['project'] / 'data'}: ")


def test_with_neither_the_built_in_scenes_are_used_and_the_note_says_how_to_get_the_real_ones(places):
    shutil.rmtree(places["project"] / "data")
    dataset, note = load_data()
    assert folder_of(dataset) == places["built-in"] and dataset.name == "synthetic"
    assert "built-in synthetic scenes" in note
    assert "python scripts/get_data.py scene15" in note and "--data DIR" in note


def test_a_set_asked_for_by_name_is_never_replaced_by_the_built_in_scenes(places):
    shutil.rmtree(places["project"] / "data")
    with pytest.raises(FileNotFoundError, match=r"get the set with python scripts/get_data\.py scene15"):
        load_data(None, "scene15")


def test_the_built_in_scenes_are_there_whatever_the_variable_says(places, monkeypatch):
    monkeypatch.setenv("SCENEBENCH_DATA", str(places["project"] / "nowhere"))
    dataset, note = load_data(None, "synthetic")
    assert folder_of(dataset) == places["built-in"]
    assert note.startswith("data: the built-in synthetic scenes: 12 training")


def test_a_folder_and_a_set_exclude_each_other(places, small_folder):
    with pytest.raises(ValueError, match="--data and --dataset exclude each other"):
        load_data(small_folder, "scene15")


def test_lite_takes_the_first_images_of_each_class_and_says_so(small_folder):
    bars = small_folder / "train" / "bars"
    for i in range(4, 11):
        shutil.copy(bars / "image_0.png", bars / f"more_{i}.png")
    dataset, note = load_data(small_folder, lite=True)
    assert [dataset.train.labels.count(label) for label in dataset.classes] == [8, 4, 4]
    assert dataset.train.names[:8] == tuple(f"bars/{path.name}" for path in sorted(bars.iterdir())[:8])
    assert note.startswith(
        f"data: {small_folder}, only 8 + 8 images a class (--lite): 16 training and 9 test"
    )


def test_lite_does_not_read_the_images_it_leaves_out(small_folder):
    bars = small_folder / "train" / "bars"
    for i in range(4, 8):
        shutil.copy(bars / "image_0.png", bars / f"more_{i}.png")
    (bars / "z_last.png").write_bytes(b"")
    dataset, _ = load_data(small_folder, lite=True)
    assert dataset.skipped == () and len(dataset.train) == 16


def test_images_are_looked_at_once_and_unreadable_ones_refused_or_skipped(small_folder):
    (small_folder / "test" / "bars" / "broken.png").write_bytes(b"")
    with pytest.raises(UnreadableImage, match=r"broken\.png"):
        load_data(small_folder)
    dataset, note = load_data(small_folder, skip_unreadable=True)
    assert dataset.skipped == ("test/bars/broken.png",)
    assert "12 training and 9 test images" in note
    assert dataset.scan() is dataset


def test_files_that_are_no_images_by_name_are_counted(small_folder):
    folder = next(path for path in (small_folder / "train").iterdir())
    for name in ("a.GIF", "b.jfif", "c.jfif", ".hidden.gif", "notes"):
        (folder / name).write_text("")
    dataset, note = load_data(small_folder)
    assert dataset.others == (".gif", ".jfif", ".jfif", "notes")
    assert "(4 files left out, no images by name: .gif, .jfif, notes): 12 training" in note


def test_share_and_seed_draw_the_split(small_folder):
    whole = small_folder / "train"
    dataset, note = load_data(whole, split=0.75)
    assert note == f"data: {whole}, split 0.75 with seed 0: 9 training and 3 test images of 3 classes"
    assert ", split 0.5 with seed 7: " in load_data(whole, seed=7)[1]
    names = {load_data(whole, split=0.75, seed=seed)[0].test.names for seed in range(6)}
    assert dataset.test.names in names and len(names) > 1


def network_loader():
    pytest.importorskip("torch")
    from experiments.network_data import load_network_data

    return load_network_data


def test_sets_in_arrays_have_the_names_and_fingerprints_that_networks_give_them(tmp_path, idx_folder):
    load_network_data = network_loader()
    folder = idx_folder(tmp_path / "digits", 40, twin=True)
    dataset, note = load_data(folder)
    network = load_network_data("mnist_conv3", (1, 28, 28), data=str(folder))
    assert note == f"data: {folder}: 40 training and 40 test images of 10 classes"
    assert dataset.name == network.name and dataset.classes == network.classes
    assert dataset.test.names == tuple(network.heldout.filenames)
    assert dataset.fingerprint == {"train": network.train_fingerprint, "test": network.heldout_fingerprint}
    assert dataset.leaks() == network.leaks and ["train/00000", "test/00005"] in dataset.leaks()["train_test"]
    assert dataset.image_sizes() == "28x28" and dataset.test.paths[0].shape == (28, 28)
    few, note = load_data(folder, lite=True)
    assert len(few.train) == 40 and "--lite" in note


def test_splits_that_a_set_in_arrays_cannot_have(tmp_path, idx_folder, small_folder):
    folder = idx_folder(tmp_path / "digits", 40)
    with pytest.raises(ValueError, match="has its own parts"):
        load_data(folder, split=0.5)
    for other in (folder, small_folder):
        with pytest.raises(ValueError, match="--course-split divides the CIFAR-10"):
            load_data(other, course_split=True)


@pytest.mark.data
def test_the_course_split_of_the_real_set_is_that_of_networks():
    load_network_data = network_loader()
    dataset, _ = load_data(dataset="cifar10", course_split=True)
    network = load_network_data("resnet18", (3, 32, 32), dataset="cifar10", course_split=True)
    assert (len(dataset.train), len(dataset.test)) == (20_000, 5_000)
    assert dataset.fingerprint == {"train": network.train_fingerprint, "test": network.heldout_fingerprint}
