"""``predict.py``: which images are meant, what they are called, what comes out, what is refused."""

import csv
import importlib.util
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reports import read_run
from scenes.files import read_npz, write_npz

TORCH = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not installed")

QUICK_BOW = "--vocab-size 8 --step 4"


@pytest.fixture
def train(call, gratings, tmp_path):
    """train("run_bow", "--k 3"): the folder of a run on the gratings."""

    def train(script: str, arguments: str = "") -> Path:
        quick = QUICK_BOW if script == "run_bow" else ""
        base = ("--data", gratings, "--runs-dir", tmp_path / "runs", "--jobs", 1)
        return call(script, *base, *quick.split(), *arguments.split()).folder

    return train


@pytest.fixture
def model(train) -> Path:
    return train("run_tiny", "--k 3")


def table(text: str) -> dict[str, list[tuple[str, float]]]:
    """The printed table: by image, its classes and shares, best first."""
    found = {}
    for line in text.splitlines():
        name, *rest = line.split()
        found[name] = [(label, float(share)) for label, share in zip(rest[::2], rest[1::2], strict=True)]
    return found


@pytest.mark.parametrize(
    ("script", "arguments"),
    [
        ("run_tiny", ""),
        ("run_tiny", "--k 4 --metric chi2"),
        ("run_tiny", "--k 4 --tie nearest --size 8,12 --crop --zero-mean --norm l2 --resample box"),
        ("run_tiny", "--metric minkowski --p 1.5 --max-side 20"),
        ("run_tiny", "--resize 12 --max-side 0"),
        ("run_tiny", "--tune --lite"),
        ("run_bow", "--k 3"),
        ("run_bow", "--k 4 --tie nearest --metric chi2 --norm hellinger --step 4,5 --bin-size 2,3"),
        ("run_bow", "--window gaussian --dtype float32 --max-side 30"),
        ("run_bow", "--backend opencv --window gaussian"),
        pytest.param("run_bow", "--backend torch", marks=TORCH),
        ("run_bow", "--resize 30 --norm l2 --vocab-step 3 --seed 4"),
    ],
)
def test_a_runs_own_test_images_are_predicted_as_the_run_did(
    train, call, gratings, tmp_path, script, arguments
):
    run = read_run(train(script, arguments))
    called = call("predict", "--model", run.folder, gratings / "test", "--csv", tmp_path / "pred.csv")
    assert (called.code, called.err) == (0, "")
    with open(tmp_path / "pred.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["filename", "label"]
    assert rows[1:] == [[name, label] for name, label in zip(run.filenames, run.predicted, strict=True)]
    printed = table(called.out.removesuffix(f"wrote {tmp_path / 'pred.csv'}\n"))
    assert list(printed) == list(run.filenames)
    columns = {label: i for i, label in enumerate(run.classes)}
    for i, name in enumerate(run.filenames):
        assert printed[name][0][0] == run.predicted[i]
        for label, share in printed[name]:
            assert share == pytest.approx(run.scores[i, columns[label]], abs=0.0051)  # two digits are shown


def test_a_folder_is_searched_with_its_subfolders_and_hidden_files_are_left_out(
    call, model, gratings, tmp_path
):
    photos = tmp_path / "photos"
    (photos / "deep" / "er").mkdir(parents=True)
    (photos / ".thumbnails").mkdir()
    source = gratings / "test" / "fine" / "image_0.png"
    for name in ("b.png", "a.PNG", "deep/er/c.png", ".thumbnails/d.png"):
        shutil.copy(source, photos / name)
    (photos / "._a.png").write_bytes(b"a Mac's trace")
    (photos / "notes.txt").write_text("not an image")
    called = call("predict", "--model", model, photos)
    assert called.code == 0, called.err
    assert list(table(called.out)) == ["a.PNG", "b.png", "deep/er/c.png"]


def test_a_single_file_is_called_by_its_base_name(call, model, gratings):
    called = call("predict", "--model", model, gratings / "test" / "fine" / "image_0.png")
    (line,) = called.lines
    assert line.split()[0] == "image_0.png" and len(table(line)["image_0.png"]) == 3


def test_the_model_file_itself_may_be_named(call, model, gratings):
    image = gratings / "test" / "fine" / "image_0.png"
    by_folder, by_file = (call("predict", "--model", path, image) for path in (model, model / "model.npz"))
    assert by_folder == by_file and by_file.code == 0


def test_a_pattern_gives_base_names_in_sorted_order(call, model, gratings):
    called = call("predict", "--model", model, gratings / "test" / "f*" / "image_[0-2].png")
    assert list(table(called.out)) == ["image_0.png", "image_1.png", "image_2.png"]
    deep = call("predict", "--model", model, gratings / "**" / "coarse" / "image_5.png")
    assert list(table(deep.out)) == ["image_5.png"]


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(call, model, gratings, tmp_path):
    name = tmp_path / "photo[1].png"
    shutil.copy(gratings / "test" / "fine" / "image_0.png", name)
    assert list(table(call("predict", "--model", model, name).out)) == ["photo[1].png"]


def test_files_and_folders_may_be_mixed_in_the_order_given(call, model, gratings, tmp_path):
    photo = tmp_path / "photo.png"
    shutil.copy(gratings / "test" / "fine" / "image_0.png", photo)
    called = call("predict", "--model", model, photo, gratings / "test" / "medium")
    assert list(table(called.out)) == ["photo.png", *(f"image_{i}.png" for i in range(5))]


def test_two_images_of_one_name_are_refused(refused, model, gratings):
    both = [gratings / "test" / label / "image_0.png" for label in ("fine", "coarse")]
    refused("predict", "--model", model, *both, says=("two images are called image_0.png", "common folder"))
    refused("predict", "--model", model, gratings / "test" / "*" / "image_0.png", says="image_0.png")


def test_names_that_are_no_text_are_printed_and_written(call, model, gratings, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    name = b"caf\xe9.png"
    shutil.copy(gratings / "test" / "fine" / "image_0.png", folder / name.decode("utf-8", "surrogateescape"))
    called = call("predict", "--model", model, folder, "--csv", tmp_path / "pred.csv")
    assert called.code == 0 and called.out.startswith("caf?.png  ")
    assert (tmp_path / "pred.csv").read_bytes().splitlines()[1].startswith(name + b",")


def test_the_csv_quotes_names_and_replaces_an_older_one(call, model, gratings, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    shutil.copy(gratings / "test" / "fine" / "image_0.png", folder / 'a, "b".png')
    (tmp_path / "pred.csv").write_text("old")
    called = call("predict", "--model", model, folder, "--csv", tmp_path / "pred.csv")
    assert called.lines[-1] == f"wrote {tmp_path / 'pred.csv'}"
    with open(tmp_path / "pred.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert [row[0] for row in rows] == ["filename", 'a, "b".png']


def test_a_csv_that_cannot_be_written_is_named(refused, model, gratings, tmp_path):
    target = tmp_path / "nowhere" / "pred.csv"
    arguments = ("--model", model, gratings / "test", "--csv", target)
    refused("predict", *arguments, says=(str(target), "No such file or directory"))


def test_an_unreadable_image_is_refused_or_skipped_and_said(refused, call, model, gratings, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    shutil.copy(gratings / "test" / "fine" / "image_0.png", folder / "good.png")
    (folder / "bad.jpg").write_bytes(b"")
    refused("predict", "--model", model, folder, says=(str(folder / "bad.jpg"), "empty file"))
    called = call("predict", "--model", model, folder, "--skip-unreadable")
    assert called.code == 0 and list(table(called.out)) == ["good.png"]
    assert called.err.startswith("skipped: ") and "bad.jpg" in called.err
    (folder / "good.png").unlink()
    # the line about the skipped image comes first
    assert call("predict", "--model", model, folder, "--skip-unreadable").code == 2


def test_an_argument_without_images_is_named(refused, model, tmp_path):
    (tmp_path / "empty").mkdir()
    for argument in ("empty", "nowhere.png", "*.jpg"):
        refused("predict", "--model", model, tmp_path / argument, says=(argument, "no image there"))


def test_missing_arguments_are_refused(refused, model):
    refused("predict", says="--model")
    refused("predict", "--model", model, says="IMAGE")


# ----------------------------------------------------------------------- the model


def test_a_missing_model_is_refused(refused, gratings, tmp_path):
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "nowhere", tmp_path / "empty"):
        refused("predict", "--model", path, gratings / "test", says=(str(path), "no such model"))


def test_a_folder_of_several_runs_is_refused_and_one_of_them_taken(refused, call, train, gratings):
    folder = train("run_tiny", "--k 1 3")
    said = ("several runs", "give one of k1, k3 in it")
    refused("predict", "--model", folder, gratings / "test", says=said)
    assert call("predict", "--model", folder / "k3", gratings / "test").code == 0


def test_another_file_of_the_run_is_refused(refused, model, gratings):
    for name in ("result.json", "scores.npz"):
        refused("predict", "--model", model / name, gratings / "test", says=name)


@pytest.mark.parametrize("keep", [0, 10, 1000, -1])
def test_a_damaged_model_is_refused(refused, model, gratings, tmp_path, keep):
    data = (model / "model.npz").read_bytes()
    damaged = tmp_path / "damaged.npz"
    damaged.write_bytes(data[:keep])
    refused("predict", "--model", damaged, gratings / "test", says="damaged.npz")


def test_flipped_bytes_give_a_prediction_or_one_line(call, train, gratings, tmp_path):
    data = (train("run_bow") / "model.npz").read_bytes()
    damaged, image = tmp_path / "damaged.npz", gratings / "test" / "fine" / "image_0.png"
    rng = np.random.default_rng(4)
    codes = []
    for _ in range(40):
        changed = bytearray(data)
        changed[rng.integers(len(data))] ^= 1 << rng.integers(8)
        damaged.write_bytes(changed)
        called = call("predict", "--model", damaged, image, "--jobs", 1)
        codes.append(called.code)
        assert called.err.count("\n") == (1 if called.code else 0), called.err
    assert codes.count(2) > 20


CONFIG_CHANGES = {
    "no method": {"method": None},
    "another method": {"method": "cnn"},
    "k of text": {"k": "3"},
    "no k": {"k": 0},
    "k above the rows": {"k": 1000},
    "unknown metric": {"metric": "manhattan"},
    "p of text": {"p": "2", "metric": "minkowski"},
    "unknown tie": {"tie": []},
    "step of text": {"step": "fine"},
    "endless step": {"step": 1e300},
    "bin size 0": {"bin_size": 0},
    "unknown window": {"window": {}},
    "unknown back end": {"backend": "../evil"},
    "unknown norm": {"norm": ["l1"]},
    "max_side of text": {"max_side": "480"},
    "negative max_side": {"max_side": -1},
    "resize of text": {"resize": "30"},
    "huge resize": {"resize": 10**9},
    "another bin size than the words": {"bin_size": 4},
}


@pytest.mark.parametrize("change", CONFIG_CHANGES.values(), ids=CONFIG_CHANGES.keys())
def test_a_model_with_a_foreign_setting_is_refused(refused, train, gratings, tmp_path, change):
    arrays = read_npz(train("run_bow") / "model.npz")
    config = json.loads(str(arrays["config"])) | change
    write_npz(tmp_path / "foreign.npz", arrays | {"config": np.array(json.dumps(config))})
    refused("predict", "--model", tmp_path / "foreign.npz", gratings / "test", "--jobs", 1)


ARRAY_CHANGES = {
    "no arrays": None,
    "config no JSON": {"config": np.array("{")},
    "config a list": {"config": np.array("[]")},
    "config a number": {"config": np.arange(3)},
    "identity a list": {"identity": np.array("[]")},
    "identity text": {"identity": np.array('"sift"')},
    "words in a line": {"words": np.zeros(128, np.float32)},
    "words of text": {"words": np.array(["a", "b"])},
    "no words": {"words": np.zeros((0, 128), np.float32)},
    "words of another length": {"words": np.zeros((8, 64), np.float32)},
    "more words than columns": {"words": np.zeros((9, 128), np.float32)},
    "NaN words": {"words": np.full((8, 128), np.nan, np.float32)},
    "features in a line": {"features": np.zeros(18, np.float32)},
    "NaN features": {"features": np.full((18, 8), np.nan, np.float32)},
    "fewer labels": {"labels": np.array(["a"])},
    "labels in a table": {"labels": np.array([["a", "b"]] * 18)},
}


@pytest.mark.parametrize("change", ARRAY_CHANGES.values(), ids=ARRAY_CHANGES.keys())
def test_a_model_with_foreign_arrays_is_refused(refused, train, gratings, tmp_path, change):
    arrays = read_npz(train("run_bow") / "model.npz")
    foreign = {"a": np.eye(3)} if change is None else arrays | change
    write_npz(tmp_path / "foreign.npz", foreign)
    refused("predict", "--model", tmp_path / "foreign.npz", gratings / "test", "--jobs", 1)


def test_a_model_from_grey_scenes_takes_colour_photographs(call, model, tmp_path):
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (50, 70, 3)).astype(np.uint8)).save(tmp_path / "colour.jpg")
    called = call("predict", "--model", model, tmp_path / "colour.jpg")
    assert called.code == 0 and len(table(called.out)["colour.jpg"]) == 3


# --------------------------------------------------------------------- a network


@pytest.fixture
def network(tmp_path) -> Path:
    torch = pytest.importorskip("torch")
    from deep import build_model
    from deep.weights import SavedModel, save_model

    torch.manual_seed(0)
    classes = ("coarse", "fine", "medium")
    built = build_model("mnist_conv3", num_classes=3).eval()
    saved = SavedModel(built, "mnist_conv3", {}, classes, (1, 28, 28), (0.5,), (0.2,), "squash", {"views": 2})
    (tmp_path / "network").mkdir()
    return save_model(tmp_path / "network" / "model.safetensors", saved).parent


def test_a_network_gives_probabilities_and_the_same_table_of_names(call, network, gratings, tmp_path):
    called = call("predict", "--model", network, gratings / "test", "--csv", tmp_path / "pred.csv",
                  "--device", "cpu", "--jobs", 1)  # fmt: skip
    assert (called.code, called.err) == (0, "")
    printed = table(called.out.removesuffix(f"wrote {tmp_path / 'pred.csv'}\n"))
    with open(tmp_path / "pred.csv", newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert header == ["filename", "label"] and rows == [[name, best[0][0]] for name, best in printed.items()]
    assert len(rows) == 15
    for shares in printed.values():
        assert sum(share for _, share in shares) == pytest.approx(1, abs=0.016)  # two digits are shown


def test_a_network_skips_unreadable_images_when_asked(call, refused, network, gratings, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    shutil.copy(gratings / "test" / "fine" / "image_0.png", folder / "good.png")
    (folder / "bad.png").write_bytes(b"no picture")
    refused("predict", "--model", network, folder, says=("bad.png", "--skip-unreadable"))
    called = call("predict", "--model", network, folder, "--skip-unreadable")
    assert called.code == 0 and list(table(called.out)) == ["good.png"] and "skipped" in called.err


def test_a_device_is_for_networks_and_must_be_there(refused, network, model, gratings):
    image = gratings / "test" / "fine" / "image_0.png"
    refused("predict", "--model", model, image, "--device", "cpu", says=("no network", "--device"))
    refused("predict", "--model", network, image, "--device", "gpu", says="--device gpu is unknown")


def test_damaged_weights_are_one_line(refused, network, gratings):
    file = network / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-5])
    refused("predict", "--model", network, gratings / "test", says=("model.safetensors", "damaged"))
