"""The exact nearest word of real descriptors, ours against faiss, scikit-learn, numpy and scipy.

    python benchmarks/assignment_against_peers.py
    SCENEBENCH_VNNI=0 python benchmarks/assignment_against_peers.py     # without 8-bit dot products
    NUMBA_CPU_NAME=haswell NUMBA_CPU_FEATURES= python benchmarks/assignment_against_peers.py    # for AVX2

uint8 descriptors at step 1; the words are a k-means of few iterations over descriptors of other images, or
for 40,000 words these themselves. faiss and numpy take float32 descriptors, converted beforehand; all on
one thread, in blocks that suit them. How many words differ from ours (float32 decides near ties otherwise) is
told in the row.
"""

import sys

import faiss
import numpy as np
from scipy.spatial.distance import cdist
from sklearn.metrics import pairwise_distances_argmin
from threadpoolctl import threadpool_limits

from experiments.benchmark_table import benchmark_images, benchmark_parser, products, side_by_side
from features import dense_sift
from features.assignment import NearestWord
from features.kmeans import kmeans
from scenes.reading import read_grey

# Rows of the descriptors that all peers can take in reasonable time at this number of words.
ROWS = {400: 140_000, 4_000: 30_000, 40_000: 6_000}
SLOW = 2_000  # rows for scipy, whose time a row does not depend on their number


def main() -> int:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--words", type=int, nargs="+", default=[400, 4000, 40000], choices=sorted(ROWS))
    args = parser.parse_args()
    name, paths = benchmark_images(64)
    words = {count: _words(paths[2:], count) for count in args.words}
    described = np.concatenate([dense_sift(read_grey(path, max_side=480))[1] for path in paths[:2]])
    faiss.omp_set_num_threads(1)
    with threadpool_limits(limits=1):
        for count in args.words:
            _compare(args, name, described[: ROWS[count]], words[count], products())
    return 0


def _compare(args, name: str, descriptors: np.ndarray, words: np.ndarray, how: str) -> None:
    finder, floats = NearestWord(words), descriptors.astype(np.float32)
    index = faiss.IndexFlatL2(words.shape[1])
    index.add(words)
    ours = finder.assign(descriptors)
    peers = [
        ("faiss flat", lambda: index.search(floats, 1)[1][:, 0], 1.0),
        ("numpy product + argmin", lambda: _by_product(floats, words), 1.0),
        ("scikit-learn pairwise_distances_argmin", lambda: pairwise_distances_argmin(floats, words), 1.0),
    ]
    if len(words) == 400:
        few = floats[:SLOW]
        share = len(few) / len(floats)
        peers.append(("scipy cdist + argmin", lambda: cdist(few, words, "sqeuclidean").argmin(1), share))
    for peer, run, share in peers:
        found = run()
        differ = int((found != ours[: len(found)]).sum())
        work = f"{len(descriptors)} descriptors of {name}, {differ} words of the peer's differ"
        if share < 1:
            work += f", peer timed on {len(found)} and extrapolated"
        side_by_side(
            f"nearest of {len(words)} words, {how}, against {peer}",
            ours=("NearestWord.assign", lambda: finder.assign(descriptors)), peer=(peer, run), work=work,
            threads=1, packages=("numba", "numpy", "faiss-cpu", "scikit-learn", "scipy"), runs=args.runs,
            peer_share=share, path=args.results,
        )  # fmt: skip


def _by_product(floats: np.ndarray, words: np.ndarray) -> np.ndarray:
    """The blocked product: scores of a block stay in the cache of one core, and are made in place."""
    squared, table = (words * words).sum(1), np.ascontiguousarray(-2 * words.T)
    rows = max(64, (1 << 18) // len(words))
    scores, nearest = np.empty((rows, len(words)), np.float32), np.empty(len(floats), np.int64)
    for start in range(0, len(floats), rows):
        block = floats[start : start + rows]
        made = np.matmul(block, table, out=scores[: len(block)])
        made += squared
        made.argmin(1, out=nearest[start : start + rows])
    return nearest


def _words(paths, count: int) -> np.ndarray:
    each = -(-count * 3 // len(paths))
    sample = []
    for place, path in enumerate(paths):
        found = dense_sift(read_grey(path, max_side=480), step=3)[1]
        chosen = np.random.default_rng(place).permutation(len(found))[: max(each, 400)]
        sample.append(found[chosen])
    points = np.concatenate(sample)
    # for very many words the descriptors themselves: k-means of them would hardly move
    return points[:: len(points) // count][:count].astype(np.float32) if count > 4000 else kmeans(
        points, count, max_iterations=5).words  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
