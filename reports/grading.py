"""One submission, one rubric: marks, and the reason for each point lost.

Only names and predicted labels are taken from a submission; everything is computed again from the truth.
What a submission claims of itself, and everything odd about it, is a finding, which costs nothing by itself.
"""

from __future__ import annotations

import itertools
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from reports.comparison import mcnemar, p_text
from reports.judging import Judged, Truth, finding_text, judge
from reports.metrics import wilson_interval
from reports.rubric import Check, Rubric, read_rubric
from reports.submission import (
    Finding,
    Submission,
    SubmittedPart,
    as_windows_wrote,
    read_submission,
    shown,
)

# How many of a model's predictions, computed again, may be others than those handed in.
MAY_DIFFER = 0.005
# Accuracies are told with four digits.
_ROUNDING = 6e-5
_MOST_LETTERS = 300  # of a finding
_MOST_ALIKE = 5  # findings of one kind about one part


@dataclass(frozen=True)
class Rerun:
    """A submitted model run again: what it predicts, or why it could not be run.

    Attributes
    ----------
    rows : list of (image, class) or None
    seconds : float or None
        For all images, reading them included, loading the model not.
    problem : str
        Why there are no rows.
    kind : str
        The same in a word; "too_slow", "too_large" and "crashed" are the model's fault.
    """

    rows: Sequence[tuple[str, str]] | None = None
    seconds: float | None = None
    problem: str = ""
    kind: str = ""


@dataclass(frozen=True)
class Mark:
    """What a check came to.

    Attributes
    ----------
    check : Check
    applies : bool
        Otherwise it counts neither for nor against.
    score : float
    value : float or None
        Of the metric, where it was measured.
    reason : str
        What was measured and what is asked, or why nothing was measured.
    """

    check: Check
    applies: bool
    score: float
    value: float | None
    reason: str


@dataclass(frozen=True)
class Grade:
    """A graded submission.

    Attributes
    ----------
    submission, title : str
        Its name and the rubric's.
    marks : tuple of Mark
    findings : tuple of Finding
    judged : dict of str to Judged
        Of each part that has predictions and a truth.
    """

    submission: str
    title: str
    marks: tuple[Mark, ...]
    findings: tuple[Finding, ...]
    judged: dict[str, Judged] = field(default_factory=dict)

    @property
    def score(self) -> float:
        """Points of the checks that apply."""
        return round(sum(mark.score for mark in self.marks if mark.applies), 4)

    @property
    def max_score(self) -> float:
        """What they could give."""
        return round(sum(mark.check.points for mark in self.marks if mark.applies), 4)


def grade(
    submission: Submission | str | Path,
    truth: Truth | Mapping[str, Truth],
    rubric: Rubric | str | Path,
    *,
    reruns: Mapping[str, Rerun] | None = None,
) -> Grade:
    """Grade a submission.

    Parameters
    ----------
    submission : Submission or path
        The folder with a folder for each part.
    truth : Truth or mapping of parts to Truth
        One for all parts, or one for each; a part without a truth cannot be graded.
    rubric : Rubric or path
    reruns : mapping of parts to Rerun, optional
        Submitted models that were run again.

    Raises
    ------
    FileNotFoundError, ValueError
        The rubric is no rubric.
    """
    if not isinstance(rubric, Rubric):
        rubric = read_rubric(rubric)
    if not isinstance(submission, Submission):
        submission = read_submission(submission, rubric.parts)
    truths = {part: truth for part in rubric.parts} if isinstance(truth, Truth) else dict(truth)
    reruns = reruns or {}
    findings, judged = list(submission.findings), {}
    for name, part in submission.parts.items():
        findings += part.findings
        if name in truths and part.rows is not None:
            judged[name] = _judged(part, truths[name], reruns.get(name), findings)
    findings += _equal_parts(judged)
    marks = tuple(_mark(check, submission, truths, judged, reruns) for check in rubric.checks)
    return Grade(submission.name, rubric.title, marks, tuple(_not_endless(findings)), judged)


