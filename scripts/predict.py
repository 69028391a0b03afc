"""Classify photographs with a saved run: a table with the top three classes of each image.

MODEL is a run folder, the model file in one (model.npz, or model.safetensors of a network), an .onnx file
of export.py, or a name in weights/. IMAGE is a file, a folder (searched with its subfolders) or a glob
pattern. Images are named by
their path relative to the folder, files and patterns by their base names. Beside each class stands its
share of the neighbours' vote or, of a network, its probability.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]

try:
    from experiments.commands import CommandParser, run_command
    from experiments.prediction import find_images, load_model, prediction_table, write_predictions
except ImportError as error:
    print(f"error: scenebench cannot be imported ({error}): run `make install` in {PROJECT}", file=sys.stderr)
    raise SystemExit(2) from None
except KeyboardInterrupt:
    raise SystemExit(130) from None


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code of ``predict.py --model MODEL IMAGE... [--csv FILE]``."""
    return run_command(_main, argv)


def _main(argv: Sequence[str] | None) -> None:
    parser = CommandParser(__doc__)
    parser.add_argument("--model", required=True, help="a run folder, a model file or a name in weights/")
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="a file, a folder or a glob pattern")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="also write filename,label of each image")
    parser.add_argument(
        "--device", help="for networks: cpu, cuda, cuda:N or mps (default: cuda where there is one)"
    )
    parser.add_flags({"jobs": None, "skip_unreadable": False})
    args = parser.parse_args(argv)

    model = load_model(args.model, device=args.device)
    images = find_images(args.images)
    answers = model.predict(images, skip_unreadable=args.skip_unreadable, n_jobs=args.jobs)
    print("\n".join(prediction_table(answers)))
    if args.csv:
        write_predictions(args.csv, answers)
        print(f"wrote {args.csv}")


if __name__ == "__main__":
    sys.exit(main())
