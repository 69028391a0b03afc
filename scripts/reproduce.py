"""Run the reports' experiments and put what they reported beside what comes out here.

Names are experiments or groups of them (r1-tiny, r1-bow, r1-cnn, r2, r3, r4, r5, own, compare, all); `pages`
writes the pages of all reports from the rows there are. Rows go to results/<experiment>.csv and a page for
each report with networks to docs/reports/; what has its rows there for the same images is shown and not run
again, unless --fresh. A training that was stopped goes on. `compare` holds tiny images, bags of SIFT and
networks against each other on the same images and needs their run folders in --runs-dir: what is not there
is run; its pages go to docs/compare/. --lite is a look at the whole in minutes, written below --runs-dir
(networks in lite/ there): bags and tiny images of a few images a class; networks for one epoch, on 4 images a
class (2 where they are larger than 64 pixels) in batches of 8, in float32, their weights not kept. What is
measured on other images than the reports' (--data, --dataset synthetic) is written below --runs-dir too.
--only trains some of the settings of network experiments, as the tables name them.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]

try:
    from experiments.commands import CommandParser, run_command
    from experiments.network_tables import FAMILIES, GROUPS, NETWORK_EXPERIMENTS
    from experiments.reproducing import reproduce
    from experiments.tables import EXPERIMENTS
except ImportError as error:
    print(f"error: scenebench cannot be imported ({error}): run `make install` in {PROJECT}", file=sys.stderr)
    raise SystemExit(2) from None
except KeyboardInterrupt:
    raise SystemExit(130) from None


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code of ``reproduce.py EXPERIMENT...``; see ``--help``."""
    return run_command(_main, argv)


def _main(argv: Sequence[str] | None) -> None:
    parser = CommandParser(__doc__)
    names = [*GROUPS, *EXPERIMENTS, *NETWORK_EXPERIMENTS, *FAMILIES, "pages"]
    parser.add_argument("experiments", nargs="+", choices=names, metavar="EXPERIMENT", help=", ".join(names))
    flags = {"data": None, "dataset": None, "split": None, "lite": False, "fresh": False, "jobs": None}
    parser.add_flags(
        flags | {"runs_dir": Path("runs")},
        helps={
            "lite": "a look at the whole in minutes, see above",
            "fresh": "run again what is done, with new vocabularies, histograms and trainings",
            "jobs": "threads of classical experiments, and that read images (default: all cores)",
        },
    )
    parser.add_argument(
        "--device", help="networks: cpu, cuda, cuda:N or mps (default: cuda where there is one)"
    )
    parser.add_argument(
        "--precision", choices=("fp32", "bf16", "fp16"), help="networks: (default: the faster, measured)"
    )
    only = {"nargs": "+", "default": [], "metavar": "SETTING"}
    parser.add_argument("--only", **only, help="networks: only these settings, as the tables name them")
    args = parser.parse_args(argv)
    command = ["python", "scripts/reproduce.py", *(sys.argv[1:] if argv is None else argv)]
    reproduce(args, command)


if __name__ == "__main__":
    sys.exit(main())
