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

import threading

import numpy as np
from numba import njit

from features import _products, _vnni
from features._lanes import LANES, least_of, places_within

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

# Rows beyond a block that the bounds may write, to fill their tiles.
SPARE_ROWS = max(_vnni.DESCRIPTORS, _products.ROWS)
_ROWS = _products.ROWS

UNIT = 2.0**-24  # half a unit in the last place of float32
SMALLEST = 1e-35  # products below about this lose digits in float32,
LARGEST = 1e37  # and sums above about this overflow


def assign(descriptors: np.ndarray, words: np.ndarray) -> np.ndarray:
    """The index of the nearest word (Euclidean) of each descriptor, ties to the smaller index.

    Parameters
    ----------
    descriptors : uint8 or float array (n, d)
    words : float array (K, d)
        Both are taken as float32 (uint8 as it is); of these numbers the answer is exact.

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
        Taken as float32.

    Raises
    ------
    ValueError
        As `assign`, for words here and for descriptors there.
    """

    def __init__(self, words: np.ndarray):
        words = np.asarray(words)
        if words.ndim != 2 or 0 in words.shape or not np.issubdtype(words.dtype, np.number):
            raise ValueError(f"words are numbers (K, d) with K, d >= 1, not {words.dtype} {words.shape}")
        self.words = np.ascontiguousarray(words, np.float32)
        if not np.isfinite(self.words).all():
            raise ValueError("the words hold NaN or infinite values: build the vocabulary anew")
        squared = squared_lengths(self.words)
        self._kept = threading.local()
        self._projected = _ProjectedBound(self.words, squared)
        eight_bit = _vnni.available() and self.words.shape[1] % 4 == 0
        self._eight_bit = _EightBitBound(self.words, squared) if eight_bit else None

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
        bound.search(np.ascontiguousarray(descriptors), nearest, self._scratch_of(bound))
        return nearest

    def _scratch_of(self, bound) -> tuple[np.ndarray, ...]:
        """Arrays for a block, kept for each thread: memory that was touched before costs nothing."""
        kept = self._kept.__dict__
        if bound not in kept.setdefault("scratch", {}):
            rows = max(16, BLOCK_BOUNDS // bound.width) + SPARE_ROWS
            kept["scratch"][bound] = tuple(np.zeros((rows, width), dtype) for width, dtype in bound.scratch)
        return kept["scratch"][bound]


class _ProjectedBound:
    """Bounds float32 from the words' leading directions."""

    def __init__(self, words: np.ndarray, squared: np.ndarray):
        self._words, self._squared, self._margin = words, squared, _margin_of(words)
        # rounded to float32 first: descriptors and words must be centred by the very same numbers
        self._mean = words.mean(axis=0, dtype=np.float64).astype(np.float32)
        centred = words - self._mean.astype(np.float64)
        directions = _leading_directions(centred)
        table, self._longest = _bound_table(centred, directions)
        self._directions, self._table = _products.packed(directions), _products.packed(table)
        self._kept, self.width = directions.shape[1], _products.whole_tiles(len(words))
        # bounds, centred descriptors, and their coordinates with what the directions leave and 1
        self.scratch = [(width, np.float32) for width in (self.width, words.shape[1], len(table))]

    def search(self, descriptors: np.ndarray, nearest: np.ndarray, scratch) -> None:
        """Write the nearest word of each descriptor."""
        _search_by_projection(
            descriptors, self._mean, self._directions, self._kept, self._table, self._longest, self._margin,
            *scratch, self._words, self._squared, nearest,
        )  # fmt: skip


class _EightBitBound:
    """Bounds int32 from words rounded to 8 bits."""

    def __init__(self, words: np.ndarray, squared: np.ndarray):
        self._words, self._squared, self._margin = words, squared, _margin_of(words)
        self._mean = words.astype(np.float64).mean(axis=0)
        centred = words - self._mean
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
        self.scratch = [(self.width, np.int32)]

    def search(self, descriptors: np.ndarray, nearest: np.ndarray, scratch) -> None:
        """Write the nearest word of each descriptor."""
        _search_by_eight_bits(
            descriptors, self._mean, self._table, self._bias, self._rest / self._sigma,
            1 / (2 * self._sigma), self._margin, *scratch, self._words, self._squared, nearest,
        )  # fmt: skip


def _margin_of(words: np.ndarray) -> tuple[float, float, float]:
    """What `_margins` needs to know of the words."""
    words = words.astype(np.float64)
    longest = float(np.sqrt((words**2).sum(axis=1).max()))
    mean = float(np.sqrt((words.mean(axis=0) ** 2).sum()))
    return 2 * (words.shape[1] + 8) * UNIT, longest, mean + longest


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
    # a row for each column that a projection fills, those of the last tile among them
    rows = max(kept + 2, _products.whole_tiles(kept))
    table = np.zeros((rows, _products.whole_tiles(count)), np.float32)
    table[:kept, :count] = -2 * coordinates.T
    table[kept, :count] = -2 * rest
    table[kept + 1] = np.float32(np.finfo(np.float32).max / 4)  # padding words are never near
    table[kept + 1, :count] = squared
    return table, float(np.sqrt(squared.max()))


@njit(nogil=True, cache=True, error_model="numpy")
def _search_by_projection(descriptors, mean, directions, kept, table, longest, margin, bounds, centred,
                          factors, words, squared, nearest):  # fmt: skip
    """Blocks of descriptors, one after the other; `bounds`, `centred` and `factors` are scratch."""
    exact_mean = mean.astype(np.float64)
    centre = quick_dot(mean, exact_mean)
    rows = bounds.shape[0] - SPARE_ROWS
    for start in range(0, descriptors.shape[0], rows):
        block = descriptors[start : start + rows]
        for i in range(block.shape[0]):
            for k in range(block.shape[1]):
                centred[i, k] = np.float32(block[i, k]) - mean[k]
        whole = -(-block.shape[0] // _ROWS) * _ROWS
        _products.product(centred[:whole], directions, factors)
        slack = _complete_factors(centred[: block.shape[0]], factors, kept, longest)
        _products.product(factors[:whole], table, bounds)
        constant, length = _mean_products(block, exact_mean)
        margins = _margins(length, margin)
        _decide(block, bounds, constant - centre, slack, margins, 1.0, False, words, squared,
                nearest[start : start + rows])  # fmt: skip


@njit(nogil=True, cache=True, error_model="numpy")
def _search_by_eight_bits(
    descriptors, mean, table, bias, rest, scale, margin, bounds, words, squared, nearest
):
    """Blocks of descriptors, one after the other; `bounds` is scratch."""
    rows = bounds.shape[0] - SPARE_ROWS
    for start in range(0, descriptors.shape[0], rows):
        block = descriptors[start : start + rows]
        _vnni.dot_scores(block, table, bias, bounds)
        constant, length = _mean_products(block, mean)
        # 2 |x'| |f|, over 2 sigma; one for the rounding of the bias, one for that of the limit
        slack = length * rest + 2
        margins = _margins(length, margin)
        _decide(block, bounds, constant, slack, margins, scale, True, words, squared,
                nearest[start : start + rows])  # fmt: skip


@njit(nogil=True, cache=True, error_model="numpy")
def _margins(length, margin):
    """More than ``|w|^2 - 2 x.w`` in float32 can be off, in any order of sums, from lengths |x - mean|.

    Infinite where float32 could overflow: everything is then decided in float64.
    """
    terms, longest, beyond = margin
    margins = np.empty(length.shape[0])
    for i in range(length.shape[0]):
        size = longest * (length[i] + beyond)
        margins[i] = terms * size + SMALLEST if size < LARGEST else np.inf
    return margins


@njit(nogil=True, cache=True, fastmath={"reassoc", "contract"}, error_model="numpy")
def _complete_factors(centred, factors, kept, longest):
    """Fill the two columns after the projection (what it leaves, 1); returns the slack of each bound."""
    n, d = centred.shape
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


@njit(nogil=True, cache=True, fastmath={"reassoc", "contract"}, error_model="numpy")
def _rough_score(x, w, squared):
    """|w|^2 - 2 x.w in float32, in whatever order is fast."""
    total = np.float32(0)
    for k in range(x.shape[0]):
        total += x[k] * w[k]
    return np.float64(squared) - 2 * np.float64(total)


@njit(nogil=True, cache=True, error_model="numpy")
def _is_nearer(x, words, squared, word, best):
    """Whether `word` beats `best`: by quick scores where these are clear, else by the fixed order."""
    score = squared[word] - 2 * quick_dot(x, words[word])
    best_score = squared[best] - 2 * quick_dot(x, words[best])
    # |x|^2 + |w|^2 bounds the sum of the terms' absolute values
    if abs(score - best_score) > NEAR_TIE * (quick_dot(x, x) + squared[word] + squared[best]):
        return score < best_score
    score = squared[word] - 2 * dot(x, words[word])
    best_score = squared[best] - 2 * dot(x, words[best])
    return score < best_score or (score == best_score and word < best)


@njit(nogil=True, cache=True, error_model="numpy")
def _decide(block, bounds, constant, slack, margin, scale, holds_above, words, squared, nearest):
    """The nearest word of each row: evaluate every word whose bound allows it.

    In float32 first; what that leaves open goes to float64.
    """
    count = words.shape[0]
    places, x = np.empty(bounds.shape[1], np.int32), np.empty(block.shape[1], np.float32)
    for i in range(block.shape[0]):
        row = bounds[i]
        least = least_of(row)
        if holds_above:
            # the nearest word's own bound is no further from the least one than both can be off
            found = places_within(row, least + 2 * slack[i], places)
            if found == 1:
                nearest[i] = places[0]
                continue
        for k in range(block.shape[1]):
            x[k] = block[i, k]
        if not holds_above:
            places_within(row, np.float64(least), places)
        # padding may come first where the bounds of all words overflow
        best = places[0] if places[0] < count else 0
        score = _rough_score(x, words[best], squared[best])
        limit = (score + margin[i] + constant[i]) * scale + slack[i]
        if not holds_above:
            found = places_within(row, limit, places)
        for place in range(found):
            k = places[place]
            if row[k] > limit or k == best or k >= count:
                continue
            other = _rough_score(x, words[k], squared[k])
            if other > score + 2 * margin[i]:
                continue
            if other < score - 2 * margin[i] or _is_nearer(x, words, squared, k, best):
                best, score = k, other
                limit = (score + margin[i] + constant[i]) * scale + slack[i]
        nearest[i] = best
