"""Bags of words: against a slow count, norms by hand, the invariances, as a step of a pipeline."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline

from classifiers import KNNClassifier
from features import BagOfWords, Vocabulary, dense_sift, histograms
from features.dense_sift import enlarged_to_frame
from scenes import SceneDataset, read_grey

NORMS = ("none", "l1", "l2", "hellinger")


def pictures(n=6, seed=31):
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 256, (22 + 2 * i, 35 - i)).astype(np.uint8) for i in range(n)]


@pytest.fixture(scope="module")
def vocabulary():
    return Vocabulary.fit(pictures(), n_words=12, descriptors_per_image=40)


def slow_bag(image, words, **settings):
    """The share of descriptors nearest to each word: one descriptor at a time, float64."""
    counts = [0] * len(words)
    descriptors = dense_sift(image, **settings)[1]
    for descriptor in descriptors.astype(np.float64):
        counts[int(((words.astype(np.float64) - descriptor) ** 2).sum(axis=1).argmin())] += 1
    return np.array(counts) / len(descriptors)


# histograms


def test_shares_and_norms_by_hand():
    # shares 1/4, 0, 3/4: length sqrt(10)/4, roots 1/2, 0, sqrt(3)/2
    counts = np.array([[1, 0, 3], [0, 5, 0]])
    assert histograms(counts).tolist() == [[0.25, 0, 0.75], [0, 1, 0]]
    assert histograms(counts, "l1").tolist() == [[0.25, 0, 0.75], [0, 1, 0]]
    expected = {"l2": [[0.1**0.5, 0, 0.9**0.5], [0, 1, 0]], "hellinger": [[0.5, 0, 0.75**0.5], [0, 1, 0]]}
    for norm, rows in expected.items():
        assert histograms(counts, norm) == pytest.approx(np.array(rows), rel=1e-6)


@given(
    hnp.arrays(np.int64, st.tuples(st.integers(1, 5), st.integers(1, 9)), elements=st.integers(0, 10**6)),
    st.sampled_from(NORMS),
)
def test_rows_have_length_one_in_their_norm_or_are_zero(counts, norm):
    found = histograms(counts, norm)
    assert found.dtype == np.float32 and found.shape == counts.shape and np.isfinite(found).all()
    lengths = found.sum(axis=1) if norm in ("none", "l1") else np.sqrt((found.astype(float) ** 2).sum(axis=1))
    assert lengths == pytest.approx((counts.sum(axis=1) > 0).astype(float), abs=1e-5)
    assert np.array_equal(found > 0, counts > 0)


def test_a_row_without_descriptors_stays_zero_in_every_norm():
    for norm in NORMS:
        assert not histograms(np.zeros((2, 3), np.int64), norm).any()


def test_counts_stay_as_they_are():
    counts = np.array([[1, 3]])
    histograms(counts, "l2")
    assert counts.tolist() == [[1, 3]]


# against the slow count


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"step": 3},
        {"step": (2, 5), "window": "gaussian"},
        {"dtype": "float32"},
        {"bin_size": (4, 2), "step": 2},
        {"backend": "opencv", "window": "gaussian", "step": 4},
        pytest.param({"backend": "vlfeat", "step": 2}, marks=pytest.mark.vlfeat),
    ],
    ids=lambda settings: " ".join(f"{name} {value}" for name, value in settings.items()) or "defaults",
)
def test_histograms_are_those_of_a_slow_count(settings):
    images = pictures(4)
    bag = BagOfWords(n_words=9, descriptors_per_image=30, **settings)
    found = bag.fit_transform(images)
    assert found.dtype == np.float32 and found.shape == (4, 9)
    expected = [slow_bag(image, bag.vocabulary_.words, **settings) for image in images]
    assert np.array_equal(found, np.array(expected, np.float32))


def test_counts_are_whole_numbers_of_descriptors(vocabulary):
    bag = BagOfWords(vocabulary).fit([])
    for image, found in zip(pictures(), bag.iter_counts(pictures()), strict=True):
        assert found.counts.dtype == np.int64 and not found.enlarged
        assert found.counts.sum() == len(dense_sift(image)[0])


@pytest.mark.parametrize("norm", NORMS)
def test_the_norm_is_applied_to_the_shares(vocabulary, norm):
    bag = BagOfWords(vocabulary, norm=norm).fit([])
    counts = np.array([found.counts for found in bag.iter_counts(pictures())])
    assert np.array_equal(bag.transform(pictures()), histograms(counts, norm))


def test_rows_sum_to_one(vocabulary):
    assert BagOfWords(vocabulary).fit_transform(pictures()).sum(axis=1) == pytest.approx(1, abs=1e-6)


def test_sizes_are_changed_before_anything_else(vocabulary):
    (image,) = pictures(1)
    small = read_grey(image, max_side=20)
    bag = BagOfWords(vocabulary, max_side=20).fit([])
    assert np.array_equal(bag.transform([image]), BagOfWords(vocabulary).fit_transform([small]))
    square = BagOfWords(vocabulary, resize=18).fit_transform([image])
    assert np.array_equal(square, BagOfWords(vocabulary).fit_transform([read_grey(image, resize=18)]))


# images that are hard to describe


def test_an_image_too_small_for_a_descriptor_is_enlarged_and_says_so(vocabulary):
    small, large = pictures(1)[0][:5, :8], pictures(1)[0]
    bag = BagOfWords(vocabulary).fit([])
    first, second = bag.iter_counts([small, large])
    assert first.enlarged and not second.enlarged
    grey = enlarged_to_frame(small.astype(np.float32), 3)[0]
    assert grey.shape == (10, 16)
    assert np.array_equal(bag.transform([small]), bag.transform([grey]))
    assert first.counts.sum() == 7


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("value", [0, 128, 255])
def test_a_flat_image_gives_finite_values(vocabulary, norm, value):
    bag = BagOfWords(vocabulary, norm=norm).fit([])
    found = bag.transform([np.full((30, 30), value, np.uint8), np.full((1, 1), value, np.uint8)])
    # every descriptor is zero, so one word, the shortest, holds them all
    shortest = (vocabulary.words**2).sum(axis=1).argmin()
    assert np.array_equal(found, np.eye(12, dtype=np.float32)[[shortest, shortest]])


def test_colour_is_made_grey_first(vocabulary):
    rgb = np.random.default_rng(5).integers(0, 256, (25, 30, 3)).astype(np.uint8)
    bag = BagOfWords(vocabulary).fit([])
    assert np.array_equal(bag.transform([rgb]), bag.transform([read_grey(rgb)]))


# invariances


def test_a_subset_and_another_order_give_the_same_rows(vocabulary):
    images = pictures()
    bag = BagOfWords(vocabulary).fit([])
    whole = bag.transform(images)
    order = np.random.default_rng(0).permutation(6)
    assert np.array_equal(bag.transform([images[i] for i in order]), whole[order])
    assert np.array_equal(bag.transform(images[2:4]), whole[2:4])
    assert np.array_equal(np.concatenate([bag.transform([image]) for image in images]), whole)


def test_the_number_of_threads_does_not_change_a_bit():
    images = pictures()
    found = [BagOfWords(n_words=9, step=2, n_jobs=n).fit_transform(images).tobytes() for n in (1, 2, 4, None)]
    assert len(set(found)) == 1


COMPILED = """
import hashlib
from sklearn.datasets import load_sample_image
from features import BagOfWords, dense_sift
images = [load_sample_image(name)[:90, x : x + 120] for name in ("china.jpg", "flower.jpg") for x in (0, 200)]
digest = hashlib.sha256()
for window in ("flat", "gaussian"):
    for dtype in ("uint8", "float32"):
        for image in images:
            digest.update(dense_sift(image[..., 1] / 255, window=window, dtype=dtype)[1].tobytes())
