"""Block diagrams of networks as SVG, drawn from the calls a network really makes.

The network is traced with torch.fx, shapes come from a dry run on the meta device, and forks are followed
to where they join: at a sum (skips and projections) or a concatenation (Inception, DenseNet).
"""

from __future__ import annotations

import operator
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import fx, nn
from torch.fx.passes.shape_prop import ShapeProp

from deep._drawing import Box, Chain, Fork, Frame, Merge, Piece, svg_page
from deep.complexity import count_parameters
from deep.zoo._shapes import meta_copy
from scenes.files import atomic_path

_SUMS = (operator.add, operator.iadd, torch.add)
_CONCATENATIONS = (torch.cat, torch.concat)
# Drawn as one box: inside, each layer is joined to all before it, which no plain drawing shows.
_CLOSED = {"DenseBlock", "_DenseBlock"}
_NAMES = {
    "adaptive_avg_pool2d": "global average pool",
    "BatchNorm1d": "batch norm",
    "BatchNorm2d": "batch norm",
    "ScaledBatchNorm2d": "batch norm, no scale",
    "Flatten": "flatten",
    "Identity": "identity",
    "LocalResponseNorm": "response norm",
    "relu": "ReLU",
}
# What follows another layer in the same box.
_ATTACHED = {
    *("ReLU", "LeakyReLU", "Sigmoid", "SiLU", "relu", "Dropout", "dropout", "Flatten", "flatten"),
    *("BatchNorm1d", "BatchNorm2d", "ScaledBatchNorm2d", "LocalResponseNorm", "mul", "truediv"),
}


def network_svg(model: nn.Module, input_size: Sequence[int], title: str = "") -> str:
    """Return the block diagram of a network as the text of an SVG file.

    A convolution or linear layer stands in one box with the norm, activation and dropout behind it; the
    small figure is the shape they put out. Blocks with a fork inside (BasicBlock, Inception, ...) have a
    frame; skips are drawn past them, a projected skip has a box of its own colour. The text depends on the
    network's layers alone: equal networks give equal bytes.

    Parameters
    ----------
    model : nn.Module
        Left as it is; its weights are not read.
    input_size : (int, int, int)
        Channels, height and width of an image.
    title : str, optional
        The class's name if not given; input size and number of parameters follow it.

    Raises
    ------
    ValueError
        Branches of the network join in a way that nests in no tree.
    RuntimeError
        The network cannot take such an image.
    """
    sketch = _Sketch(meta_copy(model), input_size)
    size = "x".join(map(str, input_size))
    heading = (
        f"{title or type(model).__name__}: {size}, {count_parameters(model).trainable:,} trainable parameters"
    )
    whole = sketch.chain(sketch.nodes[0], None, "")
    assert whole is not None  # the image at least is drawn
    return svg_page(heading, whole)


def write_diagram(
    model: nn.Module, input_size: Sequence[int], path: str | os.PathLike, title: str = ""
) -> Path:
    """Write `network_svg` to a file, complete or not at all, and return its path."""
    text = network_svg(model, input_size, title)
    with atomic_path(path) as scratch:
        Path(scratch).write_text(text, encoding="utf-8")
    return Path(path)


class _Tracer(fx.Tracer):
    """Remembers in which module each node was made; opens every module that has children."""

    def __init__(self):
        super().__init__()
        self.owner: dict[fx.Node, str] = {}
        self._path = [""]

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return type(m).__name__ in _CLOSED or not any(True for _ in m.children())

    def call_module(self, m, forward, args, kwargs):
        self._path.append(self.path_of_module(m))
        try:
            return super().call_module(m, forward, args, kwargs)
        finally:
            self._path.pop()

    def create_node(self, *args, **kwargs) -> fx.Node:
        node = super().create_node(*args, **kwargs)
        self.owner[node] = self._path[-1]
        return node


