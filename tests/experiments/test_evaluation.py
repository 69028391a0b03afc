"""Predictions held against the truth: each rule worked out by hand, each kind of truth, what is refused."""

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from experiments.evaluation import check_match, evaluation_record
from experiments.truth import read_predictions, read_truth
from reports import RunRecord, read_run, write_run
from reports.comparison import compare, explanation, fitted
from reports.judging import Truth, judge
from reports.tables import run_tables

TRUTH = Truth(
    "pets", {"a/1.png": "ant", "a/2.png": "ant", "b/1.png": "bee", "b/3.png": "bee", "c/4.png": "cat"},
    ("ant", "bee", "cat"), ("cat", "ant", "bee"),
)  # fmt: skip
RIGHT = list(TRUTH.labels.items())


@pytest.fixture(autouse=True)
def _sketches(monkeypatch):
    monkeypatch.setattr("reports.run.confusion_figure", lambda *_: None)


# ------------------------------------------------------------------------------------------------- the record


def test_the_run_counts_what_is_wrong_by_rule_under_the_first_other_class(tmp_path):
    # a/1 missing, b/1 contradicting, c/4 unknown label: under bee, ant and ant; a/2 and b/3 are right
    rows = [("a/2.png", "ant"), ("b/1.png", "bee"), ("b/1.png", "cat"), ("b/3.png", "bee"), ("c/4.png", "x")]
    judged = judge(rows, TRUTH)
    assert judged.accuracy == 2 / 5
    record = evaluation_record(judged, "mine", ["evaluate"], predictions="pred.csv", truth="truth.csv")
    run = read_run(write_run(tmp_path, record))
    assert run.predicted == ("bee", "ant", "ant", "bee", "ant")
    assert run.result["accuracy"] == 2 / 5 and run.result["n_test"] == 5
    assert run.result["findings"] == judged.findings
    assert [finding["kind"] for finding in judged.findings] == ["missing", "contradicting", "unknown_label"]
    assert run.scores.tolist()[0] == [0, 1, 0]
    assert "first other class" in run.result["config"]["wrong by rule"]


def test_a_run_without_findings_says_nothing_of_them(tmp_path):
    record = evaluation_record(judge(RIGHT, TRUTH), "mine", [], predictions="p", truth="t")
    run = read_run(write_run(tmp_path, record))
    assert run.result["findings"] == [] and "wrong by rule" not in run.result["config"]


def test_nobody_is_told_that_somebodys_predictions_were_trained_on_0_images(tmp_path):
    record = evaluation_record(judge(RIGHT, TRUTH), "mine", [], predictions="p", truth="t")
    run = read_run(write_run(tmp_path, record))
    assert "5 of 5 test images right; 3 classes" in (run.folder / "report.txt").read_text("utf-8")
    assert "training images" not in (run.folder / "report.html").read_text("utf-8").split("<h1>")[0]
    assert all("training images" not in line for line in run_tables(run.result)[0])
    assert fitted(run.result) is None
    trained = replace(run, result=run.result | {"name": "bow", "n_train": 9})
    sentences = explanation(compare([trained, run]), 0, 1)
    assert not any("Fitted" in sentence for sentence in sentences)


def test_a_base_name_of_several_images_is_refused_by_name():
    rows = [("1.png", "ant")]
    with pytest.raises(ValueError, match=r"'1\.png' could be a/1\.png or b/1\.png: write the path"):
        check_match(judge(rows, TRUTH), rows, "pred.csv", "truth.csv")


# --------------------------------------------------------------------------------------------- kinds of truth


def annotations(folder, names, labels, **more):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "annotations.json"
    path.write_text(json.dumps({"filenames": names, "labels": labels} | more))
    return path


