"""Dense SIFT: against a slow reference, by hand, its conventions one by one, and against VLFeat."""

import importlib
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_sample_image

from features import BagOfWords, dense_sift, descriptor_blocks, frame_centres
from features.dense_sift import enlarged_to_frame, grid_shape
from scenes import SceneDataset, read_grey
from scenes.files import read_npz

module = importlib.import_module("features.dense_sift")  # the package's attribute is the function
WINDOWS = ("flat", "gaussian")
FIXTURE = Path(__file__).parent / "china_crop.npz"


# A slow dense SIFT, straight from its definition: planes in float32 as VLFeat computes them, everything
# after that in float64.


def reference_planes(image):
    """float32 (H, W, 8): each pixel's gradient modulus, shared out between its two nearest orientations."""
    image = image.astype(np.float32)
    height, width = image.shape
    planes = np.zeros((height, width, 8), np.float32)
    for y in range(height):
        for x in range(width):
            left, right = max(x - 1, 0), min(x + 1, width - 1)
            above, below = max(y - 1, 0), min(y + 1, height - 1)
            # one-sided at the edges, without the factor 1/2
            gx = (image[y, right] - image[y, left]) / np.float32(right - left)
            gy = (image[below, x] - image[above, x]) / np.float32(below - above)
            squared = gx * gx + gy * gy
            modulus = np.sqrt(squared) if squared >= np.float32(1e-8) else np.float32(0)
            n = reference_angle(gx, gy) * np.float32(8 / (2 * np.pi))
            b = int(np.floor(n))
            planes[y, x, b % 8] += (1 - (n - np.float32(b))) * modulus
            planes[y, x, (b + 1) % 8] += (n - np.float32(b)) * modulus
    return planes


def reference_angle(gx, gy):
    """VLFeat's cubic approximation of the angle of (gx, gy), 0 <= angle < 2 pi."""
    a = abs(gy) + np.float32(2.0**-23)
    q, base = ((gx - a) / (gx + a), np.pi / 4) if gx >= 0 else ((gx + a) / (a - gx), 3 * np.pi / 4)
    theta = np.float32(base) + (np.float32(0.1821) * q * q - np.float32(0.9675)) * q
    theta = -theta if gy < 0 else theta
    return theta + np.float32(2 * np.pi) if theta < 0 else theta


def reference_taps(bin_size, b, window):
    """Weights of the pixels at offsets -bin_size + 1 .. bin_size - 1 from the centre of bin b."""
    offsets = np.arange(1 - bin_size, bin_size)
    gaussian = np.exp(-((offsets + bin_size * (b - 1.5)) ** 2) / (2 * (2.0 * bin_size) ** 2))
    return (1 - np.abs(offsets) / bin_size) * (gaussian.mean() if window == "flat" else gaussian)


def reference_pooled(planes, taps_y, taps_x):
    """Each pixel's weighted sum over its surroundings; beyond the edge the planes repeat."""
    reach_y, reach_x = len(taps_y) // 2, len(taps_x) // 2
    padded = np.pad(planes.astype(np.float64), ((reach_y, reach_y), (reach_x, reach_x), (0, 0)), mode="edge")
    height, width = planes.shape[:2]
    return sum(
        weight_y * weight_x * padded[v : v + height, u : u + width]
        for v, weight_y in enumerate(taps_y)
        for u, weight_x in enumerate(taps_x)
    )


def reference_sift(image, step, bin_size, window):
    """Descriptors float64 (n, 128), not truncated."""
    (step_y, step_x), (bin_y, bin_x) = step, bin_size
    tops = range(0, image.shape[0] - 3 * bin_y, step_y)
    lefts = range(0, image.shape[1] - 3 * bin_x, step_x)
    planes = reference_planes(image)
    found = np.zeros((len(tops), len(lefts), 4, 4, 8))
    for by in range(4):
        for bx in range(4):
            taps = reference_taps(bin_y, by, window), reference_taps(bin_x, bx, window)
            pooled = reference_pooled(planes, *taps)
            for i, top in enumerate(tops):
                for j, left in enumerate(lefts):
                    found[i, j, by, bx] = pooled[top + by * bin_y, left + bx * bin_x]
    return np.array([reference_normalised(frame.ravel()) for row in found for frame in row]).reshape(-1, 128)


