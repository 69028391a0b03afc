"""How time and memory grow: with the number of images, and with the number of words.

    python benchmarks/growth.py

Images: synthetic scenes as JPEG files, described at step 3 and counted with words that are given; the row
holds the time of the larger number beside that of the smaller one times as much, and the peaks of memory of
two processes that do one of them each. Words: exact nearest of many words beside that of 400 times as much,
for the same descriptors at step 1, on one thread.
"""

import json
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
from joblib import cpu_count
from PIL import Image

from experiments.benchmark_table import (
    benchmark_images,
    benchmark_parser,
    products,
    shipped_vocabulary,
    side_by_side,
)
from experiments.data import PROJECT
from features import BagOfWords, dense_sift
from features.assignment import NearestWord
from reports.environment import peak_memory_bytes
from scenes.reading import read_grey
from scenes.synthetic import CLASSES, draw_scene

IMAGES = [500, 1000, 2000, 5000, 10_000]
WORDS = [400, 1200, 4000, 12_000, 40_000]


def main() -> int:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--images", type=int, nargs="*", default=IMAGES, help="the first is the yardstick")
    parser.add_argument("--words", type=int, nargs="*", default=WORDS, help="the first is the yardstick")
    parser.add_argument(
        "--encode", nargs=2, metavar=("FOLDER", "N"), help="the part of a process: one number"
    )
    args = parser.parse_args()
    if args.encode:
        print(json.dumps(_encode(Path(args.encode[0]), int(args.encode[1]))))
        return 0
    if len(args.images) > 1:
        _images(args)
    if len(args.words) > 1:
        _words(args)
    return 0


def _images(args) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for number in range(max(args.images)):
            pixels = draw_scene(CLASSES[number % len(CLASSES)], number)
            Image.fromarray(pixels).save(Path(folder, f"{number:06}.jpg"), quality=90)
        paths = sorted(Path(folder).iterdir())
        bag, first = BagOfWords(shipped_vocabulary(), step=3).fit([]), args.images[0]
        for count in args.images[1:]:
            peaks = " and ".join(f"{_peak(folder, number):.0f}" for number in (count, first))
            side_by_side(
                f"{count} images, against {first}",
                ours=(f"{count} images", partial(bag.transform, paths[:count])),
                peer=(f"{first} images", partial(bag.transform, paths[:first])), peer_share=first / count,
                work=f"synthetic scenes, step 3, 400 words; time of {first} multiplied; peaks of memory "
                f"{peaks} MB", threads=cpu_count(), packages=("numba", "pillow"), runs=args.runs,
                path=args.results,
            )  # fmt: skip


def _peak(folder: str, count: int) -> float:
    """The most memory, in MB, of a process that encodes so many images."""
    command = [sys.executable, __file__, "--encode", folder, str(count)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True, cwd=PROJECT).stdout)


def _encode(folder: Path, count: int) -> float:
    paths = sorted(folder.iterdir())[:count]
    bag = BagOfWords(shipped_vocabulary(), step=3).fit([])
    bag.transform(paths)
    return peak_memory_bytes() / 1e6


def _words(args) -> None:
    name, paths = benchmark_images(200)
    described = dense_sift(read_grey(paths[0], max_side=480))[1][:6000]
    pool = np.concatenate([dense_sift(read_grey(path, max_side=480), step=3)[1][::10] for path in paths[1:]])
    finders = {}
    for count in args.words:
        words = pool[np.random.default_rng(count).permutation(len(pool))[:count]].astype(np.float32)
        finders[count] = NearestWord(words)
        exact = _by_brute_force(described[:500], words)
        assert np.array_equal(finders[count].assign(described[:500]), exact)
    first = args.words[0]
    for count in args.words[1:]:
        side_by_side(
            f"nearest of {count} words, {products()}, against that of {first}",
            ours=(f"{count} words", partial(finders[count].assign, described)),
            peer=(f"{first} words", partial(finders[first].assign, described)), peer_share=first / count,
            work=f"{len(described)} descriptors of {name}, words drawn from descriptors of other images; "
            f"time of {first} multiplied; equal to float64 brute force on 500", threads=1,
            packages=("numba",), runs=args.runs, path=args.results,
        )  # fmt: skip


def _by_brute_force(descriptors: np.ndarray, words: np.ndarray) -> np.ndarray:
    words = words.astype(np.float64)
    return ((words**2).sum(1) - 2 * (descriptors.astype(np.float64) @ words.T)).argmin(1)


if __name__ == "__main__":
    sys.exit(main())
