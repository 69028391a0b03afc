"""Nearest words: float64 brute force on plain and adversarial input, by both bounds; ties, invariances."""

import os
import subprocess
import sys
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features import NearestWord, _vnni, assign, assignment, dense_sift
from features.assignment import dot


@pytest.fixture(params=["8-bit", "projected"])
def bound(request, monkeypatch):
    """Each test once with the processor's 8-bit products (uint8 descriptors only) and once without."""
    if request.param == "8-bit" and not _vnni.available():
        pytest.skip("this processor has no 8-bit dot products")
    monkeypatch.setattr(_vnni, "available", lambda: request.param == "8-bit")


def brute_force(descriptors, words):
    """The first word at the smallest squared distance, all in float64."""
    words = np.asarray(words, np.float32).astype(np.float64)
    rows = np.asarray(descriptors).astype(np.float32).astype(np.float64)
    return np.array([((words - row) ** 2).sum(axis=1).argmin() for row in rows], dtype=np.int64)


def assert_exact(descriptors, words):
    found = assign(descriptors, words)
    assert found.dtype == np.int32 and found.shape == (len(descriptors),)
    assert found.tolist() == brute_force(descriptors, words).tolist()


def sift_like(n, seed=0, d=128):
    """uint8 (n, d) with many small and few large entries."""
    return np.minimum(np.random.default_rng([seed, n]).gamma(0.4, 40, (n, d)), 255).astype(np.uint8)


# plain input


@pytest.mark.parametrize("K", [1, 2, 15, 16, 17, 31, 32, 33, 79, 80, 81, 400, 1000])
@pytest.mark.parametrize("d", [1, 4, 7, 128])
def test_any_number_of_words_and_dimensions_is_exact(bound, K, d):
    rng = np.random.default_rng([K, d])
    words = rng.random((K, d)) * 255
    descriptors = rng.integers(0, 256, (97, d)).astype(np.uint8)
    assert_exact(descriptors, words)
    assert_exact(descriptors + rng.random((97, d)), words)


@pytest.mark.parametrize("n", [0, 1, 4, 5, 6, 11])
def test_any_number_of_descriptors_is_exact(bound, n):
    words = sift_like(50, seed=1).astype(float)
    assert_exact(sift_like(n), words)
    assert_exact(sift_like(n).astype(np.float32), words)


@given(
    n=st.integers(1, 30),
    K=st.integers(1, 90),
    d=st.integers(1, 20),
    scale=st.sampled_from([1e-3, 1, 1e4]),
    offset=st.sampled_from([0, 1, 1000]),
    seed=st.integers(0, 10**6),
)
def test_float_descriptors_of_any_scale_are_exact(n, K, d, scale, offset, seed):
    rng = np.random.default_rng(seed)
    assert_exact(scale * (rng.normal(size=(n, d)) + offset), scale * (rng.normal(size=(K, d)) + offset))


def test_real_sift_descriptors_are_exact(bound):
    rng = np.random.default_rng(3)
    y, x = np.mgrid[:90, :90]
    image = 90 * np.sin(x / 5 + y / 11) + 30 * np.cos(y / 3) + rng.normal(0, 9, (90, 90)) + 128
    descriptors = dense_sift(image, step=2)[1]
    words = descriptors[rng.choice(len(descriptors), 400, replace=False)] + rng.normal(0, 4, (400, 128))
    assert_exact(descriptors, words)
    assert_exact(dense_sift(image, step=2, dtype="float32")[1], words)


# ties


def test_equal_words_go_to_the_first(bound):
    words = np.repeat(sift_like(60).astype(float) + 0.5, 7, axis=0)
    found = assign(sift_like(300, seed=5), words)
    assert (found % 7 == 0).all()
    assert_exact(sift_like(300, seed=5), words)
    assert_exact(sift_like(300, seed=5) / 3, words)


def test_words_equal_to_descriptors_are_found(bound):
    descriptors = np.unique(sift_like(200), axis=0)
    assert assign(descriptors, descriptors).tolist() == list(range(len(descriptors)))
    shuffled = np.random.default_rng(1).permutation(np.concatenate([descriptors, descriptors]))
    assert_exact(descriptors, shuffled)
    assert_exact(descriptors.astype(np.float32), shuffled)


