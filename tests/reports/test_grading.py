"""Grading: a gallery of wrong submissions with the marks each must get, and the rules by hand."""

import dataclasses
import re
import sys
import unicodedata
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from gallery import CLASSES, GALLERY, NAMES, RIGHT, TRUTH, good, put, rows, table  # noqa: E402

from reports import RunRecord, grade, write_run  # noqa: E402
from reports.grading import Rerun  # noqa: E402
from reports.judging import Truth  # noqa: E402
from reports.rubric import Check, Rubric, read_rubric  # noqa: E402
from reports.submission import read_submission  # noqa: E402

RUBRIC = read_rubric()


@pytest.fixture
def submission(tmp_path):
    return good(tmp_path / "handed in")


def marks(graded) -> dict[str, float | None]:
    return {mark.check.name: mark.score if mark.applies else None for mark in graded.marks}


def kinds(graded) -> set[str]:
    return {finding.kind for finding in graded.findings}


def test_a_good_submission_has_all_points_and_no_findings(submission):
    graded = grade(submission, TRUTH, RUBRIC)
    assert (graded.score, graded.max_score, graded.findings) == (100, 100, ())
    assert marks(graded) == {check.name: check.points for check in RUBRIC.checks}
    assert {part: judged.accuracy for part, judged in graded.judged.items()} == {
        part: right / 100 for part, right in RIGHT.items()
    }


@pytest.mark.parametrize("wrong", GALLERY, ids=lambda wrong: wrong.name)
def test_a_wrong_submission_gets_its_marks_and_its_findings(submission, wrong):
    wrong.make(submission)
    graded = grade(submission, TRUTH, RUBRIC)
    assert (graded.score, graded.max_score) == (wrong.score, wrong.max_score)
    assert kinds(graded) == wrong.kinds
    for text in [finding.text for finding in graded.findings] + [mark.reason for mark in graded.marks]:
        assert "\n" not in text and len(text) < 400 and re.search(r"[a-z]", text)


def test_the_gallery_has_sixty_causes():
    assert len({wrong.name for wrong in GALLERY}) == len(GALLERY) >= 60
    # the same score and findings may have several causes; what is done is never the same
    codes = [wrong.make.__code__ for wrong in GALLERY]
    assert len({(code.co_code, repr(code.co_consts)) for code in codes}) == len(GALLERY)


# --------------------------------------------------------------------------------------------- points by hand


@pytest.mark.parametrize(
    ("bounds", "value", "share"),
    [({"weak": 0.5, "strong": 0.75}, 0.5, 0), ({"weak": 0.5, "strong": 0.75}, 0.625, 0.5),
     ({"weak": 0.5, "strong": 0.75}, 0.75, 1), ({"weak": 0.5, "strong": 0.75}, 0.9, 1),
     ({"weak": 0.5, "strong": 0.75}, 0.1, 0), ({"threshold": 0.25}, 0.25, 1),
     ({"threshold": 0.25, "strict": True}, 0.25, 0), ({"threshold": 0.25, "strict": True}, 0.26, 1),
     ({"threshold": 0.25}, 0.24, 0)],
)  # fmt: skip
def test_points_of_an_accuracy(bounds, value, share):
    assert Check("cnn", "x", "accuracy", 10, **bounds).share(value) == share


@pytest.mark.parametrize(
    ("bounds", "value", "share"),
    [({"threshold": 80}, 80, 1), ({"threshold": 80}, 81, 0), ({"threshold": 80, "strict": True}, 80, 0),
     ({"threshold": 80, "strict": True}, 79, 1), ({"weak": 100, "strong": 50}, 75, 0.5),
     ({"weak": 100, "strong": 50}, 40, 1), ({"weak": 100, "strong": 50}, 120, 0)],
)  # fmt: skip
def test_of_bytes_and_seconds_less_is_more(bounds, value, share):
    for metric in ("file_bytes", "seconds"):
        assert Check("cnn", "x", metric, 10, **bounds).share(value) == share


