"""This project's own networks, made to train on a processor in minutes: `fastnet` and `tiny50k`.

The way of airbench94 (Keller Jordan, "94% on CIFAR-10 in 3.29 seconds on a single GPU", 2024): a frozen
whitening of 2x2 patches, 3x3 convolutions with the pool before the batch norm, a norm without scale, global
maximum, a linear layer divided by its width.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn import functional

from deep.zoo._dropout import Dropout
from deep.zoo._network import Network

_PATCH = 2
MOMENTUM = 0.1  # of a batch in the running statistics
GAIN = 1.702  # silu(1.702 x) / 1.702 is close to GELU
_WHITEN_EPS = 5e-4
_NORM_EPS = 1e-12
# Widths of the convolutions; True: a pool goes with it.
_FAST = {
    "standard": ((32, True), (64, False), (128, True), (128, False), (256, True), (256, False)),
    "wide": ((64, True), (64, False), (160, True), (192, False), (320, True), (320, False)),
}


class ScaledBatchNorm2d(nn.BatchNorm2d):
    """Batch norm to a standard deviation of 1.702, plus a bias: the next convolution has a scale anyway.

    SiLU behind it, x sigmoid(x), is then 1.702 times the quick GELU x sigmoid(1.702 x) of a plain batch norm,
    as one fused operation instead of three; the next batch norm takes the factor out again.
    """

    def __init__(self, num_features: int):
        super().__init__(num_features, eps=_NORM_EPS, momentum=MOMENTUM)
        self.register_parameter("weight", None)

    def reset_parameters(self) -> None:
        """Forget the statistics and set the biases to 0."""
        self.reset_running_stats()
        nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(n, C, H, W) to the same shape."""
        gain = self.bias.new_full(self.bias.shape, GAIN)
        return functional.batch_norm(
            x, self.running_mean, self.running_var, gain, self.bias, self.training, MOMENTUM, self.eps
        )


class WhiteningConv2d(nn.Conv2d):
    """Frozen 2x2 convolution whose outputs are uncorrelated with variance 1, and their negatives.

    Until `fit` is called the outputs are the pixels of each patch and their negatives.
    """

    def __init__(self, in_channels: int):
        super().__init__(in_channels, 2 * in_channels * _PATCH**2, _PATCH, bias=False)
        self.weight.requires_grad_(False)
        pixels = torch.eye(in_channels * _PATCH**2).view(-1, in_channels, _PATCH, _PATCH)
        with torch.no_grad():
            self.weight.copy_(torch.cat([pixels, -pixels]))

    @torch.no_grad()
    def fit(self, images: Tensor) -> None:
        """Set the filters from images, float (n, C, H, W), normalised as the network will see them.

        The filters are the eigenvectors of the second moments of all 2x2 patches, strongest first, divided
        by sqrt(eigenvalue + 5e-4); the sign is the one that makes the largest entry positive. Computed in
        float64.

        Raises
        ------
        ValueError
            The images are not (n, C, H, W) with this layer's C, or smaller than a patch.
        """
        channels = self.in_channels
        if images.ndim != 4 or images.shape[1] != channels or min(images.shape) < 1:
            raise ValueError(
                f"images to whiten by have shape {tuple(images.shape)}: give (n, {channels}, H, W)"
            )
        if min(images.shape[2:]) < _PATCH:
            raise ValueError(f"images to whiten by are {tuple(images.shape[2:])}: a patch is 2x2")
        # (n, C, H-1, W-1, 2, 2), one row a patch
        patches = images.double().unfold(2, _PATCH, 1).unfold(3, _PATCH, 1)
        patches = patches.permute(0, 2, 3, 1, 4, 5).reshape(-1, channels * _PATCH**2)
        values, vectors = torch.linalg.eigh(patches.T @ patches / len(patches))
        values, filters = values.flip(0), vectors.T.flip(0)
        largest = filters.gather(1, filters.abs().argmax(dim=1, keepdim=True))
        filters = filters * largest.sign() / (values.clamp(min=0)[:, None] + _WHITEN_EPS).sqrt()
        filters = filters.view(-1, channels, _PATCH, _PATCH)
        self.weight.copy_(torch.cat([filters, -filters]))


