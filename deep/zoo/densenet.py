"""DenseNet for small images: the paper's BC form of depth 100, and torchvision's 121 layers.

R1 only says "DenseNet"; these are the two readings (reference specification 3.7).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from deep.zoo import _dropout
from deep.zoo._network import Network


class DenseLayer(nn.Module):
    """BN, ReLU, 1x1 convolution, BN, ReLU, 3x3 convolution; its output joins its input."""

    def __init__(self, in_channels: int, growth: int, dropout: float):
        super().__init__()
        self.norm1 = nn.BatchNorm2d(in_channels)
        self.relu1 = nn.ReLU(inplace=True)
        self.conv1 = nn.Conv2d(in_channels, 4 * growth, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(4 * growth)
        self.relu2 = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False)
        self.dropout = dropout

    def forward(self, x: Tensor) -> Tensor:
        """(n, in, H, W) to (n, in + growth, H, W)."""
        new = self.conv1(self.relu1(self.norm1(x)))
        new = self.conv2(self.relu2(self.norm2(new)))
        if self.dropout:
            new = _dropout.dropout(new, self.dropout, self.training)
        return torch.cat([x, new], dim=1)


class DenseBlock(nn.Sequential):
    """Layers of which each sees the input and the outputs of all before it."""

    def __init__(self, in_channels: int, n_layers: int, growth: int, dropout: float):
        super().__init__(*(DenseLayer(in_channels + i * growth, growth, dropout) for i in range(n_layers)))


def _transition(channels: int) -> nn.Sequential:
    """BN, ReLU, 1x1 convolution to half the channels, 2x2 average pool."""
    return nn.Sequential(
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
        nn.Conv2d(channels, channels // 2, 1, bias=False),
        nn.AvgPool2d(2),
    )


def densenet(*, num_classes: int, input_size: tuple[int, int, int], dropout: float | None) -> nn.Sequential:
    """DenseNet-BC, depth 100, growth 12: three blocks of 16 layers; 24 -> 216 -> 108 -> 300 -> 150 -> 342.

    Dropout, if asked for, follows the 3x3 convolution of each layer, as in the paper.
    """
    growth, n_layers, channels = 12, 16, 24
    parts: list[nn.Module] = [nn.Conv2d(input_size[0], channels, 3, padding=1, bias=False)]
    for block in range(3):
        parts.append(DenseBlock(channels, n_layers, growth, dropout or 0.0))
        channels += n_layers * growth
        if block < 2:
            parts.append(_transition(channels))
            channels //= 2
    parts += [nn.BatchNorm2d(channels), nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*parts, nn.Linear(channels, num_classes))


def densenet121(*, num_classes: int, input_size: tuple[int, int, int], dropout: float | None) -> nn.Module:
    """torchvision's DenseNet121 with a 3x3 first convolution at stride 1 and without the first pool."""
    # Imported here: every other network can be built without torchvision.
    from deep._torchvision import models

    network = models.densenet121(weights=None, num_classes=num_classes, drop_rate=dropout or 0.0)
    network.features.conv0 = nn.Conv2d(input_size[0], 64, 3, stride=1, padding=1, bias=False)
    network.features.pool0 = nn.Identity()
    return network


NETWORKS = [
    Network(name="densenet", place="R1 3.7", input_size=(3, 32, 32), build=densenet),
    Network(name="densenet121", place="R1 3.7", input_size=(3, 32, 32), build=densenet121),
]
