"""Somebody's predictions held against the truth, image by image, by rules that leave nothing open.

A truth image without a row, with contradicting rows or with an unknown label is wrong; equal duplicates
count once; rows for unknown images are ignored. Each of these is a finding, and the denominator is always
the truth.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

# What is said of the predictions, in this order; each with its consequence.
FINDINGS = {
    "missing": "without a row: counted as wrong",
    "contradicting": "with rows that contradict each other: counted as wrong",
    "unknown_label": "with a label that is no class: counted as wrong",
    "duplicate": "with equal rows more than once: counted once",
    "unknown_image": "named by a row and not in the truth: ignored",
    "ambiguous": "named by the last part of a path that several have: ignored",
}
_MOST_NAMED = 20  # images of a finding that are not of the truth; there may be any number


@dataclass(frozen=True)
class Truth:
    """What the images of a set really show.

    Attributes
    ----------
    name : str
    labels : dict of str to str
        Class name of each image, by its name.
    classes : tuple of str, sorted
    official : tuple of str
        The classes in the set's own order, which integer labels refer to; empty where there is none.
    """

    name: str
    labels: dict[str, str]
    classes: tuple[str, ...]
    official: tuple[str, ...] = ()

    def class_of(self, label: str) -> str | None:
        """The class that a label means: its name, or its official index; None for an unknown one."""
        if label in self.classes:
            return label
        # file systems write letters with accents in two ways
        composed = unicodedata.normalize("NFC", label)
        for name in self.classes:
            if unicodedata.normalize("NFC", name) == composed:
                return name
        is_index = re.fullmatch("[0-9]{1,9}", label) is not None and int(label) < len(self.official)
        return self.official[int(label)] if is_index else None

    def by_base_name(self) -> dict[str, list[str]]:
        """The images that end in each base name."""
        found: dict[str, list[str]] = defaultdict(list)
        for name in self.labels:
            found[name.rsplit("/", 1)[-1]].append(name)
        return dict(found)


@dataclass(frozen=True)
class Judged:
    """Predictions held against the truth.

    Attributes
    ----------
    truth : Truth
    predicted : dict of str to str or None
        Class predicted for each image of the truth; None where it counts as wrong by rule.
    findings : list of dict
        ``kind``, ``count``, ``text`` and ``images`` (all of the truth's, some of those that are not).
    """

    truth: Truth
    predicted: dict[str, str | None]
    findings: list[dict]

    @property
    def right(self) -> dict[str, bool]:
        """Whether each image of the truth was predicted right."""
        return {name: self.predicted[name] == label for name, label in self.truth.labels.items()}

    @property
    def accuracy(self) -> float:
        """Share of the truth's images that were predicted right."""
        return sum(self.right.values()) / len(self.truth.labels)


def judge(rows: Iterable[tuple[str, str]], truth: Truth) -> Judged:
    """Hold rows (image name, label) against the truth.

    A bare base name is taken for the image of the truth that has it, if only one has.
    """
    by_base = truth.by_base_name()
    said: dict[str, list[str]] = defaultdict(list)
    kinds: dict[str, dict[str, None]] = {kind: {} for kind in FINDINGS}
    for written, label in rows:
        having = [written] if written in truth.labels else by_base.get(written, [])
        if len(having) == 1:
            said[having[0]].append(label)
        else:
            kinds["ambiguous" if having else "unknown_image"][written] = None
    predicted: dict[str, str | None] = {}
    for name in truth.labels:
        labels = said.get(name, [])
        meant = {truth.class_of(label) or f"\0{label}" for label in labels}
        only = truth.class_of(labels[0]) if len(meant) == 1 else None
        predicted[name] = only
        if not labels:
            kinds["missing"][name] = None
        elif len(meant) > 1:
            kinds["contradicting"][name] = None
        elif only is None:
            kinds["unknown_label"][name] = None
        if len(labels) > len(meant) == 1:
            kinds["duplicate"][name] = None
    found = [_finding(kind, list(names)) for kind, names in kinds.items() if names]
    return Judged(truth, predicted, found)


def _finding(kind: str, names: list[str]) -> dict:
    named = names[:_MOST_NAMED] if kind in ("unknown_image", "ambiguous") else names
    text = finding_text(kind, len(names), names[0])
    return {"kind": kind, "count": len(names), "text": text, "images": named}


def finding_text(kind: str, count: int, first: str) -> str:
    """What is said of so many images, the first of which is called so."""
    noun = "image" if count == 1 else "images"
    return f"{count} {noun} {FINDINGS[kind]} ({first}{'' if count == 1 else ', ...'})"
