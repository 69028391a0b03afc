"""Images in memory, on the device where they fit, and augmentation of whole batches there.

Random choices of a batch come from a generator seeded by (seed, epoch, step), on the CPU and for the
whole batch, so that a resumed training, another device or a share of the batch sees the same ones.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from deep.recipes import Recipe

# Bytes of images the device may hold beside the network; more stay in main memory and go batch by batch.
DEVICE_SHARE = 0.3


@dataclass(frozen=True, eq=False)
class Images:
    """Images of one size with labels.

    Attributes
    ----------
    pixels : uint8 tensor (n, C, H, W)
    labels : int64 tensor (n,)
        Indices of classes.
    """

    pixels: torch.Tensor
    labels: torch.Tensor

    def __len__(self) -> int:
        return len(self.pixels)

    @classmethod
    def of(cls, pixels: np.ndarray, labels: np.ndarray) -> "Images":
        """Of arrays: uint8 (n, H, W, C) and integers (n,)."""
        return cls(
            torch.from_numpy(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))),
            torch.from_numpy(np.ascontiguousarray(labels, np.int64)),
        )

    def taken(self, indices) -> "Images":
        """The images at these indices."""
        rows = torch.as_tensor(indices, dtype=torch.int64)
        return Images(self.pixels[rows], self.labels[rows])

    def on(self, device: torch.device) -> "Images":
        """The images on a device, where its memory has room."""
        if device.type == "cuda":
            free, _ = torch.cuda.mem_get_info(device)
            if self.pixels.numel() > DEVICE_SHARE * free:
                return self
        return Images(self.pixels.to(device), self.labels.to(device))


def pixel_statistics(pixels: torch.Tensor) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each channel, for pixels in 0..1 (uint8 (n, C, H, W) given)."""
    means, deviations = [], []
    for channel in range(pixels.shape[1]):
        counts = torch.zeros(256, dtype=torch.int64)
        for start in range(0, len(pixels), 4096):
            values = pixels[start : start + 4096, channel].reshape(-1).to(torch.int64)
            counts += torch.bincount(values, minlength=256).cpu()
        # whole counts of 256 values: exact, whatever the order of the images
        shares, levels = counts.double() / counts.sum(), torch.arange(256).double() / 255
        mean = float((shares * levels).sum())
        means.append(mean)
        deviations.append(max(math.sqrt(float((shares * (levels - mean) ** 2).sum())), 1 / 255))
    return means, deviations


class Normalizer:
    """uint8 batches (n, C, h, w) to float32, channels last, normalised and of the network's size.

    Parameters
    ----------
    mean, std : lists of C floats, for pixels in 0..1
    size : (H, W)
        Enlarged or shrunk on the device, bilinearly, where the images have another size.
    """

    def __init__(self, mean, std, size: tuple[int, int], device: torch.device):
        self.size, self.device = size, device
        self._mean = torch.tensor(mean, device=device).reshape(1, -1, 1, 1) * 255
        self._factor = 1 / (torch.tensor(std, device=device).reshape(1, -1, 1, 1) * 255)

    def __call__(self, pixels: torch.Tensor) -> torch.Tensor:
        values = pixels.to(self.device, torch.float32, memory_format=torch.channels_last)
        return resized((values - self._mean) * self._factor, self.size)


def resized(values: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Float images (n, C, h, w) at another size: bilinear, with antialiasing where they shrink."""
    if tuple(values.shape[-2:]) == tuple(size):
        return values
    shrinks = size[0] < values.shape[-2] or size[1] < values.shape[-1]
    return F.interpolate(values, size=tuple(size), mode="bilinear", align_corners=False, antialias=shrinks)


def step_generator(seed: int, epoch: int, step: int) -> torch.Generator:
    """The generator of one batch's random choices."""
    (state,) = np.random.SeedSequence([seed, epoch, step]).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(state >> np.uint64(1)))


def augmented(
    values: torch.Tensor,
    recipe: Recipe,
    generator: torch.Generator,
    visits: torch.Tensor | None = None,
    *,
    translate: int | None = None,
) -> torch.Tensor:
    """A batch with the random changes that a recipe asks for.

    Parameters
    ----------
    values : float (n, C, H, W), normalised: 0 is the mean
    recipe : Recipe
    generator : torch.Generator, on the CPU
    visits : int tensor (n,), for flip "alternating"
        How often each image was seen before, plus a random 0 or 1 of its own.
    translate : int, optional
        In place of the recipe's, for images that are smaller for a while.
    """
    n, device = len(values), values.device
    if recipe.flip == "alternating":
        assert visits is not None
        values = _mirrored(values, (visits % 2 == 1).to(device))
    elif recipe.flip == "random":
        values = _mirrored(values, (torch.rand(n, generator=generator) < 0.5).to(device))
    if recipe.rotate or recipe.scale:
        values = _turned(values, recipe.rotate, recipe.scale, generator)
    reach = min(recipe.translate if translate is None else translate, min(values.shape[-2:]) - 1)
    if reach > 0:
        values = _shifted(F.pad(values, (reach,) * 4, mode="reflect"), values.shape, reach, generator)
    if recipe.crop:
        values = _shifted(F.pad(values, (recipe.crop,) * 4), values.shape, recipe.crop, generator)
    if recipe.cutout:
        values = _cut(values, recipe.cutout, generator)
    return values


