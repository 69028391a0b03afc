"""Network experiments run: rows as soon as there are any, nothing done twice, failures kept."""

import math
import shutil
from dataclasses import replace

import numpy as np
import pytest

from experiments.network_tables import NETWORK_EXPERIMENTS, R3_PANELS, Experiment, Setting
from experiments.tables import DIVERGED, read_rows

torch = pytest.importorskip("torch")

from experiments import network_runs  # noqa: E402
from experiments.network_runs import Call, Runner, merged_accuracy  # noqa: E402
from reports import RunRecord, read_run, write_run  # noqa: E402


def setting(label="plain", **changes) -> Setting:
    return Setting(label, "cifar_plain", "r3", changes, reported={"accuracy": 0.5})


@pytest.fixture
def trial(monkeypatch, small_folder, tmp_path):
    """trial(settings, fresh=False): runs them as the experiment "trial"; gives rows and failed labels."""

    def trial(*settings, lite=True, train_images=None, only=(), seeds=(), **flags):
        experiment = Experiment("trial", "R3", "A trial", "cifar10", settings, panels=R3_PANELS,
                                train_images=train_images)  # fmt: skip
        monkeypatch.setitem(NETWORK_EXPERIMENTS, "trial", experiment)
        call = Call(tmp_path / "runs", tmp_path / "results", tmp_path / "pages", ["python", "x"],
                    data=str(small_folder), lite=lite, jobs=1, device="cpu", **flags)  # fmt: skip
        _, failed = Runner(call).run("trial", only, seeds)
        return read_rows(tmp_path / "results" / "trial.csv"), failed

    return trial


def test_a_training_gives_a_row_a_metric_a_run_folder_and_its_curves(trial, tmp_path):
    rows, failed = trial(setting())
    assert failed == []
    found = {row.metric: row for row in rows}
    assert {"accuracy", "train accuracy", "train loss", "training seconds", "images per second", "MB", "MACs",
            "parameters", "epoch seconds", "generalisation gap"} <= set(found)  # fmt: skip
    assert {(row.report, row.setting, row.status, row.seeds, row.n_test) for row in rows} == {
        ("R3", "plain", "done", "0", "6")
    }
    assert found["accuracy"].reported == ""  # of other images than the report's
    gap = float(found["train accuracy"].measured) - float(found["accuracy"].measured)
    assert math.isclose(float(found["generalisation gap"].measured), gap, abs_tol=2e-4)
    (run,) = (tmp_path / "runs").glob("*-trial-plain")
    assert (run / "predictions.csv").is_file() and not (run / "model.safetensors").exists()
    assert [path.name for path in (tmp_path / "pages" / "r3").iterdir()] == ["trial-plain-curves.svg"]


def test_the_part_that_epochs_are_chosen_on_has_rows_where_there_is_one(trial):
    rows, _ = trial(setting(keep="best", fit_all=False, heldout_curve=False))
    metrics = {row.metric for row in rows}
    assert {"select accuracy", "select loss"} <= metrics and "held-out loss" not in metrics


def test_what_has_its_rows_is_not_trained_again_unless_fresh(trial, tmp_path):
    first, _ = trial(setting())
    again, _ = trial(setting(), setting("second"))
    assert again[: len(first)] == first
    assert {row.setting for row in again[len(first) :]} == {"second"}
    fresh, _ = trial(setting(), fresh=True)
    assert len(fresh) == len(again) + len(first)


def test_a_setting_that_fails_costs_its_own_row_and_is_tried_again(trial):
    too_large = setting("too large", size_limit=1000)
    rows, failed = trial(too_large, setting())
    assert failed == ["too large"]
    assert (rows[0].status, rows[0].measured) == ("failed", "") and "over the limit" in rows[0].reason
    assert {row.setting for row in rows[1:]} == {"plain"}
    rows, failed = trial(too_large, setting())
    assert failed == ["too large"] and rows[-1].setting == "too large"


def test_several_seeds_have_a_row_each_and_one_of_their_mean(trial, tmp_path):
    few = {"epochs": 1, "batch_size": 4}
    several = replace(setting(**few), seeds=(0, 1, 2))
    assert {row.seeds for row in trial(replace(several, seeds=(0,)), lite=False, precision="fp32")[0]} == {
        "0"
    }
    rows, _ = trial(several, lite=False, precision="fp32")
    found = {row.seeds: row for row in rows if row.metric == "accuracy"}
    assert list(found) == ["0", "1", "2", "0 1 2"]
    single = [float(found[seed].measured) for seed in "012"]
    assert math.isclose(float(found["0 1 2"].measured), np.mean(single), abs_tol=1e-4)
    assert math.isclose(float(found["0 1 2"].spread), np.std(single, ddof=1), abs_tol=1e-4)
    assert found["0 1 2"].n_seeds == "3" and found["0"].spread == ""
    assert len(list((tmp_path / "runs").glob("*-trial-plain-seed[12]"))) == 2  # the first was not redone
    assert trial(several, lite=False, precision="fp32")[0] == rows
    assert {row.seeds for row in trial(several)[0]} == {"0", "1", "2", "0 1 2"}  # a look takes one seed


def test_some_settings_and_seeds_can_be_asked_for_alone(trial):
    few = {"epochs": 1, "batch_size": 4}
    both = replace(setting(**few), seeds=(0, 1)), setting("second", **few)
    rows, _ = trial(*both, only=["plain"], seeds=[1], lite=False, precision="fp32")
    assert {(row.setting, row.seeds) for row in rows} == {("plain", "1")}
    rows, _ = trial(*both, only=["plain"], lite=False, precision="fp32")
    assert {(row.setting, row.seeds) for row in rows} == {("plain", seeds) for seeds in ("1", "0", "0 1")}


