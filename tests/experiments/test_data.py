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


def test_share_and_seed_draw_the_split(small_folder):
    whole = small_folder / "train"
    dataset, note = load_data(whole, split=0.75)
    assert note == f"data: {whole}, split 0.75 with seed 0: 9 training and 3 test images of 3 classes"
    assert ", split 0.5 with seed 7: " in load_data(whole, seed=7)[1]
    names = {load_data(whole, split=0.75, seed=seed)[0].test.names for seed in range(6)}
    assert dataset.test.names in names and len(names) > 1
