"""Run the reports' experiments and put what they reported beside what comes out here.

Names are experiments or groups of them (r1-tiny, r1-bow, r1-cnn, r2, r3, r4, r5, own, all); `pages` writes
the pages of all reports from the rows there are. Rows go to results/<experiment>.csv and a page for each
report with networks to docs/reports/; what has its rows there for the same images is shown and not run
again, unless --fresh. A training that was stopped goes on. --lite is a look at the whole in minutes, written
below --runs-dir (networks in lite/ there): bags and tiny images of a few images a class; networks for one
epoch, on 4 images a class (2 where they are larger than 64 pixels) in batches of 8, in float32, their weights
not kept. What is measured on other images than the reports' (--data, --dataset synthetic) is written below
--runs-dir too. --only trains some of the settings of network experiments, as the tables name them.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]

try:
    from experiments.commands import CommandParser, run_command
    from experiments.data import load_data
    from experiments.expected import known_set
    from experiments.network_tables import GROUPS, NETWORK_EXPERIMENTS, check_labels, expanded
    from experiments.tables import EXPERIMENTS, Ledger, measurements
    from experiments.tabulate import aligned
except ImportError as error:
    print(f"error: scenebench cannot be imported ({error}): run `make install` in {PROJECT}", file=sys.stderr)
    raise SystemExit(2) from None
except KeyboardInterrupt:
    raise SystemExit(130) from None

COLUMNS = ("setting", "metric", "reported", "measured", "spread", "seeds", "seconds")


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code of ``reproduce.py EXPERIMENT...``; see ``--help``."""
    return run_command(_main, argv)


def _main(argv: Sequence[str] | None) -> None:
    parser = CommandParser(__doc__)
    names = [*GROUPS, *EXPERIMENTS, *NETWORK_EXPERIMENTS, "pages"]
    parser.add_argument("experiments", nargs="+", choices=names, metavar="EXPERIMENT", help=", ".join(names))
    flags = {"data": None, "dataset": None, "split": None, "lite": False, "fresh": False, "jobs": None}
    parser.add_flags(flags | {"runs_dir": Path("runs")})
    parser.add_argument(
        "--device", help="networks: cpu, cuda, cuda:N or mps (default: cuda where there is one)"
    )
    parser.add_argument(
        "--precision", choices=("fp32", "bf16", "fp16"), help="networks: (default: the faster, measured)"
    )
    only = {"nargs": "+", "default": [], "metavar": "SETTING"}
    parser.add_argument("--only", **only, help="networks: only these settings, as the tables name them")
    args = parser.parse_args(argv)
    command = ["python", "scripts/reproduce.py", *(sys.argv[1:] if argv is None else argv)]
    asked = expanded(args.experiments)
    networks = [name for name in asked if name in NETWORK_EXPERIMENTS]
    check_labels(args.only, networks)
    _classical([name for name in asked if name in EXPERIMENTS], args, command)
    if networks or "pages" in args.experiments:
        _networks(networks, args, command)


def _classical(names: Sequence[str], args, command: list[str]) -> None:
    if not names:
        return
    dataset, note = load_data(args.data, args.dataset, split=args.split, lite=args.lite, jobs=args.jobs)
    print(note)
    folder = (PROJECT if known_set(dataset) == "scene15" else args.runs_dir) / "results"
    for name in names:
        ledger = Ledger(folder / f"{name}.csv", name, dataset, command, args.jobs)
        if args.fresh or not ledger.has_done():
            ledger.fill(measurements(name, dataset, args.jobs, args.fresh))
        _show(ledger, EXPERIMENTS[name].__doc__ or "", ())


def _networks(names: Sequence[str], args, command: list[str]) -> None:
    try:
        from experiments.network_runs import Call, Runner, own_set_is_here
        from experiments.pages import PAGES, write_page
    except ModuleNotFoundError as error:
        raise ValueError(
            f"{error.name} is missing: networks need `make install-all`, see README.md"
        ) from None
    own = not (args.lite or args.data or args.dataset == "synthetic")
    own = own and all(own_set_is_here(NETWORK_EXPERIMENTS[name].dataset) for name in names)
    results, pages = PROJECT / "results", PROJECT / "docs" / "reports"
    if not own:
        # a look has its own rows: they must not stand for whole trainings of the same images
        folder = args.runs_dir / "lite" if args.lite else args.runs_dir
        results, pages = folder / "results", folder / "reports"
    runner = Runner(Call(args.runs_dir, results, pages, command, args.data, args.dataset, args.split,
                         args.lite, args.fresh, args.jobs, args.device, args.precision))  # fmt: skip
    failed: list[str] = []
    for name, experiment in ((name, NETWORK_EXPERIMENTS[name]) for name in names):
        ledger, without = runner.run(name, args.only)
        failed += [f"{name} {label}" for label in without]
        if ledger is not None:
            _show(ledger, experiment.title, experiment.metrics)
        if name == [other for other in names if NETWORK_EXPERIMENTS[other].report == experiment.report][-1]:
            print(write_page(experiment.report, results, pages))
    for report in PAGES if "pages" in args.experiments else ():
        print(write_page(report, results, pages))
    if failed:
        raise ValueError(f"{len(failed)} settings failed ({', '.join(failed)}): see the reasons in {results}")


def _show(ledger: Ledger, title: str, metrics: Sequence[str]) -> None:
    """Print an experiment's table; `metrics` chooses and orders them, none are all in the table's order."""
    rows = [row for row in ledger.latest() if not metrics or row.metric in metrics]
    cells = [[getattr(row, column) for column in COLUMNS] for row in rows]
    for row, line in zip(rows, cells, strict=True):
        line[COLUMNS.index("measured")] += f" {row.reason}" if row.status == "failed" else ""
    print(f"\n{ledger.experiment}: {title}")
    print("\n".join(aligned([list(COLUMNS), *cells])))
    print(ledger.path)


if __name__ == "__main__":
    sys.exit(main())
