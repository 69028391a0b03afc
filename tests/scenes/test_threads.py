"""Many images in threads: order, errors, and silence where the caller stops half-way."""

import gc
import time
import warnings

import pytest

from scenes.threads import AHEAD, in_threads


@pytest.mark.parametrize("n_jobs", [None, 1, 3])
def test_results_come_in_order(n_jobs):
    def late_first(number):
        time.sleep(0.01 if number == 0 else 0)
        return number**2

    assert list(in_threads(late_first, range(20), n_jobs)) == [number**2 for number in range(20)]


def test_no_items_give_nothing():
    assert list(in_threads(str, [], None)) == []


@pytest.mark.parametrize("n_jobs", [1, 3])
@pytest.mark.parametrize("drop", ["close", "forget"])
def test_stopping_half_way_is_silent(n_jobs, drop):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        results = in_threads(str, range(40), n_jobs)
        assert next(results) == "0"
        time.sleep(0.05)  # further ones are done by now
        if drop == "close":
            results.close()
        del results
        gc.collect()


@pytest.mark.parametrize("n_jobs", [1, 3])
def test_an_error_of_an_item_reaches_the_caller(n_jobs):
    with pytest.raises(ZeroDivisionError):
        list(in_threads(lambda number: 1 / number, [2, 1, 0, 1, 2], n_jobs))


@pytest.mark.parametrize(("n_jobs", "ahead", "most"), [(2, 0, 2 * AHEAD + 1), (2, 20, 21), (1, 5, 6)])
def test_no_more_is_made_ahead_than_was_asked_for(n_jobs, ahead, most):
    made = []
    results = in_threads(lambda number: made.append(number) or number, range(100), n_jobs, ahead=ahead)
    for consumed in range(1, 6):
        next(results)
        time.sleep(0.02)
        assert consumed <= len(made) <= consumed + most
