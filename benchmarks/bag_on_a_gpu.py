"""The torch back end on a graphics card: JPEG files to histograms, beside the compiled loops.

    python benchmarks/bag_on_a_gpu.py --device cuda

All images of the 15 scenes (or of the synthetic ones), step 1, 400 words, decoding included, files in the
page cache after the unmeasured first turn; histograms of both sides are compared count by count, and what
differs stands in the row. `--device cpu` times the same code on the processor.
"""

import sys

import numpy as np
from joblib import cpu_count

from experiments.benchmark_table import benchmark_parser, side_by_side
from experiments.data import load_data
from features import BagOfWords


def main() -> int:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--device", help="cpu, cuda, cuda:1, ... (default: a GPU if there is one)")
    parser.add_argument("--images", type=int, help="only so many of either part (default: all)")
    args = parser.parse_args()
    import torch

    from features.dense_sift import torch_device

    device = torch_device(args.device)
    card = torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)
    dataset, _ = load_data()
    paths = [*dataset.train.paths[: args.images], *dataset.test.paths[: args.images]]
    vocabulary = BagOfWords(n_words=400, vocab_step=3).fit(paths[::4]).vocabulary_
    loops = BagOfWords(vocabulary).fit([])
    batched = BagOfWords(vocabulary, backend="torch", device=str(device)).fit([])
    counts, theirs = (
        np.array([found.counts for found in bag.iter_counts(paths)]) for bag in (batched, loops)
    )
    differ = int(np.abs(counts - theirs).sum()) / 2
    side_by_side(
        f"JPEG to histogram on {card}", ours=(f"torch on {card}", lambda: batched.transform(paths)),
        peer=("compiled loops", lambda: loops.transform(paths)),
        work=f"{len(paths)} images of {dataset.name}, {int(theirs.sum())} descriptors, step 1, 400 words; "
        f"{differ:.0f} counted for another word", threads=cpu_count(),
        packages=("torch", "numba"), runs=args.runs, path=args.results,
    )  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
