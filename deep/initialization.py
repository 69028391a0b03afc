"""First weights: what a recipe's `initialization` means."""

import torch
from torch import nn

from deep.recipes import Recipe


@torch.no_grad()
def initialize(model: nn.Module, recipe: Recipe, sample: torch.Tensor) -> None:
    """Set the first weights of a network; "default" leaves those torch gave it.

    Parameters
    ----------
    model : nn.Module, built after torch's generator was seeded with the recipe's seed
    sample : float (n, C, H, W)
        Normalised images, for a stem that whitens.
    """
    if recipe.initialization == "default":
        return
    weighted = [m for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear) and m.weight.requires_grad]
    for module in weighted:
        if recipe.initialization == "fan_in_fan_out_uniform":
            nn.init.xavier_uniform_(module.weight)
        elif recipe.initialization == "fan_in_normal":
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        elif isinstance(module, nn.Conv2d):
            # the first outputs pass the inputs on; those beyond keep torch's uniform weights
            nn.init.dirac_(module.weight[: module.weight.shape[1]])
        else:
            module.weight.div_(module.weight.std())
        if recipe.initialization != "identity" and module.bias is not None:
            nn.init.zeros_(module.bias)
    whiten = getattr(model, "set_whitening", None)
    if recipe.initialization == "identity" and whiten is not None:
        whiten(sample.float())
