"""Write the tables of README.md and docs/speed.md anew from results/*.csv; --check: are they up to date?"""

import sys
from collections.abc import Sequence
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]

try:
    from experiments.commands import CommandParser, run_command
    from experiments.readme import filled
    from scenes.files import atomic_path
except ImportError as error:
    print(f"error: scenebench cannot be imported ({error}): run `make install` in {PROJECT}", file=sys.stderr)
    raise SystemExit(2) from None
except KeyboardInterrupt:
    raise SystemExit(130) from None


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code of ``update_readme.py [--check]``; 2 where --check finds old tables."""
    return run_command(_main, argv)


def _main(argv: Sequence[str] | None) -> None:
    parser = CommandParser(__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; fail where a table is old")
    args = parser.parse_args(argv)
    for page in (PROJECT / "README.md", PROJECT / "docs" / "speed.md"):
        before = page.read_text("utf-8")
        after = filled(before, PROJECT / "results")
        if args.check and after != before:
            raise ValueError(f"{page}: a table differs from results/: run python scripts/update_readme.py")
        if after != before:
            with atomic_path(page) as temporary:
                temporary.write_text(after, "utf-8")
        print(f"{'up to date' if after == before else 'wrote'}: {page}")


if __name__ == "__main__":
    sys.exit(main())
