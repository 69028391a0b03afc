"""How the extractors walk over images: checked parameters, threads, bounded memory, a progress bar."""

from collections.abc import Callable, Iterator, Sequence
from numbers import Integral
from os import PathLike

import numpy as np
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from scenes.threads import in_threads


def image_pair(name: str, value) -> tuple[int, int]:
    """An int or a pair (y, x) of whole numbers of at least 1 as a pair; else a ValueError."""
    pair = (value, value) if isinstance(value, Integral) else value
    try:
        y, x = pair
    except (TypeError, ValueError):
        raise ValueError(f"{name} is {value!r}: give a whole number or a pair (y, x)") from None
    for number in (y, x):
        if not isinstance(number, Integral) or isinstance(number, bool) or number < 1:
            raise ValueError(f"{name} is {value!r}: give a whole number of at least 1")
    return int(y), int(x)


def check_several(images: Sequence) -> None:
    """ValueError for a single image, by path or as an array, in place of several."""
    if isinstance(images, np.ndarray):
        single = images.ndim not in (3, 4) or (images.ndim == 3 and images.shape[2] == 3)
    else:
        single = isinstance(images, (str, bytes, PathLike))
    if single:
        raise ValueError("images is a sequence of paths or arrays, not a single one: wrap it in a list")


def parallel_rows(
    encode: Callable[..., object], images: Sequence, n_jobs: int | None, description: str, *, ahead: int = 0
) -> Iterator:
    """`encode` of each image, in order, made in threads a few images (or `ahead`) ahead.

    Threads suffice: decoding, the compiled kernels and BLAS release the GIL. BLAS itself is held to
    one thread, since the images are what is spread over the cores.
    """
    check_several(images)
    with threadpool_limits(limits=1, user_api="blas"):
        results = in_threads(encode, images, n_jobs, ahead=ahead)
        yield from tqdm(
            results, total=len(images), desc=description, unit=" images", disable=None, leave=False
        )
