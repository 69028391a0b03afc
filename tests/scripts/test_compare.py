"""compare.py: real runs on the same images held against each other, what is written, what is refused."""

import csv
import shutil

import pytest


@pytest.fixture
def runs(call, gratings, tmp_path):
    """Run folders of tiny images with two sizes, made of the same pictures."""

    def run(size: int):
        return call(
            "run_tiny", "--data", gratings, "--size", size, "--runs-dir", tmp_path / "runs", "--jobs", 1
        ).folder

    return run(2), run(12)


FILES = {"comparison.csv", "comparison.html", "comparison.md", "comparison.tex", "comparison.txt"}


def test_two_runs_are_compared_and_a_folder_written(call, runs, gratings, tmp_path):
    out = tmp_path / "out"
    called = call("compare", *runs, "--out", out, "--data", gratings)
    assert called.folder == out and {path.name for path in out.iterdir()} >= FILES
    assert {path.suffix for path in out.iterdir()} <= {".csv", ".html", ".md", ".tex", ".txt", ".png", ".svg"}
    rows = list(csv.DictReader((out / "comparison.csv").open()))
    assert [row["model"] for row in rows] == ["tiny (size 2)", "tiny (size 12)"]
    results = [
        call("evaluate", run, "--truth", gratings, "--runs-dir", tmp_path / "e").result for run in runs
    ]
    assert [float(row["top1"]) / 100 for row in rows] == [
        pytest.approx(result["accuracy"], abs=1e-4) for result in results
    ]
    text = (out / "comparison.txt").read_text()
    assert "tiny (size 12) has" in text and "95 % interval" in text and text.strip() in called.out
    page = (out / "comparison.html").read_text()
    assert "only tiny (size 12) is right" in page
    assert page.count("data:image/jpeg;base64,") == sum(
        a != b for a, b in zip(*(right(run) for run in runs), strict=True)
    )


def right(run) -> list[bool]:
    rows = csv.DictReader((run / "predictions.csv").open())
    return [row["label"] == row["predicted"] for row in rows]


def test_without_pictures_the_page_says_nothing_of_them_and_the_screen_why(call, runs, tmp_path):
    called = call("compare", *runs, "--out", tmp_path / "out")
    assert "(no pictures:" in called.out
    assert "data:image/jpeg" not in (tmp_path / "out" / "comparison.html").read_text()


def test_equal_input_gives_equal_bytes(call, runs, gratings, tmp_path):
    for name in ("a", "b"):
        call("compare", *runs, "--out", tmp_path / name, "--data", gratings)
    for path in (tmp_path / "a").iterdir():
        if path.name not in ("cost.png", "cost.svg"):
            assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes(), path.name


def test_a_run_beside_itself_differs_in_nothing(call, runs, tmp_path):
    called = call("compare", runs[0], runs[0], "--out", tmp_path / "out")
    assert "neither" in called.out and "+0.00 to +0.00" in called.out


def test_bad_input_is_one_line_and_leaves_nothing(call, refused, runs, gratings, tmp_path):
    other = shutil.copytree(gratings, tmp_path / "other")
    next(iter(sorted((other / "test").rglob("*.png")))).unlink()
    fewer = call("run_tiny", "--data", other, "--runs-dir", tmp_path / "runs", "--jobs", 1).folder
    out = ("--out", tmp_path / "out")
    refused("compare", runs[0], fewer, *out, says="different test images")
    refused("compare", runs[0], *out, says="two or more")
    refused("compare", runs[0], tmp_path / "nowhere", *out, says="nowhere")
    refused("compare", *runs, *out, "--data", tmp_path / "nowhere", says="no such folder")
    refused("compare", *runs, *out, "--data", tmp_path / "runs", says="test images")
    refused("compare", *runs, "--out", runs[0], says="is there already")
    refused("compare", *runs, says="--out")


def test_other_pictures_of_the_same_names_are_not_shown(refused, runs, gratings, tmp_path):
    other = shutil.copytree(gratings, tmp_path / "other")
    first, second = sorted((other / "test").rglob("*.png"))[:2]
    shutil.copy(second, first)
    refused("compare", *runs, "--out", tmp_path / "out", "--data", other, says="other pixels")


@pytest.mark.data
def test_pictures_of_known_sets_are_found_by_their_name(call, tmp_path):
    from experiments.comparing import heldout_pictures
    from reports import read_run

    def run(*arguments):
        return read_run(call(*arguments, "--lite", "--runs-dir", tmp_path / "runs").folder)

    scenes = run("run_tiny")
    assert heldout_pictures(scenes, None)(scenes.filenames[0]).ndim == 2
    pytest.importorskip("torch")
    digits = run("train_cnn", "--model", "mnist_conv3", "--dataset", "mnist")
    assert heldout_pictures(digits, None)(digits.filenames[0]).shape == (28, 28, 1)
    cifar = run("train_cnn", "--model", "tiny50k", "--dataset", "cifar10")
    assert heldout_pictures(cifar, None)(cifar.filenames[0]).shape == (32, 32, 3)
