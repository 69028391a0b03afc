"""Learning curves in the form of a report: a few panels, each with the lines it asks for."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib.style
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from reports.curves import COLOURS
from reports.figures import STYLE, save_figure

_NAMES = {"train": "fit", "select": "select", "heldout": "held-out"}


def panels_figure(
    history: Sequence[Mapping],
    panels: Sequence[Sequence[tuple[str, str]]],
    out_stem: str | os.PathLike,
    title: str,
) -> tuple[Path, Path]:
    """Draw panels beside each other, four as a square, as ``out_stem.png`` and ``.svg``; returns both paths.

    Parameters
    ----------
    history : sequence of mapping
        A row an epoch, as in ``metrics.csv``. A line whose values are None is left out.
    panels : sequence of sequence of (part, measure)
        Lines of each panel: part train, select or heldout, measure loss or accuracy. Losses are dashed where
        a panel has both.
    out_stem : path
    title : str

    Raises
    ------
    ValueError
        No epoch.
    """
    if not history:
        raise ValueError("no epoch to draw: train for one at least")
    columns = 2 if len(panels) == 4 else len(panels)
    rows = len(panels) // columns
    with matplotlib.style.context(["default", STYLE]):
        figure = Figure(figsize=(4 * columns, 2.8 * rows + 0.3), layout="constrained")
        axes = figure.subplots(rows, columns, sharex=True, squeeze=False).flat
        for place, lines in zip(axes, panels, strict=True):
            measures = list(dict.fromkeys(measure for _, measure in lines))
            for part, measure in lines:
                values = [row[f"{part}_{measure}"] for row in history]
                if all(value is None or not math.isfinite(value) for value in values):
                    continue
                dashed = len(measures) > 1 and measure == "loss"
                place.plot([row["epoch"] for row in history], values, "--" if dashed else "-",
                           color=COLOURS[part], linewidth=1.3, marker=".", markersize=4,
                           label=f"{_NAMES[part]} {measure}")  # fmt: skip
            place.set_xlabel("epoch")
            place.set_ylabel(" and ".join(measures))
            place.grid(True, color="#e6e6e6", linewidth=0.5)
            place.xaxis.set_major_locator(MaxNLocator(integer=True))
            # whole epochs, however few
            place.set_xlim(history[0]["epoch"] - 0.5, history[-1]["epoch"] + 0.5)
            if place.lines:
                place.legend(frameon=False, fontsize=8)
            else:
                place.text(0.5, 0.5, "no number in any epoch", transform=place.transAxes, ha="center")
                place.set_yticks([])
        heldout = any(
            part == "heldout" and row["heldout_loss"] is not None
            for lines in panels for part, _ in lines for row in history
        )  # fmt: skip
        note = " (held-out: not used for choosing)" if heldout else ""
        figure.suptitle(title + note, fontsize=10.5)
        return save_figure(figure, out_stem)
