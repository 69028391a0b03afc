"""k-means words of real descriptors: time and inertia, ours against scikit-learn, faiss and cyvlfeat.

    python benchmarks/kmeans_against_peers.py

100 descriptors an image at step 3, 400 words. scikit-learn starts once by k-means++ and stops by its own
rule; faiss and cyvlfeat run as many iterations as ours did and start from drawn descriptors (cyvlfeat's
k-means++ takes longer than all else). Inertia is computed in the same way for all, and the row tells it as a
ratio to ours, beside the iterations of both; every side uses all threads but cyvlfeat, which has one.
"""

import sys
import warnings
from functools import partial

import faiss
import numpy as np
from joblib import cpu_count
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits

from experiments.benchmark_table import benchmark_images, benchmark_parser, side_by_side
from features import assign, dense_sift
from features.kmeans import kmeans
from scenes.reading import read_grey


def main() -> int:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--images", type=int, default=600, help="how many (default: 600)")
    parser.add_argument("--words", type=int, default=400)
    args = parser.parse_args()
    threads = cpu_count()
    name, paths = benchmark_images(args.images)
    points = np.concatenate([_sample(place, path) for place, path in enumerate(paths)])
    floats, own = points.astype(np.float32), kmeans(points, args.words)
    theirs: dict[str, np.ndarray] = {}
    iterations = {}

    def scikit() -> None:
        found = KMeans(args.words, n_init=1, random_state=0).fit(floats)
        theirs["scikit-learn KMeans"] = found.cluster_centers_
        iterations["scikit-learn KMeans"] = f", {found.n_iter_} by the peer"

    def by_faiss() -> None:
        found = faiss.Kmeans(128, args.words, niter=own.iterations, seed=0, max_points_per_centroid=10**6)
        found.train(floats)
        theirs["faiss Kmeans"] = found.centroids

    def vlfeat() -> None:
        from cyvlfeat.kmeans import kmeans as vl_kmeans

        # its default start: drawn descriptors
        theirs["cyvlfeat kmeans"] = vl_kmeans(floats, args.words, max_num_iterations=own.iterations)

    faiss.omp_set_num_threads(threads)
    peers = {"scikit-learn KMeans": scikit, "faiss Kmeans": by_faiss, "cyvlfeat kmeans": vlfeat}
    for peer, run in peers.items():
        jobs = 1 if run is vlfeat else threads
        with threadpool_limits(limits=jobs), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            run()
            ratio = _inertia(points, theirs[peer]) / own.inertia
            side_by_side(
                f"k-means, against {peer}",
                ours=("kmeans", partial(kmeans, points, args.words, n_jobs=jobs)), peer=(peer, run),
                threads=jobs, work=f"{len(points)} descriptors of {name}, {args.words} words, "
                f"{own.iterations} iterations{iterations.get(peer, '')}; "
                f"inertia of the peer's words {ratio:.4f} of ours",
                packages=("numba", "scikit-learn", "faiss-cpu", "cyvlfeat"), runs=args.runs,
                path=args.results,
            )  # fmt: skip
    return 0


def _sample(place: int, path) -> np.ndarray:
    found = dense_sift(read_grey(path, max_side=480), step=3)[1]
    return found[np.random.default_rng(place).permutation(len(found))[:100]]


def _inertia(points: np.ndarray, words: np.ndarray) -> float:
    nearest = np.asarray(words)[assign(points, words)]
    return float(((points - nearest.astype(np.float64)) ** 2).sum())


if __name__ == "__main__":
    sys.exit(main())