def test_annotations_alone_in_their_folder_and_in_val(tmp_path):
    path = annotations(tmp_path / "course" / "val", ["1.png", "2.png"], [3, 0])
    for where in (path, path.parent, tmp_path / "course"):
        truth = read_truth(where)
        assert truth.labels == {"1.png": "3", "2.png": "0"}
        assert truth.classes == truth.official == tuple("0123456789")
    (tmp_path / "names.txt").write_text("zebra\nbee\ncat\nant\n")
    truth = read_truth(path, tmp_path / "names.txt")
    assert truth.labels == {"1.png": "ant", "2.png": "zebra"}
    assert truth.classes == ("ant", "bee", "cat", "zebra") and truth.class_of("0") == "zebra"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "lists no images"),
        ('{"filenames": ["a"], "labels": []}', "1 names and 0 labels"),
        ('{"filenames": ["a"]}', "1 names and no list of labels"),
        ('{"filenames": [], "labels": []}', "lists no images"),
        ('{"filenames": ["a", "a"], "labels": [1, 1]}', "listed twice"),
        ('{"filenames": [1], "labels": [1]}', "no name"),
        ('{"filenames": ["a"], "labels": [10]}', "--classes"),
        ('{"filenames": ["a"], "labels": [true]}', "no integer"),
        ('{"filenames": ["a"], "labels": ["1"]}', "no integer"),
        ('{"filenames": ["a"], "labels": [-1]}', "no integer"),
    ],
)
def test_wrong_annotations_are_refused(tmp_path, text, says):
    path = tmp_path / "annotations.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=says) as caught:
        read_truth(path)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 600


def test_a_csv_with_names_and_with_numbers(tmp_path):
    path = tmp_path / "truth.csv"
    path.write_bytes(b'\xef\xbb\xbffilename,label\r\n1.png,bee\r\n\r\n"2,2.png",ant\r\n1.png,bee\r\n')
    truth = read_truth(path)
    assert truth.labels == {"1.png": "bee", "2,2.png": "ant"} and truth.classes == ("ant", "bee")
    assert truth.class_of("0") is None  # no order is known
    (tmp_path / "names.txt").write_text("bee\nant\ncow")
    path.write_text("filename,label\n1.png,0\n2.png,ant\n")
    truth = read_truth(path, tmp_path / "names.txt")
    assert truth.labels == {"1.png": "bee", "2.png": "ant"} and truth.classes == ("ant", "bee", "cow")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "does not start with the line filename,label"),
        ("filename,label,predicted,score\n", "does not start with"),
        ("label,filename\n", "does not start with"),
        ("filename,label\n", "no rows"),
        ("filename,label\na,b,c\n", "row 2 has 3 cells"),
        ("filename,label\na\n", "row 2 has 1 cells"),
        ("filename,label\na,x\na,y\n", "two labels"),
        ("filename,label\na,\n", "no class"),
        ("filename,label\na,x\n", "fewer than two classes"),
        ('filename,label\n"a,x\n', "not valid CSV"),
    ],
)
def test_wrong_csvs_are_refused(tmp_path, text, says):
    path = tmp_path / "truth.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=says):
        read_truth(path)


def test_a_csv_of_windows(tmp_path):
    path = tmp_path / "truth.csv"
    path.write_text("filename,label\na\\1.png,K\u00fcche\nb\\1.png,Bad\n", "utf-8")
    assert read_truth(path).labels == {"a/1.png": "K\u00fcche", "b/1.png": "Bad"}
    path.write_bytes(path.read_text("utf-8").encode("cp1252"))
    with pytest.raises(ValueError, match="the label of 'a/1.png' is not UTF-8: save the file as UTF-8"):
        read_truth(path)


def test_folders_of_classes(small_folder, tmp_path):
    for where in (small_folder, small_folder / "test"):
        truth = read_truth(where)
        assert truth.classes == ("bars", "checks", "stripes") and len(truth.labels) == 9
        assert truth.labels["checks/image_1.png"] == "checks"
    names = tmp_path / "names.txt"
    names.write_text("stripes\nbars\nchecks\ndots\n")
    truth = read_truth(small_folder, names)
    assert truth.class_of("0") == "stripes" and truth.classes == ("bars", "checks", "dots", "stripes")
    names.write_text("stripes\nbars\n")
    with pytest.raises(ValueError, match=r"class 'checks' is not in .*names\.txt"):
        read_truth(small_folder, names)


def test_the_scenes_are_known_without_their_images():
    truth = read_truth("scene15")
    assert len(truth.classes) == 15 and truth.labels["Kitchen/image_0028.jpg"] == "Kitchen"


@pytest.mark.parametrize(("name", "count"), [("mnist", 10_000), ("fashion_mnist", 10_000)])
@pytest.mark.data
def test_the_real_sets_are_known_by_name(name, count):
    truth = read_truth(name)
    assert len(truth.labels) == count and sorted(truth.official) == list(truth.classes)
    assert "test/00042" in truth.labels


