"""The small trained networks in weights/: what they are, and how right they are on images held out."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch")

from deep import build_model  # noqa: E402
from deep.weights import load_saved  # noqa: E402
from experiments.network_data import load_network_data  # noqa: E402
from experiments.network_prediction import load_network  # noqa: E402

WEIGHTS = Path(__file__).resolve().parents[2] / "weights"
CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
# At least so many of the first 1,000 held-out images.
RIGHT = {"fastnet": 925, "tiny50k": 885}


@pytest.mark.parametrize("name", list(RIGHT))
def test_a_file_is_small_whole_and_builds_its_network(name):
    saved = load_saved(WEIGHTS / f"{name}.safetensors")
    assert (saved.name, saved.classes, saved.input_size) == (name, CIFAR10, (3, 32, 32))
    assert (WEIGHTS / f"{name}.safetensors").stat().st_size < 4_000_000
    own, stored = build_model(name, pretrained=True).state_dict(), saved.network.state_dict()
    assert all((own[key] == stored[key]).all() for key in own) and own.keys() == stored.keys()


@pytest.mark.data
@pytest.mark.parametrize("name", list(RIGHT))
def test_it_is_right_on_images_held_out(name):
    heldout = load_network_data(name, (3, 32, 32), dataset="cifar10").heldout
    images = dict(zip(heldout.filenames[:1000], heldout.images[:1000], strict=True))
    answers = load_network(WEIGHTS / f"{name}.safetensors", "cpu").predict(images)
    right = sum(CIFAR10.index(answer.ranked[0][0]) == label
                for answer, label in zip(answers, heldout.labels[:1000], strict=True))  # fmt: skip
    assert right >= RIGHT[name]


def test_predict_takes_it_by_its_name(tmp_path, capsys):
    from experiments.prediction import load_model

    Image.fromarray(np.full((40, 50, 3), 90, np.uint8)).save(tmp_path / "a.png")
    (answer,) = load_model("fastnet").predict({"a.png": tmp_path / "a.png"})
    assert answer.ranked[0][0] in CIFAR10