class Repeated(nn.Module):
    """A residual step, taken twice with the same convolution and a batch norm for each time."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv = _conv3(channels, channels)
        self.norm1 = ScaledBatchNorm2d(channels)
        self.norm2 = ScaledBatchNorm2d(channels)
        self.act = nn.SiLU()

    def forward(self, x: Tensor) -> Tensor:
        """(n, C, H, W) to the same shape."""
        x = x + self.act(self.norm1(self.conv(x)))
        return x + self.act(self.norm2(self.conv(x)))


class WhitenedNet(nn.Module):
    """Whitening, blocks, global maximum, linear layer without bias, divided by its width.

    ``whiten`` is frozen; ``set_whitening`` fits it before training.
    """

    def __init__(self, in_channels: int, blocks: nn.Sequential, width: int, num_classes: int, dropout):
        super().__init__()
        self.whiten = WhiteningConv2d(in_channels)
        self.act = nn.SiLU()
        self.blocks = blocks
        self.dropout = None if dropout is None else Dropout(dropout)
        self.head = nn.Linear(width, num_classes, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(n, C, H, W) to logits (n, num_classes); sizes below are for 32x32."""
        x = self.act(GAIN * self.whiten(x))  # 31 x 31
        x = self.blocks(x)  # 3 x 3
        x = torch.amax(x, dim=(2, 3))
        if self.dropout is not None:
            x = self.dropout(x)
        return self.head(x) / (GAIN * self.head.in_features)

    def set_whitening(self, images: Tensor) -> None:
        """Fit the stem on images, float (n, C, H, W), normalised as in training; some 1,500 are enough."""
        self.whiten.fit(images)


def _conv3(in_channels: int, out_channels: int) -> nn.Conv2d:
    return nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False)


def _block(in_channels: int, out_channels: int, pool: bool) -> nn.Sequential:
    parts: OrderedDict[str, nn.Module] = OrderedDict(conv=_conv3(in_channels, out_channels))
    if pool:
        parts["pool"] = nn.MaxPool2d(2)  # before the norm: a quarter of the work for norm and activation
    parts["norm"] = ScaledBatchNorm2d(out_channels)
    parts["act"] = nn.SiLU()
    return nn.Sequential(parts)


def _stem_channels(input_size: tuple[int, int, int]) -> int:
    return 2 * input_size[0] * _PATCH**2


def fastnet(
    *, num_classes: int, input_size: tuple[int, int, int], width: str, dropout: float | None
) -> WhitenedNet:
    """Six convolutions: ``width="standard"`` has 1.13 M trainable parameters, ``"wide"`` 1.90 M.

    Dropout, if asked for, stands before the last layer.
    """
    if width not in _FAST:
        raise ValueError(f"fastnet has no width {width!r}: choose from {', '.join(_FAST)}")
    channels, blocks = _stem_channels(input_size), []
    for out_channels, pool in _FAST[width]:
        blocks.append(_block(channels, out_channels, pool))
        channels = out_channels
    return WhitenedNet(input_size[0], nn.Sequential(*blocks), channels, num_classes, dropout)


def tiny50k(*, num_classes: int, input_size: tuple[int, int, int], dropout: float | None) -> WhitenedNet:
    """Five convolutions of 32 channels, two of them used twice: 44,608 weights, the frozen stem included.

    Dropout, if asked for, stands before the last layer.
    """
    blocks = nn.Sequential(
        _block(_stem_channels(input_size), 32, True),
        Repeated(32),
        _block(32, 32, True),
        Repeated(32),
        _block(32, 32, True),
    )
    return WhitenedNet(input_size[0], blocks, 32, num_classes, dropout)


NETWORKS = [
    Network(
        name="fastnet",
        place="own",
        input_size=(3, 32, 32),
        build=fastnet,
        options={"dropout": None, "width": "standard"},
    ),
    Network(name="tiny50k", place="own", input_size=(3, 32, 32), build=tiny50k),
]