def test_a_part_of_the_training_images_has_as_many_of_each_class_and_says_so(trial, tmp_path, capsys):
    trial(setting(epochs=1, batch_size=2), lite=False, train_images=6, precision="fp32")
    assert "6 of the training images (seed 0)" in capsys.readouterr().out
    (run,) = (tmp_path / "runs").glob("*-trial-plain")
    assert read_run(run).result["n_train"] == 6 and read_run(run).result["training"]["n_fit"] == 6


def test_a_training_that_diverges_is_a_result_and_not_done_again(trial):
    rows, failed = trial(setting("wild", optimizer="sgd", lr=1e8))
    assert failed == []
    (row,) = rows
    assert row.status == "failed" and row.reason == f"{DIVERGED} 1"
    assert trial(setting("wild", optimizer="sgd", lr=1e8))[0] == rows


def test_a_training_is_a_result_too_whose_last_weights_give_no_numbers(trial, monkeypatch, tmp_path):
    from experiments import cnn

    scored = []

    def no_numbers_of_trained_weights(saved, images, *rest):
        scored.append(class_scores(saved, images, *rest))
        # the trained network, its checkpoint, the untrained one
        return scored[-1] * (math.nan if len(scored) < 3 else 1)

    class_scores = cnn.class_scores
    monkeypatch.setattr(cnn, "class_scores", no_numbers_of_trained_weights)
    monkeypatch.setattr("deep.training.mean_loss", lambda *a: math.nan)
    rows, failed = trial(setting("wild"))
    assert failed == [] and rows[-1].reason == f"{DIVERGED} 1"
    (run,) = (tmp_path / "runs").glob("*-trial-wild")
    assert np.array_equal(read_run(run).scores, scored[2]) and not np.array_equal(scored[1], scored[2])
    assert rows[-1].measured == f"{read_run(run).result['accuracy']:.4f}"
    assert list((tmp_path / "runs").glob(".unfinished/*")) == []
    assert (tmp_path / "pages" / "r3" / "trial-wild-curves.svg").is_file()


def test_a_stopped_training_goes_on(trial, monkeypatch, tmp_path):
    def killed(*args, **kwargs):
        raise KeyboardInterrupt

    asked = []
    train_job = network_runs.train_job
    monkeypatch.setattr("experiments.cnn.write_run", killed)
    with pytest.raises(KeyboardInterrupt):
        trial(setting())
    assert list((tmp_path / "runs" / ".unfinished").iterdir())
    monkeypatch.undo()
    monkeypatch.setattr(
        network_runs, "train_job", lambda *a, **k: asked.append(train_job(*a, **k)) or asked[-1]
    )
    rows, _ = trial(setting())
    assert asked[0].trained.resumed and {row.status for row in rows} == {"done"}


def test_merged_accuracy_counts_a_digit_of_the_same_group_as_right(tmp_path):
    # 0 for 6 is right after merging, 1 for 4 is not, 9 for 9 was right before
    classes = [str(digit) for digit in range(10)]
    record = RunRecord(
        name="x", command=[], classes=classes, filenames=["a", "b", "c"], labels=["0", "1", "9"],
        predicted=["6", "4", "9"], scores=torch.full((3, 10), 0.1).numpy(), n_train=10,
    )  # fmt: skip
    folder = write_run(tmp_path, record)
    groups = ((0, 6), (1, 7), (2, 3, 5, 8), (4, 9))
    assert merged_accuracy(folder, groups) == pytest.approx(2 / 3)
    assert merged_accuracy(folder, groups[:3]) is None


def test_what_was_reported_stands_beside_the_reports_own_set_only(trial, monkeypatch):
    load = network_runs.load_network_data
    for name, reported in (("cifar10", "0.5000"), ("photos", "")):
        monkeypatch.setattr(
            network_runs, "load_network_data", lambda *a, name=name, **k: replace(load(*a, **k), name=name)
        )
        rows, _ = trial(setting(name))
        found = {row.metric: row.reported for row in rows if row.setting == name}
        assert (found["accuracy"], found["train loss"]) == (reported, "")


def test_experiments_of_other_sets_have_images_of_their_own(small_folder, tmp_path, monkeypatch):
    monkeypatch.delenv("SCENEBENCH_DATA", raising=False)
    monkeypatch.setattr("experiments.data.PROJECT", tmp_path)
    shutil.copytree(small_folder, tmp_path / "data" / "scene15")
    runner = Runner(Call(tmp_path, tmp_path, tmp_path, [], lite=True, device="cpu"))
    found = []
    for name in ("own-tiny50k", "cnn-scene15"):
        experiment = NETWORK_EXPERIMENTS[name]
        first = experiment.settings[0]
        found.append(runner._images(experiment, first, network_runs.chosen_recipe(first, lite=True)).name)
    assert found == ["synthetic", "scene15"]


def test_digits_are_merged_and_other_classes_are_left_out(small_folder, tmp_path, capsys):
    call = Call(tmp_path / "runs", tmp_path / "results", tmp_path / "pages", [], data=str(small_folder),
                lite=True, device="cpu")  # fmt: skip
    assert Runner(call).run("r4-merged") == (None, [])
    assert "needs the digits" in capsys.readouterr().out
