"""What is checked before any work, and how settings become names and lines."""

import pytest

from experiments.classical import Voting, classify, tiny_vectors
from experiments.tabulate import Outcome, aligned, check_request, present
from features import TinyImage
from reports import read_table_run
from scenes import SceneDataset


@pytest.fixture
def dataset(small_folder) -> SceneDataset:
    return SceneDataset.from_folder(small_folder).scan()


def test_a_good_request_passes_and_makes_nothing(dataset, tmp_path):
    check_request(dataset, {"k": [1, 12], "metric": ["chi2"]}, tmp_path / "deep" / "runs")
    assert not (tmp_path / "deep").exists()


@pytest.mark.parametrize("k", [0, -3, 13])
def test_k_must_lie_between_1_and_the_training_images(dataset, tmp_path, k):
    with pytest.raises(ValueError, match=f"--k is {k}: give 1 to 12, the number of training images"):
        check_request(dataset, {"k": [1, k]}, tmp_path)


@pytest.mark.parametrize(
    ("several", "line"),
    [
        ({"k": [1, 2, 1]}, "--k names 1 twice"),
        ({"k": [1], "vocab_size": [8, 8]}, "--vocab-size names 8 twice"),
        ({"k": [1], "step": [(1, 2), (2, 1), (1, 2)]}, "--step names 1x2 twice"),
    ],
)
def test_a_value_twice_is_refused(dataset, tmp_path, several, line):
    with pytest.raises(ValueError, match=line):
        check_request(dataset, several, tmp_path)


def test_an_exponent_that_no_metric_reads_is_refused(dataset, tmp_path):
    several = {"k": [1], "metric": ["cityblock"]}
    with pytest.raises(ValueError, match="--p 3 is the exponent of --metric minkowski"):
        check_request(dataset, several, tmp_path, 3)
    check_request(dataset, several | {"metric": ["cityblock", "minkowski"]}, tmp_path, 3)


def test_a_file_above_the_runs_folder_is_named(dataset, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError) as caught:
        check_request(dataset, {"k": [1]}, tmp_path / "file" / "runs")
    assert caught.value.filename == str(tmp_path / "file")


def test_columns_are_as_wide_as_their_widest_cell():
    assert aligned([["k", "accuracy"], ["10", "0.5"]]) == [" k  accuracy", "10       0.5"]


def test_issues_of_several_settings_are_said_once_each_below_the_table(dataset, tmp_path, capsys):
    encoded = tiny_vectors(dataset, TinyImage(n_jobs=1))
    records = classify(dataset, encoded, Voting((3, 5)), name="tiny", command=["x"], n_settings=2, n_jobs=1)
    outcomes = [
        Outcome({"metric": "cityblock", "k": record.config["k"]}, record, encoded) for record in records
    ]
    folder = present(outcomes, {"metric": ["cityblock"], "k": [3, 5]}, tmp_path, "tiny")
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == str(folder) and lines[1].split()[0] == "k"
    # classes of 4 training images
    assert any(
        line.startswith("SB005 in 1 of 2 settings: k = 5") and "(k5/report.txt)" in line for line in lines
    )
    assert any(line.startswith("SB008 in all settings: ") for line in lines)
    assert "SB005" in (folder / "k5" / "report.txt").read_text("utf-8")


def test_names_say_what_varies_and_nothing_else(dataset, tmp_path, capsys):
    several = {"size": [4, (2, 6)], "norm": ["l2"], "metric": ["cityblock", "cosine"], "k": [3]}
    outcomes = []
    for size in several["size"]:
        encoded = tiny_vectors(dataset, TinyImage(size, norm="l2", n_jobs=1))
        for metric in several["metric"]:
            voting = Voting((3,), metric)
            (record,) = classify(dataset, encoded, voting, name="tiny", command=["x"], n_jobs=1)
            setting = {"size": size, "norm": "l2", "metric": metric, "k": 3}
            outcomes.append(Outcome(setting, record, encoded))
    folder = present(outcomes, several, tmp_path, "tiny")
    rows, runs = read_table_run(folder)
    names = ["size4-cityblock", "size4-cosine", "size2x6-cityblock", "size2x6-cosine"]
    assert [row["run"] for row in rows] == names
    assert [outcome.accuracy for outcome in outcomes] == [runs[name].result["accuracy"] for name in names]
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == str(folder)
    assert lines[1].split() == ["size", "metric", "accuracy", "95", "%", "interval", "seconds"]
    assert [line.split()[:2] for line in lines[2:6]] == [
        ["4", "cityblock"], ["4", "cosine"], ["2x6", "cityblock"], ["2x6", "cosine"],
    ]  # fmt: skip
