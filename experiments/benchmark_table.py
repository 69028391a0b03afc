"""``results/benchmarks.csv``: one row a claim about speed, with the peer beside it."""

import csv
import io
import statistics
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from experiments.data import PROJECT
from experiments.tables import commit
from reports.environment import environment
from scenes.files import atomic_path

HEADER = (
    "claim", "ours", "peer", "work", "ours_seconds", "peer_seconds", "ratio", "ratio_min", "ratio_max",
    "runs", "threads", "hardware", "versions", "command", "commit", "date", "status", "reason",
)  # fmt: skip
PATH = PROJECT / "results" / "benchmarks.csv"


def read_benchmarks(path: Path = PATH) -> list[dict[str, str]]:
    """The rows; the last one of a claim counts, in the order of first appearance."""
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list({row["claim"]: row for row in csv.DictReader(file)}.values())


def write_benchmark(
    *,
    claim: str,
    ours: str,
    peer: str,
    work: str,
    ours_seconds: float,
    peer_seconds: float,
    ratios: Sequence[float],
    threads: int,
    command: Sequence[str],
    packages: Sequence[str] = ("torch",),
    path: Path = PATH,
) -> None:
    """Append a row, atomically.

    Parameters
    ----------
    claim, ours, peer, work : str
    ours_seconds, peer_seconds : float
    ratios : floats
        Ours over the peer's time, one a repetition; the row holds their median and range.
    threads : int
    command : the command line
    packages : names whose versions the figures depend on
    path : Path
    """
    machine = environment(threads)
    versions = {name: machine["versions"][name] for name in packages if name in machine["versions"]}
    row = {
        "claim": claim, "ours": ours, "peer": peer, "work": work, "ours_seconds": f"{ours_seconds:.2f}",
        "peer_seconds": f"{peer_seconds:.2f}", "ratio": f"{statistics.median(ratios):.3f}",
        "ratio_min": f"{min(ratios):.3f}", "ratio_max": f"{max(ratios):.3f}", "runs": len(ratios),
        "threads": threads, "hardware": machine["hardware"],
        "versions": " ".join(f"{name} {version}" for name, version in versions.items()),
        "command": " ".join(["python", *command]), "commit": commit(),
        "date": f"{datetime.now(UTC):%Y-%m-%d}", "status": "done", "reason": "",
    }  # fmt: skip
    before = path.read_text("utf-8") if path.is_file() else ",".join(HEADER) + "\n"
    line = io.StringIO()
    csv.DictWriter(line, HEADER, lineterminator="\n").writerow(row)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary:
        temporary.write_text(before + line.getvalue(), "utf-8")
