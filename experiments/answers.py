"""What predicting gives for an image, and what becomes of images that cannot be read."""

import sys
from collections.abc import Collection
from dataclasses import dataclass

from scenes.reading import UnreadableImage

SHOWN_CLASSES = 3


@dataclass(frozen=True)
class Answer:
    """One image: its name, and class names with share of the vote or probability, best first."""

    filename: str
    ranked: tuple[tuple[str, float], ...]


def skip_or_raise(error: UnreadableImage, skip_unreadable: bool) -> None:
    """Say that an image is left out, or raise the error again."""
    if not skip_unreadable:
        raise error
    # without the advice at its end, which was followed
    print(f"skipped: {str(error).rsplit(': ', 1)[0]}", file=sys.stderr)


def check_any_left(readable: Collection) -> None:
    """ValueError where every image was left out."""
    if not readable:
        raise ValueError("no readable image left: give others")
