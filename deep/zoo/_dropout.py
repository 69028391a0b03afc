"""Dropout whose random bits do not take longer than the convolutions."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, fx, nn
from torch.nn import functional

_LEVELS = 2**16


class Dropout(nn.Dropout):
    """torch's module under its own name, by `dropout`."""

    def forward(self, input: Tensor) -> Tensor:
        """Any shape to the same."""
        return dropout(input, self.p, self.training)


def dropout(values: Tensor, rate: float, training: bool) -> Tensor:
    """Set a share of the values to 0 and scale the rest, so that the mean stays.

    On the CPU torch draws one number a value and with one thread, which takes longer than the convolutions
    of a small network. Here 16 bits a value come from numpy's SFC64, seeded by torch's generator: the same
    rate to 1 in 65,536, several times faster.
    """
    if not training or rate == 0:
        return values
    if isinstance(values, fx.Proxy):  # being drawn
        return functional.dropout(values, rate, training)
    level = round(rate * _LEVELS)
    if values.device.type != "cpu" or level in (0, _LEVELS) or not values.numel():
        return functional.dropout(values, rate, training)
    seed = int(torch.randint(2**63 - 1, (1,)))
    bits = np.random.SFC64(seed).random_raw((values.numel() + 3) // 4).view(np.uint16)[: values.numel()]
    kept = torch.from_numpy(bits >= level)
    # in the order of the values in memory, which need not be that of their indices
    dense = values.is_contiguous() or values.is_contiguous(memory_format=torch.channels_last)
    kept = kept.as_strided(values.shape, values.stride()) if dense else kept.view(values.shape)
    return values * (kept.to(values.dtype) * (_LEVELS / (_LEVELS - level)))
