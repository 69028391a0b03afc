"""Train a network of the zoo on a set of images and write the run folder.

The recipe that belongs to the network and the set is used unless --recipe names another; --set changes
single fields of it. --lr, --batch-size and --seed take several values: each combination is trained, and all
make one folder with a table, in which one that diverges is a row like any other. A training that was stopped
goes on with --resume.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]

try:
    from experiments.commands import CommandParser, at_least_1, run_command
    from experiments.memory import keep_freed_memory
except ImportError as error:
    print(f"error: scenebench cannot be imported ({error}): run `make install` in {PROJECT}", file=sys.stderr)
    raise SystemExit(2) from None
except KeyboardInterrupt:
    raise SystemExit(130) from None


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code of ``train_cnn.py``; see ``--help``."""
    return run_command(_main, argv)


def _parser() -> CommandParser:
    from deep.recipes import RECIPES
    from experiments.data import DATASETS, LITE_IMAGES
    from experiments.network_data import LITE_FIT, LITE_HELDOUT
    from experiments.training import LITE_BATCH, LITE_EPOCHS

    parser = CommandParser(__doc__)
    parser.add_argument("--model", metavar="NAME", help="a network of the zoo, see --list")
    parser.add_argument("--list", action="store_true", help="print all networks with their sizes, and stop")
    parser.add_argument("--describe", metavar="NAME", help="print a network layer by layer, and stop")
    parser.add_argument("--diagram", type=Path, metavar="FILE.svg", help="with --describe: draw the network")
    few = f"{LITE_FIT} + {LITE_HELDOUT} images a class ({LITE_IMAGES} + {LITE_IMAGES} of folders)"
    parser.add_flags(
        {"data": None, "split": None, "skip_unreadable": False, "jobs": None, "runs_dir": Path("runs"),
         "course_split": False, "lite": False, "report": False},
        helps={
            "data": "train/<class>/* and test/<class>/*, or <class>/*; CIFAR-10 batches; MNIST's idx files; "
            "annotations.json in train/ and val/",
            "lite": f"a look: {few}, {LITE_EPOCHS} epochs, batches of at most {LITE_BATCH}",
            "jobs": "threads that read images; no effect on results (default: all cores)",
        },
    )  # fmt: skip
    parser.add_argument(
        "--dataset", choices=DATASETS, help="a known set (default: that of the network's report)"
    )
    parser.add_argument("--classes", metavar="FILE", help="course layout: class names, one a line")
    parser.add_argument("--resize", choices=("squash", "crop"), default="squash",
                        help="how pictures get the network's shape")  # fmt: skip
    parser.add_argument("--input-size", type=at_least_1, metavar="PIXELS",
                        help="side of the images the network is shown (default: its own)")  # fmt: skip
    parser.add_argument("--recipe", metavar="NAME", help=f"named settings: {', '.join(RECIPES)}")
    parser.add_argument("--set", nargs="+", action="extend", default=[], metavar="FIELD=VALUE",
                        help="change fields of the recipe")  # fmt: skip
    parser.add_argument("--option", nargs="+", action="extend", default=[], metavar="NAME=VALUE",
                        help="options of the network")  # fmt: skip
    parser.add_argument("--epochs", type=float, help="passes over the images")
    parser.add_argument(
        "--batch-size", type=int, nargs="+", metavar="N", help="images a step; one or several"
    )
    parser.add_argument(
        "--lr", type=float, nargs="+", metavar="RATE", help="peak learning rate; one or several"
    )
    parser.add_argument("--seed", type=int, nargs="+", metavar="SEED", help="one or several")
    parser.add_argument(
        "--device", help="cpu, cuda, cuda:N or, best effort, mps (default: cuda where there is one)"
    )
    parser.add_argument(
        "--precision", choices=("fp32", "bf16", "fp16"), help="(default: the faster, measured)"
    )
    parser.add_argument("--half", action="store_true", help="also write the weights as float16")
    parser.add_argument("--resume", action="store_true", help="go on where the same command was stopped")
    parser.add_argument("--tensorboard", action="store_true", help="also log to RUNS/tensorboard")
    return parser


def _main(argv: Sequence[str] | None) -> None:
    keep_freed_memory()
    try:
        from experiments import training
    except ModuleNotFoundError as error:
        raise ValueError(
            f"{error.name} is missing: networks need `make install-all`, see README.md"
        ) from None
    args = _parser().parse_args(argv)
    if args.list or args.describe:
        training.describe(args.describe, args.diagram, args.option, args.input_size)
        return
    if args.model is None:
        raise ValueError("--model is missing: name a network, --list prints them")
    command = ["scripts/train_cnn.py", *(sys.argv[1:] if argv is None else argv)]
    training.train(args, command)


if __name__ == "__main__":
    sys.exit(main())
