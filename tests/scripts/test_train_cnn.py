"""train_cnn.py: run folders, resuming, sweeps, every kind of data, and what is refused."""

import csv
import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from deep.checkpoints import FILE_NAME as CHECKPOINT
from deep.training import Trainer
from deep.weights import load_saved
from experiments.cnn import class_scores
from experiments.network_data import load_network_data
from reports import read_run, read_table_run

FEW = ("--epochs", 2, "--batch-size", 5)


@pytest.fixture(autouse=True)
def _in_this_process(request, monkeypatch, tmp_path):
    """No data but what is named, few pictures."""
    monkeypatch.chdir(tmp_path)
    if "pictures" not in request.fixturenames:

        def sketch(history, stem, title) -> None:
            for suffix in (".png", ".svg"):
                figures = [[v for k, v in row.items() if k != "seconds"] for row in history]
                stem.with_suffix(suffix).write_text(repr((figures, title)))

        monkeypatch.setattr("experiments.cnn.learning_curves_figure", sketch)


@pytest.fixture
def train(call, gratings, tmp_path):
    """train(...): lenet_modern on the gratings, two epochs, into runs/."""

    def train(*arguments, model="lenet_modern", precision="fp32"):
        exact = () if precision is None else ("--precision", precision)
        return call("train_cnn", "--model", model, "--data", gratings, "--runs-dir", tmp_path / "runs", *FEW,
                    *exact, *arguments)  # fmt: skip

    return train


@pytest.fixture
def wrong(refused, gratings, tmp_path):
    """wrong(..., says=...): refused with one line, nothing written."""

    def wrong(*arguments, says, model="lenet_modern", data=None):
        refused("train_cnn", "--model", model, "--data", data or gratings, "--runs-dir", tmp_path / "runs",
                *FEW, *arguments, says=says)  # fmt: skip

    return wrong


def screen_table(called) -> list[str]:
    """The lines that end with a sweep's tables: what stands before the checks and the folder."""
    lines = called.lines[:-1]
    checks = [i for i, line in enumerate(lines) if line.startswith("SB")]
    return lines[: checks[0] - 1] if checks else lines


def timeless(path) -> list[list[str]]:
    return [row[:-1] for row in csv.reader(path.read_text().splitlines())]


# ----------------------------------------------------------------------------- the run folder


def test_a_run_folder_holds_what_its_format_says(train, pictures):
    called = train("--half", "--set", "heldout_curve=false")
    result = called.result
    assert {file.name for file in called.folder.iterdir()} == {
        "result.json", "predictions.csv", "scores.npz", "confusion.png", "confusion.svg", "report.txt",
        "model.safetensors", "model-fp16.safetensors", "metrics.csv", "curves.png", "curves.svg",
        "layers.csv", "diagram.svg", "report.html", "tables.md", "tables.tex",
    }  # fmt: skip
    assert not (called.folder.parent / ".unfinished").exists()
    assert result["name"] == "lenet_modern" and result["selection"] == "none"
    assert result["model"]["file_bytes"] == (called.folder / "model.safetensors").stat().st_size
    assert result["model"]["parameters"] == 82_826 - 7 * 85  # 3 classes, not 10
    assert result["config"]["recipe"]["batch_size"] == 5 and result["config"]["precision"] == "fp32"
    assert result["n_train"] == 18 and result["n_test"] == 15
    assert result["timings"]["training"] > 0 and result["environment"]["versions"]["torch"]
    assert 2 * (called.folder / "model-fp16.safetensors").stat().st_size < 1.1 * result["model"]["file_bytes"]
    lines = (called.folder / "metrics.csv").read_text().splitlines()
    assert lines[0] == ("epoch,train_loss,train_accuracy,select_loss,select_accuracy,heldout_loss,"
                        "heldout_accuracy,lr,seconds")  # fmt: skip
    rows = list(csv.DictReader(lines))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert all(row["heldout_loss"] == row["heldout_accuracy"] == "" for row in rows)
    assert (called.folder / "curves.png").read_bytes()[:4] == b"\x89PNG"
    assert "accuracy" in called.lines[-2] and read_run(called.folder).result == result