def reference_normalised(values):
    def unit(vector):
        squared = (vector**2).sum()
        return vector / ((np.sqrt(squared) if squared >= 1e-8 else 0) + 2.0**-23)

    return np.minimum(512 * unit(np.minimum(unit(values), 0.2)), 255)


def photograph(height, width, top=100, left=200):
    """A crop of a photograph that scikit-learn ships: float32, 0..255."""
    return read_grey(load_sample_image("china.jpg"))[top : top + height, left : left + width]


def assert_within_one(found, expected):
    assert found.dtype == np.uint8 and found.shape == expected.shape
    assert np.abs(found.astype(int) - expected.astype(int)).max(initial=0) <= 1


# against the slow reference


@settings(max_examples=40)
@given(
    shape=st.tuples(st.integers(4, 30), st.integers(4, 30)),
    step=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    bin_size=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    window=st.sampled_from(WINDOWS),
    seed=st.integers(0, 10**6),
)
@example(shape=(31, 33), step=(1, 1), bin_size=(3, 3), window="flat", seed=0)
@example(shape=(31, 33), step=(1, 1), bin_size=(3, 3), window="gaussian", seed=0)
@example(shape=(28, 29), step=(2, 3), bin_size=(8, 8), window="flat", seed=1)
@example(shape=(28, 29), step=(2, 3), bin_size=(8, 8), window="gaussian", seed=1)
@example(shape=(41, 13), step=(17, 1), bin_size=(2, 4), window="flat", seed=2)  # gaps between frame rows
def test_descriptors_are_those_of_the_slow_reference_within_one(shape, step, bin_size, window, seed):
    image = np.random.default_rng(seed).integers(0, 256, shape).astype(np.float32)
    expected = reference_sift(image, step, bin_size, window)
    frames, exact = dense_sift(image, step=step, bin_size=bin_size, window=window, dtype="float32")
    _, rounded = dense_sift(image, step=step, bin_size=bin_size, window=window)
    assert len(frames) == len(expected)
    assert exact.dtype == np.float32 and exact.shape == expected.shape
    assert np.abs(exact - expected).max(initial=0) < 0.02  # float32 sums; 255 is the largest entry
    assert_within_one(rounded, np.floor(expected))


@pytest.mark.parametrize("window", WINDOWS)
def test_a_photograph_gives_the_reference_within_one_and_almost_always_its_digits(window):
    image = photograph(40, 47)
    expected = np.floor(reference_sift(image, (2, 2), (3, 3), window))
    found = dense_sift(image, step=2, window=window)[1]
    assert_within_one(found, expected)
    assert (found == expected).mean() > 0.999


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("contrast", [1.0, 1e-3, 3e-4, 2e-4, 1.5e-4, 1e-4, 1e-5])
def test_low_contrast_loses_the_gradients_that_the_reference_loses(contrast, window):
    image = (contrast * np.random.default_rng(7).random((24, 27))).astype(np.float32)
    expected = np.floor(reference_sift(image, (2, 2), (3, 3), window))
    found = dense_sift(image, step=2, window=window)[1]
    assert_within_one(found, expected)
    assert found.any() == (contrast > 1e-4)  # a gradient below 1e-4 counts as none


@pytest.mark.parametrize("window", WINDOWS)
def test_a_tiny_descriptor_saturates_as_in_the_reference(window):
    # gradients of 1.25e-4; in frames that touch them with a corner the norm stays below 1e-4, which
    # counts as none: the entries are divided by 2^-23 alone and all reach the clamp
    image = np.zeros((21, 21), np.float32)
    image[10, 10] = 2.5e-4
    found = dense_sift(image, window=window)[1]
    assert_within_one(found, np.floor(reference_sift(image, (1, 1), (3, 3), window)))
    bright = dense_sift(image * 1e4, window=window)[1]
    assert np.abs(found.astype(int) - bright).max() > 50


# frames


