"""Exact nearest word: which of K words lies closest to each descriptor.

The brute-force way computes all ``|w|^2 - 2 x.w``. Here a cheap lower bound of that score is computed for
all words, and only the few words whose bound does not rule them out are evaluated in full, in float64
and in a fixed order. So the answer is that of float64 brute force on any processor, whichever bound was
used; ties go to the smaller index. With mu the mean of the words, x' = x - mu and w' = w - mu:

- *Projected bound*, in float32, for any descriptors on any processor. Let p be the coordinates of a
  vector along the top r right singular vectors of the centred words and rho the length of what is left.
  Then ``|w'|^2 - 2 x'.w' >= |w'|^2 - 2 (p_x . p_w + rho_x rho_w)``: one matrix product with r + 2 columns
  instead of 128.
- *8-bit bound*, for uint8 descriptors where the processor multiplies 8-bit numbers. ``w' = sigma q + f`` with
  q in -127..127; then ``x.q`` is whole, and the rest is at most ``2 |x'| |f|``.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit

from features import _vnni
from features._lanes import LANES, lane_minima

# Leading directions kept by the projected bound. 30 of 128 hold about 92 % of the variance of 400 SIFT
# words; fewer leave too many words to evaluate, more make the product dearer.
DIRECTIONS = 30

# Bounds of one block of descriptors: 2^18 numbers of 4 bytes stay in the cache of one core.
BLOCK_BOUNDS = 1 << 18

# Scores that differ by less than this share of their terms are compared in a fixed order: far above the
# rounding of a float64 sum of 128 (or 10,000) terms, far below any difference that is not a tie.
NEAR_TIE = 1e-11

# Columns of 8-bit bounds come in whole tiles and whole rows of lanes.
TILE = int(np.lcm(_vnni.TILE_WORDS, LANES))

UNIT = 2.0**-24  # half a unit in the last place of float32
SMALLEST = 1e-35  # products below about this lose digits in float32


def assign(descriptors: np.ndarray, words: np.ndarray) -> np.ndarray:
    """The index of the nearest word (Euclidean) of each descriptor, ties to the smaller index.

    Parameters
    ----------
    descriptors : uint8 or float array (n, d)
    words : float array (K, d)
        Taken as float32.

    Returns
    -------
    int32 (n,)

    Raises
    ------
    ValueError
        For other shapes, no words, unequal lengths, NaN or infinite values.

    Examples
    --------
    >>> assign(np.array([[0, 9], [5, 5]], np.uint8), np.array([[0.0, 10.0], [10.0, 0.0]]))
    array([0, 0], dtype=int32)
    """
    return NearestWord(words).assign(descriptors)


class NearestWord:
    """Words made ready for many calls of `assign`; safe to share between threads.

    Parameters
    ----------
    words : float array (K, d), K >= 1
    """

    def __init__(self, words: np.ndarray):
        words = np.asarray(words)
        if words.ndim != 2 or 0 in words.shape or not np.issubdtype(words.dtype, np.number):
            raise ValueError(f"words are numbers (K, d) with K, d >= 1, not {words.dtype} {words.shape}")
        self.words = np.ascontiguousarray(words, np.float32)
        if not np.isfinite(self.words).all():
            raise ValueError("the words hold NaN or infinite values: build the vocabulary anew")
        self._squared = squared_lengths(self.words)
        self._projected = _ProjectedBound(self.words)
        eight_bit = _vnni.available() and self.words.shape[1] % 4 == 0
        self._eight_bit = _EightBitBound(self.words) if eight_bit else None

    def assign(self, descriptors: np.ndarray) -> np.ndarray:
        """See the function `assign`."""
        descriptors = np.asarray(descriptors)
        if descriptors.ndim != 2 or descriptors.shape[1] != self.words.shape[1]:
            raise ValueError(
                f"descriptors of shape {descriptors.shape} do not fit {self.words.shape[1]}-d words: "
                "use the vocabulary of these descriptors"
            )
        if descriptors.dtype != np.uint8:
            descriptors = np.ascontiguousarray(descriptors, np.float32)
            if not np.isfinite(descriptors).all():
                raise ValueError("the descriptors hold NaN or infinite values: leave those rows out")
        bound = self._eight_bit if descriptors.dtype == np.uint8 and self._eight_bit else self._projected
        nearest = np.empty(len(descriptors), np.int32)
        rows = max(16, BLOCK_BOUNDS // bound.width)
        for start in range(0, len(descriptors), rows):
            block = np.ascontiguousarray(descriptors[start : start + rows])
            bounds, limits = bound(block)
            _decide(
                block, bounds, limits.constant, limits.slack, limits.scale, self.words, self._squared,
                nearest[start : start + rows],
            )  # fmt: skip
        return nearest


@dataclass(frozen=True)
class _Limits:
    """How bounds relate to scores: bound <= (score + constant) * scale + slack, for each row."""

    constant: np.ndarray
    slack: np.ndarray
    scale: float


class _ProjectedBound:
    """Bounds float32 (n, K padded) from the words' leading directions."""

    def __init__(self, words: np.ndarray):
        # rounded to float32 first: descriptors and words must be centred by the very same numbers
        self._mean = words.mean(axis=0, dtype=np.float64).astype(np.float32).astype(np.float64)
        centred = words - self._mean
        self._directions = _leading_directions(centred)
        self._table, self._longest = _bound_table(centred, self._directions)
        self.width = self._table.shape[1]

    def __call__(self, block: np.ndarray) -> tuple[np.ndarray, _Limits]:
        kept = self._directions.shape[1]
        centred = np.subtract(block, self._mean.astype(np.float32), dtype=np.float32)
        factors = np.empty((len(block), kept + 2), np.float32)
        np.matmul(centred, self._directions, out=factors[:, :kept])
        slack = _complete_factors(centred, factors, self._longest)
        constant, _ = _mean_products(block, self._mean)
        return factors @ self._table, _Limits(constant - self._mean @ self._mean, slack, 1.0)


