"""Networks that are one line of layers: convolutions with pools, then linear layers (LeNet, AlexNet)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from torch import nn

from deep.zoo._dropout import Dropout
from deep.zoo._shapes import flat_features


class Stage(NamedTuple):
    """A convolution with bias and what follows it: norm, activation, pools (kernel, stride)."""

    channels: int
    kernel: int
    stride: int = 1
    padding: int = 0
    pools: tuple[tuple[int, int], ...] = ()
    pool: Callable[..., nn.Module] = nn.MaxPool2d
    norm: Callable[[int], nn.Module] | None = None


def plain_network(
    *,
    num_classes: int,
    input_size: tuple[int, int, int],
    stages: Sequence[Stage],
    hidden: Sequence[int],
    activation: Callable[[], nn.Module] = nn.ReLU,
    dropout: float | None = None,
    drop: str = "all",
    batch_norm: bool = False,
    last: Callable[[], nn.Module] | None = None,
) -> nn.Sequential:
    """Return the network as one flat `Sequential`, from images (n, C, H, W) to logits (n, num_classes).

    Parameters
    ----------
    num_classes : int
    input_size : (int, int, int)
        Channels, height, width. The width of the first linear layer is found by a dry run.
    stages : sequence of Stage
    hidden : sequence of int
        Widths of the linear layers before the last.
    activation : callable
        Makes the activation after each convolution and each hidden linear layer.
    dropout : float, optional
        Rate; without one there is no dropout layer.
    drop : {"all", "hidden", "first two hidden", "before hidden", "features"}
        Where dropout goes: after the activation of each convolution and hidden linear layer; of each
        hidden linear layer; of the first two of these; before each hidden linear layer; once, on what
        the convolutions hand over.
    batch_norm : bool, default=False
        Normalise after each convolution, before its activation.
    last : callable, optional
        Makes the layer after the last linear one.
    """
    layers = convolutions(
        input_size[0], stages, activation, dropout if drop == "all" else None, batch_norm=batch_norm
    )
    layers.append(nn.Flatten())
    features = flat_features(layers, input_size)
    dropouts = [] if dropout is None else [dropout]  # zero or one layer at each place
    if drop == "features":
        layers += map(Dropout, dropouts)
    for i, width in enumerate(hidden):
        if drop == "before hidden":
            layers += map(Dropout, dropouts)
        layers += [nn.Linear(features, width), activation()]
        if drop in ("all", "hidden") or (drop == "first two hidden" and i < 2):
            layers += map(Dropout, dropouts)
        features = width
    layers.append(nn.Linear(features, num_classes))
    if last is not None:
        layers.append(last())
    return nn.Sequential(*layers)


def convolutions(
    in_channels: int,
    stages: Sequence[Stage],
    activation: Callable[[], nn.Module],
    dropout: float | None,
    *,
    batch_norm: bool,
) -> list[nn.Module]:
    """Return the layers of all stages in order."""
    layers: list[nn.Module] = []
    for stage in stages:
        layers.append(nn.Conv2d(in_channels, stage.channels, stage.kernel, stage.stride, stage.padding))
        if batch_norm:
            layers.append(nn.BatchNorm2d(stage.channels))
        if stage.norm is not None:
            layers.append(stage.norm(stage.channels))
        layers.append(activation())
        if dropout is not None:
            layers.append(Dropout(dropout))
        layers += [stage.pool(kernel, stride) for kernel, stride in stage.pools]
        in_channels = stage.channels
    return layers
