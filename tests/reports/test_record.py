"""From predictions to the contents of result.json."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from reports.metrics import wilson_interval
from reports.record import RunRecord, build_result, json_text

# 4 images, 3 right; confusion [[1, 0], [1, 2]] for cat, dog
RECORD = RunRecord(
    name="bow",
    command=["scripts/run_bow.py", "--k", "1"],
    classes=["cat", "dog"],
    filenames=["dog/1.png", "cat/1.png", "dog/2.png", "dog/3.png"],
    labels=["dog", "cat", "dog", "dog"],
    predicted=["dog", "cat", "cat", "dog"],
    scores=np.array([[0.0, 1.0], [1.0, 0.0], [0.6, 0.4], [0.2, 0.8]]),
    n_train=9,
)
KEYS = [
    "schema",
    "name",
    "command",
    "accuracy",
    "accuracy_interval",
    "n_train",
    "n_test",
    "classes",
    "confusion",
    "per_class",
    "asymmetry",
    "column_concentration",
    "config",
    "selection",
    "data",
    "vocabulary",
    "model",
    "leaks",
    "diagnoses",
    "skipped",
    "timings",
    "environment",
]


def changed(**fields):
    return dataclasses.replace(RECORD, **fields)


def test_figures_are_computed_from_the_predictions():
    result = build_result(RECORD)
    assert result["accuracy"] == 0.75 and result["n_test"] == 4 and result["n_train"] == 9
    assert result["accuracy_interval"] == list(wilson_interval(3, 4))
    assert result["confusion"] == [[1, 0], [1, 2]]
    assert result["per_class"][1] == {"class": "dog", "n": 3, "precision": 1.0, "recall": 2 / 3, "f1": 0.8}
    assert result["asymmetry"] == 0.5 and result["column_concentration"] == 1.0


def test_keys_come_in_the_documented_order_and_extras_last():
    result = build_result(changed(extra={"more": 1}))
    assert list(result)[: len(KEYS)] == KEYS
    assert list(result)[-1] == "more"


def test_what_is_not_given_has_its_documented_shape():
    result = build_result(RECORD)
    assert result["selection"] == "none"
    assert result["model"] == {"parameters": 0, "file_bytes": 0, "macs": 0}
    assert result["leaks"] == {"train_test": [], "within": [], "across_classes": []}
    assert result["timings"]["cached"] == [] and result["timings"]["total"] == 0.0


def test_model_size_is_the_one_measured_else_the_one_given():
    record = changed(model={"file_bytes": 5, "macs": 7})
    assert build_result(record)["model"] == {"parameters": 0, "file_bytes": 5, "macs": 7}
    assert build_result(record, model_bytes=11)["model"]["file_bytes"] == 11


def test_extra_keys_cannot_replace_figures():
    with pytest.raises(ValueError, match="accuracy"):
        build_result(changed(extra={"accuracy": 1.0}))


def test_numpy_values_and_paths_become_plain():
    config = {
        "k": np.int64(3),
        "p": np.float32(0.5),
        "on": np.bool_(True),
        "a": np.arange(2),
        "at": Path("x"),
    }
    assert build_result(changed(config=config))["config"] == {
        "k": 3,
        "p": 0.5,
        "on": True,
        "a": [0, 1],
        "at": "x",
    }


@pytest.mark.parametrize("value", [float("nan"), float("inf"), np.float32("nan"), {1, 2}, object()])
def test_what_json_cannot_hold_is_named(value):
    with pytest.raises(ValueError, match="'config' cannot be written to result.json"):
        build_result(changed(config={"lr": value}))


def test_json_has_a_line_for_each_key_and_each_row():
    result = build_result(RECORD)
    text = json_text(result)
    assert json.loads(text) == result and text.endswith("}\n")
    assert ' "accuracy": 0.75,\n' in text and '"confusion": [\n  [1, 0],\n  [1, 2]],\n' in text


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"filenames": [], "labels": [], "predicted": [], "scores": np.zeros((0, 2))}, "no test image"),
        ({"classes": ["dog", "cat"]}, "not sorted"),
        ({"classes": ["cat", "cat", "dog"]}, "named twice"),
        ({"classes": ["cat"], "scores": np.zeros((4, 1))}, "label 'dog' is none of"),
        ({"labels": ["dog"]}, "4 file names, 1 labels"),
        ({"filenames": ["a", "b", "c", "a"]}, "named twice"),
        ({"filenames": [Path("a"), "b", "c", "d"]}, "not all text"),
        ({"scores": np.zeros((4, 3))}, "scores have shape"),
        ({"scores": np.full((4, 2), np.nan)}, "not all finite"),
        ({"name": "../up"}, "cannot be a folder"),
        ({"name": ""}, "cannot be a folder"),
        ({"name": ".hidden"}, "cannot be a folder"),
    ],
)
def test_contradictions_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        build_result(changed(**fields))


def test_records_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        RECORD.name = "other"