def _equal_parts(judged: Mapping[str, Judged]) -> list[Finding]:
    """A finding for each two parts that say the same of every image of the same truth."""
    found = []
    for (name, one), (other, two) in itertools.combinations(judged.items(), 2):
        same = one.truth.labels == two.truth.labels and one.predicted == two.predicted
        if same and any(one.predicted.values()):
            text = f"{name} and {other} predict the same class for every image: one may be a copy"
            found.append(Finding("equal_parts", name, text))
    return found


def _not_endless(findings: Sequence[Finding]) -> list[Finding]:
    """The first few findings of a kind about a part; the last of them says how many more there are."""
    count = Counter((finding.kind, finding.part) for finding in findings)
    kept: dict[tuple[str, str], list[Finding]] = defaultdict(list)
    for finding in findings:
        same = kept[finding.kind, finding.part]
        if len(same) < _MOST_ALIKE:
            same.append(finding)
        elif len(same) == _MOST_ALIKE:
            more = count[finding.kind, finding.part] - _MOST_ALIKE
            same.append(replace(finding, text=f"and {more:,} more of this kind"))
    return [finding for same in kept.values() for finding in same]


def _judged(part: SubmittedPart, truth: Truth, rerun: Rerun | None, findings: list[Finding]) -> Judged:
    """A part's predictions against the truth; what is odd about them goes to `findings`."""

    def note(kind: str, text: str) -> None:
        findings.append(Finding(kind, part.name, shown(f"{part.name}: {text}", _MOST_LETTERS)))

    rows, respelt = _respelt(part.rows or (), truth)
    if respelt:
        note("path_spelling", f"{respelt} names are spelt with another system's paths or letters: accepted")
    judged = judge(rows, truth)
    if guessed := _in_several_folders(rows, truth):
        note("several_folders", f"{guessed} images are named in several folders, the wrong ones of which are "
             "ignored: where folders are classes that may be guessing")  # fmt: skip
    for found in judged.findings:
        note(found["kind"], finding_text(found["kind"], found["count"], _shown(found["images"][0], truth)))
    if (claim := part.claimed_accuracy) is not None and not abs(claim - judged.accuracy) <= _ROUNDING:
        note(
            "claimed_accuracy", f"result.json claims an accuracy of {claim:.4g}, it is {judged.accuracy:.4f}"
        )
    # how many is not said: who guesses would learn from it
    if any(truth.labels.get(name, label) != label for name, label in part.labels.items()):
        note("claimed_labels", "the file says other true classes than the truth: ignored")
    if rerun is None:
        return judged
    if rerun.rows is None:
        note(f"model_{rerun.kind}", f"the model was not run again: {rerun.problem}")
        return judged
    again = judge(rerun.rows, truth)
    differing = sum(again.predicted[name] != judged.predicted[name] for name in truth.labels)
    if differing > MAY_DIFFER * len(truth.labels):
        note(
            "model_differs",
            f"the model, run again, predicts another class for {differing} of {len(truth.labels)} images (at "
            f"most {MAY_DIFFER:.1%} may differ): what it predicts counts, accuracy {again.accuracy:.4f}",
        )
        return again
    return judged


def _respelt(rows: Sequence[tuple[str, str]], truth: Truth) -> tuple[list[tuple[str, str]], int]:
    """Rows with names as the truth spells them, where only slashes or the way of writing letters differ."""
    plain: dict[str, list[str]] = {}
    for name in truth.labels:
        plain.setdefault(_plain(name), []).append(name)
    known, bases, found, respelt = truth.labels, truth.by_base_name(), [], 0
    for name, label in rows:
        if name not in known and name not in bases:
            name = as_windows_wrote(name)  # that it is so is a finding already
        meant = plain.get(_plain(name), [])
        if name not in known and name not in bases and len(meant) == 1:
            name, respelt = meant[0], respelt + 1
        found.append((name, label))
    return found, respelt


def _in_several_folders(rows: Sequence[tuple[str, str]], truth: Truth) -> int:
    """How many base names of the truth stand in more wrong folders than the truth has images of that name."""
    bases, folders = truth.by_base_name(), defaultdict(set)
    for name, _ in rows:
        plain = _plain(name)
        if name not in truth.labels and (base := plain.rsplit("/", 1)[-1]) in bases and base != plain:
            folders[base].add(plain)
    return sum(len(names) > len(bases[base]) for base, names in folders.items())


