"""VGG16 and VGG19 with batch norm, and R1's VGG16 with a wider start (reference specification 3.7)."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from deep.zoo._network import Network
from deep.zoo._plain import Stage, convolutions, plain_network
from deep.zoo._shapes import flat_features

# Channels of the convolutions between two pools.
_VGG16 = ((64, 64), (128, 128), (256,) * 3, (512,) * 3, (512,) * 3)
_VGG19 = ((64, 64), (128, 128), (256,) * 4, (512,) * 4, (512,) * 4)
_VGG16_WIDE = ((96, 96), *_VGG16[1:])


def vgg(
    *,
    num_classes: int,
    input_size: tuple[int, int, int],
    blocks: tuple[tuple[int, ...], ...],
    dropout: float | None,
    batch_norm: bool,
) -> nn.Sequential:
    """Blocks of 3x3 convolutions, each block followed by a pool; then two hidden layers of 4096.

    Dropout stands after the ReLU of each hidden linear layer.
    """
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    channels = input_size[0]
    for i, widths in enumerate(blocks, start=1):
        stages = [Stage(width, 3, padding=1) for width in widths]
        stages[-1] = stages[-1]._replace(pools=((2, 2),))
        layers = convolutions(channels, stages, nn.ReLU, None, batch_norm=batch_norm)
        parts[f"block{i}"] = nn.Sequential(*layers)
        channels = widths[-1]
    features = flat_features(list(parts.values()), input_size)
    parts["classifier"] = plain_network(
        num_classes=num_classes,
        input_size=(features, 1, 1),
        stages=(),
        hidden=(4096, 4096),
        dropout=dropout,
        drop="hidden",
    )
    return nn.Sequential(parts)


def _row(name: str, blocks: tuple[tuple[int, ...], ...], dropout: float | None = None) -> Network:
    return Network(
        name=name,
        place="R1 3.7",
        input_size=(3, 32, 32),
        build=vgg,
        settings={"blocks": blocks},
        options={"dropout": dropout, "batch_norm": True},
    )


NETWORKS = [_row("vgg16", _VGG16), _row("vgg19", _VGG19), _row("vgg16_wide", _VGG16_WIDE, dropout=0.5)]
