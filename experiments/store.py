"""What classical runs keep in the user's cache folder: vocabularies and encoded histograms.

Both are found by what they depend on, never by a file's name or an image's place in a list, and a
damaged or foreign file counts as absent.
"""

import contextlib
import hashlib
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from joblib import effective_n_jobs
from platformdirs import user_cache_path

from experiments.data import PROJECT
from features.bag_of_words import BagOfWords
from features.vocabulary import Vocabulary, resize_rule, vocabulary_name
from reports.environment import environment
from scenes.files import atomic_path, read_npz, write_npz


@dataclass(frozen=True)
class Making:
    """What a stage cost when it was made: seconds, threads, hardware; and whether that was now."""

    seconds: float
    threads: int
    hardware: str
    cached: bool = False

    @classmethod
    def now(cls, started: float, n_jobs: int | None) -> "Making":
        threads = effective_n_jobs(n_jobs or -1)
        return cls(time.perf_counter() - started, threads, environment(threads)["hardware"])


NOTHING = Making(0.0, 0, "unknown")


def cache_folder() -> Path:
    """The user's cache folder of this project."""
    return user_cache_path("scenebench")


def find_vocabulary(identity: dict) -> tuple[Vocabulary, Making, Path] | None:
    """A vocabulary of exactly this identity, shipped in ``vocab/`` or made before, or None."""
    short = vocabulary_name(identity, "x").rsplit("-", 1)[1]
    for folder in (PROJECT / "vocab", cache_folder() / "vocabularies"):
        for path in sorted(folder.glob(f"*-{short}")):
            # a file that does not read is as good as none: the vocabulary is built anew
            with contextlib.suppress(ValueError, OSError):
                vocabulary = Vocabulary.load(path)
                if vocabulary.identity == identity:
                    return vocabulary, _read_making(path), path
    return None


def keep_vocabulary(
    vocabulary: Vocabulary, making: Making, data_name: str, folder: Path | None = None
) -> Path:
    """Write a vocabulary under its own name, with what it cost beside it; returns its path."""
    folder = folder or cache_folder() / "vocabularies"
    folder.mkdir(parents=True, exist_ok=True)
    path = vocabulary.save(folder / vocabulary_name(vocabulary.identity, data_name))
    cost = {"seconds": round(making.seconds, 3), "threads": making.threads, "hardware": making.hardware}
    with atomic_path(_making_path(path)) as temporary:
        temporary.write_text(json.dumps(cost, sort_keys=True) + "\n", "utf-8")
    return path


def encode(
    bag: BagOfWords, paths: Sequence[Path | np.ndarray], hashes: Sequence[str], *, fresh: bool = False
) -> tuple[np.ndarray, np.ndarray, Making]:
    """Word counts int64 (n, K) of images, which had to be enlarged (n,), and what it cost.

    Counts made before for the same vocabulary, descriptors and pixels are reused, unless `fresh`;
    identical images are encoded once.
    """
    file = cache_folder() / "histograms" / f"{_encoder_key(bag)[:32]}.npz"
    known, making = ({}, NOTHING) if fresh else _read_counts(file, len(bag.vocabulary_.words))
    missing = {digest: path for digest, path in zip(hashes, paths, strict=True) if digest not in known}
    if missing:
        started = time.perf_counter()
        for digest, found in zip(missing, bag.iter_counts(list(missing.values())), strict=True):
            known[digest] = (found.counts, found.enlarged)
        made = Making.now(started, bag.n_jobs)
        seconds, cached = making.seconds + made.seconds, len(missing) < len(set(hashes))
        making = Making(seconds, made.threads, made.hardware, cached)
        # the cache is a convenience: a full or read-only disk must not stop a run that has its result
        with contextlib.suppress(OSError):
            _write_counts(file, known, making)
    share = len(set(hashes)) / len(known)
    making = Making(making.seconds * share, making.threads, making.hardware, making.cached)
    counts = np.stack([known[digest][0] for digest in hashes])
    return counts, np.array([known[digest][1] for digest in hashes]), making


def _encoder_key(bag: BagOfWords) -> str:
    settings = {
        "vocabulary": bag.vocabulary_.key,
        "step": bag.step,
        "bin_size": bag.bin_size,
        "window": bag.window,
        "dtype": bag.dtype,
        "backend": bag.backend,
        "resize": resize_rule(bag.max_side, bag.resize),
    }
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def _read_counts(file: Path, n_words: int) -> tuple[dict, Making]:
    if not os.path.isfile(file):  # Path.is_file raises in a folder that may not be searched
        return {}, NOTHING
    try:
        arrays = read_npz(file)
        hashes, counts, enlarged = arrays["hashes"], arrays["counts"], arrays["enlarged"]
        making = Making(**json.loads(str(arrays["making"])), cached=True)
        if (
            hashes.shape != (len(counts), 32)
            or counts.shape[1] != n_words
            or enlarged.shape != (len(counts),)
        ):
            raise ValueError(f"{file}: arrays of unequal length")
    except (ValueError, KeyError, TypeError, IndexError, OSError) as error:
        print(f"note: cached histograms are left aside ({error})", file=sys.stderr)
        return {}, NOTHING
    rows = zip(
        (bytes(row).hex() for row in hashes), counts.astype(np.int64), enlarged.astype(bool), strict=True
    )
    return {digest: (row, bool(large)) for digest, row, large in rows}, making


def _write_counts(file: Path, known: dict, making: Making) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    digests = sorted(known)
    cost = {"seconds": making.seconds, "threads": making.threads, "hardware": making.hardware}
    write_npz(
        file,
        {
            "hashes": np.array([list(bytes.fromhex(digest)) for digest in digests], np.uint8),
            "counts": np.array([known[digest][0] for digest in digests], np.uint32),
            "enlarged": np.array([known[digest][1] for digest in digests]),
            "making": np.array(json.dumps(cost)),
        },
    )


def _making_path(path: Path) -> Path:
    return path.with_suffix(".making.json")


def _read_making(path: Path) -> Making:
    """What a stored vocabulary cost; zero and unknown where nobody wrote it down."""
    try:
        return Making(**json.loads(_making_path(path).read_text("utf-8")), cached=True)
    except (OSError, ValueError, TypeError):
        return Making(0.0, 0, "unknown", cached=True)
