"""What a training needs to go on: tensors and figures in one safetensors file, written atomically."""

import json
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from scenes.files import atomic_path

FILE_NAME = "checkpoint.safetensors"
FORMAT = 1


def save_checkpoint(folder: Path, tensors: dict[str, torch.Tensor], state: dict) -> None:
    """Write the checkpoint of a folder; the one before stays until the new one is complete."""
    folder.mkdir(parents=True, exist_ok=True)
    whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with atomic_path(folder / FILE_NAME) as temporary:
        save_file(whole, temporary, metadata={"state": json.dumps({"format": FORMAT, **state})})


def load_checkpoint(folder: Path) -> tuple[dict[str, torch.Tensor], dict] | None:
    """Tensors and state of a folder's checkpoint, or None where there is none.

    Raises
    ------
    ValueError
        A file that is damaged or of another program.
    """
    path = folder / FILE_NAME
    if not path.is_file():
        return None
    try:
        with safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in sorted(file.keys())}
            state = dict(json.loads((file.metadata() or {})["state"]))
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: no checkpoint of this project ({error}): remove its folder") from None
    if state.get("format") != FORMAT:
        raise ValueError(f"{path}: a checkpoint of another version: remove its folder and start anew")
    return tensors, state


def optimizer_tensors(optimizers: list[torch.optim.Optimizer]) -> dict[str, torch.Tensor]:
    """The optimisers' memory under flat names."""
    return {
        f"optimizer.{i}.{index}.{key}": torch.as_tensor(value)
        for i, optimizer in enumerate(optimizers)
        for index, entry in optimizer.state_dict()["state"].items()
        for key, value in entry.items()
        if value is not None
    }


def restore_optimizers(optimizers: list[torch.optim.Optimizer], tensors: dict[str, torch.Tensor]) -> None:
    """Give optimisers the memory that `optimizer_tensors` took."""
    for i, optimizer in enumerate(optimizers):
        memory: dict[int, dict] = {}
        for name, tensor in tensors.items():
            kind, _, rest = name.partition(".")
            number, _, rest = rest.partition(".")
            if kind == "optimizer" and int(number) == i:
                index, _, key = rest.partition(".")
                memory.setdefault(int(index), {})[key] = tensor
        groups = optimizer.state_dict()["param_groups"]
        optimizer.load_state_dict({"state": memory, "param_groups": groups})
