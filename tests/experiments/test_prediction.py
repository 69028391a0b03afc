"""Saved models: the order of the answers, worked out by hand, and what images are called."""

import csv

import numpy as np
import pytest
from PIL import Image

from classifiers import KNNClassifier
from experiments.prediction import (
    Answer,
    ClassicalModel,
    find_images,
    load_model,
    prediction_table,
    write_predictions,
)
from features import TinyImage
from scenes import UnreadableImage


def model(training: dict[str, list[int]], k: int, tie: str = "first") -> ClassicalModel:
    """Images are known by their one grey value."""
    grey = [[float(value)] for values in training.values() for value in values]
    labels = [label for label, values in training.items() for _ in values]
    extractor = TinyImage(size=1, norm="none", n_jobs=1).fit([])
    return ClassicalModel(extractor, KNNClassifier(k, tie=tie, n_jobs=1).fit(grey, labels))


def answer(found: ClassicalModel, value: int, tmp_path) -> tuple[tuple[str, float], ...]:
    path = tmp_path / f"{value}.png"
    Image.fromarray(np.full((3, 3), value, np.uint8)).save(path)
    (only,) = found.predict({"image": path}, n_jobs=1)
    assert only.filename == "image"
    return only.ranked


def test_classes_come_by_their_share_of_the_vote(tmp_path):
    found = model({"a": [100, 200], "b": [103, 104, 105], "c": [90]}, k=6)
    assert answer(found, 104, tmp_path) == (("b", 3 / 6), ("a", 2 / 6), ("c", 1 / 6))


def test_among_equal_shares_the_nearest_training_image_decides(tmp_path):
    # at 50 the nearest of d is 1 away, of b 2, of c 3, and none of these three gets a vote at k = 1
    found = model({"a": [50], "b": [52, 200], "c": [53, 54], "d": [49, 1]}, k=1)
    assert answer(found, 50, tmp_path) == (("a", 1.0), ("d", 0.0), ("b", 0.0))


def test_the_elected_class_stands_first_whatever_lies_nearer(tmp_path):
    # at 50: neighbours z 51, y 53, one vote each; "first" elects y, "nearest" elects z
    training = {"y": [53], "z": [51], "x": [90]}
    assert answer(model(training, k=2), 50, tmp_path) == (("y", 0.5), ("z", 0.5), ("x", 0.0))
    assert answer(model(training, k=2, tie="nearest"), 50, tmp_path) == (("z", 0.5), ("y", 0.5), ("x", 0.0))


def test_two_classes_give_two_answers(tmp_path):
    assert answer(model({"a": [1], "b": [9]}, k=1), 8, tmp_path) == (("b", 1.0), ("a", 0.0))


def test_an_answer_does_not_depend_on_the_other_images(tmp_path):
    found = model({"a": [10, 60], "b": [20, 30], "c": [40, 50]}, k=3)
    alone = [answer(found, value, tmp_path) for value in (0, 25, 45, 250)]
    paths = {str(value): tmp_path / f"{value}.png" for value in (250, 45, 25, 0)}
    together = {answer.filename: answer.ranked for answer in found.predict(paths, n_jobs=2)}
    assert list(together) == ["250", "45", "25", "0"]
    assert [together[str(value)] for value in (0, 25, 45, 250)] == alone


def test_unreadable_images_raise_or_are_skipped_with_a_line(tmp_path, capsys):
    found = model({"a": [1], "b": [9]}, k=1)
    answer(found, 8, tmp_path)
    (tmp_path / "bad.png").write_bytes(b"")
    paths = {"bad": tmp_path / "bad.png", "good": tmp_path / "8.png"}
    with pytest.raises(UnreadableImage, match=r"bad\.png"):
        found.predict(paths)
    assert [only.filename for only in found.predict(paths, skip_unreadable=True)] == ["good"]
    assert capsys.readouterr().err.startswith(f"skipped: {tmp_path / 'bad.png'}")
    with pytest.raises(ValueError, match="no readable image left"):
        found.predict({"bad": tmp_path / "bad.png"}, skip_unreadable=True)


def test_images_are_found_in_the_order_given(small_folder):
    test = small_folder / "test"
    found = find_images(
        [str(test / "stripes" / "image_2.png"), str(test), str(test / "bars" / "image_[01].png")]
    )
    assert list(found) == [
        "image_2.png",
        *(f"{label}/image_{i}.png" for label in ("bars", "checks", "stripes") for i in range(3)),
        "image_0.png",
        "image_1.png",
    ]
    assert all(path.is_file() for path in found.values())


def test_the_same_name_twice_is_refused(small_folder):
    one, other = (str(small_folder / "test" / label / "image_0.png") for label in ("bars", "checks"))
    with pytest.raises(ValueError, match=r"two images are called image_0\.png"):
        find_images([one, other])


def test_the_table_lines_up_and_hides_what_would_break_a_line():
    answers = [
        Answer("a\nb.png", (("x", 1.0), ("y", 0.0))),
        Answer("longer.png", (("y", 2 / 3), ("x", 1 / 3))),
    ]
    assert prediction_table(answers) == ["a?b.png     x 1.00  y 0.00", "longer.png  y 0.67  x 0.33"]


def test_predictions_are_written_whole_or_not_at_all(tmp_path):
    target = tmp_path / "pred.csv"
    names = ["b/1.png", 'a "quoted", 2.png', "two\nlines.png"]
    write_predictions(target, [Answer(name, (("x", 1.0),)) for name in names])
    with open(target, newline="", encoding="utf-8") as file:
        assert list(csv.reader(file)) == [["filename", "label"], *([name, "x"] for name in names)]
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError) as caught:
        write_predictions(tmp_path / "folder", [Answer("a", (("x", 1.0),))])
    assert caught.value.filename == str(tmp_path / "folder")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "pred.csv"]


def test_a_path_that_is_no_model_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such model: give a run folder, a model file"):
        load_model(tmp_path / "nowhere")
    (tmp_path / "words.npz").write_bytes(b"")
    with pytest.raises(ValueError, match=r"words\.npz: not an \.npz file"):
        load_model(tmp_path / "words.npz")
