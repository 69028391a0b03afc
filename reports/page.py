"""The HTML report of a run: one file that opens from disk, in light and dark, by mouse and by keyboard.

Everything in it stands in the file itself: styles, script, figures, and thumbnails of the test images, shown
by a click on a cell of the confusion matrix. Names of files and classes are data to it, never markup.
"""

from __future__ import annotations

import base64
import csv
import functools
import io
import json
import shlex
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from PIL import Image

from reports.metrics import SCENE15_ORDER, most_confused
from reports.text import value_text
from scenes.dataset import progress
from scenes.threads import in_threads

MOST_IN_A_CELL = 60
MOST_WITH_COUNTS = 50  # classes; with more the cells are too small for them
_THUMBNAIL_SIDE = 96
_THUMBNAIL_BYTES = 7_000_000  # of all thumbnails, as text
_QUALITY = 75
# The block that differs between equal runs.
BLOCK_START, BLOCK_END = "<!-- environment and timings -->", "<!-- end -->"

Picture = Callable[[str], np.ndarray]
Member = TypeVar("Member")


@dataclass(frozen=True)
class Neighbour:
    """A training image near a test image: its name, its class, how far it is."""

    name: str
    label: str
    distance: float


@dataclass(frozen=True, eq=False)
class Shown:
    """What a page shows beyond ``result.json``.

    Parameters
    ----------
    picture : callable, optional
        The pixels of a test image by its name: uint8 (H, W) or (H, W, 3). None: no thumbnails.
    training_picture : callable, optional
        The same for a training image.
    neighbours : mapping of str to sequence of Neighbour
        The nearest training images of test images that were predicted wrong.
    """

    picture: Picture | None = None
    training_picture: Picture | None = None
    neighbours: Mapping[str, Sequence[Neighbour]] | None = None


def html_report(
    result: Mapping,
    filenames: Sequence[str],
    labels: Sequence[str],
    predicted: Sequence[str],
    scores: Sequence[float],
    *,
    shown: Shown | None = None,
    folder: Path | None = None,
) -> str:
    """Return the page of a run.

    Parameters
    ----------
    result : mapping
        As in ``result.json``.
    filenames, labels, predicted, scores : sequences
        One entry a test image: its name, true class, predicted class and the score of the predicted class.
    shown : Shown, optional
    folder : Path, optional
        The run folder, whose ``curves.svg``, ``diagram.svg`` and ``layers.csv`` are shown where they are.

    Returns
    -------
    str
        The same for equal input, but for what stands between the marks `BLOCK_START` and `BLOCK_END`.
    """
    shown = shown or Shown()
    classes = _ordered(result["classes"])
    rank = {name: i for i, name in enumerate(classes)}
    cells: dict[tuple[int, int], list[int]] = defaultdict(list)
    for i, (label, word) in enumerate(zip(labels, predicted, strict=True)):
        cells[rank[label], rank[word]].append(i)
    for (row, column), members in cells.items():
        # the surest mistakes first; of what is right the least sure
        members.sort(key=lambda i: ((scores[i] if row == column else -scores[i]), filenames[i]))
    album = _Album(shown)
    album.fill(cells, filenames)
    data = {
        "classes": classes,
        "cells": {
            f"{row},{column}": {
                "count": len(members),
                "images": [
                    [filenames[i], round(float(scores[i]), 4), album.of(filenames[i])]
                    for i in members[:MOST_IN_A_CELL]
                ],
            }
            for (row, column), members in sorted(cells.items())
        },
        "neighbours": album.neighbours(),
        "thumbnails": album.thumbnails,
    }
    text = template("run.html").render(
        result=result,
        interval=result["accuracy_interval"],
        right=int(np.trace(np.asarray(result["confusion"]))),
        matrix=_matrix(cells, classes, labels),
        classes=classes,
        confused=most_confused(np.asarray(result["confusion"]), result["classes"]),
        diagnoses=_by_state(result["diagnoses"]),
        figures=_figures(folder),
        layers=_layers(folder),
        data=_json(data),
        command=shlex.join(map(str, result["command"])),
        block_start=BLOCK_START,
        block_end=BLOCK_END,
        most=MOST_IN_A_CELL,
        most_with_counts=MOST_WITH_COUNTS,
        views=result["config"].get("recipe", {}).get("views"),
        album=bool(album.thumbnails),
    )
    return text + "\n"


