"""From JPEG files to histograms, against the time of one float32 matrix product alone.

    python benchmarks/histogram_against_product.py
    SCENEBENCH_VNNI=0 python benchmarks/histogram_against_product.py    # without 8-bit dot products
    NUMBA_CPU_NAME=haswell NUMBA_CPU_FEATURES= python benchmarks/histogram_against_product.py   # for AVX2

Ours decodes, describes at step 1, finds the exact nearest of the shipped vocabulary's 400 words and counts.
The other side has all descriptors ready as float32 and only multiplies them with the words (BLAS, blocks that
stay in cache): what brute force needs at the very least.
"""

import sys

import numpy as np
from joblib import cpu_count
from threadpoolctl import threadpool_limits

from experiments.benchmark_table import (
    benchmark_images,
    benchmark_parser,
    products,
    shipped_vocabulary,
    side_by_side,
)
from features import BagOfWords, dense_sift
from scenes.reading import read_grey

BLOCK = 655  # rows whose products with 400 words, 1 MB, stay in the cache of one core


def main() -> int:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--images", type=int, default=24, help="how many (default: 24)")
    parser.add_argument("--threads", type=int, default=cpu_count(), help="of either side (default: all)")
    args = parser.parse_args()
    name, paths = benchmark_images(args.images)
    bag = BagOfWords(shipped_vocabulary(), n_jobs=args.threads).fit([])
    words = np.ascontiguousarray(bag.vocabulary_.words.T)
    ready = np.concatenate([dense_sift(read_grey(path, max_side=480))[1] for path in paths]).astype(
        np.float32
    )
    out = np.empty((BLOCK, words.shape[1]), np.float32)

    def product() -> None:
        for start in range(0, len(ready), BLOCK):
            rows = ready[start : start + BLOCK]
            np.matmul(rows, words, out=out[: len(rows)])

    with threadpool_limits(limits=args.threads):
        side_by_side(
            f"JPEG to histogram, {products()}, against the product alone",
            ours=("BagOfWords.transform", lambda: bag.transform(paths)), peer=("numpy product", product),
            work=f"{len(paths)} images of {name}, {len(ready)} descriptors, step 1, 400 words",
            threads=args.threads, packages=("numba", "numpy", "pillow"), runs=args.runs, path=args.results,
        )  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
