"""Distances: scipy's digits, slow loops where scipy has none, zeros, symmetry, errors."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from classifiers import METRICS, pairwise_distances
from classifiers.distances import NON_NEGATIVE, TILE

# widths and numbers of rows around the tile, one row, one column
SHAPES = [(1, 1, 1), (3, 63, 5), (5, 64, 7), (2, 65, 256), (7, 130, 33), (64, 1, 3), (1, 200, 1)]


def matrices(shape, seed=0, histograms=False):
    """X (n, d) and Y (m, d) of shape (n, m, d): signed numbers of all sizes, or rows that sum to 1."""
    n, m, d = shape
    rng = np.random.default_rng([seed, *shape])
    X, Y = rng.normal(size=(n, d)) * 10.0 ** rng.integers(-3, 4, (n, d)), rng.normal(size=(m, d))
    if histograms:
        X, Y = np.abs(X) * rng.integers(0, 2, X.shape), np.abs(Y) * rng.integers(0, 2, Y.shape)
        X, Y = (rows / np.maximum(rows.sum(axis=1, keepdims=True), 1e-9) for rows in (X, Y))
    return X, Y


@pytest.mark.parametrize("metric", ["cityblock", "euclidean", "chebyshev"])
@pytest.mark.parametrize("shape", SHAPES)
def test_distances_have_scipys_very_digits(metric, shape):
    for histograms in (False, True):
        X, Y = matrices(shape, histograms=histograms)
        found = pairwise_distances(X, Y, metric)
        assert found.dtype == np.float64 and found.shape == shape[:2]
        assert np.array_equal(found, cdist(X, Y, metric))


@pytest.mark.parametrize("p", [0.5, 1, 1.5, 2, 3, 10])
@pytest.mark.parametrize("shape", SHAPES)
def test_minkowski_is_scipys(p, shape):
    X, Y = matrices(shape)
    found = pairwise_distances(X, Y, "minkowski", p=p)
    assert found == pytest.approx(cdist(X, Y, "minkowski", p=p), rel=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
def test_cosine_is_scipys(shape):
    X, Y = matrices(shape)
    found = pairwise_distances(X, Y, "cosine")
    assert found == pytest.approx(np.clip(cdist(X, Y, "cosine"), 0, None), abs=1e-13)
    assert (found >= 0).all()


def slow_chi2(x, y):
    return 0.5 * sum((a - b) ** 2 / (a + b) for a, b in zip(x, y, strict=True) if a + b > 0)


def slow_intersection(x, y):
    return 1 - sum(min(a, b) for a, b in zip(x, y, strict=True))


def slow_hellinger(x, y):
    squares = [(math.sqrt(a) - math.sqrt(b)) ** 2 for a, b in zip(x, y, strict=True)]
    return math.sqrt(sum(squares)) / math.sqrt(2)


SLOW = {"chi2": slow_chi2, "intersection": slow_intersection, "hellinger": slow_hellinger}


@pytest.mark.parametrize("metric", SLOW)
@pytest.mark.parametrize("shape", SHAPES)
def test_histogram_metrics_are_those_of_slow_loops(metric, shape):
    X, Y = matrices(shape, histograms=True)
    expected = [[SLOW[metric](x, y) for y in Y.tolist()] for x in X.tolist()]
    assert pairwise_distances(X, Y, metric) == pytest.approx(np.array(expected), rel=1e-12, abs=1e-14)


# x = (0, 3/4, 1/4), y = (1/2, 1/4, 1/4): differences -1/2, 1/2 and 0; |x|^2 = 5/8, |y|^2 = 3/8, x.y = 1/4
BY_HAND = {
    "cityblock": 1,
    "euclidean": math.sqrt(1 / 2),
    "chebyshev": 1 / 2,
    "minkowski": 2,  # p = 1/2: (2 sqrt(1/2))^2
    "cosine": 1 - 1 / math.sqrt(15 / 4),
    "chi2": 3 / 8,  # half of (1/4) / (1/2) + (1/4) / 1 + 0
    "intersection": 1 / 2,  # minima 0, 1/4 and 1/4
    "hellinger": math.sqrt(1 / 2 + (math.sqrt(3 / 4) - 1 / 2) ** 2) / math.sqrt(2),
}


@pytest.mark.parametrize("metric", BY_HAND)
def test_every_metric_by_hand(metric):
    found = pairwise_distances([[0, 0.75, 0.25]], [[0.5, 0.25, 0.25]], metric, p=0.5)
    assert found == pytest.approx(BY_HAND[metric], rel=1e-14)


def test_every_metric_is_worked_out_by_hand_above():
    assert set(BY_HAND) == set(METRICS)


# properties


@pytest.mark.parametrize("metric", METRICS)
def test_distances_are_symmetric(metric):
    X, Y = matrices((9, 70, 6), histograms=True)
    assert np.array_equal(pairwise_distances(X, Y, metric), pairwise_distances(Y, X, metric).T)


@pytest.mark.parametrize("metric", METRICS)
def test_a_row_is_no_further_from_itself_than_from_others(metric):
    X, _ = matrices((70, 1, 6), seed=1)
    X = np.abs(X) / np.abs(X).sum(axis=1, keepdims=True)
    found = pairwise_distances(X, X, metric)
    assert np.abs(np.diag(found)).max() < 1e-7  # a cosine of nearly 1 loses half the digits
    assert (found.min(axis=1) >= np.diag(found) - 1e-15).all()


@pytest.mark.parametrize("metric", METRICS)
def test_a_row_and_another_batch_give_the_same_digits(metric):
    X, Y = matrices((30, 150, 9), histograms=True)
    whole = pairwise_distances(X, Y, metric)
    assert np.array_equal(pairwise_distances(X[3:5], Y, metric), whole[3:5])
    assert np.array_equal(pairwise_distances(X, Y[17:90], metric), whole[:, 17:90])
    assert np.array_equal(pairwise_distances(X, Y[::-1], metric), whole[:, ::-1])


@given(st.integers(0, 5), st.integers(0, 2 * TILE + 3), st.integers(0, 4), st.sampled_from(list(METRICS)))
def test_any_shape_gives_finite_distances_of_that_shape(n, m, d, metric):
    X, Y = matrices((n, m, d), histograms=True)
    found = pairwise_distances(X, Y, metric)
    assert found.shape == (n, m) and np.isfinite(found).all()


@pytest.mark.parametrize(
    ("metric", "to_itself", "to_other"),
    [
        ("cityblock", 0, 3),
        ("euclidean", 0, 3),
        ("chebyshev", 0, 3),
        ("minkowski", 0, 3),
        ("cosine", 1, 1),
        ("chi2", 0, 1.5),
        ("intersection", 1, 1),
        ("hellinger", 0, math.sqrt(1.5)),
    ],
)
def test_zero_vectors_have_a_distance(metric, to_itself, to_other):
    zero, other = np.zeros((1, 2)), np.array([[0.0, 3.0]])
    assert pairwise_distances(zero, zero, metric)[0, 0] == to_itself
    assert pairwise_distances(zero, other, metric)[0, 0] == pytest.approx(to_other, rel=1e-14)
    assert pairwise_distances(other, zero, metric)[0, 0] == pytest.approx(to_other, rel=1e-14)


def test_cosine_is_never_below_zero():
    X = np.random.default_rng(5).random((200, 3))
    assert pairwise_distances(X, X * 7, "cosine").min() >= 0


def test_chi2_does_not_divide_by_zero():
    assert pairwise_distances([[0.0, 1.0, 0.0]], [[0.0, 1.0, 0.0]], "chi2") == 0
    with np.errstate(all="raise"):
        pairwise_distances(np.zeros((3, 5)), np.zeros((70, 5)), "chi2")


def test_the_arguments_stay_as_they_are():
    X, Y = matrices((4, 5, 6), histograms=True)
    before = X.copy(), Y.copy()
    for metric in METRICS:
        pairwise_distances(X, Y, metric)
    assert np.array_equal(X, before[0]) and np.array_equal(Y, before[1])


@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.uint8, bool])
def test_any_numbers_are_compared_in_float64(dtype):
    X, Y = np.array([[0, 1, 1], [1, 0, 0]], dtype), np.array([[1, 1, 0]], dtype)
    assert pairwise_distances(X, Y).tolist() == [[2], [1]]


def test_the_memory_layout_does_not_matter():
    X, Y = matrices((6, 7, 8))
    assert np.array_equal(pairwise_distances(np.asfortranarray(X), Y.T.copy().T), pairwise_distances(X, Y))


# errors


def test_an_unknown_metric_lists_the_known_ones():
    with pytest.raises(ValueError, match="unknown metric 'manhattan': choose from cityblock, euclidean, "):
        pairwise_distances([[1.0]], [[1.0]], "manhattan")


@pytest.mark.parametrize("p", [0, -1, math.nan, math.inf])
def test_an_exponent_that_is_not_above_zero_is_refused(p):
    with pytest.raises(ValueError, match="minkowski takes a finite number above 0"):
        pairwise_distances([[1.0]], [[1.0]], "minkowski", p=p)


@pytest.mark.parametrize(("X", "Y"), [((2, 3), (2, 4)), ((3,), (2, 3)), ((2, 3), (3,)), ((1, 2, 3), (2, 3))])
def test_rows_that_cannot_be_compared_are_refused(X, Y):
    with pytest.raises(ValueError, match="cannot be compared"):
        pairwise_distances(np.zeros(X), np.zeros(Y))


@pytest.mark.parametrize("metric", METRICS)
def test_negative_values_are_refused_where_a_metric_takes_none(metric):
    good, bad = np.ones((2, 3)), np.array([[1.0, -1e-9, 1.0]])
    if metric in NON_NEGATIVE:
        for X, Y in ((good, bad), (bad, good)):
            with pytest.raises(ValueError, match=f"{metric} takes non-negative values only"):
                pairwise_distances(X, Y, metric)
    else:
        assert np.isfinite(pairwise_distances(good, bad, metric)).all()
