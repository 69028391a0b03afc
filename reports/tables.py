"""A table as text to paste: Markdown and LaTeX."""

from __future__ import annotations

from collections.abc import Sequence

_LATEX = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$",
    **{letter: f"\\{letter}" for letter in "&%$#_{}"},
}  # fmt: skip


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