def test_reaching_the_strict_threshold_of_tiny_images_is_not_enough(submission):
    put(submission, table(rows("tiny", 20)))
    assert marks(grade(submission, TRUTH, RUBRIC))["Tiny images"] == 0
    put(submission, table(rows("tiny", 21)))
    assert marks(grade(submission, TRUTH, RUBRIC))["Tiny images"] == 20


def test_better_needs_the_sign_and_the_p_value(submission):
    # 6 images more and none less: p = 2 / 2^6 = 0.03125; 5 more: 0.0625
    for more, points in ((6, 10), (5, 0)):
        put(submission, table(rows("cnn", 60 + more)), "cnn")
        graded = grade(submission, TRUTH, RUBRIC)
        assert marks(graded)["CNN better than the baseline"] == points
        assert graded.marks[-1].value == 2 / 2**more
    put(submission, table(rows("cnn", 40)), "cnn")
    graded = grade(submission, TRUTH, RUBRIC)
    assert marks(graded)["CNN better than the baseline"] == 0 and "not better" in graded.marks[-1].reason


def test_parts_with_other_truths_are_not_compared(submission):
    other = Truth("others", {f"x{name}": label for name, label in TRUTH.labels.items()}, CLASSES)
    put(submission, table([(f"x{name}", label) for name, label in rows("cnn")]), "cnn")
    checks = tuple(dataclasses.replace(check, required=True) for check in RUBRIC.checks)
    graded = grade(submission, {"tiny": TRUTH, "bow": TRUTH, "cnn": other}, Rubric("x", checks))
    assert (graded.score, graded.max_score) == (90, 90)
    assert "other truths" in graded.marks[-1].reason


def test_a_part_without_a_truth_is_left_out_and_said(submission):
    graded = grade(submission, {"cnn": TRUTH}, RUBRIC)
    assert (graded.score, graded.max_score) == (40, 40)
    assert "no truth was given for part 'tiny'" in graded.marks[0].reason


def test_what_is_not_required_is_left_out_where_its_part_or_file_is_missing(submission):
    checks = tuple(dataclasses.replace(check, required=False) for check in RUBRIC.checks)
    (submission / "cnn" / "model.pt").unlink()
    (submission / "tiny" / "pred.csv").unlink()
    graded = grade(submission, TRUTH, Rubric("x", checks))
    assert (graded.score, graded.max_score) == (70, 70)
    assert marks(graded)["Tiny images"] is None and marks(graded)["CNN, model file"] is None


def test_names_in_decomposed_letters_are_the_same_names(tmp_path, submission):
    truth = Truth("t", {f"Küche/{i}.png": CLASSES[i % 2] for i in range(4)}, CLASSES[:2])
    lines = [(unicodedata.normalize("NFD", name), label) for name, label in truth.labels.items()]
    put(submission, table(lines))
    graded = grade(submission, {"tiny": truth}, RUBRIC)
    assert graded.judged["tiny"].accuracy == 1 and kinds(graded) == {"path_spelling"}


def test_feedback_on_findings_leaves_out_folders_named_like_classes(submission):
    put(submission, table(rows("tiny")[1:]))
    (finding,) = grade(submission, TRUTH, RUBRIC).findings
    assert finding.text == "tiny: 1 image without a row: counted as wrong (.../000.png)"


def test_brackets_in_a_name_do_not_bring_its_folder_back(submission):
    truth = Truth("t", {"bee/photo (2) 0.jpg": "bee", "ant/1.jpg": "ant"}, ("ant", "bee"))
    put(submission, table([("ant/1.jpg", "ant")]))
    (finding,) = grade(submission, {"tiny": truth}, RUBRIC).findings
    assert finding.text == "tiny: 1 image without a row: counted as wrong (.../photo (2) 0.jpg)"


