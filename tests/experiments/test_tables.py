"""Rows of the results tables: what they hold, when they count, and that experiments make them."""

import statistics

import pytest

from experiments.data import load_data
from experiments.tables import EXPERIMENTS, HEADER, SEEDS, Ledger, Measured, read_rows

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
    row = ledger(dataset, tmp_path).add(Measured("k=1", "accuracy", (0.5, 0.7), 0.6, 12.34, (0, 1)))
    assert (row.measured, row.spread, row.n_seeds, row.seeds) == ("0.6000", "0.1414", "2", "0 1")
    assert row.spread == f"{statistics.stdev((0.5, 0.7)):.4f}"
    assert (row.reported, row.seconds, row.n_test, row.status) == ("0.6000", "12.3", "9", "done")
    assert row.fingerprint == dataset.fingerprint["test"]
    assert read_rows(tmp_path / "r1-tiny-k.csv") == [row]


def test_one_seed_has_no_spread(dataset, tmp_path):
    assert ledger(dataset, tmp_path).add(Measured("k=1", "accuracy", (0.5,))).spread == ""


def test_the_last_row_of_a_key_counts_and_all_are_kept(dataset, tmp_path):
    book = ledger(dataset, tmp_path)
    for value in (0.1, 0.2):
        book.add(Measured("k=1", "accuracy", (value,)))
    assert [row.measured for row in book.latest()] == ["0.2000"]
    assert len(read_rows(book.path)) == 2


def test_an_experiment_is_done_for_its_own_images_only(dataset, small_folder, tmp_path):
    book = ledger(dataset, tmp_path)
    assert not book.has_done()
    book.add(Measured("k=1", "accuracy", (0.1,)))
    assert ledger(dataset, tmp_path).has_done()
    next((small_folder / "test" / "bars").iterdir()).unlink()
    assert not ledger(load_data(small_folder)[0], tmp_path).has_done()


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
