"""What comes of grades: Gradescope's JSON, a student's page, and what an instructor wants to know."""

from __future__ import annotations

import csv
import hashlib
import io
import itertools
import json
import re
import statistics
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from reports.grading import Grade
from reports.judging import Truth
from reports.page import template, thumbnail

Picture = Callable[[str], np.ndarray | None]
_MOST_SHOWN = 60
# What a spreadsheet would take for a formula, also behind what it strips, and at the start of a cell where it
# divides lines by semicolons or tabs.
_FORMULA = re.compile(r"(^|[;\t\r\n])(?=\s*[=+\-@\t\r\uff1d\uff0b\uff0d\uff20])")
_TURNING = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069]")  # what follows is shown in another order


def grade_json(grade: Grade) -> dict:
    """A grade as JSON knows it: marks, findings and, for each part, which images were predicted right.

    This is for the instructor's files: it tells the answers.
    """
    return {
        "submission": grade.submission, "title": grade.title, "score": grade.score,
        "max_score": grade.max_score,
        "marks": [
            {"name": mark.check.name, "part": mark.check.part, "applies": mark.applies, "score": mark.score,
             "points": mark.check.points, "value": mark.value, "reason": mark.reason}
            for mark in grade.marks
        ],
        "findings": [{"kind": each.kind, "part": each.part, "text": each.text} for each in grade.findings],
        "parts": {
            name: {
                "accuracy": judged.accuracy,
                # in sorted order: that of a truth may change between two calls
                "right": "".join("01"[right] for _, right in sorted(judged.right.items())),
                "predictions": _digest(judged.predicted),
            }
            for name, judged in grade.judged.items()
        },
    }  # fmt: skip


def gradescope_json(graded: Mapping) -> dict:
    """Gradescope's ``results.json`` of a `grade_json`: points, a test for each check, the accuracies."""
    tests = [
        {
            "name": f"{mark['part']}: {mark['name']}",
            "score": mark["score"],
            "max_score": mark["points"] if mark["applies"] else 0,
            "status": "passed" if not mark["applies"] or mark["score"] >= mark["points"] else "failed",
            "output": mark["reason"],
            "visibility": "visible",
        }
        for mark in graded["marks"]
    ]
    said = [f"- {finding['text']}" for finding in graded["findings"]]
    return {
        "score": graded["score"],
        "output": "\n".join([graded["title"], *(["", "Found on the way:", *said] if said else [])]),
        "tests": tests,
        "leaderboard": [
            {"name": f"{part} accuracy", "value": round(found["accuracy"], 4)}
            for part, found in graded["parts"].items()
        ],
    }


def feedback_page(graded: Mapping) -> str:
    """The student's page: each check with what was measured and asked, and what was odd. No answers."""
    return template("feedback.html").render(graded=graded) + "\n"


def gradebook_csv(all_graded: Sequence[Mapping]) -> str:
    """A row a submission: ``submission,score,max_score,<checks>,findings``; empty what does not apply."""
    checks = [mark["name"] for mark in all_graded[0]["marks"]] if all_graded else []
    rows = [["submission", "score", "max_score", *checks, "findings"]]
    for graded in all_graded:
        marks = [_points(mark["score"]) if mark["applies"] else "" for mark in graded["marks"]]
        kinds = " ".join(dict.fromkeys(finding["kind"] for finding in graded["findings"]))
        rows.append([graded["submission"], _points(graded["score"]), _points(graded["max_score"]), *marks,
                     kinds])  # fmt: skip
    return _csv(rows)


def items(all_graded: Sequence[Mapping], truths: Mapping[str, Truth]) -> list[dict]:
    """How many submissions miss each image of each part, the most missed first."""
    found = []
    for part, truth in truths.items():
        rights = [graded["parts"][part]["right"] for graded in all_graded if part in graded["parts"]]
        if not rights:
            continue
        wrong = len(rights) - np.sum([np.frombuffer(row.encode(), np.uint8) == ord("1") for row in rights], 0)
        for (name, label), missed in zip(sorted(truth.labels.items()), wrong.tolist(), strict=True):
            found.append({"part": part, "filename": name, "label": label, "missed": missed,
                          "of": len(rights)})  # fmt: skip
    return sorted(found, key=lambda item: (item["part"], -item["missed"], item["filename"]))


def items_csv(found: Sequence[Mapping]) -> str:
    """``part,filename,label,missed,submissions`` of `items`."""
    head = ["part", "filename", "label", "missed", "submissions"]
    return _csv([head, *([item["part"], item["filename"], item["label"], str(item["missed"]), str(item["of"])]
                         for item in found)])  # fmt: skip


def equal_predictions(all_graded: Sequence[Mapping]) -> list[dict]:
    """Parts of submissions that predict the same for every image: ``parts``, and who handed them in."""
    groups: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for graded in all_graded:
        for part, found in graded["parts"].items():
            if found["predictions"]:  # what predicts nothing is equal to nothing
                groups[found["predictions"]][part].append(graded["submission"])
    equal = [
        {"parts": list(parts), "submissions": list(dict.fromkeys(itertools.chain(*parts.values())))}
        for parts in groups.values() if sum(map(len, parts.values())) > 1
    ]  # fmt: skip
    return sorted(equal, key=lambda group: (group["parts"], group["submissions"]))


def instructor_page(
    title: str,
    all_graded: Sequence[Mapping],
    found: Sequence[Mapping],
    pictures: Mapping[str, Picture] | None = None,
) -> str:
    """The instructor's page: the class in a table, what was found, equal predictions, the images most miss.

    Parameters
    ----------
    title : str
    all_graded : sequence of `grade_json`
    found : what `items` gave
    pictures : mapping of parts to callables, optional
        The pixels of an image by its name; None for one that cannot be read.
    """
    scores = [graded["score"] for graded in all_graded]
    summary = {}
    if scores:
        low, middle, high = np.percentile(scores, (25, 50, 75))
        summary = {"mean": statistics.mean(scores), "median": middle, "low": low, "high": high,
                   "least": min(scores), "most": max(scores)}  # fmt: skip
    hardest = []
    for part in dict.fromkeys(item["part"] for item in found):
        shown = [item for item in found if item["part"] == part and item["missed"]][:_MOST_SHOWN]
        picture = (pictures or {}).get(part)
        hardest.append({
            "part": part,
            "images": [
                {**item, "picture": _thumbnail(picture, item["filename"])} for item in shown
            ],
        })  # fmt: skip
    checks = [mark["name"] for mark in all_graded[0]["marks"]] if all_graded else []
    return template("instructor.html").render(
        title=title, all_graded=all_graded, checks=checks, summary=summary, hardest=hardest,
        equal=equal_predictions(all_graded),
    ) + "\n"  # fmt: skip


def _thumbnail(picture: Picture | None, name: str) -> str | None:
    pixels = picture(name) if picture else None
    return None if pixels is None else thumbnail(pixels)


def _digest(predicted: Mapping[str, str | None]) -> str | None:
    """A hash of predictions by image; None where there is none at all."""
    if not any(predicted.values()):
        return None
    return hashlib.sha256(json.dumps(sorted(predicted.items())).encode()).hexdigest()


def _csv(rows: Sequence[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([_as_text(cell) for cell in row] for row in rows)
    return text.getvalue()


def _as_text(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula, and whose letters stay where they stand."""
    return _FORMULA.sub(r"\1'", _TURNING.sub("?", cell))


def _points(score: float) -> str:
    """Points as they are added up, without digits that say nothing."""
    return f"{score:.4f}".rstrip("0").rstrip(".")
