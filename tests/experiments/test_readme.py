"""README's tables from results tables."""

import csv

import pytest

from experiments.benchmark_table import read_benchmarks, write_benchmark
from experiments.readme import SPEED, TABLES, Results, filled
from experiments.tables import HEADER
from scenes.dataset import committed_fingerprint

SCENE15 = committed_fingerprint("scene15")["test"]


def write(folder, experiment, *rows, fingerprint=SCENE15):
    """A results table with rows of (setting, metric, reported, measured, spread, seconds)."""
    lines = [HEADER]
    for setting, metric, reported, measured, spread, seconds in rows:
        cells = dict.fromkeys(HEADER, "") | {
            "experiment": experiment, "dataset": "scene15", "fingerprint": fingerprint,
            "setting": setting, "metric": metric,
            "reported": reported, "measured": measured, "spread": spread, "seconds": seconds, "n_seeds": "5",
            "status": "done",
        }  # fmt: skip
        lines.append([cells[name] for name in HEADER])
    with open(folder / f"{experiment}.csv", "w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(lines)


def test_a_table_is_made_of_the_last_row_of_each_setting(tmp_path):
    write(
        tmp_path, "r1-bow-words",
        ("words=10", "accuracy", "", "0.3000", "0.0100", "9.0"),
        ("words=25", "accuracy", "", "0.4000", "", "11.5"),
        ("words=10", "accuracy", "", "0.3111", "0.0200", "8.0"),
    )  # fmt: skip
    page = filled("before\n<!-- table: words -->\nold\n<!-- end -->\nafter\n", tmp_path)
    assert page == (
        "before\n<!-- table: words -->\n"
        "| words | measured | seeds | seconds |\n|---|---|---|---|\n"
        "| 10 | 0.3111 ± 0.0200 | 5 | 8.0 |\n| 25 | 0.4000 | 5 | 11.5 |\n"
        "<!-- end -->\nafter\n"
    )
    assert filled(page, tmp_path) == page


def test_rows_of_other_images_do_not_count_whatever_their_name(tmp_path):
    write(tmp_path, "r1-bow-words", ("words=10", "accuracy", "", "0.9", "", "9.0"), fingerprint="0" * 64)
    assert Results(tmp_path).rows("r1-bow-words") == []


def test_an_unknown_table_is_named_with_those_there_are(tmp_path):
    with pytest.raises(ValueError, match=f"no table is called nonsense: use {', '.join(TABLES)}"):
        filled("<!-- table: nonsense -->\n<!-- end -->\n", tmp_path)


def test_a_missing_row_says_which_command_makes_it(tmp_path):
    with pytest.raises(ValueError, match=r"no row .*k=1.*: run python scripts/reproduce.py r1-tiny-k"):
        filled("<!-- table: k -->\n<!-- end -->\n", tmp_path)


def test_both_families_stand_side_by_side_with_their_intervals(tmp_path):
    whole = (("accuracy", "0.6"), ("interval low", "0.57504"), ("interval high", "0.62441"))
    write(
        tmp_path, "compare-scene15",
        *(("bag of SIFT, 8-NN", metric, "", value, "", "") for metric, value in whole),
    )  # fmt: skip
    table = filled("<!-- table: families -->\n<!-- end -->\n", tmp_path).splitlines()
    assert "| bag of SIFT, 8-NN | all | 0.600 (0.575 to 0.624) |  |" in table
    assert "| bag of SIFT, 8-NN | 32 | owed | owed |" in table


def test_the_table_of_speed_turns_ratios_round_and_says_what_is_owed(tmp_path):
    write_benchmark(
        claim=SPEED[0], ours="ours", peer="theirs", work="8 images", ours_seconds=0.5, peer_seconds=4.0,
        ratios=(0.125, 0.1, 0.2), threads=1, command=["benchmarks/x.py"], packages=(),
        path=tmp_path / "benchmarks.csv",
    )  # fmt: skip
    table = filled("<!-- table: speed -->\n<!-- end -->\n", tmp_path).splitlines()
    assert f"| {SPEED[0]} | 0.5 s | theirs, 4 s | 8 | 5 to 10 | 3 | 8 images |" in table
    assert f"| {SPEED[1]} | owed |  |  |  |  |  |" in table
    every = filled("<!-- table: measurements -->\n<!-- end -->\n", tmp_path).splitlines()
    assert f"| {SPEED[0]} | 0.5 | 4 | 0.125 | 0.1 to 0.2 | 1 | 8 images |" in every


def test_every_claim_of_the_table_of_speed_was_measured():
    assert set(SPEED) <= {row["claim"] for row in read_benchmarks()}
