"""The table of benchmarks: its header is fixed, rows are appended and none is lost."""

import csv
import time

import pytest

from experiments.benchmark_table import HEADER, PATH, read_benchmarks, side_by_side, write_benchmark


def write(path, ratios=(0.5, 0.3, 0.4)):
    write_benchmark(
        claim="ours is faster", ours="a", peer="b", work="100 images, 3 runs", ours_seconds=1.234,
        peer_seconds=3.0, ratios=ratios, threads=2, command=["benchmarks/x.py", "--n", "3"],
        packages=("numpy",), path=path,
    )  # fmt: skip


def test_rows_are_appended_under_one_header(tmp_path):
    path = tmp_path / "new" / "benchmarks.csv"
    write(path)
    write(path, ratios=(1.0,))
    with path.open(newline="") as file:
        first, second = csv.DictReader(file)
    assert tuple(first) == HEADER
    shown = [first[name] for name in ("ratio", "ratio_min", "ratio_max", "runs")]
    assert shown == ["0.4", "0.3", "0.5", "3"]
    assert first["ours_seconds"] == "1.234" and first["command"] == "python benchmarks/x.py --n 3"
    assert first["work"] == "100 images, 3 runs" and first["versions"].startswith("numpy ")
    assert second["ratio"] == "1" and second["status"] == "done"
    assert read_benchmarks(path) == [second] and read_benchmarks(tmp_path / "none.csv") == []


def test_two_ways_are_timed_in_turns_each_once_before(tmp_path, capsys):
    order = []

    def taking(name, seconds):
        return name, lambda: (order.append(name), time.sleep(seconds))

    path = tmp_path / "b.csv"
    ratio = side_by_side("a is slow", ours=taking("a", 0.04), peer=taking("b", 0.01), work="two naps",
                         threads=1, packages=("numpy",), runs=3, peer_share=0.5, path=path)  # fmt: skip
    assert order == ["a", "b", "a", "b", "b", "a", "a", "b"]
    (row,) = read_benchmarks(path)
    assert 1 < ratio < 2.5 and float(row["ratio"]) == pytest.approx(ratio, abs=1e-3)
    assert row["runs"] == "3" and (row["ours"], row["peer"]) == ("a", "b")
    assert float(row["peer_seconds"]) >= 0.02
    assert capsys.readouterr().out.startswith("a is slow: a 0.04")


def test_the_committed_table_has_this_header():
    assert not PATH.exists() or PATH.read_text("utf-8").splitlines()[0] == ",".join(HEADER)
