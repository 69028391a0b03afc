"""The weights that come with the project: ``weights/NAME.safetensors``."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors import safe_open
from torch import nn

WEIGHTS = Path(__file__).resolve().parents[2] / "weights"


def trained_weights(name: str) -> tuple[dict[str, torch.Tensor], dict]:
    """The tensors of a network's file in `WEIGHTS`, float32, and the options it was built with.

    Raises
    ------
    ValueError
        No such file, or one of another network.
    """
    path = WEIGHTS / f"{name}.safetensors"
    if not path.is_file():
        there = ", ".join(sorted(found.stem for found in WEIGHTS.glob("*.safetensors"))) or "none"
        raise ValueError(f"{name} has no trained weights in {WEIGHTS}: there are {there}")
    with safe_open(path, "pt") as file:
        found = {key: json.loads(text) for key, text in file.metadata().items()}
        tensors = {key: file.get_tensor(key) for key in sorted(file.keys())}
    if found["model"] != name:
        raise ValueError(f"{path} holds {found['model']}, not {name}: fetch the project again")
    floating = {key: value.float() for key, value in tensors.items() if value.is_floating_point()}
    return {**tensors, **floating}, found["options"]


def copy_matching(
    model: nn.Module, stored: dict[str, torch.Tensor], may_differ: tuple[str, ...]
) -> list[str]:
    """Load the tensors whose shapes agree; return the names that keep what they had.

    Raises
    ------
    ValueError
        A tensor of another layer than `may_differ` is missing or has another shape.
    """
    own = model.state_dict()
    kept = [key for key in own if key not in stored or stored[key].shape != own[key].shape]
    wrong = [key for key in kept if key.rsplit(".", 1)[0] not in may_differ]
    if wrong:
        raise ValueError(f"weights do not fit the network: {wrong[0]} is missing or has another shape")
    model.load_state_dict({**own, **{key: stored[key] for key in own if key not in kept}})
    return kept
