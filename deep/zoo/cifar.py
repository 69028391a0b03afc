"""R3's four small networks for CIFAR-10: plain, separable, residual, and one below 50,000 parameters.

Layer forms, counts and the readings taken stand in the reference specification, section 5. Batch norm is
as in Keras: eps 1e-3, momentum 0.99, which torch writes as 0.01.
"""

from __future__ import annotations

from collections import OrderedDict
from functools import partial
from typing import NamedTuple

from torch import Tensor, nn

from deep.zoo._dropout import Dropout
from deep.zoo._network import Network
from deep.zoo._shapes import flat_features

_norm1d = partial(nn.BatchNorm1d, eps=1e-3, momentum=0.01)
_norm2d = partial(nn.BatchNorm2d, eps=1e-3, momentum=0.01)


class SeparableConv2d(nn.Module):
    """A 3x3 convolution of each channel by itself, without bias, then a 1x1 over all, with bias."""

    def __init__(self, in_channels: int, out_channels: int, stride: int):
        super().__init__()
        self.depthwise = nn.Conv2d(in_channels, in_channels, 3, stride, 1, groups=in_channels, bias=False)
        self.pointwise = nn.Conv2d(in_channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(n, in, H, W) to (n, out, H / stride, W / stride), rounded up."""
        return self.pointwise(self.depthwise(x))


class ConvBlock(nn.Sequential):
    """Convolution, ReLU, batch norm, in this order."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, separable: bool):
        conv: nn.Module
        if separable:
            conv = SeparableConv2d(in_channels, out_channels, stride)
        else:
            conv = nn.Conv2d(in_channels, out_channels, 3, stride, 1)
        super().__init__(OrderedDict(conv=conv, relu=nn.ReLU(), bn=_norm2d(out_channels)))


class Residual(nn.Module):
    """Sum of what `body` makes of the input and the input itself, or its 1x1 `projection`."""

    def __init__(self, body: nn.Module, projection: nn.Module | None):
        super().__init__()
        self.body = body
        self.projection = projection

    def forward(self, x: Tensor) -> Tensor:
        """(n, in, H, W) to what `body` puts out; nothing is applied to the sum."""
        return self.body(x) + (x if self.projection is None else self.projection(x))


class Group(NamedTuple):
    """Consecutive convolutions: their widths, the stride of the first, and what goes around them.

    ``skip`` is "none", "identity" or "projection"; ``drop`` tells whether dropout follows.
    """

    widths: tuple[int, ...]
    stride: int = 1
    skip: str = "none"
    drop: bool = True


_GROUPS = (
    Group((32,), 2),
    Group((64,), 2, "projection"),
    Group((128,), 2),
    Group((128, 128), 1, "identity"),
    Group((128, 128), 1, "identity"),
)
# 110 is what R3 needed to get below 50,000; the last convolution has no skip and no dropout.
_GROUPS_50K = (
    Group((32,), 2),
    Group((64,), 2, "projection"),
    Group((64,), 2),
    Group((64, 64), 1, "identity"),
    Group((64,), 1, "identity"),
)


def cifar(
    *,
    num_classes: int,
    input_size: tuple[int, int, int],
    groups: tuple[Group, ...] = _GROUPS,
    separable: bool = False,
    skips: bool = False,
    projection: bool = True,
    dropout: float | None = None,
    rates: tuple[float, float] | None = None,
) -> nn.Sequential:
    """Seven convolutions in groups, a 4x4 pool, a hidden layer of 128, logits (n, num_classes).

    Parameters
    ----------
    separable : bool
        Every convolution but the first is a `SeparableConv2d`.
    skips, projection : bool
        Whether groups have their skips; whether also the one that needs a 1x1 convolution.
    dropout : float, optional
        One rate for all places: after groups and after the hidden layer's batch norm.
    rates : (float, float), optional
        The network's own rates, after groups and after the hidden layer, where `dropout` is not given.
    """
    after_groups, after_hidden = rates if dropout is None and rates else (dropout, dropout)
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    channels, done = input_size[0], 0
    for group in groups:
        numbers = range(done + 1, done + 1 + len(group.widths))
        body: OrderedDict[str, nn.Module] = OrderedDict()
        entry = channels
        for i, (number, width) in enumerate(zip(numbers, group.widths, strict=True)):
            stride = group.stride if i == 0 else 1
            body[f"conv{number}"] = ConvBlock(channels, width, stride, separable and number > 1)
            channels = width
        done += len(numbers)
        kind = group.skip if skips and (projection or group.skip != "projection") else "none"
        if kind == "none":
            parts.update(body)
        else:
            shortcut = nn.Conv2d(entry, channels, 1, group.stride) if kind == "projection" else None
            parts["add" + "".join(map(str, numbers))] = Residual(nn.Sequential(body), shortcut)
        if group.drop and after_groups is not None:
            parts[f"drop{done}"] = Dropout(after_groups)
    parts["pool"] = nn.MaxPool2d(4)
    parts["flatten"] = nn.Flatten()
    features = flat_features(list(parts.values()), input_size)
    parts["hidden"] = nn.Linear(features, 128)
    parts["hidden_relu"] = nn.ReLU()
    parts["hidden_bn"] = _norm1d(128)
    if after_hidden is not None:
        parts["hidden_drop"] = Dropout(after_hidden)
    parts["logits"] = nn.Linear(128, num_classes)
    return nn.Sequential(parts)


def cifar_50k(*, last: int, **settings) -> nn.Sequential:
    """The network below 50,000 parameters; `last` is the width of the last convolution."""
    return cifar(groups=(*_GROUPS_50K, Group((last,), drop=False)), **settings)


def _row(name: str, place: str, build=cifar, options=None, **settings) -> Network:
    return Network(
        name=name,
        place=place,
        input_size=(3, 32, 32),
        build=build,
        settings=settings,
        options={"dropout": None, **(options or {})},
    )


_SKIPS = {"skips": True, "projection": True}
_RATES = (0.2, 0.3)

NETWORKS = [
    _row("cifar_plain", "R3 5.1"),
    _row("cifar_separable", "R3 5.1", separable=True),
    _row("cifar_residual", "R3 5.2", options=_SKIPS, rates=_RATES),
    _row("cifar_50k", "R3 5.3", cifar_50k, {**_SKIPS, "last": 110}, separable=True, rates=_RATES),
]
