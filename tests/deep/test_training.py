"""The loop: losses, passes, sizes, what is kept; a killed training ends like an undisturbed one."""

import copy
import json
import math
import secrets
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from deep import build_model
from deep.checkpoints import load_checkpoint
from deep.data import Images, Normalizer, pixel_statistics
from deep.initialization import initialize
from deep.recipes import Recipe
from deep.training import (
    DivergedError,
    Setup,
    Trainer,
    faster_precision,
    losses_of,
    mean_loss,
    predict_logits,
)

FORKED = Path(__file__).with_name("forked_trainings.py")
CPU = torch.device("cpu")
PLAIN = Recipe("plain", lr=0.05, epochs=2, batch_size=8)


def images(n=40, seed=0, size=10) -> Images:
    rng = np.random.default_rng([5, seed])
    pixels, labels = rng.integers(0, 200, (n, size, size, 1), np.uint8), np.arange(n) % 2
    for image, label in zip(pixels, labels, strict=True):
        image[5 * label : 5 * label + 5] += 40
    return Images.of(pixels, labels)


def small_network() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(2),
                         nn.Flatten(), nn.Linear(16, 2))  # fmt: skip


def normalizer(size=(10, 10)) -> Normalizer:
    return Normalizer(*pixel_statistics(images().pixels), size, CPU)


def trainer(recipe=PLAIN, *, model=None, fit=None, select=None, size=(10, 10), **kwargs) -> Trainer:
    torch.manual_seed(0)
    select = images(20, 1) if select is None else select
    return Trainer(model or small_network(), recipe, fit or images(), select, normalizer(size),
                   Setup(CPU), show_progress=False, **kwargs)  # fmt: skip


def equal(first: nn.Module, second: nn.Module) -> bool:
    pairs = zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


# ------------------------------------------------------------------------------------ losses


def test_cross_entropy_by_hand():
    # softmax of (0, log 3) is (1/4, 3/4); smoothed by 0.2 the targets are 0.1 and 0.9
    outputs, labels = torch.tensor([[0.0, math.log(3)]] * 2), torch.tensor([1, 0])
    plain = losses_of(outputs, labels, PLAIN)
    assert plain.tolist() == pytest.approx([-math.log(0.75), -math.log(0.25)])
    smoothed = losses_of(outputs, labels, PLAIN.changed(label_smoothing=0.2))
    assert smoothed[0].item() == pytest.approx(-0.9 * math.log(0.75) - 0.1 * math.log(0.25))
    assert mean_loss(outputs, labels, PLAIN.changed(label_smoothing=0.2)) == pytest.approx(
        plain.mean().item()
    )


def test_binary_cross_entropy_of_one_hot_targets_by_hand():
    # sigmoid of (0, log 3) is (1/2, 3/4)
    outputs, labels = torch.tensor([[0.0, math.log(3)]] * 2), torch.tensor([1, 0])
    first = (-math.log(0.5) - math.log(0.75)) / 2
    second = (-math.log(0.5) - math.log(0.25)) / 2
    recipe = PLAIN.changed(loss="bce")
    assert losses_of(outputs, labels, recipe).tolist() == pytest.approx([first, second])


def test_test_views_are_averaged_with_their_weights():
    class Corner(nn.Module):
        def forward(self, x):
            return x[:, 0, :1, 0]

    seen = predict_logits(Corner().train(), images(3), normalizer(), Setup(CPU), views=2)
    values = normalizer()(images(3).pixels)
    assert torch.allclose(seen[:, 0], (values[:, 0, 0, 0] + values[:, 0, 0, -1]) / 2)


def test_prediction_leaves_the_mode_and_no_image_is_no_row():
    model = small_network().train()
    assert len(predict_logits(model, images().taken([]), normalizer(), Setup(CPU))) == 0
    assert model.training


# ------------------------------------------------------------------------------------ passes


