"""reproduce.py: networks and their pages, beside the classical experiments."""

import csv
import subprocess
import sys
from pathlib import Path

import pytest

from experiments.network_tables import GROUPS, NETWORK_EXPERIMENTS
from experiments.tables import DIVERGED, EXPERIMENTS

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "reproduce.py"


PROJECT = SCRIPT.parents[1]


def rows(runs: Path, experiment: str) -> list[dict]:
    folder = runs / "lite" if experiment in NETWORK_EXPERIMENTS else runs
    with (folder / "results" / f"{experiment}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def reproduced(call, runs: Path, *arguments):
    done = call("reproduce", *arguments, "--lite", "--runs-dir", runs)
    assert done.code == 0, done.err
    return done


@pytest.mark.parametrize(
    ("experiment", "setting"),
    [("r1-cnn-final", "resnet18, own recipe"), ("r2-lr", "lr 0.01"), ("r3-networks", "50k"),
     ("r4-digits", "10 classes"),
     pytest.param("r5-bce", "alexnet_227, BCE", marks=pytest.mark.slow)],
)  # fmt: skip
def test_an_experiment_of_each_report_leaves_rows_figures_and_its_page(
    call, small_folder, tmp_path, experiment, setting
):
    runs = tmp_path / "runs"
    done = reproduced(call, runs, experiment, "--data", small_folder, "--device", "cpu")
    each = NETWORK_EXPERIMENTS[experiment]
    page = runs / "lite" / "reports" / f"{each.report.lower()}.md"
    assert done.folder == page
    labels = {row["setting"] for row in rows(runs, experiment) if row["status"] == "done"}
    assert labels == {other.label for other in each.settings} and setting in labels
    (accuracy,) = [row for row in rows(runs, experiment)
                   if (row["setting"], row["metric"]) == (setting, "accuracy")]  # fmt: skip
    assert accuracy["report"] == each.report and accuracy["n_test"] == "6"
    text = page.read_text("utf-8")
    assert f"| {setting} |" in text and f"{float(accuracy['measured']):.4f}" in text
    assert f"{experiment}-" in text and len(list(page.parent.glob("*/*-curves.svg"))) == len(labels)
    # the second call shows the same and trains nothing
    trained = sorted(runs.iterdir())
    again = reproduced(call, runs, experiment, "--data", small_folder, "--device", "cpu")
    assert sorted(runs.iterdir()) == trained and page.read_text("utf-8") == text
    assert [line for line in again.lines if line.endswith(", 1 epochs")] == []


def test_a_look_does_not_stand_for_a_whole_training(call, small_folder, tmp_path, monkeypatch):
    runs = tmp_path / "runs"
    where = ("r3-ablation", "--data", small_folder, "--device", "cpu")
    reproduced(call, runs, *where)
    trained = []
    monkeypatch.setattr(
        "experiments.network_runs.Runner._train",
        lambda self, experiment, setting, *rest: trained.append(setting),
    )
    done = call("reproduce", *where, "--runs-dir", runs)
    assert done.code == 0 and len(trained) == 4


def test_experiments_come_in_the_order_of_the_reports_and_a_page_at_the_end(call, small_folder, tmp_path):
    done = reproduced(call, tmp_path / "runs", "r3-ablation", "r3-networks", "--data", small_folder)
    heads = [line.split(":")[0] for line in done.lines if line.startswith("r3-") and ", 1 " not in line]
    assert heads == ["r3-networks", "r3-ablation"]
    assert ["plain", "accuracy"] in [line.split()[:2] for line in done.lines]
    assert [line for line in done.lines if line.endswith("r3.md")] == done.lines[-1:]


def test_without_any_set_networks_take_synthetic_images_and_leave_results_alone(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if (PROJECT / "data" / "mnist").is_dir():
        pytest.skip("the digits are in data/")
    before = sorted((PROJECT / "results").iterdir())
    done = call("reproduce", "r4-merged", "--runs-dir", tmp_path / "runs")
    assert done.folder == tmp_path / "runs" / "reports" / "r4.md"
    assert sorted((PROJECT / "results").iterdir()) == before


def test_pages_alone_are_written_from_what_there_is(call, tmp_path):
    done = reproduced(call, tmp_path / "runs", "pages")
    assert [Path(line).name for line in done.lines] == [
        f"{page}.md" for page in ("r1", "r2", "r3", "r4", "r5", "own")
    ]


def test_an_unknown_experiment_is_refused_with_all_names(call):
    done = call("reproduce", "r6")
    assert done.code == 2 and done.err.count("\n") == 1
    for name in (*GROUPS, *EXPERIMENTS, *NETWORK_EXPERIMENTS):
        assert name in done.err


def test_only_some_settings_of_an_experiment(call, small_folder, tmp_path):
    chosen = ["without skips", "without both"]
    reproduced(call, tmp_path, "r3-ablation", "--only", *chosen, "--data", small_folder)
    assert {row["setting"] for row in rows(tmp_path, "r3-ablation")} == set(chosen)
    done = call("reproduce", "r3-ablation", "--only", "with skips")
    assert done.code == 2 and "no such setting: there are residual, as it is; without dropout" in done.err
    done = call("reproduce", "r1-tiny-k", "--only", "k=1")
    assert done.code == 2 and "none without a network" in done.err


def test_networks_have_the_set_of_their_report(call, tmp_path):
    for names in (("r3-networks",), ("compare-cifar10",), ("r1-tiny-k", "r3-networks")):
        done = call("reproduce", *names, "--dataset", "mnist", "--runs-dir", tmp_path)
        assert (done.code, done.err.count("\n")) == (2, 1) and "--dataset mnist" in done.err
        assert done.out == "" and not any(tmp_path.iterdir())  # nothing was run before


def test_a_device_that_is_not_there_is_one_line(call, tmp_path):
    done = call("reproduce", "r4-digits", "--lite", "--runs-dir", tmp_path, "--device", "tpu")
    assert (done.code, done.err.count("\n")) == (2, 1) and "tpu" in done.err


def test_without_torch_classical_experiments_run_and_networks_say_what_is_missing(small_folder, tmp_path):
    (tmp_path / "torch.py").write_text("raise ModuleNotFoundError(\"No module named 'torch'\", name='torch')")
    code = (
        f"import runpy, sys; sys.path.insert(0, {str(tmp_path)!r}); sys.argv[0] = 'reproduce.py'; "
        f"runpy.run_path({str(SCRIPT)!r}, run_name='__main__')"
    )

    def run(name: str):
        command = [sys.executable, "-c", code, name, "--lite", "--data", small_folder, "--runs-dir", "runs"]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)

    assert run("r1-tiny-k").returncode == 0
    done = run("r4-digits")
    assert done.returncode == 2 and done.stderr.startswith("error: torch is missing")
    assert done.stderr.count("\n") == 1


@pytest.mark.slow
@pytest.mark.parametrize("real", [pytest.param(True, marks=pytest.mark.data), False])
def test_all_of_it_runs_through(call, tmp_path, monkeypatch, real):
    runs = tmp_path / "runs"
    reproduced(call, runs, "all", *(() if real else ("--dataset", "synthetic")))
    left_out = set() if real else {"r4-merged"}
    for name in {*EXPERIMENTS, *NETWORK_EXPERIMENTS} - left_out:
        # a rate of 1.0 may leave no numbers, which is a result
        failed = {row["reason"] for row in rows(runs, name) if row["status"] != "done"}
        assert failed == {reason for reason in failed if reason.startswith(DIVERGED)}, name
    assert len(list((runs / "lite" / "reports").glob("*.md"))) == 6
