"""Grade submissions by a rubric: what was checked, the points, and the reason for each one lost.

SUBMISSION is a folder (or a .zip or .tar.gz of one) with a folder for each part (tiny/, bow/, cnn/), each a
run folder or a pred.csv (filename,label) with a model file if there is one; a folder with a pred.csv
itself, which --part names; or a folder of submissions. TRUTH is annotations.json or a folder with one, a
CSV (filename,label), a folder of class folders, or the name of a known set; PART=TRUTH gives a part its
own. Where the truth comes with its images, a submitted .safetensors or .onnx model is run again. OUT gets
gradebook.csv, items.csv, instructor.html and, for each submission, Gradescope's results.json and
feedback.html. Without --rubric it is reports/rubric.toml. What was graded before and has not changed is not
graded again.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]

try:
    from experiments.batch_grading import Grading, find_submissions, grade_all
    from experiments.commands import CommandParser, run_command
    from experiments.tabulate import aligned, check_writable
    from experiments.truth import images_of, read_truth
    from reports.rubric import DEFAULT_RUBRIC, Rubric, read_rubric
    from reports.text import printable
except ImportError as error:
    print(f"error: scenebench cannot be imported ({error}): run `make install` in {PROJECT}", file=sys.stderr)
    raise SystemExit(2) from None
except KeyboardInterrupt:
    raise SystemExit(130) from None


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code of ``grade.py SUBMISSION... --truth TRUTH``; see ``--help``."""
    return run_command(_main, argv)


def _main(argv: Sequence[str] | None) -> None:
    parser = CommandParser(__doc__)
    parser.add_argument("submissions", nargs="+", type=Path, metavar="SUBMISSION")
    parser.add_argument(
        "--truth", action="append", required=True, metavar="[PART=]TRUTH", help="may be given several times"
    )
    parser.add_argument("--classes", metavar="FILE", help="class names, one a line; the first is label 0")
    parser.add_argument("--rubric", type=Path, default=DEFAULT_RUBRIC, metavar="FILE", help="a TOML file")
    parser.add_argument("--part", help="what a submission is that holds predictions itself: only its checks")
    parser.add_argument("--one", action="store_true", help="each SUBMISSION is one, whatever it holds")
    parser.add_argument("--out", type=Path, default=Path("grades"), metavar="DIR", help="where grades go")
    parser.add_argument(
        "--time-limit", type=float, default=300, metavar="SECONDS",
        help="for reading a submission, and for running a model",
    )  # fmt: skip
    parser.add_argument("--memory-limit", type=int, default=4096, metavar="MB", help="for each process")
    helps = {"jobs": "submissions at a time (default: all cores)", "fresh": "grade all anew"}
    parser.add_flags({"jobs": None, "fresh": False}, helps=helps)
    args = parser.parse_args(argv)
    rubric = read_rubric(args.rubric)
    if args.part is not None:
        rubric = rubric.only(args.part)
    if not 1 <= args.time_limit <= 86400 or not 256 <= args.memory_limit <= 2**20:
        raise ValueError("--time-limit and --memory-limit: give 1 to 86400 seconds and 256 to 1048576 MB")
    truths = _truths(args.truth, args.classes, rubric)
    images = {
        part: folder
        for part, (spec, truth) in truths.items()
        if (folder := images_of(spec, list(truth.labels)))
    }
    grading = Grading(rubric, {part: truth for part, (_, truth) in truths.items()}, images, args.part,
                      args.time_limit, args.memory_limit * 2**20)  # fmt: skip
    submissions, said = find_submissions(args.submissions, grading, one=args.one, out=args.out)
    check_writable(args.out)
    for line in said:
        print(f"note: {printable(line)}", file=sys.stderr)
    graded = grade_all(submissions, grading, args.out, n_jobs=args.jobs, fresh=args.fresh)
    lines = [["submission", "score", "of", *(check.name for check in rubric.checks), "findings"]]
    for each in graded:
        marks = [f"{mark['score']:g}" if mark["applies"] else "-" for mark in each["marks"]]
        lines.append([
            printable(each["submission"]), f"{each['score']:g}", f"{each['max_score']:g}", *marks,
            str(len(each["findings"])),
        ])  # fmt: skip
    print("\n".join(aligned(lines)))
    for part in grading.truths:
        handed_in = [each["parts"][part] for each in graded if part in each["parts"]]
        if handed_in and not any(each["predictions"] for each in handed_in):
            print(f"note: nobody names an image and a class of the truth of {part!r}: is it the right one?",
                  file=sys.stderr)  # fmt: skip
    print(args.out)


def _truths(specs: Sequence[str], classes: str | None, rubric: Rubric) -> dict:
    """The truth of each part and how it was given; a plain one serves the parts that none names."""
    found, plain = {}, []
    for spec in specs:
        part, equals, truth = spec.partition("=")
        if equals and part in found:
            raise ValueError(f"--truth {spec}: a second truth for {part!r}: give one")
        if equals and part in rubric.parts:
            found[part] = (truth, read_truth(truth, classes))
        elif equals and not Path(spec).exists():
            raise ValueError(f"--truth {spec}: the rubric has no part {part!r}: {', '.join(rubric.parts)}")
        else:
            plain.append((spec, read_truth(spec, classes)))
    if len(plain) > 1:
        raise ValueError(f"--truth {plain[1][0]}: a second truth for the same parts: write PART=TRUTH")
    return {part: found.get(part, plain[0] if plain else None) for part in rubric.parts
            if part in found or plain}  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