def test_every_image_is_shown_once_an_epoch_in_an_order_of_its_own(monkeypatch):
    shown = []
    one_step = Trainer._one_step
    monkeypatch.setattr(
        Trainer, "_one_step", lambda self, rows, *rest: (shown.append(rows), one_step(self, rows, *rest))[1]
    )
    done = trainer().run()
    orders = [torch.cat(shown[:5]).tolist(), torch.cat(shown[5:]).tolist()]
    assert [sorted(order) for order in orders] == [list(range(40))] * 2 and orders[0] != orders[1]
    assert done.images == 80 and [row["epoch"] for row in done.history] == [1, 2]


@pytest.mark.parametrize(
    ("n", "optimizer", "expected"), [(40, "sgd", 5), (43, "sgd", 6), (41, "sgd", 5), (43, "muon", 5)]
)
def test_an_incomplete_batch_counts_unless_it_is_one_image_or_the_loss_is_summed(n, optimizer, expected):
    assert trainer(PLAIN.changed(optimizer=optimizer), fit=images(n)).steps == [expected] * 2


def test_part_of_an_epoch_is_a_shorter_pass():
    made = trainer(PLAIN.changed(epochs=1.5))
    assert made.steps == [5, 3] and made.run().images == 60
    assert trainer(PLAIN.changed(epochs=0.01)).steps == [1]
    # as when phases are stretched: 3 * (14 / 14.000001)
    assert trainer(PLAIN.changed(epochs=2.0000001)).steps == [5, 5]
    assert trainer(PLAIN.changed(epochs=1.9999999)).steps == [5, 5]


def test_phases_show_their_sizes(monkeypatch):
    sizes = []

    class Looking(nn.Sequential):
        def forward(self, x):
            if self.training:
                sizes.append(tuple(x.shape[-2:]))
            return super().forward(x)

    recipe = PLAIN.changed(resolutions=((8, 1, 1.0), (16, 1, 0.5), (12, 1, 1.0)), rotate=5.0, translate=1)
    trainer(recipe, model=Looking(*small_network()), size=(16, 12)).run()
    assert sizes == [(8, 6)] * 5 + [(16, 12)] * 3 + [(12, 9)] * 5


def test_the_easiest_images_are_left_out_and_come_back():
    made = trainer(PLAIN.changed(resolutions=((8, 1, 1.0), (8, 2, 0.5))))
    made.last_loss = torch.arange(40.0) + 1
    order, skipped = made._draw_order(made.passes[1])
    assert len(order) == len(skipped) == 20 and sorted([*order.tolist(), *skipped.tolist()]) == [*range(40)]
    # the factor of 1 to 1.2 moves only those near the middle
    assert set(range(26, 40)) <= set(order.tolist()) and set(range(14)) <= set(skipped.tolist())
    made.skipped, made.state.seen, before = skipped, 1, made.last_loss.clone()
    made._finish_epoch()
    assert torch.equal(made.last_loss[skipped], 2 * before[skipped])
    assert torch.equal(made.last_loss[order], before[order])


def test_images_without_a_loss_yet_are_drawn_from_all_classes():
    made = trainer(PLAIN.changed(resolutions=((8, 1, 0.5),)), fit=images(400))
    order, _ = made._draw_order(made.passes[0])
    assert 75 <= (order < 200).sum() <= 125


def test_losses_are_kept_for_each_shown_image():
    made = trainer(PLAIN.changed(resolutions=((8, 1, 1.0), (8, 1, 0.5))))
    made.run()
    assert torch.isfinite(made.last_loss).all() and made.last_loss.unique().numel() > 30
    assert made.visits.sum() - trainer().visits.sum() == 40 + 20


def test_a_batch_larger_than_the_set_is_refused():
    with pytest.raises(ValueError, match="a batch of 41 is larger than the 40 images"):
        trainer(PLAIN.changed(batch_size=41))


