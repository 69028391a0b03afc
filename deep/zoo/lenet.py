"""LeNet and its variants: R2's on Fashion-MNIST, resized to 32x32, and R1's on colour images.

All have the common form Conv(1, c, k) act pool, Conv(c, 16, 5) act pool, 576 (or what is left) -> 120 -> 84
-> 10. R2's prose and its tables differ in places; the tables count (reference specification 4.2).
"""

from __future__ import annotations

from torch import nn

from deep.zoo._network import Network
from deep.zoo._plain import Stage, plain_network

_POOL = ((2, 2),)
_OPTIONS = {"dropout": None, "batch_norm": False}


def _stages(
    channels: int = 6, kernel: int = 5, padding: int = 2, pool: tuple[int, int] = (2, 2)
) -> tuple[Stage, Stage]:
    return Stage(channels, kernel, 1, padding, (pool,)), Stage(16, 5, pools=_POOL)


_MODERN = _stages()
_EXTRA_CONVS = (Stage(32, 5, padding=2, pools=_POOL), Stage(64, 5, padding=2, pools=_POOL))

_VARIANTS: dict[str, dict] = {
    "lenet_baseline": {
        "stages": tuple(stage._replace(pool=nn.AvgPool2d) for stage in _MODERN),
        "activation": nn.Sigmoid,
    },
    "lenet_modern": {"stages": _MODERN},
    # The first pool's window of 7, not only the convolution's of 9, is what R2's table shows.
    "lenet_window9": {"stages": _stages(kernel=9, padding=3, pool=(7, 2))},
    "lenet_window7": {"stages": _stages(kernel=7)},
    "lenet_channels8": {"stages": _stages(8)},
    "lenet_channels16": {"stages": _stages(16)},
    "lenet_channels24": {"stages": _stages(24)},
    "lenet_channels32": {"stages": _stages(32)},
    "lenet_channels64": {"stages": _stages(64)},
    "lenet_convs4": {"stages": _MODERN + _EXTRA_CONVS},
    "lenet_fc5": {"stages": _MODERN, "hidden": (120, 84, 42, 21)},
}

NETWORKS = [
    Network(
        name=name,
        place="R2 4.2",
        input_size=(1, 32, 32),
        build=plain_network,
        settings={"hidden": (120, 84), **settings},
        options=_OPTIONS,
    )
    for name, settings in _VARIANTS.items()
] + [
    Network(
        name="lenet_32",
        place="R1 3.7",
        input_size=(3, 32, 32),
        build=plain_network,
        settings={"stages": _stages(padding=0), "hidden": (120, 84)},
        options=_OPTIONS,
    )
]
