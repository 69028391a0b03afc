"""The plain-text report: what it says, in which order, and what of it may vary."""

import numpy as np
import pytest

from reports.record import RunRecord, build_result
from reports.text import BLOCK_END, BLOCK_START, text_report

SCENES = sorted(["Kitchen", "Store", "Bedroom", "LivingRoom", "Office", "Coast"])


def record(**fields):
    """Six scenes: one Kitchen goes to Store, two Coasts to Bedroom, all else is right; 3 of 12 wrong."""
    labels = [name for name in SCENES for _ in range(2)]
    predicted = list(labels)
    predicted[labels.index("Kitchen")] = "Store"
    predicted[labels.index("Coast")] = predicted[labels.index("Coast") + 1] = "Bedroom"
    given = {
        "name": "bow",
        "command": ["scripts/run_bow.py", "--data", "my photos"],
        "classes": SCENES,
        "filenames": [f"{name}/{i}.jpg" for i, name in enumerate(labels)],
        "labels": labels,
        "predicted": predicted,
        "scores": np.zeros((12, 6)),
        "n_train": 60,
        "config": {"step": 1, "metric": "cityblock", "grid": [3, 3], "resize": None},
        "data": {"name": "scene15", "train_fingerprint": "abc"},
        "expected": ["tiny images + kNN 0.19 to 0.23"],
        "diagnoses": [
            {"code": "SB001", "state": "passed", "text": "0 groups", "advice": ""},
            {"code": "SB002", "state": "not applicable", "text": "unknown", "advice": ""},
            {"code": "SB006", "state": "issue", "text": "1 flat image", "advice": "look at it"},
        ],
        "timings": {"total": 40.125},
        "environment": {"threads": 2, "date": "2026-01-31T23:59:59Z", "versions": {"numpy": "2.0"}},
    }
    return RunRecord(**{**given, **fields})


@pytest.fixture(scope="module")
def report():
    return text_report(build_result(record()))


def test_headline_has_accuracy_interval_counts_and_chance(report):
    first, second = report.splitlines()[:2]
    # Wilson for 9 of 12: 0.4677 to 0.9111
    assert first == "bow: accuracy 0.7500, 95 % interval 0.4677 to 0.9111"
    assert second == "9 of 12 test images right; 60 training images, 6 classes, chance 0.1667"


@pytest.mark.parametrize(
    "line",
    [
        "  tiny images + kNN 0.19 to 0.23",
        "  Bedroom        0.5000  1.0000  0.6667      2",
        "    2  Coast taken for Bedroom",
        "    1  Kitchen taken for Store",
        "  asymmetry             0.5000  (0: errors go both ways alike; 0.5000: all of them one way)",
        "  column concentration  0.9167  (share of the four most predicted)",  # 4 + 3 + 2 + 2 of 12
        "  most predicted        Bedroom 4, Store 3, LivingRoom 2, Office 2",
        "  metric                  cityblock",
        "  grid                    3, 3",
        "  resize                  none",
        "  identical images, train test: 0",
        "  skipped: 0",
    ],
)
def test_line_is_there(report, line):
    assert line in report.splitlines()


def test_indoor_errors_only_where_all_indoor_classes_are(report):
    assert "  indoor errors         0.3333" in report  # one of three errors: Kitchen for Store
    classes = ["Coast", "Kitchen"]
    two = record(
        classes=classes,
        filenames=["a", "b"],
        labels=classes,
        predicted=classes[::-1],
        scores=np.zeros((2, 2)),
    )
    assert "indoor" not in text_report(build_result(two))


def test_issues_come_first_then_passed_then_not_applicable(report):
    lines = report.splitlines()
    at = lines.index("Checks")
    assert lines[at + 1 : at + 4] == [
        "  SB006  issue           1 flat image. Advice: look at it.",
        "  SB001  passed          0 groups.",
        "  SB002  not applicable  unknown.",
    ]


def test_what_varies_stands_in_one_marked_block_at_the_end(report):
    lines = report.splitlines()
    assert lines[-1] == BLOCK_END and lines.count(BLOCK_START) == lines.count(BLOCK_END) == 1
    block = lines[lines.index(BLOCK_START) + 1 : -1]
    assert block[0] == "  command  scripts/run_bow.py --data 'my photos'"
    assert "  total                   40.125" in block and "  versions                numpy 2.0" in block
    other = text_report(
        build_result(record(command=["x"], timings={"total": 1.0}, environment={"threads": 8}))
    )
    assert other != report and other.split(BLOCK_START)[0] == report.split(BLOCK_START)[0]


def test_no_errors_at_all():
    labels = record().labels
    text = text_report(build_result(record(predicted=labels)))
    assert "  no errors" in text and "indoor" not in text


def test_long_lists_are_cut():
    groups = [[f"a/{i}.jpg", f"b/{i}.jpg"] for i in range(50)]
    text = text_report(build_result(record(leaks={"train_test": groups}, skipped=["x" * 500])))
    assert "  identical images, train test: 50\n    a/0.jpg = b/0.jpg\n" in text
    assert "    and 45 more\n" in text
    assert max(map(len, text.splitlines())) <= 110


def test_names_cannot_break_lines_or_terminals():
    text = text_report(build_result(record(skipped=["a\n--- end ---\x1b[31m\udcff"])))
    assert "a?--- end ---?[31m?" in text
    assert text.splitlines().count(BLOCK_END) == 1
    text.encode("utf-8")


def test_every_line_ends_without_spaces_and_the_text_with_a_newline(report):
    assert report.endswith(BLOCK_END + "\n")
    assert all(line == line.rstrip() for line in report.splitlines())
