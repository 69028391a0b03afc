"""k-means: by hand, against scikit-learn, the same on any number of threads, degenerate points."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.cluster import KMeans
from sklearn.datasets import load_sample_image, make_blobs

from features import dense_sift
from features.kmeans import BLOCK_ROWS, START_ROWS_PER_WORD, _move, kmeans
from scenes import read_grey


def inertia(points, words):
    """Sum of squared distances to the nearest word, in float64."""
    points, words = points.astype(np.float64), words.astype(np.float64)
    return sum(float(((words - row) ** 2).sum(axis=1).min()) for row in points)


def blobs(n, d=8, centers=12, spread=1.5):
    return make_blobs(n, d, centers=centers, cluster_std=spread, random_state=3)[0].astype(np.float32)


def sift_sample(n):
    image = read_grey(load_sample_image("china.jpg"))[60:260, 100:400]
    descriptors = dense_sift(image, step=3)[1]
    return descriptors[np.random.default_rng(1).choice(len(descriptors), n, replace=False)]


# by hand


def test_two_clusters_on_a_line():
    points = np.array([[0], [1], [2], [100], [102]], np.uint8)
    found = kmeans(points, 2)
    assert found.words.dtype == np.float32 and sorted(found.words.ravel()) == [1, 101]
    assert found.inertia == 4  # 1 + 0 + 1 and 1 + 1


def test_one_word_is_the_mean():
    points = np.array([[0, 0], [4, 2], [2, 4]], np.float32)
    found = kmeans(points, 1)
    assert found.words.tolist() == [[2, 2]] and found.inertia == 16


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_as_many_words_as_different_points_are_the_points(dtype):
    points = np.random.default_rng(2).permutation(256)[:60].reshape(30, 2).astype(dtype)
    found = kmeans(points, 30)
    assert sorted(found.words.tolist()) == sorted(points.tolist()) and found.inertia == 0


def test_a_word_without_points_moves_to_the_point_farthest_from_its_word():
    points = np.array([[0], [2], [9], [50]], np.uint8)
    words = np.array([[1], [200], [40], [250]], np.float32)
    # words 0 and 2 hold two points each, words 1 and 3 none; distances squared: 1, 1, 64, 100
    counts, sums = np.array([2, 0, 2, 0]), np.array([[2], [0], [59], [0]])
    moved = _move(words, counts, sums, points, np.array([1, 1, 64, 100]))
    assert moved.tolist() == [[1], [50], [29.5], [9]]
    assert words.tolist() == [[1], [200], [40], [250]]


# quality


def mean_inertia(points, n_words, cluster):
    """Over five starts: a single one of either may end in a poor local optimum."""
    return np.mean([cluster(points, n_words, random_state=seed) for seed in range(5)])


def ours(points, n_words, random_state):
    return kmeans(points, n_words, random_state=random_state).inertia


def scikit_learns(points, n_words, random_state):
    return KMeans(n_words, n_init=1, random_state=random_state).fit(points.astype(np.float32)).inertia_


@pytest.mark.parametrize(("spread", "n_words"), [(1.5, 40), (6, 12)])
def test_blobs_are_clustered_as_well_as_scikit_learn_does(spread, n_words):
    points = blobs(3000, spread=spread)
    assert mean_inertia(points, n_words, ours) <= 1.01 * mean_inertia(points, n_words, scikit_learns)


def test_sift_descriptors_are_clustered_as_well_as_scikit_learn_does():
    points = sift_sample(1500)
    assert mean_inertia(points, 25, ours) <= 1.01 * mean_inertia(points, 25, scikit_learns)


@given(st.integers(1, 12), st.integers(0, 60), st.integers(1, 5), st.integers(1, 8), st.integers(0, 10**6))
def test_the_inertia_is_that_of_the_returned_words(n_words, extra, d, max_iterations, seed):
    rng = np.random.default_rng(seed)
    points = rng.integers(0, 12, (n_words + extra, d)).astype(np.uint8)  # many duplicates
    found = kmeans(points, n_words, random_state=seed, max_iterations=max_iterations, n_jobs=1)
    assert found.words.shape == (n_words, d) and np.isfinite(found.words).all()
    assert found.inertia == pytest.approx(inertia(points, found.words), rel=1e-9, abs=1e-9)
    assert 1 <= found.iterations <= max_iterations


def test_more_iterations_and_a_smaller_tolerance_do_not_make_it_worse():
    points = blobs(2000, spread=6)
    falling = [kmeans(points, 25, max_iterations=n, tolerance=0).inertia for n in (1, 2, 4, 8, 100)]
    assert falling == sorted(falling, reverse=True) and falling[-1] < falling[0]
    rough, fine = (kmeans(points, 25, tolerance=tolerance) for tolerance in (0.05, 0))
    assert rough.iterations < fine.iterations and rough.inertia > fine.inertia


def test_a_settled_clustering_has_every_word_at_the_mean_of_its_points():
    points = blobs(1500)
    words = kmeans(points, 12, tolerance=0).words
    nearest = np.array([((words - row) ** 2).sum(axis=1).argmin() for row in points])
    for word in range(12):
        assert words[word] == pytest.approx(points[nearest == word].mean(axis=0, dtype=np.float64), abs=1e-5)


# the same every time


@pytest.mark.parametrize("kind", ["uint8", "float32"])
def test_the_number_of_threads_does_not_change_a_bit(kind):
    points = blobs(2 * BLOCK_ROWS + 777, centers=40)  # several blocks
    if kind == "uint8":
        points = np.clip(points * 6 + 128, 0, 255).astype(np.uint8)
    found = {kmeans(points, 30, random_state=5, n_jobs=n_jobs).words.tobytes() for n_jobs in (1, 2, 4, None)}
    assert len(found) == 1


def test_the_seed_decides_the_start():
    points = blobs(2000, centers=40)
    one, same, other = (kmeans(points, 20, random_state=seed).words for seed in (1, 1, 2))
    assert np.array_equal(one, same) and not np.array_equal(one, other)


def test_a_start_from_a_part_of_the_points_still_sees_all_of_them():
    points = blobs(START_ROWS_PER_WORD * 3 * 20, centers=3)
    found = kmeans(points, 3)
    assert found.inertia == pytest.approx(inertia(points, found.words), rel=1e-9)
    assert found.inertia <= 1.01 * KMeans(3, n_init=3, random_state=0).fit(points).inertia_


def test_points_of_any_layout_and_number_stay_as_they_are():
    points = blobs(300)
    before = points.copy()
    expected = kmeans(points, 5).words
    assert np.array_equal(kmeans(np.asfortranarray(points), 5).words, expected)
    assert np.array_equal(kmeans(points.astype(np.float64), 5).words, expected)
    assert np.array_equal(points, before)


# degenerate points


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("n_words", [1, 2, 7, 20])
def test_equal_points_give_equal_words(dtype, n_words):
    found = kmeans(np.full((20, 4), 9, dtype), n_words)
    assert (found.words == 9).all() and found.words.shape == (n_words, 4) and found.inertia == 0


def test_fewer_different_points_than_words_leave_no_distance():
    points = np.repeat(np.array([[0, 0], [50, 3], [7, 200]], np.uint8), 10, axis=0)
    found = kmeans(points, 8)
    assert {tuple(word) for word in found.words} == {(0, 0), (50, 3), (7, 200)}
    assert found.inertia == 0


@pytest.mark.parametrize("n_words", [0, -1, 6])
def test_more_words_than_points_or_none_are_refused(n_words):
    with pytest.raises(ValueError, match=rf"{n_words} words need .*, the sample has 5: ask for fewer words"):
        kmeans(np.zeros((5, 3), np.uint8), n_words)
