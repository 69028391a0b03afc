"""Rows of the results tables: what they hold, when they count, and that experiments make them."""

import shlex
import statistics
import subprocess

import pytest

from experiments.data import load_data
from experiments.tables import (
    EXPERIMENTS,
    HEADER,
    SEEDS,
    Ledger,
    Measured,
    commit,
    measurements,
    read_rows,
)

FORMAT = (
    "experiment,report,setting,dataset,fingerprint,seeds,metric,reported,measured,n_test,n_seeds,spread,"
    "seconds,hardware,command,commit,date,status,reason"
)


@pytest.fixture
def dataset(small_folder):
    return load_data(small_folder)[0]


def ledger(dataset, folder, name="r1-tiny-k"):
    return Ledger(folder / f"{name}.csv", name, dataset, ["python", "x"], 1)


def test_header_is_the_published_one():
    assert ",".join(HEADER) == FORMAT


def test_a_row_holds_mean_spread_and_where_it_comes_from(dataset, tmp_path):
    book = ledger(dataset, tmp_path)
    book.fill([Measured("k=1", "accuracy", (0.5, 0.7), 0.6, 12.34, (0, 1))])
    (row,) = book.rows
    assert (row.measured, row.spread, row.n_seeds, row.seeds) == ("0.6000", "0.1414", "2", "0 1")
    assert row.spread == f"{statistics.stdev((0.5, 0.7)):.4f}"
    assert (row.reported, row.seconds, row.n_test, row.status) == ("0.6000", "12.3", "9", "done")
    assert row.fingerprint == dataset.fingerprint["test"]
    assert read_rows(tmp_path / "r1-tiny-k.csv") == [row]


def test_one_seed_has_no_spread(dataset, tmp_path):
    book = ledger(dataset, tmp_path)
    book.fill([Measured("k=1", "accuracy", (0.5,))])
    assert book.rows[-1].spread == ""


def test_rows_that_another_call_wrote_meanwhile_stay(dataset, tmp_path):
    first, second = ledger(dataset, tmp_path), ledger(dataset, tmp_path)
    first.fill([Measured("k=1", "accuracy", (0.5,))])
    second.fill([Measured("k=2", "accuracy", (0.6,))])
    assert [row.setting for row in read_rows(first.path)] == ["k=1", "k=2"]


def test_the_last_row_of_a_key_counts_and_all_are_kept(dataset, tmp_path):
    book = ledger(dataset, tmp_path)
    for value in (0.1, 0.2):
        book.fill([Measured("k=1", "accuracy", (value,))])
    assert [row.measured for row in book.latest()] == ["0.2000"]
    assert len(read_rows(book.path)) == 2


def test_an_experiment_is_done_for_its_own_images_only(dataset, small_folder, tmp_path):
    book = ledger(dataset, tmp_path)
    assert not book.has_done()
    book.fill([Measured("k=1", "accuracy", (0.1,))])
    assert ledger(dataset, tmp_path).has_done()
    next((small_folder / "test" / "bars").iterdir()).unlink()
    assert not ledger(load_data(small_folder)[0], tmp_path).has_done()


def test_two_data_sets_in_one_table_are_kept_and_shown_apart(dataset, small_folder, tmp_path):
    first = ledger(dataset, tmp_path)
    first.fill([Measured("k=1", "accuracy", (0.1,)), Measured("k=2", "accuracy", (0.2,))])
    next((small_folder / "test" / "bars").iterdir()).unlink()
    second = ledger(load_data(small_folder)[0], tmp_path)
    assert second.dataset.name == dataset.name and second.latest() == []
    second.fill([Measured("k=1", "accuracy", (0.3,))])
    assert [row.measured for row in second.latest()] == ["0.3000"]
    assert [row.measured for row in ledger(dataset, tmp_path).latest()] == ["0.1000", "0.2000"]
    assert len(read_rows(first.path)) == 3


