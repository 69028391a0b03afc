"""What a submission is graded by: checks with points, read from a TOML file and validated whole."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

DEFAULT_RUBRIC = Path(__file__).with_name("rubric.toml")
# Each metric, and whether more of it is better.
METRICS = {"accuracy": True, "file_bytes": False, "seconds": False, "better_than": False}
_SHARES = ("accuracy", "better_than")  # between 0 and 1
_MOST_BYTES = 2**20
_MOST_POINTS, _LARGEST = 1e6, 1e18
_LEAST_FILE = 1000  # bytes; whoever asks for less means megabytes
_TAKEN = ("submission", "score", "max_score", "findings")  # columns of the gradebook


@dataclass(frozen=True)
class Check:
    """One thing that is asked of a submission.

    Attributes
    ----------
    part : str
        The part it looks at: a folder of the submission.
    name : str
        Unique in the rubric.
    metric : "accuracy", "file_bytes", "seconds" or "better_than"
        better_than: the p-value of McNemar's exact test against the part `versus`, right more often.
    points : float
    weak, strong : float or None
        No points at weak, all at strong, linear between.
    threshold : float or None
        All points from here on, else none. At least for accuracy, at most for the other metrics.
    strict : bool
        Reaching the threshold is not enough.
    required : bool
        Without its part or file 0 points; else the check is left out.
    versus : str or None
    """

    part: str
    name: str
    metric: str
    points: float
    weak: float | None = None
    strong: float | None = None
    threshold: float | None = None
    strict: bool = False
    required: bool = True
    versus: str | None = None

    def share(self, value: float) -> float:
        """The share of the points, 0 to 1, that a value of the metric gets."""
        if self.threshold is None:
            assert self.weak is not None and self.strong is not None
            return min(1.0, max(0.0, (value - self.weak) / (self.strong - self.weak)))
        if value == self.threshold:
            return 0.0 if self.strict else 1.0
        return float((value > self.threshold) == METRICS[self.metric])

    @property
    def wanted(self) -> str:
        """What gets all points, in words."""
        bound = self.strong if self.threshold is None else self.threshold
        assert bound is not None
        if METRICS[self.metric]:
            words = "above" if self.strict else "at least"
        else:
            words = "below" if self.strict else "at most"
        if self.metric == "better_than":
            return f"better than {self.versus} with p {words} {bound:g}"
        unit = {"file_bytes": " bytes", "seconds": " s", "accuracy": ""}[self.metric]
        partly = "" if self.weak is None else f" (no points at {_plain(self.weak)}{unit})"
        return f"{words} {_plain(bound)}{unit}{partly}"


@dataclass(frozen=True)
class Rubric:
    """A title and checks, in their order."""

    title: str
    checks: tuple[Check, ...]

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts that checks look at, in the order of their first check."""
        named = [name for check in self.checks for name in (check.part, check.versus) if name]
        return tuple(dict.fromkeys(named))

    def only(self, part: str) -> Rubric:
        """The checks of one part, without comparisons; ValueError where there are none."""
        checks = tuple(check for check in self.checks if check.part == part and check.versus is None)
        if not checks:
            raise ValueError(f"--part {part}: the rubric has {', '.join(self.parts)}")
        return Rubric(self.title, checks)


