"""ONNX files: the same answers as torch for any number of images, with everything needed in one file."""

import sys

import numpy as np
import pytest
import torch

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

from deep import MODELS, build_model  # noqa: E402
from deep import export as export_module  # noqa: E402
from deep.export import export_onnx, load_onnx  # noqa: E402
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


def test_a_file_can_be_put_to_use_again(tmp_path):
    saved = saved_model("tiny50k")
    export_onnx(saved, tmp_path / "model.onnx")
    again = load_onnx(tmp_path / "model.onnx")
    fields = ("classes", "input_size", "mean", "std", "resize", "recipe")
    assert [getattr(again, name) for name in fields] == [getattr(saved, name) for name in fields]
    images = torch.from_numpy(np.random.default_rng(1).standard_normal((5, 3, 32, 32)).astype(np.float32))
    with torch.no_grad():
        assert torch.allclose(again.network(images), saved.network(images), atol=1e-4)


def small_graph(outputs: int = 3, batch: int | str = "n", **metadata) -> onnx.ModelProto:
    """A graph that flattens 1x2x2 images and multiplies, with metadata as another program may write them."""
    weight = onnx.numpy_helper.from_array(np.eye(4, outputs, dtype=np.float32), "w")
    node, value = onnx.helper.make_node, onnx.helper.make_tensor_value_info
    nodes = [node("Flatten", ["x"], ["f"]), node("MatMul", ["f", "w"], ["y"])]
    x, y = value("x", 1, [batch, 1, 2, 2]), value("y", 1, [batch, outputs])
    graph = onnx.helper.make_graph(nodes, "g", [x], [y], [weight])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    known = {"classes": '["a", "b", "c"]', "input_size": "[1, 2, 2]", "mean": "[0.5]", "std": "[0.25]"}
    for key, text in (known | metadata).items():
        if text is not None:
            model.metadata_props.add(key=key, value=text)
    return model


@pytest.mark.parametrize("batch", ["n", 1, 2])
def test_files_of_other_programs_need_only_four_metadata(tmp_path, batch):
    onnx.save_model(small_graph(batch=batch), tmp_path / "m.onnx")
    saved = load_onnx(tmp_path / "m.onnx")
    assert (saved.resize, saved.recipe) == ("squash", {})
    images = torch.arange(20.0).reshape(5, 1, 2, 2)
    assert torch.equal(saved.network(images), images.flatten(1)[:, :3])


@pytest.mark.parametrize(
    ("model", "says"),
    [
        (b"", "cannot be used"),
        (b"onnx" * 100, "no ONNX file"),
        (small_graph(classes=None), "no classes in its metadata"),
        (small_graph(std=None), "no std in its metadata"),
        (small_graph(classes='["a"]'), "3) for 1 classes"),
        (small_graph(outputs=2), "2) for 3 classes"),
        (small_graph(input_size="[3, 2, 2]", mean="[0, 0, 0]", std="[1, 1, 1]"), "cannot be used"),
        (small_graph(input_size="[1, 2, 100000]"), "out of range"),
        (small_graph(std="[0]"), "out of range"),
        (small_graph(mean="nonsense"), "cannot be used"),
        (small_graph(recipe='{"views": 1000000}'), "views of the recipe"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_line(tmp_path, model, says):
    data = model if isinstance(model, bytes) else model.SerializeToString()
    (tmp_path / "m.onnx").write_bytes(data)
    with pytest.raises(ValueError) as caught:
        load_onnx(tmp_path / "m.onnx")
    assert says in str(caught.value) and "\n" not in str(caught.value) and len(str(caught.value)) < 500


def test_data_outside_of_the_file_are_not_read(tmp_path):
    model = small_graph()
    onnx.external_data_helper.convert_model_to_external_data(model, size_threshold=0, location="secret.bin")
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(ValueError, match="keeps data outside of the file"):
        load_onnx(tmp_path / "m.onnx")
    # in a branch too, where a walk over the first level finds nothing
    inner = onnx.helper.make_graph([], "inner", [], [], list(model.graph.initializer))
    hidden = small_graph()
    hidden.graph.node.add(op_type="If", input=["c"], output=["z"]).attribute.append(
        onnx.helper.make_attribute("then_branch", inner)
    )
    (tmp_path / "m.onnx").write_bytes(hidden.SerializeToString())
    with pytest.raises(ValueError, match="keeps data outside of the file"):
        load_onnx(tmp_path / "m.onnx")


def outside(tensor):
    """The tensor, its numbers in a file beside the model."""
    onnx.external_data_helper.set_external_data(tensor, location="secret.bin", length=4)
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.ClearField("raw_data")
    return tensor


def test_sparse_data_outside_of_the_file_are_not_read_either(tmp_path):
    values = outside(onnx.numpy_helper.from_array(np.zeros(1, np.float32), "s"))
    indices = onnx.numpy_helper.from_array(np.zeros(1, np.int64), "i")
    sparse = onnx.helper.make_sparse_tensor(values, indices, [4])
    initializer, constant, within = small_graph(), small_graph(), small_graph()
    initializer.graph.sparse_initializer.append(sparse)
    node = onnx.helper.make_node("Constant", [], ["c"])
    node.attribute.append(onnx.helper.make_attribute("sparse_value", sparse))
    constant.graph.node.append(node)
    function = onnx.helper.make_function("own", "f", [], ["c"], [node], [onnx.helper.make_opsetid("", 17)])
    within.functions.append(function)
    for model in (initializer, constant, within):
        (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
        with pytest.raises(ValueError, match="keeps data outside of the file"):
            load_onnx(tmp_path / "m.onnx")


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such model"):
        load_onnx(tmp_path / "m.onnx")
