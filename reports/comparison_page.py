"""A comparison as people look at it: tables, a page with the pictures that tell the runs apart, a figure."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import matplotlib.style
import numpy as np
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from reports.comparison import Comparison, csv_rows, explanation, fitted, p_text, views
from reports.figures import STYLE, save_figure
from reports.page import MOST_IN_A_CELL, Picture, in_turns, svg_source, template, thumbnail
from scenes.dataset import progress
from scenes.threads import in_threads

_MOST_PICTURES = 1500
_SMALL = 48  # pixels
_MARKERS = "osD^vP*X"  # a round of colours each
_COSTS = (
    ("ms_per_image", "ms an image"),
    ("param_count", "parameters"),
    ("train_seconds", "training seconds"),
)


def run_lines(comparison: Comparison) -> list[list[str]]:
    """A line a run, the head first: accuracy with its interval, and what it costs."""
    heads = ["run", "accuracy", "95 % interval", "parameters", "MB", "million MACs", "views", "training s",
             "ms/image"]  # fmt: skip
    lines = [heads]
    for i, (name, row) in enumerate(zip(comparison.names, csv_rows(comparison), strict=True)):
        low, high = comparison.interval(i)
        lines.append([
            name, f"{comparison.right[i].mean():.4f}", f"{low:.4f} to {high:.4f}",
            f"{int(row['param_count']):,}" if row["param_count"] else "", row["file_mb"], row["macs_m"],
            str(views(comparison.runs[i].result) or ""), row["train_seconds"], row["ms_per_image"],
        ])  # fmt: skip
    return lines


ABOUT_COSTS = (
    "MACs are those of one view of an image; a network's outputs are averaged over so many views. "
    "Milliseconds an image: of features from reading the file to the class, of networks from pixels in "
    "memory to the class; on the hardware named below."
)


def made_lines(comparison: Comparison) -> list[list[str]]:
    """A line a run, the head first: how it came about."""
    lines = [["run", "images fitted", "accuracy of one view", "threads", "hardware", "folder"]]
    for name, run in zip(comparison.names, comparison.runs, strict=True):
        result = run.result
        plain, count = result.get("plain_accuracy"), fitted(result)
        lines.append([
            name, "" if count is None else f"{count:,}", "" if plain is None else f"{plain:.4f}",
            str(result["environment"].get("threads", "")), str(result["environment"].get("hardware", "")),
            run.folder.name,
        ])  # fmt: skip
    return lines


def pair_lines(comparison: Comparison) -> list[list[str]]:
    """A line for every two runs, the head first: the difference in points, how sure it is, who is better."""
    lines = [["first", "second", "difference", "95 % interval", "only first", "only second", "p", "p (Holm)",
              "better"]]  # fmt: skip
    for pair in comparison.pairs:
        low, high = pair.interval
        better = "neither" if pair.better is None else comparison.names[pair.better]
        lines.append([
            comparison.names[pair.first], comparison.names[pair.second], f"{100 * pair.difference:+.2f}",
            f"{100 * low:+.2f} to {100 * high:+.2f}", str(pair.only_first), str(pair.only_second),
            *(p_text(p, 3).removeprefix("= ") for p in (pair.p_value, pair.p_holm)), better,
        ])  # fmt: skip
    return lines


def cost_figure(comparison: Comparison, out_stem: Path) -> tuple[Path, Path] | None:
    """Draw accuracy with its interval against each cost that two runs or more tell; None if none does."""
    rows = csv_rows(comparison)
    # on a logarithmic axis; what was too fast to be timed is not there
    costs = [{key: float(row[key] or 0) for key, _ in _COSTS} for row in rows]
    shown = [(key, title) for key, title in _COSTS if sum(cost[key] > 0 for cost in costs) > 1]
    if not shown:
        return None
    with matplotlib.style.context(["default", STYLE]):
        names = comparison.names
        # below the panels as many lines of names as it takes: beside the points they would lie on each other
        across = max(1, int(4 * len(shown) / (0.09 * max(map(len, names)) + 0.5)))
        height = 3 + 0.22 * math.ceil(len(names) / across)
        figure = Figure(figsize=(4 * len(shown), height), layout="constrained")
        panels = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]
        points: dict[str, Artist] = {}
        for axes, (key, title) in zip(panels, shown, strict=True):
            for i, (cost, name) in enumerate(zip(costs, names, strict=True)):
                if not cost[key]:
                    continue
                accuracy = float(comparison.right[i].mean())
                low, high = comparison.interval(i)
                error = [[accuracy - low], [high - accuracy]]
                marker = _MARKERS[i // 10 % len(_MARKERS)]
                points[name] = axes.errorbar(cost[key], accuracy, yerr=error, markersize=5, capsize=3,
                                             color=f"C{i}", marker=marker, linestyle="none")  # fmt: skip
            axes.set_xscale("log")
            least, most = axes.get_xlim()
            axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if most < 300 * least else (1,)))
            axes.xaxis.set_major_formatter(FuncFormatter(_short))
            axes.xaxis.set_minor_formatter(NullFormatter())
            axes.margins(x=0.1)
            axes.set_xlabel(title)
            axes.grid(True, color="#e6e6e6", linewidth=0.5)
        panels[0].set_ylabel("accuracy")
        in_order = [name for name in names if name in points]
        figure.legend([points[name] for name in in_order], in_order, loc="outside lower center", ncols=across,
                      frameon=False, fontsize=8)  # fmt: skip
        return save_figure(figure, out_stem)


def _short(value: float, _place: object = None) -> str:
    """A number on an axis: 200, 50 k, 6 M."""
    for unit, word in ((1e6, " M"), (1e3, " k")):
        if value >= unit:
            return f"{value / unit:g}{word}"
    return f"{value:g}"


def comparison_page(
    comparison: Comparison, *, picture: Picture | None = None, figure: Path | None = None
) -> str:
    """The page: tables, for each run beside the first one where they differ, and the images that only one
    of the two has right.

    Parameters
    ----------
    comparison : Comparison
    picture : callable, optional
        The pixels of a test image by its name.
    figure : Path, optional
        An SVG, shown under the runs.
    """
    blocks = [_block(comparison, 0, other) for other in range(1, len(comparison.runs))]
    wanted = dict.fromkeys(
        image["name"] for block in blocks for side in block["sides"] for image in side["images"]
    )
    album: dict[str, tuple[str, bool]] = {}
    if picture is not None:
        names = list(wanted)[:_MOST_PICTURES]
        made = in_threads(lambda name: _shrunk(picture(name)), names, None)
        album = dict(zip(names, progress(made, total=len(names), description="thumbnails"), strict=True))
    for block in blocks:
        for side in block["sides"]:
            for image in side["images"]:
                image["picture"], image["small"] = album.get(image["name"], (None, False))
    return template("comparison.html").render(
        names=comparison.names, n=comparison.n, runs=run_lines(comparison), pairs=pair_lines(comparison),
        made=made_lines(comparison), about_costs=ABOUT_COSTS, blocks=blocks,
        figure=svg_source(figure) if figure else None,
    ) + "\n"  # fmt: skip


def _shrunk(pixels: np.ndarray) -> tuple[str, bool]:
    """A thumbnail, and whether its pixels are shown large enough to be seen one by one."""
    return thumbnail(pixels), pixels.shape[1] <= _SMALL


def _block(comparison: Comparison, first: int, second: int) -> dict:
    a, b = comparison.names[first], comparison.names[second]
    sides = []
    for winner, loser in ((second, first), (first, second)):
        names = comparison.only(winner, loser)
        sides.append({
            "title": f"only {comparison.names[winner]} is right", "count": len(names),
            "images": _images(comparison, names, loser),
        })  # fmt: skip
    return {"title": f"{b} beside {a}", "sentences": explanation(comparison, first, second), "sides": sides}


def _images(comparison: Comparison, names: Sequence[str], loser: int) -> list[dict]:
    """The images that are shown of these: one of each class before the second of any."""
    run = comparison.runs[loser]
    place = {name: i for i, name in enumerate(run.filenames)}
    groups: dict[str, list[str]] = defaultdict(list)
    for name in names:
        groups[run.labels[place[name]]].append(name)
    return [
        {
            "name": name,
            "label": run.labels[place[name]],
            "wrong": comparison.names[loser],
            "said": run.predicted[place[name]],
        }
        for name in itertools.islice(in_turns(list(groups.values())), MOST_IN_A_CELL)
    ]