def test_labels_in_decomposed_letters_are_the_same_labels(submission):
    truth = Truth("t", {"1.png": "Küche", "2.png": "Bad"}, ("Bad", "Küche"))
    put(submission, table([("1.png", unicodedata.normalize("NFD", "Küche")), ("2.png", "Bad")]))
    assert grade(submission, {"tiny": truth}, RUBRIC).judged["tiny"].accuracy == 1


def test_who_guesses_the_truth_is_not_told_how_well(submission):
    for guesses in ("ant", "bee"):
        lines = [(name, guesses, "ant") for name in NAMES]
        put(submission, table(lines, ("filename", "label", "predicted")), name="predictions.csv")
        (submission / "tiny" / "pred.csv").unlink(missing_ok=True)
        (finding,) = grade(submission, TRUTH, RUBRIC).findings
        assert finding.text == "tiny: the file says other true classes than the truth: ignored"


def test_who_names_every_image_in_every_folder_is_found_out(submission):
    truth = Truth("t", {f"{CLASSES[i % 4]}/{i}.png": CLASSES[i % 4] for i in range(40)}, CLASSES)
    put(submission, table([(f"{label}/{i}.png", label) for i in range(40) for label in CLASSES]))
    graded = grade(submission, {"tiny": truth}, RUBRIC)
    assert kinds(graded) == {"several_folders", "unknown_image"} and "40 images" in graded.findings[0].text


def test_who_names_every_image_in_every_folder_with_backslashes_too(submission):
    truth = Truth("t", {f"{CLASSES[i % 4]}/{i}.png": CLASSES[i % 4] for i in range(40)}, CLASSES)
    put(submission, table([(f"{label}\\{i}.png", label) for i in range(40) for label in CLASSES]))
    graded = grade(submission, {"tiny": truth}, RUBRIC)
    assert kinds(graded) == {"several_folders", "unknown_image", "path_spelling"}


def test_names_that_are_not_utf_8_are_those_of_the_truth_or_windows_ones(submission):
    raw = b"caf\xe9.png".decode("utf-8", "surrogateescape")
    names = {"a.png": "ant", "b\u00fcro.png": "bee", raw: "bee"}
    truth = Truth("t", names, ("ant", "bee"))
    put(submission, table(list(names.items())))  # one name of three is not UTF-8, the others are
    graded = grade(submission, {"tiny": truth}, RUBRIC)
    assert graded.judged["tiny"].accuracy == 1 and kinds(graded) == {"encoding"}
    truth = Truth("t", {"a.png": "K\u00fcche", "b\u00fcro.png": "Bad"}, ("Bad", "K\u00fcche"))
    put(submission, table(list(truth.labels.items())).encode("cp1252"))
    graded = grade(submission, {"tiny": truth}, RUBRIC)
    assert graded.judged["tiny"].accuracy == 1 and "encoding" in kinds(graded)


def test_a_truth_with_backslashes_tells_no_classes_either(submission):
    truth = Truth("t", {f"{label}\\{i}.png": label for i, label in enumerate(CLASSES)}, CLASSES)
    put(submission, table([("ant\\0.png", "ant")]))
    (finding,) = grade(submission, {"tiny": truth}, RUBRIC).findings
    assert finding.text == "tiny: 3 images without a row: counted as wrong (.../1.png, ...)"


def test_of_very_many_findings_of_a_kind_the_first_are_kept_and_the_rest_counted(submission):
    for i in range(50):
        (submission / "cnn" / f"{i:02}.pt").symlink_to("/etc/passwd")
    findings = grade(submission, TRUTH, RUBRIC).findings
    assert [finding.kind for finding in findings] == ["model_is_no_file"] * 6
    assert findings[-1].text == "and 45 more of this kind"


