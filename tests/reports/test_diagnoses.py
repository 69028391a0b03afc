"""Every check as issue, as passed and as not applicable, with its figures in the text."""

import dataclasses

import numpy as np
import pytest

from reports.diagnoses import CHECKS, Facts, diagnose

STATES = {"issue", "passed", "not applicable"}
AB = ["a", "b"]


def confusion(correct, n):
    """Two classes of n / 2 images, `correct` of n right."""
    half, right = n // 2, correct // 2
    return np.array([[right, half - right], [half - right, right]])


def outcome(code, **facts):
    by_code = {found["code"]: found for found in diagnose(Facts(**facts))}
    return by_code[code]


# code, facts, state, what the text must hold
CASES = [
    ("SB001", {"duplicates_train_test": [["x/1", "x/2"]]}, "issue", ["1 group", "x/1 = x/2", "allowed: 0"]),
    ("SB001", {"duplicates_train_test": []}, "passed", ["0 group"]),
    ("SB001", {}, "not applicable", ["not compared"]),
    # 52 of 100 right: Wilson 0.4232 to 0.6154 holds 1/2; 70 of 100: 0.6042 to 0.7811 does not
    ("SB002", {"confusion": confusion(52, 100)}, "issue", ["0.5200", "0.4232 to 0.6154", "chance", "0.5000"]),
    ("SB002", {"confusion": confusion(70, 100)}, "passed", ["0.7000", "0.6042 to 0.7811", "0.5000"]),
    ("SB002", {"confusion": confusion(20, 100)}, "issue", ["not above chance", "0.2000"]),  # below counts too
    # 90 of 100 are a: who always says a has as many right
    ("SB002", {"confusion": np.array([[90, 0], [10, 0]])}, "issue",
     ["not above always naming the largest class", "largest class has 0.9000"]),
    ("SB002", {"confusion": np.array([[90, 0], [1, 9]])}, "passed", ["0.9900", "largest class has 0.9000"]),
    ("SB002", {"confusion": np.array([[5]])}, "not applicable", ["two classes"]),
    ("SB002", {}, "not applicable", ["predictions"]),
    (
        "SB003",
        {"confusion": confusion(50, 100), "dataset": "scene15", "expected": (0.55, 0.65)},
        "issue",
        ["0.5000", "0.5500 to 0.6500", "scene15"],
    ),
    (
        "SB003",
        {"confusion": confusion(90, 100), "dataset": "scene15", "expected": (0.55, 0.65)},
        "passed",
        ["0.9000", "0.5500 to 0.6500"],
    ),
    (
        "SB003",
        {"confusion": confusion(50, 100), "dataset": "holiday", "expected": (0.55, 0.65)},
        "not applicable",
        ["no expected range"],
    ),
    (
        "SB003",
        {"confusion": confusion(50, 100), "dataset": "scene15"},
        "not applicable",
        ["no expected range"],
    ),
    (
        "SB004",
        {"classes": AB, "confusion": np.array([[4, 0], [4, 0]])},
        "issue",
        ["1 class is never predicted, of 2", ": b", "allowed: 0"],
    ),
    (
        "SB004",
        {"classes": AB, "confusion": np.array([[4, 0], [3, 1]])},
        "passed",
        ["0 classes are never predicted, of 2"],
    ),
    (
        "SB004",
        {"classes": AB, "confusion": np.array([[4, 0], [0, 0]])},
        "passed",
        ["0 classes are never predicted, of 2"],
    ),  # b has no images
    ("SB004", {}, "not applicable", ["predictions"]),
    ("SB005", {"n_neighbors": 6, "train_counts": {"a": 9, "b": 5}}, "issue", ["k = 6", "b with 5"]),
    ("SB005", {"n_neighbors": 5, "train_counts": {"a": 9, "b": 5}}, "passed", ["k = 5", "b with 5"]),
    ("SB005", {"train_counts": {"a": 9}}, "not applicable", ["kNN"]),
    ("SB006", {"flat_images": ["w.png"]}, "issue", ["1 image of a single grey", "w.png", "allowed: 0"]),
    ("SB006", {"flat_images": []}, "passed", ["0 images of a single grey"]),
    ("SB006", {}, "not applicable", ["not checked"]),
    (
        "SB007",
        {"unreadable_images": list("abcde")},
        "issue",
        ["5 images skipped", "a, b, c and 2 more", "allowed: 0"],
    ),
    ("SB007", {"unreadable_images": []}, "passed", ["0 image"]),
    ("SB007", {}, "not applicable", ["not recorded"]),
    (
        "SB008",
        {"n_settings": 10, "selection": "none"},
        "issue",
        ["the best of 10 settings", "test images", "1"],
    ),
    ("SB008", {"n_settings": 1, "selection": "none"}, "passed", ["1 setting", "allowed: 1"]),
    ("SB008", {"n_settings": 10, "selection": "cv5-train"}, "passed", ["cv5-train"]),
    ("SB008", {"selection": "none"}, "not applicable", ["unknown"]),
    ("SB009", {"confusion": confusion(20, 100), "tiny_accuracy": 0.22}, "issue", ["0.2000", "0.2200"]),
    ("SB009", {"confusion": confusion(20, 100), "tiny_accuracy": 0.2}, "passed", ["0.2000", "not worse"]),
    ("SB009", {"confusion": confusion(20, 100)}, "not applicable", ["no tiny-image baseline"]),
    ("SB010", {"duplicates_across_classes": [["a/1", "b/1", "c/1"]]}, "issue", ["1 group", "a/1 = b/1 (+1)"]),
    ("SB010", {"duplicates_across_classes": []}, "passed", ["0 group"]),
    ("SB010", {}, "not applicable", ["not compared"]),
    ("SB011", {"duplicates_within": [["a/1", "a/2"]]}, "issue", ["1 group", "a/1 = a/2", "allowed: 0"]),
    ("SB011", {"duplicates_within": []}, "passed", ["0 group"]),
    ("SB011", {}, "not applicable", ["not compared"]),
    ("SB012", {"enlarged_images": ["s.png"]}, "issue", ["1 image", "s.png", "allowed: 0"]),
    ("SB012", {"enlarged_images": []}, "passed", ["0 image"]),
    ("SB012", {}, "not applicable", ["descriptors"]),
    ("SB013", {"train_counts": {"a": 31, "b": 10}}, "issue", ["a with 31", "b with 10", "3 times"]),
    ("SB013", {"train_counts": {"a": 30, "b": 10}}, "passed", ["a with 30", "b with 10", "3 times"]),
    ("SB013", {"train_counts": {"a": 1, "b": 0}}, "issue", ["b with 0"]),
    ("SB013", {}, "not applicable", ["unknown"]),
]