def _plain(name: str) -> str:
    return unicodedata.normalize("NFC", name.strip().replace("\\", "/")).removeprefix("./")


def _shown(image: str, truth: Truth) -> str:
    """An image's name, without the folders of one of the truth, which may be its class."""
    base = image.replace("\\", "/").rsplit("/", 1)[-1]
    return f".../{base}" if image in truth.labels and base != image else image


# ------------------------------------------------------------------------------------------------------ marks


def _mark(
    check: Check,
    submission: Submission,
    truths: Mapping[str, Truth],
    judged: Mapping[str, Judged],
    reruns: Mapping[str, Rerun],
) -> Mark:
    if check.metric == "better_than":
        assert check.versus is not None
        pair = (check.part, check.versus)
        if all(name in truths for name in pair) and truths[pair[0]].labels != truths[pair[1]].labels:
            return _left_out(check, f"{pair[0]} and {pair[1]} have other truths")
    for name in filter(None, (check.part, check.versus)):
        part = submission.parts.get(name)
        if part is None:
            return _without(check, f"there is no part {name!r}")
        if check.metric in ("accuracy", "better_than"):
            if part.rows is None:
                return _without(check, f"part {name!r} has no predictions (pred.csv)")
            if name not in truths:
                return _left_out(check, f"no truth was given for part {name!r}")
        elif part.file_bytes is None:
            return _without(check, f"part {name!r} has no model file")
    if check.metric == "accuracy":
        return _accuracy(check, judged[check.part])
    if check.metric == "file_bytes":
        return _file_bytes(check, submission.parts[check.part])
    if check.metric == "seconds":
        return _seconds(check, reruns.get(check.part))
    assert check.versus is not None
    return _better_than(check, judged[check.part], judged[check.versus])


def _accuracy(check: Check, judged: Judged) -> Mark:
    n, right = len(judged.truth.labels), sum(judged.right.values())
    low, high = wilson_interval(right, n)
    words = (
        f"accuracy {judged.accuracy:.4f} ({right:,} of {n:,} images, 95 % interval {low:.3f} to {high:.3f})"
    )
    return _scored(check, judged.accuracy, words)


def _file_bytes(check: Check, part: SubmittedPart) -> Mark:
    assert part.file_bytes is not None
    words = f"the model file has {part.file_bytes:,} bytes"
    size = "unknown" if part.float32_bytes is None else f"{part.float32_bytes:,} bytes"
    words += f" (in float32: {size})"
    return _scored(check, part.file_bytes, words)


def _seconds(check: Check, rerun: Rerun | None) -> Mark:
    if rerun is None:
        return _left_out(check, "the model was not run again")
    if rerun.kind in ("too_slow", "too_large", "crashed"):
        return Mark(check, True, 0.0, None, f"{rerun.problem}: 0 of {check.points:g} points")
    if rerun.seconds is None:
        return _left_out(check, f"the model was not run again: {rerun.problem}")
    return _scored(check, rerun.seconds, f"the model took {rerun.seconds:.2f} s")


def _better_than(check: Check, judged: Judged, versus: Judged) -> Mark:
    mine, other = judged.right, versus.right
    only_mine = sum(mine[name] and not other[name] for name in mine)
    only_other = sum(other[name] and not mine[name] for name in mine)
    p = mcnemar(only_mine, only_other)
    words = (
        f"{only_mine} images right only here, {only_other} only in {check.versus!r}, exact McNemar's "
        f"p {p_text(p, 3)}"
    )
    if only_mine <= only_other:
        reason = f"{words}: not better, 0 of {check.points:g} points"
        return Mark(check, True, 0.0, p, reason)
    return _scored(check, p, words)


def _scored(check: Check, value: float, words: str) -> Mark:
    share = check.share(value)
    score = round(share * check.points, 4)
    reason = f"{words}; asked: {check.wanted}: {score:g} of {check.points:g} points"
    return Mark(check, True, score, value, reason)


def _without(check: Check, what: str) -> Mark:
    if not check.required:
        return _left_out(check, what)
    return Mark(check, True, 0.0, None, f"{what}: 0 of {check.points:g} points")


def _left_out(check: Check, why: str) -> Mark:
    return Mark(check, False, 0.0, None, f"does not apply: {why}")
