"""Optimisers and schedules: values by hand, Muon against a slow reference, what decays and what does not."""

import math

import pytest
import torch
from torch import nn

from deep import build_model
from deep.optimizers import Muon, lr_factor, make_optimizers, orthogonalized, set_rates
from deep.recipes import RECIPES, Recipe


def factors(at, **fields):
    recipe = Recipe("r", **fields)
    return [lr_factor(recipe, done) for done in at]


def test_constant_stays():
    assert factors([0, 0.5, 1]) == [1, 1, 1]


def test_step_falls_by_its_factor_after_its_epochs():
    # 30 epochs, a tenth every 10
    found = factors([0, 9.99 / 30, 10 / 30, 19.99 / 30, 20 / 30, 29.9 / 30], schedule="step", epochs=30)
    assert found == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])


def test_step_falls_at_the_first_step_of_an_epoch_whatever_the_rounding():
    # 7 steps an epoch: the step's share times 30 epochs may come out a hair below 10
    found = factors([k / 210 for k in range(210)], schedule="step", epochs=30, step_factor=0.5)
    assert found == [1.0] * 70 + [0.5] * 70 + [0.25] * 70


def test_cosine_falls_to_nothing():
    found = factors([0, 1 / 3, 0.5, 2 / 3, 1], schedule="cosine")
    assert found == pytest.approx([1, 0.75, 0.5, 0.25, 0], abs=1e-12)


def test_one_cycle_rises_and_falls_by_cosine():
    found = factors([0, 0.1, 0.2, 0.6, 1], schedule="one_cycle", warmup=0.2)
    assert found == pytest.approx([0, 0.5, 1, 0.5, 0], abs=1e-12)


def test_triangular_rises_and_falls_straight():
    found = factors([0, 0.05, 0.2, 0.6, 0.8, 1], schedule="triangular", warmup=0.2)
    assert found == pytest.approx([0, 0.25, 1, 0.5, 0.25, 0], abs=1e-12)
    assert factors([0, 0.25, 1], schedule="triangular") == [1, 0.75, 0]


@pytest.mark.parametrize("schedule", ["one_cycle", "triangular"])
def test_a_warm_up_over_the_whole_training_ends_at_the_peak(schedule):
    assert factors([0, 1 - 1e-9], schedule=schedule, warmup=1) == pytest.approx([0, 1])


def test_rates_are_shares_of_each_groups_own_peak():
    optimizers = make_optimizers(build_model("tiny50k"), RECIPES["tiny50k"])
    set_rates(optimizers, 0.5)
    set_rates(optimizers, 0.25)
    recipe = RECIPES["tiny50k"]
    found = [group["lr"] for optimizer in optimizers for group in optimizer.param_groups]
    assert found == pytest.approx([0.25 * recipe.lr, 0.25 * recipe.lr_bias, 0.25 * recipe.lr_head])


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
def test_weights_decay_and_norms_and_biases_do_not(optimizer):
    model = build_model("resnet18_plain")
    recipe = Recipe("r", optimizer=optimizer, weight_decay=0.1)
    (made,) = make_optimizers(model, recipe)
    decay = {id(weight): group["weight_decay"] for group in made.param_groups for weight in group["params"]}
    for module in model.modules():
        for name, weight in module.named_parameters(recurse=False):
            norm_or_bias = isinstance(module, nn.BatchNorm2d) or name == "bias"
            assert decay[id(weight)] == (0 if norm_or_bias else 0.1)


def test_one_step_of_sgd_by_hand():
    # w = 2, gradient 3, decay 0.1: the step is 0.5 * (3 + 0.1 * 2); the bias' 0.5 * 1
    model = nn.Linear(1, 1)
    nn.init.constant_(model.weight, 2.0)
    nn.init.constant_(model.bias, 5.0)
    (sgd,) = make_optimizers(model, Recipe("r", lr=0.5, momentum=0, weight_decay=0.1))
    model(torch.tensor([[3.0]])).sum().backward()
    sgd.step()
    assert (model.weight.item(), model.bias.item()) == pytest.approx((2 - 0.5 * 3.2, 4.5))