@pytest.mark.parametrize(
    ("shape", "step", "bin_size", "grid", "first", "last"),
    [
        ((250, 300), 1, 3, (241, 291), (4.5, 4.5), (244.5, 294.5)),
        ((250, 300), 5, 3, (49, 59), (4.5, 4.5), (244.5, 294.5)),
        ((33, 47), 3, 4, (7, 12), (6, 6), (24, 39)),
        ((33, 47), 2, 8, (5, 12), (12, 12), (20, 34)),
        ((64, 97), 5, 8, (8, 15), (12, 12), (47, 82)),
        ((10, 10), 1, 3, (1, 1), (4.5, 4.5), (4.5, 4.5)),
        ((25, 25), 2, 8, (1, 1), (12, 12), (12, 12)),
        ((40, 53), (2, 3), (4, 5), (14, 13), (6, 7.5), (32, 43.5)),
    ],
)
def test_grids_by_hand(shape, step, bin_size, grid, first, last):
    assert grid_shape(shape, step, bin_size) == grid
    frames = frame_centres(shape, step=step, bin_size=bin_size)
    assert frames.dtype == np.float32 and frames.shape == (grid[0] * grid[1], 2)
    assert tuple(frames[0]) == first and tuple(frames[-1]) == last
    if shape[0] < 100:
        found, descriptors = dense_sift(np.zeros(shape), step=step, bin_size=bin_size)
        assert np.array_equal(found, frames) and descriptors.shape == (len(frames), 128)


def test_frames_come_row_by_row():
    frames = dense_sift(np.zeros((14, 12)), step=(4, 2))[0]
    assert frames.tolist() == [[4.5, 4.5], [4.5, 6.5], [8.5, 4.5], [8.5, 6.5]]


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("shape", [(9, 20), (20, 9), (1, 1), (3, 40), (0, 5), (5, 0)])
def test_an_image_without_a_frame_gives_empty_arrays_of_the_right_kind(shape, dtype, window):
    frames, descriptors = dense_sift(np.ones(shape), dtype=dtype, window=window)
    assert frames.shape == (0, 2) and frames.dtype == np.float32
    assert descriptors.shape == (0, 128) and descriptors.dtype == dtype
    assert list(descriptor_blocks(np.ones(shape), dtype=dtype, window=window)) == []


@pytest.mark.parametrize("backend", ["numba", "opencv", pytest.param("vlfeat", marks=pytest.mark.vlfeat)])
def test_every_back_end_puts_its_frames_on_the_grid(backend):
    frames, descriptors = dense_sift(photograph(31, 44), step=(3, 5), window="gaussian", backend=backend)
    assert np.array_equal(frames, frame_centres((31, 44), step=(3, 5)))
    assert descriptors.shape == (len(frames), 128) and descriptors.dtype == np.uint8


# by hand


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("value", [0, 1, 0.3, 77, 255, 1e6])
def test_a_constant_image_is_exactly_zero(value, window):
    for dtype in ("uint8", "float32"):
        for bin_size in (1, 3, 6):
            image = np.full((21, 24), value)
            assert not dense_sift(image, bin_size=bin_size, window=window, dtype=dtype)[1].any()


@pytest.mark.parametrize("window", WINDOWS)
def test_flat_parts_of_a_busy_image_are_exactly_zero(window):
    image = np.full((30, 60), 90.0)
    image[:, :20] = np.random.default_rng(9).integers(0, 256, (30, 20))
    frames, descriptors = dense_sift(image, window=window, dtype="float32")
    far = frames[:, 1] > 20 + 4.5 + 3  # the frame's left edge lies beyond the last gradient
    assert far.any() and not descriptors[far].any()
    assert descriptors[frames[:, 1] < 20].any(axis=1).all()


RAMPS = {"x": 0, "x+y": 1, "y": 2, "-x": 4, "-y": 6, "x-y": 7}


@pytest.mark.parametrize(
    ("window", "corner", "other"), [("flat", 124.09, 129.28), ("gaussian", 123.56, 129.45)]
)
@pytest.mark.parametrize("ramp", RAMPS)
def test_ramps_fill_one_orientation_everywhere(ramp, window, corner, other):
    y, x = np.mgrid[:17, :19].astype(float)
    image = {"x": x, "x+y": x + y, "y": y, "-x": -x, "-y": -y, "x-y": x - y}[ramp]
    cells = np.full((4, 4), other)
    cells[::3, ::3] = corner
    expected = np.zeros((4, 4, 8))
    expected[:, :, RAMPS[ramp]] = cells
    exact = dense_sift(image, window=window, dtype="float32")[1].reshape(-1, 4, 4, 8)
    assert len(exact) == 8 * 10
    assert np.abs(exact - expected).max() < 0.006
    assert (dense_sift(image, window=window)[1].reshape(-1, 4, 4, 8) == np.floor(expected)).all()


