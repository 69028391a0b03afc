"""The whole job, images to predictions, against what can be put together from peers.

    python benchmarks/whole_job_against_peers.py

Part of the training and test images of the 15 scenes, step 1, 400 words, k = 8: read, describe, build
the vocabulary of 100 descriptors an image, count, vote. Three peers, each on a sample of the images and
extrapolated where its row says so:

- *assembled*: the best we could put together: cyvlfeat fast in one process a core, faiss k-means, faiss flat
  search in blocks, scikit-learn's neighbours;
- *opencv*: OpenCV's SIFT on the same grid, its k-means, FLANN's approximate search;
- *reference*: as student code does it, in one process: cyvlfeat exact, scikit-learn k-means, scipy's cdist
  and argmin.
"""

import sys
from concurrent.futures import Executor, ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context

import cv2
import faiss
import numpy as np
from joblib import cpu_count
from scipy.spatial.distance import cdist
from sklearn.cluster import KMeans
from sklearn.neighbors import KNeighborsClassifier

from classifiers import KNNClassifier
from experiments.benchmark_table import benchmark_parser, side_by_side
from experiments.data import load_data
from features import BagOfWords
from scenes.dataset import SceneDataset
from scenes.reading import read_grey

WORDS, K, SAMPLED = 400, 8, 100
# Images of either part that a peer handles; ours handles the most of these.
IMAGES = {"assembled": 300, "opencv": 15, "reference": 8}


def main() -> int:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--peers", nargs="+", choices=IMAGES, default=list(IMAGES))
    args = parser.parse_args()
    dataset, _ = load_data()
    threads = cpu_count()
    faiss.omp_set_num_threads(threads)
    for peer in args.peers:
        part = _part(dataset, max(IMAGES.values()))
        few = _part(dataset, IMAGES[peer])
        share = len(few[0]) / len(part[0])
        work = f"{len(part[0])} + {len(part[2])} images of {dataset.name}, step 1, {WORDS} words, k = {K}"
        if peer == "reference":
            work += ", peer in one process"
        if share < 1:
            work += f", peer timed on {len(few[0])} + {len(few[2])} and extrapolated"
        # Processes that share no threads with this one (a fork of OpenCV's waits for ever), started once,
        # before the clock.
        workers = 1 if peer == "reference" else threads
        packages = "numba", "cyvlfeat", "faiss-cpu", "opencv-python-headless", "scikit-learn", "scipy"
        with ProcessPoolExecutor(workers, get_context("spawn"), initializer=_one_thread) as pool:
            side_by_side(
                f"images to predictions, against {peer}", ours=("scenebench", partial(_ours, *part)),
                peer=(peer, partial(PEERS[peer], pool, *few)), work=work, threads=threads, peer_share=share,
                packages=packages, runs=args.runs, path=args.results,
            )  # fmt: skip
    return 0


def _part(dataset: SceneDataset, count: int):
    """Paths and labels of so many images of either part, of all classes alike."""
    rows = []
    for part in (dataset.train, dataset.test):
        chosen = range(0, len(part), max(1, len(part) // count))
        rows += [[part.paths[i] for i in chosen][:count], [part.labels[i] for i in chosen][:count]]
    return rows


def _ours(train, train_labels, test, test_labels):
    bag = BagOfWords(n_words=WORDS, descriptors_per_image=SAMPLED).fit(train)
    knn = KNNClassifier(K).fit(bag.transform(train), train_labels)
    return knn.predict(bag.transform(test))


def _vlfeat(fast: bool, path) -> np.ndarray:
    from cyvlfeat.sift import dsift

    return dsift(read_grey(path, max_side=480), step=1, size=3, fast=fast)[1]


def _opencv(path) -> np.ndarray:
    grey = read_grey(path, max_side=480).astype(np.uint8)
    height, width = grey.shape
    grid = [cv2.KeyPoint(x + 4.5, y + 4.5, 2.0) for y in range(height - 9) for x in range(width - 9)]
    return cv2.SIFT_create().compute(grey, grid)[1]


def _sampled(describe, path) -> np.ndarray:
    found = describe(path)
    return found[np.random.default_rng(0).permutation(len(found))[:SAMPLED]].astype(np.float32)


def _histogram(describe, words, nearest, path) -> np.ndarray:
    found = describe(path)
    counts = np.zeros(len(words))
    for start in range(0, len(found), 8192):
        block = found[start : start + 8192].astype(np.float32)
        counts += np.bincount(nearest(words, block), minlength=len(words))
    return counts / counts.sum()


def _by_faiss(words, block):
    index = faiss.IndexFlatL2(words.shape[1])
    index.add(words)
    return index.search(block, 1)[1][:, 0]


def _by_cdist(words, block):
    return cdist(block, words).argmin(1)


def _by_flann(words, block):
    matcher = cv2.FlannBasedMatcher({"algorithm": 1, "trees": 4}, {"checks": 32})
    return np.array([match.trainIdx for match in matcher.match(block, words)])


def _faiss_words(points) -> np.ndarray:
    found = faiss.Kmeans(128, WORDS, niter=25, seed=0, max_points_per_centroid=10**6)
    found.train(points)
    return found.centroids


def _sklearn_words(points) -> np.ndarray:
    return KMeans(WORDS, n_init=1, random_state=0).fit(points).cluster_centers_.astype(np.float32)


def _cv_words(points) -> np.ndarray:
    rule = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 25, 1e-3)
    return cv2.kmeans(points, WORDS, None, rule, 1, cv2.KMEANS_PP_CENTERS)[2]


def _peer(describe, cluster, nearest, pool: Executor, train, train_labels, test, test_labels):
    points = np.concatenate(list(pool.map(partial(_sampled, describe), train, chunksize=4)))
    words = cluster(points)
    count = partial(_histogram, describe, words, nearest)
    train_rows = np.array(list(pool.map(count, train, chunksize=4)))
    test_rows = np.array(list(pool.map(count, test, chunksize=4)))
    knn = KNeighborsClassifier(K, metric="cityblock", algorithm="brute").fit(train_rows, train_labels)
    return knn.predict(test_rows)


def _one_thread() -> None:
    faiss.omp_set_num_threads(1)
    cv2.setNumThreads(1)


PEERS = {
    "assembled": partial(_peer, partial(_vlfeat, True), _faiss_words, _by_faiss),
    "opencv": partial(_peer, _opencv, _cv_words, _by_flann),
    "reference": partial(_peer, partial(_vlfeat, False), _sklearn_words, _by_cdist),
}


if __name__ == "__main__":
    sys.exit(main())
