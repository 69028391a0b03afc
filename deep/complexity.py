"""What a network costs: parameters, multiply-accumulates, activations and file size, layer by layer.

Conventions. *Trainable* parameters have gradients. *Non-trainable* ones are frozen weights and the running
mean and variance of batch norm (Keras counts these, torch does not; the counter of batches is never
counted). MACs are for one image:

- ``macs``: products in convolutions and linear layers, nothing else.
- ``macs_r2``: R2's rule. Biases count, a ReLU (or LeakyReLU) one an output element, a pool one an *input*
  element, batch norm two an element; flatten, dropout and sigmoid nothing. Functional activations are not
  seen.
- ``macs_r3``: as ``macs``, but the depthwise half of a separable convolution is charged with the *output*
  channels, as R3 does.

Reference specification, sections 3.3, 4.1, 5.1 and 9.
"""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from deep.recipes import SIZE_LIMIT
from deep.zoo._shapes import meta_copy
from deep.zoo.cifar import SeparableConv2d
from scenes.files import atomic_path

BYTES_PER_PARAMETER = 4  # float32

_ONE_AN_OUTPUT = (nn.ReLU, nn.LeakyReLU)
_ONE_AN_INPUT = (nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d)
_BATCH_NORM = (nn.BatchNorm1d, nn.BatchNorm2d)
_NO_ROW = (nn.Sequential, nn.ModuleList)


class ParameterCount(NamedTuple):
    """Parameters of a module."""

    trainable: int
    non_trainable: int

    @property
    def total(self) -> int:
        """All of them: what Keras calls parameters and what a weights file holds."""
        return self.trainable + self.non_trainable


@dataclass(frozen=True)
class LayerRow:
    """One call of one module, for one image.

    Parameters
    ----------
    name : str
        Path of the module, ``resnet.layer1.0.conv1``; empty for a network that is a single layer.
    type : str
        Name of its class.
    call : int
        1 for the first call of this module, 2 for the second, ...
    output_shape : tuple of int
        Without the batch dimension.
    trainable, non_trainable : int
        The module's own parameters, not its children's. The same in each call; `totals` counts the first.
    macs, macs_r2, macs_r3 : int
        See the module's head.
    output_elements : int
    """

    name: str
    type: str
    call: int
    output_shape: tuple[int, ...]
    trainable: int
    non_trainable: int
    macs: int
    macs_r2: int
    macs_r3: int
    output_elements: int


@dataclass(frozen=True)
class Totals:
    """Sums over a network's rows.

    ``parameters`` is trainable and non-trainable together, ``file_bytes`` that number in float32: the file
    of weights is larger by its header, less than 0.25 MB. ``output_elements`` counts wrappers as well.
    """

    trainable: int
    non_trainable: int
    parameters: int
    macs: int
    macs_r2: int
    macs_r3: int
    output_elements: int
    file_bytes: int

    @property
    def over_limit(self) -> bool:
        """Whether the file is over R1's 80 MB."""
        return self.file_bytes > SIZE_LIMIT


def count_parameters(model: nn.Module) -> ParameterCount:
    """Count the parameters of a network; one that is used in several places counts once."""
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    frozen = sum(p.numel() for p in model.parameters() if not p.requires_grad)
    return ParameterCount(trainable, frozen + sum(map(_statistics, model.modules())))


def file_bytes(model: nn.Module) -> int:
    """Bytes of the weights in float32, batch-norm statistics included, without a file's header."""
    return BYTES_PER_PARAMETER * count_parameters(model).total


