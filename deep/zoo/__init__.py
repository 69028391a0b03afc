"""The zoo: every network of the five reports by name, with the counts of the reference specification.

One file a family, one table row a variant; `MODELS` is all rows, `build_model` makes a network from one.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from deep.zoo import alexnet, cifar, densenet, googlenet, lenet, mnist, resnet, small, vgg
from deep.zoo._network import Network
from deep.zoo._pretrained import copy_matching, trained_weights
from deep.zoo._shapes import output_shape

__all__ = ["MODELS", "Network", "build_model", "image_shape", "trained_options"]

MODELS: dict[str, Network] = {
    row.name: row
    for family in (googlenet, resnet, vgg, densenet, lenet, alexnet, cifar, mnist, small)
    for row in family.NETWORKS
}


def build_model(
    name: str,
    *,
    num_classes: int = 10,
    in_channels: int | None = None,
    input_size: int | Sequence[int] | None = None,
    pretrained: bool = False,
    **options,
) -> nn.Module:
    """Return a network of the zoo, freshly initialised, in training mode.

    It takes float images (n, C, H, W) and gives logits (n, num_classes); only ``alexnet_227_fc1`` ends in a
    sigmoid, as its report has it.

    Parameters
    ----------
    name : str
        A key of `MODELS`.
    num_classes : int, default=10
    in_channels : int, optional
        Channels of the images; the network's own if not given.
    input_size : int or (H, W) or (C, H, W), optional
        Size of the images; the network's own if not given. Linear layers behind the convolutions get the
        width that this size needs, so counts change with it in networks that do not pool globally.
    pretrained : bool, default=False
        Start from the weights in ``weights/NAME.safetensors`` and the options they were trained with, where
        the project has some. Its ten outputs are CIFAR-10's classes in the order of their sorted names;
        with another `num_classes` the last layer is fresh.
    **options
        What the network's row lists: ``MODELS[name].options`` with their defaults. ``dropout`` (a rate in
        [0, 1)) is known to all: it replaces the network's own rate everywhere, and in one without dropout
        stands after the activation of each convolution and hidden linear layer (LeNets, ``mnist_conv3``)
        or where the family's module says. It changes no count.

    Raises
    ------
    ValueError
        Unknown name or option, a value out of range, a size the network cannot take, `pretrained` for a
        network without trained weights or with options of another shape.

    Examples
    --------
    >>> model = build_model("mnist_conv3", num_classes=4)
    >>> sum(parameter.numel() for parameter in model.parameters())
    5088
    """
    row = _row(name)
    shape = _image_shape(row, in_channels, input_size)
    if num_classes < 1:
        raise ValueError(f"num_classes is {num_classes}: give at least 1")
    stored: dict = {}
    if pretrained:
        stored, trained_with = trained_weights(name)
        options = {**trained_with, **options}
    settings = {"num_classes": num_classes, **row.settings, **_options(row, options)}
    if shape[1:] != row.input_size[1:]:
        _check_size(row, shape, settings)
    model = row.build(input_size=shape, **settings)
    if pretrained:
        copy_matching(model, stored, may_differ=("head",))
    return model


def image_shape(name: str, in_channels: int | None = None, input_size=None) -> tuple[int, int, int]:
    """Channels, height and width that `build_model` takes for the same arguments.

    Raises
    ------
    ValueError
        Unknown name, or a size that is no size.
    """
    return _image_shape(_row(name), in_channels, input_size)


def trained_options(name: str) -> dict[str, Any]:
    """The options that the network in ``weights/NAME.safetensors`` was trained with.

    Raises
    ------
    ValueError
        The project has no trained weights of this network.
    """
    return trained_weights(_row(name).name)[1]


def _row(name: str) -> Network:
    if name in MODELS:
        return MODELS[name]
    near = difflib.get_close_matches(str(name), MODELS, n=3, cutoff=0.4)
    raise ValueError(f"unknown network {name!r}: choose {', '.join(near) or 'one of ' + ', '.join(MODELS)}")


def _image_shape(row: Network, in_channels: int | None, input_size) -> tuple[int, int, int]:
    channels, height, width = row.input_size
    if isinstance(input_size, Sequence) and len(input_size) == 3:
        if in_channels not in (None, input_size[0]):
            raise ValueError(
                f"in_channels is {in_channels} but input_size {tuple(input_size)}: make them agree"
            )
        channels, height, width = input_size
    elif isinstance(input_size, Sequence) and len(input_size) == 2:
        height, width = input_size
    elif input_size is not None:
        height = width = input_size
    shape = (channels if in_channels is None else in_channels, height, width)
    if not all(isinstance(side, int) and side >= 1 for side in shape):
        raise ValueError(
            f"input size {input_size} with {in_channels} channels is no image size: "
            "give one number, (H, W) or (C, H, W), all at least 1"
        )
    return shape


def _options(row: Network, given: dict[str, Any]) -> dict[str, Any]:
    """Return the row's options with the given values in their places."""
    for option, value in given.items():
        if option not in row.options:
            raise ValueError(f"{row.name} has no option {option!r}: it has {', '.join(row.options)}")
        if option == "dropout" and value is not None and not 0 <= value < 1:
            raise ValueError(f"dropout is {value}: give a rate from 0 to less than 1")
    return {
        option: default if given.get(option) is None else given[option]
        for option, default in row.options.items()
    }


def _check_size(row: Network, shape: tuple[int, int, int], settings: dict[str, Any]) -> None:
    """Raise a ValueError that names the least size, unless the network can take images of this shape."""
    if _fits(row, shape, settings):
        return
    # Sizes that fit have no gaps: a pool or convolution either has room or has not. Networks that need
    # multiples of a number say so themselves, above.
    too_small, least = 0, max(row.input_size[1:])
    while least - too_small > 1:
        middle = (too_small + least) // 2
        if _fits(row, (shape[0], middle, middle), settings):
            least = middle
        else:
            too_small = middle
    height, width = shape[1:]
    raise ValueError(
        f"{row.name} cannot take {height}x{width} images: both sides must be at least {least}, "
        f"its own are {row.input_size[1]}x{row.input_size[2]}"
    )


def _fits(row: Network, shape: tuple[int, int, int], settings: dict[str, Any]) -> bool:
    """Whether a dry run on the meta device gets to the end."""
    try:
        with torch.device("meta"):
            model = row.build(input_size=shape, **settings)
        return math.prod(output_shape(model, shape)) == settings["num_classes"]
    except (RuntimeError, IndexError):  # what torch raises where a layer has nothing left to work on
        return False
