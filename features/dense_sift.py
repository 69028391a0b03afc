"""Dense SIFT: a 128-d descriptor at every point of a regular grid, as VLFeat computes it.

Conventions
-----------
- Images are float32 (H, W), y downwards, pixel centres at whole numbers, origin at the top left.
- The grid is anchored at (0, 0): the top left *bin centre* of frame (i, j) is the pixel
  (i * step_y, j * step_x); what is left over lies at the bottom and right. A frame's reported centre
  is 1.5 bins further, so it may be a half integer. Order: row-major, x fastest.
- A frame has 4x4 bins, ``bin_size`` pixels apart, of 8 orientations. Entry
  ``(by * 4 + bx) * 8 + t``; orientation t is centred on the angle 2 pi t / 8, angle 0 points to +x
  (brighter to the right), angle pi / 2 to +y (brighter downwards).
- Descriptors are L2-normalised, clamped to 0.2, normalised again, times 512, at most 255; ``uint8``
  truncates. There is no contrast threshold: only a frame without any gradient is all zero.
- Adding a constant to the image changes nothing; neither does scaling it, but for truncation and for
  contrast under about 1e-4.

References
----------
Lowe, "Distinctive image features from scale-invariant keypoints", IJCV 2004, section 6.
Vedaldi and Fulkerson, VLFeat 0.9.21, `vl_dsift`.
"""

from collections.abc import Callable, Iterator

import numpy as np
from PIL import Image

from features import _dense_sift_numba
from features._images import image_pair

WINDOWS = ("flat", "gaussian")
DTYPES = ("uint8", "float32")
BACKENDS = ("numba", "torch", "vlfeat", "opencv")

# Standard deviation of the Gaussian window, in bins; also what the flat window takes its means from.
WINDOW_BINS = 2.0

# Bins from this size on are pooled by VLFeat's running sums (flat window): their time does not grow with
# the bin, and their rounding is VLFeat's. Smaller bins take direct sums, which are faster and nearer the
# true value, and never differ from VLFeat by more than 1 (8e9 values of 1,000 real images at bin 3).
RUNNING_SUMS_FROM = 5

# Rows of frames are made in blocks of about this many descriptors: 1 MB of uint8, which stays in the
# cache of one core until the next stage reads it.
BLOCK_DESCRIPTORS = 8192


def dense_sift(image, *, step=1, bin_size=3, window="flat", dtype="uint8", backend="numba", device=None):
    """Frames and descriptors of an image on a regular grid.

    Parameters
    ----------
    image : array (H, W) or (H, W, 1)
        Any real dtype, converted to float32 without rescaling; 0..255 or 0..1 are fine.
    step : int or (int, int), default=1
        Distance (y, x) between frames in pixels.
    bin_size : int or (int, int), default=3
        Width (y, x) of a spatial bin in pixels; a frame spans 4 of them.
    window : {"flat", "gaussian"}, default="flat"
        Weights of a bin: constant per bin (VLFeat's fast mode) or a true Gaussian of 2 bins.
    dtype : {"uint8", "float32"}, default="uint8"
        float32 has the same scale and ceiling, but is not truncated.
    backend : {"numba", "torch", "vlfeat", "opencv"}, default="numba"
        ``torch`` makes the same bytes on `device`. ``vlfeat`` calls cyvlfeat, ``opencv`` OpenCV's SIFT at
        the same frames (a Gaussian window, its own smoothing and rounding, pixels of 0..255 only:
        comparable descriptors, not equal ones).
    device : str or None
        Of the torch back end: ``cpu``, ``cuda``, ``cuda:1``; None is a graphics card if there is one. The
        others compute on the processor and take no other device.

    Returns
    -------
    frames : float32 (n, 2)
        Centres (y, x) in pixels.
    descriptors : uint8 or float32 (n, 128)
        n may be 0: an image of H or W up to 3 * bin_size holds no frame.

    Raises
    ------
    ValueError
        For an image that is not 2-D or not finite, a step or bin size below 1, an unknown window, dtype
        or back end, a back end that is not installed, or a device that it cannot use.

    Examples
    --------
    >>> import numpy as np
    >>> frames, descriptors = dense_sift(np.arange(100.0).reshape(10, 10))
    >>> frames
    array([[4.5, 4.5]], dtype=float32)
    """
    image, step, bin_size = _checked(image, step, bin_size, window, dtype, backend, device)
    frames = frame_centres(image.shape, step=step, bin_size=bin_size)
    if len(frames) == 0:
        return frames, np.zeros((0, 128), dtype)
    if backend == "torch":
        return frames, _torch_descriptors(image, step, bin_size, window, dtype, device)
    if backend == "vlfeat":
        from features._dense_sift_vlfeat import describe
    elif backend == "opencv":
        from features._dense_sift_opencv import describe
    else:
        make = _numba_rows(image, step, bin_size, window, dtype)
        return frames, make(0, grid_shape(image.shape, step, bin_size)[0])
    return frames, describe(image, frames, step, bin_size, window, dtype)


