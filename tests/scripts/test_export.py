"""``export.py``: a network's run or file as ONNX, and what is refused."""

import pytest
import torch

pytest.importorskip("onnxruntime")

from deep import build_model  # noqa: E402
from deep.weights import SavedModel, save_model  # noqa: E402


@pytest.fixture
def model(tmp_path):
    torch.manual_seed(0)
    network = build_model("mnist_conv3").eval()
    saved = SavedModel(
        network, "mnist_conv3", {}, tuple("0123456789"), (1, 28, 28), (0.1,), (0.3,), "crop", {}
    )
    (tmp_path / "run").mkdir()
    return save_model(tmp_path / "run" / "model.safetensors", saved)


def test_a_network_is_written_and_named(call, model, tmp_path):
    out = tmp_path / "new" / "model.onnx"
    called = call("export", "--model", model.parent, "--out", out)
    assert (called.code, called.err) == (0, "")
    assert called.lines[0].startswith("onnxruntime and torch agree within ")
    assert called.lines[1] == f"wrote {out} ({out.stat().st_size / 1e6:.3f} MB)"


def test_bad_input_is_one_line(refused, model, tmp_path):
    out = tmp_path / "model.onnx"
    refused("export", "--model", tmp_path / "nowhere", "--out", out, says="no such model")
    refused("export", "--model", model, says="--out")
    refused("export", "--model", model, "--out", tmp_path / "model.pt", says="ends in .onnx")
    (tmp_path / "model.npz").write_bytes(b"PK")
    refused("export", "--model", tmp_path / "model.npz", "--out", out, says="is no network")
    model.write_bytes(model.read_bytes()[:500])
    refused("export", "--model", model, "--out", tmp_path / "new" / "model.onnx", says="damaged")
