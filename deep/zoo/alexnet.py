"""AlexNet and its variants: R2's on Fashion-MNIST, R5's on CIFAR-10 enlarged to 227x227, R1's at 32x32.

Single-group convolutions throughout. Each variant is a list of stages and of hidden widths
(reference specification 3.7, 4.3 and 7).
"""

from __future__ import annotations

from functools import partial
from typing import Any

from torch import nn

from deep.zoo._network import Network
from deep.zoo._plain import Stage, plain_network

_POOL2, _POOL3 = ((2, 2),), ((3, 2),)
_HIDDEN = (4096, 4096)

# ------------------------------------------------------------------ R2, and the textbook's network at 224

_STAGES_224 = (
    Stage(96, 11, 4, 1, _POOL3),
    Stage(256, 5, 1, 2, _POOL3),
    Stage(384, 3, 1, 1),
    Stage(384, 3, 1, 1),
    Stage(256, 3, 1, 1, _POOL3),
)
# Two pools in a row: R2 took out the convolution that stood between them.
_STAGES_128 = (Stage(64, 5, 4, 1, _POOL3 + _POOL3), Stage(256, 3, 1, 1, _POOL3))
_STAGES_28 = (
    Stage(64, 5, 1, 2, _POOL2),
    Stage(128, 5, 1, 2, _POOL2),
    Stage(384, 3, 1, 1),
    Stage(384, 3, 1, 1),
    Stage(256, 3, 1, 1, _POOL2),
)
_STAGES_28_SMALL = (
    Stage(32, 5, 1, 2, _POOL2),
    Stage(64, 5, 1, 2, _POOL2),
    Stage(64, 3, 1, 1),
    Stage(32, 3, 1, 1, _POOL2),
)

# ----------------------------------------------------------------------------------------------- R1 at 32

_STAGES_32 = (
    Stage(64, 3, 2, 1, _POOL2),
    Stage(192, 3, 1, 1, _POOL2),
    Stage(384, 3, 1, 1),
    Stage(256, 3, 1, 1),
    Stage(256, 3, 1, 1, _POOL2),
)

# ---------------------------------------------------------------------------------------------- R5 at 227

_lrn = partial(nn.LocalResponseNorm, 5, alpha=1e-4, beta=0.75, k=2.0)


def _stages_227(*last: int, norm=nn.BatchNorm2d) -> tuple[Stage, ...]:
    """Two stages with a norm, then a 3x3 convolution for each width in `last`, then the last pool."""
    convs = [Stage(width, 3, 1, 1) for width in last]
    convs[-1] = convs[-1]._replace(pools=_POOL3)
    return (Stage(96, 11, 4, 0, _POOL3, norm=norm), Stage(256, 5, 1, 2, _POOL3, norm=norm), *convs)


_STAGES_227 = _stages_227(384, 384, 256)


def _conv3(*, conv3_out: int, **settings) -> nn.Sequential:
    """R5 does not say what its third and last convolution puts out; 256 keeps the linear layers' size."""
    return plain_network(stages=_stages_227(conv3_out), **settings)


def _fc1(*, sigmoid: bool, **settings) -> nn.Sequential:
    """The last linear layer only; ``sigmoid=False`` leaves logits, for a loss that has its own sigmoid."""
    return plain_network(
        stages=_STAGES_227, hidden=(), drop="features", last=nn.Sigmoid if sigmoid else None, **settings
    )


def _lrn_in_place_of_batch_norm(**settings) -> nn.Sequential:
    # A response norm has no width to be told.
    return plain_network(stages=_stages_227(384, 384, 256, norm=lambda channels: _lrn()), **settings)


def _r2(name: str, size: int, stages: tuple[Stage, ...], dropout: float) -> Network:
    return Network(
        name=name,
        place="R2 4.3",
        input_size=(1, size, size),
        build=plain_network,
        settings={"stages": stages, "hidden": _HIDDEN, "drop": "hidden"},
        options={"dropout": dropout, "batch_norm": False},
    )


def _r5(name: str, build=plain_network, *, dropout: float | None = 0.5, options=None, **settings) -> Network:
    return Network(
        name=name,
        place="R5 7",
        input_size=(3, 227, 227),
        build=build,
        settings=settings,
        options={"dropout": dropout, **(options or {})},
    )


_TEXTBOOK: dict[str, Any] = {"stages": _STAGES_227, "hidden": _HIDDEN, "drop": "hidden"}

NETWORKS = [
    _r2("alexnet_128", 128, _STAGES_128, 0.5),
    _r2("alexnet_28", 28, _STAGES_28, 0.1),
    _r2("alexnet_28_small", 28, _STAGES_28_SMALL, 0.1),
    _r2("alexnet_224", 224, _STAGES_224, 0.5),
    _r5("alexnet_227", **_TEXTBOOK),
    _r5("alexnet_227_conv4", **_TEXTBOOK | {"stages": _stages_227(384, 256)}),
    _r5("alexnet_227_conv3", _conv3, options={"conv3_out": 256}, hidden=_HIDDEN, drop="hidden"),
    _r5("alexnet_227_fc2", **_TEXTBOOK | {"hidden": (4096,)}),
    _r5("alexnet_227_fc1", _fc1, dropout=None, options={"sigmoid": True}),
    # R5 words the dropout as following the first two linear layers, and adds a third hidden one.
    _r5("alexnet_227_fc4", **_TEXTBOOK | {"hidden": (4096, 4096, 4096), "drop": "first two hidden"}),
    _r5("alexnet_227_leaky", **_TEXTBOOK, activation=partial(nn.LeakyReLU, 0.01)),
    _r5("alexnet_227_lrn", _lrn_in_place_of_batch_norm, hidden=_HIDDEN, drop="hidden"),
    Network(
        name="alexnet_32",
        place="R1 3.7",
        input_size=(3, 32, 32),
        build=plain_network,
        settings={"stages": _STAGES_32, "hidden": _HIDDEN, "drop": "before hidden"},
        options={"dropout": 0.5, "batch_norm": False},
    ),
]
