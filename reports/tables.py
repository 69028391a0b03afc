"""Tables as text to paste: Markdown and LaTeX; those of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from reports.metrics import most_confused

_LATEX = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$",
    **{letter: f"\\{letter}" for letter in "&%$#_{}"},
}  # fmt: skip


def run_tables(result: Mapping) -> list[list[list[str]]]:
    """The tables of a run, from its ``result.json``: headline, classes, most confused pairs."""
    low, high = result["accuracy_interval"]
    # what it cost in seconds is left out: equal runs have equal tables
    head = {
        "run": result["name"], "accuracy": f"{result['accuracy']:.4f}",
        "95 % interval": f"{low:.4f} to {high:.4f}", "test images": f"{result['n_test']:,}",
    }  # fmt: skip
    if result["n_train"]:  # of somebody's predictions nobody knows
        head["training images"] = f"{result['n_train']:,}"
    if result["model"].get("parameters"):
        head["parameters"] = f"{result['model']['parameters']:,}"
        head["million MACs"] = f"{result['model']['macs'] / 1e6:.3f}"
    headline = [list(head), list(head.values())]
    classes = [["class", "precision", "recall", "F1", "images"]]
    for row in result["per_class"]:
        shares = [f"{row[key]:.4f}" for key in ("precision", "recall", "f1")]
        classes.append([row["class"], *shares, str(row["n"])])
    pairs = most_confused(np.asarray(result["confusion"]), result["classes"])
    confused = [["true", "predicted", "images"], *([a, b, str(count)] for a, b, count in pairs)]
    return [headline, classes, *([confused] if pairs else [])]


def markdown_table(lines: Sequence[Sequence[str]]) -> str:
    """Lines of cells, the head first, as a Markdown table; a bar in a cell stays in it."""
    rows = ["| " + " | ".join(_one_line(cell).replace("|", "\\|") for cell in line) + " |" for line in lines]
    return "\n".join([rows[0], "|" + "---|" * len(lines[0]), *rows[1:]]) + "\n"


def latex_table(lines: Sequence[Sequence[str]]) -> str:
    """Lines of cells, the head first, as a LaTeX ``tabular`` with rules of the package booktabs."""
    rows = [" & ".join(_escaped(cell) for cell in line) + r" \\" for line in lines]
    columns = "l" + "r" * (len(lines[0]) - 1)
    return "\n".join([
        rf"\begin{{tabular}}{{{columns}}}", r"\toprule", rows[0], r"\midrule", *rows[1:], r"\bottomrule",
        r"\end{tabular}", "",
    ])  # fmt: skip


def _escaped(cell: str) -> str:
    return "".join(_LATEX.get(letter, letter) for letter in _one_line(cell))


def _one_line(cell: str) -> str:
    return " ".join(str(cell).split())
