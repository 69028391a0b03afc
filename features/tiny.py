"""Tiny images: the whole picture shrunk to a few pixels, normalised, read row by row."""

from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image
from sklearn.base import BaseEstimator, TransformerMixin

from features._images import check_several, image_pair, parallel_rows
from scenes.reading import read_grey

RESAMPLES = {
    "nearest": Image.Resampling.NEAREST,
    "box": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "hamming": Image.Resampling.HAMMING,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}

# np.linalg.norm(x, 1) on a 2-D array is the matrix 1-norm, the largest column sum of |x|: that one,
# not the sum over all entries, gives R1's published figures (the default).
NORMS: dict[str, Callable[[np.ndarray], float]] = {
    "l1_matrix": lambda image: float(np.abs(image).sum(axis=0).max()),
    "l1": lambda image: float(np.abs(image).sum()),
    "l2": lambda image: float(np.sqrt((image * image).sum())),
    "none": lambda image: 1.0,
}


class TinyImage(TransformerMixin, BaseEstimator):
    """Images to vectors: resize to ``size``, subtract the mean if asked, divide by a norm, flatten.

    Parameters
    ----------
    size : int or (int, int), default=16
        Rows and columns of the tiny image; one number means a square.
    resample : {"nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"}, default="nearest"
        Pillow's name of the filter.
    norm : {"l1_matrix", "l1", "l2", "none"}, default="l1_matrix"
        ``l1_matrix`` is the largest column sum of absolute values, ``l1`` the sum of all, ``l2`` the
        Frobenius norm. An all-zero tiny image stays zero.
    zero_mean : bool, default=False
        Subtract the mean before the norm is taken.
    crop : bool, default=False
        Cut the largest centred part with the shape of ``size`` first; otherwise the image is squashed.
    max_side, resize : int or None
        What happens to an image before anything else; see `scenes.read_grey`.
    n_jobs : int or None
        Threads; None means all cores. The result does not depend on it.

    Raises
    ------
    ValueError
        From `fit` and `transform`: a size below 1, an unknown filter or norm, an image that cannot be read
        (`OSError` where there is none), a single image in place of several.

    Notes
    -----
    A row depends on its own image only. The defaults are those of report R1 (part 1, tiny images),
    after Torralba, Fergus and Freeman, "80 million tiny images", PAMI 2008.

    Examples
    --------
    >>> import numpy as np
    >>> TinyImage(size=2).fit_transform([np.array([[1.0, 2.0], [3.0, 2.0]])])
    array([[0.25, 0.5 , 0.75, 0.5 ]])
    """

    def __init__(
        self,
        size=16,
        *,
        resample="nearest",
        norm="l1_matrix",
        zero_mean=False,
        crop=False,
        max_side=480,
        resize=None,
        n_jobs=None,
    ):
        self.size = size
        self.resample = resample
        self.norm = norm
        self.zero_mean = zero_mean
        self.crop = crop
        self.max_side = max_side
        self.resize = resize
        self.n_jobs = n_jobs

    def fit(self, images: Sequence, y=None) -> "TinyImage":
        """Check the parameters; nothing is learnt from the images."""
        self._check()
        return self

    def transform(self, images: Sequence) -> np.ndarray:
        """Vectors of images (paths or arrays): float64 (n, rows * columns), row-major."""
        self._check()
        check_several(images)
        rows, columns = image_pair("size", self.size)
        vectors = np.empty((len(images), rows * columns))
        for i, vector in enumerate(parallel_rows(self._encode, images, self.n_jobs, "tiny images")):
            vectors[i] = vector
        return vectors

    def get_feature_names_out(self, input_features=None) -> np.ndarray:
        """``tiny_y_x`` for each pixel."""
        rows, columns = image_pair("size", self.size)
        return np.array([f"tiny_{y}_{x}" for y in range(rows) for x in range(columns)], dtype=object)

    def _encode(self, image) -> np.ndarray:
        grey = read_grey(image, max_side=self.max_side, resize=self.resize)
        tiny = tiny_image(grey, image_pair("size", self.size), self.resample, self.crop).astype(np.float64)
        if self.zero_mean:
            tiny = tiny - tiny.mean()
        scale = NORMS[self.norm](tiny)
        return (tiny / scale if scale > 0 else tiny).ravel()

    def _check(self) -> None:
        image_pair("size", self.size)
        for name, value, known in (("resample", self.resample, RESAMPLES), ("norm", self.norm, NORMS)):
            if value not in known:
                raise ValueError(f"unknown {name} {value!r}: choose from {', '.join(known)}")


def tiny_image(grey: np.ndarray, size: tuple[int, int], resample: str, crop: bool) -> np.ndarray:
    """A grey image (H, W), 0..255, resized to ``size`` (rows, columns), cut to that shape first if asked.

    Whole grey values are resized in 8 bits, as Pillow does with a file; others in float32.
    """
    rows, columns = size
    if crop:
        grey = _centre_crop(grey, rows / columns)
    whole = bool((grey == np.rint(grey)).all()) and grey.min() >= 0 and grey.max() <= 255
    image = Image.fromarray(grey.astype(np.uint8) if whole else grey.astype(np.float32))
    return np.asarray(image.resize((columns, rows), RESAMPLES[resample]))


def _centre_crop(grey: np.ndarray, aspect: float) -> np.ndarray:
    """The largest centred part whose height is ``aspect`` times its width."""
    height, width = grey.shape
    new_height = max(1, min(height, round(width * aspect)))
    new_width = max(1, min(width, round(height / aspect)))
    top, left = (height - new_height) // 2, (width - new_width) // 2
    return grey[top : top + new_height, left : left + new_width]
