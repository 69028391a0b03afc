"""torchvision's published weights, where they already lie in torch's cache. Nothing is downloaded."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import torch
from torch import nn

# How the file of densenet121 names its layers, and how the class does: norm.1 and norm1.
_OLD_DENSENET = re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12]\.)")


def load_pretrained(name: str, model: nn.Module) -> None:
    """Copy torchvision's weights for ImageNet into a network of the zoo, wherever the shapes agree.

    The first convolution stays as it is where the network's own differs from torchvision's, and the last
    linear layer where the number of classes does.

    Parameters
    ----------
    name : {"resnet18_plain", "densenet121"}
    model : nn.Module

    Raises
    ------
    FileNotFoundError
        The weights are not in the cache; the message says where to get them and where to put them.
    ValueError
        The file's SHA-256 is not the one in its name, or a layer other than first and last has no weights
        in it.
    """
    # Imported here: every other network can be built without torchvision.
    from deep._torchvision import models

    enum = {"resnet18_plain": "ResNet18_Weights", "densenet121": "DenseNet121_Weights"}[name]
    url = getattr(models, enum).DEFAULT.url
    path = Path(torch.hub.get_dir(), "checkpoints", url.rsplit("/", 1)[1])
    if not path.is_file():
        raise FileNotFoundError(f"weights of {name} are not on this machine: put {url} at {path}")
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if not digest.startswith(path.stem.rsplit("-", 1)[1]):
        raise ValueError(f"{path} is damaged (SHA-256 {digest}): fetch {url} again")
    stored = torch.load(path, map_location="cpu", weights_only=True)
    stored = {_OLD_DENSENET.sub(r"\1\2", key): value for key, value in stored.items()}
    copy_matching(model, stored, may_differ=("conv1", "features.conv0", "fc", "classifier"))


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
    # Old files do not count batches; the count is not used at momentum 0.1.
    kept = [key for key in kept if not key.endswith("num_batches_tracked")]
    wrong = [key for key in kept if key.rsplit(".", 1)[0] not in may_differ]
    if wrong:
        raise ValueError(f"weights do not fit the network: {wrong[0]} is missing or has another shape")
    fitting = {key: value for key, value in stored.items() if key in own and key not in kept}
    model.load_state_dict(fitting, strict=False)
    return kept
