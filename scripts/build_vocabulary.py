"""Build a vocabulary of visual words from the training images and write it under its own name.

The shipped one in vocab/ is `python scripts/build_vocabulary.py --dataset scene15 --out vocab`.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]

try:
    from experiments.classical import VOCABULARY_SETTINGS, display_path, make_vocabulary
    from experiments.commands import CommandParser, at_least_1, run_command
    from experiments.data import load_data
    from experiments.store import keep_vocabulary
    from features import BagOfWords
except ImportError as error:
    print(f"error: scenebench cannot be imported ({error}): run `make install` in {PROJECT}", file=sys.stderr)
    raise SystemExit(2) from None
except KeyboardInterrupt:
    raise SystemExit(130) from None


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code of ``build_vocabulary.py``; see ``--help``."""
    return run_command(_main, argv)


def _main(argv: Sequence[str] | None) -> None:
    bag = BagOfWords()
    parser = CommandParser(__doc__)
    parser.add_flags(
        {
            "data": None, "dataset": None, "split": None, "course_split": False, "lite": False,
            "skip_unreadable": False,
            "step": bag.step, "vocab_step": bag.vocab_step, "vocab_size": bag.n_words,
            "bin_size": bag.bin_size, "window": bag.window, "dtype": bag.dtype, "backend": bag.backend,
            "max_side": bag.max_side, "resize": bag.resize, "seed": bag.random_state, "jobs": bag.n_jobs,
        }
    )  # fmt: skip
    parser.add_argument("--descriptors-per-image", type=at_least_1, default=bag.descriptors_per_image,
                        metavar="N", help="descriptors sampled from each training image")  # fmt: skip
    parser.add_argument("--out", type=Path, default=Path("."), metavar="DIR", help="the folder to write to")
    args = parser.parse_args(argv)

    dataset, note = load_data(
        args.data, args.dataset, split=args.split, seed=args.seed, course_split=args.course_split,
        lite=args.lite, skip_unreadable=args.skip_unreadable, jobs=args.jobs,
    )  # fmt: skip
    print(note)
    own_names = {"n_words": "vocab_size", "random_state": "seed"}
    settings = {name: getattr(args, own_names.get(name, name)) for name in VOCABULARY_SETTINGS}
    settings["max_side"] = args.max_side or None
    vocabulary, making = make_vocabulary(dataset, settings, args.jobs)
    path = keep_vocabulary(vocabulary, making, dataset.name, args.out)
    print(f"{len(vocabulary.words)} words made in {making.seconds:.1f} s")
    print(display_path(path))


if __name__ == "__main__":
    sys.exit(main())
