"""Dense SIFT by VLFeat itself, through cyvlfeat: the yardstick of the `numba` back end."""

import numpy as np


def describe(image, frames, step, bin_size, window, dtype) -> np.ndarray:
    """Descriptors (n, 128) at `frames`; ValueError where cyvlfeat is not installed."""
    try:
        from cyvlfeat.sift import dsift
    except ImportError:
        raise ValueError(
            "back end vlfeat needs cyvlfeat, which is not installed: run `make vlfeat`"
        ) from None
    centres, descriptors = dsift(
        image, step=step, size=bin_size, fast=window == "flat", float_descriptors=dtype == "float32"
    )
    if not np.array_equal(centres, frames):
        raise RuntimeError("cyvlfeat put its frames elsewhere than this project does")
    return np.ascontiguousarray(descriptors, dtype)
