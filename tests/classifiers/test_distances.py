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
    assert pairwise_distances(X, Y, "minkowski", p=p) == pytest.approx(cdist(X, Y, "minkowski", p=p), rel=1e-12)


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
    return math.sqrt(sum((math.sqrt(a) - math.sqrt(b)) ** 2 for a, b in zip(x, y, strict=True))) / math.sqrt(2)


SLOW = {"chi2": slow_chi2, "intersection": slow_intersection, "hellinger": slow_hellinger}


@pytest.mark.parametrize("metric", SLOW)
@pytest.mark.parametrize("shape", SHAPES)
def test_histogram_metrics_are_those_of_slow_loops(metric, shape):
    X, Y = matrices(shape, histograms=True)
    expected = [[SLOW[metric](x, y) for y in Y.tolist()] for x in X.tolist()]
    assert pairwise_distances(X, Y, metric) == pytest.approx(np.array(expected), rel=1e-12, abs=1e-14)


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        # differences -1/2, 1/4 and 1/4
        ("cityblock", 1.0),
        ("euclidean", math.sqrt(0.375)),
        ("chebyshev", 0.5),
        ("minkowski", 2.0),  # p = 1/2: sum 1/sqrt 2 + 1/2 + 1/2, squared: 2.914; see the test
        ("cosine", 1 - 0.25 / (math.sqrt(0.5) * math.sqrt(0.375))),
        ("chi2", 0.5 * (0.25 / 0.5 + 0.0625 / 0.75 + 0.0625 / 0.25)),
        ("intersection", 0.5),
        ("hellinger", math.sqrt(0.5 + (math.sqrt(0.5) - 0.5) ** 2 + 0.25) / math.sqrt(2)),
    ],
)
def test_every_metric_by_hand(metric, expected):
    # written out for x = (0, 1/2, 1/4), y = (1/2, 1/4, 0) in the right column above
    if metric == "minkowski":
        expected = (math.sqrt(0.5) + 1) ** 2
    x, y = [[0.0, 0.5, 0.25]], [[0.5, 0.25, 0.0]]
    assert pairwise_distances(x, y, metric, p=0.5)[0, 0] == pytest.approx(expected, rel=1e-14)
