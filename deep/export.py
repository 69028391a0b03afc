"""ONNX files of saved networks, checked against torch by running onnxruntime."""

import warnings
from pathlib import Path

import numpy as np
import torch

from deep.weights import SavedModel
from scenes.files import atomic_path

INPUT, OUTPUT = "images", "logits"
TOLERANCE = 1e-3  # of float32 outputs, relative to the largest
# One image is what predicting a photograph asks for; the other size shows that the batch is not fixed.
_CHECKED_BATCHES = (1, 3)


def export_onnx(saved: SavedModel, path: Path) -> float:
    """Write a network as ONNX and return how far onnxruntime's outputs are from torch's.

    Input ``images``: float32 (n, C, H, W), normalised by the mean and standard deviation in the metadata.
    Output ``logits``: float32 (n, classes). n may be any number. The file carries the metadata of the
    safetensors file and no external data; it gets its name once onnxruntime has run it.

    Returns
    -------
    float
        The largest difference on random images, over the largest output.

    Raises
    ------
    ValueError
        onnx, onnxscript or onnxruntime is missing; the outputs differ.
    """
    try:
        import onnx
        import onnxruntime
        import onnxscript  # noqa: F401  torch exports with it
    except ModuleNotFoundError as error:
        raise ValueError(
            f"{error.name} is missing: run `make install-all` or pip install -e '.[onnx]'"
        ) from None
    model = _onnx_model(saved)
    for key, text in saved.metadata().items():
        model.metadata_props.add(key=key, value=text)
    with atomic_path(path) as temporary:
        onnx.save_model(model, str(temporary))
        onnx.checker.check_model(str(temporary), full_check=True)
        session = onnxruntime.InferenceSession(str(temporary), providers=["CPUExecutionProvider"])
        difference = max(_difference(saved, session, n) for n in _CHECKED_BATCHES)
        if not difference <= TOLERANCE:  # NaN too
            raise ValueError(
                f"{path}: onnxruntime and torch differ by {difference:.2g}, allowed is {TOLERANCE:g}: "
                "this network cannot be exported"
            )
    return difference


def _onnx_model(saved: SavedModel):
    """The network as onnx's ModelProto, in evaluation mode."""
    network = saved.network.cpu().eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch, about itself
        program = torch.onnx.export(
            network, (_random_images(saved, 2),), input_names=[INPUT], output_names=[OUTPUT],
            dynamo=True, dynamic_shapes=({0: "n"},), verbose=False,
        )  # fmt: skip
    assert program is not None
    return program.model_proto


def _random_images(saved: SavedModel, n: int) -> torch.Tensor:
    values = np.random.default_rng(n).standard_normal((n, *saved.input_size))
    return torch.from_numpy(values.astype(np.float32))


def _difference(saved: SavedModel, session, n: int) -> float:
    images = _random_images(saved, n)
    (found,) = session.run([OUTPUT], {INPUT: images.numpy()})
    with torch.no_grad():
        expected = saved.network(images).numpy()
    return float(np.abs(found - expected).max() / max(np.abs(expected).max(), 1e-6))