class _Sketch:
    """The traced graph of a network, and how to make pieces of a drawing from it."""

    def __init__(self, model: nn.Module, input_size: Sequence[int]):
        tracer = _Tracer()
        graph = tracer.trace(model)
        module = fx.GraphModule(model, graph)
        graph.eliminate_dead_code()
        module.recompile()
        with torch.no_grad():
            ShapeProp(module).propagate(torch.empty((1, *input_size), device="meta"))
        self.model = model
        self.owner = tracer.owner
        self.nodes = list(graph.nodes)
        self.joins = _joins(self.nodes)
        self.frames = {self.owner[node] for node in self.nodes if _is_merge(node)} - {""}

    def chain(self, node: fx.Node, stop: fx.Node | None, frame: str) -> Chain | None:
        """Everything from `node` to `stop`, which is not drawn; None if there is nothing between."""
        pieces: list[Piece] = []
        for name, items in _grouped(self._items(node, stop), self._frame_of):
            drawn = self._pieces(items, name)
            if name in ("", frame):
                pieces += drawn
            else:
                pieces.append(Frame(self._frame_title(name), Chain(drawn)))
        return Chain(pieces) if pieces else None

    def _items(self, node: fx.Node, stop: fx.Node | None) -> Iterator[fx.Node | tuple[fx.Node, fx.Node]]:
        """Nodes in order; a fork is the pair of the node that it starts from and the one where it joins."""
        joined = None
        while node is not stop and node.op != "output":
            if node is not joined:
                if len(node.all_input_nodes) > 1:
                    raise ValueError(
                        f"{node} joins what did not part at one point: no drawing of it is known"
                    )
                yield node
            if len(node.users) > 1:
                joined = self.joins[node]
                yield node, joined
                node = joined
            else:
                node = next(iter(node.users))

    def _pieces(self, items: Sequence[fx.Node | tuple[fx.Node, fx.Node]], frame: str) -> list[Piece]:
        pieces: list[Piece] = []
        run: list[fx.Node] = []
        for item in items:
            if isinstance(item, tuple) or (run and not self._attaches(item, run)):
                pieces += [self._box(run)] if run else []
                run = []
            if isinstance(item, tuple):
                pieces.append(self._fork(*item, frame))
            else:
                run.append(item)
        return pieces + ([self._box(run)] if run else [])

    def _attaches(self, node: fx.Node, run: Sequence[fx.Node]) -> bool:
        return self._kind(node) in _ATTACHED and self._kind(run[-1]) not in _CLOSED

    def _fork(self, start: fx.Node, join: fx.Node, frame: str) -> Fork:
        if not _is_merge(join):
            raise ValueError(f"branches from {start} join in {join}: no drawing of that is known")
        inputs = join.all_input_nodes
        branches = {}
        for user in start.users:
            last = start if user is join else user
            while user is not join and join not in last.users:
                last = self.joins[last]
            branches[inputs.index(last)] = None if user is join else self.chain(user, join, frame)
        ordered = [branches[i] for i in sorted(branches)]
        is_sum = join.target in _SUMS
        if is_sum:
            # The body stays straight, whichever side of the sum it is written on.
            ordered.sort(key=lambda branch: -branch.height if branch else 0)
            for branch in ordered[1:]:
                _mark_projection(branch)
        return Fork(ordered, Merge(is_sum, _shape(join)))

    def _box(self, run: Sequence[fx.Node]) -> Box:
        first, *rest = (self._label(node) for node in run)
        small = _shape(run[-1])
        return Box([first, ", ".join(rest)] if rest else [first], small, self._colour(run[0]))

    def _kind(self, node: fx.Node) -> str:
        """Name of a module's class or of a function."""
        if node.op == "call_module":
            return type(self.model.get_submodule(str(node.target))).__name__
        return node.target if isinstance(node.target, str) else node.target.__name__

    def _label(self, node: fx.Node) -> str:
        if node.op == "placeholder":
            return "image"
        kind = self._kind(node)
        if node.op == "call_module":
            return _module_label(self.model.get_submodule(str(node.target)))
        if kind == "dropout":
            return f"dropout {node.kwargs.get('p', node.args[1] if len(node.args) > 1 else 0.5)}"
        if kind == "amax":
            return "global max pool"
        if kind == "truediv":
            return f"divided by {node.args[1]:g}"
        if kind == "mul":
            factors = [factor for factor in node.args if not isinstance(factor, fx.Node)]
            return f"times {factors[0]:g}" if factors else "product"
        return _NAMES.get(kind, kind)

    def _colour(self, node: fx.Node) -> str:
        module = self.model.get_submodule(str(node.target)) if node.op == "call_module" else None
        if isinstance(module, nn.Conv2d) or type(module).__name__ in _CLOSED:
            return "conv"
        if isinstance(module, nn.Linear):
            return "linear"
        kind = self._kind(node)
        return "pool" if "Pool" in kind or kind in ("amax", "adaptive_avg_pool2d") else "other"

    def _frame_of(self, item: fx.Node | tuple[fx.Node, fx.Node]) -> str:
        """Path of the innermost framed block that an item belongs to, or nothing."""
        path = self.owner[item[1] if isinstance(item, tuple) else item]
        inside = [frame for frame in self.frames if path == frame or path.startswith(f"{frame}.")]
        return max(inside, key=len, default="")

    def _frame_title(self, path: str) -> str:
        return f"{path.removeprefix('resnet.')}: {type(self.model.get_submodule(path)).__name__}"