def test_a_reports_own_recipe_draws_the_heldout_curve_and_says_so(train):
    called = train()
    rows = list(csv.DictReader((called.folder / "metrics.csv").read_text().splitlines()))
    assert all(0 <= float(row["heldout_accuracy"]) <= 1 for row in rows)
    assert called.result["training"]["heldout_curve"] == "not used for choosing"


@pytest.mark.parametrize("views", [1, 6])
def test_the_saved_network_gives_the_runs_scores_again(train, gratings, views):
    called = train("--set", f"views={views}")
    saved = load_saved(called.folder / "model.safetensors")
    data = load_network_data("lenet_modern", (1, 32, 32), data=str(gratings))
    assert saved.classes == data.classes == ("coarse", "fine", "medium") and saved.input_size == (1, 32, 32)
    scores = class_scores(saved, data.heldout_images(), torch.device("cpu"), views)
    assert np.array_equal(scores, read_run(called.folder).scores)
    assert (scores.argmax(1) == data.heldout.labels).mean() == called.result["accuracy"]
    assert ("plain_accuracy" in called.result) == (views == 6)


def test_equal_commands_give_equal_bytes(train, steady):
    first, again = train(), train()
    assert first.folder != again.folder
    files, others = steady(first.folder), steady(again.folder)
    for found, folder in ((files, first.folder), (others, again.folder)):
        found["metrics.csv"] = timeless(folder / "metrics.csv")
    assert files.keys() == others.keys()
    assert [name for name in files if files[name] != others[name]] == []


def test_another_seed_is_another_run(train):
    first, other = train("--seed", 0), train("--seed", 1)
    assert first.result["config"]["seed"] == 0 and other.result["config"]["seed"] == 1
    files = [run.folder / "model.safetensors" for run in (first, other)]
    assert files[0].read_bytes() != files[1].read_bytes()


# ----------------------------------------------------------------------------------- resuming


@pytest.fixture
def interrupted(train, monkeypatch):
    """interrupted(...): a training stopped by Ctrl-C after its first epoch; returns its unfinished folder."""

    def interrupted(*arguments):
        with monkeypatch.context() as patch:
            one_pass = Trainer._train_one_pass

            def stop(self):
                if self.state.epoch == 1:
                    raise KeyboardInterrupt
                one_pass(self)

            patch.setattr(Trainer, "_train_one_pass", stop)
            called = train(*arguments)
        assert called.code == 130 and called.err == "interrupted\n"

    return interrupted


def test_a_resumed_training_ends_like_an_undisturbed_one(train, interrupted, steady):
    calm = train("--set", "momentum=0.9", "dropout=0.2")
    interrupted("--set", "momentum=0.9", "dropout=0.2")
    resumed = train("--set", "momentum=0.9", "dropout=0.2", "--resume")
    assert "goes on from its checkpoint" in resumed.out and resumed.result["timings"]["resumed"]
    files, others = steady(calm.folder), steady(resumed.folder)
    files["metrics.csv"], others["metrics.csv"] = (
        timeless(run.folder / "metrics.csv") for run in (calm, resumed)
    )
    assert [name for name in files if files[name] != others[name]] == []


def test_resume_of_other_settings_or_classes_starts_anew(train, interrupted, gratings, tmp_path):
    interrupted()
    assert "starts anew" in train("--resume", "--lr", 0.02).out
    other = shutil.copytree(gratings, tmp_path / "renamed")
    for part in ("train", "test"):
        (other / part / "fine").rename(other / part / "thin")
    assert "starts anew" in train("--resume", "--data", other).out
    assert len(list((tmp_path / "runs" / ".unfinished").iterdir())) == 1


@pytest.mark.parametrize("damage", ["cut", "another model's", "not ours"])
def test_a_bad_checkpoint_is_refused(wrong, train, interrupted, tmp_path, damage):
    interrupted()
    (file,) = (tmp_path / "runs" / ".unfinished").glob(f"*/{CHECKPOINT}")
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:1000])
    elif damage == "not ours":
        file.write_bytes(b"\x80\x04x" * 100)
    else:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Trainer, "_finish_epoch", lambda self: (self._save(), [].pop()))
            with pytest.raises(IndexError):
                train("--option", "batch_norm=true")
        (other,) = set((tmp_path / "runs" / ".unfinished").glob(f"*/{CHECKPOINT}")) - {file}
        shutil.copy(other, file)
    wrong("--resume", says="checkpoint")


