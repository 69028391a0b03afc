"""One function over many images: in threads, in order, a few images ahead."""

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from joblib import effective_n_jobs

Item = TypeVar("Item")
Made = TypeVar("Made")

# Items in hand for each thread, so that a slow one does not stop the others.
AHEAD = 4


def in_threads(
    make: Callable[[Item], Made], items: Iterable[Item], n_jobs: int | None, *, ahead: int = 0
) -> Iterator[Made]:
    """`make` of each item, in order, made in `n_jobs` threads (None: all cores) a few items ahead.

    No more than `AHEAD` items a thread (or `ahead`, if that is more) wait for the caller, so that memory does
    not grow where it is slower than the threads; joblib's generator knows no such bound. What was made ahead
    is dropped where the caller stops half-way, as an error makes it do.
    """
    threads = effective_n_jobs(n_jobs or -1)
    source = iter(items)
    if threads == 1 and not ahead:
        yield from map(make, source)
        return
    pool = ThreadPoolExecutor(threads)
    try:
        waiting = deque(
            pool.submit(make, item) for item in itertools.islice(source, max(ahead, AHEAD * threads))
        )
        while waiting:
            made = waiting.popleft().result()
            waiting.extend(pool.submit(make, item) for item in itertools.islice(source, 1))
            yield made
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
