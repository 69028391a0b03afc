"""Write the network of a saved run as ONNX, for programs without torch.

The file takes normalised images, float32 (n, C, H, W), and gives logits (n, classes); its metadata hold the
classes, mean and standard deviation. It is compared with the network by onnxruntime before it is kept.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]

try:
    from experiments.commands import CommandParser, run_command
    from experiments.prediction import find_model
except ImportError as error:
    print(f"error: scenebench cannot be imported ({error}): run `make install` in {PROJECT}", file=sys.stderr)
    raise SystemExit(2) from None
except KeyboardInterrupt:
    raise SystemExit(130) from None


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code of ``export.py --model MODEL --out FILE.onnx``."""
    return run_command(_main, argv)


def _main(argv: Sequence[str] | None) -> None:
    parser = CommandParser(__doc__)
    parser.add_argument("--model", required=True, help="a run folder, a model file or a name in weights/")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.onnx", help="the file to write")
    args = parser.parse_args(argv)

    if args.out.suffix != ".onnx":
        raise ValueError(f"--out {args.out}: give the name of a file that ends in .onnx")
    path = find_model(args.model)
    if path.suffix == ".npz":
        raise ValueError(f"{path} is no network: give a run of train_cnn.py")
    try:
        from deep.export import export_onnx
        from deep.weights import load_saved
    except ModuleNotFoundError as error:
        raise ValueError(
            f"{error.name} is missing: networks need `make install-all`, see README.md"
        ) from None
    saved = load_saved(path)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    difference = export_onnx(saved, args.out)
    print(f"onnxruntime and torch agree within {difference:.1g} of the largest output")
    print(f"wrote {args.out} ({args.out.stat().st_size / 1e6:.3f} MB)")


if __name__ == "__main__":
    sys.exit(main())