def read_rubric(path: str | Path = DEFAULT_RUBRIC) -> Rubric:
    """The rubric in a TOML file; the default one holds the thresholds of report R1.

    Raises
    ------
    FileNotFoundError, ValueError
        No such file; no TOML; a key that is unknown or missing, a value of another kind or out of range.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such rubric: give a TOML file, {DEFAULT_RUBRIC} is an example")
    if path.stat().st_size > _MOST_BYTES:
        raise ValueError(f"{path}: more than {_MOST_BYTES} bytes: no rubric is that long")
    try:
        found = tomllib.loads(path.read_text("utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"{path}: no valid TOML ({' '.join(str(error).split())}): correct it") from None
    try:
        return _rubric(found)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _rubric(found: Mapping[str, Any]) -> Rubric:
    _check_keys(found, ("title", "check"), "the rubric")
    title, tables = found.get("title"), found.get("check")
    if not isinstance(title, str) or not title.strip():
        raise ValueError('no title: begin with title = "..."')
    if not isinstance(tables, list) or not tables or not all(isinstance(each, dict) for each in tables):
        raise ValueError("no checks: write a [[check]] for each")
    checks = tuple(_check(number, table) for number, table in enumerate(tables, 1))
    names = [check.name for check in checks]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"two checks are called {twice[0]!r}: give them different names")
    if taken := [name for name in names if name.casefold() in _TAKEN]:
        raise ValueError(f"check {taken[0]!r} is called like a column of the gradebook: give another name")
    parts = {check.part for check in checks}
    if len({part.casefold() for part in parts}) < len(parts):
        raise ValueError(f"parts {', '.join(sorted(parts))}: some differ in capitals only")
    for check in checks:
        if check.versus is not None and check.versus not in parts:
            raise ValueError(
                f"check {check.name!r} compares with part {check.versus!r}, which no check looks at: "
                f"parts are {', '.join(sorted(parts))}"
            )
    if not sum(check.points for check in checks):
        raise ValueError("all checks have 0 points: give some")
    return Rubric(title.strip(), checks)


def _check(number: int, table: Mapping[str, Any]) -> Check:
    name = table.get("name")
    where = f"check {name!r}" if isinstance(name, str) else f"check {number}"
    _check_keys(table, tuple(field.name for field in fields(Check)), where)
    for key in ("part", "name", "metric", "points"):
        if key not in table:
            raise ValueError(f"{where} has no {key}: add it")
    for key in ("part", "name", "metric", "versus"):
        if key in table and (not isinstance(table[key], str) or not table[key].strip()):
            raise ValueError(f'{where}: {key} is no text: write {key} = "..."')
    for key in ("strict", "required"):
        if key in table and not isinstance(table[key], bool):
            raise ValueError(f"{where}: {key} is not true or false")
    for key in ("points", "weak", "strong", "threshold"):
        if key in table and not _is_number(table[key]):
            raise ValueError(f"{where}: {key} is no finite number of at least 0")
    metric = table["metric"]
    if metric not in METRICS:
        raise ValueError(f"{where}: metric {metric!r} is unknown: use {', '.join(METRICS)}")
    for key in ("part", "versus"):
        if key in table and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", table[key]):
            raise ValueError(f"{where}: {key} {table[key]!r} names no folder: use letters, digits, - and _")
    if table["points"] > _MOST_POINTS:
        raise ValueError(f"{where}: more than {_MOST_POINTS:g} points")
    _check_bounds(where, table)
    return Check(**{**table, "name": table["name"].strip(), "points": float(table["points"])})


def _check_bounds(where: str, table: Mapping[str, Any]) -> None:
    metric = table["metric"]
    if ("threshold" in table) == ("weak" in table or "strong" in table):
        raise ValueError(f"{where}: give either a threshold, or weak and strong")
    if ("weak" in table) != ("strong" in table):
        raise ValueError(f"{where}: weak and strong belong together")
    if "strict" in table and "threshold" not in table:
        raise ValueError(f"{where}: strict belongs to a threshold")
    if "weak" in table:
        weak, strong = table["weak"], table["strong"]
        if weak == strong or (weak < strong) != METRICS[metric]:
            side = "below" if METRICS[metric] else "above"
            raise ValueError(f"{where}: weak has to be {side} strong")
    bounds = [table[key] for key in ("weak", "strong", "threshold") if key in table]
    if metric in _SHARES and max(bounds) > 1:
        raise ValueError(f"{where}: {metric} lies between 0 and 1, not at {max(bounds):g}")
    if metric == "file_bytes" and min(bounds) < _LEAST_FILE:
        raise ValueError(f"{where}: {min(bounds):g} bytes: 80 MB are written as 80_000_000")
    if (metric == "better_than") != ("versus" in table):
        raise ValueError(f"{where}: versus belongs to better_than, and only there")
    if table.get("versus") == table["part"]:
        raise ValueError(f"{where}: compares {table['part']!r} with itself")


def _check_keys(table: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    for key in table:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=2, cutoff=0.5) or known
            raise ValueError(f"{where} has the unknown key {key!r}: did you mean {' or '.join(near)}?")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < _LARGEST


def _plain(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:g}"
