"""The fast search against a full sort of exact distances, where float32 cannot tell rows apart too."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifiers._tiles import QUERIES, TILE_ROWS, absolute_sums, chi2_sums, packed, smaller_sums
from classifiers.distances import METRICS, pairwise_distances
from classifiers.nearest import LARGEST, NearestRows


def slow_search(rows, queries, metric, p, k):
    distances = pairwise_distances(queries, rows, metric, p=p)
    order = np.argsort(distances, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(distances, order, axis=1), order


def assert_exact(rows, queries, metric, k, p=3):
    found = NearestRows(rows, metric, p).search(queries, k)
    expected = slow_search(rows, queries, metric, p, k)
    assert found[0].dtype == np.float64 and found[1].dtype == np.int64
    assert np.array_equal(found[1], expected[1])
    assert np.array_equal(found[0], expected[0], equal_nan=True)


@pytest.mark.parametrize("metric", METRICS)
@given(
    n=st.integers(1, 9), m=st.integers(1, 70), d=st.integers(1, 40), seed=st.integers(0, 999),
    scale=st.sampled_from([1, 1e-160, 1e-30, 1e-12, 1e6, 1e14, 1e200, 1e300]),
    spread=st.sampled_from([1, 1e-3, 1e-9, 0]),
)  # fmt: skip
@settings(max_examples=60)
def test_neighbours_and_distances_are_those_of_a_full_sort(metric, n, m, d, seed, scale, spread):
    # with a small spread all rows are one row and a little noise, which float32 does not see
    rng = np.random.default_rng(seed)
    middle = rng.random(d)
    rows, queries = (scale * (middle + spread * rng.random((count, d))) for count in (m, n))
    assert_exact(rows, queries, metric, int(rng.integers(1, m + 1)))


@pytest.mark.parametrize("metric", METRICS)
def test_ties_of_equal_rows_go_to_the_first(metric):
    rows = np.repeat(np.random.default_rng(0).integers(0, 3, (4, 5)).astype(float), 5, axis=0)
    assert_exact(rows, rows[::3], metric, 7)


@pytest.mark.parametrize("metric", METRICS)
def test_zero_rows_and_queries_are_found(metric):
    rows = np.zeros((6, 4))
    rows[3, 1] = 1
    assert_exact(rows, np.vstack([rows, np.ones((1, 4))]), metric, 6)


@pytest.mark.parametrize("metric", ["cityblock", "euclidean", "cosine"])
def test_negative_numbers_are_searched(metric):
    rng = np.random.default_rng(1)
    assert_exact(rng.normal(size=(50, 8)), rng.normal(size=(11, 8)), metric, 4)


@pytest.mark.parametrize("metric", ["chi2", "intersection", "hellinger"])
def test_negative_numbers_are_refused_where_a_metric_takes_none(metric):
    bad, good = np.array([[-1.0, 2]]), np.array([[1.0, 2]])
    for rows, queries in ((bad, good), (good, bad)):
        with pytest.raises(ValueError, match=f"{metric} takes non-negative values only"):
            NearestRows(rows, metric).search(queries, 1)


@pytest.mark.parametrize("large", ["rows", "queries"])
def test_numbers_that_float32_cannot_square_are_searched_in_float64(large):
    rng = np.random.default_rng(2)
    rows, queries = rng.random((9, 3)), rng.random((4, 3))
    (rows if large == "rows" else queries)[0, 0] = 1e60 * LARGEST
    for metric in ("cityblock", "euclidean", "cosine"):
        assert_exact(rows, queries, metric, 3)


def test_distances_that_are_no_numbers_come_last():
    rows = np.array([[1e300, 1e300], [1.0, 0.0], [1e300, 0.0]])
    distances, found = NearestRows(rows, "cosine").search(np.array([[1e300, 1.0]]), 3)
    assert np.isnan(distances).any() and sorted(found[0]) == [0, 1, 2]
    assert_exact(rows, rows, "cosine", 2)


def test_lengths_that_float64_cannot_tell_are_left_to_it():
    assert_exact(np.array([[1.6e-162], [1.0]]), np.array([[1.6e-162]]), "cosine", 1)


def test_few_rows_are_computed_twice(monkeypatch):
    rng = np.random.default_rng(3)
    rows, queries = (rng.dirichlet(np.full(100, 0.5), count) for count in (1000, 20))
    computed = []

    def counting(kind, X, Y, p, starts, found, out):
        computed.append(len(found))
        return exact(kind, X, Y, p, starts, found, out)

    import classifiers.nearest as module

    exact = module.sums_of_pairs
    monkeypatch.setattr(module, "sums_of_pairs", counting)
    for metric in ("cityblock", "euclidean", "chi2", "intersection", "cosine", "hellinger"):
        NearestRows(rows, metric).search(queries, 8)
        assert 8 * 20 <= computed.pop() < 10 * 20


KERNELS = {
    absolute_sums: lambda x, y: np.abs(x - y),
    smaller_sums: np.minimum,
    chi2_sums: lambda x, y: (x - y) ** 2 / np.where(x + y > 0, x + y, 1),
}


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: kernel.__name__)
@pytest.mark.parametrize(
    ("n", "m", "d"), [(QUERIES, 1, 1), (2 * QUERIES, TILE_ROWS + 1, 7), (QUERIES, 80, 33)]
)
def test_tiles_hold_the_sums_of_every_pair(kernel, n, m, d):
    rng = np.random.default_rng(d)
    queries, rows = (rng.integers(0, 4, (count, d)).astype(np.float32) for count in (n, m))
    sums = np.full((n, -(-m // TILE_ROWS) * TILE_ROWS), np.nan, np.float32)
    kernel(queries, packed(rows), sums)
    expected = KERNELS[kernel](queries[:, None].astype(float), rows.astype(float)).sum(axis=2)
    assert sums[:, :m] == pytest.approx(expected, rel=1e-6)
    assert np.isfinite(sums).all()
