"""Confusion matrices as pictures: what stands where, and equal bytes for equal input."""

import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from reports import figures
from reports.figures import confusion_figure, confusion_pair_figure
from reports.metrics import SCENE15_ORDER, SCENE15_SHORT

CONFUSION = np.array([[3, 1], [0, 4]])


def test_folders_that_matplotlib_cannot_write_to_are_passed_over_in_silence(tmp_path):
    (tmp_path / "file").write_text("")
    below = str(tmp_path / "file" / "x")
    environment = {"XDG_CACHE_HOME": below, "XDG_CONFIG_HOME": below}
    code = "import logging, reports; assert logging.getLogger('matplotlib').level == logging.NOTSET"
    done = subprocess.run([sys.executable, "-c", code], env=os.environ | environment, capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.fixture
def drawn(monkeypatch):
    """Collect the figures that are saved, to look at their texts."""
    saved = []
    save = Figure.savefig

    def keep(figure, *args, **kwargs):
        saved.append(figure)
        return save(figure, *args, **kwargs)

    monkeypatch.setattr(Figure, "savefig", keep)
    return saved


def cells(axes):
    """{(row, column): text} of the counts written in a matrix."""
    return {(round(t.get_position()[1]), round(t.get_position()[0])): t.get_text() for t in axes.texts}


def ticks(axis):
    return [label.get_text() for label in axis.get_ticklabels()]


def test_writes_a_png_and_an_svg_and_nothing_else(tmp_path):
    png, svg = confusion_figure(CONFUSION, ["cat", "dog"], 0.875, tmp_path / "a.b")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.b.png", "a.b.svg"]
    assert (png.name, svg.name) == ("a.b.png", "a.b.svg")
    assert min(Image.open(png).size) > 300
    assert ElementTree.parse(svg).getroot().tag.endswith("svg")


def test_rows_are_true_columns_predicted_and_the_title_has_four_digits(tmp_path, drawn):
    confusion_figure(CONFUSION, ["cat", "dog"], 0.875, tmp_path / "a", title="Tiny images")
    axes = drawn[0].axes[0]
    assert cells(axes) == {(0, 0): "3", (0, 1): "1", (1, 0): "0", (1, 1): "4"}
    assert axes.get_xlabel() == "predicted class" and axes.get_ylabel() == "true class"
    assert axes.get_ylim()[0] > axes.get_ylim()[1]  # first class on top
    assert axes.get_title() == "Tiny images: accuracy 0.8750"
    shares = axes.collections[0].get_array().reshape(2, 2)
    np.testing.assert_allclose(shares, [[0.75, 0.25], [0, 1]])


def test_title_without_a_name(tmp_path, drawn):
    confusion_figure(CONFUSION, ["cat", "dog"], 1 / 3, tmp_path / "a")
    assert drawn[0].axes[0].get_title() == "Accuracy 0.3333"


def test_the_15_scenes_come_in_their_own_order_with_short_names(tmp_path, drawn):
    classes = sorted(SCENE15_ORDER)  # Bedroom, Coast, ...
    confusion = np.zeros((15, 15), dtype=int)
    confusion[classes.index("Kitchen"), classes.index("Forest")] = 7
    confusion_figure(confusion, classes, 0, tmp_path / "a")
    axes = drawn[0].axes[0]
    assert ticks(axes.xaxis) == ticks(axes.yaxis) == list(SCENE15_SHORT.values())
    assert cells(axes)[0, 14] == "7" and cells(axes)[14, 0] == "0"


def test_other_classes_are_sorted(tmp_path, drawn):
    confusion_figure(CONFUSION, ["dog", "cat"], 0.875, tmp_path / "a")
    axes = drawn[0].axes[0]
    assert ticks(axes.xaxis) == ["cat", "dog"]
    assert cells(axes) == {(1, 1): "3", (1, 0): "1", (0, 1): "0", (0, 0): "4"}


@pytest.mark.parametrize(("n", "written"), [(10, 100), (30, 30), (60, 0)])
def test_zeros_and_then_counts_are_dropped_with_many_classes(tmp_path, drawn, monkeypatch, n, written):
    monkeypatch.setattr(figures, "save_figure", lambda figure, stem: drawn.append(figure))  # only looked at
    confusion_figure(np.diag(np.full(n, 9)), [f"class{i:02d}" for i in range(n)], 1, tmp_path / "a")
    assert len(drawn[0].axes[0].texts) == written


@pytest.mark.parametrize("n", [1, 2, 6, 45, 100, 1000])
def test_the_figure_stays_of_a_size_that_can_be_printed(n):
    side = n * figures._cell_size(n)
    assert 2 <= side <= 16
    assert 5 <= figures._label_size(n) <= 9


def test_names_are_text_whatever_they_hold(tmp_path, drawn):
    names = ["$\\frac{", "a\nb", "x" * 50]
    confusion_figure(np.eye(3, dtype=int), names, 1, tmp_path / "a", title="$5 & <b>\n")
    axes = drawn[0].axes[0]
    assert ticks(axes.yaxis) == ["$\\frac{", "a?b", "x" * 23 + "…"]
    ElementTree.parse(tmp_path / "a.svg")


def test_a_class_without_images_is_drawn_without_warning(tmp_path, recwarn):
    confusion_figure(np.array([[0, 0], [0, 2]]), ["a", "b"], 1, tmp_path / "a")
    assert not recwarn.list


def test_equal_input_gives_equal_bytes(tmp_path):
    first = confusion_figure(CONFUSION, ["cat", "dog"], 0.875, tmp_path / "a", "Tiny")
    second = confusion_figure(CONFUSION.copy(), ("cat", "dog"), 0.875, tmp_path / "b", "Tiny")
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()
    assert b"<dc:date>" not in first[1].read_bytes()
    assert b"tEXt" not in first[0].read_bytes()


def test_user_settings_change_nothing_and_stay(tmp_path):
    plain = confusion_figure(CONFUSION, ["cat", "dog"], 0.875, tmp_path / "a")
    with matplotlib.rc_context({"font.size": 30, "svg.hashsalt": None, "savefig.transparent": True}):
        other = confusion_figure(CONFUSION, ["cat", "dog"], 0.875, tmp_path / "b")
        assert matplotlib.rcParams["font.size"] == 30
    for one, two in zip(plain, other, strict=True):
        assert one.read_bytes() == two.read_bytes()


def test_pyplot_is_not_used():
    code = "import sys, reports.figures; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize(("confusion", "classes"), [(CONFUSION, ["a"]), (np.zeros((0, 0)), [])])
def test_a_matrix_that_does_not_fit_is_refused(tmp_path, confusion, classes):
    with pytest.raises(ValueError, match="one row a class"):
        confusion_figure(confusion, classes, 1, tmp_path / "a")


def test_a_missing_folder_is_an_os_error(tmp_path):
    with pytest.raises(OSError):
        confusion_figure(CONFUSION, ["cat", "dog"], 0.875, tmp_path / "no" / "a")


def test_pair_shows_two_matrices_on_one_scale(tmp_path, drawn):
    paths = confusion_pair_figure(
        [CONFUSION, CONFUSION.T], ["cat", "dog"], [0.875, 0.5], ["Tiny", "Bag"], tmp_path / "pair"
    )
    left, right = drawn[0].axes[:2]
    assert (left.get_title(), right.get_title()) == ("Tiny: accuracy 0.8750", "Bag: accuracy 0.5000")
    assert cells(left)[0, 1] == "1" and cells(right)[1, 0] == "1"
    assert [path.name for path in paths] == ["pair.png", "pair.svg"]
    again = confusion_pair_figure(
        [CONFUSION, CONFUSION.T], ["cat", "dog"], [0.875, 0.5], ["Tiny", "Bag"], tmp_path / "pair2"
    )
    for one, other in zip(paths, again, strict=True):
        assert one.read_bytes() == other.read_bytes()


def test_pair_needs_two_of_each(tmp_path):
    with pytest.raises(ValueError, match="a pair needs two"):
        confusion_pair_figure([CONFUSION], ["cat", "dog"], [0.5], ["Tiny"], tmp_path / "a")
