"""The exact k nearest rows, found through float32 estimates that cannot hide one.

Estimating all distances in float32 is many times as fast as computing them in float64, and how far such a sum
can be off is known. Whatever could still be among the k nearest is then computed as `pairwise_distances`
does it, so that neighbours, their order and their distances are the same to the last bit. With e the largest
error of an estimate in a row and t the k-th smallest of its estimates: k rows lie within t + e, so the k
nearest do, so their estimates are at most t + 2 e.
"""

from collections.abc import Callable

import numpy as np
from numba import njit

from classifiers._tiles import QUERIES, TILE_ROWS, absolute_sums, chi2_sums, packed, smaller_sums
from classifiers.distances import (
    METRICS,
    NON_NEGATIVE,
    finished,
    lengths,
    pairwise_distances,
    prepared,
    sums_of_pairs,
)

# Numbers above this could overflow when squared and summed in float32: float64 does it all then.
LARGEST = 1e15
UNIT = 2.0**-24  # half a unit in the last place of float32
SHORTEST = 1e-100
SMALLEST = 1e-37  # an error a term that no relative bound covers: numbers below have fewer digits

# What estimates a block of queries: float32 (at least n, at least m), and the largest error of each row (n,).
Estimate = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


class NearestRows:
    """Rows made ready for many searches; safe to share between threads.

    Parameters
    ----------
    rows : float64 (m, d)
    metric : str
        A name in `METRICS`. chebyshev and minkowski are computed in float64 throughout.
    p : float
        The exponent of minkowski.
    """

    def __init__(self, rows: np.ndarray, metric: str, p: float = 2):
        self._rows, self._metric, self._p = rows, metric, p
        self._estimate: Estimate | None = None
        if metric in _ESTIMATES and _is_plain(metric, rows) and not _has_negative(metric, rows):
            self._compared = prepared(metric, rows)
            self._lengths = lengths(self._compared) if metric == "cosine" else np.empty(0)
            self._estimate = _ESTIMATES[metric](self._compared)

    @property
    def uses_blas(self) -> bool:
        """Whether estimates are matrix products."""
        return self._metric in ("euclidean", "hellinger", "cosine")

    def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Distances float64 (n, k) and rows int64 (n, k) of the k nearest rows of each query, nearest first.

        Rows that are equally far come in their order. queries : float64 (n, d).
        """
        metric = self._metric
        if self._estimate is None or not _is_plain(metric, queries) or _has_negative(metric, queries):
            return _smallest(pairwise_distances(queries, self._rows, metric, p=self._p), k)
        queries = prepared(metric, queries)
        estimates, errors = self._estimate(queries)
        estimates = estimates[: len(queries), : len(self._rows)]
        limits = np.partition(estimates, k - 1, axis=1)[:, k - 1] + 2 * errors
        starts, rows = _within(estimates, limits)
        sums = np.empty(len(rows))
        sums_of_pairs(METRICS[metric], queries, self._compared, float(self._p), starts, rows, sums)
        both = None
        if metric == "cosine":
            both = np.repeat(lengths(queries), np.diff(starts)) * self._lengths[rows]
        return _sorted(finished(metric, sums, self._p, both), rows, starts, k)


def _is_plain(metric: str, rows: np.ndarray) -> bool:
    """Whether neither float32 overflows nor, for cosine, float64 loses digits of lengths and products."""
    if not np.abs(rows).max(initial=0) < LARGEST:
        return False
    own = lengths(rows) if metric == "cosine" else np.empty(0)
    return not ((own > 0) & (own < SHORTEST)).any()


def _has_negative(metric: str, rows: np.ndarray) -> bool:
    """Whether `pairwise_distances` has something to say about these."""
    return metric in NON_NEGATIVE and bool(rows.min(initial=0) < 0)


def _smallest(distances: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    if np.isnan(distances).any():  # numbers that overflow even float64: those come last
        order = np.argsort(distances, axis=1, kind="stable")[:, :k]
        return np.take_along_axis(distances, order, axis=1), order
    limits = np.partition(distances, k - 1, axis=1)[:, k - 1]
    starts, rows = _within(distances, limits)
    return _sorted(distances[distances <= limits[:, None]], rows, starts, k)


@njit(nogil=True, cache=True)
def _within(values, limits):
    """Where each row's columns begin, and these: the ones whose value is at most the row's limit."""
    starts = np.zeros(len(values) + 1, np.int64)
    for i in range(len(values)):
        count = 0
        for j in range(values.shape[1]):
            count += values[i, j] <= limits[i]
        starts[i + 1] = starts[i] + count
    columns = np.empty(starts[-1], np.int64)
    for i in range(len(values)):
        to = starts[i]
        for j in range(values.shape[1]):
            if values[i, j] <= limits[i]:
                columns[to] = j
                to += 1
    return starts, columns


@njit(nogil=True, cache=True)
def _sorted(distances, rows, starts, k):
    """The k smallest distances of each query and their rows, equal ones in the order of rows."""
    n = len(starts) - 1
    nearest, found = np.empty((n, k)), np.empty((n, k), np.int64)
    for i in range(n):
        first = starts[i]
        own = distances[first : starts[i + 1]]
        order = np.argsort(own, kind="mergesort")[:k]
        for j in range(k):
            nearest[i, j], found[i, j] = own[order[j]], rows[first + order[j]]
    return nearest, found


def _by_tiles(kernel, sign: int, error: Callable[[int, np.ndarray, float], np.ndarray]):
    """Estimates from sums over dimensions; `error` takes d, the queries' sums and a row's largest."""

    def prepare(rows: np.ndarray) -> Estimate:
        d, table = rows.shape[1], packed(rows.astype(np.float32))
        width = -(-len(rows) // TILE_ROWS) * TILE_ROWS
        largest = float(np.abs(rows).sum(axis=1).max(initial=0))

        def estimate(queries: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            count = -(-len(queries) // QUERIES) * QUERIES
            floats = np.zeros((count, d), np.float32)
            floats[: len(queries)] = queries
            sums = np.empty((count, width), np.float32)
            kernel(floats, table, sums)
            if sign < 0:
                np.negative(sums, out=sums)
            # 1 - x in float64 does not see what is smaller than its last digit
            least = 2.0**-52 if sign < 0 else d * SMALLEST
            return sums, error(d, np.abs(queries).sum(axis=1), largest) * UNIT * 1.01 + least

        return estimate

    return prepare


def _by_product(is_cosine: bool):
    """Estimates from one matrix product: of unit vectors, or |y|^2 - 2 x.y, which is |x - y|^2 - |x|^2."""

    def prepare(rows: np.ndarray) -> Estimate:
        own, d = lengths(rows), rows.shape[1]
        if is_cosine:
            rows = _unit(rows, own)
        table = np.ascontiguousarray(rows.T, np.float32)
        squared = (own * own).astype(np.float32)
        longest = float(own.max(initial=0))

        def estimate(queries: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            length = lengths(queries)
            if is_cosine:
                products = _unit(queries, length).astype(np.float32) @ table
                return np.negative(products, out=products), np.full(len(queries), (d + 8) * UNIT)
            estimates = queries.astype(np.float32) @ table
            estimates *= np.float32(-2)
            estimates += squared
            error = (2 * d + 8) * length * longest + 3 * longest**2
            # what float64 itself leaves undecided where the rows are short beside the query
            error += d * length**2 * 2.0**-25
            return estimates, error * UNIT * 1.01 + d * SMALLEST

        return estimate

    return prepare


def _unit(rows: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Rows of length 1; zero stays zero, whose distance to anything is that of a right angle."""
    return rows / np.where(own > 0, own, 1)[:, None]


# Errors in units of `UNIT`, from the rounding of d terms and of their sum: of abs(x - y), which is at most
# |x| + |y|; of min(x, y), at most x; of (x - y)^2 / (x + y), at most x + y, after four operations.
_ESTIMATES: dict[str, Callable[[np.ndarray], Estimate]] = {
    "cityblock": _by_tiles(absolute_sums, 1, lambda d, own, largest: (d + 4) * (own + largest)),
    "intersection": _by_tiles(smaller_sums, -1, lambda d, own, largest: (d + 4) * own),
    "chi2": _by_tiles(chi2_sums, 1, lambda d, own, largest: (d + 16) * (own + largest)),
    "euclidean": _by_product(False),
    "hellinger": _by_product(False),
    "cosine": _by_product(True),
}
