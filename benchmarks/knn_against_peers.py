"""Nearest neighbours by cityblock, euclidean and chi2, ours against scikit-learn, scipy and faiss.

    python benchmarks/knn_against_peers.py

Synthetic histograms of the size of the whole 15-scene test: 2,985 queries, 1,500 neighbours, 400 words and
k = 8. Ours and scikit-learn use all threads; scipy's `cdist` has one, so ours is held beside it with one.
"""

import sys

import faiss
import numpy as np
from joblib import cpu_count
from scipy.spatial.distance import cdist
from scipy.stats import mode
from sklearn.metrics.pairwise import chi2_kernel
from sklearn.neighbors import KNeighborsClassifier

from classifiers import KNNClassifier
from experiments.benchmark_table import benchmark_parser, side_by_side

QUERIES, FITTED, WORDS, K, CLASSES = 2985, 1500, 400, 8, 15


def main() -> int:
    args = benchmark_parser(__doc__).parse_args()
    rng = np.random.default_rng(0)
    fitted, queries = (
        rng.multinomial(70_000, rng.dirichlet(np.full(WORDS, 0.5)), count) / 70_000
        for count in (FITTED, QUERIES)
    )
    fitted, queries = fitted.astype(np.float32), queries.astype(np.float32)
    labels = rng.integers(0, CLASSES, FITTED)
    every = cpu_count()

    def ours(metric: str, threads: int):
        knn = KNNClassifier(K, metric=metric, n_jobs=threads).fit(fitted, labels)
        return "KNNClassifier", lambda: knn.predict(queries)

    def brute(metric: str):
        knn = KNeighborsClassifier(K, metric=metric, algorithm="brute", n_jobs=every).fit(fitted, labels)
        return "scikit-learn KNeighborsClassifier", lambda: knn.predict(queries)

    def by_cdist():
        nearest = np.argpartition(cdist(queries, fitted, "cityblock"), K, axis=1)[:, :K]
        return mode(labels[nearest], axis=1)

    index = faiss.IndexFlat(WORDS, faiss.METRIC_L1)
    index.add(fitted)
    faiss.omp_set_num_threads(every)

    def by_kernel():
        return np.argpartition(-chi2_kernel(queries, fitted), K, axis=1)[:, :K]

    work = f"{QUERIES} x {FITTED} x {WORDS} synthetic histograms, k = {K}"
    for metric, threads, peer in (
        ("cityblock", every, brute("cityblock")),
        ("cityblock", 1, ("scipy cdist + mode", by_cdist)),
        ("cityblock", every, ("faiss flat L1", lambda: index.search(queries, K))),
        ("euclidean", every, brute("euclidean")),
        ("chi2", 1, ("scikit-learn chi2_kernel", by_kernel)),
    ):
        side_by_side(
            f"kNN {metric}, against {peer[0]}", ours=ours(metric, threads), peer=peer, work=work,
            threads=threads, packages=("numba", "numpy", "scipy", "scikit-learn", "faiss-cpu"),
            runs=args.runs, path=args.results,
        )  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
