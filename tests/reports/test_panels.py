"""A report's own curves: the lines it asks for, in its panels, the same bytes each time."""

import math
import re

import pytest

from reports.panels import panels_figure

PART = {"loss": 1.0, "accuracy": 0.5}
HISTORY = [
    {"epoch": epoch, **{f"{part}_{name}": value / epoch if part != "select" else None
                        for part in ("train", "select", "heldout") for name, value in PART.items()}}
    for epoch in (1, 2, 3)
]  # fmt: skip
LOSS, ACCURACY = (("train", "loss"), ("heldout", "loss")), (("train", "accuracy"),)


def texts(svg) -> list[str]:
    """What a figure's words are drawn from: matplotlib writes each as a comment."""
    return re.findall(r"<!-- (.*?) -->", svg.read_text("utf-8"))


def test_each_panel_has_the_lines_it_asks_for(tmp_path):
    png, svg = panels_figure(HISTORY, (LOSS, ACCURACY), tmp_path / "curves", "lenet")
    assert png.is_file()
    found = texts(svg)
    for text in ("fit loss", "held-out loss", "fit accuracy", "lenet (held-out: not used for choosing)"):
        assert found.count(text) == 1, text
    assert "held-out accuracy" not in found


def test_a_part_that_was_not_looked_at_has_no_line(tmp_path):
    _, svg = panels_figure(HISTORY, ((("train", "loss"), ("select", "loss")),), tmp_path / "curves", "x")
    assert "fit loss" in texts(svg) and "select loss" not in texts(svg) and "x" in texts(svg)


def test_an_epoch_that_diverged_leaves_the_lines_of_those_before(tmp_path):
    last = {**HISTORY[-1], "epoch": 4, "heldout_loss": None, "heldout_accuracy": None, "train_loss": math.nan}
    _, svg = panels_figure([*HISTORY, last], (LOSS,), tmp_path / "curves", "x")
    assert {"fit loss", "held-out loss", "x (held-out: not used for choosing)"} <= set(texts(svg))


def test_a_training_that_diverged_at_once_says_that_there_is_no_number(tmp_path):
    row = {"epoch": 1, "train_loss": math.nan, "train_accuracy": 0.1, "heldout_loss": None}
    _, svg = panels_figure([row], (LOSS, ACCURACY), tmp_path / "curves", "lr 1")
    found = texts(svg)
    assert "no number in any epoch" in found and "fit accuracy" in found and "fit loss" not in found


def test_equal_histories_give_equal_bytes(tmp_path):
    first, second = (panels_figure(HISTORY, (ACCURACY,) * 4, tmp_path / name, "x") for name in ("a", "b"))
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_no_epoch_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="no epoch to draw"):
        panels_figure([], (LOSS,), tmp_path / "curves", "x")
