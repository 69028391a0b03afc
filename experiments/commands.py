"""What every command line shares: one-line errors, exit codes, a parser that speaks the same way."""

import argparse
import contextlib
import errno
import math
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from classifiers import METRICS, TIES
from experiments.data import DATASETS, LITE_IMAGES
from features.dense_sift import BACKENDS, DTYPES, WINDOWS
from features.tiny import RESAMPLES


def pair(text: str) -> int | tuple[int, int]:
    """``3`` as 3 and ``3,5`` as (3, 5), each at least 1."""
    advice = "give a whole number of at least 1, or two such as 2,3"
    numbers = [_number(int, part, lambda number: number >= 1, advice, text) for part in text.split(",")]
    if len(numbers) > 2:
        raise argparse.ArgumentTypeError(f"is {text}: {advice}")
    return numbers[0] if len(numbers) == 1 else (numbers[0], numbers[1])


def whole(text: str) -> int:
    """Any whole number."""
    return _number(int, text, lambda number: True, "give a whole number")


def at_least_0(text: str) -> int:
    """A whole number of at least 0."""
    return _number(int, text, lambda number: number >= 0, "give a whole number of at least 0")


def at_least_1(text: str) -> int:
    """A whole number of at least 1."""
    return _number(int, text, lambda number: number >= 1, "give 1 or more")


def share(text: str) -> float:
    """A number between 0 and 1."""
    return _number(float, text, lambda number: 0 < number < 1, "give the share that trains, between 0 and 1")


def exponent(text: str) -> float:
    """A finite number above 0."""
    return _number(float, text, lambda number: 0 < number < math.inf, "give a number above 0")


def _number(kind, text: str, fits: Callable[..., bool], advice: str, shown: str | None = None):
    with contextlib.suppress(ValueError):
        number = kind(text)
        if fits(number):
            return number
    # argparse writes "argument --step: " before it; `CommandParser.error` makes "--step is ..." of both
    raise argparse.ArgumentTypeError(f"is {text if shown is None else shown}: {advice}")


class _DefaultsAsTyped(argparse.HelpFormatter):
    """Help that shows each default once, as it would be typed, and nothing where there is none."""

    def _get_help_string(self, action: argparse.Action) -> str:
        text, default = action.help or "", action.default
        nothing = default is None or default is False or default == [] or default == argparse.SUPPRESS
        if nothing or "(default:" in text:
            return text
        typed = " ".join(map(str, default)) if isinstance(default, list) else str(default)
        return f"{text} (default: {typed.replace('%', '%%')})"


class CommandParser(argparse.ArgumentParser):
    """An argparse parser that shows defaults and leaves errors to `run_command`."""

    def __init__(self, description: str, **kwargs):
        kwargs.setdefault("formatter_class", _DefaultsAsTyped)
        super().__init__(description=description, allow_abbrev=False, **kwargs)

    def error(self, message: str):
        own = re.fullmatch(r"argument (--[a-z-]+): (is .*: give .*)", message, re.DOTALL)
        raise ValueError(f"{own[1]} {own[2]}" if own else f"{message}: see --help")

    def add_flags(
        self,
        defaults: Mapping[str, object],
        *,
        several: Sequence[str] = (),
        helps: Mapping[str, str] | None = None,
    ) -> None:
        """Add the shared flags that `defaults` names, with these defaults.

        Those in `several` take one or more values and always give a list; `helps` says more where a script
        does more.
        """
        for name, default in defaults.items():
            kwargs = FLAGS[name] | ({"help": helps[name]} if helps and name in helps else {})
            if name in several:
                kwargs["nargs"] = "+"
                default = [default]
            self.add_argument(f"--{name.replace('_', '-')}", default=default, **kwargs)