bag = BagOfWords(n_words=30, step=2).fit(images)
digest.update(bag.vocabulary_.words.tobytes() + bag.transform(images).tobytes())
print(digest.hexdigest())
"""


def test_the_processor_and_the_cache_of_kernels_do_not_change_a_bit(tmp_path):
    runs = {
        "compiled for this processor": {},
        "from the cache": {},
        "compiled for any processor": {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""},
        "without 8-bit products": {"SCENEBENCH_VNNI": "0"},
    }
    made = {}
    for name, variables in runs.items():
        environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path), **variables}
        command = [sys.executable, "-c", COMPILED]
        made[name] = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=True
        ).stdout
    assert len(set(made.values())) == 1, made


def test_no_images_give_no_rows(vocabulary):
    assert BagOfWords(vocabulary).fit([]).transform([]).shape == (0, 12)


@pytest.mark.parametrize(
    "single",
    ["image.png", Path("image.png"), np.zeros((30, 30)), np.zeros((30, 30, 3))],
    ids=["name", "path", "grey", "colour"],
)
def test_a_single_image_is_refused(vocabulary, single):
    with pytest.raises(ValueError, match="not a single one: wrap it in a list"):
        BagOfWords(vocabulary).fit([]).transform(single)


# the vocabulary


def test_fit_builds_the_vocabulary_of_its_settings():
    settings = {
        "n_words": 6, "step": 2, "vocab_step": 3, "bin_size": (3, 4), "window": "gaussian",
        "dtype": "float32", "descriptors_per_image": 20, "max_side": 30, "random_state": 4,
    }  # fmt: skip
    bag = BagOfWords(**settings).fit(pictures())
    expected = Vocabulary.fit(pictures(), **settings)
    assert bag.vocabulary_ == expected and np.array_equal(bag.vocabulary_.words, expected.words)


def test_a_given_vocabulary_is_used_and_not_changed(vocabulary):
    bag = BagOfWords(vocabulary, n_words=99).fit(pictures(2))
    assert bag.vocabulary_ is vocabulary
    assert bag.transform(pictures(2)).shape == (2, 12)


@pytest.mark.parametrize("as_text", [False, True])
def test_a_vocabulary_may_be_a_file(vocabulary, tmp_path, as_text):
    path = vocabulary.save(tmp_path / "v.npz")
    bag = BagOfWords(str(path) if as_text else path).fit([])
    assert bag.vocabulary_ == vocabulary
    assert np.array_equal(bag.transform(pictures()), BagOfWords(vocabulary).fit_transform(pictures()))


def test_a_vocabulary_of_other_descriptors_is_refused(vocabulary):
    with pytest.raises(ValueError, match="made with window flat, not gaussian"):
        BagOfWords(vocabulary, window="gaussian").fit([])
    with pytest.raises(ValueError, match="made with bin_size 3, not 4"):
        BagOfWords(vocabulary, bin_size=4).fit([])


def test_a_vocabulary_of_another_step_is_used(vocabulary):
    assert BagOfWords(vocabulary, step=4).fit([]).transform(pictures(2)).shape == (2, 12)


# the estimator


def test_parameters_are_stored_and_cloned(vocabulary):
    bag = BagOfWords(vocabulary, step=(2, 3), norm="l2", n_jobs=2)
    parameters = bag.get_params()
    assert parameters == {
        "vocabulary": vocabulary, "n_words": 400, "step": (2, 3), "vocab_step": None, "bin_size": 3,
        "window": "flat", "dtype": "uint8", "descriptors_per_image": 100, "norm": "l2", "backend": "numba",
        "device": None, "max_side": 480, "resize": None, "random_state": 0, "n_jobs": 2,
    }  # fmt: skip
    copy = clone(bag)
    assert copy.get_params() == parameters
    assert np.array_equal(copy.fit_transform(pictures(2)), bag.fit_transform(pictures(2)))


def test_before_fit_it_says_so():
    for use in (BagOfWords().transform, lambda images: list(BagOfWords().iter_counts(images))):
        with pytest.raises(NotFittedError):
            use(pictures(1))
    with pytest.raises(NotFittedError):
        BagOfWords().get_feature_names_out()


def test_features_are_named_by_word(vocabulary):
    names = BagOfWords(vocabulary).fit([]).get_feature_names_out()
    assert names.tolist() == [f"word_{k}" for k in range(12)]


def test_an_unknown_norm_lists_the_known_ones(vocabulary):
    message = "unknown norm 'l3': choose from none, l1, l2, hellinger"
    with pytest.raises(ValueError, match=message):
        BagOfWords(vocabulary, norm="l3").fit([])
    with pytest.raises(ValueError, match=message):
        histograms(np.ones((1, 1)), "l3")


@pytest.mark.parametrize("name", ["step", "bin_size"])
def test_bad_descriptor_settings_are_named(name):
    with pytest.raises(ValueError, match=f"{name} is 0"):
        BagOfWords(n_words=3, **{name: 0}).fit(pictures(2))


def test_it_works_in_a_grid_search_over_k_and_metric(small_folder):
    dataset = SceneDataset.from_folder(small_folder)
    bag = BagOfWords(n_words=15, step=2, descriptors_per_image=60)
    model = Pipeline([("bag", bag), ("knn", KNNClassifier())])
    grid = {
        "knn__n_neighbors": [1, 3],
        "knn__metric": ["cityblock", "chi2"],
        "bag__norm": ["none", "hellinger"],
    }
    search = GridSearchCV(model, grid, cv=2, error_score="raise")
    search.fit(dataset.train.paths, dataset.train.labels)
    assert len(search.cv_results_["params"]) == 8
    # the textures differ in the direction of their edges, which is what the descriptors see
    assert search.score(dataset.test.paths, dataset.test.labels) == 1
