"""Word counts of many images at once, in torch: descriptors, nearest words and histograms on one device.

The device's scores are float32 and their order of sums is its own, so a bound decides what they can tell: a
descriptor whose two best words lie closer than the rounding can be is handed to `NearestWord` on the
processor. So the words are the exact ones here too.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch

from features._dense_sift_torch import descriptor_blocks
from features.assignment import UNIT, NearestWord

# Pixels of the images that share a batch, and numbers of float32 scores at a time (256 MB).
BATCH_PIXELS = 1 << 21
BLOCK_SCORES = 1 << 26


class BatchCounter:
    """Counts of the nearest words of all descriptors, for batches of grey images.

    Parameters
    ----------
    finder : NearestWord
    device : torch.device
    step, bin_size : (int, int)
    window, dtype : str
        See `dense_sift`.
    """

    def __init__(self, finder: NearestWord, device: torch.device, *, step, bin_size, window, dtype):
        self._finder, self._device = finder, device
        self._settings = (step, bin_size, window, dtype)
        words = finder.words.astype(np.float64)
        squared = (words**2).sum(axis=1)
        self._words = torch.from_numpy(np.ascontiguousarray(finder.words.T)).to(device)
        self._squared = torch.from_numpy(squared.astype(np.float32)).to(device)
        self._longest = float(np.sqrt(squared.max()))
        self.close_calls = 0  # descriptors that the processor had to decide

    def counts(self, images: Sequence[np.ndarray]) -> np.ndarray:
        """Word counts int64 (n, K) of grey images float32 (H, W), each large enough for a frame."""
        found = np.empty((len(images), len(self._finder.words)), np.int64)
        for batch in batches([image.shape for image in images]):
            with _full_float32():
                found[batch] = self._count([images[i] for i in batch])
        return found

    def _count(self, images: Sequence[np.ndarray]) -> np.ndarray:
        n_words = len(self._finder.words)
        # one bin more takes what is not counted: frames outside an image, and close calls
        counts = torch.zeros(len(images) * n_words + 1, dtype=torch.int64, device=self._device)
        late = np.zeros(len(images) * n_words, np.int64)
        rows = max(1, BLOCK_SCORES // n_words)
        for block in descriptor_blocks(images, *self._settings, self._device):
            descriptors, inside = block.descriptors.reshape(-1, 128), block.inside.reshape(-1)
            per_image = len(inside) // len(images)
            for start in range(0, len(inside), rows):
                part = slice(start, start + rows)
                nearest, clear = self._nearest(descriptors[part])
                places = torch.arange(start, start + len(nearest), device=self._device)
                first = places.div_(per_image, rounding_mode="floor").mul_(n_words)
                sure = clear & inside[part]
                bins = torch.where(sure, first + nearest, len(counts) - 1)
                counts.scatter_add_(0, bins, torch.ones_like(bins))
                close = torch.nonzero(inside[part] & ~clear)[:, 0]
                if len(close):
                    decided = self._finder.assign(descriptors[part][close].cpu().numpy())
                    late += np.bincount(first[close].cpu().numpy() + decided, minlength=len(late))
                    self.close_calls += len(close)
        return (counts[:-1].cpu().numpy() + late).reshape(len(images), n_words)

    def _nearest(self, descriptors: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The word of least score of each descriptor, and whether rounding cannot have chosen it."""
        values = descriptors.to(torch.float32)
        scores = (values @ self._words).mul_(-2).add_(self._squared)
        least, nearest = scores.min(dim=1)
        lengths = (values * values).sum(dim=1).sqrt_().mul_(1.001)
        # the error of a sum of 128 products, in any order, times two for -2 x.w and two for either score;
        # the rest is generous
        terms = 4 * (values.shape[1] + 16) * UNIT
        limit = least + terms * self._longest * (lengths + self._longest)
        return nearest, (scores <= limit[:, None]).sum(dim=1) == 1


def batches(shapes: Sequence[tuple[int, int]]) -> Iterator[list[int]]:
    """Places of images, those of like shapes together, as many as `BATCH_PIXELS` hold on one canvas."""
    batch: list[int] = []
    height = width = 0
    for i in sorted(range(len(shapes)), key=lambda i: shapes[i]):
        larger = max(height, shapes[i][0]), max(width, shapes[i][1])
        if batch and larger[0] * larger[1] * (len(batch) + 1) > BATCH_PIXELS:
            yield batch
            batch, larger = [], shapes[i]
        batch.append(i)
        height, width = larger
    if batch:
        yield batch


@contextmanager
def _full_float32():
    """Products of float32 as float32: the bound of `BatchCounter` does not hold for TF32 or bfloat16."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        with torch.inference_mode():
            yield
    finally:
        torch.set_float32_matmul_precision(before)
