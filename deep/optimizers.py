"""What moves the weights: the optimisers of a recipe and the learning rate over the steps."""

import math
from collections.abc import Iterable

import torch
from torch import nn

from deep.recipes import Recipe

# Newton-Schulz coefficients that pull all singular values towards 1 fast, without converging exactly;
# those of K. Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024.
_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_NEWTON_SCHULZ_STEPS = 3


class Muon(torch.optim.Optimizer):
    """Momentum whose update is made orthogonal: for convolution weights (C_out, C_in, kh, kw).

    Before each step a weight is scaled to norm sqrt(C_out), which batch norm behind it cancels, so that
    `lr` is the share of the weight that moves.
    """

    def __init__(self, params: Iterable[nn.Parameter], lr: float, momentum: float):
        super().__init__(params, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure=None):
        """One update of every weight that has a gradient."""
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                state = self.state[weight]
                if not state:
                    state["momentum_buffer"] = torch.zeros_like(weight)
                momentum, gradient = state["momentum_buffer"], weight.grad
                momentum.mul_(group["momentum"]).add_(gradient)
                direction = gradient.add(momentum, alpha=group["momentum"])
                weight.mul_(math.sqrt(len(weight)) / weight.norm().clamp_min(1e-12))
                flat = orthogonalized(direction.reshape(len(direction), -1))
                weight.add_(flat.reshape(weight.shape).to(weight.dtype), alpha=-group["lr"])


def orthogonalized(matrix: torch.Tensor) -> torch.Tensor:
    """About U V^T of the singular value decomposition of a matrix, in bfloat16."""
    a, b, c = _COEFFICIENTS
    x = matrix.bfloat16()
    x = x / (x.norm() + 1e-7)
    tall = len(x) > x.shape[1]
    if tall:
        x = x.T
    for _ in range(_NEWTON_SCHULZ_STEPS):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    return x.T if tall else x


def make_optimizers(model: nn.Module, recipe: Recipe) -> list[torch.optim.Optimizer]:
    """The optimisers of a recipe; every group carries its peak rate as ``peak_lr``."""
    trained = [(name, weight) for name, weight in model.named_parameters() if weight.requires_grad]
    decays = [weight for _, weight in trained if weight.ndim > 1]
    others = [weight for _, weight in trained if weight.ndim <= 1]
    optimizers: list[torch.optim.Optimizer]
    if recipe.optimizer == "muon":
        heads = [weight for weight in decays if weight.ndim == 2]
        rest = [{"params": others, "lr": recipe.lr_bias}, {"params": heads, "lr": recipe.lr_head}]
        rest = [group for group in rest if group["params"]]
        convolutions = [weight for weight in decays if weight.ndim > 2]
        optimizers = [Muon(convolutions, recipe.lr, recipe.momentum)] if convolutions else []
        optimizers += [torch.optim.SGD(rest, momentum=recipe.momentum_rest, nesterov=True)] if rest else []
    else:
        groups = [
            {"params": decays, "weight_decay": recipe.weight_decay},
            {"params": others, "weight_decay": 0.0},
        ]
        groups = [group for group in groups if group["params"]]
        betas = (recipe.momentum, recipe.beta2)
        if recipe.optimizer == "sgd":
            nesterov = recipe.nesterov and recipe.momentum > 0
            optimizers = [torch.optim.SGD(groups, recipe.lr, momentum=recipe.momentum, nesterov=nesterov)]
        elif recipe.optimizer == "adam":
            optimizers = [torch.optim.Adam(groups, recipe.lr, betas=betas)]
        else:
            optimizers = [torch.optim.AdamW(groups, recipe.lr, betas=betas)]
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["peak_lr"] = group["lr"]
    return optimizers


def lr_factor(recipe: Recipe, done: float) -> float:
    """The share of the peak rate when this share of the training is done (0..1)."""
    if recipe.schedule == "constant":
        return 1.0
    if recipe.schedule == "step":
        # a hair more, so that an epoch's last step does not fall short of it by rounding
        return recipe.step_factor ** int(done * recipe.total_epochs / recipe.step_epochs + 1e-9)
    if recipe.schedule == "cosine":
        return (1 + math.cos(math.pi * done)) / 2
    if done < recipe.warmup:
        rising = done / recipe.warmup
        return rising if recipe.schedule == "triangular" else (1 - math.cos(math.pi * rising)) / 2
    falling = (done - recipe.warmup) / max(1 - recipe.warmup, 1e-12)
    return 1 - falling if recipe.schedule == "triangular" else (1 + math.cos(math.pi * falling)) / 2


def set_rates(optimizers: list[torch.optim.Optimizer], factor: float) -> None:
    """Every group's rate: its peak times `factor`."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group["peak_lr"] * factor
