"""Saved networks: the same after loading, size limits, and every file that is none refused in one line."""

import dataclasses
import json
import pickle
import struct
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from deep import MODELS, build_model
from deep.complexity import file_bytes
from deep.weights import SavedModel, TooLargeError, check_size, load_saved, save_model

SMALL = ("lenet", "cifar", "mnist", "densenet", "tiny50k", "fastnet")
NAMES = [
    name if name.startswith(SMALL) and name != "densenet121" else pytest.param(name, marks=pytest.mark.slow)
    for name in MODELS
]


def saved_model(name: str = "mnist_conv3", classes=("a", "b", "c"), **options) -> SavedModel:
    """A network whose weights and statistics are all random, so that none can pass for a fresh one."""
    torch.manual_seed(3)
    size = MODELS[name].input_size
    network = build_model(name, num_classes=len(classes), **options).eval()
    for value in network.buffers():
        if value.is_floating_point():
            value.uniform_(0.5, 1.5)
    means, deviations = tuple(0.1 + 0.2 * i for i in range(size[0])), (0.25,) * size[0]
    return SavedModel(network, name, options, tuple(classes), size, means, deviations, "squash", {"views": 2})


@pytest.fixture
def file(tmp_path) -> Path:
    return save_model(tmp_path / "model.safetensors", saved_model())