def test_a_ramp_at_20_degrees_shares_two_orientations():
    y, x = np.mgrid[:10, :10]
    image = np.cos(np.radians(20)) * x + np.sin(np.radians(20)) * y
    inner = dense_sift(image, dtype="float32")[1].reshape(4, 4, 8)[1, 1]
    assert inner[:2] == pytest.approx([106.071, 103.220], abs=0.002)
    assert not inner[2:].any()


@pytest.mark.parametrize(
    ("window", "strong", "weak"), [("flat", 185.49, 166.89), ("gaussian", 181.02, 181.02)]
)
def test_one_bright_pixel_by_hand(window, strong, weak):
    image = np.zeros((21, 21))
    image[10, 10] = 1
    frames, descriptors = dense_sift(image, window=window, dtype="float32")
    (at,) = np.flatnonzero((frames == 8.5).all(axis=1))
    expected = np.zeros((4, 4, 8))
    expected[2, 2, [0, 2, 4, 6]] = strong
    expected[2, 1, 0] = expected[1, 2, 2] = strong
    expected[2, 3, 4] = expected[3, 2, 6] = weak
    assert np.abs(descriptors[at].reshape(4, 4, 8) - expected).max() < 0.01


# conventions


@pytest.mark.parametrize("window", WINDOWS)
def test_transposing_the_image_swaps_axes_and_mirrors_orientations(window):
    image = np.random.default_rng(12).integers(0, 256, (20, 26)).astype(np.float32)
    straight = dense_sift(image, step=(2, 3), bin_size=(3, 4), window=window)[1]
    turned = dense_sift(image.T, step=(3, 2), bin_size=(4, 3), window=window)[1]
    n_y, n_x = grid_shape(image.shape, (2, 3), (3, 4))
    straight = straight.reshape(n_y, n_x, 4, 4, 8)
    # frame (i, j) becomes (j, i), entry (by, bx, t) becomes (bx, by, 2 - t mod 8)
    expected = straight.transpose(1, 0, 3, 2, 4)[..., (2 - np.arange(8)) % 8]
    assert_within_one(turned, expected.reshape(-1, 128))


@pytest.mark.parametrize("window", WINDOWS)
def test_moving_the_window_over_the_image_moves_the_descriptors(window):
    # the grid is anchored at the top left; frames away from the border know nothing of it
    image = photograph(40, 40)
    whole = dense_sift(image, window=window)[1].reshape(31, 31, 128)
    part = dense_sift(image[5:, 7:], window=window)[1].reshape(26, 24, 128)
    assert np.array_equal(part[4:-4, 4:-4], whole[5:, 7:][4:-4, 4:-4])


@pytest.mark.parametrize("window", WINDOWS)
def test_steps_take_every_nth_frame_of_the_fine_grid(window):
    image = photograph(40, 43)
    fine = dense_sift(image, window=window)[1].reshape(31, 34, 128)
    coarse = dense_sift(image, step=(4, 3), window=window)[1]
    assert_within_one(coarse, fine[::4, ::3].reshape(-1, 128))


@pytest.mark.parametrize("window", WINDOWS)
def test_adding_a_constant_changes_nothing(window):
    image = np.random.default_rng(13).integers(0, 100, (20, 22)).astype(np.float32)
    assert np.array_equal(dense_sift(image + 100, window=window)[1], dense_sift(image, window=window)[1])


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("factor", [1 / 255, 0.1, 10, 1000])
def test_scaling_changes_truncation_only(factor, window):
    image = photograph(25, 31)
    assert_within_one(dense_sift(image * factor, window=window)[1], dense_sift(image, window=window)[1])


@pytest.mark.parametrize("window", WINDOWS)
def test_uint8_truncates_the_float_descriptor(window):
    image = photograph(25, 31)
    exact = dense_sift(image, window=window, dtype="float32")[1]
    assert exact.max() <= 255
    assert np.array_equal(dense_sift(image, window=window)[1], np.floor(exact))


