"""Learning curves: what is drawn, where, and that equal input gives equal bytes."""

import math

import pytest
from matplotlib.figure import Figure
from PIL import Image

from reports.curves import learning_curves_figure


def history(epochs=4, select=True, heldout=False):
    rows = []
    for epoch in range(1, epochs + 1):
        row = {"epoch": epoch}
        for part, seen in (("train", True), ("select", select), ("heldout", heldout)):
            row[f"{part}_loss"] = 2 / epoch if seen else None
            row[f"{part}_accuracy"] = 1 - 1 / (epoch + 1) if seen else None
        rows.append(row)
    return rows


@pytest.fixture
def panels(monkeypatch, tmp_path):
    """panels(history): the axes of the figure, row by row."""
    kept = []
    monkeypatch.setattr("reports.curves.save_figure", lambda figure, stem: kept.append(figure))

    def drawn(rows, **kwargs) -> list:
        learning_curves_figure(rows, tmp_path / "curves", **kwargs)
        (figure,) = kept
        assert isinstance(figure, Figure)
        return figure.axes

    return drawn


def test_fit_stands_above_select_and_accuracy_left_of_loss(panels):
    axes = panels(history())
    assert [a.get_ylabel() for a in axes] == ["accuracy", "loss"] * 2
    assert [[line.get_label() for line in a.lines] for a in axes] == [["fit"]] * 2 + [["select"]] * 2
    assert axes[0].lines[0].get_xydata().tolist() == [[e, 1 - 1 / (e + 1)] for e in (1, 2, 3, 4)]


def test_a_heldout_curve_says_that_it_was_not_used(panels):
    axes = panels(history(heldout=True))
    assert axes[2].lines[1].get_label() == "held-out, not used for choosing"
    assert axes[2].lines[1].get_linestyle() == "--"


def test_an_epoch_that_was_not_evaluated_leaves_the_others_drawn(panels):
    stopped = {**history(1, select=False)[0], "epoch": 4, "train_loss": math.nan}
    axes = panels([*history(3), stopped])
    fit, select = (axes[i].lines[0].get_ydata(orig=False) for i in (1, 3))
    assert [math.isnan(y) for y in fit] == [math.isnan(y) for y in select] == [False] * 3 + [True]


def test_without_select_only_fit_is_drawn(panels):
    assert len(panels(history(select=False))) == 2


def test_both_rows_have_one_scale(panels):
    rows = history()
    for row in rows:
        row["select_loss"] = 9.0
    axes = panels(rows)
    assert axes[1].get_ylim() == axes[3].get_ylim() and axes[1].get_ylim()[1] >= 9


def test_no_epoch_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no epoch"):
        learning_curves_figure([], tmp_path / "curves")


def test_one_epoch_and_a_loss_that_is_no_number_are_drawn_twice_the_same(tmp_path):
    rows = [*history(1), {**history(2)[1], "select_loss": float("nan")}]
    first = learning_curves_figure(rows, tmp_path / "a", title="x")
    again = learning_curves_figure(rows, tmp_path / "b", title="x")
    assert [path.name for path in first] == ["a.png", "a.svg"]
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in again]
    with Image.open(first[0]) as image:
        assert min(image.size) > 500
    assert learning_curves_figure(history(1), tmp_path / "one")[0].stat().st_size > 5000
