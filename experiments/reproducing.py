"""What ``reproduce.py`` does: experiments of all kinds in their order, with their tables and pages."""

import argparse
from collections.abc import Sequence

from experiments import memory
from experiments.data import PROJECT, is_taken_unasked, load_data
from experiments.expected import known_set
from experiments.network_tables import FAMILIES, NETWORK_EXPERIMENTS, check_labels, expanded
from experiments.tables import EXPERIMENTS, Ledger, measurements
from experiments.tabulate import aligned

COLUMNS = ("setting", "metric", "reported", "measured", "spread", "seeds", "seconds")


def reproduce(args: argparse.Namespace, command: list[str]) -> None:
    """Run the experiments that `args` name, print their tables, write their rows and pages.

    Raises
    ------
    ValueError
        No such setting; a set by name for networks; torch is missing; settings that failed, once all others
        are done.
    """
    asked = expanded(args.experiments)
    networks = [name for name in asked if name in NETWORK_EXPERIMENTS]
    check_labels(args.only, networks)
    families = [name for name in asked if name in FAMILIES]
    if args.dataset not in (None, "synthetic") and (networks or families):
        raise ValueError(
            f"--dataset {args.dataset}: each network experiment has the set of its report: leave --dataset "
            "out, or look at it with --dataset synthetic"
        )
    _classical([name for name in asked if name in EXPERIMENTS], args, command)
    if networks or families:
        memory.keep_freed_memory()  # before torch is imported
    if networks or families or "pages" in args.experiments:
        _networks(networks, families, args, command)


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


def _networks(names: Sequence[str], families: Sequence[str], args, command: list[str]) -> None:
    try:
        from experiments.families import TABLES, compare_families
        from experiments.network_runs import Call, Runner
        from experiments.pages import PAGES, write_page
    except ModuleNotFoundError as error:
        raise ValueError(
            f"{error.name} is missing: networks need `make install-all`, see README.md"
        ) from None
    own = not (args.lite or args.data or args.dataset == "synthetic")
    sets = [NETWORK_EXPERIMENTS[name].dataset for name in names] + [FAMILIES[name] for name in families]
    own = own and all(map(is_taken_unasked, sets))
    # a look has its own rows and folders: they must not stand for whole trainings of the same images
    folder = args.runs_dir / "lite" if args.lite else args.runs_dir
    results, pages = PROJECT / "results", PROJECT / "docs" / "reports"
    if not own:
        results, pages = folder / "results", folder / "reports"
    call = Call(folder, results, pages, command, args.data, args.dataset, args.split, args.lite,
                args.fresh, args.jobs, args.device, args.precision)  # fmt: skip
    runner = Runner(call)
    failed: list[str] = []
    for name, experiment in ((name, NETWORK_EXPERIMENTS[name]) for name in names):
        ledger, without = runner.run(name, args.only)
        failed += [f"{name} {label}" for label in without]
        if ledger is not None:
            _show(ledger, experiment.title, experiment.metrics)
        if name == [other for other in names if NETWORK_EXPERIMENTS[other].report == experiment.report][-1]:
            print(write_page(experiment.report, results, pages))
    for name in families:
        lines, page = compare_families(TABLES[name], call)
        print("\n".join(["", f"{name}: {TABLES[name].title}", *lines]))
        print(page)
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
