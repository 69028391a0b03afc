"""Draw the confusion matrices of two runs side by side, as PNG and SVG."""

import sys
from collections.abc import Sequence
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]

try:
    import numpy as np

    from experiments.commands import CommandParser, run_command
    from reports import confusion_pair_figure, read_run
except ImportError as error:
    print(f"error: scenebench cannot be imported ({error}): run `make install` in {PROJECT}", file=sys.stderr)
    raise SystemExit(2) from None
except KeyboardInterrupt:
    raise SystemExit(130) from None


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code of ``draw_confusions.py RUN RUN --out STEM``."""
    return run_command(_main, argv)


def _main(argv: Sequence[str] | None) -> None:
    parser = CommandParser(__doc__)
    parser.add_argument("runs", nargs=2, type=Path, metavar="RUN", help="a run folder")
    parser.add_argument("--titles", nargs=2, metavar="TEXT", help="headings (default: the runs' names)")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="STEM", help="the files' path without .png and .svg"
    )
    args = parser.parse_args(argv)
    left, right = (read_run(folder) for folder in args.runs)
    if left.classes != right.classes:
        raise ValueError(
            f"{args.runs[0]} and {args.runs[1]} have different classes: give runs on the same data"
        )
    args.out.parent.mkdir(parents=True, exist_ok=True)
    written = confusion_pair_figure(
        [np.array(run.result["confusion"]) for run in (left, right)],
        left.classes,
        [run.result["accuracy"] for run in (left, right)],
        args.titles or [run.result["name"] for run in (left, right)],
        args.out,
    )
    print(*written, sep="\n")


if __name__ == "__main__":
    sys.exit(main())
