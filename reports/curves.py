"""The learning curves of a training as one figure: fit above, select below; accuracy left, loss right."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from reports.figures import STYLE, save_figure

_NAMES = {"train": "fit", "select": "select", "heldout": "held-out, not used for choosing"}
COLOURS = {"train": "#08519c", "select": "#a63603", "heldout": "#636363"}


def learning_curves_figure(
    history: Sequence[Mapping], out_stem: str | os.PathLike, title: str | None = None
) -> tuple[Path, Path]:
    """Draw the curves as ``out_stem.png`` and ``out_stem.svg`` and return both paths.

    Parameters
    ----------
    history : sequence of mapping
        A row an epoch with ``epoch`` and, for each of train, select and heldout, ``..._loss`` and
        ``..._accuracy``; None where the part was not looked at. Losses that are no number leave a gap.
    out_stem : path
    title : str, optional

    Raises
    ------
    ValueError
        No epoch.
    """
    if not history:
        raise ValueError("no epoch to draw: train for one at least")
    parts = [part for part in _NAMES if any(row.get(f"{part}_loss") is not None for row in history)]
    rows = [["train"], [part for part in parts if part != "train"]]
    rows = [row for row in rows if row]
    with matplotlib.style.context(["default", STYLE]):
        figure = Figure(figsize=(8, 2.7 * len(rows) + 0.3), layout="constrained")
        panels = figure.subplots(len(rows), 2, sharex=True, squeeze=False)
        for row, shown in zip(panels, rows, strict=True):
            for axes, measure in zip(row, ("accuracy", "loss"), strict=True):
                _draw(axes, history, shown, measure)
        # one scale a column, so that the gap between fit and select can be seen
        for column in panels.T:
            low = min(axes.get_ylim()[0] for axes in column)
            high = max(axes.get_ylim()[1] for axes in column)
            for axes in column:
                axes.set_ylim(low, high)
        for axes in panels[-1]:
            axes.set_xlabel("epoch")
        if title:
            figure.suptitle(title, fontsize=10.5)
        return save_figure(figure, out_stem)


def _draw(axes: Axes, history: Sequence[Mapping], parts: Sequence[str], measure: str) -> None:
    epochs = [row["epoch"] for row in history]
    for part in parts:
        values = [row[f"{part}_{measure}"] for row in history]
        axes.plot(epochs, values, color=COLOURS[part], linewidth=1.3, marker=".", markersize=4,
                  linestyle="--" if part == "heldout" else "-", label=_NAMES[part])  # fmt: skip
    axes.set_xlim(epochs[0] - 0.5, epochs[-1] + 0.5)  # whole epochs, however few
    axes.set_ylabel(measure)
    axes.grid(True, color="#e6e6e6", linewidth=0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=False, fontsize=8)
