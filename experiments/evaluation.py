"""Somebody's predictions against the truth: what counts as wrong, what is said about it, the run folder.

A truth image without a row, with contradicting rows or with an unknown label is wrong; equal duplicates
count once; rows for unknown images are ignored. Each of these is a finding, and the denominator is always
the truth.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from experiments.truth import Truth
from reports import Facts, RunRecord, confusion_matrix, diagnose, environment

# What is said of the predictions, in this order; each with its consequence.
FINDINGS = {
    "missing": "without a row: counted as wrong",
    "contradicting": "with rows that contradict each other: counted as wrong",
    "unknown_label": "with a label that is no class: counted as wrong",
    "duplicate": "with equal rows more than once: counted once",
    "unknown_image": "named by a row and not in the truth: ignored",
}
_WRONG = ("missing", "contradicting", "unknown_label")
_MOST_NAMED = 20  # images of a finding that are not of the truth; there may be any number


@dataclass(frozen=True)
class Judged:
    """Predictions held against the truth.

    Attributes
    ----------
    truth : Truth
    predicted : dict of str to str or None
        Class predicted for each image of the truth; None where it counts as wrong by rule.
    findings : list of dict
        ``kind``, ``count``, ``text`` and ``images`` (all of the truth's, some of the unknown ones).
    """

    truth: Truth
    predicted: dict[str, str | None]
    findings: list[dict]

    @property
    def accuracy(self) -> float:
        """Share of the truth's images that were predicted right."""
        hits = sum(self.predicted[name] == label for name, label in self.truth.labels.items())
        return hits / len(self.truth.labels)


def judge(rows: Iterable[tuple[str, str]], truth: Truth) -> Judged:
    """Hold rows (image name, label) against the truth.

    A bare base name is taken for the image of the truth that has it, if only one has.

    Raises
    ------
    ValueError
        A base name that several images of the truth have.
    """
    by_base: dict[str, list[str]] = defaultdict(list)
    for name in truth.labels:
        by_base[name.rsplit("/", 1)[-1]].append(name)
    said: dict[str, list[str]] = defaultdict(list)
    unknown: dict[str, None] = {}
    for written, label in rows:
        image = _meant(written, truth, by_base)
        if image is None:
            unknown[written] = None
        else:
            said[image].append(label)
    kinds: dict[str, list[str]] = {kind: [] for kind in FINDINGS} | {"unknown_image": list(unknown)}
    predicted: dict[str, str | None] = {}
    for name in truth.labels:
        labels = said.get(name, [])
        meant = {truth.class_of(label) or f"\0{label}" for label in labels}
        only = truth.class_of(labels[0]) if len(meant) == 1 else None
        predicted[name] = only
        if not labels:
            kinds["missing"].append(name)
        elif len(meant) > 1:
            kinds["contradicting"].append(name)
        elif only is None:
            kinds["unknown_label"].append(name)
        if len(labels) > len(meant) == 1:
            kinds["duplicate"].append(name)
    found = [_finding(kind, names) for kind, names in kinds.items() if names]
    return Judged(truth, predicted, found)


def check_match(judged: Judged, rows: Sequence[tuple[str, str]], predictions: object, truth: object) -> None:
    """ValueError where predictions and truth cannot belong together: no image, or no class, in common."""
    kinds = {finding["kind"]: finding["count"] for finding in judged.findings}
    n = len(judged.truth.labels)
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
    judged: Judged, name: str, command: Sequence[str], *, predictions: str, truth: str
) -> RunRecord:
    """What `write_run` keeps of judged predictions.

    A run has a predicted class for every image. For one that is wrong by rule the first class, in sorted
    order, that is not its own stands in; `findings` in ``result.json`` name all of these. Scores are 1 for
    the predicted class and 0 for the others.
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
    )  # fmt: skip


def _meant(written: str, truth: Truth, by_base: dict[str, list[str]]) -> str | None:
    """The truth's image that a row means; None for none."""
    if written in truth.labels:
        return written
    having = by_base.get(written, [])
    if len(having) > 1:
        raise ValueError(
            f"{written[:80]!r} could be {having[0]} or {having[1]}: write the path from the test folder on"
        )
    return having[0] if having else None


def _finding(kind: str, names: list[str]) -> dict:
    noun = "image" if len(names) == 1 else "images"
    first = names[0] if len(names) == 1 else f"{names[0]}, ..."
    named = names[:_MOST_NAMED] if kind == "unknown_image" else names
    text = f"{len(names)} {noun} {FINDINGS[kind]} ({first})"
    return {"kind": kind, "count": len(names), "text": text, "images": named}


def _other_than(label: str, classes: Sequence[str]) -> str:
    return next(name for name in classes if name != label)
