"""Fetch an image set into the data folder: checked file by file, complete or not there at all."""

import sys
from collections.abc import Sequence
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]

try:
    from experiments.commands import CommandParser, run_command
    from scenes.download import SOURCES, get_set
except ImportError as error:
    print(f"error: scenebench cannot be imported ({error}): run `make install` in {PROJECT}", file=sys.stderr)
    raise SystemExit(2) from None
except KeyboardInterrupt:
    raise SystemExit(130) from None


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code of ``get_data.py NAME [--url URL | --archive FILE] [--to DIR]``."""
    return run_command(_main, argv)


def _main(argv: Sequence[str] | None) -> None:
    parser = CommandParser(__doc__)
    parser.add_argument("name", choices=sorted(SOURCES), help="the set, and the folder made for it")
    origin = parser.add_mutually_exclusive_group()
    origin.add_argument("--url", help="fetch from here instead of the known address (for mnist and "
                        "fashion_mnist: the address of the folder with the four files)")  # fmt: skip
    origin.add_argument("--archive", type=Path, metavar="FILE", help="take a local .zip, .tar or .tar.gz, or "
                        "an unpacked folder, and fetch nothing")  # fmt: skip
    parser.add_argument("--to", type=Path, default=PROJECT / "data", metavar="DIR", help="the data folder")
    args = parser.parse_args(argv)

    fetched = get_set(SOURCES[args.name], args.to, url=args.url, archive=args.archive)
    print(f"{args.name}: {fetched.n_files} of {fetched.n_known} files there, each with the right checksum")
    print(f"{'wrote' if fetched.is_new else 'complete already, left as it is:'} {fetched.folder}")


if __name__ == "__main__":
    sys.exit(main())