def test_words_at_exactly_the_same_distance_go_to_the_first(bound):
    # two words mirrored on each descriptor: sums of quarters, exact in float64
    descriptors = sift_like(150, seed=2)
    offsets = np.random.default_rng(2).integers(1, 5, descriptors.shape) / 4
    words = np.concatenate([descriptors + offsets, descriptors - offsets])
    assert assign(descriptors, words).tolist() == list(range(150))
    assert assign(descriptors, words[::-1]).tolist() == list(range(149, -1, -1))
    shuffled = np.random.default_rng(4).permutation(words)
    assert_exact(descriptors, shuffled)
    assert_exact(descriptors.astype(np.float32), shuffled)


def test_all_words_equal_give_the_first(bound):
    assert not assign(sift_like(20), np.full((100, 128), 7.5)).any()


@pytest.mark.parametrize("gap", [1e-3, 1e-5, 2**-20])
def test_near_ties_by_hand_go_to_the_nearer_word(bound, gap):
    # x = 7 everywhere; words 3 away in every dimension, one of them nearer by `gap` in one dimension:
    # of a squared distance of 1152 the difference is 6 gap, down to the ninth digit
    descriptors = np.full((1, 128), 7, np.uint8)
    signs = np.random.default_rng(6).choice([-3.0, 3.0], (40, 128))
    words = 7 + signs
    for nearer in (0, 1, 17, 39):
        close = words.copy()
        close[nearer, 5] -= np.sign(signs[nearer, 5]) * gap
        assert assign(descriptors, close).tolist() == [nearer]
        assert assign(descriptors.astype(np.float32), close).tolist() == [nearer]


# hard input


@pytest.mark.parametrize("spread", [1, 0.1, 1e-2, 1e-3, 1e-4])
def test_words_that_hardly_differ_are_told_apart(bound, spread):
    rng = np.random.default_rng(8)
    centre = rng.integers(60, 200, 128)
    words = centre + spread * rng.normal(size=(50, 128))
    assert_exact(sift_like(200), words)
    assert_exact((centre + rng.integers(-2, 3, (200, 128))).astype(np.uint8), words)


@pytest.mark.parametrize("spread", [1, 1e-2, 1e-3, 3e-4])
@pytest.mark.parametrize("d", [2, 4, 16])
def test_float_descriptors_among_words_that_hardly_differ_are_exact(d, spread):
    # far from the origin: centring takes most digits away
    rng = np.random.default_rng(9)
    centre = 128 + 128 * rng.random(d)
    words = centre + spread * rng.normal(size=(60, d))
    assert_exact(centre + spread * rng.normal(size=(3000, d)), words)


@pytest.mark.parametrize("scale", [1e-30, 1e-22, 1e-15, 1e10, 1e17, 1e25])
@pytest.mark.filterwarnings("ignore:(overflow|invalid value):RuntimeWarning")
def test_scales_whose_squares_leave_float32_are_exact(scale):
    rng = np.random.default_rng(10)
    assert_exact(scale * rng.normal(size=(200, 16)), scale * rng.normal(size=(60, 16)))


@pytest.mark.parametrize("d", [1, 4])
def test_words_whose_squares_leave_float32_are_exact(d):
    words = np.array([[1e19] * d, [-1e19] * d])
    assert_exact(np.array([[0.0] * d, [1e18] * d, [-1e18] * d], np.float32), words)


def test_a_descriptor_at_the_mean_of_the_words_goes_to_the_nearest():
    # Squared lengths 1 + 0.8 e and 1 + 0.7 e, e = 2^-23: float32 rounds both up, to the same number, which
    # is no lower bound any more.
    longer, shorter = (0.8 * 2**-23) ** 0.5, (0.7 * 2**-23) ** 0.5
    words = np.array([[1, longer], [1, shorter], [-1, -longer], [-1, -shorter]])
    assert assign(np.zeros((1, 2), np.float32), words).tolist() == [1]


def test_one_far_word_does_not_blur_the_others(bound):
    words = sift_like(100).astype(float)
    words[37] = 1e6
    assert_exact(sift_like(200, seed=3), words)
    assert_exact(sift_like(200, seed=3) / 7, words)


@pytest.mark.parametrize("K", [1, 2, 400])
@pytest.mark.parametrize("value", [0, 100])
def test_flat_words_and_descriptors_raise_no_warning(bound, K, value):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not assign(np.full((9, 128), 7, np.uint8), np.full((K, 128), float(value))).any()
        assert not assign(np.zeros((9, 128), np.float32), np.full((K, 128), float(value))).any()


# invariances


