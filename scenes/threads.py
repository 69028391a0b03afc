"""One function over many images: in threads, in order, a few images ahead."""

import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from joblib import Parallel, delayed

Item = TypeVar("Item")
Made = TypeVar("Made")


def in_threads(make: Callable[[Item], Made], items: Iterable[Item], n_jobs: int | None) -> Iterator[Made]:
    """`make` of each item, in order, made in `n_jobs` threads (None: all cores) a few items ahead.

    What was made ahead is dropped in silence where the caller stops half-way, as an error makes it do.
    """
    stream = Parallel(n_jobs=n_jobs or -1, prefer="threads", return_as="generator", pre_dispatch="2*n_jobs")
    results = stream(delayed(make)(item) for item in items)
    try:
        for made in results:  # noqa: UP028 - `yield from` would close `results` before the block below
            yield made
    finally:
        with warnings.catch_warnings():
            # joblib warns of results that nobody took, on the two lines above our one-line error
            warnings.simplefilter("ignore", UserWarning)
            results.close()
