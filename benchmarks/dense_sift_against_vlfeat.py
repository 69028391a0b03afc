"""Dense SIFT, ours against VLFeat's own (cyvlfeat), one thread each, the same uint8 descriptors.

    python benchmarks/dense_sift_against_vlfeat.py

Decoded grey images, bin size 3. The flat window stands beside cyvlfeat's fast mode, the Gaussian one beside
its exact mode. Needs `make vlfeat`.
"""

import sys
from functools import partial

import numpy as np

from experiments.benchmark_table import benchmark_images, benchmark_parser, side_by_side
from features import dense_sift
from scenes.reading import read_grey

CASES = [(1, "flat"), (3, "flat"), (5, "flat"), (1, "gaussian"), (3, "gaussian"), (5, "gaussian")]


def main() -> int:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--images", type=int, default=8, help="how many (default: 8)")
    args = parser.parse_args()
    from cyvlfeat.sift import dsift

    name, paths = benchmark_images(args.images)
    greys = [read_grey(path, max_side=480) for path in paths]
    for step, window in CASES:
        fast = window == "flat"
        largest = 0
        for grey in greys:
            found = dense_sift(grey, step=step, window=window)[1].astype(int)
            theirs = dsift(grey, step=step, size=3, fast=fast)[1]
            largest = max(largest, int(np.abs(found - theirs).max()))
        side_by_side(
            f"dense SIFT, step {step}, {window} window",
            ours=("dense_sift", partial(_each, partial(dense_sift, step=step, window=window), greys)),
            peer=(f"cyvlfeat {'fast' if fast else 'exact'}",
                  partial(_each, partial(dsift, step=step, size=3, fast=fast), greys)),
            work=f"{len(greys)} images of {name}, bin 3, uint8, largest difference {largest}",
            threads=1, packages=("numba", "cyvlfeat"), runs=args.runs, path=args.results,
        )  # fmt: skip
    return 0


def _each(describe, greys) -> None:
    """Descriptors as a stream: kept, the page faults of their memory would be what is timed."""
    for grey in greys:
        describe(grey)


if __name__ == "__main__":
    sys.exit(main())