@pytest.mark.parametrize("window", WINDOWS)
def test_bins_of_one_pixel_by_hand_and_entries_stop_at_255(window):
    # A bin is one pixel. The bright one has a gradient to the upper left (225 degrees, orientation 5), its
    # neighbours one to the left (4) and one upwards (6). All three are clamped: 512 / sqrt 3 = 295.6
    image = np.zeros((4, 4))
    image[0, 0] = 1
    expected = np.zeros((4, 4, 8))
    expected[0, 0, 5] = expected[0, 1, 4] = expected[1, 0, 6] = 255
    exact = dense_sift(image, bin_size=1, window=window, dtype="float32")[1].reshape(4, 4, 8)
    assert np.abs(exact - expected).max() < 0.01
    rounded = dense_sift(image, bin_size=1, window=window)[1].reshape(4, 4, 8)
    assert np.array_equal(rounded, expected)


# blocks


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("block", [1, 60, 100, 10**6])
@pytest.mark.parametrize(
    ("step", "bin_size"), [(1, 3), ((2, 1), (4, 2)), ((13, 3), 2), ((3, 2), (1, 5)), (2, 7)]
)
def test_blocks_put_together_are_the_whole(monkeypatch, block, step, bin_size, window):
    monkeypatch.setattr(module, "BLOCK_DESCRIPTORS", block)
    image = photograph(37, 33)
    for dtype in ("uint8", "float32"):
        settings = {"step": step, "bin_size": bin_size, "window": window, "dtype": dtype}
        whole = dense_sift(image, **settings)[1]
        blocks = list(descriptor_blocks(image, **settings))
        n_y, n_x = grid_shape(image.shape, step, bin_size)
        assert len(blocks) == -(-n_y // max(1, block // n_x))
        assert np.concatenate(blocks).tobytes() == whole.tobytes()


def test_the_other_back_ends_make_one_block():
    image = photograph(20, 22)
    settings = {"window": "gaussian", "backend": "opencv"}
    (block,) = descriptor_blocks(image, **settings)
    assert np.array_equal(block, dense_sift(image, **settings)[1])
    assert list(descriptor_blocks(image[:5], **settings)) == []


# arguments


def test_numpy_numbers_pairs_and_lists_are_taken():
    image = photograph(30, 30)
    expected = dense_sift(image, step=(2, 3), bin_size=(3, 4))[1]
    for step, bin_size in (
        ((np.int64(2), np.uint8(3)), (np.int32(3), 4)),
        ([2, 3], [3, 4]),
        (np.array([2, 3]), np.array([3, 4])),
    ):
        assert np.array_equal(dense_sift(image, step=step, bin_size=bin_size)[1], expected)
    assert np.array_equal(
        dense_sift(image, step=np.int64(2), bin_size=np.int16(4))[1], dense_sift(image, step=2, bin_size=4)[1]
    )


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.float64, bool])
def test_any_real_image_is_taken_without_rescaling(dtype):
    image = np.random.default_rng(14).integers(0, 2, (18, 18)).astype(dtype)
    assert np.array_equal(dense_sift(image)[1], dense_sift(image.astype(np.float32))[1])


def test_the_memory_layout_does_not_matter():
    image = photograph(25, 30)
    expected = dense_sift(image)[1]
    assert np.array_equal(dense_sift(np.asfortranarray(image))[1], expected)
    assert np.array_equal(dense_sift(np.repeat(image, 2, axis=1)[:, ::2])[1], expected)
    assert np.array_equal(dense_sift(image[:, :, None])[1], expected)


@pytest.mark.parametrize("shape", [(20,), (20, 20, 3), (20, 20, 2), (1, 20, 20, 1)])
def test_images_of_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match=r"dense SIFT takes a grey image \(H, W\), not an array of shape"):
        dense_sift(np.zeros(shape))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_images_that_are_not_finite_are_refused(bad):
    image = np.zeros((20, 20))
    image[3, 4] = bad
    with pytest.raises(ValueError, match="NaN or infinite pixels: replace them"):
        dense_sift(image)


@pytest.mark.parametrize("value", [0, -1, (2, 0), 1.5, (1, 2.0), "2", None, (1, 2, 3), True, (1, True)])
@pytest.mark.parametrize("name", ["step", "bin_size"])
def test_steps_and_bins_below_one_or_not_whole_are_refused(name, value):
    for function in (dense_sift, lambda image, **settings: list(descriptor_blocks(image, **settings))):
        with pytest.raises(ValueError, match=f"{name} is "):
            function(np.zeros((20, 20)), **{name: value})


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("window", "unknown window 'other': choose from flat, gaussian"),
        ("dtype", "unknown dtype 'other': choose from uint8, float32"),
        ("backend", "unknown backend 'other': choose from numba, torch, vlfeat, opencv"),
    ],
)
def test_unknown_names_list_the_known_ones(name, message):
    with pytest.raises(ValueError, match=message):
        dense_sift(np.zeros((20, 20)), **{name: "other"})


