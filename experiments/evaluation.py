"""Somebody's predictions against the truth: what cannot belong together, and the run folder."""

from collections.abc import Sequence

import numpy as np

from reports import Facts, RunRecord, Shown, confusion_matrix, diagnose, environment
from reports.judging import Judged
from reports.page import Picture

_WRONG = ("missing", "contradicting", "unknown_label")


def check_match(judged: Judged, rows: Sequence[tuple[str, str]], predictions: object, truth: object) -> None:
    """ValueError where predictions and truth cannot belong together: no image, or no class, in common; or
    where a row gives a base name that several images have."""
    kinds = {finding["kind"]: finding["count"] for finding in judged.findings}
    n = len(judged.truth.labels)
    if "ambiguous" in kinds:
        written = next(found["images"][0] for found in judged.findings if found["kind"] == "ambiguous")
        first, second = judged.truth.by_base_name()[written][:2]
        raise ValueError(
            f"{written[:80]!r} could be {first} or {second}: write the path from the test folder on"
        )
    if kinds.get("missing") == n:
        raise ValueError(f"{predictions} names no image of {truth}: give the truth of the same images")
    if rows and not any(judged.truth.class_of(label) for _, label in rows):
        raise ValueError(
            f"{predictions} has no label that is a class of {truth} (classes {_some(judged.truth.classes)}): "
            "give the truth of the same classes, or their names with --classes"
        )


def check_classes(classes: Sequence[str], judged: Judged, predictions: object, truth: object) -> None:
    """ValueError for a run that knows a class which the truth has not."""
    if unknown := sorted(set(classes) - set(judged.truth.classes)):
        raise ValueError(
            f"{predictions} knows class {unknown[0]!r}, {truth} has {_some(judged.truth.classes)}: give the "
            "truth of the same classes, or their names with --classes"
        )


def _some(classes: Sequence[str]) -> str:
    return ", ".join(classes[:3]) + (f" and {len(classes) - 3} more" if len(classes) > 3 else "")


def evaluation_record(
    judged: Judged,
    name: str,
    command: Sequence[str],
    *,
    predictions: str,
    truth: str,
    picture: Picture | None = None,
) -> RunRecord:
    """What `write_run` keeps of judged predictions.

    A run has a predicted class for every image. For one that is wrong by rule the first class, in sorted
    order, that is not its own stands in; `findings` in ``result.json`` name all of these. Scores are 1 for
    the predicted class and 0 for the others. `picture` gives the pixels of an image by its name.
    """
    classes, names = judged.truth.classes, sorted(judged.truth.labels)
    labels = [judged.truth.labels[name] for name in names]
    predicted = [judged.predicted[name] or _other_than(judged.truth.labels[name], classes) for name in names]
    column = {label: i for i, label in enumerate(classes)}
    scores = np.zeros((len(names), len(classes)), np.float32)
    scores[np.arange(len(names)), [column[label] for label in predicted]] = 1
    facts = Facts(
        classes=classes, confusion=confusion_matrix(labels, predicted, classes), dataset=judged.truth.name
    )
    config = {"predictions": predictions, "truth": truth, "scores": "1 for the predicted class"}
    if any(finding["kind"] in _WRONG for finding in judged.findings):
        config["wrong by rule"] = "counted under the first other class, listed in findings"
    return RunRecord(
        name=name, command=list(command), classes=list(classes), filenames=names, labels=labels,
        predicted=predicted, scores=scores, n_train=0, config=config, data={"name": judged.truth.name},
        diagnoses=diagnose(facts), environment=environment(1), extra={"findings": judged.findings},
        shown=Shown(picture) if picture else None,
    )  # fmt: skip


def _other_than(label: str, classes: Sequence[str]) -> str:
    return next(name for name in classes if name != label)
