"""The weights that come with the project: ``weights/NAME.safetensors``."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

WEIGHTS = Path(__file__).resolve().parents[2] / "weights"


def trained_weights(name: str) -> tuple[dict[str, torch.Tensor], dict]:
    """The tensors of a network's file in `WEIGHTS`, float32, and the options it was built with.

    Raises
    ------
    ValueError
        No such file; what `deep.weights.load_saved` refuses.
    """
    from deep.weights import load_saved  # which imports this package

    path = WEIGHTS / f"{name}.safetensors"
    if not path.is_file():
        there = ", ".join(sorted(found.stem for found in WEIGHTS.glob("*.safetensors"))) or "none"
        raise ValueError(f"{name} has no trained weights in {WEIGHTS}: there are {there}")
    saved = load_saved(path)
    if saved.name != name:
        raise ValueError(f"{path} holds {saved.name}, not {name}: fetch the project again")
    return saved.network.state_dict(), saved.options


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