def test_nesterov_without_momentum_is_plain():
    (sgd,) = make_optimizers(nn.Linear(1, 1), Recipe("r", momentum=0, nesterov=True))
    assert sgd.defaults["nesterov"] is False


def test_frozen_weights_are_left_out():
    model = build_model("fastnet")
    made = make_optimizers(model, RECIPES["fastnet"])
    held = [weight for optimizer in made for group in optimizer.param_groups for weight in group["params"]]
    assert len(held) == len({id(weight) for weight in held})
    assert {id(w) for w in held} == {id(w) for w in model.parameters() if w.requires_grad}
    assert id(model.whiten.weight) not in {id(weight) for weight in held}


def test_muon_takes_convolutions_and_sgd_the_rest():
    muon, sgd = make_optimizers(build_model("fastnet"), RECIPES["fastnet"])
    assert isinstance(muon, Muon) and all(w.ndim == 4 for w in muon.param_groups[0]["params"])
    assert [{w.ndim for w in group["params"]} for group in sgd.param_groups] == [{1}, {2}]
    assert sgd.defaults["nesterov"] is True


def slow_muon(weight, gradients, lr, momentum):
    """Muon as its note has it, one weight: float64 but for the orthogonalised direction's bfloat16."""
    weight, buffer = weight.double(), torch.zeros_like(weight, dtype=torch.float64)
    for gradient in gradients:
        buffer = momentum * buffer + gradient.double()
        direction = (gradient.double() + momentum * buffer).float()
        weight = weight * math.sqrt(len(weight)) / math.sqrt(float((weight**2).sum()))
        rows = direction.reshape(len(direction), -1)
        x = rows.bfloat16() / (rows.bfloat16().norm() + 1e-7)
        transposed = len(x) > x.shape[1]
        x = x.T if transposed else x
        for _ in range(3):
            a = x @ x.T
            x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
        x = x.T if transposed else x
        weight = weight - lr * x.double().reshape(weight.shape)
    return weight


@pytest.mark.parametrize("shape", [(4, 3, 3, 3), (24, 2, 3, 3), (5, 1, 1, 1)])
def test_muon_agrees_with_a_slow_reference(shape):
    generator = torch.Generator().manual_seed(3)
    weight = nn.Parameter(torch.randn(shape, generator=generator))
    gradients = [torch.randn(shape, generator=generator) for _ in range(4)]
    expected = slow_muon(weight.detach().clone(), gradients, 0.1, 0.6)
    muon = Muon([weight], lr=0.1, momentum=0.6)
    for gradient in gradients:
        weight.grad = gradient.clone()
        muon.step()
    # float32 sums against float64 ones may round a bfloat16 the other way: its last digit, times the rate
    assert torch.allclose(weight.detach().double(), expected, atol=2e-3)


@pytest.mark.parametrize("shape", [(16, 64), (64, 16), (24, 24)])
def test_orthogonalized_is_near_the_product_of_the_singular_vectors(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    left, values, right = torch.linalg.svd(matrix, full_matrices=False)
    found = orthogonalized(matrix).float()
    assert found.shape == matrix.shape
    # the singular vectors stay; the values, however unequal, come near 1 unless they are tiny
    inner = left.T @ found @ right.T
    spread = torch.diagonal(inner)[values > 0.1 * values.max()]
    assert spread.min() > 0.5 and spread.max() < 1.3
    assert (inner - torch.diag(torch.diagonal(inner))).abs().max() < 0.05


def test_a_gradient_of_zero_moves_nothing_but_the_scale():
    weight = nn.Parameter(torch.ones(4, 1, 3, 3))
    muon = Muon([weight], lr=0.1, momentum=0.6)
    weight.grad = torch.zeros_like(weight)
    muon.step()
    # norm 6 becomes sqrt(4)
    assert torch.allclose(weight.detach(), torch.full_like(weight, 1 / 3))