# ------------------------------------------------------------------------------------- sweeps


def test_a_sweep_is_one_folder_with_a_table_and_a_run_for_each_setting(train, tmp_path):
    called = train("--lr", 0.01, 0.1, "--seed", 3, 4)
    assert called.code == 0 and called.err == ""
    rows, runs = read_table_run(called.folder)
    names = ["lr0.01-seed3", "lr0.01-seed4", "lr0.1-seed3", "lr0.1-seed4"]
    assert [row["run"] for row in rows] == names
    assert [path.name for path in (tmp_path / "runs").iterdir()] == [called.folder.name]
    for row in rows:
        run = runs[row["run"]]
        assert float(row["accuracy"]) == run.result["accuracy"] and row["n_test"] == str(len(run.labels))
        assert row["seed"] == row["run"][-1] == str(run.result["config"]["seed"])
        assert row["step"] == row["k"] == "" and float(row["seconds"]) > 0
        assert (run.folder / "model.safetensors").is_file() and (run.folder / "curves.svg").is_file()
        load_saved(run.folder / "model.safetensors")
        assert not (run.folder / "report.html").exists()
    means = [line.split() for line in screen_table(called)[-2:]]
    for (lr, mean, _, seeds), pair in zip(means, (rows[:2], rows[2:]), strict=True):
        assert pair[0]["run"].startswith(f"lr{lr}-") and seeds == "2"
        assert abs(float(mean) - sum(float(row["accuracy"]) for row in pair) / 2) <= 5e-5


def test_rates_compared_on_the_held_out_images_are_an_issue_and_seeds_are_not(train):
    def judged(folder) -> str:
        (row,) = (row for row in read_run(folder).result["diagnoses"] if row["code"] == "SB008")
        return row["state"]

    called = train("--lr", 0.01, 0.1)
    assert judged(called.folder / "lr0.01") == "issue"
    assert any(line.startswith("SB008 in all settings") for line in called.lines)
    assert judged(train("--seed", 3, 4).folder / "seed3") == "passed"


def test_settings_of_a_sweep_have_a_page_each_where_it_is_asked_for(train):
    folder = train("--lr", 0.01, 0.1, "--report").folder
    pages = [(folder / name / "report.html").read_text("utf-8") for name in ("lr0.01", "lr0.1")]
    assert all("Learning curves" in page and "Block diagram" in page for page in pages)


def test_a_diverged_training_is_a_row_of_a_sweep_like_any_other(train):
    called = train("--lr", 1e9, 0.01, "--set", "momentum=0.9")
    assert called.code == 0 and called.err == ""
    rows, runs = read_table_run(called.folder)
    first, second = (runs[row["run"]].result for row in rows)
    assert first["training"]["ended"] == "diverged in epoch 1" and second["training"]["ended"] == "all epochs"
    assert first["training"]["kept_epoch"] == 0 and float(rows[0]["accuracy"]) == first["accuracy"]
    ((epoch, loss, *_),) = timeless(runs[rows[0]["run"]].folder / "metrics.csv")[1:]
    assert (epoch, loss) == ("1", "nan")
    assert any("diverged in epoch 1" in line for line in screen_table(called)[-2:])


def test_means_over_seeds_leave_out_what_diverged_and_say_so(train):
    called = train("--lr", 1e9, 0.01, "--seed", 0, 1, "--set", "momentum=0.9")
    head, means, note = screen_table(called)[-3:]
    assert note == "(without those that diverged)"
    assert means.split()[0] == "0.01" and means.split()[-1] == "2" and head.split()[0] == "lr"


def test_a_single_seed_that_is_left_has_no_spread(train, monkeypatch):
    from experiments import training

    monkeypatch.setattr(training, "_diverged", lambda result: result["config"]["seed"] == 0)
    called = train("--seed", 0, 1)
    assert called.code == 0 and screen_table(called)[-2].split()[-1] == "1"


def test_the_settings_of_a_sweep_compute_in_one_precision(train, monkeypatch):
    from experiments import cnn

    measured = iter(["bf16", "fp32", "fp32"])
    monkeypatch.setattr(cnn, "_measured", lambda *a: next(measured))
    called = train("--lr", 0.01, 0.02, 0.03, precision=None)
    _, runs = read_table_run(called.folder)
    assert {run.result["training"]["precision"] for run in runs.values()} == {"bf16"}
    assert all(line.split()[-1] == "bf16" for line in screen_table(called)[-3:])


