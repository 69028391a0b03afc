"""A run as plain text, to be read in a terminal and kept as ``report.txt``."""

from __future__ import annotations

import json
import shlex
import textwrap
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from reports.metrics import INDOOR, block_error_share, most_confused

BLOCK_START = "--- environment and timings ---"
BLOCK_END = "--- end ---"
_WIDTH = 100
_MOST_LISTED = 5  # groups of identical images, skipped files
_NAME_WIDTH = 24


def text_report(result: Mapping) -> str:
    """Return the report of a run from the contents of its ``result.json``.

    Headline with interval, range to expect, figures of each class, most confused pairs, shape of the
    errors, diagnoses (issues first), data, configuration. Command, timings and environment stand in one
    marked block at the end; everything before it is the same, byte for byte, for equal runs.

    Parameters
    ----------
    result : mapping
        As in ``result.json`` (or ``read_run(folder).result``).

    Returns
    -------
    str
        Lines of about 100 characters at most (names of the user's may make some longer), each ended by a
        newline. Characters that cannot be printed appear as ``?``.
    """
    sections = [
        _headline(result),
        _list("Range to expect", result.get("expected", ())),
        _classes(result["per_class"]),
        _confused(result),
        _errors(result),
        _diagnoses(result["diagnoses"]),
        _data(result),
        _settings("Configuration", result["config"] | {"selection": result["selection"]}),
        _settings("Vocabulary", result["vocabulary"]),
        _settings("Model", result["model"]),
        _settings("Training", {k: v for k, v in result.get("training", {}).items() if k != "history"}),
        _varying(result),
    ]
    lines = [line for section in sections if section for line in (*section, "")]
    return "".join(printable(line).rstrip() + "\n" for line in lines[:-1])


def _headline(result: Mapping) -> list[str]:
    low, high = result["accuracy_interval"]
    correct = int(np.trace(np.asarray(result["confusion"])))
    n_classes = len(result["classes"])
    # of somebody's predictions nobody knows
    trained = f"{result['n_train']} training images, " if result["n_train"] else ""
    return [
        f"{result['name']}: accuracy {result['accuracy']:.4f}, 95 % interval {low:.4f} to {high:.4f}",
        f"{correct} of {result['n_test']} test images right; {trained}{n_classes} classes, "
        f"chance {1 / n_classes:.4f}",
    ]


def _classes(rows: Sequence[Mapping]) -> list[str]:
    width = min(_NAME_WIDTH, max(len("class"), *(len(row["class"]) for row in rows)))
    lines = [f"  {'class':{width}}  precision  recall      f1      n"]
    for row in rows:
        lines.append(
            f"  {_cut(row['class'], width):{width}}  {row['precision']:9.4f}  {row['recall']:6.4f}  "
            f"{row['f1']:6.4f}  {row['n']:5d}"
        )
    return ["Classes", *lines]


def _confused(result: Mapping) -> list[str]:
    pairs = most_confused(np.asarray(result["confusion"]), result["classes"])
    lines = [f"{count:5d}  {true} taken for {predicted}" for true, predicted, count in pairs]
    return ["Most confused", *(lines or ["  no errors"])]


def _errors(result: Mapping) -> list[str]:
    confusion = np.asarray(result["confusion"])
    called = confusion.sum(axis=0)
    # Stable, so that equal counts come in class order.
    top = [f"{result['classes'][i]} {called[i]}" for i in np.argsort(-called, kind="stable")[:4]]
    lines = [
        f"  asymmetry             {result['asymmetry']:.4f}  "
        f"(0: errors go both ways alike; {2 * (1 - result['accuracy']):.4f}: all of them one way)",
        f"  column concentration  {result['column_concentration']:.4f}  (share of the four most predicted)",
        f"  most predicted        {', '.join(top)}",
    ]
    indoor = block_error_share(confusion, result["classes"], INDOOR)
    if indoor is not None:
        lines.append(f"  indoor errors         {indoor:.4f}  (share of all errors among {', '.join(INDOOR)})")
    return ["Shape of the errors", *lines]


def _diagnoses(diagnoses: Sequence[Mapping]) -> list[str]:
    lines = []
    for state in ("issue", "passed", "not applicable"):
        for found in diagnoses:
            if found["state"] == state:
                advice = f" Advice: {found['advice']}." if found["advice"] else ""
                lines += _wrapped(f"  {found['code']}  {state:14}  ", f"{found['text']}.{advice}")
    return ["Checks", *lines] if lines else []


def _data(result: Mapping) -> list[str]:
    lines = [f"  {key:18}  {value_text(value)}" for key, value in result["data"].items()]
    for key, groups in result["leaks"].items():
        title = f"identical images, {key.replace('_', ' ')}"
        lines += _limited(title, [" = ".join(map(str, group)) for group in groups])
    lines += _limited("skipped", [value_text(item) for item in result["skipped"]])
    return ["Data", *lines]


def _settings(title: str, settings: Mapping) -> list[str]:
    lines = []
    for key, value in settings.items():
        lines += _wrapped(f"  {key:22}  ", value_text(value))
    return [title, *lines] if lines else []


def _varying(result: Mapping) -> list[str]:
    """Return the marked block: all that differs between two runs of the same thing."""
    lines = _wrapped("  command  ", shlex.join(map(str, result["command"])))
    for block in ("timings", "environment"):
        for key, value in result[block].items():
            lines += _wrapped(f"  {key:22}  ", value_text(value))
    return [BLOCK_START, *lines, BLOCK_END]


def _list(title: str, lines: Iterable[str]) -> list[str]:
    lines = [f"  {line}" for line in lines]
    return [title, *lines] if lines else []


def _limited(title: str, items: Sequence[str]) -> list[str]:
    """Return a count and the first few items, each cut to the page."""
    lines = [f"  {title}: {len(items)}"]
    lines += [f"    {_cut(item, _WIDTH - 4)}" for item in items[:_MOST_LISTED]]
    if len(items) > _MOST_LISTED:
        lines.append(f"    and {len(items) - _MOST_LISTED} more")
    return lines


def _wrapped(start: str, text: str) -> list[str]:
    wrapped = textwrap.wrap(text, _WIDTH - len(start), break_long_words=False, break_on_hyphens=False)
    indent = " " * len(start)
    return [(indent if i else start) + line for i, line in enumerate(wrapped or [""])]


def value_text(value) -> str:
    """A value of ``result.json`` as people read it."""
    if isinstance(value, str):
        return value
    if value is None:
        return "none"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {value_text(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(value_text(item) for item in value) or "none"
    return json.dumps(value)


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def printable(line: str) -> str:
    """Return `line` without what could break a line or a terminal; file names may hold anything."""
    return "".join(letter if letter.isprintable() else "?" for letter in line)