def test_a_phase_at_a_size_the_network_cannot_take_is_refused_before_any_step():
    one_size = nn.Sequential(nn.Flatten(), nn.Linear(300, 3))
    with pytest.raises(ValueError, match=r"cannot take images of 8x8: leave out that phase of `resolutions`"):
        trainer(PLAIN.changed(resolutions=((10, 1, 1.0), (8, 1, 1.0))), model=one_size)


# ---------------------------------------------------------------------------- what is kept


def test_equal_trainings_give_equal_weights_and_move_no_global_state():
    before = torch.get_rng_state()
    torch.manual_seed(5)
    made = trainer(PLAIN.changed(flip="random", translate=1))
    state = torch.get_rng_state()
    first = made.run()
    assert torch.equal(torch.get_rng_state(), state)
    second = trainer(PLAIN.changed(flip="random", translate=1)).run()
    other = trainer(PLAIN.changed(flip="random", translate=1, seed=1)).run()
    torch.set_rng_state(before)
    assert equal(first.model, second.model) and not equal(first.model, other.model)


def accuracies(monkeypatch, figures, losses=None):
    """Let select's accuracy (and loss) be these, epoch after epoch; outputs stay the network's."""
    note = Trainer._note_select

    def noted(self, row, model):
        row["select_accuracy"] = figures[row["epoch"] - 1]
        row["select_loss"] = (losses or [1 / i for i in range(1, 99)])[row["epoch"] - 1]
        note(self, row, model)

    monkeypatch.setattr(Trainer, "_note_select", noted)


@pytest.mark.parametrize(("keep", "epochs", "epoch"), [("best", 4, 2), ("last", 2, 2)])
def test_the_best_epoch_is_kept_the_first_of_equals(monkeypatch, keep, epochs, epoch):
    constant = PLAIN.changed(keep="last", epochs=2)
    after_two = trainer(constant).run()
    accuracies(monkeypatch, [0.5, 0.8, 0.8, 0.7])
    done = trainer(PLAIN.changed(keep=keep, epochs=epochs)).run()
    assert done.epoch == epoch and equal(done.model, after_two.model) and not done.model.training


def test_training_stops_when_the_select_loss_no_longer_falls(monkeypatch):
    accuracies(monkeypatch, [0.1] * 9, [3, 2, 2, 1, 1.5, math.nan, 0])
    done = trainer(PLAIN.changed(epochs=7, patience=2)).run()
    assert len(done.history) == 6 and done.reason == "no lower select loss for 2 epochs"


def test_a_training_killed_after_it_had_stopped_early_trains_no_further(monkeypatch, tmp_path):
    accuracies(monkeypatch, [0.1] * 9, [3, 4, 5, 1, 1, 1, 1])
    recipe = PLAIN.changed(epochs=7, patience=2)
    first = trainer(recipe, folder=tmp_path).run()
    again = trainer(recipe, folder=tmp_path).run(resume=True)
    assert len(again.history) == 3 and again.reason == first.reason and equal(first.model, again.model)


def test_without_a_select_part_the_last_weights_are_kept():
    done = trainer(select=images().taken([])).run()
    assert done.epoch == 2 and done.history[-1]["select_loss"] is None


def test_averaged_weights_are_the_ones_evaluated_and_kept():
    recipe = PLAIN.changed(keep="last", epochs=1, batch_size=40)
    start = trainer(recipe).model.state_dict()["5.weight"].clone()
    plain = trainer(recipe).run().model.state_dict()["5.weight"]
    averaged = trainer(recipe.changed(ema=0.75)).run().model.state_dict()
    # one step: three quarters of where it began
    assert torch.allclose(averaged["5.weight"], 0.75 * start + 0.25 * plain, atol=1e-6)
    assert averaged["1.num_batches_tracked"] == 1


def test_heldout_images_are_drawn_and_never_used():
    plain, drawn = trainer().run(), trainer(heldout=images(10, 7)).run()
    assert equal(plain.model, drawn.model)
    assert plain.history[0]["heldout_loss"] is None and 0 <= drawn.history[0]["heldout_accuracy"] <= 1