def _joins(nodes: Sequence[fx.Node]) -> dict[fx.Node, fx.Node]:
    """For each node the first one that every way from it to the output passes."""
    position = {node: i for i, node in enumerate(nodes)}
    joins: dict[fx.Node, fx.Node] = {}
    for node in reversed(nodes):
        users = list(node.users)
        if not users:
            continue
        common = users[0]
        for other in users[1:]:
            while common is not other:
                if position[common] < position[other]:
                    common = joins[common]
                else:
                    other = joins[other]
        joins[node] = common
    return joins


def _grouped(items, key) -> Iterator[tuple[str, list]]:
    """Consecutive items with the same key."""
    group: list = []
    for item in items:
        if group and key(item) != key(group[0]):
            yield key(group[0]), group
            group = []
        group.append(item)
    if group:
        yield key(group[0]), group


def _is_merge(node: fx.Node) -> bool:
    return len(node.all_input_nodes) > 1 and node.target in (*_SUMS, *_CONCATENATIONS)


def _mark_projection(branch: Chain | None) -> None:
    for piece in branch.pieces if branch else ():
        if isinstance(piece, Box) and piece.kind == "conv":
            piece.kind = "projection"


def _shape(node: fx.Node) -> str:
    return "x".join(map(str, node.meta["tensor_meta"].shape[1:]))


def _module_label(module: nn.Module) -> str:
    kind = type(module).__name__
    if isinstance(module, nn.Conv2d):
        height, width = module.kernel_size
        stride = f", stride {module.stride[0]}" if module.stride[0] > 1 else ""
        form = "depthwise " if module.groups > 1 else "whitening " if kind == "WhiteningConv2d" else ""
        return f"{form}{height}x{width} conv, {module.out_channels}{stride}"
    if isinstance(module, nn.Linear):
        return f"linear, {module.out_features}"
    if isinstance(module, nn.MaxPool2d | nn.AvgPool2d):
        form = "max" if isinstance(module, nn.MaxPool2d) else "average"
        stride = f", stride {module.stride}" if module.stride != module.kernel_size else ""
        return f"{form} pool {module.kernel_size}{stride}"
    if isinstance(module, nn.AdaptiveAvgPool2d):
        return "global average pool"
    if isinstance(module, nn.Dropout):
        return f"dropout {module.p}"
    if kind in _CLOSED:
        return f"dense block, {len(list(module.children()))} layers, each joined to all before"
    return _NAMES.get(kind, kind)
