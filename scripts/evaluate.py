"""Hold predictions against the truth: accuracy with its interval, and a run folder with all figures.

PRED is a pred.csv (filename,label) or a run folder. TRUTH is annotations.json or a folder with one, a CSV
(filename,label), a folder of class folders, or the name of a known set (its held-out images). Images without
a row, with contradicting rows or with an unknown label count as wrong, and are said.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]

try:
    from experiments.commands import CommandParser, run_command
    from experiments.data import DATASETS
    from experiments.evaluation import check_classes, check_match, evaluation_record
    from experiments.truth import images_of, pictures_in, read_predictions, read_truth
    from reports import wilson_interval, write_run
    from reports.judging import judge
    from reports.text import printable
except ImportError as error:
    print(f"error: scenebench cannot be imported ({error}): run `make install` in {PROJECT}", file=sys.stderr)
    raise SystemExit(2) from None
except KeyboardInterrupt:
    raise SystemExit(130) from None


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code of ``evaluate.py PRED --truth TRUTH``; see ``--help``."""
    return run_command(_main, argv)


def _main(argv: Sequence[str] | None) -> None:
    parser = CommandParser(__doc__)
    parser.add_argument("predictions", metavar="PRED", type=Path, help="a pred.csv or a run folder")
    parser.add_argument(
        "--truth", required=True, help=f"a file, a folder, or one of {', '.join(DATASETS)}"
    )
    parser.add_argument("--classes", metavar="FILE", help="class names, one a line; the first is label 0")
    parser.add_argument("--name", default="evaluation", help="name of the run folder")
    parser.add_flags({"runs_dir": Path("runs")})
    args = parser.parse_args(argv)
    command = ["scripts/evaluate.py", *(sys.argv[1:] if argv is None else argv)]

    truth = read_truth(args.truth, args.classes)
    rows, classes = read_predictions(args.predictions)
    judged = judge(rows, truth)
    check_classes(classes, judged, args.predictions, args.truth)
    check_match(judged, rows, args.predictions, args.truth)
    names = list(truth.labels)
    images = images_of(args.truth, names)
    record = evaluation_record(
        judged, args.name, command, predictions=str(args.predictions), truth=str(args.truth),
        picture=pictures_in(images, names) if images else None,
    )  # fmt: skip
    folder = write_run(args.runs_dir, record)
    n = len(truth.labels)
    low, high = wilson_interval(round(judged.accuracy * n), n)
    print(f"truth: {truth.name}: {n} images of {len(truth.classes)} classes")
    print(f"accuracy {judged.accuracy:.4f} (95 % interval {low:.3f} to {high:.3f}, {n} images)")
    for finding in judged.findings:
        print(printable(f"finding: {finding['text']}"))
    print(folder)


if __name__ == "__main__":
    sys.exit(main())
