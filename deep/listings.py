"""Networks as text, each in the style of the report it comes from, and the table of the zoo.

R1: a row a call and a footer of sizes. R2: a line a layer with its share of parameters and MACs. R3, R4 and
R5: a table with the formula behind each count. Reference specification, sections 3.3, 4.1, 5.1 and 6.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import nn

from deep.complexity import LayerRow, Totals, complexity, layer_table, totals
from deep.zoo import MODELS, build_model, image_shape
from deep.zoo.cifar import SeparableConv2d

_MIB = 2**20
# Rows without parameters that change no shape: they would hide the others.
_UNLISTED = {"ReLU", "LeakyReLU", "Sigmoid", "SiLU", "Dropout", "Identity", "LocalResponseNorm"}


def describe(
    name: str, *, num_classes: int = 10, in_channels: int | None = None, input_size=None, **options
) -> str:
    """Return the text about a network of the zoo, in the style of its report.

    The arguments are those of `build_model`. Nothing is allocated: the network is built on the meta device.

    Raises
    ------
    ValueError
        As `build_model`.
    """
    with torch.device("meta"):
        model = build_model(
            name, num_classes=num_classes, in_channels=in_channels, input_size=input_size, **options
        )
    shape = image_shape(name, in_channels, input_size)
    report = MODELS[name].place.split()[0]
    if report == "R1":
        return f"{model}\n{summary(model, shape)}"
    if report == "R2":
        return share_listing(model, shape)
    # R3 writes shapes as Keras does, height and width first.
    return formula_table(model, shape, channels_last=report == "R3")


# ------------------------------------------------------------------------------------------ R1: a row a call


def summary(model: nn.Module, input_size: Sequence[int]) -> str:
    """Return R1's table: ``Type-n``, output shape with -1 for the batch, weights and biases; a footer.

    Rows come in the order in which calls finish; a module that is called twice has two. Batch-norm
    statistics are not counted. The footer is in units of 2^20 bytes: the input, twice the output elements
    of all rows (forward and backward), the parameters, and the sum of the three before rounding.
    """
    rows = layer_table(model, input_size)
    line, double = "-" * 64, "=" * 64
    lines = [line, f"{'Layer (type)':>20}  {'Output Shape':>25} {'Param #':>15}", double]
    for number, row in enumerate(rows, start=1):
        shape = str([-1, *row.output_shape])
        lines.append(f"{row.type + f'-{number}':>20}  {shape:>25} {_weights(model, row):>15,}")
    counts = {parameter.requires_grad: 0 for parameter in model.parameters()}
    for parameter in model.parameters():
        counts[parameter.requires_grad] += parameter.numel()
    lines += [
        double,
        f"Total params: {sum(counts.values()):,}",
        f"Trainable params: {counts.get(True, 0):,}",
        f"Non-trainable params: {counts.get(False, 0):,}",
        line,
        *_footer(input_size, sum(row.output_elements for row in rows), sum(counts.values())),
        line,
    ]
    return "\n".join(lines) + "\n"


def _footer(input_size: Sequence[int], elements: int, parameters: int) -> list[str]:
    channels, height, width = input_size
    sizes = [channels * height * width * 4 / _MIB, 2 * elements * 4 / _MIB, parameters * 4 / _MIB]
    return [
        f"Input size (MB): {sizes[0]:.2f}",
        f"Forward/backward pass size (MB): {sizes[1]:.2f}",
        f"Params size (MB): {sizes[2]:.2f}",
        f"Estimated Total Size (MB): {sum(sizes):.2f}",
    ]


def _weights(model: nn.Module, row: LayerRow) -> int:
    """A module's own weights and biases, statistics left out."""
    return sum(parameter.numel() for parameter in model.get_submodule(row.name).parameters(recurse=False))


# ------------------------------------------------------------------------- R2: shares of parameters and MACs


def share_listing(model: nn.Module, input_size: Sequence[int]) -> str:
    """Return R2's listing: for each layer its parameters and MACs (R2's rule), and their shares in percent.

    Parameters are the trainable ones. Layers are numbered as the `Sequential` they stand in; in a network
    of another form they are named by their path.
    """
    rows = [row for row in layer_table(model, input_size) if not _has_children(model, row)]
    sums = totals(rows)
    lines = [", ".join(_shares(sums.trainable, sums.macs_r2, sums)) + ","]
    for row in rows:
        parts = _shares(row.trainable, row.macs_r2, sums)
        detail = model.get_submodule(row.name).extra_repr()
        lines.append(f"({row.name}): {row.type}({', '.join([*parts, detail])})")
    lines += [
        f"Computational complexity: {macs_text(sums.macs_r2)}",
        f"Number of parameters: {parameters_text(sums.trainable)}",
    ]
    return "\n".join(lines) + "\n"


def parameters_text(count: int) -> str:
    """A number of parameters as R2 prints it: ``26.41 M``, ``82.83 k``, ``850``."""
    if count >= 10**6:
        return f"{round(count / 1e6, 2)} M"
    if count >= 10**3:
        return f"{round(count / 1e3, 2)} k"
    return str(count)


