"""What one row of the zoo's tables says about a network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from torch import nn


@dataclass(frozen=True, kw_only=True, eq=False)
class Network:
    """One network of the zoo: where it comes from, what it takes, how it is built.

    Parameters
    ----------
    name : str
    place : str
        Report and section of the reference specification, such as ``"R1 3.1"``.
    input_size : (int, int, int)
        Channels, height and width of the images it was designed for.
    build : callable
        ``build(num_classes=..., input_size=(C, H, W), **settings, **options)`` returns the module.
    settings : mapping
        What makes this variant different from its family; not for the caller to change.
    options : mapping
        What the caller may change, with the defaults. ``dropout=None`` means the network's own rate.
    """

    name: str
    place: str
    input_size: tuple[int, int, int]
    build: Callable[..., nn.Module]
    settings: Mapping[str, object] = field(default_factory=dict)
    options: Mapping[str, object] = field(default_factory=lambda: {"dropout": None})
