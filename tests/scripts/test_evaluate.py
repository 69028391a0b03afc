"""``evaluate.py``: a table of predictions or a run, held against the truth."""

import json

import pytest


@pytest.fixture
def pred(tmp_path):
    """pred("1.png,cat", ...): a pred.csv of these rows."""

    def write(*rows: str):
        (tmp_path / "pred.csv").write_text("\n".join(("filename,label", *rows)) + "\n")
        return tmp_path / "pred.csv"

    return write


@pytest.fixture
def truth(tmp_path):
    (tmp_path / "truth.csv").write_text(
        "filename,label\nx/1.png,cat\nx/2.png,dog\nx/3.png,cat\nx/4.png,dog\n"
    )
    return tmp_path / "truth.csv"


def test_predictions_are_held_against_the_truth(call, pred, truth, tmp_path):
    rows = ("x/1.png,cat", "2.png,dog", "x/3.png,dog", "x/9.png,cat")
    called = call("evaluate", pred(*rows), "--truth", truth, "--runs-dir", tmp_path / "runs")
    assert called.lines[0] == "truth: truth: 4 images of 2 classes"
    assert called.lines[1].startswith("accuracy 0.5000 (95 % interval 0.150 to 0.850, 4 images)")
    assert called.lines[2:4] == [
        "finding: 1 image without a row: counted as wrong (x/4.png)",
        "finding: 1 image named by a row and not in the truth: ignored (x/9.png)",
    ]
    assert called.folder.name.endswith("-evaluation") and called.result["accuracy"] == 0.5
    assert [finding["kind"] for finding in called.result["findings"]] == ["missing", "unknown_image"]
    assert called.result["command"][:2] == ["scripts/evaluate.py", str(tmp_path / "pred.csv")]


def test_equal_input_gives_equal_bytes(call, pred, truth, tmp_path, steady):
    arguments = (pred("x/1.png,cat"), "--truth", truth, "--runs-dir")
    first, second = (call("evaluate", *arguments, tmp_path / name).folder for name in ("a", "b"))
    assert steady(first) == steady(second)


def test_a_run_is_held_against_the_folder_it_came_from(call, gratings, tmp_path):
    run = call("run_tiny", "--data", gratings, "--runs-dir", tmp_path / "runs", "--jobs", 1)
    called = call(
        "evaluate", run.folder, "--truth", gratings, "--runs-dir", tmp_path / "runs", "--name", "again"
    )
    assert called.result["confusion"] == run.result["confusion"]
    assert called.result["findings"] == [] and called.folder.name.endswith("-again")


def test_a_truth_with_its_images_shows_them(call, gratings, truth, pred, tmp_path):
    names = sorted(f"{path.parent.name}/{path.name}" for path in (gratings / "test").glob("*/*"))
    rows = pred(*(f"{name},coarse" for name in names))
    shown = call("evaluate", rows, "--truth", gratings, "--runs-dir", tmp_path / "runs")
    assert '"/9j/' in (shown.folder / "report.html").read_text("utf-8")  # as JPEGs begin in base64
    plain = call("evaluate", pred("x/1.png,cat"), "--truth", truth, "--runs-dir", tmp_path / "runs")
    assert '"/9j/' not in (plain.folder / "report.html").read_text("utf-8")


def test_what_predict_wrote_is_what_evaluate_reads(call, gratings, tmp_path):
    run = call("run_tiny", "--data", gratings, "--runs-dir", tmp_path / "runs", "--jobs", 1)
    call("predict", "--model", run.folder, gratings / "test", "--csv", tmp_path / "pred.csv")
    called = call(
        "evaluate", tmp_path / "pred.csv", "--truth", gratings / "test", "--runs-dir", tmp_path / "e"
    )
    assert called.result["accuracy"] == run.result["accuracy"]


def test_the_courses_numbers_and_names_are_the_same(call, pred, tmp_path):
    (tmp_path / "names.txt").write_text("zebra\nant\n")
    (tmp_path / "annotations.json").write_text(
        json.dumps({"filenames": ["1.png", "2.png"], "labels": [0, 1]})
    )
    for rows in (("1.png,0", "2.png,1"), ("1.png,zebra", "2.png,ant")):
        called = call("evaluate", pred(*rows), "--truth", tmp_path, "--classes", tmp_path / "names.txt",
                      "--runs-dir", tmp_path / "runs")  # fmt: skip
        assert called.result["accuracy"] == 1.0 and called.result["classes"] == ["ant", "zebra"]


def test_bad_input_is_one_line(refused, pred, truth, tmp_path):
    runs = ("--runs-dir", tmp_path / "runs")
    refused("evaluate", pred("x/1.png,cat"), *runs, says="--truth")
    refused("evaluate", tmp_path / "nowhere.csv", "--truth", truth, *runs, says="no such file")
    refused("evaluate", pred("x/1.png,cat"), "--truth", "nowhere", *runs, says="no such truth")
    refused("evaluate", pred("x/1.png"), "--truth", truth, *runs, says="row 2 has 1 cells")
    refused("evaluate", pred("x/1.png,cat"), "--truth", truth, "--name", "a/b", *runs, says="name 'a/b'")
    refused("evaluate", tmp_path, "--truth", truth, "--classes", truth, *runs, says="truth.csv")


def test_predictions_of_other_images_or_classes_are_refused(call, refused, pred, truth, gratings, tmp_path):
    runs = ("--runs-dir", tmp_path / "evaluations")
    refused("evaluate", pred("z.png,cat"), "--truth", truth, *runs, says="names no image of")
    refused("evaluate", pred("x/1.png,0", "x/2.png,1"), "--truth", truth, *runs, says="--classes")
    run = call("run_tiny", "--data", gratings, "--runs-dir", tmp_path / "runs", "--jobs", 1).folder
    other = tmp_path / "other.csv"
    name = next(path for path in sorted((gratings / "test").rglob("*.*"))).relative_to(gratings / "test")
    other.write_text(f"filename,label\n{name.as_posix()},cat\nb.png,dog\n")
    refused("evaluate", run, "--truth", other, *runs, says="knows class")