class _Album:
    """The thumbnails of a page, as JPEG in base64, until the room for them is full."""

    def __init__(self, shown: Shown):
        self._shown = shown
        self.thumbnails: list[str] = []
        self._place: dict[tuple[str, str], int] = {}
        self._wrong: list[str] = []

    def fill(self, cells: Mapping[tuple[int, int], Sequence[int]], filenames: Sequence[str]) -> None:
        """Take the images of all cells: mistakes and their neighbours before what is right, and of both the
        first image of every cell before the second of any."""
        off = [members for (row, column), members in sorted(cells.items()) if row != column]
        on = [members for (row, column), members in sorted(cells.items()) if row == column]
        self._wrong = [filenames[i] for i in in_turns(off)]
        known = self._shown.neighbours or {}
        wanted = [
            *(("test", name) for name in self._wrong),
            *(("train", near.name) for name in self._wrong for near in known.get(name, ())),
            *(("test", filenames[i]) for i in in_turns(on)),
        ]
        pictures = {"test": self._shown.picture, "train": self._shown.training_picture}
        tasks = [(part, name) for part, name in dict.fromkeys(wanted) if pictures[part] is not None]
        made = in_threads(lambda task: thumbnail(pictures[task[0]](task[1])), tasks, None)  # type: ignore[misc]
        bar, n_bytes = progress(made, total=len(tasks), description="thumbnails"), 0
        for task, text in zip(tasks, bar, strict=False):
            n_bytes += len(text)
            if n_bytes > _THUMBNAIL_BYTES:
                break
            self._place[task] = len(self.thumbnails)
            self.thumbnails.append(text)

    def of(self, name: str) -> int | None:
        """The place of a test image's thumbnail; None for none."""
        return self._place.get(("test", name))

    def neighbours(self) -> dict[str, list]:
        """For mistakes that are shown: name, class, distance and thumbnail of the nearest training images."""
        known = self._shown.neighbours or {}
        return {
            name: [
                [near.name, near.label, round(near.distance, 4), self._place.get(("train", near.name))]
                for near in known[name]
            ]
            for name in self._wrong
            if name in known
        }


def in_turns(groups: Sequence[Sequence[Member]]) -> Iterator[Member]:
    """The members of groups: all first ones, all second ones, and so on, sixty of each at most."""
    for turn in range(MOST_IN_A_CELL):
        for members in groups:
            if turn < len(members):
                yield members[turn]


@functools.cache
def template(name: str) -> Template:
    """A page of ``reports/templates``, in which everything that is filled in is escaped."""
    environment = Environment(
        loader=PackageLoader("reports"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["shown"] = value_text
    environment.filters["begun"] = lambda text: text[:1].upper() + text[1:]  # capitalize lowers the rest
    return environment.get_template(name)


def thumbnail(pixels: np.ndarray, side: int = _THUMBNAIL_SIDE) -> str:
    """A picture of at most `side` pixels as JPEG in base64; uint8 or float (H, W) or (H, W, 3), 0..255."""
    pixels = np.asarray(pixels)
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    image = Image.fromarray(np.clip(np.rint(pixels), 0, 255).astype(np.uint8))
    image.thumbnail((side, side), Image.Resampling.BOX)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=_QUALITY)
    return base64.b64encode(file.getvalue()).decode("ascii")


def _ordered(classes: Sequence[str]) -> list[str]:
    """The 15 scenes in their customary order, others sorted: as in the figures."""
    return list(SCENE15_ORDER) if sorted(classes) == sorted(SCENE15_ORDER) else sorted(classes)


def _matrix(cells: Mapping, classes: Sequence[str], labels: Sequence[str]) -> list[dict]:
    """A row a true class: its name, its images; for each column the count and how dark the cell is.

    That is the share of the row; its square root where there are so many classes that no count is shown, and
    a single mistake has to be seen.
    """
    root = 0.5 if len(classes) > MOST_WITH_COUNTS else 1.0
    totals = {name: 0 for name in classes}
    for label in labels:
        totals[label] += 1
    rows = []
    for row, name in enumerate(classes):
        counts = [len(cells.get((row, column), ())) for column in range(len(classes))]
        total = totals[name]
        rows.append({
            "name": name, "total": total,
            "cells": [{"count": n, "share": (n / total) ** root if total else 0.0} for n in counts],
        })  # fmt: skip
    return rows


def _by_state(diagnoses: Sequence[Mapping]) -> list[Mapping]:
    order = ("issue", "passed", "not applicable")
    return sorted(diagnoses, key=lambda found: order.index(found["state"]))


def svg_source(path: Path) -> str:
    """An SVG as the source of a picture within a page: nothing in it can run."""
    return "data:image/svg+xml;base64," + base64.b64encode(path.read_bytes()).decode("ascii")


def _figures(folder: Path | None) -> list[dict[str, object]]:
    """The figures of a folder, with their titles."""
    found = []
    for name, title in (("curves.svg", "Learning curves"), ("diagram.svg", "Block diagram")):
        if folder is not None and (folder / name).is_file():
            source = svg_source(folder / name)
            found.append({"title": title, "source": source, "long": name == "diagram.svg"})
    return found


def _layers(folder: Path | None) -> list[list[str]]:
    """The rows of ``layers.csv``, its header first."""
    if folder is None or not (folder / "layers.csv").is_file():
        return []
    with (folder / "layers.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def _json(data: object) -> str:
    """JSON that may stand inside a script element: no ``<`` can end it, whatever a file is called."""
    text = json.dumps(data, ensure_ascii=True, separators=(",", ":"), sort_keys=True)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
