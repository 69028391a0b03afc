"""Tables to paste: Markdown and LaTeX, with what means something there escaped."""

from reports.tables import latex_table, markdown_table

LINES = [["run", "accuracy"], ["a|b_1", "50 % ± 2"], ["c\nd", "{x}^2 \\ ~"]]


def test_markdown():
    assert markdown_table(LINES) == (
        "| run | accuracy |\n|---|---|\n| a\\|b_1 | 50 % ± 2 |\n| c d | {x}^2 \\ ~ |\n"
    )


def test_latex():
    assert latex_table(LINES).splitlines() == [
        r"\begin{tabular}{lr}", r"\toprule", r"run & accuracy \\", r"\midrule", r"a|b\_1 & 50 \% $\pm$ 2 \\",
        r"c d & \{x\}\textasciicircum{}2 \textbackslash{} \textasciitilde{} \\",
        r"\bottomrule", r"\end{tabular}",
    ]  # fmt: skip
