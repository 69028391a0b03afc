"""Run the reports' experiments and put what they reported beside what comes out here.

Rows go to results/<experiment>.csv; an experiment whose rows stand there for the same images is shown
and not run again, unless --fresh. --lite runs on a few images and writes below --runs-dir.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]

try:
    from experiments.commands import CommandParser, run_command
    from experiments.data import load_data
    from experiments.tables import EXPERIMENTS, Ledger
    from experiments.tabulate import aligned
except ImportError as error:
    print(f"error: scenebench cannot be imported ({error}): run `make install` in {PROJECT}", file=sys.stderr)
    raise SystemExit(2) from None

COLUMNS = ("setting", "metric", "reported", "measured", "spread", "n_seeds", "seconds")


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code of ``reproduce.py EXPERIMENT...``; see ``--help``."""
    return run_command(_main, argv)


def _main(argv: Sequence[str] | None) -> None:
    parser = CommandParser(__doc__)
    names = [*EXPERIMENTS, "all"]
    parser.add_argument("experiments", nargs="+", choices=names, metavar="EXPERIMENT", help=", ".join(names))
    flags = {"data": None, "dataset": None, "split": None, "lite": False, "fresh": False, "jobs": None}
    parser.add_flags(flags | {"runs_dir": Path("runs")})
    args = parser.parse_args(argv)
    dataset, note = load_data(args.data, args.dataset, split=args.split, lite=args.lite, jobs=args.jobs)
    print(note)
    folder = args.runs_dir / "results" if args.lite else PROJECT / "results"
    command = ["python", "scripts/reproduce.py", *(sys.argv[1:] if argv is None else argv)]
    for name in EXPERIMENTS if "all" in args.experiments else args.experiments:
        ledger = Ledger(folder / f"{name}.csv", name, dataset, command, args.jobs)
        if args.fresh or not ledger.has_done():
            ledger.fill(EXPERIMENTS[name](dataset, args.jobs, args.fresh))
        cells = [[getattr(row, column) for column in COLUMNS] for row in ledger.latest()]
        print(f"\n{name}: {EXPERIMENTS[name].__doc__}")
        print("\n".join(aligned([list(COLUMNS), *cells])))
        print(ledger.path)


if __name__ == "__main__":
    sys.exit(main())
