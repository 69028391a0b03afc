"""Tiny images: norms by hand, resampling, crop, the invariances, and R1's figures on the real scenes."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

from classifiers import KNNClassifier
from features import TinyImage
from features.tiny import RESAMPLES, tiny_image
from scenes import SceneDataset

# matrix 1-norm: columns sum to 4 and 6; sum of all: 10; Frobenius: 1 + 4 + 9 + 16 = 30
EXAMPLE = np.array([[1.0, -2.0], [3.0, 4.0]])


def pictures(n=9, seed=4):
    """Grey images of several sizes, float and uint8."""
    rng = np.random.default_rng(seed)
    shapes = rng.integers(5, 60, (n, 2))
    images = [rng.integers(0, 256, shape).astype(np.uint8) for shape in shapes]
    return [image.astype(np.float32) if i % 2 else image for i, image in enumerate(images)]


@pytest.mark.parametrize(("norm", "value"), [("l1", 10), ("l1_matrix", 6), ("l2", 30**0.5), ("none", 1)])
def test_norms_by_hand(norm, value):
    vector = TinyImage(size=2, norm=norm).transform([EXAMPLE])
    assert vector == pytest.approx(np.array([[1, -2, 3, 4]]) / value, rel=1e-15)


@pytest.mark.parametrize(("norm", "order"), [("l1_matrix", 1), ("l2", None)])
@given(image=hnp.arrays(np.float32, (3, 4), elements=st.floats(-99, 99, width=16)))
def test_norms_are_numpys(norm, order, image):
    expected = image.astype(float)
    scale = np.linalg.norm(expected, order)
    found = TinyImage(size=(3, 4), norm=norm, n_jobs=1).transform([image])[0]
    assert found == pytest.approx((expected / scale if scale > 0 else expected).ravel(), rel=1e-12)


def test_zero_mean_by_hand():
    # mean 1.5: -0.5, -3.5, 1.5, 2.5; column sums 2 and 6
    vector = TinyImage(size=2, zero_mean=True).transform([EXAMPLE])
    assert vector == pytest.approx(np.array([[-0.5, -3.5, 1.5, 2.5]]) / 6, rel=1e-15)


def test_vectors_are_float64_rows_in_reading_order():
    image = np.arange(6, dtype=np.uint8).reshape(2, 3)
    vectors = TinyImage(size=(2, 3), norm="none").transform([image, image + 10])
    assert vectors.dtype == np.float64
    assert vectors.tolist() == [[0, 1, 2, 3, 4, 5], [10, 11, 12, 13, 14, 15]]


@pytest.mark.parametrize(("size", "width"), [(16, 256), (1, 1), ((3, 5), 15), (np.int64(4), 16)])
def test_size_is_a_number_or_rows_and_columns(size, width):
    assert TinyImage(size=size).fit_transform(pictures(2)).shape == (2, width)


def test_nearest_picks_the_middle_pixel_of_each_part():
    image = np.arange(81, dtype=np.uint8).reshape(9, 9)
    assert tiny_image(image, (3, 3), "nearest", False).tolist() == image[1::3, 1::3].tolist()


def test_box_averages_each_part():
    # the four quarters of the image are 0, 40, 80 and 120
    image = np.kron(np.array([[0, 40], [80, 120]], np.uint8), np.ones((5, 7), np.uint8))
    assert TinyImage(size=2, resample="box", norm="none").transform([image]).tolist() == [[0, 40, 80, 120]]


@pytest.mark.parametrize("resample", RESAMPLES)
def test_resampling_of_a_file_is_pillows_in_eight_bits(tmp_path, resample):
    image = Image.fromarray(pictures(1, seed=8)[0])
    image.save(tmp_path / "image.png")
    expected = np.asarray(image.resize((7, 5), getattr(Image.Resampling, resample.upper())))
    found = TinyImage(size=(5, 7), resample=resample, norm="none").transform([tmp_path / "image.png"])
    assert np.array_equal(found[0], expected.ravel())


def test_fractions_are_resized_in_float():
    image = np.array([[0.5, 0.5], [0.25, 0.75]])
    assert TinyImage(size=1, resample="box", norm="none").transform([image]).tolist() == [[0.5]]


def test_values_beyond_eight_bits_are_not_wrapped():
    image = np.array([[-1.0, 300.0]])
    assert TinyImage(size=(1, 2), norm="none").transform([image]).tolist() == [[-1, 300]]


@pytest.mark.parametrize(
    ("shape", "size", "rows", "columns"),
    [
        ((4, 10), 4, slice(0, 4), slice(3, 7)),  # wide: the middle 4 of 10 columns
        ((10, 4), 4, slice(3, 7), slice(0, 4)),
        ((6, 6), 6, slice(0, 6), slice(0, 6)),
        ((8, 8), (2, 4), slice(2, 6), slice(0, 8)),  # twice as wide as high
        ((5, 10), 5, slice(0, 5), slice(2, 7)),  # an odd rest: one more is left out on the right
    ],
)
def test_crop_cuts_the_centred_part_of_the_wanted_shape(shape, size, rows, columns):
    image = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    kept = image[rows, columns]
    wanted = TinyImage(size=size, norm="none").transform([kept])
    assert np.array_equal(TinyImage(size=size, norm="none", crop=True).transform([image]), wanted)


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 9), st.integers(1, 9))
def test_crop_holds_for_any_shape(height, width, rows, columns):
    vector = TinyImage(size=(rows, columns), crop=True, n_jobs=1).transform([np.ones((height, width))])
    assert vector.shape == (1, rows * columns) and np.isfinite(vector).all()


def test_an_image_smaller_than_its_tiny_image_is_enlarged():
    assert TinyImage(size=4, norm="none").transform([np.array([[7.0]])]).tolist() == [[7.0] * 16]


@pytest.mark.parametrize("zero_mean", [False, True])
@pytest.mark.parametrize("norm", ["l1_matrix", "l1", "l2", "none"])
@pytest.mark.parametrize("value", [0, 7, 255])
def test_a_flat_image_gives_finite_values(norm, zero_mean, value):
    vector = TinyImage(norm=norm, zero_mean=zero_mean).transform([np.full((30, 20), value, np.uint8)])
    assert np.isfinite(vector).all()
    assert len(set(vector[0])) == 1
    if zero_mean or value == 0:
        assert (vector == 0).all()


def test_the_size_rule_comes_first():
    image = np.random.default_rng(3).integers(0, 256, (90, 120)).astype(np.uint8)
    small = np.asarray(Image.fromarray(image).resize((40, 30), Image.Resampling.BILINEAR))
    assert np.array_equal(TinyImage(max_side=40).transform([image]), TinyImage().transform([small]))
    square = np.asarray(Image.fromarray(image).resize((25, 25), Image.Resampling.BILINEAR))
    assert np.array_equal(TinyImage(resize=25).transform([image]), TinyImage().transform([square]))


def test_colour_is_made_grey_first():
    rgb = np.random.default_rng(5).integers(0, 256, (20, 30, 3)).astype(np.uint8)
    grey = np.asarray(Image.fromarray(rgb).convert("L"))
    assert np.array_equal(TinyImage().transform([rgb]), TinyImage().transform([grey]))


# invariances


def test_a_subset_and_another_order_give_the_same_rows():
    images = pictures()
    vectors = TinyImage().fit_transform(images)
    order = np.random.default_rng(2).permutation(len(images))
    assert np.array_equal(TinyImage().transform([images[i] for i in order]), vectors[order])
    assert np.array_equal(TinyImage().transform(images[3:4]), vectors[3:4])


def test_the_number_of_threads_does_not_change_a_bit():
    images = pictures(20)
    found = [TinyImage(resample="lanczos", n_jobs=n).transform(images).tobytes() for n in (1, 2, 4, None)]
    assert len(set(found)) == 1


def test_images_may_be_an_array_of_images():
    images = np.stack([np.full((8, 8), value, np.uint8) for value in (1, 2, 3)])
    assert TinyImage(size=2, norm="none").transform(images)[:, 0].tolist() == [1, 2, 3]


def test_no_images_give_no_rows():
    assert TinyImage().transform([]).shape == (0, 256)


@pytest.mark.parametrize(
    "single",
    ["image.png", Path("image.png"), np.zeros((5, 5)), np.zeros((5, 5, 3))],
    ids=["name", "path", "grey", "colour"],
)
def test_a_single_image_is_refused(single):
    with pytest.raises(ValueError, match="not a single one: wrap it in a list"):
        TinyImage().transform(single)


# the estimator


def test_parameters_are_stored_and_cloned():
    tiny = TinyImage(size=8, resample="box", norm="l2", zero_mean=True, crop=True, max_side=None, n_jobs=2)
    parameters = tiny.get_params()
    assert parameters == {
        "size": 8, "resample": "box", "norm": "l2", "zero_mean": True, "crop": True,
        "max_side": None, "resize": None, "n_jobs": 2,
    }  # fmt: skip
    assert clone(tiny).get_params() == parameters
    assert tiny.set_params(size=3).size == 3


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"norm": "l3"}, "unknown norm 'l3': choose from l1_matrix, l1, l2, none"),
        ({"resample": "cubic"}, "unknown resample 'cubic': choose from nearest, box, "),
        ({"size": 0}, "size is 0: give a whole number of at least 1"),
        ({"size": (4, -1)}, "size is .*: give a whole number of at least 1"),
        ({"size": 4.5}, r"size is 4.5: give a whole number or a pair \(y, x\)"),
        ({"size": (4, 4, 4)}, r"a pair \(y, x\)"),
        ({"size": True}, "size is True"),
    ],
)
def test_bad_parameters_are_named_by_fit_and_transform(parameters, message):
    for method in ("fit", "transform"):
        with pytest.raises(ValueError, match=message):
            getattr(TinyImage(**parameters), method)(pictures(1))


def test_features_are_named_by_row_and_column():
    names = TinyImage(size=(2, 3)).get_feature_names_out()
    assert names.tolist() == ["tiny_0_0", "tiny_0_1", "tiny_0_2", "tiny_1_0", "tiny_1_1", "tiny_1_2"]


def test_it_works_in_a_pipeline(small_folder):
    dataset = SceneDataset.from_folder(small_folder)
    model = make_pipeline(TinyImage(resample="box"), KNNClassifier())
    model.fit(dataset.train.paths, dataset.train.labels)
    assert model.score(dataset.train.paths, dataset.train.labels) == 1
    assert set(model.predict(dataset.test.paths)) <= set(dataset.classes)


# R1's figures

R1_BY_K = [0.2233, 0.1787, 0.1887, 0.2047, 0.2020, 0.1980, 0.2000, 0.2033, 0.1980, 0.2020]
NEAREST_BY_METRIC_AND_NORM = {
    ("euclidean", "l2"): 0.1593,
    ("euclidean", "l1"): 0.1547,
    ("euclidean", "l1_matrix"): 0.1813,
    ("cityblock", "l2"): 0.1940,
    ("cityblock", "l1"): 0.1893,
    ("cityblock", "l1_matrix"): 0.2233,
}


@pytest.fixture(scope="module")
def real_scenes(scene15):
    """The real data set, and the tiny images of both parts under each norm."""
    dataset = SceneDataset.from_folder(scene15)
    vectors = {
        norm: [TinyImage(norm=norm).transform(part.paths) for part in (dataset.train, dataset.test)]
        for norm in ("l2", "l1", "l1_matrix")
    }
    return dataset, vectors


def accuracies(real_scenes, norm, metric, ks):
    dataset, vectors = real_scenes
    train, test = vectors[norm]
    knn = KNNClassifier(max(ks), metric=metric).fit(train, dataset.train.labels)
    neighbours = knn.kneighbors(test)[1]
    truth = np.array(dataset.test.labels)
    return [round(float((knn.classes_[knn.vote(neighbours[:, :k])] == truth).mean()), 4) for k in ks]


@pytest.mark.data
def test_r1s_ten_figures_come_out_to_the_digit(real_scenes):
    assert accuracies(real_scenes, "l1_matrix", "cityblock", range(1, 11)) == R1_BY_K


@pytest.mark.data
@pytest.mark.parametrize(("metric", "norm"), NEAREST_BY_METRIC_AND_NORM)
def test_r1s_path_over_metrics_and_norms_comes_out_to_the_digit(real_scenes, metric, norm):
    assert accuracies(real_scenes, norm, metric, [1]) == [NEAREST_BY_METRIC_AND_NORM[metric, norm]]
