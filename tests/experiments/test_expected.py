"""What a result is compared with: only the very images it was measured on."""

import pytest

from experiments.data import load_data
from experiments.expected import EXPECTED, METHODS, expected_lines, expected_range, known_set
from scenes import SceneDataset
from scenes.dataset import committed_fingerprint


def test_a_folder_of_other_images_has_no_range_whatever_its_name(small_folder):
    renamed = small_folder.rename(small_folder.with_name("scene15"))
    dataset = SceneDataset.from_folder(renamed).scan()
    assert dataset.name == "scene15"
    assert known_set(dataset) is None and expected_range(dataset, "tiny") is None
    assert expected_lines(dataset, None) == ["chance: 0.3333 (1 of 3 classes)"]


def test_the_known_pixels_have_their_range_whatever_the_folders_name(small_folder, monkeypatch):
    dataset = SceneDataset.from_folder(small_folder).scan()
    monkeypatch.setattr("experiments.expected.committed_fingerprint", lambda name: dataset.fingerprint)
    assert known_set(dataset) == "scene15"
    assert expected_range(dataset, "bow") == EXPECTED["scene15"]["bow"]
    assert expected_range(dataset, "cnn") is None
    lines = expected_lines(dataset, 0.25)
    assert lines[:2] == [
        "chance: 0.3333 (1 of 3 classes)",
        "tiny images + 1 nearest neighbour on the same images: 0.2500",
    ]
    assert [line.split(" on scene15")[0] for line in lines[2:]] == [
        METHODS[name] for name in EXPECTED["scene15"]
    ]


def test_ranges_are_fractions_low_to_high_of_named_methods():
    for ranges in EXPECTED.values():
        for method, (low, high) in ranges.items():
            assert method in METHODS and 0 < low < high < 1


def test_the_built_in_scenes_are_known():
    dataset, _ = load_data(None, "synthetic")
    assert known_set(dataset) == "synthetic"
    assert expected_range(dataset, "tiny") == EXPECTED["synthetic"]["tiny"]


@pytest.mark.data
def test_the_real_scenes_are_known(scene15):
    dataset = SceneDataset.from_folder(scene15).scan()
    assert dataset.fingerprint == committed_fingerprint("scene15")
    assert known_set(dataset) == "scene15"
