"""Bags of visual words: an image as the histogram of the words nearest to its dense SIFT descriptors."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from os import PathLike

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from features._images import check_several, image_pair, parallel_rows
from features.assignment import NearestWord
from features.dense_sift import check_device, descriptor_blocks, enlarged_to_frame, torch_device
from features.vocabulary import Vocabulary
from scenes.reading import read_grey

# Images that the torch back end takes at a time, and as many again are read ahead: decoded, they are what
# its memory holds.
BATCH_IMAGES = 64

# Each takes the share of descriptors per word, (n, K), which sums to 1 a row.
HISTOGRAM_NORMS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "none": lambda shares: shares,
    "l1": lambda shares: shares / shares.sum(axis=1, keepdims=True),
    "l2": lambda shares: shares / np.sqrt((shares**2).sum(axis=1, keepdims=True)),
    "hellinger": np.sqrt,
}


@dataclass(frozen=True)
class WordCounts:
    """How often each word is nearest in one image: int64 (K,), and whether it had to be enlarged."""

    counts: np.ndarray
    enlarged: bool


class BagOfWords(TransformerMixin, BaseEstimator):
    """Images to histograms of visual words.

    Each descriptor counts for its nearest word (exactly; ties to the smaller index); counts are
    divided by their sum, then normed. Images are read, described and counted in a stream on all
    cores: with their number only the histograms grow, and of an image no more than one block of
    descriptors is kept at a time (by the compiled loops; see `descriptor_blocks`).

    Parameters
    ----------
    vocabulary : Vocabulary, path or None
        None: `fit` builds one from its images.
    n_words, vocab_step, descriptors_per_image, random_state
        Of the vocabulary that `fit` builds; see `Vocabulary.fit`.
    step, bin_size, window, dtype, backend, device
        Of the descriptors; see `dense_sift`. The torch back end counts on its device too, many images at
        once; its vocabulary is that of the compiled loops, whose descriptors it makes.
    norm : {"none", "l1", "l2", "hellinger"}, default="none"
        What is done to the shares: nothing, divide by the sum (again) or by the Euclidean length, or
        take the square root.
    max_side, resize
        See `scenes.read_grey`. An image too small for one descriptor is enlarged until it holds one.
    n_jobs : int or None
        Threads; None means all cores. The result does not depend on it.

    Attributes
    ----------
    vocabulary_ : Vocabulary

    Raises
    ------
    ValueError
        From `fit`, `transform` and `iter_counts`: a vocabulary of other descriptors, an unknown norm or a
        setting that `dense_sift` refuses, an image that cannot be read (`OSError` where there is none), a
        single image in place of several.

    Examples
    --------
    >>> import numpy as np
    >>> noise = np.random.default_rng(0).integers(0, 256, (3, 40, 40)).astype(np.uint8)
    >>> bags = BagOfWords(n_words=4).fit_transform(list(noise))
    >>> bags.shape, bags.dtype, bool(np.allclose(bags.sum(axis=1), 1))
    ((3, 4), dtype('float32'), True)
    """

    def __init__(
        self,
        vocabulary=None,
        *,
        n_words=400,
        step=1,
        vocab_step=None,
        bin_size=3,
        window="flat",
        dtype="uint8",
        descriptors_per_image=100,
        norm="none",
        backend="numba",
        device=None,
        max_side=480,
        resize=None,
        random_state=0,
        n_jobs=None,
    ):
        self.vocabulary = vocabulary
        self.n_words = n_words
        self.step = step
        self.vocab_step = vocab_step
        self.bin_size = bin_size
        self.window = window
        self.dtype = dtype
        self.descriptors_per_image = descriptors_per_image
        self.norm = norm
        self.backend = backend
        self.device = device
        self.max_side = max_side
        self.resize = resize
        self.random_state = random_state
        self.n_jobs = n_jobs

    def fit(self, images: Sequence, y=None) -> "BagOfWords":
        """Build the vocabulary from images (paths or arrays), or take and check the given one."""
        _check_norm(self.norm)
        check_device(self.backend, self.device)
        if self.vocabulary is None:
            self.vocabulary_ = Vocabulary.fit(images, **self._vocabulary_settings(), n_jobs=self.n_jobs)
        else:
            given = self.vocabulary
            self.vocabulary_ = Vocabulary.load(given) if isinstance(given, (str, PathLike)) else given
            self.vocabulary_.check_fits(
                bin_size=self.bin_size, window=self.window, dtype=self.dtype, backend=self.backend
            )
        return self

    def transform(self, images: Sequence) -> np.ndarray:
        """Histograms of images: float32 (n, K)."""
        check_is_fitted(self)
        _check_norm(self.norm)
        check_several(images)
        rows = np.empty((len(images), len(self.vocabulary_.words)), np.float32)
        for i, found in enumerate(self.iter_counts(images)):
            rows[i] = histograms(found.counts[None], self.norm)[0]
        return rows

    def iter_counts(self, images: Sequence) -> Iterator[WordCounts]:
        """The word counts of each image, in order, as a stream."""
        check_is_fitted(self)
        check_device(self.backend, self.device)
        finder = NearestWord(self.vocabulary_.words)
        if self.backend == "torch":
            yield from self._counts_in_batches(images, finder)
            return

        def count(image) -> WordCounts:
            grey, enlarged = self._read(image)
            counts = np.zeros(len(finder.words), np.int64)
            for block in descriptor_blocks(grey, **self._descriptor_settings()):
                counts += np.bincount(finder.assign(block), minlength=len(counts))
            return WordCounts(counts, enlarged)

        yield from parallel_rows(count, images, self.n_jobs, "bags of words")

    def _counts_in_batches(self, images: Sequence, finder: NearestWord) -> Iterator[WordCounts]:
        """The torch back end: the next images are read while some are on the device."""
        device = torch_device(self.device)
        from features._counts_torch import BatchCounter

        pairs = {"step": image_pair("step", self.step), "bin_size": image_pair("bin_size", self.bin_size)}
        counter = BatchCounter(finder, device, **pairs, window=self.window, dtype=self.dtype)
        read = parallel_rows(self._read, images, self.n_jobs, "bags of words", ahead=2 * BATCH_IMAGES)
        while batch := list(itertools.islice(read, BATCH_IMAGES)):
            counts = counter.counts([grey for grey, _ in batch])
            for row, (_, enlarged) in zip(counts, batch, strict=True):
                yield WordCounts(row, enlarged)

    def _read(self, image) -> tuple[np.ndarray, bool]:
        """A grey image that holds a frame, and whether it had to be enlarged."""
        grey = read_grey(image, max_side=self.max_side, resize=self.resize)
        return enlarged_to_frame(grey, self.bin_size)

    def get_feature_names_out(self, input_features=None) -> np.ndarray:
        """``word_k`` for each word."""
        check_is_fitted(self)
        return np.array([f"word_{k}" for k in range(len(self.vocabulary_.words))], dtype=object)

    def _descriptor_settings(self) -> dict:
        names = ("step", "bin_size", "window", "dtype", "backend")
        return {name: getattr(self, name) for name in names}

    def _vocabulary_settings(self) -> dict:
        names = ("n_words", "vocab_step", "descriptors_per_image", "max_side", "resize", "random_state")
        return self._descriptor_settings() | {name: getattr(self, name) for name in names}


def histograms(counts: np.ndarray, norm: str = "none") -> np.ndarray:
    """Word counts (n, K) as histograms float32 (n, K): shares of the descriptors, then a norm.

    A row without descriptors stays zero. ValueError for an unknown norm.
    """
    _check_norm(norm)
    totals = counts.sum(axis=1, keepdims=True)
    shares = counts / np.maximum(totals, 1)
    filled = totals[:, 0] > 0
    shares[filled] = HISTOGRAM_NORMS[norm](shares[filled])
    return shares.astype(np.float32)


def _check_norm(norm: str) -> None:
    if norm not in HISTOGRAM_NORMS:
        raise ValueError(f"unknown norm {norm!r}: choose from {', '.join(HISTOGRAM_NORMS)}")