def test_the_same_figures_are_not_written_twice_in_a_row(dataset, tmp_path):
    book = ledger(dataset, tmp_path)
    book.fill([Measured("k=1", "accuracy", (0.1,), seconds=2.0), Measured("k=2", "accuracy", (0.2,))])
    book.fill([Measured("k=1", "accuracy", (0.1,), seconds=2.0), Measured("k=2", "accuracy", (0.2,))])
    assert len(book.rows) == 2
    # measured anew, it took another time
    book.fill([Measured("k=1", "accuracy", (0.1,), seconds=3.0), Measured("k=2", "accuracy", (0.2,))])
    assert [row.seconds for row in read_rows(book.path)] == ["2.0", "", "3.0", ""]


def test_a_recorded_command_can_be_run_again(dataset, tmp_path):
    command = ["python", "scripts/reproduce.py", "own-fastnet", "--only", "fastnet, wide"]
    book = Ledger(tmp_path / "t.csv", "t", dataset, command, 1)
    book.fill([Measured("k=1", "accuracy", (0.1,))])
    assert shlex.split(read_rows(book.path)[0].command) == command


def test_a_figure_too_small_for_four_digits_is_not_written_as_0(dataset, tmp_path):
    book = ledger(dataset, tmp_path)
    book.fill([Measured("a", "p", (value,)) for value in (9.18e-87, 4.9e-5, 0.00037, 0.0)])
    assert [row.measured for row in read_rows(book.path)] == ["9.18e-87", "4.9e-05", "0.0004", "0"]


def test_the_same_figures_after_a_failure_count_again(dataset, tmp_path):
    book = ledger(dataset, tmp_path)
    book.fill([Measured("k=1", "accuracy", (0.1,))])
    book.fail("all", "out of memory")
    book.fill([Measured("k=1", "accuracy", (0.1,))])
    assert book.has_done() and len(book.rows) == 3


@pytest.mark.parametrize(("known", "reported"), [("scene15", 0.2233), ("synthetic", None), (None, None)])
def test_what_was_reported_stands_beside_the_same_images_only(dataset, monkeypatch, known, reported):
    monkeypatch.setattr("experiments.tables.known_set", lambda dataset: known)
    found = next(measurements("r1-tiny-k", dataset, 1, False))
    assert (found.setting, found.reported) == ("k=1", reported)


def test_files_that_git_does_not_track_do_not_make_a_commit_dirty(tmp_path, monkeypatch):
    def git(*arguments):
        subprocess.run(["git", "-C", tmp_path, "-c", "user.name=a", "-c", "user.email=a@b", *arguments],
                       check=True, capture_output=True)  # fmt: skip

    (tmp_path / "file.py").write_text("1\n")
    git("init")
    git("add", ".")
    git("commit", "-m", "first")
    monkeypatch.setattr("experiments.tables.PROJECT", tmp_path)
    (tmp_path / "mine.txt").write_text("notes\n")
    clean = commit.__wrapped__()
    assert len(clean) == 12
    (tmp_path / "file.py").write_text("2\n")
    assert commit.__wrapped__() == f"{clean}-dirty"


def test_a_file_with_another_header_is_left_alone(dataset, tmp_path):
    (tmp_path / "r1-tiny-k.csv").write_text("a,b\n1,2\n", "utf-8")
    with pytest.raises(ValueError, match="header is not that of a results table"):
        ledger(dataset, tmp_path)


def test_bags_are_measured_over_five_seeds_and_ten_k(dataset):
    found = [m for m in EXPERIMENTS["r1-bow-k"](dataset, 1, False) if m.metric == "accuracy"]
    assert [m.setting for m in found] == [f"k={k}" for k in range(1, 11)]
    assert all(len(m.values) == len(SEEDS) == 5 and m.seconds > 0 for m in found)


def test_a_failed_experiment_leaves_one_row_with_the_reason_and_is_run_again(dataset, tmp_path):
    def broken():
        yield Measured("k=1", "accuracy", (0.5,))
        raise ValueError("no such\nthing")

    book = ledger(dataset, tmp_path)
    with pytest.raises(ValueError, match="no such"):
        book.fill(broken())
    (row,) = read_rows(book.path)
    assert (row.status, row.reason, row.measured) == ("failed", "no such thing", "")
    assert not book.has_done()
    book.fill([Measured("k=1", "accuracy", (0.5,))])
    assert book.has_done()
