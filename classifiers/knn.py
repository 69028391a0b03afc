"""k nearest neighbours, with the tie rule stated."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext

import numpy as np
from joblib import effective_n_jobs
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data
from threadpoolctl import threadpool_limits

from classifiers.distances import check_metric
from classifiers.nearest import NearestRows

# Distances of one block of queries: 4 MB of float32 a thread (twice that in float64), however many training
# rows there are.
BLOCK_DISTANCES = 1 << 20

TIES = ("first", "nearest")


class KNNClassifier(ClassifierMixin, BaseEstimator):
    """The most frequent class among the k training rows that lie nearest.

    Parameters
    ----------
    n_neighbors : int, default=1
        k, at most the number of training rows.
    metric : str, default="cityblock"
        See `classifiers.distances`.
    p : float, default=2
        The exponent of minkowski.
    tie : {"first", "nearest"}, default="first"
        Which of the most frequent classes wins: the first in sorted order (as `scipy.stats.mode` and
        report R1), or the one whose nearest neighbour is nearest.
    n_jobs : int or None
        Threads; None means all cores. The result does not depend on it.

    Attributes
    ----------
    classes_ : array (C,)
        Labels in sorted order.

    Raises
    ------
    ValueError
        From `fit`: an unknown metric or tie rule, an exponent that is none, k below 1 or above the number of
        rows; from `fit` and `predict`: NaN or infinite values, another width, negative values where a metric
        takes none.

    Notes
    -----
    Neighbours come in the order of float64 distances and, where these are equal, of training rows.
    Queries are taken in blocks, so memory stays bounded; time grows with n_queries * n_train.

    Examples
    --------
    >>> import numpy as np
    >>> knn = KNNClassifier(n_neighbors=3).fit([[0.0], [1.0], [5.0], [6.0]], ["a", "a", "b", "b"])
    >>> knn.predict([[2.0], [9.0]])
    array(['a', 'b'], dtype='<U1')
    """

    def __init__(self, n_neighbors=1, *, metric="cityblock", p=2, tie="first", n_jobs=None):
        self.n_neighbors = n_neighbors
        self.metric = metric
        self.p = p
        self.tie = tie
        self.n_jobs = n_jobs

    def fit(self, X, y) -> "KNNClassifier":
        """Keep the training rows X (n, d) and their labels y (n,)."""
        X, y = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(y)
        check_metric(self.metric, self.p)
        if self.tie not in TIES:
            raise ValueError(f"unknown tie rule {self.tie!r}: choose from {', '.join(TIES)}")
        _check_k(self.n_neighbors, len(X))
        self.X_ = X
        self.classes_, self.y_ = np.unique(y, return_inverse=True)
        return self

    def kneighbors(self, X, n_neighbors: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Distances float64 (n, k) and training rows int64 (n, k) of the k nearest, nearest first."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        k = self.n_neighbors if n_neighbors is None else n_neighbors
        _check_k(k, len(self.X_))
        rows = max(1, BLOCK_DISTANCES // len(self.X_))
        # at least a few blocks a thread, so that both cores have work on small sets too
        rows = max(1, min(rows, -(-len(X) // 8)))
        finder = NearestRows(self.X_, self.metric, self.p)
        starts = range(0, len(X), rows)
        # Blocks last milliseconds: a plain pool of threads hands them out faster than joblib does. BLAS is
        # held to one thread, since the blocks are what is spread over the cores.
        with (
            threadpool_limits(limits=1, user_api="blas") if finder.uses_blas else nullcontext(),
            ThreadPoolExecutor(effective_n_jobs(self.n_jobs or -1)) as pool,
        ):
            blocks = list(pool.map(lambda start: finder.search(X[start : start + rows], k), starts))
        return np.concatenate([block[0] for block in blocks]), np.concatenate([block[1] for block in blocks])

    def predict(self, X) -> np.ndarray:
        """Labels (n,) of the rows of X."""
        neighbours = self.kneighbors(X)[1]
        return self.classes_[self.vote(neighbours)]

    def predict_proba(self, X) -> np.ndarray:
        """Vote shares float64 (n, C): the classes' shares of the k neighbours."""
        return self.vote_shares(self.kneighbors(X)[1])

    def vote_shares(self, neighbours: np.ndarray) -> np.ndarray:
        """Vote shares float64 (n, C) of rows of neighbours, as `kneighbors` returns them."""
        labels = self.y_[neighbours]
        shares = np.zeros((len(labels), len(self.classes_)))
        for column in labels.T:
            shares[np.arange(len(labels)), column] += 1
        return shares / neighbours.shape[1]

    def vote(self, neighbours: np.ndarray) -> np.ndarray:
        """The index in `classes_`, int64 (n,), that each row of neighbours elects under the tie rule."""
        shares = self.vote_shares(neighbours)
        if self.tie == "first":
            return shares.argmax(axis=1)
        # the first neighbour, in order of distance, whose class has the most votes
        labels = self.y_[neighbours]
        leads = np.take_along_axis(shares, labels, axis=1) == shares.max(axis=1, keepdims=True)
        return labels[np.arange(len(labels)), leads.argmax(axis=1)]


def _check_k(k, n_train: int) -> None:
    if isinstance(k, bool) or not isinstance(k, (int, np.integer)) or k < 1:
        raise ValueError(f"k is {k!r}: give a whole number of at least 1")
    if k > n_train:
        raise ValueError(f"k is {k}, but there are only {n_train} training images: give a smaller k")
