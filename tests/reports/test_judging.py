"""Predictions held against the truth: each rule worked out by hand."""

import pytest

from reports.judging import Truth, judge

TRUTH = Truth(
    "pets", {"a/1.png": "ant", "a/2.png": "ant", "b/1.png": "bee", "b/3.png": "bee", "c/4.png": "cat"},
    ("ant", "bee", "cat"), ("cat", "ant", "bee"),
)  # fmt: skip
RIGHT = list(TRUTH.labels.items())


def found(rows) -> dict[str, list[str]]:
    return {finding["kind"]: finding["images"] for finding in judge(rows, TRUTH).findings}


def test_all_right_is_one_without_findings():
    judged = judge(RIGHT, TRUTH)
    assert judged.accuracy == 1 and judged.findings == []
    assert judge(reversed(RIGHT), TRUTH).predicted == judged.predicted


def test_an_image_without_a_row_is_wrong():
    judged = judge(RIGHT[1:], TRUTH)
    assert judged.accuracy == 4 / 5 and judged.predicted["a/1.png"] is None
    (finding,) = judged.findings
    assert finding == {
        "kind": "missing", "count": 1, "images": ["a/1.png"],
        "text": "1 image without a row: counted as wrong (a/1.png)",
    }  # fmt: skip


def test_no_rows_at_all_are_an_accuracy_of_zero():
    assert judge([], TRUTH).accuracy == 0
    assert found([]) == {"missing": list(TRUTH.labels)}


def test_rows_that_contradict_are_wrong_even_if_one_is_right():
    rows = [*RIGHT, ("a/1.png", "bee")]
    assert judge(rows, TRUTH).accuracy == 4 / 5
    assert found(rows) == {"contradicting": ["a/1.png"]}
    # an unknown label contradicts a known one, and another unknown one
    assert found([*RIGHT, ("a/1.png", "dog")]) == {"contradicting": ["a/1.png"]}
    assert found([*RIGHT[1:], ("a/1.png", "dog"), ("a/1.png", "cow")]) == {"contradicting": ["a/1.png"]}


def test_equal_rows_count_once():
    rows = [*RIGHT, RIGHT[0], RIGHT[0]]
    assert judge(rows, TRUTH).accuracy == 1
    assert found(rows) == {"duplicate": ["a/1.png"]}
    # the number and the name of a class are equal
    assert found([*RIGHT, ("a/1.png", "1")]) == {"duplicate": ["a/1.png"]}


@pytest.mark.parametrize("label", ["dog", "", "Ant", "3", "-1", "1.0", "999999999999", "١"])
def test_an_unknown_label_is_wrong(label):
    rows = [*RIGHT[1:], ("a/1.png", label)]
    assert judge(rows, TRUTH).accuracy == 4 / 5
    assert found(rows) == {"unknown_label": ["a/1.png"]}


def test_unknown_images_are_ignored_and_said():
    rows = [*RIGHT, ("z.png", "ant"), ("z.png", "bee"), ("y.png", "dog")]
    assert judge(rows, TRUTH).accuracy == 1
    (finding,) = judge(rows, TRUTH).findings
    assert (finding["kind"], finding["count"], finding["images"]) == ("unknown_image", 2, ["z.png", "y.png"])


def test_many_unknown_images_are_counted_and_a_few_named():
    (finding,) = judge([*RIGHT, *((f"{i}.png", "ant") for i in range(1000, 6000))], TRUTH).findings
    assert finding["count"] == 5000 and len(finding["images"]) == 20


def test_numbers_are_the_official_ones_not_those_of_the_sorted_names():
    rows = [("a/1.png", "1"), ("a/2.png", "01"), ("b/1.png", "2"), ("b/3.png", "2"), ("c/4.png", "0")]
    assert judge(rows, TRUTH).accuracy == 1


def test_a_base_name_is_taken_where_only_one_image_has_it():
    rows = [("a/1.png", "ant"), ("2.png", "ant"), ("b/1.png", "bee"), ("3.png", "bee"), ("4.png", "cat")]
    assert judge(rows, TRUTH).accuracy == 1 and found(rows) == {}
    assert found([*rows, ("c/4.png", "cat")]) == {"duplicate": ["c/4.png"]}


def test_a_base_name_of_several_images_means_none_of_them():
    (missing, ambiguous) = judge([*RIGHT[1:], ("1.png", "ant")], TRUTH).findings
    assert missing["images"] == ["a/1.png"]
    assert (ambiguous["kind"], ambiguous["images"]) == ("ambiguous", ["1.png"])


def test_another_folder_is_another_image():
    assert found([*RIGHT[1:], ("x/1.png", "ant")]) == {"missing": ["a/1.png"], "unknown_image": ["x/1.png"]}
