"""The files of a run folder that are read back, each checked for itself."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from reports.record import SCHEMA
from scenes.files import read_npz

PREDICTION_COLUMNS = ("filename", "label", "predicted", "score")
TABLE_COLUMNS = (
    "run",
    "step",
    "n_words",
    "k",
    "metric",
    "norm",
    "seed",
    "accuracy",
    "n_test",
    "descriptors_per_image",
    "feature_seconds",
    "seconds",
)
# The keys of result.json in their order, with the type that reading expects.
_KEYS = {
    "schema": int,
    "name": str,
    "command": list,
    "accuracy": float,
    "accuracy_interval": list,
    "n_train": int,
    "n_test": int,
    "classes": list,
    "confusion": list,
    "per_class": list,
    "asymmetry": float,
    "column_concentration": float,
    "config": dict,
    "selection": str,
    "data": dict,
    "vocabulary": dict,
    "model": dict,
    "leaks": dict,
    "diagnoses": list,
    "skipped": list,
    "timings": dict,
    "environment": dict,
}
# Numbers within them that readers count on.
_FIGURES = {
    "model": ("parameters", "file_bytes", "macs"),
    "timings": ("training", "ms_per_image", "classification", "total"),
}
TEXT_ERRORS = "surrogateescape"  # names of files need not be valid UTF-8; this keeps their bytes
_MAX_TEXT_BYTES = 256 * 2**20


def _read_text(path: Path) -> str:
    try:
        if path.stat().st_size > _MAX_TEXT_BYTES:
            raise ValueError(f"{path} is larger than {_MAX_TEXT_BYTES} bytes: it is no file of a run")
        return path.read_bytes().decode("utf-8", TEXT_ERRORS)
    except FileNotFoundError as error:
        raise ValueError(f"{path} is missing: give the folder that the run printed last") from error
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error.strerror}): check its permissions") from error


def read_result(path: Path) -> dict:
    """Return ``result.json`` after checking schema, keys and the types of their values."""
    text = _read_text(path)
    try:
        result = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not valid JSON ({error}): run again") from error
    if not isinstance(result, dict) or result.get("schema") != SCHEMA:
        schema = result.get("schema") if isinstance(result, dict) else None
        raise ValueError(
            f"{path} has schema {schema!r}, this version reads {SCHEMA}: run again or use the other version"
        )
    for key, kind in _KEYS.items():
        if key not in result:
            raise ValueError(f"{path} lacks the key {key!r}: run again")
        value = result[key]
        fits = isinstance(value, (int, float) if kind is float else kind) and not isinstance(value, bool)
        if not fits:
            raise ValueError(f"{path}: {key!r} is {type(value).__name__}, not {kind.__name__}: run again")
    for key, names in _FIGURES.items():
        for name in names:
            value = result[key].get(name)
            kinds = int if key == "model" else (int, float)
            if isinstance(value, bool) or not isinstance(value, kinds) or value < 0:
                raise ValueError(f"{path}: {name!r} of {key!r} is no number of at least 0: run again")
    _check_settings(path, result["config"])
    _check_training(path, result)
    classes = result["classes"]
    if not all(isinstance(name, str) for name in classes) or classes != sorted(set(classes)):
        raise ValueError(f"{path}: 'classes' is not a sorted list of different names: run again")
    return result


def _check_settings(path: Path, config: dict) -> None:
    size, recipe = config.get("input_size", [1, 1, 1]), config.get("recipe", {})
    if not isinstance(size, list) or len(size) != 3 or not all(type(side) is int for side in size):
        raise ValueError(f"{path}: 'input_size' of 'config' is not three whole numbers: run again")
    if not isinstance(recipe, dict) or type(recipe.get("views", 1)) is not int:
        raise ValueError(f"{path}: 'recipe' of 'config' is not that of a training: run again")


def _check_training(path: Path, result: dict) -> None:
    """What only trainings have: images fitted, accuracy of one view."""
    training, plain = result.get("training", {}), result.get("plain_accuracy")
    if not isinstance(training, dict) or type(training.get("n_fit", 1)) is not int:
        raise ValueError(f"{path}: 'n_fit' of 'training' is no whole number: run again")
    if plain is not None and (isinstance(plain, bool) or not isinstance(plain, int | float)):
        raise ValueError(f"{path}: 'plain_accuracy' is no number: run again")


def _no_constant(name: str):
    raise ValueError(f"{name} is no JSON number")


def read_csv(path: Path, header: Sequence[str]) -> list[list[str]]:
    """Return the rows below the header, each of which has as many cells as it."""
    try:
        rows = list(csv.reader(io.StringIO(_read_text(path), newline=""), strict=True))
    except csv.Error as error:
        raise ValueError(f"{path} is not valid CSV ({error}): run again") from error
    if not rows or rows[0] != list(header):
        raise ValueError(f"{path} does not start with the line {','.join(header)}: run again")
    for number, row in enumerate(rows[1:], 2):
        if len(row) != len(header):
            raise ValueError(f"{path}: row {number} has {len(row)} cells, not {len(header)}: run again")
    return rows[1:]


def read_scores(path: Path, filenames: list[str], classes: Sequence[str]) -> np.ndarray:
    """Return the scores of ``scores.npz`` after comparing its names with those of the other files."""
    if not path.is_file():
        raise ValueError(f"{path} is missing: give the folder that the run printed last")
    arrays = read_npz(path)
    for name, wanted in (("filenames", filenames), ("classes", list(classes))):
        if name not in arrays or arrays[name].tolist() != wanted:
            raise ValueError(f"{path}: {name!r} is not that of predictions.csv and result.json: run again")
    scores = arrays.get("scores")
    shape = (len(filenames), len(classes))
    if scores is None or scores.dtype != np.float32 or scores.shape != shape:
        raise ValueError(f"{path}: 'scores' is not a float32 array of shape {shape}: run again")
    if not np.isfinite(scores).all():
        raise ValueError(f"{path}: 'scores' are not all numbers: run again")
    return scores
