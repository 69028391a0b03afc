"""R1's `mynet` and the GoogLeNet it was made from, both for small images (reference specification 3.1, 3.7).

Names of submodules and the order of calls are R1's, so that its printed listing and its table of 214 rows
come out as they were.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from deep.zoo import _dropout
from deep.zoo._dropout import Dropout
from deep.zoo._network import Network


class BasicConv2d(nn.Module):
    """Convolution without bias that keeps the size, batch norm, ReLU."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel, padding=kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(out_channels, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        """(n, in, H, W) to (n, out, H, W)."""
        # A function, not a module: R1's listing and table have no row for it.
        return functional.relu(self.bn(self.conv(x)))


class Widths(NamedTuple):
    """Channels of an Inception block: of its 1x1 layers that reduce, and of its four outputs."""

    branch1: int
    reduce2: int
    branch2: int
    reduce3: int
    branch3: int
    branch4: int

    @property
    def total(self) -> int:
        """Channels of the concatenated output."""
        return self.branch1 + self.branch2 + self.branch3 + self.branch4


class Inception(nn.Module):
    """Four branches on the same input, concatenated: 1x1; 1x1, 3x3; 1x1 and larger; pool, 1x1.

    The third branch has two 3x3 convolutions of equal width (R1) or, with `five`, one 5x5 (the paper).
    """

    def __init__(self, in_channels: int, widths: Widths, five: bool):
        super().__init__()
        self.branch1 = BasicConv2d(in_channels, widths.branch1, 1)
        self.branch2 = nn.Sequential(
            BasicConv2d(in_channels, widths.reduce2, 1), BasicConv2d(widths.reduce2, widths.branch2, 3)
        )
        larger = (
            [BasicConv2d(widths.reduce3, widths.branch3, 5)]
            if five
            else [
                BasicConv2d(widths.reduce3, widths.branch3, 3),
                BasicConv2d(widths.branch3, widths.branch3, 3),
            ]
        )
        self.branch3 = nn.Sequential(BasicConv2d(in_channels, widths.reduce3, 1), *larger)
        self.branch4 = nn.Sequential(
            nn.MaxPool2d(3, stride=1, padding=1), BasicConv2d(in_channels, widths.branch4, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(n, in, H, W) to (n, sum of the four widths, H, W)."""
        return torch.cat([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], dim=1)


_BLOCKS = {
    "inception_3a": Widths(64, 96, 128, 16, 32, 32),
    "inception_3b": Widths(128, 128, 192, 32, 96, 64),
    "inception_4a": Widths(192, 96, 208, 16, 48, 64),
    "inception_4b": Widths(160, 112, 224, 24, 64, 64),
    "inception_4c": Widths(128, 128, 256, 24, 64, 64),
    "inception_4d": Widths(112, 144, 288, 32, 64, 64),
    "inception_4e": Widths(256, 160, 320, 32, 128, 128),
    "inception_5a": Widths(256, 160, 320, 32, 128, 128),
    "inception_5b": Widths(384, 192, 384, 48, 128, 128),
}
_POOL_AFTER = {"inception_3b": "maxpool_3", "inception_4e": "maxpool_4"}
_STEM = 192


class AvgPool2d(nn.AvgPool2d):
    """torch's, but a map smaller than the window, as of images made smaller for a while, is averaged whole.

    It keeps its name: R1 lists it by that.
    """

    def forward(self, input: Tensor) -> Tensor:
        """(n, C, H, W) to (n, C, H - h + 1, W - w + 1), or (n, C, 1, 1)."""
        size = self.kernel_size if isinstance(self.kernel_size, tuple) else (self.kernel_size,) * 2
        if input.shape[2] < size[0] or input.shape[3] < size[1]:
            return functional.adaptive_avg_pool2d(input, 1)
        return super().forward(input)


class GoogLeNet(nn.Module):
    """A stem at full resolution, nine Inception blocks, average pool, dropout, one linear layer."""

    def __init__(self, stem: nn.Module, pool: tuple[int, int], num_classes: int, dropout, five: bool):
        super().__init__()
        self.conv = stem
        channels = _STEM
        for name, widths in _BLOCKS.items():
            self.add_module(name, Inception(channels, widths, five))
            channels = widths.total
            if name in _POOL_AFTER:
                self.add_module(_POOL_AFTER[name], nn.MaxPool2d(3, stride=2, padding=1))
        self.avgpool = AvgPool2d(pool[0] if pool[0] == pool[1] else pool, stride=1, padding=0)
        self.dropout = None if dropout is None else Dropout(dropout)
        self.fc = nn.Linear(channels, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """(n, C, H, W) to logits (n, num_classes); sizes below are for 32x32."""
        x = self.conv(x)  # 192 x 32 x 32
        for name in _BLOCKS:
            x = self.get_submodule(name)(x)
            if name in _POOL_AFTER:
                x = self.get_submodule(_POOL_AFTER[name])(x)  # 480 x 16 x 16, 832 x 8 x 8
        x = torch.flatten(self.avgpool(x), 1)  # 1024
        if self.dropout is not None:
            # R1 lists the module but its table has no row for it: the module is never called itself.
            x = _dropout.dropout(x, self.dropout.p, self.training)
        return self.fc(x)


def _pool_size(name: str, input_size: tuple[int, int, int]) -> tuple[int, int]:
    height, width = input_size[1:]
    if height % 4 or width % 4:
        raise ValueError(f"{name} cannot take {height}x{width} images: both sides must be divisible by 4")
    return height // 4, width // 4


def mynet(*, num_classes: int, input_size: tuple[int, int, int], dropout: float) -> GoogLeNet:
    """R1's network: one 3x3 convolution as stem, branch 3 of two 3x3, dropout before the classifier."""
    stem = nn.Sequential(nn.Conv2d(input_size[0], _STEM, 3, padding=1), nn.BatchNorm2d(_STEM), nn.ReLU())
    return GoogLeNet(stem, _pool_size("mynet", input_size), num_classes, dropout, five=False)


def googlenet(*, num_classes: int, input_size: tuple[int, int, int], dropout: float | None) -> GoogLeNet:
    """`mynet` with R1's changes undone: three convolutions as stem, branch 3 with a 5x5, no dropout.

    The stem keeps the resolution; the paper's three halvings have no room in 32 pixels.
    """
    stem = nn.Sequential(BasicConv2d(input_size[0], 64, 3), BasicConv2d(64, 64, 1), BasicConv2d(64, _STEM, 3))
    return GoogLeNet(stem, _pool_size("googlenet", input_size), num_classes, dropout, five=True)


NETWORKS = [
    Network(name="mynet", place="R1 3.1", input_size=(3, 32, 32), build=mynet, options={"dropout": 0.2}),
    Network(name="googlenet", place="R1 3.7", input_size=(3, 32, 32), build=googlenet),
]