def test_accuracies_are_whole_fractions():
    row = trainer().run().history[-1]
    assert (row["select_accuracy"] * 20).is_integer() and (row["train_accuracy"] * 40).is_integer()


def test_listeners_get_every_row():
    rows = []
    history = trainer(on_epoch=[rows.append]).run().history
    assert rows == history


# ---------------------------------------------------------------------------- initialisation


def test_uniform_weights_have_their_bounds():
    model = nn.Sequential(nn.Conv2d(3, 5, 3), nn.Linear(7, 2))
    initialize(model, PLAIN.changed(initialization="fan_in_fan_out_uniform"), torch.zeros(1))
    # Glorot: sqrt(6 / (fan in + fan out)), here 27 + 45 and 7 + 2
    for layer, bound in ((model[0], math.sqrt(6 / 72)), (model[1], math.sqrt(6 / 9))):
        assert 0.8 * bound < layer.weight.abs().max() <= bound
        assert not layer.bias.any()


def test_normal_weights_have_their_deviation():
    model = nn.Linear(400, 300)
    initialize(model, PLAIN.changed(initialization="fan_in_normal"), torch.zeros(1))
    assert model.weight.std().item() == pytest.approx(math.sqrt(2 / 400), rel=0.02)


def test_identity_convolutions_pass_their_inputs_on_and_the_stem_whitens():
    torch.manual_seed(0)
    model = build_model("fastnet")
    sample = torch.randn(50, 3, 32, 32)
    initialize(model, PLAIN.changed(initialization="identity"), sample)
    first = model.blocks[1].conv  # 32 to 64 channels
    x = torch.randn(2, 32, 5, 5)
    assert torch.equal(first(x)[:, :32], x) and first.weight[32:].abs().max() > 0
    assert model.head.weight.std().item() == pytest.approx(1)
    white = model.whiten(sample)[:, :12].transpose(0, 1).flatten(1)
    assert torch.allclose(white @ white.T / white.shape[1], torch.eye(12), atol=1e-2)


def test_default_weights_are_left():
    torch.manual_seed(0)
    model = small_network()
    torch.manual_seed(0)
    initialize(model, PLAIN, torch.zeros(1))
    assert equal(model, trainer().model)


# ------------------------------------------------------------------------- when it goes wrong


class Breaking(nn.Module):
    """A network whose outputs, or weights, are no numbers from some step on."""

    def __init__(self, step: int, what: str):
        super().__init__()
        self.inner, self.steps, self.step, self.what = small_network(), 0, step, what

    def forward(self, x):
        if self.training:
            self.steps += 1
        factor = math.inf if self.training and self.steps >= self.step else 1.0
        out = self.inner(x)
        if self.what == "loss":
            return out * factor
        # finite outputs, infinite gradients
        return out + (torch.zeros_like(out) if factor == 1 else _Steep.apply(out))


