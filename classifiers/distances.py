"""Distances between the rows of two matrices, block by block.

The metrics are scipy's definitions where scipy has them:

| metric | d(x, y) |
|---|---|
| cityblock | sum abs(x - y) |
| euclidean | sqrt(sum (x - y)^2) |
| chebyshev | max abs(x - y) |
| minkowski | (sum abs(x - y)^p)^(1/p), any p > 0 (no metric for p < 1, still a distance to sort by) |
| cosine | 1 - x.y / (norm x * norm y); 1 if either vector is zero |
| chi2 | 1/2 sum (x - y)^2 / (x + y), with 0/0 = 0 |
| intersection | 1 - sum min(x, y) |
| hellinger | norm(sqrt x - sqrt y) / sqrt 2 |

chi2, intersection and hellinger take non-negative values, such as histograms.
"""

import numpy as np
from numba import njit

NON_NEGATIVE = ("chi2", "intersection", "hellinger")


def pairwise_distances(
    X: np.ndarray, Y: np.ndarray, metric: str = "cityblock", *, p: float = 2
) -> np.ndarray:
    """Distances of all rows of X to all rows of Y.

    Parameters
    ----------
    X : array (n, d)
    Y : array (m, d)
    metric : str, default="cityblock"
        A name in `METRICS`.
    p : float, default=2
        The exponent of minkowski, above 0.

    Returns
    -------
    float64 (n, m)

    Raises
    ------
    ValueError
        For an unknown metric, p not above 0 or infinite, unequal widths, or negative values where a metric
        takes none. NaN is not looked for.

    Examples
    --------
    >>> pairwise_distances([[0.0, 1.0]], [[3.0, 1.0], [0.0, 0.5]])
    array([[3. , 0.5]])
    """
    X, Y = (np.ascontiguousarray(rows, np.float64) for rows in (X, Y))
    check_metric(metric, p)
    if X.ndim != 2 or Y.ndim != 2 or X.shape[1] != Y.shape[1]:
        raise ValueError(f"rows of shapes {X.shape} and {Y.shape} cannot be compared: give (n, d) and (m, d)")
    if metric in NON_NEGATIVE and min(X.min(initial=0), Y.min(initial=0)) < 0:
        raise ValueError(f"{metric} takes non-negative values only: use cityblock or another metric")
    X, Y = prepared(metric, X), prepared(metric, Y)
    out = np.empty((len(X), len(Y)))
    for start in range(0, len(Y), TILE):
        tile = Y[start : start + TILE]
        columns = np.zeros((Y.shape[1], TILE))
        columns[:, : len(tile)] = tile.T
        _accumulate(METRICS[metric], X, columns, float(p), out[:, start : start + TILE])
    both = lengths(X)[:, None] * lengths(Y) if metric == "cosine" else None
    return finished(metric, out, p, both)


def check_metric(metric: str, p: float) -> None:
    """ValueError for an unknown metric or an exponent that is not above 0."""
    if metric not in METRICS:
        raise ValueError(f"unknown metric {metric!r}: choose from {', '.join(METRICS)}")
    if metric == "minkowski" and not (np.isfinite(p) and p > 0):
        raise ValueError(f"p is {p}: minkowski takes a finite number above 0")


def prepared(metric: str, rows: np.ndarray) -> np.ndarray:
    """What the sums of a metric run over."""
    return np.sqrt(rows) if metric == "hellinger" else rows


def lengths(rows: np.ndarray) -> np.ndarray:
    """Euclidean lengths float64 (n,) of rows."""
    return np.sqrt((rows * rows).sum(axis=1))


def finished(metric: str, out: np.ndarray, p: float, both: np.ndarray | None) -> np.ndarray:
    """Distances from accumulated sums, in place; `both` are the products of the rows' lengths, for cosine."""
    if metric in ("euclidean", "hellinger"):
        np.sqrt(out, out=out)
    elif metric == "minkowski":
        np.power(out, 1 / p, out=out)
    elif metric == "chi2":
        out /= 2
    elif metric == "intersection":
        np.subtract(1, out, out=out)
    elif metric == "cosine":
        assert both is not None
        np.divide(out, both, out=out, where=both > 0)
        out[both == 0] = 0
        np.clip(np.subtract(1, out, out=out), 0, None, out=out)
    return out / np.sqrt(2) if metric == "hellinger" else out


# Rows of Y side by side in one tile: they are what the vector units work on. Each pair's own sum runs
# through the dimensions in order, without reordering, so distances have scipy's very digits on every
# processor; the last digit decides between neighbours that are equally far (in R1's table it does).
TILE = 64

CITYBLOCK, SQUARES, LARGEST, POWERS, DOT, CHI2, SMALLER = range(7)

METRICS = {
    "cityblock": CITYBLOCK,
    "euclidean": SQUARES,
    "chebyshev": LARGEST,
    "minkowski": POWERS,
    "cosine": DOT,
    "chi2": CHI2,
    "intersection": SMALLER,
    "hellinger": SQUARES,
}


@njit(nogil=True, cache=True, error_model="numpy")
def _with_term(kind, total, x, y, p):
    """The sum of a metric with one more dimension."""
    if kind == CITYBLOCK:
        return total + abs(x - y)
    if kind == SQUARES:
        return total + (x - y) * (x - y)
    if kind == LARGEST:
        return max(total, abs(x - y))
    if kind == POWERS:
        return total + abs(x - y) ** p
    if kind == DOT:
        return total + x * y
    if kind == CHI2:
        both = x + y
        return total + (x - y) * (x - y) / (both if both > 0 else 1.0)
    return total + (x if x < y else y)


@njit(nogil=True, cache=True, error_model="numpy")
def _accumulate(kind, X, columns, p, out):
    """out[i, j] = the metric's sum over dimensions for row i of X and column j of the tile."""
    sums = np.empty(TILE)
    for i in range(X.shape[0]):
        sums[:] = 0.0
        for k in range(X.shape[1]):
            x, column = X[i, k], columns[k]
            # a loop a metric: with the metric as a constant each becomes vector code
            if kind == CITYBLOCK:
                for j in range(TILE):
                    sums[j] = _with_term(CITYBLOCK, sums[j], x, column[j], p)
            elif kind == SQUARES:
                for j in range(TILE):
                    sums[j] = _with_term(SQUARES, sums[j], x, column[j], p)
            elif kind == LARGEST:
                for j in range(TILE):
                    sums[j] = _with_term(LARGEST, sums[j], x, column[j], p)
            elif kind == POWERS:
                for j in range(TILE):
                    sums[j] = _with_term(POWERS, sums[j], x, column[j], p)
            elif kind == DOT:
                for j in range(TILE):
                    sums[j] = _with_term(DOT, sums[j], x, column[j], p)
            elif kind == CHI2:
                for j in range(TILE):
                    sums[j] = _with_term(CHI2, sums[j], x, column[j], p)
            else:
                for j in range(TILE):
                    sums[j] = _with_term(SMALLER, sums[j], x, column[j], p)
        for j in range(out.shape[1]):
            out[i, j] = sums[j]


@njit(nogil=True, cache=True, error_model="numpy")
def sums_of_pairs(kind, X, Y, p, starts, rows, out):
    """out[c] = the metric's sum for rows i of X and rows[c] of Y, for all c in starts[i]..starts[i + 1]."""
    for i in range(X.shape[0]):
        for c in range(starts[i], starts[i + 1]):
            total = 0.0
            for k in range(X.shape[1]):
                total = _with_term(kind, total, X[i, k], Y[rows[c], k], p)
            out[c] = total
