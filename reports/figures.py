"""Pictures of confusion matrices, for a run folder or beside each other.

Drawn on a canvas of their own: pyplot's global state, windows and the user's matplotlib settings are
neither used nor changed. Equal input gives equal bytes (no dates, fixed salt for SVG ids) with one version
of matplotlib.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path

import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import QuadMesh
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure

from reports.metrics import SCENE15_ORDER, SCENE15_SHORT
from reports.text import printable
from scenes.files import atomic_path

STYLE = {
    "svg.hashsalt": "scenebench",
    "font.size": 9,
    "axes.linewidth": 0.6,
}
_COLOURS = "Blues"
_FAINT, _LIGHT, _DARK = "#b5b5b5", "white", "#222222"
_LONGEST_NAME = 24
_ZEROS_UP_TO = 20  # more classes: cells without an image stay blank
_COUNTS_UP_TO = 50  # more classes: colour only
_WIDEST = 16  # inches; more than about 140 classes get smaller cells, and names at some of them only
_PNG_DPI = 160


def confusion_figure(
    confusion: np.ndarray,
    classes: Sequence[str],
    accuracy: float,
    out_stem: str | os.PathLike,
    title: str | None = None,
) -> tuple[Path, Path]:
    """Draw a confusion matrix as ``out_stem.png`` and ``out_stem.svg`` and return both paths.

    Rows are the true classes, columns the predicted ones, counts stand in the cells and the colour is the
    share of the row, so that classes of unequal size compare. The 15 scenes come in their customary order
    under their short names, any other classes sorted under their own (cut after 24 characters).

    Parameters
    ----------
    confusion : ndarray of int, shape (C, C)
        Rows = true, columns = predicted, both in the order of `classes`.
    classes : sequence of str
    accuracy : float
        Shown in the title with four digits.
    out_stem : path
        Where to write, without the suffix.
    title : str, optional
        Stands before the accuracy.

    Raises
    ------
    ValueError
        `confusion` is not (C, C) or there is no class.
    OSError
        The files cannot be written.

    Notes
    -----
    matplotlib's style is set while drawing, for the whole process: draw from one thread at a time.
    """
    with matplotlib.style.context(["default", STYLE]):
        counts, names = _arranged(confusion, classes)
        side = len(names) * _cell_size(len(names))
        figure = Figure(figsize=(side, side))
        axes = figure.add_axes((0, 0, 1, 1))
        mesh = _draw(axes, counts, names, _headline(title, accuracy))
        _add_scale(figure, mesh, axes, len(names))
        return save_figure(figure, out_stem)


def confusion_pair_figure(
    confusions: Sequence[np.ndarray],
    classes: Sequence[str],
    accuracies: Sequence[float],
    titles: Sequence[str | None],
    out_stem: str | os.PathLike,
) -> tuple[Path, Path]:
    """Draw two confusion matrices of the same classes side by side, on one colour scale.

    As `confusion_figure`, with two matrices, two accuracies and two titles, the left one first.

    Raises
    ------
    ValueError
        There are not two of each, or a matrix is not (C, C).
    OSError
        The files cannot be written.
    """
    if not len(confusions) == len(accuracies) == len(titles) == 2:
        raise ValueError("a pair needs two matrices, two accuracies and two titles")
    with matplotlib.style.context(["default", STYLE]):
        arranged = [_arranged(confusion, classes) for confusion in confusions]
        names = arranged[0][1]
        side, gap = len(names) * _cell_size(len(names)), 0.2 + _name_length(names)
        width = 2 * side + gap
        figure = Figure(figsize=(width, side))
        panels = [figure.add_axes((left / width, 0, side / width, 1)) for left in (0, side + gap)]
        for axes, (counts, names), accuracy, title in zip(panels, arranged, accuracies, titles, strict=True):
            mesh = _draw(axes, counts, names, _headline(title, accuracy))
        panels[1].set_ylabel("")
        _add_scale(figure, mesh, panels[1], len(classes))
        return save_figure(figure, out_stem)


def _arranged(confusion: np.ndarray, classes: Sequence[str]) -> tuple[np.ndarray, list[str]]:
    """Return the matrix in the order of the figure and the names to write at its sides."""
    confusion = np.asarray(confusion)
    n = len(classes)
    if n == 0 or confusion.shape != (n, n):
        raise ValueError(f"confusion matrix has shape {confusion.shape}, not ({n}, {n}): one row a class")
    if sorted(classes) == sorted(SCENE15_ORDER):
        ordered = list(SCENE15_ORDER)
        names = [SCENE15_SHORT[name] for name in ordered]
    else:
        ordered = sorted(classes)
        names = [_shown(name) for name in ordered]
    order = [list(classes).index(name) for name in ordered]
    return confusion[np.ix_(order, order)], names


def _shown(name: str) -> str:
    """Return `name` on one line and short enough for an axis."""
    name = printable(name)
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"


def _headline(title: str | None, accuracy: float) -> str:
    if title is None:
        return f"Accuracy {accuracy:.4f}"
    title = "".join(letter if letter.isprintable() else " " for letter in title)
    return f"{title}: accuracy {accuracy:.4f}"


def _cell_size(n: int) -> float:
    """Return the side of one cell in inches: generous for few classes, dense for many."""
    if n <= 5:
        return max(0.8, 2.4 / n)
    return min(0.42, max(11 / n, 0.115), _WIDEST / n)


def _label_size(n: int) -> float:
    """Return the font size of the class names: as large as the cell allows."""
    return max(5.0, min(9.0, 0.8 * 72 * _cell_size(n)))


def _larger(n: int) -> float:
    """Return the factor for titles in figures so large that they are looked at from further away."""
    return max(1.0, min(1.5, n * _cell_size(n) / 7))


def _name_length(names: Sequence[str]) -> float:
    """Return about the length of the longest class name on an axis, in inches."""
    return max(len(name) for name in names) * 0.65 * _label_size(len(names)) / 72


def _draw(axes: Axes, counts: np.ndarray, names: Sequence[str], headline: str) -> QuadMesh:
    n = len(names)
    totals = counts.sum(axis=1, keepdims=True)
    shares = counts / np.maximum(totals, 1)
    edges = np.arange(n + 1) - 0.5
    # Cells as shapes stay sharp in the SVG; with very many an embedded image is far smaller. Without counts
    # the colour alone must show rare errors: on a square-root scale 1 % is a tenth of the way to dark.
    mesh = axes.pcolormesh(
        edges,
        edges,
        shares,
        cmap=_COLOURS,
        norm=PowerNorm(0.5 if n > _COUNTS_UP_TO else 1.0, vmin=0, vmax=1),
        edgecolors="#e6e6e6" if n <= _COUNTS_UP_TO else "none",
        linewidth=0.4,
        rasterized=n > _COUNTS_UP_TO,
    )
    axes.set_aspect("equal")
    axes.invert_yaxis()
    _name_axes(axes, names)
    axes.set_title(headline, fontsize=10.5 * _larger(n), parse_math=False)
    if n <= _COUNTS_UP_TO:
        _write_counts(axes, counts, shares)
    return mesh


def _name_axes(axes: Axes, names: Sequence[str]) -> None:
    n = len(names)
    # Class names may hold dollar signs, which matplotlib would read as formulas.
    size = _label_size(n)
    fits = _name_length(names) <= _cell_size(n)
    every = math.ceil(0.1 / _cell_size(n))
    ticks, shown = range(0, n, every), names[::every]
    axes.set_xticks(ticks, shown, fontsize=size, parse_math=False, rotation=0 if fits else 90)
    axes.set_yticks(ticks, shown, fontsize=size, parse_math=False)
    axes.tick_params(length=0, pad=3)
    axes.set_xlabel("predicted class", fontsize=9.5 * _larger(n))
    axes.set_ylabel("true class", fontsize=9.5 * _larger(n))


def _write_counts(axes: Axes, counts: np.ndarray, shares: np.ndarray) -> None:
    n = len(counts)
    digits = len(str(int(counts.max(initial=0))))
    size = min(9.0, 72 * _cell_size(n) / max(2.2, 0.75 * digits + 0.6))
    for row, column in np.ndindex(n, n):
        count = int(counts[row, column])
        if count == 0 and n > _ZEROS_UP_TO:
            continue
        ink = _FAINT if count == 0 else _LIGHT if shares[row, column] > 0.6 else _DARK
        axes.text(column, row, str(count), ha="center", va="center", fontsize=size, color=ink)


def _add_scale(figure: Figure, mesh: QuadMesh, axes: Axes, n: int) -> None:
    """Put the colour scale right of `axes`, exactly as high as the matrix."""
    width = n * _cell_size(n)
    scale = figure.colorbar(mesh, cax=axes.inset_axes((1 + 0.14 / width, 0, 0.16 / width, 1)))
    larger = _larger(n)
    rooted = " (square-root scale)" if n > _COUNTS_UP_TO else ""
    scale.set_label(f"share of the true class{rooted}", fontsize=8.5 * larger)
    scale.ax.tick_params(labelsize=8 * larger, width=0.6, length=2.5)
    scale.outline.set_linewidth(0.6)


def save_figure(figure: Figure, out_stem: str | os.PathLike) -> tuple[Path, Path]:
    """Write the figure, grown to hold the names and titles that stand outside its matrices."""
    FigureCanvasAgg(figure)
    written = []
    # Left to itself matplotlib names its version and, in SVG, the date.
    for suffix, metadata in ((".png", {"Software": None}), (".svg", {"Date": None, "Creator": None})):
        path = Path(f"{os.fspath(out_stem)}{suffix}")
        with atomic_path(path) as temporary:
            figure.savefig(
                temporary,
                format=suffix[1:],
                dpi=_PNG_DPI,
                metadata=metadata,
                bbox_inches="tight",
                pad_inches=0.06,
            )
        written.append(path)
    return written[0], written[1]
