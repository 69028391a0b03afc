"""k nearest neighbours: scikit-learn's contract, the tie rules by hand, blocks and threads."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.utils.estimator_checks import parametrize_with_checks

from classifiers import METRICS, KNNClassifier, knn, pairwise_distances
from classifiers.nearest import NearestRows

LABELS = ("b", "a", "d", "c")


# k = 1, since the checks fit single rows too, and take the largest share for the prediction (tie "nearest"
# does not)
@parametrize_with_checks(
    [KNNClassifier(), KNNClassifier(metric="euclidean", tie="nearest"), KNNClassifier(metric="cosine")]
)
def test_scikit_learns_checks_pass(estimator, check):
    check(estimator)


def slow_predict(X, y, queries, k, metric, tie):
    """One query at a time: sort by distance, count, break ties as the rule says."""
    predicted = []
    for row in cdist(queries, X, metric):
        nearest = [y[i] for i in sorted(range(len(y)), key=lambda i: (row[i], i))[:k]]
        most = max(nearest.count(label) for label in nearest)
        tied = [label for label in nearest if nearest.count(label) == most]
        predicted.append(min(tied) if tie == "first" else tied[0])
    return predicted


def grid_data(n, d, seed):
    """Whole numbers from a small range, so that many distances are equal."""
    rng = np.random.default_rng(seed)
    X, queries = rng.integers(0, 4, (n, d)), rng.integers(0, 4, (12, d))
    return X.astype(float), rng.choice(LABELS, n), queries.astype(float)


@given(
    n=st.integers(1, 40),
    d=st.integers(1, 4),
    share=st.floats(0, 1),
    metric=st.sampled_from(["cityblock", "euclidean", "chebyshev"]),
    tie=st.sampled_from(["first", "nearest"]),
    seed=st.integers(0, 10**6),
)
def test_predictions_are_those_of_the_slow_rule(n, d, share, metric, tie, seed):
    X, y, queries = grid_data(n, d, seed)
    k = 1 + int(share * (n - 1))
    model = KNNClassifier(k, metric=metric, tie=tie, n_jobs=1).fit(X, y)
    assert model.predict(queries).tolist() == slow_predict(X, y.tolist(), queries, k, metric, tie)


# ties


def test_the_first_class_in_sorted_order_wins_a_tie():
    #    b at 1, a at 2: one vote each, b is nearer
    model = KNNClassifier(2).fit([[1.0], [2.0]], ["b", "a"])
    assert model.predict([[0.0]]).tolist() == ["a"]


def test_the_class_with_the_nearest_neighbour_wins_a_tie_if_asked():
    model = KNNClassifier(2, tie="nearest").fit([[1.0], [2.0]], ["b", "a"])
    assert model.predict([[0.0]]).tolist() == ["b"]


def test_the_nearest_neighbour_does_not_win_against_more_votes():
    #    c at 1; b at 2 and 3; a at 4 and 5: b and a tie with two votes, c has one
    X, y = [[1.0], [2.0], [3.0], [4.0], [5.0]], ["c", "b", "b", "a", "a"]
    assert KNNClassifier(5, tie="nearest").fit(X, y).predict([[0.0]]).tolist() == ["b"]
    assert KNNClassifier(5, tie="first").fit(X, y).predict([[0.0]]).tolist() == ["a"]


def test_numbers_sort_as_numbers_and_text_as_text():
    X = [[1.0], [2.0]]
    assert KNNClassifier(2).fit(X, [10, 9]).predict([[0.0]]).tolist() == [9]
    assert KNNClassifier(2).fit(X, ["10", "9"]).predict([[0.0]]).tolist() == ["10"]


def test_equally_far_neighbours_come_in_the_order_of_training_rows():
    X = np.array([[5.0], [1.0], [-1.0], [1.0], [0.0], [-1.0]])
    model = KNNClassifier(4).fit(X, list("abcdef"))
    distances, rows = model.kneighbors([[0.0]])
    assert rows.tolist() == [[4, 1, 2, 3]] and distances.tolist() == [[0, 1, 1, 1]]
    assert model.kneighbors([[0.0]], n_neighbors=6)[1].tolist() == [[4, 1, 2, 3, 5, 0]]


def test_the_cut_among_equally_far_rows_keeps_the_first_ones():
    # 300 copies of one point: enough for an unstable selection to show
    model = KNNClassifier(7, tie="nearest").fit(np.zeros((300, 2)), np.arange(300) % 5)
    distances, rows = model.kneighbors(np.zeros((3, 2)))
    assert rows.tolist() == [[0, 1, 2, 3, 4, 5, 6]] * 3 and not distances.any()
    assert model.predict(np.zeros((1, 2))).tolist() == [0]  # 0 and 1 have two votes


# neighbours, votes, probabilities


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("k", [1, 2, 7, 40])
def test_neighbours_are_those_of_a_full_stable_sort(metric, k):
    rng = np.random.default_rng(8)
    X, queries = rng.random((40, 5)).round(1), rng.random((9, 5)).round(1)
    model = KNNClassifier(k, metric=metric, p=3).fit(X, rng.integers(0, 3, 40))
    distances, rows = model.kneighbors(queries)
    full = pairwise_distances(queries, X, metric, p=3)
    expected = np.argsort(full, axis=1, kind="stable")[:, :k]
    assert rows.dtype == np.int64 and np.array_equal(rows, expected)
    assert np.array_equal(distances, np.take_along_axis(full, expected, axis=1))


def test_probabilities_are_vote_shares():
    X, y = [[1.0], [2.0], [3.0], [9.0]], ["b", "b", "a", "c"]
    model = KNNClassifier(3).fit(X, y)
    assert model.classes_.tolist() == ["a", "b", "c"]
    assert model.predict_proba([[0.0]]).tolist() == [[1 / 3, 2 / 3, 0]]
    assert model.predict_proba([[0.0], [10.0]]).sum(axis=1) == pytest.approx(1)


@given(st.integers(0, 10**6), st.integers(1, 12))
def test_the_predicted_class_has_the_largest_share(seed, k):
    X, y, queries = grid_data(25, 2, seed)
    for tie in ("first", "nearest"):
        model = KNNClassifier(k, tie=tie, n_jobs=1).fit(X, y)
        shares = model.predict_proba(queries)
        chosen = np.searchsorted(model.classes_, model.predict(queries))
        assert np.array_equal(shares[np.arange(len(shares)), chosen], shares.max(axis=1))
        if tie == "first":
            assert np.array_equal(chosen, shares.argmax(axis=1))


def test_votes_of_the_first_k_columns_are_those_of_a_smaller_k():
    X, y, queries = grid_data(60, 3, 1)
    large = KNNClassifier(10).fit(X, y)
    rows = large.kneighbors(queries)[1]
    for k in range(1, 11):
        small = KNNClassifier(k).fit(X, y)
        assert large.classes_[large.vote(rows[:, :k])].tolist() == small.predict(queries).tolist()
        assert np.array_equal(large.vote_shares(rows[:, :k]), small.predict_proba(queries))


def test_a_training_row_is_its_own_nearest_neighbour():
    X = np.random.default_rng(2).random((50, 4))
    for metric in ("cityblock", "euclidean", "chi2", "hellinger"):
        model = KNNClassifier(metric=metric).fit(X, np.arange(50) % 7)
        assert model.kneighbors(X)[1].ravel().tolist() == list(range(50))


# invariances


def test_a_subset_and_another_order_of_queries_give_the_same_rows():
    X, y, queries = grid_data(80, 3, 4)
    model = KNNClassifier(5).fit(X, y)
    distances, rows = model.kneighbors(queries)
    order = np.random.default_rng(0).permutation(len(queries))
    assert np.array_equal(model.kneighbors(queries[order])[1], rows[order])
    assert np.array_equal(model.kneighbors(queries[3:4])[0], distances[3:4])


@pytest.mark.parametrize("block", [1, 60, 61, 1000])
def test_the_size_of_a_block_changes_nothing(monkeypatch, block):
    X, y, _ = grid_data(60, 3, 5)
    queries = np.random.default_rng(6).integers(0, 4, (37, 3)).astype(float)
    model = KNNClassifier(4).fit(X, y)
    expected = model.kneighbors(queries)
    sizes, search = [], NearestRows.search
    monkeypatch.setattr(
        NearestRows, "search", lambda self, rows, k: sizes.append(len(rows)) or search(self, rows, k)
    )
    monkeypatch.setattr(knn, "BLOCK_DISTANCES", block)
    found = model.kneighbors(queries)
    assert max(sizes) == max(1, min(block // 60, 5)) and sum(sizes) == 37
    assert all(np.array_equal(one, other) for one, other in zip(found, expected, strict=True))


def test_the_number_of_threads_changes_nothing():
    X, y, _ = grid_data(60, 3, 7)
    queries = np.random.default_rng(8).integers(0, 4, (50, 3)).astype(float)
    found = {
        b"".join(part.tobytes() for part in KNNClassifier(6, n_jobs=n_jobs).fit(X, y).kneighbors(queries))
        for n_jobs in (1, 2, 4, None)
    }
    assert len(found) == 1


# parameters


@pytest.mark.parametrize("k", [0, -1, 1.0, 2.5, "3", None, True])
def test_k_is_a_whole_number_of_at_least_one(k):
    with pytest.raises(ValueError, match="give a whole number of at least 1"):
        KNNClassifier(k).fit([[1.0], [2.0]], [0, 1])


def test_k_above_the_number_of_training_rows_is_refused():
    with pytest.raises(ValueError, match="k is 3, but there are only 2 training images: give a smaller k"):
        KNNClassifier(3).fit([[1.0], [2.0]], [0, 1])
    with pytest.raises(ValueError, match="k is 5, but there are only 2"):
        KNNClassifier(2).fit([[1.0], [2.0]], [0, 1]).kneighbors([[1.0]], n_neighbors=5)


def test_numpy_whole_numbers_are_taken_as_k():
    assert KNNClassifier(np.int64(2)).fit([[1.0], [2.0]], [0, 1]).predict([[0.0]]).tolist() == [0]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"tie": "random"}, "unknown tie rule 'random': choose from first, nearest"),
        ({"metric": "manhattan"}, "unknown metric 'manhattan'"),
        ({"metric": "minkowski", "p": 0}, "p is 0"),
    ],
)
def test_bad_parameters_are_named_by_fit(parameters, message):
    with pytest.raises(ValueError, match=message):
        KNNClassifier(**parameters).fit([[1.0], [2.0]], [0, 1])


def test_parameters_are_stored_and_cloned():
    model = KNNClassifier(4, metric="minkowski", p=0.5, tie="nearest", n_jobs=2)
    expected = {"n_neighbors": 4, "metric": "minkowski", "p": 0.5, "tie": "nearest", "n_jobs": 2}
    assert model.get_params() == expected == clone(model).get_params()


def test_p_reaches_the_metric():
    # from the origin: (3, 0) has p-distance 3 for any p; (2, 2) has 4 for p = 1, 2.52 for p = 3
    X, y = [[3.0, 0.0], [2.0, 2.0]], ["axis", "diagonal"]
    assert KNNClassifier(metric="minkowski", p=1).fit(X, y).predict([[0.0, 0.0]]).tolist() == ["axis"]
    assert KNNClassifier(metric="minkowski", p=3).fit(X, y).predict([[0.0, 0.0]]).tolist() == ["diagonal"]


def test_it_works_in_a_grid_search():
    X, y, _ = grid_data(60, 3, 9)
    grid = {"n_neighbors": [1, 5], "metric": ["cityblock", "euclidean"], "tie": ["first", "nearest"]}
    search = GridSearchCV(KNNClassifier(), grid, cv=3).fit(X, y)
    assert len(search.cv_results_["mean_test_score"]) == 8
    assert 0 < search.best_score_ <= 1