def test_a_stopped_sweep_goes_on_after_its_finished_runs(train, monkeypatch, tmp_path):
    from experiments import training

    whole, trained = training.train_job, []

    def stops_at_the_second(job, *rest, **named):
        trained.append(job.recipe.lr)
        if len(trained) == 2:
            raise KeyboardInterrupt
        return whole(job, *rest, **named)

    monkeypatch.setattr(training, "train_job", stops_at_the_second)
    sweep = ("--lr", 0.01, 0.1, 0.02)
    assert train(*sweep).code == 130
    assert [path.name for path in (tmp_path / "runs").iterdir()] == [".unfinished"]
    called = train(*sweep, "--resume")
    assert called.code == 0 and trained == [0.01, 0.1, 0.1, 0.02]
    assert [row["run"] for row in read_table_run(called.folder)[0]] == ["lr0.01", "lr0.1", "lr0.02"]
    assert [path.name for path in (tmp_path / "runs").iterdir()] == [called.folder.name]


def test_a_stopped_sweep_is_dropped_aloud_without_resume(train, monkeypatch):
    from experiments import training

    trained = []

    def stops(job, *rest, **named):
        trained.append(job.recipe.lr)
        if len(trained) == 2:
            raise KeyboardInterrupt
        return train_job(job, *rest, **named)

    train_job = training.train_job
    monkeypatch.setattr(training, "train_job", stops)
    assert train("--lr", 0.01, 0.1).code == 130
    called = train("--lr", 0.01, 0.1)
    assert called.code == 0 and trained == [0.01, 0.1, 0.01, 0.1]
    assert "dropped (--resume goes on with it)" in called.out


def test_a_single_rate_that_diverges_is_refused_in_one_line(call, train):
    called = train("--lr", 1e9, "--set", "momentum=0.9")
    assert called.code == 2 and called.err.count("\n") == 1
    assert "diverged" in called.err and "lower --lr" in called.err


# ------------------------------------------------------------------------------ lists, drawings


def test_the_list_names_every_network(call):
    called = call("train_cnn", "--list")
    assert called.code == 0 and "mynet" in called.out and "tiny50k" in called.out


def test_a_network_is_described_and_drawn(call, tmp_path):
    called = call("train_cnn", "--describe", "mynet", "--diagram", tmp_path / "mynet.svg")
    assert called.code == 0 and "6,158,538" in called.out
    assert (tmp_path / "mynet.svg").read_text().lstrip().startswith("<")


def test_a_network_is_described_with_its_options_and_size(call, refused, tmp_path):
    shown = ("--option", "width=wide", "--input-size", 40)
    wide = call("train_cnn", "--describe", "fastnet", *shown, "--diagram", tmp_path / "wide.svg")
    assert wide.code == 0 and "1,898,208" in wide.out and "24x39x39" in wide.out
    assert all(text in (tmp_path / "wide.svg").read_text() for text in ("3x40x40", "1,898,208", "64x39x39"))
    refused("train_cnn", "--list", *shown, says="--list shows all networks as they are")
    refused("train_cnn", "--describe", "fastnet", "--option", "widht=wide", says="no option 'widht'")


# --------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--model", "lenet_modren"), "lenet_modern"),
        (("--recipe", "r2-lent"), "r2-lenet"),
        (("--set", "learning_rate=1"), "'learning_rate'"),
        (("--set", "lr=1", "--set", "momentum=2"), "momentum is 2"),
        (("--set", "size_limit=1000"), "over the limit"),
        (("--set", "dropout=2"), "dropout"),
        (("--option", "padding=1"), "no option 'padding'"),
        (("--option", "num_classes=3"), "no option 'num_classes'"),
        (("--option", "dropout=much"), "dropout"),
        (("--option", "dropout"), "name=value"),
        (("--batch-size", 19), "larger than the 18 images"),
        (("--device", "cuda"), "no CUDA device"),
        (("--device", "gpu"), "--device gpu"),
        (("--lr", 0.1, 0.1), "--lr names a value twice"),
        (("--epochs", "nan"), "epochs"),
        (("--lr", "nan"), "lr"),
        (("--dataset", "mnist"), "exclude each other"),
        (("--course-split",), "--course-split"),
        (("--diagram", "x.svg"), "--describe"),
        (("--batch-size", 5, 19), "larger than the 18 images to fit: give --batch-size 18 or less"),
        (("--set", "patience=1"), "fit_all leaves no images"),
        (("--set", "resolutions=20:1"), "cannot take images of 20x20"),
        (("--classes", "names.txt"), "--classes"),
        (("--tensorboard", "--set", "size_limit=1"), "over the limit"),
        (("--runs-dir", "/dev/null/runs"), "/dev/null"),
    ],
    ids=str,
)
def test_bad_input_is_one_line_and_leaves_nothing(wrong, monkeypatch, arguments, says):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    wrong(*arguments, says=says)


