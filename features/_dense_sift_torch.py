"""Dense SIFT in torch: many images at once, on a graphics card or any other device.

The arithmetic is that of `features._dense_sift_numba`, operation by operation and in the same order of sums,
each rounded to float32 by itself: so the bytes are the same, for whatever device divides, takes roots and
rounds as IEEE 754 asks. For that reason nothing here is fused: `torch.add(alpha=...)`, `addcmul` and
`torch.compile` would multiply and add with one rounding, `1 / x` on a tensor is a reciprocal.

Images of different sizes share a batch: they are laid on one canvas, edges repeated, and what lies beyond an
image's own grid is told by `inside`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from features._dense_sift_numba import CLAMP, EPSILON, TINY, pooled_by_running_sums
from features.dense_sift import RUNNING_SUMS_FROM, flat_weights, gaussian_taps, grid_shape, triangles

# Frames of one block: 128 bytes of uint8 and a few times 512 bytes of float32 each while it is made.
BLOCK_FRAMES = 1 << 18


@dataclass(frozen=True)
class Block:
    """Descriptors of some frame rows of a batch.

    Attributes
    ----------
    descriptors : uint8 or float32 tensor (images, rows, columns, 128)
    inside : bool tensor (images, rows, columns)
        Whether an image has this frame; what else stands in its place has no meaning.
    """

    descriptors: torch.Tensor
    inside: torch.Tensor


def descriptor_blocks(
    images: Sequence[np.ndarray], step, bin_size, window, dtype, device: torch.device
) -> Iterator[Block]:
    """Descriptors of grey images float32 (H, W), of which each holds a frame, in blocks of frame rows."""
    grids = np.array([grid_shape(image.shape, step, bin_size) for image in images])
    rows, columns = (int(count) for count in grids.max(axis=0))
    pooled = _flat_bins if window == "flat" else _gaussian_bins
    bins = pooled(images, step, bin_size, (rows, columns), device)
    sizes = torch.from_numpy(grids).to(device)
    across = torch.arange(columns, device=device)
    height = max(1, BLOCK_FRAMES // (columns * len(images)))
    for first in range(0, rows, height):
        last = min(first + height, rows)
        down = torch.arange(first, last, device=device)
        inside = (down < sizes[:, :1])[:, :, None] & (across < sizes[:, 1:])[:, None, :]
        values, weights, inverse_norms = bins(first, last)
        yield Block(_normalised(values, weights, inverse_norms, getattr(torch, dtype)), inside)


def _flat_bins(images, step, bin_size, grid, device):
    """A function that gives the unweighted bins of frame rows, their weights and their inverse norms."""
    (step_y, step_x), (bin_y, bin_x), columns = step, bin_size, grid[1]
    if max(bin_size) >= RUNNING_SUMS_FROM:
        pooled = _pooled_one_by_one(images, bin_size, device)
    else:
        padded = _padded_planes(images, bin_size, device)
        taps_y, taps_x = triangles(bin_size)
        height, width = (int(length) for length in np.max([image.shape for image in images], axis=0))
        pooled = _weighted(taps_x, _slices(_weighted(taps_y, _slices(padded, 1, height, 2 * bin_y - 1)),
                                           2, width, 2 * bin_x - 1)).contiguous()  # fmt: skip
    count, height, width = pooled.shape[:3]
    energy = _sum_of_eight(pooled * pooled)
    means = flat_weights(bin_size)
    weights = torch.from_numpy(means).to(device)

    def bins(first, last):
        def framed(values, last_axes, strides):
            size = (count, last - first, columns, 4, 4, *last_axes)
            one = int(np.prod(last_axes, initial=1, dtype=int))
            row = width * one
            steps = (height * row, step_y * row, step_x * one, bin_y * row, bin_x * one, *strides)
            return values.as_strided(size, steps, first * step_y * row)

        energies = framed(energy, (), ())
        squared = torch.zeros((count, last - first, columns), device=device)
        for by in range(4):
            for bx in range(4):
                weight = float(means[by, bx] * means[by, bx])
                squared += energies[..., by, bx] * weight
        return framed(pooled, (8,), (1,)), weights[:, :, None], _inverse(squared)

    return bins


def _gaussian_bins(images, step, bin_size, grid, device):
    """See `_flat_bins`; every bin index has its own filter, so that each frame row pools its own."""
    (step_y, step_x), (bin_y, bin_x), columns = step, bin_size, grid[1]
    padded = _padded_planes(images, bin_size, device)
    taps_y, taps_x = gaussian_taps(bin_size)
    one = torch.ones((4, 4, 1), device=device)

    def bins(first, last):
        made = torch.empty((len(images), last - first, columns, 4, 4, 8), device=device)
        for by in range(4):
            start = first * step_y + by * bin_y
            rows = _weighted(taps_y[by], _slices(padded, 1, last - first, 2 * bin_y - 1, step_y, start))
            for bx in range(4):
                slices = _slices(rows, 2, columns, 2 * bin_x - 1, step_x, bx * bin_x)
                made[:, :, :, by, bx] = _weighted(taps_x[bx], slices)
        return made, one, _inverse(_sum_of_squares(made))

    return bins


def _normalised(bins, weights, inverse_norms, dtype):
    """Scale, clamp, renormalise, times 512, at most 255; integers truncate. (images, rows, columns, 128)."""
    values = bins * (weights * inverse_norms[..., None, None, None])
    values.clamp_(max=float(CLAMP))
    total = _sum_of_squares(values)
    length = _length(total) + float(EPSILON)
    values *= torch.full_like(length, 512).div_(length)[..., None, None, None]
    return values.clamp_(max=255).to(dtype).reshape(*values.shape[:3], 128)


def _padded_planes(images, bin_size, device):
    """Orientation planes (images, H + 2 * bin - 2, W + 2 * bin - 2, 8), each image's edges repeated."""
    shapes = np.array([image.shape for image in images])
    height, width = shapes.max(axis=0)
    canvas = np.stack([
        np.pad(image, ((1, height - image.shape[0] + 1), (1, width - image.shape[1] + 1)), mode="edge")
        for image in images
    ])  # fmt: skip
    planes = _planes(torch.from_numpy(canvas).to(device), torch.from_numpy(shapes).to(device))
    beyond_y, beyond_x = (
        torch.from_numpy(np.clip(np.arange(1 - width, most + width - 1), 0, shapes[:, axis, None] - 1))
        for axis, (width, most) in enumerate(zip(bin_size, (height, width), strict=True))
    )
    picture = torch.arange(len(images), device=device)[:, None, None]
    return planes[picture, beyond_y.to(device)[:, :, None], beyond_x.to(device)[:, None, :]]