class _Steep(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return torch.zeros_like(x)

    @staticmethod
    def backward(ctx, gradient):
        return gradient * math.inf


@pytest.mark.parametrize("what", ["loss", "weights"])
def test_a_diverged_training_keeps_the_last_good_checkpoint(what, tmp_path):
    # 5 steps an epoch; the last of the second one breaks
    recipe = PLAIN.changed(epochs=4)
    with pytest.raises(DivergedError, match=r"epoch 2: try a lower --lr \(now 0.05\); the last good"):
        trainer(recipe, model=Breaking(10, what), folder=tmp_path).run()
    tensors, state = load_checkpoint(tmp_path)
    assert state["epoch"] == 1 and all(v.isfinite().all() for k, v in tensors.items() if "model" in k)


def test_what_is_left_of_a_diverged_training(tmp_path):
    recipe = PLAIN.changed(epochs=4)
    with pytest.raises(DivergedError) as raised:
        trainer(recipe, model=Breaking(10, "loss"), folder=tmp_path).run()
    left = trainer(recipe, model=Breaking(10, "loss"), folder=tmp_path).last_good(raised.value)
    assert (left.epoch, left.diverged_epoch, left.reason) == (1, 2, "diverged in epoch 2")
    assert [row["epoch"] for row in left.history] == [1, 2] and math.isnan(left.history[1]["train_loss"])
    assert left.history[1]["select_loss"] is None and 0 <= left.history[1]["train_accuracy"] <= 1
    tensors, _ = load_checkpoint(tmp_path)
    assert all(tensors[f"model.{name}"].equal(value) for name, value in left.model.state_dict().items())
    untrained = Breaking(10, "loss")
    before = copy.deepcopy(untrained.state_dict())
    left = trainer(recipe.changed(initialization="default"), model=untrained).last_good(raised.value)
    assert left.epoch == 0 and all(before[n].equal(v) for n, v in left.model.state_dict().items())


def test_a_training_that_diverges_at_once_promises_no_checkpoint(tmp_path):
    with pytest.raises(DivergedError) as error:
        trainer(model=Breaking(1, "loss"), folder=tmp_path).run()
    assert "checkpoint" not in str(error.value) and not list(tmp_path.iterdir())


def test_a_checkpoint_of_another_model_is_refused(tmp_path):
    trainer(folder=tmp_path).run()
    with pytest.raises(ValueError, match="of another model"):
        trainer(folder=tmp_path, model=nn.Sequential(nn.Flatten(), nn.Linear(100, 2))).run(resume=True)
    with pytest.raises(ValueError, match="of another model"):
        trainer(PLAIN.changed(ema=0.5), folder=tmp_path).run(resume=True)
    with pytest.raises(ValueError, match="of another model"):
        trainer(fit=images(41), folder=tmp_path).run(resume=True)


def test_the_faster_precision_is_measured_and_moves_nothing():
    model, state = small_network(), torch.get_rng_state()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    chosen = faster_precision(model, normalizer()(images().pixels), PLAIN, CPU)
    assert chosen in ("fp32", "bf16") and torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_half_precision_trains(monkeypatch):
    recipe = PLAIN.changed(
        optimizer="muon", resolutions=((8, 1, 1.0), (8, 1, 0.5)), rotate=5.0, flip="random"
    )
    made = trainer(recipe)
    made.setup.precision = "bf16"
    assert math.isfinite(made.run().history[-1]["train_loss"])


# ---------------------------------------------------------------- killed; several processes


def forked(what: str, folder: Path) -> dict:
    # another seed kills at other moments: print it, so that a failure can be tried again
    seed = secrets.randbelow(10**6)
    print("seed", seed)
    done = subprocess.run([sys.executable, str(FORKED), what, str(folder), str(seed)], capture_output=True,
                          text=True, check=False, cwd=FORKED.parents[2])  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    return forked("killed", tmp_path_factory.mktemp("killed"))


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    return forked("together", tmp_path_factory.mktemp("together"))


@pytest.mark.parametrize(
    "name", ["momentum and dropout", "adam, averaged", "adamw, early stop", "muon, skipping"]
)
def test_a_training_killed_and_resumed_ends_like_an_undisturbed_one(killed, name):
    found = killed[name]
    # weights to the last bit, the figures of every epoch, the epoch kept, why it ended, images seen
    assert found["hit"] == found["calm"]
    assert found["kills"] >= 2


@pytest.mark.parametrize("name", ["momentum", "muon, skipping", "early stop"])
def test_two_processes_give_the_curve_of_one(together, name):
    one, first, second = (together[name][who] for who in ("one", "pair0", "pair1"))
    assert first == second
    for alone, pair in zip(one[1], first[1], strict=True):
        for figure in ("train_loss", "select_loss"):
            assert pair[figure] == pytest.approx(alone[figure], abs=1e-4)
    assert one[2:] == first[2:]


def test_processes_with_their_own_batch_norm_agree_when_to_stop(together):
    first, second = together["batch norm"]["pair0"], together["batch norm"]["pair1"]
    assert first[1:] == second[1:] and "no lower select loss" in first[3]