def macs_text(count: int) -> str:
    """A number of MACs as R2 prints it: ``1.47 MMac``, ``605.0 KMac``, ``120.0 Mac``."""
    for unit, name in ((1e9, "GMac"), (1e6, "MMac"), (1e3, "KMac")):
        if count >= unit:
            return f"{round(count / unit, 2)} {name}"
    return f"{round(float(count), 2)} Mac"


def _shares(parameters: int, macs: int, sums: Totals) -> list[str]:
    return [
        parameters_text(parameters),
        f"{100 * parameters / max(1, sums.trainable):.3f}% Params",
        macs_text(macs),
        f"{100 * macs / max(1, sums.macs_r2):.3f}% MACs",
    ]


def _has_children(model: nn.Module, row: LayerRow) -> bool:
    return any(True for _ in model.get_submodule(row.name).children())


# -------------------------------------------------------------------------- R3 to R5: the formula of a count


def formula_table(model: nn.Module, input_size: Sequence[int], *, channels_last: bool = False) -> str:
    """Return a table with output, parameters, the formula behind them, non-trainable ones and MACs.

    Parameters are all of them, batch norm with 4 a channel, as Keras counts. A separable convolution is one
    row; activations and dropout have none. Below stand the totals, with R3's count of MACs where it differs
    from the products.
    """
    rows = layer_table(model, input_size)
    separable = [row.name for row in rows if row.type == SeparableConv2d.__name__]
    cells = [("layer", "type", "output", "formula", "parameters", "non-trainable", "MACs")]
    for row in rows:
        if row.type in _UNLISTED or any(row.name.startswith(f"{name}.") for name in separable):
            continue
        inner = [row]
        if row.name in separable:
            inner = [other for other in rows if other.name.startswith(f"{row.name}.")]
        elif _has_children(model, row) and row.type != "Residual":
            continue
        non_trainable = sum(other.non_trainable for other in inner)
        cells.append(
            (
                row.name + (f" (call {row.call})" if row.call > 1 else ""),
                row.type,
                _shape_text(row.output_shape, channels_last),
                _formula(model.get_submodule(row.name)),
                f"{non_trainable + sum(other.trainable for other in inner):,}",
                f"{non_trainable:,}",
                f"{sum(other.macs for other in inner):,}",
            )
        )
    return "\n".join([*_columns(cells, left=4), "", *_total_lines(totals(rows))]) + "\n"


def _formula(module: nn.Module) -> str:
    """How a layer's parameters are counted by hand: in x k^2 x out + out."""
    if isinstance(module, SeparableConv2d):
        return f"{_formula(module.depthwise)} + {_formula(module.pointwise)}"
    if isinstance(module, nn.Conv2d):
        # A depthwise convolution has one input channel a filter, left out as in R3.
        inputs = module.in_channels // module.groups
        height, width = module.kernel_size
        kernel = f"{height}^2" if height == width else f"{height} x {width}"
        factors = [str(inputs)] * (module.groups == 1) + [kernel, str(module.out_channels)]
        return " x ".join(factors) + (f" + {module.out_channels}" if module.bias is not None else "")
    if isinstance(module, nn.Linear):
        bias = f" + {module.out_features}" if module.bias is not None else ""
        return f"{module.in_features} x {module.out_features}{bias}"
    if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
        return f"{2 + len(list(module.parameters()))} x {module.num_features}"
    return ""


def _shape_text(shape: tuple[int, ...], channels_last: bool) -> str:
    if channels_last and len(shape) == 3:
        return ", ".join(map(str, (*shape[1:], shape[0])))
    return "x".join(map(str, shape))


def _total_lines(sums: Totals) -> list[str]:
    lines = [
        f"Total parameters: {sums.parameters:,}",
        f"Trainable: {sums.trainable:,}",
        f"Non-trainable: {sums.non_trainable:,}",
        f"MACs (products): {sums.macs:,}",
    ]
    if sums.macs_r3 != sums.macs:
        lines.append(f"MACs (R3's rule, depthwise charged with output channels): {sums.macs_r3:,}")
    return lines


# ---------------------------------------------------------------------------------------------- the whole zoo


def zoo_table(names: Iterable[str] | None = None) -> list[str]:
    """Return the lines of the zoo's table: name, place, input, parameters, MACs, megabytes, verdict.

    MB are 1,000,000 bytes of float32 weights with batch-norm statistics; ``over 80 MB`` is R1's limit.
    Counts are made now, from the networks, on the meta device.
    """
    cells = [("name", "place", "input", "trainable", "with BN stats", "MACs", "MB", "over 80 MB")]
    for name in MODELS if names is None else names:
        with torch.device("meta"):
            model = build_model(name)
        row = MODELS[name]
        sums = complexity(model, row.input_size)
        cells.append(
            (
                name,
                row.place,
                "x".join(map(str, row.input_size)),
                f"{sums.trainable:,}",
                f"{sums.parameters:,}",
                f"{sums.macs:,}",
                f"{sums.file_bytes / 1e6:.3f}",
                "yes" if sums.over_limit else "no",
            )
        )
    return _columns(cells, left=3)


def _columns(cells: Sequence[Sequence[str]], left: int) -> list[str]:
    """Return rows of cells as lines; the first `left` columns begin together, the others end together."""
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        "  ".join(
            f"{cell:<{width}}" if i < left else f"{cell:>{width}}"
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    ]