def _planes(canvas, shapes):
    """The eight orientation planes (images, H, W, 8) of images (images, H + 2, W + 2), edges repeated."""
    scale_y, scale_x = (
        _gradient_scale(shapes[:, axis], canvas.shape[axis + 1] - 2, canvas.device) for axis in (0, 1)
    )
    gx = (canvas[:, 1:-1, 2:] - canvas[:, 1:-1, :-2]) * scale_x[:, None, :]
    gy = (canvas[:, 2:, 1:-1] - canvas[:, :-2, 1:-1]) * scale_y[:, :, None]
    squared = gx * gx + gy * gy
    modulus = _length(squared)[..., None]
    orientation = _orientation(gx, gy)[..., None]
    middles = torch.arange(8, device=canvas.device, dtype=torch.float32)
    planes = modulus * (1 - (orientation - middles).abs()).clamp_(min=0)
    planes[..., :1] += modulus * (orientation - 7).clamp_(min=0)
    return planes


def _gradient_scale(lengths, most, device):
    """1 on the first and last pixel of each image, 1/2 between: float32 (images, most)."""
    places = torch.arange(most, device=device)
    edge = (places == 0) | (places == lengths[:, None] - 1)
    return torch.where(edge, 1.0, 0.5)


def _orientation(gx, gy):
    """VLFeat's cubic approximation of the gradient angle, in units of orientation bins, 0 <= n < 8."""
    a = gy.abs() + float(EPSILON)
    right = gx >= 0
    q = torch.where(right, gx - a, gx + a) / torch.where(right, gx + a, a - gx)
    theta = torch.where(right, 0.78539816, 2.3561945) + (0.1821 * q * q - 0.9675) * q
    theta = torch.where(gy < 0, -theta, theta)
    theta = torch.where(theta < 0, theta + 6.2831855, theta)
    return theta * 1.2732395


def _pooled_one_by_one(images, bin_size, device):
    """Pooled pixels (images, H, W, 8) of large bins: sums that run through an image, made by loops."""
    height, width = (int(length) for length in np.max([image.shape for image in images], axis=0))
    pooled = torch.zeros((len(images), height, width, 8), device=device)
    for i, image in enumerate(images):
        rows, columns = image.shape
        own = pooled_by_running_sums(np.ascontiguousarray(image), *bin_size).reshape(rows, columns, 8)
        pooled[i, :rows, :columns] = torch.from_numpy(own).to(device)
    return pooled


def _slices(values, axis, count, taps, step=1, start=0):
    """For each tap the `count` places along an axis that it falls on, `step` apart."""
    everywhere = [slice(None)] * values.ndim
    for tap in range(taps):
        everywhere[axis] = slice(start + tap, start + tap + (count - 1) * step + 1, step)
        yield values[tuple(everywhere)]


def _weighted(taps, slices):
    """The sum of slices times taps, added in their order."""
    total = None
    for tap, values in zip(taps, slices, strict=True):
        term = values * float(tap)
        total = term if total is None else total.add_(term)
    return total


def _inverse(squared):
    """1 / (length + epsilon) of squared lengths."""
    length = _length(squared) + float(EPSILON)
    return torch.ones_like(length).div_(length)


def _length(squared):
    """The root of a squared length, 0 for one that counts as zero.

    By way of float64, whose root rounds to the right float32: torch's own of float32 is off by a unit in the
    last place for some values on processors.
    """
    return torch.where(squared >= TINY, squared.double().sqrt(), 0.0).float()


def _sum_of_squares(values):
    """Sums of squares over (..., 4, 4, 8), in the order of the compiled loops."""
    first, second, third, fourth = (values[..., by, :, :] * values[..., by, :, :] for by in range(4))
    lanes = (first + second) + (third + fourth)
    lanes = lanes[..., :2, :] + lanes[..., 2:, :]
    return _sum_of_eight(lanes[..., 0, :] + lanes[..., 1, :])


def _sum_of_eight(values):
    v = values.unbind(-1)
    return ((v[0] + v[4]) + (v[2] + v[6])) + ((v[1] + v[5]) + (v[3] + v[7]))