def test_a_subset_and_another_order_give_the_same_words(bound):
    descriptors, words = sift_like(500), sift_like(90, seed=1).astype(float)
    order = np.random.default_rng(0).permutation(500)
    for rows in (descriptors, descriptors / 3):
        whole = assign(rows, words)
        assert np.array_equal(assign(rows[order], words), whole[order])
        assert np.array_equal(assign(rows[123:125], words), whole[123:125])
        assert np.array_equal(assign(rows[::-3], words), whole[::-3])


@pytest.mark.parametrize("bounds", [1, 7000, 10**7])
def test_the_size_of_a_block_changes_nothing(bound, monkeypatch, bounds):
    descriptors, words = sift_like(333), sift_like(90, seed=1).astype(float)
    expected = assign(descriptors, words)
    monkeypatch.setattr(assignment, "BLOCK_BOUNDS", bounds)
    assert np.array_equal(assign(descriptors, words), expected)
    assert np.array_equal(assign(descriptors.astype(float), words), expected)


def test_both_bounds_give_the_same_words(monkeypatch):
    descriptors, words = sift_like(2000), sift_like(400, seed=1) + 0.25
    expected = assign(descriptors, words)
    monkeypatch.setattr(_vnni, "available", lambda: False)
    assert np.array_equal(assign(descriptors, words), expected)
    assert np.array_equal(assign(descriptors.astype(np.float64), words), expected)


def test_words_may_be_made_ready_once(bound):
    finder = NearestWord(sift_like(90, seed=1))
    for seed in range(3):
        assert np.array_equal(finder.assign(sift_like(50, seed)), assign(sift_like(50, seed), finder.words))


def test_the_memory_layout_and_whole_numbers_do_not_matter(bound):
    descriptors, words = sift_like(60), sift_like(40, seed=1)
    expected = assign(descriptors, words.astype(np.float32))
    assert np.array_equal(assign(np.asfortranarray(descriptors), np.asfortranarray(words)), expected)
    assert np.array_equal(assign(descriptors.astype(np.int64), words.astype(np.int16)), expected)
    assert np.array_equal(assign(np.repeat(descriptors, 2, axis=1)[:, ::2], words), expected)


def test_the_arguments_stay_as_they_are(bound):
    descriptors, words = sift_like(30), sift_like(20, seed=1).astype(np.float32)
    before = descriptors.copy(), words.copy()
    assign(descriptors, words)
    assert np.array_equal(descriptors, before[0]) and np.array_equal(words, before[1])


def test_the_fixed_order_sum_is_what_it_says():
    x, w = np.random.default_rng(2).random((2, 21))
    sums = [0.0] * 8
    for k in range(16):
        sums[k % 8] += x[k] * w[k]
    for k in range(16, 21):
        sums[0] += x[k] * w[k]
    s = sums
    assert dot(x, w) == ((s[0] + s[4]) + (s[1] + s[5])) + ((s[2] + s[6]) + (s[3] + s[7]))


@pytest.mark.parametrize(
    "order",
    ["SCENEBENCH_VNNI=0", "NUMBA_CPU_NAME=generic", "NUMBA_CPU_FEATURES=+sse2", "NUMBA_ENABLE_AVX=0"],
)
def test_the_8_bit_products_can_be_turned_off(order):
    code = "from features import _vnni; print(_vnni.available())"
    environment = {**os.environ, **dict([order.split("=")])}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.stdout == "False\n"


# errors


@pytest.mark.parametrize("words", [np.zeros(3), np.zeros((0, 3)), np.zeros((3, 0)), np.array([["a"]])])
def test_words_that_are_none_are_refused(words):
    with pytest.raises(ValueError, match=r"words are numbers \(K, d\)"):
        NearestWord(words)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused(bad):
    good, with_bad = np.zeros((4, 3)), np.zeros((4, 3))
    with_bad[2, 1] = bad
    with pytest.raises(ValueError, match="the words hold NaN or infinite values: build the vocabulary anew"):
        assign(good, with_bad)
    with pytest.raises(ValueError, match="the descriptors hold NaN or infinite values: leave those rows out"):
        assign(with_bad, good)


@pytest.mark.parametrize("shape", [(4,), (4, 5), (4, 2), (2, 4, 3), ()])
def test_descriptors_of_another_width_are_refused(shape):
    with pytest.raises(ValueError, match="do not fit 3-d words: use the vocabulary of these descriptors"):
        assign(np.zeros(shape), np.zeros((2, 3)))


def test_no_descriptors_give_no_words():
    for dtype in (np.uint8, np.float32):
        found = assign(np.zeros((0, 128), dtype), np.ones((5, 128)))
        assert found.shape == (0,) and found.dtype == np.int32
