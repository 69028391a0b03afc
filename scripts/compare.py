"""Hold runs on the same test images against each other: how much they differ, how sure that is, and why.

The first run is what the others are held beside: give the baseline first. DIR gets comparison.html (with the
pictures that only one of two runs has right), comparison.txt, .md, .tex and .csv, and the accuracy over the
costs as PNG and SVG. Runs on different test images are refused.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]

try:
    from experiments.commands import CommandParser, run_command
    from experiments.comparing import compare_runs
except ImportError as error:
    print(f"error: scenebench cannot be imported ({error}): run `make install` in {PROJECT}", file=sys.stderr)
    raise SystemExit(2) from None
except KeyboardInterrupt:
    raise SystemExit(130) from None


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code of ``compare.py RUN RUN...``; see ``--help``."""
    return run_command(_main, argv)


def _main(argv: Sequence[str] | None) -> None:
    parser = CommandParser(__doc__)
    parser.add_argument("runs", metavar="RUN", type=Path, nargs="+", help="run folders, the baseline first")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="a new folder for what is made"
    )
    parser.add_flags(
        {"data": None, "seed": 0},
        helps={"data": "folder with the test images, for the pictures (default: that of the known set)",
               "seed": "seed of the bootstrap"},
    )  # fmt: skip
    args = parser.parse_args(argv)
    _, lines = compare_runs(args.runs, args.out, data=args.data, random_state=args.seed)
    print("\n".join(lines))
    print(args.out)


if __name__ == "__main__":
    sys.exit(main())