def outputs(saved: SavedModel) -> torch.Tensor:
    images = torch.randn(2, *saved.input_size, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        return saved.network(images)


def rewritten(file: Path, changes: dict, state: dict | None = None) -> Path:
    """The file with other metadata, and tensors changed: None takes a key or a tensor away."""
    header_size = struct.unpack("<Q", file.read_bytes()[:8])[0]
    header = json.loads(file.read_bytes()[8 : 8 + header_size])
    texts = header["__metadata__"] | {key: json.dumps(value) for key, value in changes.items()}
    tensors = load_file(file) | (state or {})
    path = file.with_name("changed.safetensors")
    save_file(
        {name: value for name, value in tensors.items() if value is not None},
        path,
        metadata={key: text for key, text in texts.items() if changes.get(key, 0) is not None},
    )
    return path


def refused(path: Path, *says: str) -> None:
    with pytest.raises(ValueError) as caught:
        load_saved(path)
    text = str(caught.value)
    assert "\n" not in text and text.startswith(f"{path}: ") and len(text) < 600
    for part in says:
        assert part in text


# --------------------------------------------------------------------------------------------- there and back


@pytest.mark.parametrize("name", NAMES)
def test_a_loaded_network_predicts_the_same(tmp_path, name):
    saved = saved_model(name)
    found = load_saved(save_model(tmp_path / "model.safetensors", saved))
    assert torch.equal(outputs(found), outputs(saved))
    assert not found.network.training
    assert not any(value.is_meta for value in (*found.network.parameters(), *found.network.buffers()))


def test_everything_that_prediction_needs_comes_back(file):
    saved, found = saved_model(), load_saved(file)
    assert found.metadata() == saved.metadata()
    for field in ("name", "options", "classes", "input_size", "mean", "std", "resize", "recipe"):
        assert getattr(found, field) == getattr(saved, field)


def test_the_metadata_are_json_texts_under_the_published_keys(file):
    header_size = struct.unpack("<Q", file.read_bytes()[:8])[0]
    texts = json.loads(file.read_bytes()[8 : 8 + header_size])["__metadata__"]
    assert {key: json.loads(text) for key, text in texts.items()} == {
        "model": "mnist_conv3", "options": {}, "classes": ["a", "b", "c"], "input_size": [1, 28, 28],
        "mean": [0.1], "std": [0.25], "resize": "squash", "recipe": {"views": 2},
    }  # fmt: skip


def test_a_header_whose_length_looks_like_a_pickle_is_read(tmp_path):
    saved = saved_model()
    for extra in range(0, 256, 8):  # headers are padded to eight bytes
        named = dataclasses.replace(saved, classes=("a", "b" + "b" * extra, "c"))
        path = save_model(tmp_path / "model.safetensors", named)
        if path.read_bytes()[:2] in [bytes([0x80, protocol]) for protocol in (2, 3, 4, 5)]:
            break
    else:
        pytest.fail("no header had such a length")
    assert load_saved(path).classes == named.classes


def test_options_are_kept(tmp_path):
    saved = saved_model("cifar_residual", projection=False)
    found = load_saved(save_model(tmp_path / "model.safetensors", saved))
    assert found.options == {"projection": False} and torch.equal(outputs(found), outputs(saved))


def test_images_of_other_channels_are_kept(tmp_path):
    torch.manual_seed(0)
    network = build_model("lenet_32", num_classes=2, in_channels=1).eval()
    saved = SavedModel(network, "lenet_32", {}, ("a", "b"), (1, 32, 32), (0.5,), (0.2,), "crop", {})
    found = load_saved(save_model(tmp_path / "model.safetensors", saved))
    assert found.input_size == (1, 32, 32) and torch.equal(outputs(found), outputs(saved))


def test_a_half_file_is_half_as_large_and_loads_as_float32(tmp_path, file):
    saved = saved_model()
    half = save_model(tmp_path / "half.safetensors", saved, half=True)
    assert {str(value.dtype) for value in load_file(half).values() if value.is_floating_point()} == {
        "torch.float16"
    }
    assert half.stat().st_size < 0.75 * file.stat().st_size  # headers are alike
    found = load_saved(half)
    assert {value.dtype for value in found.network.parameters()} == {torch.float32}
    assert (outputs(found) - outputs(saved)).abs().max() < 0.01


def test_a_loaded_network_does_not_depend_on_its_file(file):
    found = load_saved(file)
    before = outputs(found)
    file.write_bytes(b"")
    assert torch.equal(outputs(found), before)


def test_frozen_layers_stay_frozen(tmp_path):
    found = load_saved(save_model(tmp_path / "model.safetensors", saved_model("tiny50k")))
    frozen = [name for name, value in found.network.named_parameters() if not value.requires_grad]
    assert frozen == ["whiten.weight"]


# --------------------------------------------------------------------------------------------- the size limit


def test_over_the_limit_nothing_is_left(tmp_path):
    saved = saved_model()
    size = file_bytes(saved.network)
    with pytest.raises(TooLargeError, match="mnist_conv3 is .* over the limit"):
        save_model(tmp_path / "a.safetensors", saved, limit=size - 1)
    # parameters fit, the file with its header does not
    with pytest.raises(TooLargeError, match="over the limit"):
        save_model(tmp_path / "b.safetensors", saved, limit=size)
    assert list(tmp_path.iterdir()) == []
    path = save_model(tmp_path / "c.safetensors", saved, limit=size + 5000)
    assert size < path.stat().st_size <= size + 5000


def test_the_limit_is_for_the_float32_file_of_a_half_one_too(tmp_path):
    saved = saved_model()
    with pytest.raises(TooLargeError):
        save_model(tmp_path / "a.safetensors", saved, half=True, limit=file_bytes(saved.network) - 1)
    assert list(tmp_path.iterdir()) == []


def test_an_older_file_stays_where_saving_fails(file):
    before = file.read_bytes()
    with pytest.raises(TooLargeError):
        save_model(file, saved_model(), limit=10)
    assert file.read_bytes() == before


def test_verdicts_name_the_size_and_the_side_of_80_mb():
    assert check_size("x", 80_000_000, None) == "80.000 MB, under 80 MB"
    assert check_size("x", 80_000_001, None) == "80.000 MB, over 80 MB"
    with pytest.raises(TooLargeError, match=r"x is 3\.000 MB, over the limit of 2 MB: .*size_limit=none"):
        check_size("x", 3_000_000, 2_000_000)


@pytest.mark.parametrize(("value", "half"), [(float("nan"), False), (float("inf"), False), (1e5, True)])
def test_weights_that_are_no_numbers_are_not_saved(tmp_path, value, half):
    saved = saved_model()
    next(saved.network.parameters()).data.view(-1)[0] = value
    with pytest.raises(ValueError, match="mnist_conv3: .* is not finite"):
        save_model(tmp_path / "model.safetensors", saved, half=half)
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------------------------------------- hostile files


class _Evil:
    def __init__(self, target: Path):
        self.target = target

    def __reduce__(self):
        return Path.touch, (self.target,)


@pytest.mark.parametrize("protocol", [0, 1, 2, 4, 5])
def test_a_pickle_is_refused_and_never_opened(tmp_path, protocol):
    path, target = tmp_path / "model.safetensors", tmp_path / "run"
    path.write_bytes(pickle.dumps(_Evil(target), protocol))
    refused(path, "pickle" if protocol > 1 else "no safetensors file")
    assert not target.exists()


@pytest.mark.parametrize("zipped", [True, False])
def test_a_file_of_torch_save_is_refused_and_never_opened(tmp_path, zipped):
    path, target = tmp_path / "model.safetensors", tmp_path / "run"
    torch.save({"evil": _Evil(target)}, path, _use_new_zipfile_serialization=zipped)
    refused(path, "pickle", "convert it to safetensors")
    assert not target.exists()


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such model"):
        load_saved(tmp_path / "model.safetensors")


@pytest.mark.parametrize("keep", [0, 1, 8, 9, 100, 1000, -1])
def test_a_file_cut_short_is_refused(file, keep):
    file.write_bytes(file.read_bytes()[:keep])
    refused(file, "damaged")


@pytest.mark.parametrize("length", [0, 1, 10, 2**31, 2**62, 2**64 - 1])
def test_a_header_that_lies_about_its_length_is_refused(file, length):
    file.write_bytes(struct.pack("<Q", length) + file.read_bytes()[8:])
    refused(file, "damaged")


def test_a_tensor_that_claims_more_bytes_than_there_are_is_refused(tmp_path):
    header = json.dumps({"w": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}).encode()
    path = tmp_path / "model.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(16))
    refused(path, "damaged")


def test_changed_bytes_give_a_model_or_one_line(file):
    data, generator, refusals = file.read_bytes(), torch.Generator().manual_seed(4), 0
    header = struct.unpack("<Q", data[:8])[0]
    for _ in range(150):
        changed = bytearray(data)
        place = int(torch.randint(0, 8 + header, (1,), generator=generator))
        changed[place] ^= 1 << int(torch.randint(0, 8, (1,), generator=generator))
        file.write_bytes(changed)
        try:
            load_saved(file)
        except ValueError as error:
            refusals += 1
            assert str(error).startswith(f"{file}: ") and "\n" not in str(error)
    assert refusals > 75


METADATA = {
    "no model": ({"model": None}, "no model of this project (no model)"),
    "no recipe": ({"recipe": None}, "no model of this project (no recipe)"),
    "unknown model": ({"model": "evilnet"}, "unknown model 'evilnet'"),
    "a list of models": ({"model": ["mnist_conv3"]}, "unknown model"),
    "unknown option": ({"options": {"depth": 10**9}}, "options of mnist_conv3"),
    "other people's weights": ({"options": {"pretrained": True}}, "options of mnist_conv3"),
    "classes twice over": ({"options": {"num_classes": 5}}, "options of mnist_conv3"),
    "option of text": ({"options": {"conv3_stride": "wide"}}, ""),
    "huge option": ({"options": {"conv3_stride": 10**30}}, ""),
    "options a list": ({"options": [1]}, "options of"),
    "no classes": ({"classes": []}, "no classes"),
    "classes a text": ({"classes": "abc"}, "classes"),
    "classes of numbers": ({"classes": [1, 2, 3]}, "classes"),
    "a class twice": ({"classes": ["a", "a", "b"]}, "named twice"),
    "more classes": ({"classes": ["a", "b", "c", "d"]}, "another shape"),
    "many classes": ({"classes": [str(i) for i in range(100_000)]}, "another shape"),
    "huge image": ({"input_size": [1, 10**6, 10**6]}, "out of range"),
    "negative image": ({"input_size": [1, -28, 28]}, "out of range"),
    "many channels": ({"input_size": [10**9, 28, 28], "mean": [0], "std": [1]}, "out of range"),
    "size of text": ({"input_size": ["1", "28", "28"]}, "no [C, H, W]"),
    "two sizes": ({"input_size": [28, 28]}, "no [C, H, W]"),
    "size of halves": ({"input_size": [1, 28.5, 28]}, "no [C, H, W]"),
    "larger image": ({"input_size": [1, 64, 64]}, "another shape"),
    "tiny image": ({"input_size": [1, 1, 1]}, ""),
    "two means": ({"mean": [0.1, 0.2]}, "mean is no list of 1 numbers"),
    "mean of text": ({"mean": ["0"]}, "no numbers"),
    "no deviation": ({"std": [0]}, "out of range"),
    "a deviation that float32 takes for 0": ({"std": [1e-320]}, "out of range"),
    "a mean that float32 has not": ({"mean": [1e308]}, "out of range"),
    "NaN mean": ({"mean": [float("nan")]}, "no numbers"),
    "infinite deviation": ({"std": [float("inf")]}, "no numbers"),
    "unknown resize": ({"resize": "stretch"}, "resize rule"),
    "recipe a list": ({"recipe": []}, "recipe"),
    "five views": ({"recipe": {"views": 5}}, "views"),
}


@pytest.mark.parametrize(("changes", "says"), METADATA.values(), ids=METADATA.keys())
def test_a_description_that_is_wrong_is_refused(file, changes, says):
    refused(rewritten(file, changes), says)


def test_metadata_that_are_no_json_are_refused(file):
    path = file.with_name("changed.safetensors")
    texts = saved_model().metadata()
    for wrong in ("{", "[" * 100_000, ""):
        save_file(load_file(file), path, metadata=texts | {"classes": wrong})
        refused(path)


def test_a_file_of_another_program_is_refused(tmp_path):
    path = tmp_path / "model.safetensors"
    save_file({"w": torch.zeros(2)}, path)
    refused(path, "no model of this project")


def weights(index: int = 0) -> tuple[str, torch.Tensor]:
    named = [item for item in saved_model().network.state_dict().items() if item[1].is_floating_point()]
    return named[index][0], named[index][1].clone()


def test_tensors_that_do_not_fit_are_refused(file):
    name, value = weights()
    refused(rewritten(file, {}, {name: None}), name, "missing")
    refused(rewritten(file, {}, {name: value[:-1].contiguous()}), name, "another shape")
    refused(rewritten(file, {}, {name: value.reshape(-1)}), name, "another shape")
    refused(rewritten(file, {}, {name: value.to(torch.int32)}), name, "int32")
    refused(rewritten(file, {}, {name: value.to(torch.complex64)}), name, "complex64")
    refused(rewritten(file, {}, {"extra": torch.zeros(3)}), "extra is no tensor of this network")


@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused(file, wrong):
    name, value = weights(-1)
    value.view(-1)[0] = wrong
    refused(rewritten(file, {}, {name: value}), f"{name} is not finite")


def test_a_larger_network_than_the_file_is_refused_before_anything_is_allocated(file, monkeypatch):
    monkeypatch.setattr("deep.weights._tensor", lambda *_: pytest.fail("a tensor was read"))
    refused(rewritten(file, {"model": "alexnet_227", "options": {}, "input_size": [3, 227, 227],
                             "mean": [0, 0, 0], "std": [1, 1, 1]}), "missing")  # fmt: skip
