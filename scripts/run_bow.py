"""Classify scenes by bags of SIFT and k nearest neighbours, and write the run folder.

--step, --vocab-size, --seed, --norm, --metric and --k take one value or several: work that settings
share is done once, one table is printed, and every setting gets its own complete run folder.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]

try:
    from experiments.classical import Voting, bag_vectors, classify, combinations, tiny_baseline
    from experiments.commands import CommandParser, run_command
    from experiments.data import load_data
    from experiments.tabulate import Outcome, check_request, present
    from features import BagOfWords
    from features.bag_of_words import HISTOGRAM_NORMS
    from features.dense_sift import check_device, torch_device
except ImportError as error:
    print(f"error: scenebench cannot be imported ({error}): run `make install` in {PROJECT}", file=sys.stderr)
    raise SystemExit(2) from None
except KeyboardInterrupt:
    raise SystemExit(130) from None

SEVERAL = ("step", "vocab_size", "seed", "norm", "metric", "k")


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code of ``run_bow.py``; see ``--help``."""
    return run_command(_main, argv)


def _parser() -> CommandParser:
    bag, vote = BagOfWords(), Voting()
    parser = CommandParser(__doc__)
    parser.add_flags(
        {
            "data": None, "dataset": None, "split": None, "course_split": False, "lite": False,
            "skip_unreadable": False,
            "step": bag.step, "bin_size": bag.bin_size, "window": bag.window, "dtype": bag.dtype,
            "backend": bag.backend, "device": bag.device, "max_side": bag.max_side, "resize": bag.resize,
            "vocab": None, "vocab_size": bag.n_words, "vocab_step": bag.vocab_step,
            "k": vote.k[0], "metric": vote.metric, "p": vote.p, "tie": vote.tie, "seed": bag.random_state,
            "fresh": False, "jobs": bag.n_jobs, "runs_dir": Path("runs"), "report": False,
        },
        several=SEVERAL,
    )  # fmt: skip
    norm_help = "norm of the histogram, after division by the number of descriptors"
    parser.add_argument(
        "--norm", nargs="+", choices=tuple(HISTOGRAM_NORMS), default=[bag.norm], help=norm_help
    )
    return parser


def _main(argv: Sequence[str] | None) -> None:
    args = _parser().parse_args(argv)
    if args.vocab and (args.vocab_size != [BagOfWords().n_words] or args.vocab_step or len(args.seed) > 1):
        raise ValueError(
            "--vocab brings its own words: leave out --vocab-size, --vocab-step and further seeds"
        )
    backend = _backend(args.backend, args.device)
    command = ["scripts/run_bow.py", *(sys.argv[1:] if argv is None else argv)]
    max_side = args.max_side or None
    dataset, note = load_data(
        args.data, args.dataset, split=args.split, seed=args.seed[0], course_split=args.course_split,
        lite=args.lite, skip_unreadable=args.skip_unreadable, jobs=args.jobs,
    )  # fmt: skip
    print(note)
    several = {name: getattr(args, name) for name in SEVERAL}
    check_request(dataset, several, args.runs_dir, args.p)
    tiny_accuracy = tiny_baseline(dataset, max_side=max_side, resize=args.resize, n_jobs=args.jobs)
    n_settings = len(list(combinations(**several)))
    outcomes = []
    for shared in combinations(step=args.step, vocab_size=args.vocab_size, seed=args.seed):
        bag = BagOfWords(
            args.vocab, n_words=shared["vocab_size"], step=shared["step"], vocab_step=args.vocab_step,
            bin_size=args.bin_size, window=args.window, dtype=args.dtype, backend=backend, device=args.device,
            max_side=max_side, resize=args.resize, random_state=shared["seed"], n_jobs=args.jobs,
        )  # fmt: skip
        for encoded in bag_vectors(dataset, bag, args.norm, fresh=args.fresh):
            for metric in args.metric:
                voting = Voting(tuple(args.k), metric, args.p, args.tie)
                records = classify(
                    dataset, encoded, voting, name="bow", command=command, n_settings=n_settings,
                    tiny_accuracy=tiny_accuracy, n_jobs=args.jobs,
                )  # fmt: skip
                for record in records:
                    setting = shared | {
                        "norm": encoded.columns["norm"],
                        "metric": metric,
                        "k": record.config["k"],
                    }
                    outcomes.append(Outcome(setting, record, encoded))
    present(outcomes, several, args.runs_dir, "bow", args.report)


def _backend(backend: str, device: str | None) -> str:
    """The back end, torch in place of numba where a device asks for it; ValueError before any work."""
    if backend == "numba" and device not in (None, "cpu"):
        backend = "torch"
    check_device(backend, device)
    if backend == "torch":
        torch_device(device)
    return backend


if __name__ == "__main__":
    sys.exit(main())
