"""ONNX files: the same answers as torch for any number of images, with everything needed in one file."""

import sys

import numpy as np
import pytest
import torch

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

from deep import MODELS, build_model  # noqa: E402
from deep import export as export_module  # noqa: E402
from deep.export import export_onnx  # noqa: E402
from deep.weights import SavedModel  # noqa: E402

# One of each family, as small as it can be had; the rest is slow.
FAMILIES = {
    "googlenet": {"input_size": 16}, "resnet18_plain": {}, "vgg16": {}, "densenet": {"input_size": 16},
    "lenet_modern": {}, "alexnet_227_fc1": {"input_size": 67}, "cifar_residual": {},
    "mnist_conv3": {}, "tiny50k": {},
}  # fmt: skip
SLOW = [pytest.param(name, {}, marks=pytest.mark.slow) for name in MODELS if name not in FAMILIES]


def saved_model(name: str, input_size: int | None = None, **options) -> SavedModel:
    torch.manual_seed(3)
    channels, height, width = MODELS[name].input_size
    if input_size:
        height = width = input_size
    network = build_model(name, num_classes=3, input_size=(height, width), **options).eval()
    for value in network.buffers():
        if value.is_floating_point():
            value.uniform_(0.5, 1.5)
    mean, std = (0.5,) * channels, (0.2,) * channels
    return SavedModel(
        network, name, options, ("a", "b", "ü"), (channels, height, width), mean, std, "crop", {"views": 6}
    )


def run(path, images: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (found,) = session.run(["logits"], {"images": images})
    return found


@pytest.mark.parametrize(("name", "options"), [*FAMILIES.items(), *SLOW])
def test_a_network_gives_the_same_answers_for_any_number_of_images(tmp_path, name, options, capfd):
    saved = saved_model(name, **options)
    difference = export_onnx(saved, tmp_path / "model.onnx")
    assert 0 <= difference < 1e-4
    assert tuple(capfd.readouterr()) == ("", "")  # torch says nothing on the way
    for n in (1, 2, 5):
        images = np.random.default_rng(7).standard_normal((n, *saved.input_size)).astype(np.float32)
        with torch.no_grad():
            expected = saved.network(torch.from_numpy(images)).numpy()
        found = run(tmp_path / "model.onnx", images)
        assert found.shape == (n, 3) and found.dtype == np.float32
        # float32 sums in another order: 1e-5 of the largest
        np.testing.assert_allclose(found, expected, atol=1e-5 * max(1, np.abs(expected).max()))


def test_the_file_says_what_it_takes_and_gives_and_stands_alone(tmp_path):
    saved = saved_model("mnist_conv3")
    export_onnx(saved, tmp_path / "model.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]
    model = onnx.load(tmp_path / "model.onnx", load_external_data=False)
    onnx.checker.check_model(model)
    assert {prop.key: prop.value for prop in model.metadata_props} == saved.metadata()
    assert not any(tensor.external_data for tensor in model.graph.initializer)
    ((images,), (logits,)) = model.graph.input, model.graph.output
    assert (images.name, logits.name) == ("images", "logits")
    sizes = [[d.dim_param or d.dim_value for d in x.type.tensor_type.shape.dim] for x in (images, logits)]
    assert sizes == [["n", 1, 28, 28], ["n", 3]]


def test_dropout_and_batch_norm_are_those_of_evaluation(tmp_path):
    saved = saved_model("mnist_conv3", batch_norm=True, dropout=0.5)
    saved.network.train()
    export_onnx(saved, tmp_path / "model.onnx")
    images = np.ones((4, 1, 28, 28), np.float32)
    found = run(tmp_path / "model.onnx", images)
    assert (found == found[0]).all()
    with torch.no_grad():
        expected = saved.network.eval()(torch.from_numpy(images)).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_another_answer_of_onnxruntime_leaves_no_file(tmp_path, monkeypatch):
    monkeypatch.setattr(export_module, "_difference", lambda *_: float("nan"))
    with pytest.raises(ValueError, match="differ by nan"):
        export_onnx(saved_model("mnist_conv3"), tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["onnx", "onnxscript", "onnxruntime"])
def test_a_missing_package_is_one_line(tmp_path, monkeypatch, name):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ValueError, match=rf"^{name} is missing: run `make install-all`"):
        export_onnx(saved_model("mnist_conv3"), tmp_path / "model.onnx")
