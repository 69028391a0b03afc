"""k-means for visual words: a seeded k-means++ start and Lloyd's iterations, whatever the threads.

Every decision is made in float64 in a fixed order: distances of the start, nearest words
(`features.assignment`) and sums over fixed blocks of rows that are added in row order. For uint8
descriptors the sums are whole numbers and exact anyway.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
from joblib import effective_n_jobs
from numba import njit
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from features.assignment import NearestWord, dot, quick_dot, squared_lengths

# Rows a thread takes at a time. Part of the result's definition for float descriptors (the order of
# the sums), so it does not depend on the number of threads.
BLOCK_ROWS = 8192

# The start looks at no more than this many rows a word; Lloyd's iterations see all.
START_ROWS_PER_WORD = 64


@dataclass(frozen=True)
class Clustering:
    """words : float32 (K, d). inertia : sum of squared distances to the nearest word. iterations : int."""

    words: np.ndarray
    inertia: float
    iterations: int


def kmeans(
    points: np.ndarray,
    n_words: int,
    *,
    random_state: int = 0,
    max_iterations: int = 200,
    tolerance: float = 1e-6,
    n_jobs: int | None = None,
) -> Clustering:
    """Cluster descriptors into words.

    Parameters
    ----------
    points : uint8 or float32 (n, d), n >= n_words
    n_words : int
    random_state : int
        Seed of the start.
    max_iterations, tolerance
        Stop after so many iterations, when no point changes its word, or when the inertia falls by
        less than `tolerance` of itself. A word that loses all its points moves to the point farthest
        from its word.
    n_jobs : int or None
        Threads; None means all cores. Words do not depend on it.

    Raises
    ------
    ValueError
        If there are fewer points than words.

    References
    ----------
    Arthur and Vassilvitskii, "k-means++: the advantages of careful seeding", SODA 2007; with several
    candidates a step, as scikit-learn does.
    """
    if not 1 <= n_words <= len(points):
        raise ValueError(
            f"{n_words} words need at least as many descriptors, the sample has {len(points)}: "
            "ask for fewer words (--vocab-size) or give more images"
        )
    # numba's cached kernels are compiled for both types once; anything else becomes float32
    points = np.ascontiguousarray(points if points.dtype == np.uint8 else points.astype(np.float32))
    rng = np.random.default_rng(random_state)
    # Steps last milliseconds: a plain pool of threads hands them out faster than joblib does.
    with (
        threadpool_limits(limits=1, user_api="blas"),
        ThreadPoolExecutor(effective_n_jobs(n_jobs or -1)) as pool,
    ):
        words = _plus_plus(points, n_words, rng, pool)
        return _lloyd(points, words, max_iterations, tolerance, pool)


def _lloyd(points, words, max_iterations, tolerance, pool) -> Clustering:
    nearest = np.full(len(points), -1, np.int32)
    inertia = np.inf
    # one look more than there are moves, so that the inertia is that of the words returned
    bar = tqdm(range(max_iterations + 1), desc="k-means", unit=" iterations", disable=None, leave=False)
    for iterations in bar:
        step = partial(_assign_and_sum, finder=NearestWord(words))
        blocks = list(pool.map(step, (points[rows] for rows in _row_blocks(points))))
        found = np.concatenate([block[0] for block in blocks])
        distances = np.concatenate([block[1] for block in blocks])
        previous, inertia = inertia, float(sum(float(block[1].sum()) for block in blocks))
        settled = np.array_equal(found, nearest) or previous - inertia <= tolerance * inertia
        if settled or iterations == max_iterations:
            break
        nearest = found
        counts, sums = sum(block[2] for block in blocks), sum(block[3] for block in blocks)
        words = _move(words, counts, sums, points, distances)
    bar.close()
    return Clustering(words, inertia, iterations)


def _move(words, counts, sums, points, distances) -> np.ndarray:
    """The mean of each word's points; words without points go to the points farthest from theirs."""
    words = words.copy()
    held = counts > 0
    words[held] = (sums[held] / counts[held, None]).astype(np.float32)
    empty = np.flatnonzero(~held)
    if len(empty):
        farthest = np.argsort(-distances, kind="stable")[: len(empty)]
        words[empty] = points[farthest]
    return words


def _assign_and_sum(block: np.ndarray, finder: NearestWord):
    """Nearest words of a block, squared distances, and count and sum of each word's points (float64)."""
    nearest = finder.assign(block)
    distances, counts = np.empty(len(block)), np.zeros(len(finder.words))
    sums = np.zeros(finder.words.shape)
    _sum_by_word(block, nearest, finder.words, distances, counts, sums)
    return nearest, distances, counts, sums


@njit(nogil=True, cache=True)
def _sum_by_word(block, nearest, words, distances, counts, sums):
    for i in range(block.shape[0]):
        word = nearest[i]
        counts[word] += 1
        total = 0.0
        for k in range(block.shape[1]):
            value = np.float64(block[i, k])
            sums[word, k] += value
            difference = value - np.float64(words[word, k])
            total += difference * difference
        distances[i] = total


def _plus_plus(points, n_words, rng, pool) -> np.ndarray:
    """Greedy k-means++: each new word is the best of a few points drawn by squared distance."""
    if len(points) > START_ROWS_PER_WORD * n_words:
        rows = rng.choice(len(points), START_ROWS_PER_WORD * n_words, replace=False)
        points = points[np.sort(rows)]
    candidates = 2 + int(np.log(n_words))
    words = np.empty((n_words, points.shape[1]), np.float32)
    chosen = int(rng.integers(len(points)))
    words[0] = points[chosen]
    squared = squared_lengths(points)
    closest = _distances_to(points, squared, points[chosen : chosen + 1], pool)[0]
    for word in tqdm(range(1, n_words), desc="k-means++", unit=" words", disable=None, leave=False):
        drawn = np.searchsorted(np.cumsum(closest), rng.random(candidates) * closest.sum())
        drawn = np.minimum(drawn, len(points) - 1)
        distances = np.minimum(_distances_to(points, squared, points[drawn], pool), closest)
        best = int(np.argmin(distances.sum(axis=1)))
        words[word], closest = points[drawn[best]], distances[best]
    return words


def _distances_to(points, squared, centres, pool) -> np.ndarray:
    """Squared distances, float64 (centres, points)."""
    out = np.empty((len(centres), len(points)))
    own = squared_lengths(centres)
    # sums of products of 8-bit numbers are whole and exact in any order, so the fast one will do
    kernel = _squared_distances_whole if points.dtype == np.uint8 else _squared_distances

    def measure(rows: slice) -> None:
        kernel(points[rows], squared[rows], centres, own, out[:, rows])

    list(pool.map(measure, _row_blocks(points)))
    return out


def _row_blocks(points: np.ndarray) -> list[slice]:
    return [slice(i, i + BLOCK_ROWS) for i in range(0, len(points), BLOCK_ROWS)]


@njit(nogil=True, cache=True)
def _squared_distances(points, squared, centres, own, out):
    for i in range(points.shape[0]):
        for j in range(centres.shape[0]):
            out[j, i] = max(squared[i] - 2 * dot(points[i], centres[j]) + own[j], 0.0)


@njit(nogil=True, cache=True)
def _squared_distances_whole(points, squared, centres, own, out):
    for i in range(points.shape[0]):
        for j in range(centres.shape[0]):
            out[j, i] = max(squared[i] - 2 * quick_dot(points[i], centres[j]) + own[j], 0.0)
