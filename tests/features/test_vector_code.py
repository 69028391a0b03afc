"""The kernels written as vector code beside plain numpy: what is found, summed, multiplied and stored."""

import os
import subprocess
import sys

import llvmlite.binding as llvm
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

from features._frames import copy_pixel, frame_energy, pair_energies, write_frame
from features._lanes import LANES, least_of, places_within
from features._products import ROWS, TILE_COLUMNS, packed, product, whole_tiles


@njit
def least(row):
    return least_of(row)


@njit
def within(row, limit):
    places = np.empty(len(row), np.int32)
    return places[: places_within(row, limit, places)]


@njit
def frame(bins, starts, scales, inverse_norm, out):
    write_frame(
        bins, starts[0], starts[1], starts[2], starts[3], scales, np.float32(inverse_norm), out, np.uint64(0)
    )


@njit
def energy(bins, starts):
    return frame_energy(bins, starts[0], starts[1], starts[2], starts[3])


@njit
def energies(pixels, out):
    pair_energies(pixels, np.uint64(0), out, np.uint64(1))


@njit
def copied(pixels, out):
    copy_pixel(pixels, np.uint64(8), out, np.uint64(4))


STARTS = np.array([0, 40, 96, 128], np.uint64)


def halves(values):
    """The sum by halves added to each other, in float32."""
    while values.shape[-1] > 1:
        half = values.shape[-1] // 2
        values = (values[..., :half] + values[..., half:]).astype(np.float32)
    return values[..., 0]


@given(st.lists(st.integers(-(2**31), 2**31 - 1), min_size=1, max_size=60), st.floats(-3e9, 3e9))
@settings(max_examples=60)
def test_whole_numbers_within_a_limit_are_found(numbers, limit):
    row = np.full(-(-len(numbers) // LANES) * LANES, 2**31 - 1, np.int32)
    row[: len(numbers)] = numbers
    assert least(row) == row.min()
    assert within(row, limit).tolist() == np.flatnonzero(row <= np.trunc(limit)).tolist()


@given(st.lists(st.floats(-(2.0**99), 2.0**99, width=32), min_size=1, max_size=60), st.floats(-1e30, 1e30))
@settings(max_examples=60)
def test_numbers_within_a_limit_are_found_and_few_above_it(numbers, limit):
    row = np.full(-(-len(numbers) // LANES) * LANES, 2.0**101, np.float32)
    row[: len(numbers)] = numbers
    assert least(row) == row.min()
    found = set(within(row, limit).tolist())
    assert found >= set(np.flatnonzero(row.astype(float) <= limit).tolist())
    assert found <= set(np.flatnonzero(row.astype(float) <= limit + 1e-6 * abs(limit) + 1e-30).tolist())


def test_a_limit_that_is_no_number_leaves_everything_open():
    assert within(np.arange(32, dtype=np.float32), np.nan).tolist() == list(range(32))


@pytest.mark.parametrize(("n", "d", "m"), [(ROWS, 1, 1), (2 * ROWS, 5, TILE_COLUMNS + 3), (ROWS, 130, 40)])
def test_products_are_those_of_numpy(n, d, m):
    rng = np.random.default_rng(d)
    rows, table = (
        rng.integers(-9, 9, (n, d)).astype(np.float32),
        rng.integers(-9, 9, (d, m)).astype(np.float32),
    )
    out = np.full((n + 1, whole_tiles(m) + 2), 7, np.float32)
    product(rows, packed(table), out)
    assert np.array_equal(out[:n, :m], rows @ table)
    assert not out[:n, m : whole_tiles(m)].any()
    assert (out[n:] == 7).all() and (out[:, whole_tiles(m) :] == 7).all()


def slow_frame(bins, scales, inverse_norm):
    runs = np.concatenate([bins[int(start) : int(start) + 32] for start in STARTS])
    scaled = runs * (scales * np.float32(inverse_norm))
    clamped = np.minimum(scaled, np.float32(0.2)).reshape(4, 32)
    squares = clamped * clamped
    total = halves((squares[0] + squares[1]) + (squares[2] + squares[3]))
    length = np.sqrt(total) if total >= np.float32(1e-8) else np.float32(0)
    scale = np.float32(512) / (length + np.float32(2.0**-23))
    return np.minimum(clamped.ravel() * scale, np.float32(255))


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("inverse_norm", [0.05, 3.0, 1e-9, 0.0])
def test_a_frame_is_scaled_clamped_and_renormalised_in_order(dtype, inverse_norm):
    rng = np.random.default_rng(1)
    for _ in range(20):
        bins = rng.random(160).astype(np.float32) * 9
        scales = rng.random(128).astype(np.float32)
        out = np.full(130, 9, dtype)
        frame(bins, STARTS, scales, inverse_norm, out)
        assert np.array_equal(out[:128], slow_frame(bins, scales, inverse_norm).astype(dtype))
        assert (out[128:] == 9).all()


def test_energies_are_sums_of_halves():
    rng = np.random.default_rng(2)
    bins = rng.random(160).astype(np.float32)
    runs = np.array([bins[int(start) : int(start) + 32] for start in STARTS])
    squares = runs * runs
    assert energy(bins, STARTS) == halves((squares[0] + squares[1]) + (squares[2] + squares[3]))
    out = np.full(4, 9, np.float32)
    energies(bins, out)
    assert np.array_equal(out, [9, halves(bins[:8] ** 2), halves(bins[8:16] ** 2), 9])


def test_a_pixel_is_copied():
    out = np.full(13, 9, np.float32)
    copied(np.arange(20, dtype=np.float32), out)
    assert out.tolist() == [9] * 4 + list(range(8, 16)) + [9]


@pytest.mark.slow
def test_processes_for_other_processors_share_a_cache_and_give_the_same_words_and_descriptors(tmp_path):
    code = (
        "import numpy as np\n"
        "from features import _products, assign, dense_sift\n"
        "rng = np.random.default_rng(0)\n"
        "found = [dense_sift(rng.integers(0, 256, (40, 50)), step=s, window=w)[1]\n"
        "         for s in (1, 5) for w in ('flat', 'gaussian')]\n"
        "words = rng.random((70, 128)) * 60\n"
        "import hashlib\n"
        "digest = hashlib.sha256(b''.join(part.tobytes() for part in found))\n"
        "found = np.concatenate(found)\n"
        "for descriptors in (found, found + np.float32(0.25)):\n"
        "    digest.update(assign(descriptors, words).tobytes())\n"
        "print(_products.ROWS, digest.hexdigest())\n"
    )

    def run(**changed):
        environment = os.environ | changed | {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
        command = [sys.executable, "-c", code]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout

    rows, digest = run(NUMBA_CPU_NAME="generic").split()
    assert rows == "6"
    # the same processor, named: numba takes the kernels of one for the other
    named, unnamed = run(NUMBA_CPU_NAME=llvm.get_host_cpu_name()), run()
    assert named == unnamed
    others = (unnamed, run(SCENEBENCH_VNNI="0"), run(NUMBA_ENABLE_AVX="0"))
    assert {other.split()[1] for other in others} == {digest}
