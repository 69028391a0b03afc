"""What one evaluation hands over to be kept, and the figures that are computed from it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from reports.metrics import asymmetry, column_concentration, confusion_matrix, per_class, wilson_interval
from reports.page import Shown

SCHEMA = 1
_MODEL = {"parameters": 0, "file_bytes": 0, "macs": 0}
_LEAKS: dict[str, list] = {"train_test": [], "within": [], "across_classes": []}
_TIMINGS = {
    "features": 0.0,
    "vocabulary": 0.0,
    "classification": 0.0,
    "training": 0.0,
    "ms_per_image": 0.0,
    "total": 0.0,
    "cached": [],
}
_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+=-]{0,99}")


@dataclass(frozen=True, kw_only=True, eq=False)
class RunRecord:
    """One evaluation, as it is handed to `write_run`. Figures are computed from it, never given.

    Parameters
    ----------
    name : str
        Short name of what was run (``bow``); letters, digits and ``. _ + = -``.
    command : sequence of str
        The command line.
    classes : sequence of str
        All class names, sorted.
    filenames, labels, predicted : sequence of str
        One entry a test image, in any order: its name, true class and predicted class.
    scores : array_like, shape (n, C)
        Score of each class, in the order of `classes`; stored as float32.
    n_train : int
        Training images.
    config, data, vocabulary : mapping
        Settings; data set and fingerprints; identity of the vocabulary (empty without one).
    selection : str, default="none"
        What was chosen on which images.
    model : mapping
        ``parameters`` and ``macs``, 0 if not given. ``file_bytes`` is filled in from `model_arrays` or from a
        ``model.safetensors`` among `extra_files`.
    leaks : mapping
        Groups of identical images: ``train_test``, ``within``, ``across_classes``, empty if not given.
    diagnoses : sequence of dict
        What `reports.diagnose` returned.
    skipped : sequence
        Images that could not be read.
    timings, environment : mapping
        Seconds of each stage; what `reports.environment` returned.
    model_arrays : mapping of str to array_like, optional
        Written as ``model.npz``.
    expected : sequence of str
        Lines that state the range to expect of the method.
    extra : mapping
        Further keys of ``result.json``.
    shown : Shown, optional
        Pictures and neighbours for ``report.html``.
    extra_files : mapping of str to callable
        Further files of the folder: each callable is given the path to write. A name without a suffix is a
        stem, whose callable writes one or more files.
    """

    name: str
    command: Sequence[str]
    classes: Sequence[str]
    filenames: Sequence[str]
    labels: Sequence[str]
    predicted: Sequence[str]
    scores: np.ndarray
    n_train: int
    config: Mapping = field(default_factory=dict)
    selection: str = "none"
    data: Mapping = field(default_factory=dict)
    vocabulary: Mapping = field(default_factory=dict)
    model: Mapping = field(default_factory=dict)
    leaks: Mapping = field(default_factory=dict)
    diagnoses: Sequence[Mapping] = ()
    skipped: Sequence = ()
    timings: Mapping = field(default_factory=dict)
    environment: Mapping = field(default_factory=dict)
    model_arrays: Mapping | None = None
    expected: Sequence[str] = ()
    extra: Mapping = field(default_factory=dict)
    shown: Shown | None = None
    extra_files: Mapping[str, Callable[[Path], object]] = field(default_factory=dict)


def build_result(record: RunRecord, model_bytes: int = 0) -> dict:
    """Return the contents of ``result.json`` for a record, figures computed from its predictions.

    Parameters
    ----------
    record : RunRecord
    model_bytes : int, default=0
        Size of the model file; if 0, the one in ``record.model`` stands.

    Raises
    ------
    ValueError
        No test image, lists of unequal length, an image named twice, a label that is no class, classes not
        sorted, scores of another shape or not finite, a figure that JSON cannot hold (NaN, infinity).
    """
    check_record(record)
    confusion = confusion_matrix(record.labels, record.predicted, record.classes)
    correct, n_test = int(np.trace(confusion)), len(record.labels)
    model = {**_MODEL, **record.model}
    result = {
        "schema": SCHEMA,
        "name": record.name,
        "command": list(record.command),
        "accuracy": correct / n_test,
        "accuracy_interval": list(wilson_interval(correct, n_test)),
        "n_train": record.n_train,
        "n_test": n_test,
        "classes": list(record.classes),
        "confusion": confusion.tolist(),
        "per_class": per_class(confusion, record.classes),
        "asymmetry": asymmetry(confusion),
        "column_concentration": column_concentration(confusion),
        "config": dict(record.config),
        "selection": record.selection,
        "data": dict(record.data),
        "vocabulary": dict(record.vocabulary),
        "model": {**model, "file_bytes": model_bytes or model["file_bytes"]},
        "leaks": {**_LEAKS, **record.leaks},
        "diagnoses": list(record.diagnoses),
        "skipped": list(record.skipped),
        "timings": {**_TIMINGS, **record.timings},
        "environment": dict(record.environment),
        "expected": list(record.expected),
    }
    taken = sorted(set(result) & set(record.extra))
    if taken:
        raise ValueError(f"extra keys {', '.join(taken)} are taken: choose other names")
    # Through JSON and back, so that what is reported now and what is read later are the same.
    return json.loads(json_text({**result, **record.extra}))


def json_text(result: Mapping) -> str:
    """Return JSON with a line for each key, and for each row of a matrix or of a list of records."""
    lines = []
    for key, value in result.items():
        try:
            if isinstance(value, list) and value and isinstance(value[0], list | dict):
                text = "[\n  " + ",\n  ".join(_dumps(row) for row in value) + "]"
            else:
                text = _dumps(value)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{key!r} cannot be written to result.json: {error}") from error
        lines.append(f"{_dumps(key)}: {text}")
    return "{" + ",\n ".join(lines) + "}\n"


def _dumps(value) -> str:
    return json.dumps(value, allow_nan=False, default=_plain)


def _plain(value):
    """Return what JSON knows for numpy's types and for paths."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise TypeError(f"{type(value).__name__} is neither a number nor text nor a list of them")


def check_name(name: str) -> None:
    if not _SAFE_NAME.fullmatch(name):
        raise ValueError(f"name {name!r} cannot be a folder's: use letters, digits and . _ + = -")


def check_record(record: RunRecord) -> None:
    """Raise ValueError where a record contradicts itself."""
    check_name(record.name)
    n, classes = len(record.filenames), list(record.classes)
    if n == 0:
        raise ValueError("no test image was predicted: give at least one")
    if classes != sorted(set(classes)):
        raise ValueError("classes are not sorted or named twice: give sorted(set(classes))")
    if not n == len(record.labels) == len(record.predicted):
        raise ValueError(f"{n} file names, {len(record.labels)} labels, {len(record.predicted)} predictions")
    if not all(isinstance(name, str) for name in record.filenames):
        raise ValueError("file names are not all text: give str, relative to the test folder")
    if len(set(record.filenames)) != n:
        raise ValueError("an image is named twice: name images relative to the test folder")
    scores = np.asarray(record.scores)
    if scores.shape != (n, len(classes)):
        raise ValueError(f"scores have shape {scores.shape}, not ({n}, {len(classes)}): one column a class")
    if not np.isfinite(scores).all():
        raise ValueError("scores are not all finite: check the classifier")