@pytest.mark.parametrize(("code", "facts", "state", "held"), CASES)
def test_check(code, facts, state, held):
    found = outcome(code, **facts)
    assert found["state"] == state
    for part in held:
        assert part in found["text"]
    assert bool(found["advice"]) == (state == "issue")


def test_every_check_has_a_case_for_each_state():
    seen = {(code, state) for code, _, state, _ in CASES}
    assert seen == {(f"SB{i:03d}", state) for i in range(1, 14) for state in STATES}


def test_codes_are_in_order_and_all_are_reported():
    found = diagnose(Facts())
    assert [item["code"] for item in found] == [f"SB{i:03d}" for i in range(1, len(CHECKS) + 1)]
    assert {item["state"] for item in found} == {"not applicable"}
    assert all(list(item) == ["code", "state", "text", "advice"] for item in found)


def test_every_check_starts_its_docstring_with_its_code():
    for check, found in zip(CHECKS, diagnose(Facts()), strict=True):
        assert check.__doc__.startswith(found["code"] + ":")


def test_texts_are_one_line():
    for code, facts, _, _ in CASES:
        found = outcome(code, **facts)
        assert "\n" not in found["text"] + found["advice"]


def test_no_test_images_are_no_predictions():
    found = diagnose(Facts(classes=AB, confusion=np.zeros((2, 2), int), expected=(0, 1), tiny_accuracy=0.2))
    assert {item["state"] for item in found} == {"not applicable"}


def test_facts_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Facts().dataset = "scene15"