def test_a_device_that_the_back_end_cannot_use_is_refused_not_ignored():
    message = "device 'cuda': the back end numba computes on the processor: take torch"
    with pytest.raises(ValueError, match=message):
        dense_sift(np.zeros((20, 20)), device="cuda")
    with pytest.raises(ValueError, match=message):
        BagOfWords(n_words=2, device="cuda").fit([np.zeros((20, 20))])
    with pytest.raises(ValueError, match=message):
        next(descriptor_blocks(np.zeros((20, 20)), device="cuda"))
    with pytest.raises(ValueError, match="unknown backend 'other': choose from numba"):
        BagOfWords(n_words=2, backend="other", device="cuda").fit([np.zeros((20, 20))])
    bag = BagOfWords(n_words=2).fit([np.arange(400.0).reshape(20, 20) % 7])
    with pytest.raises(ValueError, match=message):
        bag.set_params(device="cuda").transform([np.zeros((20, 20))])
    assert len(dense_sift(np.zeros((20, 20)), device="cpu")[0]) == 121


# images too small for a frame


@pytest.mark.parametrize(
    ("shape", "bin_size", "expected"),
    [
        ((10, 10), 3, (10, 10)),  # just enough
        ((300, 11), 3, (300, 11)),
        ((5, 20), 3, (10, 40)),  # twice as large, shape kept
        ((1, 1), 3, (10, 10)),
        ((9, 30), 3, (10, 33)),  # 10/9
        ((10, 6), (3, 4), (22, 13)),  # 13/6
    ],
)
def test_small_images_are_enlarged_until_they_hold_a_frame(shape, bin_size, expected):
    grey = np.random.default_rng(1).random(shape).astype(np.float32)
    larger, enlarged = enlarged_to_frame(grey, bin_size)
    assert larger.shape == expected and larger.dtype == np.float32
    assert enlarged == (shape != expected)
    assert enlarged or larger is grey
    assert len(dense_sift(larger, bin_size=bin_size)[0]) >= 1


def test_an_enlarged_flat_image_stays_flat():
    assert (enlarged_to_frame(np.full((2, 3), 7, np.float32), 3)[0] == 7).all()


# OpenCV's back end


@pytest.mark.parametrize("ramp", RAMPS)
def test_opencv_finds_the_orientation_of_ramps(ramp):
    y, x = np.mgrid[:30, :30].astype(float)
    image = 60 + {"x": x, "x+y": x + y, "y": y, "-x": -x, "-y": -y, "x-y": x - y}[ramp]
    cells = dense_sift(image, window="gaussian", backend="opencv")[1].reshape(-1, 16, 8)
    assert set(cells.argmax(axis=2).ravel()) == {RAMPS[ramp]}


@pytest.mark.parametrize("bin_size", [3, 4, 6])
def test_opencv_descriptors_look_like_ours_on_a_smooth_image(bin_size):
    image = cv2.GaussianBlur(photograph(100, 130), (0, 0), 1.5)
    settings = {"step": 5, "bin_size": bin_size, "window": "gaussian", "dtype": "float32"}
    ours = dense_sift(image, **settings)[1].reshape(-1, 4, 4, 8)
    theirs = dense_sift(image, backend="opencv", **settings)[1].reshape(-1, 4, 4, 8)

    def similarity(other):
        lengths = np.sqrt((ours**2).sum(axis=(1, 2, 3)) * (other**2).sum(axis=(1, 2, 3)))
        return np.median((ours * other).sum(axis=(1, 2, 3)) / lengths)

    assert similarity(theirs) > 0.94
    # any other reading of the 128 entries is much further off
    assert similarity(theirs.swapaxes(1, 2)) < 0.8
    assert all(similarity(np.roll(theirs, turn, axis=3)) < 0.6 for turn in range(1, 8))
    assert similarity(theirs[..., (8 - np.arange(8)) % 8]) < 0.8


def test_opencv_has_gaussian_windows_and_square_bins_only():
    with pytest.raises(ValueError, match="Gaussian window only: add --window gaussian"):
        dense_sift(np.zeros((20, 20)), backend="opencv")
    with pytest.raises(ValueError, match="square bins only"):
        dense_sift(np.zeros((40, 40)), backend="opencv", window="gaussian", bin_size=(3, 4))


