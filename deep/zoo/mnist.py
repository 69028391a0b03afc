"""R4's three convolutions for MNIST, with 10 digits or 4 merged classes (reference specification 6.1)."""

from __future__ import annotations

from torch import nn

from deep.zoo._network import Network
from deep.zoo._plain import Stage, plain_network


def mnist_conv3(*, conv3_stride: int, **settings) -> nn.Sequential:
    """Conv 16 7x7, conv 8 5x5, conv 4 3x3, without padding; the pools have strides 1, 1 and 2.

    R4 lists "stride 1 / 1 / 2" in a way that could mean the convolutions as well: ``conv3_stride=2`` is
    that reading, 4,670 instead of 6,270 parameters.
    """
    stages = (
        Stage(16, 7, pools=((2, 1),)),
        Stage(8, 5, pools=((2, 1),)),
        Stage(4, 3, conv3_stride, pools=((2, 2),), pool=nn.AvgPool2d),
    )
    return plain_network(stages=stages, hidden=(), **settings)


NETWORKS = [
    Network(
        name="mnist_conv3",
        place="R4 6.1",
        input_size=(1, 28, 28),
        build=mnist_conv3,
        options={"dropout": None, "batch_norm": False, "conv3_stride": 1},
    )
]
