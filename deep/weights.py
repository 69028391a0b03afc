"""Saved networks: safetensors with everything needed to predict, and the size limit.

Metadata are JSON texts: ``model`` and ``options`` (what `build_model` needs), ``classes``, ``input_size``
([C, H, W]), ``mean`` and ``std`` (for pixels in 0..1), ``resize`` ("crop" or "squash"), ``recipe``.
"""

import json
import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from deep.complexity import file_bytes
from deep.recipes import SIZE_LIMIT, Views
from deep.zoo import MODELS, build_model
from scenes.files import atomic_path

FILE_NAME = "model.safetensors"
RESIZES = ("crop", "squash")
_KEYS = ("model", "options", "classes", "input_size", "mean", "std", "resize", "recipe")
# Far above any header of ours; a lying length must not make us allocate.
_LONGEST_HEADER = 10_000_000
_MOST_CHANNELS, _LONGEST_SIDE = 4, 4096
_GIVE_OURS = "give one that train_cnn.py wrote"


@dataclass(frozen=True, eq=False)
class SavedModel:
    """A network and what prediction with it needs.

    Attributes
    ----------
    network : nn.Module, in evaluation mode
    name, options : str, dict
        What `build_model` was given.
    classes : tuple of str
    input_size : (C, H, W)
    mean, std : tuples of C floats, for pixels in 0..1
    resize : "crop" (the centre) or "squash"
    recipe : dict
    """

    network: nn.Module
    name: str
    options: dict
    classes: tuple[str, ...]
    input_size: tuple[int, int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    resize: str
    recipe: dict

    def metadata(self) -> dict[str, str]:
        """The metadata of its file, JSON texts."""
        values = (self.name, self.options, self.classes, self.input_size, self.mean, self.std, self.resize,
                  self.recipe)  # fmt: skip
        return {key: json.dumps(value) for key, value in zip(_KEYS, values, strict=True)}


class TooLargeError(ValueError):
    """A network whose file would be over the limit."""


def check_size(name: str, size_bytes: int, limit: int | None) -> str:
    """The verdict on a size, in words; raises `TooLargeError` above the limit."""
    megabytes = f"{size_bytes / 1e6:.3f} MB"
    if limit is not None and size_bytes > limit:
        raise TooLargeError(
            f"{name} is {megabytes}, over the limit of {limit / 1e6:g} MB: choose a smaller network or "
            "--set size_limit=none"
        )
    return f"{megabytes}, {'over' if size_bytes > SIZE_LIMIT else 'under'} {SIZE_LIMIT / 1e6:g} MB"


def save_model(path: Path, saved: SavedModel, *, half: bool = False, limit: int | None = None) -> Path:
    """Write a network, atomically; `half` stores float16. Over the limit (of float32) nothing is left.

    Raises
    ------
    TooLargeError
        The float32 file is over `limit` bytes.
    ValueError
        Weights are not finite, or too large for float16.
    """
    state = {name: value.detach().cpu().contiguous() for name, value in saved.network.state_dict().items()}
    metadata = saved.metadata()
    check_size(saved.name, file_bytes(saved.network), limit)
    if half:
        state = {name: value.half() if value.is_floating_point() else value for name, value in state.items()}
    if wrong := [name for name, value in state.items() if not torch.isfinite(value).all()]:
        advice = "its float16 may be too small, save float32" if half else "train it again"
        raise ValueError(f"{saved.name}: {wrong[0]} is not finite: {advice}")
    with atomic_path(path) as temporary:
        save_file(state, temporary, metadata=metadata)
        _sort_metadata(Path(temporary))
        if not half:
            check_size(saved.name, Path(temporary).stat().st_size, limit)
    return path


def _sort_metadata(path: Path) -> None:
    """Put a file's metadata in a fixed order, which safetensors draws anew each time."""
    with path.open("rb+") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
        text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
        if len(text) <= length:
            file.seek(8)
            file.write(text.ljust(length))


def load_saved(path: Path) -> SavedModel:
    """The network in a file that `save_model` wrote, in float32.

    Everything the file says about itself is checked before a tensor is read: a network is built without
    memory, and the file must hold its tensors in their shapes.

    Raises
    ------
    FileNotFoundError, ValueError
        No such file; a pickle (never opened); damaged; another program's; weights that do not fit.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such model: give a run folder or a {FILE_NAME}")
    _check_header(path)
    try:
        with safe_open(path, "pt") as file:
            texts = file.metadata() or {}
            if missing := [key for key in _KEYS if key not in texts]:
                raise ValueError(f"{path}: no model of this project (no {missing[0]}): {_GIVE_OURS}")
            return _rebuilt(path, texts, file)
    except SafetensorError as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"{path}: damaged ({reason}): make or fetch it again") from None


def _rebuilt(path: Path, texts: dict[str, str], file) -> SavedModel:
    """The network that the metadata describe, with the weights of the opened file."""
    try:
        described = _described(texts)
        with torch.device("meta"):
            network = build_model(
                described["name"], num_classes=len(described["classes"]),
                input_size=described["input_size"], **described["options"],
            )  # fmt: skip
        expected = network.state_dict()
        stored = set(file.keys())
        for key, value in expected.items():
            if key not in stored or file.get_slice(key).get_shape() != list(value.shape):
                raise ValueError(f"{key} is missing or has another shape")
        if extra := stored - set(expected):
            raise ValueError(f"{min(extra)[:80]} is no tensor of this network")
        # copied, since what was read is the file itself, mapped
        state = {key: _tensor(file, key, value.dtype) for key, value in expected.items()}
        network.load_state_dict(state, assign=True)
        left = [*network.parameters(), *network.buffers()]
        if any(value.is_meta for value in left):
            raise ValueError("a tensor of the network is not among its saved ones")
    except (RuntimeError, TypeError, ValueError, KeyError, RecursionError, OverflowError) as error:
        reason = " ".join(str(error).split())[:300]
        raise ValueError(
            f"{path}: weights and description do not fit ({reason}): make or fetch it again"
        ) from None
    return SavedModel(network.eval(), **described)


def _described(texts: dict[str, str]) -> dict:
    """What the metadata say, checked: the fields of a `SavedModel` but for the network."""
    found = {key: json.loads(texts[key]) for key in _KEYS}
    name, options = found["model"], found["options"]
    if not isinstance(name, str) or name not in MODELS:
        raise ValueError(f"unknown model {str(name)[:80]!r}")
    # `pretrained`, say, would read other files
    if not isinstance(options, dict) or not set(options) <= set(MODELS[name].options):
        raise ValueError(f"options of {name} are {', '.join(MODELS[name].options)}")
    return {"name": name, "options": options, **described_use(found)}


def described_use(found: dict) -> dict:
    """What a network's metadata say of its classes and its input, checked, as fields of a `SavedModel`.

    Raises
    ------
    ValueError
        No list of different class names, no [C, H, W] in range, mean or std that cannot be, an unknown rule.
    """
    classes, size = found["classes"], found["input_size"]
    if not isinstance(classes, list) or not all(isinstance(label, str) for label in classes):
        raise ValueError("classes are no list of names")
    if not 0 < len(classes) == len(set(classes)):
        raise ValueError("no classes, or one named twice")
    if not isinstance(size, list) or len(size) != 3 or not all(type(number) is int for number in size):
        raise ValueError("input_size is no [C, H, W]")
    if not (1 <= size[0] <= _MOST_CHANNELS and all(1 <= side <= _LONGEST_SIDE for side in size[1:])):
        raise ValueError(f"input_size {size} is out of range")
    for key in ("mean", "std"):
        numbers = found[key]
        if not isinstance(numbers, list) or len(numbers) != size[0]:
            raise ValueError(f"{key} is no list of {size[0]} numbers")
        if not all(type(value) in (int, float) and math.isfinite(value) for value in numbers):
            raise ValueError(f"{key} has values that are no numbers")
    # of pixels in 0..1; beyond, inputs of the network would be no numbers
    if not (max(map(abs, found["mean"])) <= 1e3 and 1e-6 <= min(found["std"]) <= max(found["std"]) <= 1e6):
        raise ValueError("mean or std are out of range")
    if found["resize"] not in RESIZES or not isinstance(found["recipe"], dict):
        raise ValueError("unknown resize rule, or a recipe that is none")
    if found["recipe"].get("views", 1) not in get_args(Views):
        raise ValueError(f"views of the recipe are not one of {get_args(Views)}")
    return {
        "classes": tuple(classes), "input_size": tuple(size), "mean": tuple(map(float, found["mean"])),
        "std": tuple(map(float, found["std"])), "resize": found["resize"], "recipe": found["recipe"],
    }  # fmt: skip


def _tensor(file, key: str, dtype: torch.dtype) -> torch.Tensor:
    value = file.get_tensor(key)
    if value.is_floating_point() != dtype.is_floating_point or value.is_complex():
        raise ValueError(f"{key} holds {value.dtype}, not {dtype}")
    value = value.to(dtype, copy=True)
    if value.is_floating_point() and not torch.isfinite(value).all():
        raise ValueError(f"{key} is not finite")
    return value


def _check_header(path: Path) -> None:
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(9)
    length = struct.unpack("<Q", start[:8])[0] if len(start) == 9 else -1
    if 0 < length <= min(size - 8, _LONGEST_HEADER) and start[8:] == b"{":
        return
    # after that: a header of 1,408 bytes begins as a pickle of protocol 5 does
    if (start[:1] == b"\x80" and start[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05")) or start[:2] == b"PK":
        raise ValueError(
            f"{path}: a pickle, which could run anything, is never opened: convert it to safetensors "
            "where it is trusted"
        )
    raise ValueError(f"{path}: no safetensors file, or a damaged one: make or fetch it again")