def test_phases_follow_the_size_of_the_images(train):
    shown = ("--input-size", 64, "--recipe", "fastnet", "--batch-size", 6)
    called = train(*shown, "--set", "fit_all=true", model="fastnet")
    config = read_run(called.folder).result["config"]
    assert [phase[0] for phase in config["recipe"]["resolutions"]] == [40, 48, 56, 64]
    given = train(*shown, "--set", "resolutions=32:1", "fit_all=true", model="fastnet")
    assert read_run(given.folder).result["config"]["recipe"]["resolutions"][0][0] == 32


@pytest.mark.parametrize(
    ("model", "option"),
    [("cifar_50k", "last=0"), ("cifar_50k", "last=-1"), ("mnist_conv3", "conv3_stride=0"),
     ("mnist_conv3", "conv3_stride=30"), ("alexnet_227_conv3", "conv3_out=-1")],
)  # fmt: skip
def test_an_option_of_a_senseless_size_is_refused(wrong, model, option):
    wrong("--option", option, model=model, says=f"--option {option}: ")


def test_training_goes_on_from_weights_that_come_with_the_project(train):
    called = train("--option", "pretrained=true", model="fastnet")
    assert called.code == 0 and "1,895,968 trainable" in called.out  # the wide one's, for three classes
    options = read_run(called.folder).result["config"]["options"]
    assert options["width"] == "wide" and options["pretrained"]
    load_saved(called.folder / "model.safetensors")


def test_images_of_another_size_are_shown(train):
    called = train("--input-size", 40)
    config = read_run(called.folder).result["config"]
    assert config["input_size"] == [1, 40, 40]
    assert load_saved(called.folder / "model.safetensors").input_size == (1, 40, 40)


def test_a_size_the_network_cannot_take_is_refused(refused, small_folder):
    arguments = ("--model", "cifar_plain", "--data", small_folder, "--input-size")
    refused("train_cnn", *arguments, 8, says="8x8")
    refused("train_cnn", *arguments, 0, says="--input-size is 0")


def test_an_option_the_network_has_not_is_refused(wrong):
    wrong("--set", "batch_norm=true", model="tiny50k", says="no option 'batch_norm'")


@pytest.mark.parametrize(
    "place", ["deep.training.Trainer._one_step", "experiments.cnn.class_scores", "experiments.cnn._measured"]
)
def test_a_full_gpu_says_which_batch_to_try(train, monkeypatch, place):
    def full(*args, **kwargs):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(place, full)
    called = train("--batch-size", 6, precision=None)
    assert called.code == 2 and called.err == "error: out of memory on the GPU: try --batch-size 3\n"


def test_a_list_draws_nothing(refused):
    refused("train_cnn", "--list", "--diagram", "x.svg", says="--describe NAME")


def test_no_model_is_refused(refused):
    refused("train_cnn", says="--list")


@pytest.mark.parametrize("data", ["nowhere", "empty"])
def test_a_wrong_folder_is_refused(wrong, tmp_path, data):
    (tmp_path / "empty").mkdir()
    wrong(data=tmp_path / data, says=data)


# ------------------------------------------------------------------------------- kinds of data


def course(root):
    rng = np.random.default_rng(1)
    for part, count in (("train", 20), ("val", 10)):
        (root / part).mkdir(parents=True)
        names = [f"{i:04d}.png" for i in range(count)]
        for name in names:
            Image.fromarray(rng.integers(0, 256, (32, 32, 3), np.uint8)).save(root / part / name)
        listed = {"filenames": names, "labels": [i % 10 for i in range(count)]}
        (root / part / "annotations.json").write_text(json.dumps(listed))
    return root


