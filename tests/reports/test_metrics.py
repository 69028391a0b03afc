"""Figures of a confusion matrix, worked out by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from statsmodels.stats.proportion import proportion_confint

from reports.metrics import (
    INDOOR,
    SCENE15_ORDER,
    SCENE15_SHORT,
    asymmetry,
    block_error_share,
    column_concentration,
    confusion_matrix,
    most_confused,
    per_class,
    wilson_interval,
)

#        predicted:  a  b  c
CONFUSION = np.array([[3, 1, 0],  # a: 4 images
                      [2, 2, 0],  # b: 4
                      [1, 1, 0]])  # c: 2, never predicted; 10 images, 5 errors  # fmt: skip
CLASSES = ["a", "b", "c"]

counts = hnp.arrays(np.int64, st.integers(1, 6).map(lambda n: (n, n)), elements=st.integers(0, 50)).filter(
    np.any
)


# wilson_interval


@pytest.mark.parametrize("level", [0.8, 0.95, 0.99])
@pytest.mark.parametrize(
    ("correct", "n"), [(0, 1), (1, 1), (0, 30), (30, 30), (335, 1500), (918, 1500), (7, 9)]
)
def test_wilson_interval_agrees_with_statsmodels(correct, n, level):
    expected = proportion_confint(correct, n, alpha=1 - level, method="wilson")
    assert wilson_interval(correct, n, level) == pytest.approx(expected, abs=1e-12)


def test_wilson_interval_by_hand():
    # z = 1.959964, z² = 3.841459; 5 of 10: centre 0.5, half = z/(1 + z²/10) * sqrt(.025 + z²/400)
    # = 1.959964 / 1.3841459 * sqrt(0.025 + 0.009603647) = 1.416010 * 0.186021 = 0.263407
    low, high = wilson_interval(5, 10)
    assert (low, high) == pytest.approx((0.236593, 0.763407), abs=1e-6)


def test_wilson_interval_ends_exactly_at_0_and_1():
    assert wilson_interval(0, 7)[0] == 0.0 and wilson_interval(7, 7)[1] == 1.0


@given(st.integers(1, 10**6), st.floats(0, 1))
def test_wilson_interval_holds_the_share_and_has_a_width(n, share):
    correct = round(share * n)
    low, high = wilson_interval(correct, n)
    assert 0 <= low <= correct / n <= high <= 1 and low < high


@pytest.mark.parametrize(("correct", "n"), [(0, 0), (-1, 5), (6, 5), (0, -1)])
def test_wilson_interval_refuses_impossible_counts(correct, n):
    with pytest.raises(ValueError, match="no interval"):
        wilson_interval(correct, n)


@pytest.mark.parametrize("level", [0, 1, 95, float("nan")])
def test_wilson_interval_refuses_impossible_levels(level):
    with pytest.raises(ValueError, match="level"):
        wilson_interval(1, 2, level)


# confusion_matrix


def test_rows_are_true_and_columns_predicted():
    confusion = confusion_matrix(["a", "a", "b", "c"], ["a", "b", "b", "a"], CLASSES)
    assert confusion.dtype == np.int64
    assert confusion.tolist() == [[1, 1, 0], [0, 1, 0], [1, 0, 0]]


def test_order_is_that_of_the_classes_given():
    assert confusion_matrix(["a", "a"], ["b", "b"], ["b", "a"]).tolist() == [[0, 0], [2, 0]]


def test_no_images_give_zeros():
    assert confusion_matrix([], [], CLASSES).tolist() == [[0] * 3] * 3


@pytest.mark.parametrize(("labels", "predicted"), [(["d"], ["a"]), (["a"], ["d"])])
def test_unknown_label_is_named(labels, predicted):
    with pytest.raises(ValueError, match="label 'd' is none of the 3 classes"):
        confusion_matrix(labels, predicted, CLASSES)


def test_uneven_lists_and_doubled_classes_are_refused():
    with pytest.raises(ValueError, match="1 labels but 2 predictions"):
        confusion_matrix(["a"], ["a", "b"], CLASSES)
    with pytest.raises(ValueError, match="named twice"):
        confusion_matrix(["a"], ["a"], ["a", "a"])


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc"))))
def test_confusion_agrees_with_a_loop(pairs):
    expected = [[sum(pair == (t, p) for pair in pairs) for p in "abc"] for t in "abc"]
    assert confusion_matrix([t for t, _ in pairs], [p for _, p in pairs], CLASSES).tolist() == expected


# per_class


def test_per_class_by_hand():
    # a: 3 of 6 predictions right, 3 of 4 found, f1 = 2*3 / (4+6); b: 2 of 4, 2 of 4; c: never predicted
    assert per_class(CONFUSION, CLASSES) == [
        {"class": "a", "n": 4, "precision": 0.5, "recall": 0.75, "f1": 0.6},
        {"class": "b", "n": 4, "precision": 0.5, "recall": 0.5, "f1": 0.5},
        {"class": "c", "n": 2, "precision": 0.0, "recall": 0.0, "f1": 0.0},
    ]


def test_per_class_is_zero_where_undefined():
    row = per_class(np.array([[0, 0], [0, 3]]), ["a", "b"])[0]
    assert row == {"class": "a", "n": 0, "precision": 0.0, "recall": 0.0, "f1": 0.0}


@given(counts)
def test_f1_is_the_harmonic_mean(confusion):
    for row in per_class(confusion, [str(i) for i in range(len(confusion))]):
        p, r = row["precision"], row["recall"]
        assert row["f1"] == pytest.approx(2 * p * r / (p + r) if p + r else 0.0)


# asymmetry, column_concentration


def test_asymmetry_by_hand():
    # |1-2| + |0-1| + |0-1|, each twice = 6, of 10
    assert asymmetry(CONFUSION) == pytest.approx(0.6)
    assert asymmetry(np.array([[0, 4], [0, 0]])) == 2.0


@given(counts)
def test_asymmetry_is_zero_for_symmetric_matrices_and_at_most_twice_the_errors(confusion):
    assert asymmetry(confusion + confusion.T) == 0
    errors = 1 - np.trace(confusion) / confusion.sum()
    assert 0 <= asymmetry(confusion) <= 2 * errors + 1e-12
    assert asymmetry(confusion) == asymmetry(confusion.T)


def test_column_concentration_by_hand():
    # columns: 6, 4, 0 of 10
    assert column_concentration(CONFUSION, top=1) == 0.6
    assert column_concentration(CONFUSION, top=2) == 1.0
    assert column_concentration(CONFUSION) == 1.0  # fewer classes than 4
    assert column_concentration(np.eye(8, dtype=int)) == 0.5


@pytest.mark.parametrize("measure", [asymmetry, column_concentration])
def test_a_matrix_without_images_is_refused(measure):
    with pytest.raises(ValueError, match="counts no image"):
        measure(np.zeros((3, 3), dtype=int))


@pytest.mark.parametrize("measure", [asymmetry, column_concentration])
def test_a_matrix_that_is_not_square_is_refused(measure):
    with pytest.raises(ValueError, match="shape"):
        measure(np.zeros((3, 2), dtype=int))


def test_top_below_one_is_refused():
    with pytest.raises(ValueError, match="top is 0"):
        column_concentration(CONFUSION, top=0)


# block_error_share


def test_block_error_share_by_hand():
    # errors: a-b 1, b-a 2, c-a 1, c-b 1; within {a, b}: 3 of 5, within {a, c}: 1 of 5
    assert block_error_share(CONFUSION, CLASSES, ["a", "b"]) == pytest.approx(0.6)
    assert block_error_share(CONFUSION, CLASSES, ["c", "a"]) == pytest.approx(0.2)
    assert block_error_share(CONFUSION, CLASSES, CLASSES) == 1.0


def test_block_error_share_is_none_without_errors_or_without_the_block():
    assert block_error_share(np.eye(3, dtype=int), CLASSES, ["a", "b"]) is None
    assert block_error_share(CONFUSION, CLASSES, ["a", "d"]) is None


# most_confused


def test_most_confused_by_hand():
    expected = [("b", "a", 2), ("a", "b", 1), ("c", "a", 1), ("c", "b", 1)]
    assert most_confused(CONFUSION, CLASSES) == expected
    assert most_confused(CONFUSION, CLASSES, n=2) == expected[:2]
    assert most_confused(np.eye(3, dtype=int), CLASSES) == []


def test_classes_must_fit_the_matrix():
    for measure in (per_class, most_confused):
        with pytest.raises(ValueError, match="not \\(2, 2\\)"):
            measure(CONFUSION, ["a", "b"])


# constants


def test_the_15_scenes():
    assert len(SCENE15_ORDER) == len(set(SCENE15_SHORT.values())) == 15
    assert SCENE15_ORDER[0] == "Kitchen" and SCENE15_ORDER[10] == "Highway" and SCENE15_ORDER[14] == "Forest"
    assert INDOOR == ("Kitchen", "Store", "Bedroom", "LivingRoom", "Office")