def test_opencv_takes_equal_pairs_of_bins():
    image = photograph(30, 30)
    settings = {"window": "gaussian", "backend": "opencv"}
    pair = dense_sift(image, bin_size=(4, 4), **settings)[1]
    assert np.array_equal(pair, dense_sift(image, bin_size=4, **settings)[1])


# against VLFeat

PARITY_STEPS, PARITY_BINS = (1, 2, 3, 5), (3, 4, 5)


def assert_parity(image, step, bin_size, window):
    settings = {"step": step, "bin_size": bin_size, "window": window}
    frames, ours = dense_sift(image, **settings)
    their_frames, theirs = dense_sift(image, backend="vlfeat", **settings)
    assert np.array_equal(frames, their_frames)
    assert_within_one(ours, theirs)
    return ours == theirs


@pytest.mark.vlfeat
@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("bin_size", [*PARITY_BINS, 1, 2, 6, 8, 12, (4, 6)])
def test_a_photograph_gives_vlfeats_descriptors(bin_size, window):
    crops = ((80, 101, 100, 200), (61, 64, 7, 501), (43, 150, 300, 33))
    equal = [
        assert_parity(photograph(*crop), step, bin_size, window).ravel()
        for crop in crops
        for step in (*PARITY_STEPS, (2, 3))
    ]
    assert np.concatenate(equal).mean() >= 0.999


@pytest.mark.vlfeat
@pytest.mark.parametrize("window", WINDOWS)
def test_float_descriptors_are_vlfeats_up_to_rounding(window):
    settings = {"step": 2, "window": window, "dtype": "float32"}
    image = photograph(60, 71)
    ours, theirs = dense_sift(image, **settings)[1], dense_sift(image, backend="vlfeat", **settings)[1]
    assert theirs.dtype == np.float32
    # VLFeat's flat window keeps running sums in float32
    assert np.abs(ours - theirs).max() < (0.1 if window == "flat" else 0.001)


@pytest.mark.vlfeat
@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("contrast", [1e-3, 3e-4, 1e-4, 1e-5])
def test_low_contrast_gives_vlfeats_descriptors(contrast, window):
    image = (contrast * np.random.default_rng(7).random((24, 27))).astype(np.float32)
    assert_parity(image, 2, 3, window)


@pytest.mark.vlfeat
@pytest.mark.data
@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("bin_size", PARITY_BINS)
def test_real_scenes_give_vlfeats_descriptors(scene15, bin_size, window):
    paths = SceneDataset.from_folder(scene15).test.paths
    equal = []
    for i, step in enumerate(PARITY_STEPS):
        image = read_grey(paths[97 + 400 * i])
        odd = image[3 : image.shape[0] // 2 + i, 2 : image.shape[1] // 2 - i]
        for part in (image, odd) if step > 1 else (odd,):
            equal.append(assert_parity(part, step, bin_size, window).ravel())
    assert np.concatenate(equal).mean() >= 0.999


# The file was written once by cyvlfeat 0.7.1 on VLFeat 0.9.21 through the `vlfeat` back end:
# image (48, 60) uint8, step 4, bin size 3.


@pytest.mark.parametrize("window", WINDOWS)
def test_the_stored_descriptors_of_vlfeat_come_out(window):
    stored = read_npz(FIXTURE)
    frames, found = dense_sift(stored["image"], step=4, window=window)
    assert np.array_equal(frames, stored["frames"]) and len(frames) == 10 * 13
    assert_within_one(found, stored[window])
    assert (found == stored[window]).mean() >= 0.999


@pytest.mark.vlfeat
@pytest.mark.parametrize("window", WINDOWS)
def test_the_stored_descriptors_are_still_vlfeats(window):
    stored = read_npz(FIXTURE)
    frames, found = dense_sift(stored["image"], step=4, window=window, backend="vlfeat")
    assert np.array_equal(frames, stored["frames"])
    assert_within_one(found, stored[window])


def test_a_missing_cyvlfeat_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "cyvlfeat.sift", None)  # makes the import fail
    with pytest.raises(ValueError, match="needs cyvlfeat, which is not installed: run `make vlfeat`"):
        dense_sift(np.zeros((20, 20)), backend="vlfeat")
