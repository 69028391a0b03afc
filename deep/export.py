"""ONNX files of saved networks, checked against torch by running onnxruntime, and such files put to use."""

import json
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from deep.weights import SavedModel, described_use
from scenes.files import atomic_path

INPUT, OUTPUT = "images", "logits"
TOLERANCE = 1e-3  # of float32 outputs, relative to the largest
_INSTALL = "run `make install-all` or pip install -e '.[onnx]'"
_MOST_ONNX_BYTES = 2**31 - 1  # what protobuf can hold
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
        raise ValueError(f"{error.name} is missing: {_INSTALL}") from None
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


class OnnxNetwork(nn.Module):
    """An ONNX graph on onnxruntime's processor back end, one thread, called like any network."""

    def __init__(self, data: bytes):
        super().__init__()
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 4  # what goes wrong is raised
        self.session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        inputs, outputs = self.session.get_inputs(), self.session.get_outputs()
        if len(inputs) != 1 or len(outputs) != 1:
            raise ValueError(f"{len(inputs)} inputs and {len(outputs)} outputs, not one of each")
        self.names = inputs[0].name, outputs[0].name
        fixed = inputs[0].shape[:1]
        self.batch = fixed[0] if fixed and isinstance(fixed[0], int) else None

    def forward(self, x: Tensor) -> Tensor:
        """float32 (n, C, H, W) to logits (n, classes); filled up where the graph takes a fixed number."""
        images, logits = self.names
        parts = [x] if self.batch is None else x.split(self.batch)
        found = []
        for part in parts:
            missing = 0 if self.batch is None else self.batch - len(part)
            full = torch.cat([part, part.new_zeros(missing, *part.shape[1:])]).float().contiguous()
            found.append(self.session.run([logits], {images: full.numpy()})[0][: len(part)])
        return torch.from_numpy(np.concatenate(found))


def _tensors(model) -> Iterator:
    """Every tensor of an ONNX model, in whatever it may be hidden."""
    graphs, nodes, attributes = [model.graph], [], []
    for function in model.functions:
        nodes += function.node
        attributes += function.attribute_proto
    while graphs or nodes or attributes:
        if graphs:
            graph = graphs.pop()
            yield from graph.initializer
            for sparse in graph.sparse_initializer:
                yield from (sparse.values, sparse.indices)
            nodes += graph.node
        elif nodes:
            attributes += nodes.pop().attribute
        else:
            attribute = attributes.pop()
            yield from (attribute.t, *attribute.tensors)
            for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
                yield from (sparse.values, sparse.indices)
            if attribute.HasField("g"):
                graphs.append(attribute.g)
            graphs += attribute.graphs


def load_onnx(path: Path) -> SavedModel:
    """The network in an ONNX file whose metadata say how to use it, as `export_onnx` writes them.

    Needed are ``classes``, ``input_size``, ``mean`` and ``std``; without ``resize`` images are squashed,
    without ``recipe`` each is looked at once. Data outside of the file are never read.

    Raises
    ------
    FileNotFoundError, ValueError
        No such file; onnx or onnxruntime is missing; damaged; external data; metadata missing or wrong; a
        graph that does not take images of that size to as many outputs as there are classes.
    MemoryError
        It needs more than there is.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such model: give an .onnx file")
    try:
        import onnx
        import onnxruntime  # noqa: F401
        from google.protobuf.message import DecodeError
        from onnx.external_data_helper import uses_external_data
    except ModuleNotFoundError as error:
        raise ValueError(f"{error.name} is missing: {_INSTALL}") from None
    if path.stat().st_size > _MOST_ONNX_BYTES:
        raise ValueError(f"{path}: more than {_MOST_ONNX_BYTES} bytes: give a smaller model")
    data = path.read_bytes()
    try:
        model = onnx.ModelProto.FromString(data)
    except DecodeError:
        raise ValueError(f"{path}: no ONNX file, or a damaged one: export it again") from None
    if any(map(uses_external_data, _tensors(model))):
        raise ValueError(f"{path}: keeps data outside of the file: export it into one")
    try:
        texts = {"resize": '"squash"', "recipe": "{}"}
        texts |= {prop.key: prop.value for prop in model.metadata_props}
        for key in ("classes", "input_size", "mean", "std"):
            if key not in texts:
                raise ValueError(f"no {key} in its metadata")
        keys = ("classes", "input_size", "mean", "std", "resize", "recipe")
        use = described_use({key: json.loads(texts[key]) for key in keys})
        network = OnnxNetwork(data).eval()
        logits = network(torch.zeros(1, *use["input_size"]))
        if tuple(logits.shape) != (1, len(use["classes"])):
            raise ValueError(f"outputs of shape {tuple(logits.shape)} for {len(use['classes'])} classes")
    except MemoryError:
        raise
    except Exception as error:  # onnxruntime raises its own kinds
        if "alloc" in str(error):
            raise MemoryError(str(error)) from error
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"{path}: cannot be used ({reason}): export it again") from None
    return SavedModel(network, "onnx", {}, **use)


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
