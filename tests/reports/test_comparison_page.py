"""The page of a comparison: what its tables say, which pictures it shows, that names are never markup."""

import html

import numpy as np
import pytest

from reports import RunRecord, compare, read_run, write_run
from reports.comparison_page import comparison_page, cost_figure, pair_lines, run_lines


@pytest.fixture
def compared(tmp_path):
    """compared([(name, predicted), ...]): a comparison of runs on images labelled a, b, a, b ..."""

    def made(*runs, n=8, labels=("a", "b"), **changes):
        truth = [labels[i % 2] for i in range(n)]
        found = []
        for name, predicted in runs:
            words = [labels["ab".index(letter)] for letter in predicted]
            record = RunRecord(name=name, command=[], classes=sorted(labels), n_train=1, labels=truth,
                               filenames=[f"{i:03d}<b>" for i in range(n)], predicted=words,
                               scores=np.ones((n, 2)), **changes)  # fmt: skip
            found.append(read_run(write_run(tmp_path / "runs", record, page=False)))
        return compare(found)

    return made


def test_tables_say_what_was_counted(compared):
    found = compared(("one", "aaaaaaaa"), ("two", "abababab"))
    assert run_lines(found)[1][:2] == ["one", "0.5000"] and run_lines(found)[2][:2] == ["two", "1.0000"]
    (_, line) = pair_lines(found)
    assert line[:3] == ["one", "two", "+50.00"] and line[4:6] == ["0", "4"]
    assert line[-1] == "neither" and line[-2] == line[-3] == "0.125"


def test_pictures_are_those_that_one_run_alone_has_right_in_turns_of_classes(compared):
    n = 300
    found = compared(("one", "ba" * 150), ("two", "ab" * 150), n=n)
    asked = []

    def picture(name):
        asked.append(name)
        return np.zeros((4, 4), np.uint8)

    text = comparison_page(found, picture=picture)
    assert sorted(asked) == [f"{i:03d}<b>" for i in range(60)]  # thirty of each class, not sixty of the first
    assert text.count("data:image/jpeg") == 60 and "and 240 more" in text
    assert "only two is right</summary>" in text.replace(": 300", "")


def test_names_are_never_markup(compared):
    evil = "<script>alert(1)</script>"
    found = compared(("one", "aaaaaaaa"), ("two", "abababab"), labels=(evil, "b"))
    text = comparison_page(found, picture=lambda name: np.zeros((2, 2, 3), np.uint8))
    assert evil not in text and html.escape(evil) in text and "001<b>" not in text


def test_costs_are_drawn_where_two_runs_tell_them(compared, tmp_path):
    without = compared(("one", "aaaaaaaa"), ("two", "abababab"))
    assert cost_figure(without, tmp_path / "cost") is None
    timed = compared(("one", "aaaaaaaa"), ("two", "abababab"), timings={"ms_per_image": 0.5})
    png, svg = cost_figure(timed, tmp_path / "cost")
    assert png.is_file() and "ms an image" in svg.read_text() and "parameters" not in svg.read_text()
    text = comparison_page(timed, figure=svg)
    assert "data:image/svg+xml;base64," in text