def layer_table(model: nn.Module, input_size: Sequence[int]) -> list[LayerRow]:
    """Return a row for each call of a module, in the order in which the calls finish.

    Every module has rows but Sequential, ModuleList and the network itself (unless it is a single layer);
    one that is never called has none, one that is called twice has two. The network is left as it is: a
    copy without weights is run on the meta device, in evaluation mode.

    Parameters
    ----------
    model : nn.Module
    input_size : (int, int, int)
        Channels, height and width of an image.

    Raises
    ------
    RuntimeError
        The network cannot take such an image.
    """
    rows: list[LayerRow] = []
    calls: dict[str, int] = {}
    copied = meta_copy(model)
    # R3 charges a depthwise convolution with the channels of the pointwise one behind it.
    wider = {
        module.depthwise: module.pointwise.out_channels
        for module in copied.modules()
        if isinstance(module, SeparableConv2d)
    }

    def watch(name: str, module: nn.Module) -> None:
        def record(module: nn.Module, inputs: tuple, output: Tensor) -> None:
            calls[name] = calls.get(name, 0) + 1
            macs = _products(module, output)
            own = _own_parameters(module)
            rows.append(
                LayerRow(
                    name=name,
                    type=type(module).__name__,
                    call=calls[name],
                    output_shape=tuple(output.shape[1:]),
                    trainable=own.trainable,
                    non_trainable=own.non_trainable,
                    macs=macs,
                    macs_r2=_macs_r2(module, inputs, output),
                    macs_r3=macs * wider[module] // module.out_channels if module in wider else macs,
                    output_elements=math.prod(output.shape[1:]),
                )
            )

        module.register_forward_hook(record)

    for name, module in copied.named_modules(remove_duplicate=True):
        root_of_several = name == "" and any(True for _ in module.children())
        if not isinstance(module, _NO_ROW) and not root_of_several:
            watch(name, module)
    with torch.no_grad():
        copied(torch.empty((1, *input_size), device="meta"))
    return rows


def totals(rows: Iterable[LayerRow]) -> Totals:
    """Add up the rows of `layer_table`; the parameters of a module count at its first call."""
    rows = list(rows)
    first = [row for row in rows if row.call == 1]
    trainable = sum(row.trainable for row in first)
    non_trainable = sum(row.non_trainable for row in first)
    return Totals(
        trainable=trainable,
        non_trainable=non_trainable,
        parameters=trainable + non_trainable,
        macs=sum(row.macs for row in rows),
        macs_r2=sum(row.macs_r2 for row in rows),
        macs_r3=sum(row.macs_r3 for row in rows),
        output_elements=sum(row.output_elements for row in rows),
        file_bytes=BYTES_PER_PARAMETER * (trainable + non_trainable),
    )


def complexity(model: nn.Module, input_size: Sequence[int]) -> Totals:
    """Totals of a network for images (C, H, W): what a run and the zoo's table say of it."""
    return totals(layer_table(model, input_size))


def write_layers_csv(rows: Iterable[LayerRow], path: str | os.PathLike) -> Path:
    """Write ``layers.csv``, complete or not at all, and return its path.

    Columns are the fields of `LayerRow`; a shape reads ``64x36x36``. Lines end in a newline alone, so that
    equal rows give equal bytes everywhere.
    """
    columns = [field.name for field in fields(LayerRow)]
    with atomic_path(path) as scratch, open(scratch, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        for row in rows:
            cells = {column: getattr(row, column) for column in columns}
            cells["output_shape"] = "x".join(map(str, row.output_shape))
            writer.writerow(cells.values())
    return Path(path)


def _statistics(module: nn.Module) -> int:
    """Running means and variances of this module alone."""
    buffers = (getattr(module, name, None) for name in ("running_mean", "running_var"))
    return sum(buffer.numel() for buffer in buffers if isinstance(buffer, Tensor))


def _own_parameters(module: nn.Module) -> ParameterCount:
    own = list(module.parameters(recurse=False))
    frozen = sum(p.numel() for p in own if not p.requires_grad)
    return ParameterCount(sum(p.numel() for p in own) - frozen, frozen + _statistics(module))


def _positions(module: nn.Conv2d | nn.Linear, output: Tensor) -> int:
    """How often a layer's weights are used for one image: at each pixel, or once."""
    per_use = module.out_channels if isinstance(module, nn.Conv2d) else module.out_features
    return math.prod(output.shape[1:]) // per_use


def _products(module: nn.Module, output: Tensor) -> int:
    if not isinstance(module, nn.Conv2d | nn.Linear):
        return 0
    return _positions(module, output) * module.weight.numel()


def _macs_r2(module: nn.Module, inputs: tuple, output: Tensor) -> int:
    if isinstance(module, nn.Conv2d | nn.Linear):
        return _positions(module, output) * sum(p.numel() for p in module.parameters(recurse=False))
    if isinstance(module, _ONE_AN_OUTPUT):
        return math.prod(output.shape[1:])
    if isinstance(module, _ONE_AN_INPUT):
        return math.prod(inputs[0].shape[1:])
    if isinstance(module, _BATCH_NORM):
        return 2 * math.prod(output.shape[1:])
    return 0