def descriptor_blocks(
    image, *, step=1, bin_size=3, window="flat", dtype="uint8", backend="numba", device=None
) -> Iterator[np.ndarray]:
    """The descriptors of `dense_sift` in order, in blocks of whole frame rows: arrays (m, 128).

    Memory stays at one block however large the image (`numba`; the other back ends make one block), but
    for large bins under the flat window, whose pooled image is kept whole. Errors are those of `dense_sift`.
    """
    if backend != "numba":
        descriptors = dense_sift(
            image, step=step, bin_size=bin_size, window=window, dtype=dtype, backend=backend, device=device
        )[1]
        if len(descriptors):
            yield descriptors
        return
    image, step, bin_size = _checked(image, step, bin_size, window, dtype, backend, device)
    n_y, n_x = grid_shape(image.shape, step, bin_size)
    if n_y and n_x:
        make = _numba_rows(image, step, bin_size, window, dtype)
        rows = max(1, BLOCK_DESCRIPTORS // n_x)
        for first in range(0, n_y, rows):
            yield make(first, min(first + rows, n_y))


def grid_shape(shape, step, bin_size) -> tuple[int, int]:
    """Rows and columns of frames in an image of this shape; 0 where a frame does not fit."""
    counts = [
        max((length - 1 - 3 * width) // distance + 1, 0)
        for length, distance, width in zip(
            shape, image_pair("step", step), image_pair("bin_size", bin_size), strict=True
        )
    ]
    return counts[0], counts[1]


def frame_centres(shape, *, step=1, bin_size=3) -> np.ndarray:
    """Centres (y, x) of the frames in an image of this shape: float32 (n, 2), row-major.

    Raises
    ------
    ValueError
        A step or bin size below 1, or not whole.
    """
    (n_y, n_x), step, bin_size = (
        grid_shape(shape, step, bin_size),
        image_pair("step", step),
        image_pair("bin_size", bin_size),
    )
    frames = np.empty((n_y, n_x, 2), np.float32)
    frames[:, :, 0] = (np.arange(n_y) * step[0] + 1.5 * bin_size[0])[:, None]
    frames[:, :, 1] = np.arange(n_x) * step[1] + 1.5 * bin_size[1]
    return frames.reshape(-1, 2)


def triangle(bin_size: int) -> np.ndarray:
    """The taps 1 - |o| / bin_size for |o| < bin_size: float64 (2 * bin_size - 1,)."""
    return 1 - np.abs(np.arange(1 - bin_size, bin_size)) / bin_size


def window_taps(bin_size: int) -> np.ndarray:
    """The Gaussian window over the taps of each of the four bins: float64 (4, 2 * bin_size - 1)."""
    offsets = np.arange(1 - bin_size, bin_size)
    distances = offsets + bin_size * (np.arange(4)[:, None] - 1.5)
    return np.exp(-(distances**2) / (2 * (WINDOW_BINS * bin_size) ** 2))


def triangles(bin_size: tuple[int, int]) -> list[np.ndarray]:
    """The pooling taps along y and x, as every back end of ours multiplies with them: float32."""
    return [triangle(width).astype(np.float32) for width in bin_size]


def flat_weights(bin_size: tuple[int, int]) -> np.ndarray:
    """The flat window's weight of each bin, the Gaussian's mean over its taps: float32 (4, 4)."""
    return np.outer(*(window_taps(width).mean(axis=1) for width in bin_size)).astype(np.float32)


def gaussian_taps(bin_size: tuple[int, int]) -> list[np.ndarray]:
    """Triangle times window along y and x, a row a bin index: float32 (4, 2 * bin_size - 1) each."""
    return [
        (window_taps(width) * one).astype(np.float32)
        for width, one in zip(bin_size, triangles(bin_size), strict=True)
    ]


def _checked(image, step, bin_size, window, dtype, backend, device):
    image = np.asarray(image)
    if image.ndim == 3 and image.shape[2] == 1:
        image = image[:, :, 0]
    if image.ndim != 2:
        raise ValueError(f"dense SIFT takes a grey image (H, W), not an array of shape {image.shape}")
    image = np.ascontiguousarray(image, dtype=np.float32)
    if not np.isfinite(image).all():
        raise ValueError("the image holds NaN or infinite pixels: replace them")
    _check_name("window", window, WINDOWS)
    _check_name("dtype", dtype, DTYPES)
    check_device(backend, device)
    return image, image_pair("step", step), image_pair("bin_size", bin_size)


def _check_name(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ValueError(f"unknown {name} {value!r}: choose from {', '.join(known)}")


def _numba_rows(image, step, bin_size, window, dtype) -> Callable[[int, int], np.ndarray]:
    """A function that makes the descriptors of frame rows first..last-1, (rows * n_x, 128)."""
    n_x = grid_shape(image.shape, step, bin_size)[1]
    if window == "flat":
        large = max(bin_size) >= RUNNING_SUMS_FROM
        pooled = (
            _dense_sift_numba.pooled_by_running_sums(image, *bin_size) if large else np.empty(0, np.float32)
        )
        kernel = _dense_sift_numba.flat_window_rows
        weights = (*triangles(bin_size), flat_weights(bin_size), pooled)
    else:
        kernel = _dense_sift_numba.gaussian_window_rows
        weights = tuple(gaussian_taps(bin_size))

    def rows(first: int, last: int) -> np.ndarray:
        out = np.empty(((last - first) * n_x, 128), dtype)
        kernel(image, first, last, n_x, *step, *weights, out.reshape(-1))
        return out

    return rows


def _torch_descriptors(image, step, bin_size, window, dtype, device) -> np.ndarray:
    device = torch_device(device)
    from features._dense_sift_torch import descriptor_blocks as blocks

    found = blocks([image], step, bin_size, window, dtype, device)
    return np.concatenate([block.descriptors.reshape(-1, 128).cpu().numpy() for block in found])


def check_device(backend: str, device: str | None) -> None:
    """ValueError for an unknown back end, or where a device is named that it has no use for."""
    _check_name("backend", backend, BACKENDS)
    if backend != "torch" and device not in (None, "cpu"):
        raise ValueError(f"device {device!r}: the back end {backend} computes on the processor: take torch")


def torch_device(name):
    """The torch device of this name; None is a graphics card if there is one, else the processor.

    Raises
    ------
    ValueError
        torch is not installed; no such device; one without float64.
    """
    try:
        import torch
    except ModuleNotFoundError:
        raise ValueError("the torch back end needs torch: run `make install-all`") from None
    try:
        device = torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))
    except RuntimeError:
        raise ValueError(f"device {name!r} is unknown: give cpu, cuda or cuda:N") from None
    try:
        torch.zeros(1, dtype=torch.float64, device=device).item()
    except (RuntimeError, TypeError, AssertionError, NotImplementedError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0].rstrip(".")
        raise ValueError(f"device {name!r} cannot be used ({reason}): give cpu or another one") from None
    return device


def enlarged_to_frame(grey: np.ndarray, bin_size) -> tuple[np.ndarray, bool]:
    """A grey image that holds at least one frame, and whether it had to be enlarged for that.

    Enlarging is bilinear and keeps the aspect, rounded up to whole pixels.
    """
    need = [3 * width + 1 for width in image_pair("bin_size", bin_size)]
    scale = max(least / length for least, length in zip(need, grey.shape, strict=True))
    if scale <= 1:
        return grey, False
    height, width = (
        max(least, round(length * scale)) for least, length in zip(need, grey.shape, strict=True)
    )
    image = Image.fromarray(np.ascontiguousarray(grey, np.float32))
    return np.asarray(image.resize((width, height), Image.Resampling.BILINEAR)), True