class _EightBitBound:
    """Bounds int32 (n, K padded) from words rounded to 8 bits."""

    def __init__(self, words: np.ndarray):
        self._mean = words.astype(np.float64).mean(axis=0)
        centred = words - self._mean
        squared = (words.astype(np.float64) ** 2).sum(axis=1)
        # at least so large that the bias of words that hardly differ fits 32 bits
        self._sigma = max(float(np.abs(centred).max()) / 127, float(squared.max()) * 2.0**-29, 1e-6)
        rounded = np.rint(centred / self._sigma)
        rest = centred - self._sigma * rounded
        self._rest = float(np.sqrt((rest**2).sum(axis=1).max()))
        count = len(words)
        self.width = -(-count // TILE) * TILE
        table = np.zeros((self.width, words.shape[1]), np.int8)
        table[:count] = -rounded
        self._table = _vnni.tiled(table)
        self._bias = np.full(self.width, 1 << 30, np.int32)  # padding words are never near
        self._bias[:count] = np.rint((squared - 2 * rest @ self._mean) / (2 * self._sigma))

    def __call__(self, block: np.ndarray) -> tuple[np.ndarray, _Limits]:
        bounds = np.empty((len(block) + _vnni.DESCRIPTORS, self.width), np.int32)
        _vnni.dot_scores(block, self._table, self._bias, bounds)
        constant, length = _mean_products(block, self._mean)
        # 2 |x'| |f|, over 2 sigma; one for the rounding of the bias, one for that of the limit
        return bounds, _Limits(constant, length * (self._rest / self._sigma) + 2, 1 / (2 * self._sigma))


def _leading_directions(centred: np.ndarray) -> np.ndarray:
    """Orthonormal columns (d, r) that hold most of the centred words."""
    kept = min(DIRECTIONS, *centred.shape)
    return np.ascontiguousarray(np.linalg.svd(centred, full_matrices=False)[2][:kept].T, np.float32)


def _bound_table(centred: np.ndarray, directions: np.ndarray) -> tuple[np.ndarray, float]:
    """The right factor (r + 2, K padded) of the bounds, and the length of the longest centred word."""
    coordinates = centred @ directions.astype(np.float64)
    squared = (centred**2).sum(axis=1)
    rest = np.sqrt(np.maximum(squared - (coordinates**2).sum(axis=1), 0) + 4 * UNIT * squared)
    count, kept = coordinates.shape
    table = np.zeros((kept + 2, -(-count // LANES) * LANES), np.float32)
    table[:kept, :count] = -2 * coordinates.T
    table[kept, :count] = -2 * rest
    table[kept + 1] = np.float32(np.finfo(np.float32).max / 4)  # padding words are never near
    table[kept + 1, :count] = squared
    return table, float(np.sqrt(squared.max()))


@njit(nogil=True, cache=True, fastmath={"reassoc", "contract"}, error_model="numpy")
def _complete_factors(centred, factors, longest):
    """Fill the last two columns (what the directions leave, 1); returns the slack of each row's bounds."""
    n, kept, d = factors.shape[0], factors.shape[1] - 2, centred.shape[1]
    slack = np.empty(n)
    unit = np.float32(UNIT)
    for i in range(n):
        length = np.float32(0)
        for k in range(d):
            length += centred[i, k] * centred[i, k]
        inside = np.float32(0)
        for k in range(kept):
            inside += factors[i, k] * factors[i, k]
        rest = max(length - inside, np.float32(0)) + np.float32(4 * d) * unit * length
        factors[i, kept], factors[i, kept + 1] = np.sqrt(rest), np.float32(1)
        # Rounding of the projection (d terms a coordinate) and of the product, both generously.
        terms = 4 * d * np.sqrt(kept) + 64
        slack[i] = terms * UNIT * longest * (2 * np.sqrt(length) + longest) + SMALLEST
    return slack


@njit(nogil=True, cache=True, fastmath={"reassoc", "contract"}, error_model="numpy")
def _mean_products(block, mean):
    """Of each row x: 2 x . mean and an upper bound of |x - mean|, float64; only limits depend on them."""
    n, d = block.shape
    products, lengths = np.empty(n), np.empty(n)
    for i in range(n):
        product, length = 0.0, 0.0
        for k in range(d):
            value = np.float64(block[i, k])
            product += value * mean[k]
            length += (value - mean[k]) * (value - mean[k])
        products[i], lengths[i] = 2 * product, np.sqrt(length) * (1 + 1e-9)
    return products, lengths


@njit(nogil=True, cache=True, error_model="numpy")
def dot(x, w):
    """x . w in float64, added in one fixed order whatever the processor (eight interleaved sums)."""
    s0 = s1 = s2 = s3 = s4 = s5 = s6 = s7 = 0.0
    whole = x.shape[0] // 8 * 8
    for k in range(0, whole, 8):
        s0 += np.float64(x[k]) * np.float64(w[k])
        s1 += np.float64(x[k + 1]) * np.float64(w[k + 1])
        s2 += np.float64(x[k + 2]) * np.float64(w[k + 2])
        s3 += np.float64(x[k + 3]) * np.float64(w[k + 3])
        s4 += np.float64(x[k + 4]) * np.float64(w[k + 4])
        s5 += np.float64(x[k + 5]) * np.float64(w[k + 5])
        s6 += np.float64(x[k + 6]) * np.float64(w[k + 6])
        s7 += np.float64(x[k + 7]) * np.float64(w[k + 7])
    for k in range(whole, x.shape[0]):
        s0 += np.float64(x[k]) * np.float64(w[k])
    return ((s0 + s4) + (s1 + s5)) + ((s2 + s6) + (s3 + s7))


@njit(nogil=True, cache=True, error_model="numpy")
def squared_lengths(words):
    squared = np.empty(words.shape[0], np.float64)
    for k in range(words.shape[0]):
        squared[k] = dot(words[k], words[k])
    return squared


@njit(nogil=True, cache=True, fastmath={"reassoc", "contract"}, error_model="numpy")
def quick_dot(x, w):
    """x . w in float64, in whatever order is fast."""
    total = 0.0
    for k in range(x.shape[0]):
        total += np.float64(x[k]) * np.float64(w[k])
    return total


@njit(nogil=True, cache=True, error_model="numpy")
def _is_nearer(x, words, squared, word, score, best, best_score):
    """Whether `word` beats `best`: by quick scores where these are clear, else by the fixed order."""
    # |x|^2 + |w|^2 bounds the sum of the terms' absolute values
    if abs(score - best_score) > NEAR_TIE * (quick_dot(x, x) + squared[word] + squared[best]):
        return score < best_score
    score = squared[word] - 2 * dot(x, words[word])
    best_score = squared[best] - 2 * dot(x, words[best])
    return score < best_score or (score == best_score and word < best)


@njit(nogil=True, cache=True, error_model="numpy")
def _decide(block, bounds, constant, slack, scale, words, squared, nearest):
    """The nearest word of each row: evaluate in float64 every word whose bound allows it."""
    padded, count = bounds.shape[1], words.shape[0]
    lanes = np.empty(LANES, bounds.dtype)
    for i in range(block.shape[0]):
        row, x = bounds[i], block[i]
        lane_minima(row, lanes)
        best = _first_guess(row, lanes, count)
        score = squared[best] - 2 * quick_dot(x, words[best])
        limit = (score + constant[i]) * scale + slack[i]
        for lane in range(LANES):
            if lanes[lane] > limit:
                continue
            for k in range(lane, padded, LANES):
                if row[k] > limit or k == best or k >= count:
                    continue
                other = squared[k] - 2 * quick_dot(x, words[k])
                if _is_nearer(x, words, squared, k, other, best, score):
                    best, score = k, other
                    limit = (score + constant[i]) * scale + slack[i]
        nearest[i] = best


@njit(nogil=True, cache=True, error_model="numpy")
def _first_guess(row, lanes, count):
    """The word with the least bound."""
    lane = 0
    for other in range(1, LANES):
        if lanes[other] < lanes[lane]:
            lane = other
    for k in range(lane, count, LANES):
        if row[k] == lanes[lane]:
            return k
    return 0
