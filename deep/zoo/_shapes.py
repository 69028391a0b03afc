"""Shapes found by a dry run on the meta device: nothing is computed, no weight is copied."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn


def meta_copy(model: nn.Module) -> nn.Module:
    """Return the module with all tensors on the meta device, in evaluation mode; `model` is left alone."""
    # What deepcopy finds in its memo it takes as copied: the weights themselves never are.
    memo: dict[int, Tensor] = {}
    for parameter in model.parameters():
        empty = torch.empty_like(parameter, device="meta")
        memo[id(parameter)] = nn.Parameter(empty, requires_grad=parameter.requires_grad)
    for buffer in model.buffers():
        memo[id(buffer)] = torch.empty_like(buffer, device="meta")
    return copy.deepcopy(model, memo).eval()


def output_shape(model: nn.Module, input_size: Sequence[int]) -> tuple[int, ...]:
    """Shape that one image (C, H, W) comes out with, without the batch dimension.

    Raises
    ------
    RuntimeError
        The image is too small: nothing would be left of it.
    """
    with torch.no_grad():
        shape = tuple(meta_copy(model)(torch.empty((1, *input_size), device="meta")).shape[1:])
    if min(shape, default=1) < 1:
        raise RuntimeError(f"images of size {tuple(input_size)} vanish: {shape} is left")
    return shape


def flat_features(layers: Sequence[nn.Module], input_size: Sequence[int]) -> int:
    """Numbers that `layers` make of one image (C, H, W): the width of the linear layer after them."""
    return math.prod(output_shape(nn.Sequential(*layers), input_size))
