"""Tables to paste: Markdown and LaTeX, with what means something there escaped."""

from reports.tables import latex_table, markdown_table, run_tables

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


def test_the_tables_of_a_run():
    result = {
        "name": "mine", "accuracy": 0.75, "accuracy_interval": [0.3006, 0.9544], "n_test": 4, "n_train": 9000,
        "per_class": [{"class": "cat", "precision": 2 / 3, "recall": 1.0, "f1": 0.8, "n": 2},
                      {"class": "dog", "precision": 1.0, "recall": 0.5, "f1": 2 / 3, "n": 2}],
        "confusion": [[2, 0], [1, 1]], "classes": ["cat", "dog"],
        "model": {"parameters": 1234567, "macs": 2_500_000}, "timings": {"training": 3.0},
    }  # fmt: skip
    headline, classes, confused = run_tables(result)
    assert dict(zip(*headline, strict=True)) == {
        "run": "mine", "accuracy": "0.7500", "95 % interval": "0.3006 to 0.9544", "test images": "4",
        "training images": "9,000", "parameters": "1,234,567", "million MACs": "2.500",
    }  # fmt: skip
    assert classes[1] == ["cat", "0.6667", "1.0000", "0.8000", "2"]
    assert classes[2] == ["dog", "1.0000", "0.5000", "0.6667", "2"]
    assert confused[1:] == [["dog", "cat", "1"]]
    perfect = {**result, "confusion": [[2, 0], [0, 2]], "model": {"parameters": 0, "macs": 0}}
    headline, _ = run_tables(perfect)
    assert "parameters" not in headline[0]
