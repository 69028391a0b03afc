"""Classify scenes by tiny images and k nearest neighbours, and write the run folder.

--size, --resample, --norm, --metric and --k take one value or several: one table is printed, and every
setting gets its own complete run folder. --tune chooses all of them by cross-validation on the
training images and reads the test images once.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]

try:
    from experiments.classical import Voting, classify, combinations, tiny_vectors
    from experiments.commands import CommandParser, run_command
    from experiments.data import load_data
    from experiments.tabulate import Outcome, check_request, present
    from experiments.tuning import tune_tiny
    from features import TinyImage
    from features.tiny import NORMS
except ImportError as error:
    print(f"error: scenebench cannot be imported ({error}): run `make install` in {PROJECT}", file=sys.stderr)
    raise SystemExit(2) from None
except KeyboardInterrupt:
    raise SystemExit(130) from None

SEVERAL = ("size", "resample", "norm", "metric", "k")


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code of ``run_tiny.py``; see ``--help``."""
    return run_command(_main, argv)


def _parser() -> CommandParser:
    tiny, vote = TinyImage(), Voting()
    parser = CommandParser(__doc__)
    parser.add_flags(
        {
            "data": None, "dataset": None, "split": None, "course_split": False, "lite": False,
            "skip_unreadable": False,
            "size": tiny.size, "resample": tiny.resample, "crop": False, "zero_mean": False,
            "max_side": tiny.max_side, "resize": tiny.resize,
            "k": vote.k[0], "metric": vote.metric, "p": vote.p, "tie": vote.tie, "seed": 0,
            "jobs": tiny.n_jobs, "runs_dir": Path("runs"), "report": False,
        },
        several=SEVERAL,
        helps={"seed": "seed of a drawn split, and of --tune's folds"},
    )  # fmt: skip
    norm_help, tune_help = "what the tiny image is divided by", "choose all of these on the training images"
    parser.add_argument("--norm", nargs="+", choices=tuple(NORMS), default=[tiny.norm], help=norm_help)
    parser.add_argument("--tune", action="store_true", help=tune_help)
    return parser


def _main(argv: Sequence[str] | None) -> None:
    parser = _parser()
    args = parser.parse_args(argv)
    tuned = (*SEVERAL, "zero_mean", "p")
    if args.tune and any(getattr(args, name) != parser.get_default(name) for name in tuned):
        raise ValueError(
            "--tune chooses size, resampling, norm, zero mean, metric and k: leave these and --p out"
        )
    command = ["scripts/run_tiny.py", *(sys.argv[1:] if argv is None else argv)]
    dataset, note = load_data(
        args.data, args.dataset, split=args.split, seed=args.seed, course_split=args.course_split,
        lite=args.lite, skip_unreadable=args.skip_unreadable, jobs=args.jobs,
    )  # fmt: skip
    print(note)
    several = {name: getattr(args, name) for name in SEVERAL}
    check_request(dataset, several, args.runs_dir, args.p)
    fixed = {"crop": args.crop, "max_side": args.max_side or None, "resize": args.resize, "n_jobs": args.jobs}
    selection, zero_mean = "none", args.zero_mean
    if args.tune:
        best = tune_tiny(dataset, **fixed, seed=args.seed, tie=args.tie, lite=args.lite)
        print(best.summary)
        several = {name: [getattr(best, name)] for name in SEVERAL}
        selection, zero_mean = "cv5-train", best.zero_mean
    n_settings = len(list(combinations(**several)))
    outcomes = []
    for shared in combinations(**{name: several[name] for name in ("size", "resample", "norm")}):
        extractor = TinyImage(**shared, zero_mean=zero_mean, **fixed)
        encoded = tiny_vectors(dataset, extractor)
        for metric in several["metric"]:
            voting = Voting(tuple(several["k"]), metric, args.p, args.tie)
            records = classify(
                dataset, encoded, voting, name="tiny", command=command, n_settings=n_settings,
                selection=selection, n_jobs=args.jobs,
            )  # fmt: skip
            for record in records:
                setting = shared | {"metric": metric, "k": record.config["k"]}
                outcomes.append(Outcome(setting, record, encoded))
    present(outcomes, several, args.runs_dir, "tiny", args.report)


if __name__ == "__main__":
    sys.exit(main())