# Flags that mean the same in every script; defaults come from the functions they are passed to.
FLAGS: dict[str, dict] = {
    "data": {"metavar": "DIR", "help": "folder with train/<class>/* and test/<class>/*, or <class>/*"},
    "dataset": {"choices": DATASETS, "help": "a known set; without it scene15, else the synthetic scenes"},
    "split": {"type": share, "metavar": "F",
              "help": "share that trains, for a folder without train/ (default: 0.5)"},
    "course_split": {"action": "store_true", "help": "CIFAR-10: 20,000 train, 5,000 held out"},
    "seed": {"type": at_least_0, "help": "seed of the vocabulary and of a drawn split"},
    "runs_dir": {"metavar": "DIR", "type": Path, "help": "where run folders are written"},
    "jobs": {"type": at_least_1, "metavar": "N",
             "help": "threads; no effect on results (default: all cores)"},
    "lite": {"action": "store_true", "help": f"only {LITE_IMAGES} + {LITE_IMAGES} images a class: a look"},
    "fresh": {"action": "store_true", "help": "make vocabularies and histograms anew"},
    "report": {"action": "store_true",
               "help": "write report.html for each of several settings too (a single one has it anyway)"},
    "skip_unreadable": {"action": "store_true", "help": "leave out unreadable images, and list them"},
    "step": {"type": pair, "metavar": "PIXELS", "help": "distance between descriptors: a number, or Y,X"},
    "bin_size": {"type": pair, "metavar": "PIXELS", "help": "width of a spatial bin: a number, or Y,X"},
    "window": {"choices": WINDOWS, "help": "weights over a descriptor: flat per bin, or Gaussian"},
    "dtype": {"choices": DTYPES, "help": "descriptors truncated to whole numbers, or not"},
    "backend": {"choices": BACKENDS, "help": "who computes dense SIFT"},
    "device": {"metavar": "DEVICE",
               "help": "of the torch back end: cpu, cuda, cuda:1, ... (default: a GPU if there is one); "
               "a GPU's name takes torch in place of numba"},
    "vocab": {"metavar": "FILE", "type": Path, "help": "use the words in this .npz or .npy file"},
    "vocab_size": {"type": at_least_1, "metavar": "WORDS", "help": "number of visual words"},
    "vocab_step": {"type": pair, "metavar": "PIXELS", "help": "grid of the vocabulary (default: the step)"},
    "k": {"type": whole, "help": "number of neighbours that vote"},
    "metric": {"choices": tuple(METRICS), "help": "distance between vectors"},
    "p": {"type": exponent, "help": "exponent of the minkowski metric, above 0"},
    "tie": {"choices": TIES, "help": "winner of equal votes: first by name, or the nearest"},
    "max_side": {"type": at_least_0, "metavar": "PIXELS", "help": "shrink to this longest side; 0: never"},
    "resize": {"type": at_least_1, "metavar": "PIXELS", "help": "squash images to this square size first"},
    "size": {"type": pair, "metavar": "PIXELS", "help": "size of the tiny image: a number, or ROWS,COLUMNS"},
    "resample": {"choices": tuple(RESAMPLES), "help": "Pillow's filter for the tiny image"},
    "crop": {"action": "store_true", "help": "cut the centre to the tiny image's shape instead of squashing"},
    "zero_mean": {"action": "store_true", "help": "subtract the tiny image's mean"},
}  # fmt: skip


def run_command(command: Callable[[Sequence[str] | None], None], argv: Sequence[str] | None = None) -> int:
    """The exit code of a command: 0 done, 2 bad input (one line on stderr), 130 interrupted.

    Anything but `ValueError`, `OSError` and `MemoryError` is a bug and keeps its traceback (exit code 1).
    """
    try:
        command(argv)
        sys.stdout.flush()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # the reader of our output went away (`| head`); keep the interpreter from failing on exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, OSError) as error:
        print(f"error: {_with_flags(one_line(error))}", file=sys.stderr)
        return 2
    except MemoryError as error:
        print(
            f"error: out of memory ({one_line(error)}): ask for smaller images or fewer words",
            file=sys.stderr,
        )
        return 2
    return 0


# Parameters by the names of the flags that set them; `step`, `size` and their like are the same in both.
_FLAG_OF = {"n_words": "--vocab-size", "random_state": "--seed", "n_neighbors": "--k", "n_jobs": "--jobs"} | {
    name: f"--{name.replace('_', '-')}" for name in ("bin_size", "vocab_step", "max_side", "zero_mean")
}


def _with_flags(message: str) -> str:
    """A message of the library as the command line says it; what may be part of a path stays."""
    names = rf"(?<![\w/.-])({'|'.join(_FLAG_OF)})(?![\w/.-])"
    return re.sub(names, lambda found: _FLAG_OF[found[0]], message)


def one_line(error: Exception) -> str:
    """The message of an exception, on one line and with the file name an OSError carries."""
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror}: {_advice(error)}"
    return " ".join(str(error).split())


def _advice(error: OSError) -> str:
    return {
        errno.ENOSPC: "free some space or choose another disk",
        errno.EDQUOT: "free some space or choose another disk",
        errno.EACCES: "choose a folder you may write to and files you may read",
        errno.EPERM: "choose a folder you may write to and files you may read",
        errno.EROFS: "choose a folder you may write to",
        errno.ENOENT: "check the path",
        errno.ENOTDIR: "a file stands where a folder is needed; choose another path",
        errno.EISDIR: "a folder stands where a file is needed; choose another path",
    }.get(error.errno or 0, "check the path and try again")
