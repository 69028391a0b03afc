"""Checkpoints: what is saved comes back, and what is no checkpoint is refused in one line."""

import json

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from deep.checkpoints import (
    FILE_NAME,
    load_checkpoint,
    optimizer_tensors,
    restore_optimizers,
    save_checkpoint,
)
from deep.optimizers import make_optimizers
from deep.recipes import Recipe


def test_tensors_and_state_come_back(tmp_path):
    tensors = {"a": torch.arange(6.0).reshape(2, 3).T, "b": torch.tensor(3), "none": torch.arange(0)}
    state = {"epoch": 3, "loss": 0.1 + 0.2, "lowest": float("inf"), "history": [{"seconds": 1.5, "x": None}]}
    save_checkpoint(tmp_path / "new", tensors, state)
    found, back = load_checkpoint(tmp_path / "new")
    assert back == {"format": 1, **state}
    assert found.keys() == tensors.keys() and all(torch.equal(found[k], tensors[k]) for k in tensors)
    assert [file.name for file in (tmp_path / "new").iterdir()] == [FILE_NAME]


def test_no_checkpoint_is_none(tmp_path):
    assert load_checkpoint(tmp_path) is None and load_checkpoint(tmp_path / "nowhere") is None


def test_a_failed_save_leaves_the_one_before(tmp_path, monkeypatch):
    save_checkpoint(tmp_path, {"a": torch.zeros(1)}, {"epoch": 1})
    monkeypatch.setattr(
        "deep.checkpoints.save_file", lambda *_, **__: (_ for _ in ()).throw(OSError(28, "full"))
    )
    with pytest.raises(OSError, match="full"):
        save_checkpoint(tmp_path, {"a": torch.ones(1)}, {"epoch": 2})
    assert load_checkpoint(tmp_path)[1]["epoch"] == 1
    assert [file.name for file in tmp_path.iterdir()] == [FILE_NAME]


def _written(tmp_path, metadata):
    save_file({"a": torch.zeros(1)}, tmp_path / FILE_NAME, metadata=metadata)


@pytest.mark.parametrize(
    "metadata",
    [None, {"x": "y"}, *({"state": text} for text in ("{", "[1, 2]", "3", "null", "{}", '{"format": 2}'))],
)
def test_another_programs_file_is_refused(tmp_path, metadata):
    _written(tmp_path, metadata)
    with pytest.raises(ValueError, match=f"{FILE_NAME}.*remove its folder") as refusal:
        load_checkpoint(tmp_path)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("size", [0, 1, 8, 20, 60, -1])
def test_a_cut_file_is_refused(tmp_path, size):
    save_checkpoint(tmp_path, {"a": torch.zeros(50)}, {"epoch": 1})
    data = (tmp_path / FILE_NAME).read_bytes()
    (tmp_path / FILE_NAME).write_bytes(data[:size])
    with pytest.raises(ValueError, match="no checkpoint of this project"):
        load_checkpoint(tmp_path)


def test_a_pickle_is_not_opened(tmp_path):
    torch.save({"a": 1}, tmp_path / FILE_NAME)
    with pytest.raises(ValueError, match="no checkpoint of this project"):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw", "muon"])
def test_restored_optimisers_take_the_same_next_step(tmp_path, optimizer):
    def step(model, optimizers, seed):
        x = torch.randn(4, 3, 6, 6, generator=torch.Generator().manual_seed(seed))
        for each in optimizers:
            each.zero_grad()
        model(x).square().sum().backward()
        for each in optimizers:
            each.step()

    def fresh():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 2))
        return model, make_optimizers(model, Recipe("r", optimizer=optimizer, lr=0.01))

    model, optimizers = fresh()
    step(model, optimizers, 1)
    save_checkpoint(tmp_path, {**model.state_dict(), **optimizer_tensors(optimizers)}, {})
    again, restored = fresh()
    tensors, _ = load_checkpoint(tmp_path)
    again.load_state_dict({name: tensors[name] for name in model.state_dict()})
    restore_optimizers(restored, tensors)
    step(model, optimizers, 2)
    step(again, restored, 2)
    for a, b in zip(model.parameters(), again.parameters(), strict=True):
        assert torch.equal(a, b)


def test_optimisers_without_memory_have_no_tensors():
    model = nn.Linear(2, 2)
    made = make_optimizers(model, Recipe("r", momentum=0))
    model(torch.ones(1, 2)).sum().backward()
    made[0].step()
    assert optimizer_tensors(made) == {}
    restore_optimizers(made, {})
    assert json.dumps(made[0].state_dict()["param_groups"][0]["lr"]) == "0.05"
