"""Predictions in, what people look at out: figures, run folders, pictures, diagnoses."""

from reports import _quiet_matplotlib  # noqa: F401 - comes before the files that draw
from reports.comparison import Comparison, compare
from reports.diagnoses import Facts, diagnose
from reports.environment import environment, peak_memory_bytes  # hides the file of the same name
from reports.figures import confusion_figure, confusion_pair_figure
from reports.grading import grade
from reports.metrics import (
    INDOOR,
    SCENE15_ORDER,
    SCENE15_SHORT,
    asymmetry,
    block_error_share,
    column_concentration,
    confusion_matrix,
    most_confused,
    per_class,
    wilson_interval,
)
from reports.page import Neighbour, Shown, html_report
from reports.record import RunRecord, build_result
from reports.run import Run, read_run, read_table_run, write_run, write_table_run
from reports.text import text_report

__all__ = [
    "INDOOR",
    "SCENE15_ORDER",
    "SCENE15_SHORT",
    "Comparison",
    "Facts",
    "Neighbour",
    "Run",
    "RunRecord",
    "Shown",
    "asymmetry",
    "block_error_share",
    "build_result",
    "column_concentration",
    "compare",
    "confusion_figure",
    "confusion_matrix",
    "confusion_pair_figure",
    "diagnose",
    "environment",
    "grade",
    "html_report",
    "most_confused",
    "peak_memory_bytes",
    "per_class",
    "read_run",
    "read_table_run",
    "text_report",
    "wilson_interval",
    "write_run",
    "write_table_run",
]
