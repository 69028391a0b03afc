"""A network's whole way: what a training is known by, devices, files of a run."""

import math

import numpy as np
import pytest
import torch

from deep.recipes import Recipe
from experiments import cnn
from experiments.cnn import Job, metrics_csv, pick_device, under_torchrun
from experiments.network_data import NetworkData
from scenes.formats import ArrayPart


def data(seed=0, classes=("a", "b")) -> NetworkData:
    images = np.random.default_rng(seed).integers(0, 256, (8, 32, 32, 1), np.uint8)
    part = ArrayPart(images, np.arange(8) % 2, tuple(map(str, range(8))))
    return NetworkData("set", "note", classes, part, part, 0, f"print{seed}", "heldout", "32x32")


def job(recipe=None, **kwargs) -> Job:
    return Job("lenet_modern", recipe or Recipe("r"), **{"data": data(), **kwargs})


@pytest.mark.parametrize(
    "other",
    [
        job(Recipe("r", lr=0.06)),
        job(Recipe("r", seed=1)),
        job(data=data(1)),
        job(data=data(classes=("a", "c"))),
        job(options={"dropout": 0.1}),
        job(resize="crop"),
    ],
)
def test_a_training_is_known_by_all_that_its_weights_depend_on(other):
    assert job().key == job().key == job(device="cuda", precision="bf16", half=True).key
    assert other.key != job().key


def test_the_range_to_expect_is_that_of_the_same_network_on_the_same_images(monkeypatch):
    chance = "chance: 0.5000 (1 of 2 classes, 8 images)"
    whose = "by this project's recipes and the report's"
    for found, line in (
        ([], []),
        ([0.5], [f"lenet_modern on these images, 1 training {whose}: 0.5000"]),
        ([0.7, 0.5], [f"lenet_modern on these images, 2 trainings {whose}: 0.5000 to 0.7000"]),
    ):
        asked = []
        told = lambda *args, **rest: asked.append((*args, rest)) or found  # noqa: B023, E731
        monkeypatch.setattr("experiments.network_tables.measured_accuracies", told)
        assert cnn._expected(job(options={"width": 2})) == [chance, *line]
        which = {"course_split": False, "merge": (), "pixels": 32}
        assert asked == [("lenet_modern", {"width": 2}, "heldout", which)]


def test_the_recipes_dropout_and_batch_norm_reach_the_network():
    made = job(Recipe("r", dropout=0.2, batch_norm=True), options={"dropout": 0.1, "x": 1})
    assert made.all_options == {"dropout": 0.2, "batch_norm": True, "x": 1}
    assert job().all_options == {}


def test_a_device_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert pick_device(None) == pick_device("cpu") == torch.device("cpu")
    for name, says in (("cuda", "no CUDA"), ("cuda:1", "no CUDA"), ("gpu", "unknown"), ("cuda:x", "unknown"),
                       ("meta", "unknown")):  # fmt: skip
        with pytest.raises(ValueError, match=says):
            pick_device(name)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert pick_device(None).type == "cuda" and pick_device("cuda:1").index == 1
    with pytest.raises(ValueError, match="there are 2"):
        pick_device("cuda:2")


def test_one_process_needs_no_group(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert under_torchrun(torch.device("cpu")) == (torch.device("cpu"), 0, 1)


def test_metrics_have_their_columns_and_empty_cells(tmp_path):
    row = {"epoch": 1, "train_loss": 0.1, "train_accuracy": 0.5, "select_loss": None, "select_accuracy": None,
           "heldout_loss": math.inf, "heldout_accuracy": 0.25, "lr": 0.1, "seconds": 1.5}  # fmt: skip
    text = metrics_csv([row], tmp_path / "metrics.csv").read_text()
    assert text == ",".join(cnn.METRIC_COLUMNS) + "\n1,0.1,0.5,,,inf,0.25,0.1,1.5\n"


def test_an_infinite_loss_is_nothing_in_the_record():
    row = {"epoch": 1, "select_loss": math.inf, "heldout_loss": None, "seconds": 2.0}
    assert cnn._timeless(row) == {"epoch": 1, "select_loss": None, "heldout_loss": None}


def test_weights_a_network_began_from_are_not_fetched_again():
    assert cnn._kept_options(job(options={"pretrained": True, "dropout": 0.1})) == {"dropout": 0.1}