def _mirrored(values: torch.Tensor, which: torch.Tensor) -> torch.Tensor:
    return torch.where(which.reshape(-1, 1, 1, 1), values.flip(-1), values)


def _shifted(padded: torch.Tensor, shape, reach: int, generator: torch.Generator) -> torch.Tensor:
    """Each image of a padded batch cut out at its own place."""
    n, _, height, width = shape
    shifts = torch.randint(0, 2 * reach + 1, (2, n), generator=generator)
    out = torch.empty_like(padded[..., :height, :width], memory_format=torch.channels_last)
    # (2 reach + 1)^2 copies of slices: several times faster than gathering pixel by pixel
    for code in (shifts[0] * (2 * reach + 1) + shifts[1]).unique().tolist():
        y, x = divmod(code, 2 * reach + 1)
        rows = ((shifts[0] == y) & (shifts[1] == x)).nonzero()[:, 0].to(padded.device)
        out[rows] = padded[rows, :, y : y + height, x : x + width]
    return out


def _turned(values: torch.Tensor, degrees: float, scale: float, generator: torch.Generator) -> torch.Tensor:
    n, _, height, width = values.shape
    angle = (torch.rand(n, generator=generator) * 2 - 1) * math.radians(degrees)
    factor = 1 / (1 + (torch.rand(n, generator=generator) * 2 - 1) * scale)
    cosine, sine, zero = factor * torch.cos(angle), factor * torch.sin(angle), torch.zeros(n)
    # in affine_grid's units, where each side is 2 long, a turn of a rectangle is a shear too
    top = torch.stack([cosine, -sine * height / width, zero], 1)
    bottom = torch.stack([sine * width / height, cosine, zero], 1)
    turns = torch.stack([top, bottom], 1).to(values.device)
    grid = F.affine_grid(turns, list(values.shape), align_corners=False)
    # images kept in half precision are sampled in float32, as the grid is
    turned = F.grid_sample(
        values.float(), grid, mode="bilinear", padding_mode="reflection", align_corners=False
    )
    return turned.to(values.dtype)


def _cut(values: torch.Tensor, side: int, generator: torch.Generator) -> torch.Tensor:
    n, _, height, width = values.shape
    y = torch.randint(0, height, (n, 1), generator=generator) - side // 2
    x = torch.randint(0, width, (n, 1), generator=generator) - side // 2
    rows, columns = torch.arange(height)[None], torch.arange(width)[None]
    inside_y, inside_x = (rows >= y) & (rows < y + side), (columns >= x) & (columns < x + side)
    inside = (inside_y[:, None, :, None] & inside_x[:, None, None, :]).to(values.device)
    return values.masked_fill(inside, 0.0)


def views_of(values: torch.Tensor, count: int) -> list[tuple[float, torch.Tensor]]:
    """Weighted test-time views of a batch: 1, with the mirror 2, with both shifted by a pixel each way 6."""
    if count == 1:
        return [(1.0, values)]
    both = [values, values.flip(-1)]
    if count == 2:
        return [(0.5, view) for view in both]
    height, width = values.shape[-2:]
    padded = F.pad(values, (1,) * 4, mode="reflect")
    shifted = (padded[..., :height, :width], padded[..., 2 : height + 2, 2 : width + 2])
    views = [(0.25, view) for view in both]
    return views + [(0.125, view) for part in shifted for view in (part, part.flip(-1))]


def at_stored_size(
    pixels: np.ndarray, size: tuple[int, int], resize: str, *, enlarge: bool = False
) -> np.ndarray:
    """A picture as it is kept for a network of this input size, uint8 (H, W, C) to uint8 (H', W', C).

    "crop" cuts the centre to the shape of `size` first, "squash" does not. Larger pictures are shrunk to
    `size`; smaller ones are left to the device, batch by batch, unless `enlarge`.
    """
    if resize == "crop":
        height, width = pixels.shape[:2]
        factor = min(height / size[0], width / size[1])
        rows, columns = max(1, round(size[0] * factor)), max(1, round(size[1] * factor))
        top, left = (height - rows) // 2, (width - columns) // 2
        pixels = pixels[top : top + rows, left : left + columns]
    small = pixels.shape[0] <= size[0] and pixels.shape[1] <= size[1]
    if pixels.shape[:2] == tuple(size) or (small and not enlarge):
        return np.ascontiguousarray(pixels)
    values = torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)[None].float()
    return resized(values, size)[0].permute(1, 2, 0).round().clamp(0, 255).to(torch.uint8).numpy()
