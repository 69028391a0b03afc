"""What a command shows and leaves behind: one run, or a table of runs, on screen and as a folder."""

import errno
import os
import statistics
import textwrap
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from experiments.classical import Encoded, Voting, as_text
from reports import RunRecord, read_run, text_report, wilson_interval, write_run, write_table_run
from scenes.dataset import SceneDataset

# How an option's value stands in a folder's name: k8, cityblock, w400.
_SHORT = {"vocab_size": "w", "batch_size": "batch", "metric": "", "norm": "", "resample": ""}


@dataclass(frozen=True)
class Outcome:
    """One setting of the options that vary, its record, and the vectors it was made from."""

    setting: dict
    record: RunRecord
    encoded: Encoded

    @property
    def accuracy(self) -> float:
        """The share of test images predicted right."""
        pairs = zip(self.record.predicted, self.record.labels, strict=True)
        return sum(a == b for a, b in pairs) / len(self.record.labels)


def check_request(
    dataset: SceneDataset, several: Mapping[str, Sequence], runs_dir: Path, p: float = Voting.p
) -> None:
    """ValueError or OSError, before any work is done, for options or an output folder that cannot do."""
    if p != Voting.p and "minkowski" not in several["metric"]:
        raise ValueError(f"--p {p:g} is the exponent of --metric minkowski: name it, or leave --p out")
    for option, values in several.items():
        double = next((value for value in values if list(values).count(value) > 1), None)
        if double is not None:
            raise ValueError(
                f"--{option.replace('_', '-')} names {as_text(double)} twice: give each value once"
            )
    for value in several["k"]:
        if value < 1 or value > len(dataset.train):
            raise ValueError(f"--k is {value}: give 1 to {len(dataset.train)}, the number of training images")
    check_writable(runs_dir)


def check_writable(runs_dir: Path) -> None:
    """OSError, before any work is done, for an output folder that cannot be made or written to."""
    folder = Path(runs_dir).absolute()
    while not folder.exists():
        folder = folder.parent
    if not folder.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))


def present(
    outcomes: Sequence[Outcome],
    several: Mapping[str, Sequence],
    runs_dir: Path,
    name: str,
    page: bool = False,
) -> Path:
    """Write the run folder of one outcome, or the table and run folders of several, and print the result.

    With `page` those of several have their ``report.html`` too. The last line printed is the folder.
    """
    if len(outcomes) == 1:
        folder = write_run(runs_dir, outcomes[0].record)
        # the screen gets the result; settings, data and environment stand in report.txt
        print("\n" + text_report(read_run(folder).result).split("\n\nData\n")[0])
    else:
        varied = [option for option, values in several.items() if len(values) > 1]
        names = [folder_name(outcome.setting, varied) for outcome in outcomes]
        rows = [_table_row(run, outcome) for run, outcome in zip(names, outcomes, strict=True)]
        records = {run: outcome.record for run, outcome in zip(names, outcomes, strict=True)}
        folder = write_table_run(runs_dir, name, rows, records, page=page)
        judged = [outcome.record.diagnoses for outcome in outcomes]
        print("\n" + "\n".join([*_screen_table(outcomes, varied), *issue_lines(judged, names)]))
    print(folder)
    return folder


def _screen_table(outcomes: Sequence[Outcome], varied: Sequence[str]) -> list[str]:
    lines = [[*varied, "accuracy", "95 % interval", "seconds", "descriptors/image"]]
    for outcome in outcomes:
        n = len(outcome.record.labels)
        low, high = wilson_interval(round(outcome.accuracy * n), n)
        lines.append([
            *(as_text(outcome.setting[option]) for option in varied),
            f"{outcome.accuracy:.4f}", f"{low:.3f} to {high:.3f}", f"{outcome.record.timings['total']:.1f}",
            str(outcome.encoded.columns.get("descriptors_per_image", "")),
        ])  # fmt: skip
    if not any(line[-1] for line in lines[1:]):
        lines = [line[:-1] for line in lines]
    text = aligned(lines)
    return text + seed_summary([(outcome.setting, outcome.accuracy) for outcome in outcomes], varied)


def seed_summary(outcomes: Sequence[tuple[Mapping, float]], varied: Sequence[str]) -> list[str]:
    """Mean and standard deviation over seeds of each setting of the other options; nothing of one seed."""
    if "seed" not in varied:
        return []
    others = [option for option in varied if option != "seed"]
    groups: dict[tuple, list[float]] = defaultdict(list)
    for setting, accuracy in outcomes:
        groups[tuple(as_text(setting[option]) for option in others)].append(accuracy)
    lines = [[*others, "mean accuracy", "s.d.", "seeds"]]
    for key, values in groups.items():
        spread = f"{statistics.stdev(values):.4f}" if len(values) > 1 else ""
        lines.append([*key, f"{statistics.mean(values):.4f}", spread, str(len(values))])
    return ["", *aligned(lines)]


def issue_lines(judged: Sequence[Sequence[Mapping]], names: Sequence[str]) -> list[str]:
    """A line for each check that found an issue: in how many settings, and where it is read in full.

    `judged` has the diagnoses of each setting, `names` their run folders'.
    """
    found: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for diagnoses, run in zip(judged, names, strict=True):
        for row in diagnoses:
            if row["state"] == "issue":
                found[row["code"]].append((run, row["text"]))
    lines = []
    for code, cases in sorted(found.items()):
        run, text = cases[0]
        where = "all settings" if len(cases) == len(judged) else f"{len(cases)} of {len(judged)} settings"
        short = textwrap.shorten(text, 80, placeholder=" ...")
        lines.append(f"{code} in {where}: {short} ({run}/report.txt)")
    return ["", *lines] if lines else []


def _table_row(run: str, outcome: Outcome) -> dict:
    record, columns = outcome.record, outcome.encoded.columns
    return {
        "run": run,
        **columns,
        "k": record.config["k"],
        "metric": record.config["metric"],
        "accuracy": outcome.accuracy,
        "n_test": len(record.labels),
        "feature_seconds": record.timings["features"],
        "seconds": record.timings["total"],
    }


def folder_name(setting: Mapping, varied: Sequence[str]) -> str:
    """What a run is called among those of one call: by what varies."""
    return "-".join(f"{_SHORT.get(option, option)}{as_text(setting[option])}" for option in varied)


def aligned(lines: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a table for the screen: columns of equal width, set to the right."""
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return ["  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in lines]