def test_idx_files_give_the_held_out_labels_in_official_order(tmp_path):
    folder = tmp_path / "tiny_fashion"
    folder.mkdir()
    for part, labels in (("train", [0, 1]), ("t10k", [9, 0, 1])):
        n = len(labels)
        images = bytes([0, 0, 8, 3]) + b"".join(x.to_bytes(4, "big") for x in (n, 2, 2)) + bytes(4 * n)
        (folder / f"{part}-images-idx3-ubyte").write_bytes(images)
        head = bytes([0, 0, 8, 1]) + n.to_bytes(4, "big")
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(head + bytes(labels))
    truth = read_truth(folder)
    assert truth.labels == {"test/00000": "Ankle boot", "test/00001": "T-shirt/top", "test/00002": "Trouser"}
    assert truth.class_of("9") == "Ankle boot" and truth.classes[0] == "Ankle boot"
    (tmp_path / "names.txt").write_text("a\nb")
    with pytest.raises(ValueError, match="classes of its own"):
        read_truth(folder, tmp_path / "names.txt")


def test_what_is_not_there_is_refused(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match="no such truth: give annotations.json"):
        read_truth(tmp_path / "nowhere")
    monkeypatch.setenv("SCENEBENCH_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="get_data.py cifar10"):
        read_truth("cifar10")
    with pytest.raises(FileNotFoundError, match="one a line"):
        read_truth("scene15", tmp_path / "names.txt")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="no images"):
        read_truth(tmp_path / "empty")


@pytest.mark.parametrize(
    ("text", "says"),
    [("a\n\nb\n", "one name a line"), ("a\na\n", "stands twice"), ("a\n", "fewer than two"), ("", "fewer")],
)
def test_wrong_class_lists_are_refused(tmp_path, text, says):
    (tmp_path / "names.txt").write_text(text)
    with pytest.raises(ValueError, match=says):
        read_truth("scene15", tmp_path / "names.txt")


def test_classes_called_by_other_numbers_than_their_own_are_refused(tmp_path):
    path = annotations(tmp_path, ["a"], [0])
    (tmp_path / "names.txt").write_text("1\n2\n3\n")
    with pytest.raises(ValueError, match="class '1' is number 0: it could mean either"):
        read_truth(path, tmp_path / "names.txt")


# -------------------------------------------------------------------------------------------- the predictions


def a_run(folder, **changes):
    scores = np.eye(2, dtype=np.float32)
    record = RunRecord(name="r", command=[], classes=["a", "b"], filenames=["1", "2"], labels=["b", "b"],
                       predicted=["a", "b"], scores=scores, n_train=2)  # fmt: skip
    return write_run(folder, record)


def test_predictions_of_a_run_folder_are_its_predicted_classes(tmp_path):
    folder = a_run(tmp_path)
    assert read_predictions(folder) == ([("1", "a"), ("2", "b")], ("a", "b"))
    with pytest.raises(ValueError, match="give a run folder"):
        read_predictions(folder / "predictions.csv")  # its `label` is the truth


def test_predictions_of_a_folder_with_pred_csv(tmp_path):
    (tmp_path / "pred.csv").write_text("filename,label\n1.png,bee \n")
    expected = ([("1.png", "bee")], ())
    assert read_predictions(tmp_path) == read_predictions(tmp_path / "pred.csv") == expected
    with pytest.raises(FileNotFoundError, match="no such file"):
        read_predictions(tmp_path / "nowhere.csv")


def test_names_that_are_no_text_meet(tmp_path):
    name = b"caf\xe9.png".decode("utf-8", "surrogateescape")
    (tmp_path / "pred.csv").write_bytes(b"filename,label\ncaf\xe9.png,ant\n")
    truth = Truth("t", {name: "ant"}, ("ant", "bee"))
    assert judge(read_predictions(tmp_path)[0], truth).accuracy == 1


def test_a_truth_of_pictures_is_not_opened(tmp_path):
    for label in "ab":
        (tmp_path / label).mkdir()
        (tmp_path / label / "x.png").write_bytes(b"no picture")
    assert read_truth(tmp_path).labels == {"a/x.png": "a", "b/x.png": "b"}
    Image.new("L", (2, 2)).save(tmp_path / "a" / "y.jpg")
    assert len(read_truth(tmp_path).labels) == 3
