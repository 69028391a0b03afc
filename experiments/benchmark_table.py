"""``results/benchmarks.csv``: one row a claim about speed, with the peer beside it."""

import argparse
import csv
import importlib.metadata
import io
import shlex
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from experiments.data import PROJECT, load_data
from experiments.tables import commit
from features import _vnni
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


def side_by_side(
    claim: str,
    *,
    ours: tuple[str, Callable[[], object]],
    peer: tuple[str, Callable[[], object]],
    work: str,
    threads: int,
    packages: Sequence[str],
    runs: int = 5,
    peer_share: float = 1.0,
    path: Path = PATH,
) -> float:
    """Time two ways of one piece of work in turns, print the ratio and append a row; returns the ratio.

    Each is run once unmeasured, then `runs` times, ours first in one turn and the peer in the next, by the
    clock on the wall.

    Parameters
    ----------
    claim, work : str
    ours, peer : (str, callable)
        What it is called, and what is timed.
    threads : int
        That both use.
    packages : names whose versions the figures depend on
    peer_share : float
        What share of the work the peer does; its time is divided by it, which `work` should say.
    path : Path
    """
    sides = (ours, peer)
    for _, run in sides:
        run()
    seconds: tuple[list[float], list[float]] = ([], [])
    for turn in range(runs):
        for side in (0, 1) if turn % 2 == 0 else (1, 0):
            started = time.perf_counter()
            sides[side][1]()
            seconds[side].append(time.perf_counter() - started)
    theirs = [taken / peer_share for taken in seconds[1]]
    ratios = [one / other for one, other in zip(seconds[0], theirs, strict=True)]
    middle = statistics.median(ratios)
    write_benchmark(
        claim=claim, ours=ours[0], peer=peer[0], work=work, ours_seconds=statistics.median(seconds[0]),
        peer_seconds=statistics.median(theirs), ratios=ratios, threads=threads,
        command=[f"benchmarks/{Path(sys.argv[0]).name}", *sys.argv[1:]], packages=packages, path=path,
    )  # fmt: skip
    print(
        f"{claim}: {ours[0]} {statistics.median(seconds[0]):.4f} s, {peer[0]} "
        f"{statistics.median(theirs):.4f} s, ratio {middle:.3f} ({min(ratios):.3f} to {max(ratios):.3f}), "
        f"{1 / middle:.1f} times as fast; {threads} threads, {work}",
        flush=True,
    )
    return middle


def benchmark_parser(about: str) -> argparse.ArgumentParser:
    """The options that all benchmarks share."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5, help="timed turns of either side (default: 5)")
    parser.add_argument("--results", type=Path, default=PATH, metavar="FILE",
                        help="table the rows go to (default: results/benchmarks.csv)")  # fmt: skip
    return parser


def benchmark_images(count: int) -> tuple[str, list]:
    """The set's name and paths of training images, evenly from all 15 scenes (or the synthetic ones)."""
    dataset, _ = load_data()
    paths = dataset.train.paths
    return dataset.name, [paths[i * len(paths) // count] for i in range(min(count, len(paths)))]


def products() -> str:
    """How 8-bit numbers and float32 are multiplied here, as claims about the nearest word say it."""
    if _vnni.available():
        return "8-bit dot products"
    return "portable" if _vnni.has_wide_registers() else "portable, 256-bit registers"


def shipped_vocabulary() -> Path:
    """The file of the vocabulary that comes with the project: 400 words of the 15 scenes."""
    return next((PROJECT / "vocab").glob("*.npz"))


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
    versions = {name: importlib.metadata.version(name) for name in packages}
    row = {
        "claim": claim, "ours": ours, "peer": peer, "work": work, "ours_seconds": f"{ours_seconds:.4g}",
        "peer_seconds": f"{peer_seconds:.4g}", "ratio": f"{statistics.median(ratios):.4g}",
        "ratio_min": f"{min(ratios):.4g}", "ratio_max": f"{max(ratios):.4g}", "runs": len(ratios),
        "threads": threads, "hardware": machine["hardware"],
        "versions": " ".join(f"{name} {version}" for name, version in versions.items()),
        "command": shlex.join(["python", *command]), "commit": commit(),
        "date": f"{datetime.now(UTC):%Y-%m-%d}", "status": "done", "reason": "",
    }  # fmt: skip
    before = path.read_text("utf-8") if path.is_file() else ",".join(HEADER) + "\n"
    line = io.StringIO()
    csv.DictWriter(line, HEADER, lineterminator="\n").writerow(row)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary:
        temporary.write_text(before + line.getvalue(), "utf-8")
