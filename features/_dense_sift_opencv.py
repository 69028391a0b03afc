"""OpenCV's SIFT descriptor at the frames of the dense grid.

OpenCV's bins are 1.5 times the keypoint's size wide, its orientations turn the other way round (its
y axis points up), and its window is always Gaussian. Orientations are reordered here, so that entry
(by, bx, t) means the same direction as in the other back ends.
"""

import cv2
import numpy as np

_ORIENTATIONS = (8 - np.arange(8)) % 8


def describe(image, frames, step, bin_size, window, dtype) -> np.ndarray:
    """Descriptors (n, 128) at `frames`, scaled and capped as OpenCV does (512, 255, rounded)."""
    if bin_size[0] != bin_size[1]:
        raise ValueError("back end opencv has square bins only: give one bin size, or use back end numba")
    if window != "gaussian":
        raise ValueError("back end opencv has a Gaussian window only: add --window gaussian")
    grey = np.clip(np.rint(image), 0, 255).astype(np.uint8)
    keypoints = [cv2.KeyPoint(float(x), float(y), 2 * bin_size[0] / 3, 0.0) for y, x in frames]
    kept, descriptors = cv2.SIFT_create().compute(grey, keypoints)  # type: ignore[attr-defined]
    if len(kept) != len(frames):
        raise RuntimeError("OpenCV left out keypoints of the grid")
    descriptors = descriptors.reshape(-1, 4, 4, 8)[:, :, :, _ORIENTATIONS]
    return np.ascontiguousarray(descriptors.reshape(-1, 128)).astype(dtype)
