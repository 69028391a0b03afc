"""Saved networks put to use: the run's own predictions again, how a model is found, no torch."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from deep import MODELS, build_model
from deep.recipes import Recipe
from deep.weights import SavedModel, save_model
from experiments import prediction
from experiments.cnn import Job, train_job
from experiments.network_data import load_network_data
from experiments.network_prediction import NetworkModel, load_network
from experiments.prediction import find_images, find_model, load_model
from reports import read_run
from scenes import UnreadableImage

PROJECT = Path(__file__).resolve().parents[2]
CPU = torch.device("cpu")


def saved_model(name: str = "mnist_conv3", resize: str = "squash", views: int = 1) -> SavedModel:
    torch.manual_seed(5)
    network, size = build_model(name, num_classes=3).eval(), MODELS[name].input_size
    mean, std = (0.4,) * size[0], (0.2,) * size[0]
    return SavedModel(network, name, {}, ("a", "b", "c"), size, mean, std, resize, {"views": views})


@pytest.fixture
def file(tmp_path) -> Path:
    return save_model(tmp_path / "model.safetensors", saved_model())


def picture(path: Path, height: int, width: int, seed: int = 0, mode: str = "L") -> Path:
    shape = (height, width) if mode == "L" else (height, width, 3)
    pixels = np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def _no_figures(monkeypatch):
    for name in ("reports.run.confusion_figure", "experiments.cnn.learning_curves_figure"):
        monkeypatch.setattr(name, lambda *_, **__: None)


def shrink(folder: Path, sides) -> None:
    """Bring the pictures of a folder to these sides in turn."""
    for i, path in enumerate(sorted(folder.rglob("*.png"))):
        with Image.open(path) as image:
            small = image.resize(sides[i % len(sides)])
        small.save(path)


@pytest.mark.usefixtures("_no_figures")
@pytest.mark.parametrize(
    ("model", "resize", "views", "sides"),
    [
        ("mnist_conv3", "squash", 1, None),
        ("lenet_32", "crop", 6, None),
        ("mnist_conv3", "squash", 2, [(20, 15)]),
        ("mnist_conv3", "crop", 1, [(20, 15), (60, 50), (9, 30)]),
        ("lenet_32", "squash", 1, [(20, 15), (12, 14)]),
    ],
)
def test_a_runs_own_held_out_images_are_predicted_as_the_run_did(
    small_folder, tmp_path, model, resize, views, sides
):
    if sides:
        shrink(small_folder, sides)
    recipe = Recipe("t", epochs=2, batch_size=4, lr=0.02, fit_all=True, keep="last", views=views)
    data = load_network_data(model, MODELS[model].input_size, data=str(small_folder), resize=resize, jobs=1)
    job = Job(model, recipe, data, resize=resize, precision="fp32")
    run = read_run(train_job(job, tmp_path / "runs", [], show_progress=False).folder)
    images = find_images([str(small_folder / "test")])
    answers = load_model(run.folder, device="cpu").predict(images)
    assert [answer.filename for answer in answers] == list(run.filenames)
    assert [answer.ranked[0][0] for answer in answers] == list(run.predicted)
    column = {name: i for i, name in enumerate(run.classes)}
    for answer, scores in zip(answers, run.scores, strict=True):
        assert [share for _, share in answer.ranked] == sorted(scores.tolist(), reverse=True)
        assert all(share == scores[column[name]] for name, share in answer.ranked)


def test_probabilities_of_all_classes_sum_to_one_and_come_best_first(file, tmp_path):
    (answer,) = load_model(file).predict({"x": picture(tmp_path / "x.png", 50, 60)})
    shares = [share for _, share in answer.ranked]
    assert sum(shares) == pytest.approx(1, abs=1e-6) and shares == sorted(shares, reverse=True)
    assert sorted(name for name, _ in answer.ranked) == ["a", "b", "c"]


def test_an_answer_does_not_depend_on_the_other_images_or_their_order(tmp_path, monkeypatch):
    monkeypatch.setattr("experiments.network_prediction._CHUNK_BYTES", 3 * 28 * 28)  # three at a time
    found = NetworkModel(saved_model(resize="crop"), CPU)
    paths = {str(i): picture(tmp_path / f"{i}.png", 28 + 7 * i, 28 + 5 * i, i) for i in range(8)}
    together = found.predict(paths)
    assert [answer.filename for answer in together] == list(paths)
    backwards = {a.filename: a for a in found.predict(dict(reversed(paths.items())), n_jobs=1)}
    for answer in together:
        (alone,) = found.predict({answer.filename: paths[answer.filename]})
        for other in (alone, backwards[answer.filename]):
            assert [name for name, _ in other.ranked] == [name for name, _ in answer.ranked]
            np.testing.assert_allclose(
                [share for _, share in other.ranked], [share for _, share in answer.ranked], atol=1e-6
            )


def test_small_and_large_pictures_keep_their_places(tmp_path):
    found = NetworkModel(saved_model(), CPU)
    paths = {f"{i}": picture(tmp_path / f"{i}.png", side, side, i) for i, side in enumerate((9, 40, 28, 12))}
    assert [answer.filename for answer in found.predict(paths)] == ["0", "1", "2", "3"]


def test_the_resize_rule_of_the_model_is_applied(tmp_path):
    path = picture(tmp_path / "wide.png", 28, 200)
    with Image.open(path) as image:
        image.crop((86, 0, 114, 28)).save(tmp_path / "centre.png")
    cut, squashed = (NetworkModel(saved_model(resize=rule), CPU) for rule in ("crop", "squash"))
    wide, centre = (cut.predict({"x": tmp_path / name}) for name in ("wide.png", "centre.png"))
    assert wide == centre
    assert squashed.predict({"x": path}) != wide


def test_colour_pictures_are_taken_by_grey_networks_and_the_other_way_round(tmp_path):
    colour, grey = picture(tmp_path / "c.png", 40, 40, mode="RGB"), picture(tmp_path / "g.png", 40, 40)
    for name in ("mnist_conv3", "lenet_32"):
        assert len(NetworkModel(saved_model(name), CPU).predict({"c": colour, "g": grey})) == 2


def test_unreadable_images_raise_or_are_skipped_with_a_line(file, tmp_path, capsys):
    (tmp_path / "bad.png").write_bytes(b"")
    paths = {"bad": tmp_path / "bad.png", "good": picture(tmp_path / "good.png", 40, 40)}
    found = load_model(file)
    with pytest.raises(UnreadableImage, match=r"bad\.png"):
        found.predict(paths)
    assert [answer.filename for answer in found.predict(paths, skip_unreadable=True)] == ["good"]
    assert capsys.readouterr().err.startswith(f"skipped: {tmp_path / 'bad.png'}")
    with pytest.raises(ValueError, match="no readable image left"):
        found.predict({"bad": tmp_path / "bad.png"}, skip_unreadable=True)


# -------------------------------------------------------------------------------------------- finding a model


def test_a_model_is_found_by_folder_file_and_name(file, tmp_path, monkeypatch):
    weights = tmp_path / "weights"
    monkeypatch.setattr(prediction, "WEIGHTS", weights)
    inner = weights / "folder" / "model.safetensors"
    inner.parent.mkdir(parents=True)
    for path in (weights / "small.safetensors", inner):
        path.write_bytes(file.read_bytes())
    monkeypatch.chdir(tmp_path)
    assert find_model(tmp_path) == find_model(file) == file
    assert find_model("small") == weights / "small.safetensors"
    assert find_model("folder") == inner
    with pytest.raises(FileNotFoundError, match=r"smal: no such model: .* in weights/ \(small\)"):
        find_model("smal")


def test_what_lies_there_goes_before_a_name_in_weights(file, tmp_path, monkeypatch):
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "mine.safetensors").write_bytes(b"other")
    monkeypatch.setattr(prediction, "WEIGHTS", tmp_path / "weights")
    (tmp_path / "mine").mkdir()
    file.rename(tmp_path / "mine" / file.name)
    monkeypatch.chdir(tmp_path)
    assert find_model("mine") == Path("mine") / file.name


def test_two_models_in_one_folder_are_refused(file):
    file.with_name("model.npz").write_bytes(b"")
    with pytest.raises(ValueError, match=r"two models: give model\.npz or model\.safetensors"):
        find_model(file.parent)


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".ckpt", ".pkl"])
def test_a_pickle_is_never_opened(tmp_path, suffix):
    path = tmp_path / f"model{suffix}"
    torch.save({"w": torch.zeros(2)}, path)
    with pytest.raises(ValueError, match="a pickle, which could run anything, is never opened"):
        load_model(path)


def test_a_device_that_is_not_there_is_refused(file):
    with pytest.raises(ValueError, match="--device abacus is unknown"):
        load_network(file, "abacus")


def test_pictures_of_four_channels_are_not_had(file, tmp_path):
    saved = saved_model("lenet_32")
    network = build_model("lenet_32", num_classes=3, in_channels=4).eval()
    four = dataclasses.replace(
        saved, network=network, input_size=(4, 32, 32), mean=(0.5,) * 4, std=(0.5,) * 4
    )
    with pytest.raises(ValueError, match="takes 4 channels, pictures have 1 or 3"):
        load_model(save_model(tmp_path / "four.safetensors", four))


def test_without_torch_a_network_is_one_line_and_the_rest_works(file, tmp_path):
    (tmp_path / "without").mkdir()
    for name in ("torch", "torchvision", "safetensors"):
        (tmp_path / "without" / f"{name}.py").write_text(
            f"raise ModuleNotFoundError('No module named {name}', name={name!r})"
        )
    config = {"method": "tiny", "k": 1, "metric": "cityblock", "p": 2, "tie": "first", "size": 2,
              "resample": "nearest", "norm": "none", "zero_mean": False, "crop": False, "max_side": None,
              "resize": None}  # fmt: skip
    code = (
        "import runpy, sys\n"
        f"sys.path.insert(0, {str(tmp_path / 'without')!r})\n"
        "import numpy as np\n"
        "from experiments.prediction import load_model\n"
        "from scenes.files import write_npz\n"
        f"config = np.array({json.dumps(config)!r})\n"
        "labels = np.array(list('abcd'))\n"
        "write_npz('model.npz', dict(features=np.eye(4), labels=labels, config=config))\n"
        "print(type(load_model('model.npz')).__name__)\n"
        f"predict = runpy.run_path({str(PROJECT / 'scripts' / 'predict.py')!r})['main']\n"
        f"print(predict(['--model', {str(file)!r}, 'x.png']))\n"
        f"export = runpy.run_path({str(PROJECT / 'scripts' / 'export.py')!r})['main']\n"
        f"print(export(['--model', {str(file)!r}, '--out', 'x.onnx']))\n"
    )
    work = tmp_path / "work"
    work.mkdir()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=work, check=False)
    assert (done.returncode, done.stdout) == (0, "ClassicalModel\n2\n2\n"), done.stderr
    first, second = done.stderr.splitlines()
    for line in (first, second):
        assert line.startswith("error: ") and "is missing: networks need `make install-all`" in line