def test_lite_on_the_course_layout(call, tmp_path):
    called = call("train_cnn", "--model", "lenet_32", "--data", course(tmp_path / "course"), "--lite",
                  "--batch-size", 5)  # fmt: skip
    assert called.result["n_test"] == 10 and called.result["classes"] == [str(i) for i in range(10)]
    assert called.result["config"]["recipe"]["name"] == "r1-no-batch-norm"


def test_leaks_and_unreadable_files_stand_in_the_result(call, gratings, tmp_path):
    root = shutil.copytree(gratings, tmp_path / "own")
    first, broken = sorted((root / "train").rglob("*.*"))[:2]
    shutil.copy(first, root / "test" / first.parent.name / f"copy{first.suffix}")
    broken.write_bytes(b"broken")
    command = ("train_cnn", "--model", "lenet_modern", "--data", root, "--runs-dir", tmp_path / "runs", *FEW)
    assert "--skip-unreadable" in call(*command).err
    result = call(*command, "--skip-unreadable").result
    name = first.relative_to(root / "train").as_posix()
    assert result["leaks"]["train_test"] == [[name, f"{first.parent.name}/copy{first.suffix}"]]
    copies = next(found for found in result["diagnoses"] if found["code"] == "SB001")["text"]
    assert f"train/{name} = test/{first.parent.name}/copy{first.suffix}" in copies
    assert result["skipped"] == [broken.relative_to(root).as_posix()] and result["n_train"] == 17
    states = {row["code"]: row["state"] for row in result["diagnoses"]}
    assert states["SB001"] == "issue" and states["SB010"] != "not applicable"


def test_a_drawn_split_follows_the_seed(call, gratings, tmp_path):
    whole = gratings / "train"

    def split(*arguments) -> str:
        called = call("train_cnn", "--model", "lenet_modern", "--data", whole, *FEW, "--precision", "fp32",
                      "--runs-dir", tmp_path / "runs", *arguments)  # fmt: skip
        return called.result["data"]["test_fingerprint"]

    assert split("--seed", 5) == split("--set", "seed=5") != split("--seed", 6)


def test_tensorboard_gets_every_epoch(train, tmp_path):
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    called = train("--tensorboard")
    (folder,) = (tmp_path / "runs" / "tensorboard").iterdir()
    log = events.EventAccumulator(str(folder)).Reload()
    rows = list(csv.DictReader((called.folder / "metrics.csv").read_text().splitlines()))
    for tag, column in (("train/loss", "train_loss"), ("train/accuracy", "train_accuracy")):
        assert [event.step for event in log.Scalars(tag)] == [1, 2]
        assert [event.value for event in log.Scalars(tag)] == pytest.approx(
            [float(row[column]) for row in rows], rel=1e-6
        )


def test_classifying_is_timed_apart_from_training(train):
    result = train().result
    timings = result["timings"]
    assert timings["classification"] > 0
    assert abs(timings["total"] - timings["training"] - timings["classification"]) < 2e-3
    assert abs(timings["ms_per_image"] - 1000 * timings["classification"] / result["n_test"]) < 0.1
    assert result["config"]["processes"] == 1


def test_lite_on_the_synthetic_scenes(call):
    called = call("train_cnn", "--model", "tiny50k", "--dataset", "synthetic", "--lite")
    assert called.result["n_test"] == 120 and len(called.result["training"]["history"]) == 2


@pytest.mark.data
@pytest.mark.parametrize(
    ("arguments", "n_test"),
    [
        (("--model", "cifar_50k", "--dataset", "cifar10"), 200),
        (("--model", "tiny50k", "--course-split"), 200),
        (("--model", "mnist_conv3", "--recipe", "r4-merged"), 200),
        (("--model", "lenet_baseline", "--dataset", "fashion_mnist"), 200),
    ],
    ids=str,
)
def test_lite_on_the_real_sets(call, arguments, n_test):
    called = call("train_cnn", *arguments, "--lite")
    assert called.result["n_test"] == n_test
    assert called.result["training"]["unlabelled"] == (25_000 if "--course-split" in arguments else 0)