def test_run_folders_are_parts_too(submission, monkeypatch):
    monkeypatch.setattr("reports.run.confusion_figure", lambda *_: None)
    predicted = dict(rows("bow"))
    names = sorted(NAMES)
    record = RunRecord(
        name="mine", command=["x"], classes=list(CLASSES), filenames=names,
        labels=[TRUTH.labels[name] for name in names], predicted=[predicted[name] for name in names],
        scores=[[0.25] * 4] * 100, n_train=0,
    )  # fmt: skip
    (submission / "bow" / "pred.csv").unlink()
    write_run(submission / "bow", record)
    graded = grade(submission, TRUTH, RUBRIC)
    assert graded.score == 100 and graded.findings == ()
    assert graded.judged["bow"].accuracy == 0.6


def test_a_single_part_may_be_the_submission_itself(submission):
    found = read_submission(submission / "bow", RUBRIC.parts, only_part="bow")
    assert list(found.parts) == ["bow"] and len(found.parts["bow"].rows) == 100


# ------------------------------------------------------------------------------------------ models run again


def again(right: int = 90, **fields) -> dict[str, Rerun]:
    return {"cnn": Rerun(rows("cnn", right), 2.0, **fields)}


def test_what_a_model_predicts_again_counts_where_it_is_something_else(submission):
    # of 100 images none may differ: 0.5 % of them are half a one
    assert kinds(grade(submission, TRUTH, RUBRIC, reruns=again())) == set()
    graded = grade(submission, TRUTH, RUBRIC, reruns=again(83))
    assert kinds(graded) == {"model_differs"} and graded.judged["cnn"].accuracy == 0.83
    assert marks(graded)["CNN, strong baseline"] == 0 and graded.score == 70


def test_one_of_two_hundred_may_differ(tmp_path):
    truth = Truth("t", {f"{i}.png": CLASSES[i % 2] for i in range(200)}, CLASSES[:2])
    right = list(truth.labels.items())
    (tmp_path / "cnn").mkdir()
    (tmp_path / "cnn" / "pred.csv").write_text(table(right))
    for wrong, found in ((1, set()), (2, {"model_differs"})):
        other = [(name, "ant" if label == "bee" else "bee") for name, label in right[:wrong]] + right[wrong:]
        reruns = {"cnn": Rerun(other, 1.0)}
        assert kinds(grade(tmp_path, {"cnn": truth}, RUBRIC, reruns=reruns)) == found


def seconds(**changes) -> Rubric:
    return Rubric("x", (Check("cnn", "fast", "seconds", 10, **{"weak": 4.0, "strong": 1.0, **changes}),))


def test_seconds_are_those_of_running_again(submission):
    (mark,) = grade(submission, TRUTH, seconds(), reruns=again()).marks
    assert (mark.score, mark.value) == (6.6667, 2.0) and "2.00 s" in mark.reason
    (mark,) = grade(submission, TRUTH, seconds()).marks
    assert not mark.applies and "not run again" in mark.reason


def test_a_model_beyond_the_limits_has_no_points_for_seconds(submission):
    reruns = {"cnn": Rerun(None, None, "it took longer than the time limit", "too_slow")}
    graded = grade(submission, TRUTH, seconds(), reruns=reruns)
    assert graded.marks[0].applies and graded.score == 0 and "model_too_slow" in kinds(graded)
    reruns = {"cnn": Rerun(None, None, "damaged", "refused")}
    assert not grade(submission, TRUTH, seconds(), reruns=reruns).marks[0].applies


def test_the_size_in_float32_is_read_from_the_header(submission):
    safetensors = pytest.importorskip("safetensors.numpy")
    import numpy as np

    (submission / "cnn" / "model.pt").unlink()
    tensors = {"w": np.zeros((10, 5), np.float16), "b": np.zeros(5, np.float16)}
    (submission / "cnn" / "model.safetensors").write_bytes(safetensors.save(tensors))
    part = read_submission(submission, RUBRIC.parts).parts["cnn"]
    assert part.float32_bytes == 4 * 55 and part.file_bytes < 300
