"""Vocabularies of visual words: how they are made, named, stored and told apart."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from features._images import check_several, image_pair, parallel_rows
from features.dense_sift import dense_sift, enlarged_to_frame
from features.kmeans import kmeans
from scenes.dataset import fingerprint
from scenes.files import read_npy, read_npz, write_npz
from scenes.reading import pixel_hash, read_grey, read_pixels

FORMAT = 1

# Back ends that make the descriptors of another one, byte by byte: their words are the other's too.
SAME_DESCRIPTORS = {"torch": "numba"}


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """Words and how they came about; equal where both are.

    Attributes
    ----------
    words : float32 (K, 128)
        Of another width only where words come from elsewhere; `check_fits` refuses them.
    identity : dict
        Everything the words depend on: format version, back end, dtype, resize rule, step, vocabulary
        step, bin size, window, descriptors per image, number of words, seed, and the fingerprint of the
        training images' pixels. ``{"origin": "unknown"}`` for words from a plain array file.
    """

    words: np.ndarray
    identity: dict

    @classmethod
    def fit(
        cls,
        images: Sequence,
        *,
        n_words: int = 400,
        step=1,
        vocab_step=None,
        bin_size=3,
        window: str = "flat",
        dtype: str = "uint8",
        descriptors_per_image: int = 100,
        backend: str = "numba",
        max_side: int | None = 480,
        resize: int | None = None,
        random_state: int = 0,
        n_jobs: int | None = None,
    ) -> "Vocabulary":
        """k-means words of a seeded sample of the images' descriptors.

        The sample of an image is drawn by a generator seeded with (seed, pixel hash); samples are put
        together in the order of the hashes, identical images once. So names, order, copies and the
        number of threads do not change a bit of the words.

        Parameters
        ----------
        images : sequence of paths or arrays
        n_words : int, default=400
        step, vocab_step : int or (int, int)
            The grid the histograms will use, and the grid that is sampled here (default: the same).
        bin_size, window, dtype, backend
            See `dense_sift`.
        descriptors_per_image : int, default=100
        max_side, resize
            See `scenes.read_grey`.
        random_state : int, default=0
        n_jobs : int or None
            Threads; None means all cores.

        Raises
        ------
        ValueError
            For bad parameters, or when the sample holds fewer descriptors than words.

        References
        ----------
        Csurka, Dance, Fan, Willamowski and Bray, "Visual categorization with bags of keypoints", 2004.
        """
        for name, value in (("n_words", n_words), ("descriptors_per_image", descriptors_per_image)):
            if value < 1:
                raise ValueError(f"{name} is {value}: give 1 or more")
        backend = SAME_DESCRIPTORS.get(backend, backend)
        name, value = ("step", step) if vocab_step is None else ("vocab_step", vocab_step)
        sampled_step = image_pair(name, value)

        def sample(image) -> tuple[str, np.ndarray]:
            pixels = image if isinstance(image, np.ndarray) else read_pixels(image)
            digest = pixel_hash(pixels)
            grey, _ = enlarged_to_frame(read_grey(pixels, max_side=max_side, resize=resize), bin_size)
            descriptors = dense_sift(
                grey, step=sampled_step, bin_size=bin_size, window=window, dtype=dtype, backend=backend
            )[1]
            if len(descriptors) > descriptors_per_image:
                rng = np.random.default_rng([random_state, *bytes.fromhex(digest)])
                keep = rng.choice(len(descriptors), descriptors_per_image, replace=False)
                descriptors = descriptors[np.sort(keep)]
            return digest, descriptors

        check_several(images)
        if len(images) == 0:
            raise ValueError("a vocabulary needs images: the list is empty")
        samples = dict(parallel_rows(sample, images, n_jobs, "vocabulary sample"))
        points = np.concatenate([samples[digest] for digest in sorted(samples)])
        words = kmeans(points, n_words, random_state=random_state, n_jobs=n_jobs).words
        identity = vocabulary_identity(
            images_fingerprint=fingerprint(list(samples), [""] * len(samples)),
            n_words=n_words, step=step, vocab_step=sampled_step, bin_size=bin_size, window=window,
            dtype=dtype, descriptors_per_image=descriptors_per_image, backend=backend,
            max_side=max_side, resize=resize, random_state=random_state,
        )  # fmt: skip
        return cls(words, identity)

    @classmethod
    def load(cls, path) -> "Vocabulary":
        """The vocabulary in a file that `save` wrote, or plain words (K, 128) in ``.npy`` or ``.npz``.

        Raises
        ------
        ValueError
            If the file is a pickle, is damaged, or holds no words.
        """
        path = Path(path)
        arrays = {"words": read_npy(path)} if path.suffix.lower() == ".npy" else read_npz(path)
        if "words" not in arrays and len(arrays) == 1:
            arrays = {"words": next(iter(arrays.values()))}
        if "words" not in arrays:
            raise ValueError(f"{path}: no vocabulary: it should hold an array `words` of shape (K, 128)")
        words = arrays["words"]
        if (
            words.ndim != 2
            or 0 in words.shape
            or words.dtype.kind not in "fiu"
            or not np.isfinite(words).all()
        ):
            raise ValueError(
                f"{path}: words of {words.dtype} {words.shape} are no vocabulary: "
                "give finite numbers of shape (K, 128)"
            )
        identity = _parse(path, arrays["identity"]) if "identity" in arrays else {"origin": "unknown"}
        return cls(np.ascontiguousarray(words, np.float32), identity)

    def save(self, path) -> Path:
        """Write words and identity to a ``.npz`` file, atomically; returns its path."""
        path = Path(path)
        # in its own order, so that reports of a loaded vocabulary read like those of a new one
        identity = np.array(json.dumps(self.identity))
        write_npz(path, {"words": self.words, "identity": identity})
        return path

    def __eq__(self, other: object) -> bool:
        return self.key == other.key if isinstance(other, Vocabulary) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.key)

    @property
    def key(self) -> str:
        """The SHA-256, in hex, of the words and the identity: what cached histograms are filed under."""
        digest = hashlib.sha256(json.dumps(self.identity, sort_keys=True).encode())
        digest.update(repr(self.words.shape).encode() + np.ascontiguousarray(self.words).tobytes())
        return digest.hexdigest()

    def check_fits(self, *, bin_size, window: str, dtype: str, backend: str) -> None:
        """ValueError where the words are of another kind of descriptor than the one asked for.

        Word length, back end, dtype, bin size and window must agree; another step, seed, size or
        training set may be used. Of words with unknown origin only the length can be checked.
        """
        if self.words.shape[1] != 128:
            raise ValueError(
                f"the vocabulary has {self.words.shape[1]}-d words, SIFT descriptors have 128: give others"
            )
        asked = {
            "backend": SAME_DESCRIPTORS.get(backend, backend),
            "dtype": dtype,
            "bin_size": list(image_pair("bin_size", bin_size)),
            "window": window,
        }
        for name, value in asked.items():
            own = self.identity.get(name, value)
            if own != value:
                raise ValueError(
                    f"the vocabulary was made with {name} {_plain(own)}, not {_plain(value)}: "
                    f"ask for that {name} or give another vocabulary"
                )


def vocabulary_identity(*, images_fingerprint: str, n_words, step, vocab_step, bin_size, window, dtype,
                        descriptors_per_image, backend, max_side, resize, random_state) -> dict:  # fmt: skip
    """The identity of the vocabulary that `Vocabulary.fit` makes of these settings and images."""
    step = image_pair("step", step)
    return {
        "format": FORMAT,
        "backend": SAME_DESCRIPTORS.get(backend, backend),
        "dtype": dtype,
        "resize": resize_rule(max_side, resize),
        "step": list(step),
        "vocab_step": list(step if vocab_step is None else image_pair("vocab_step", vocab_step)),
        "bin_size": list(image_pair("bin_size", bin_size)),
        "window": window,
        "descriptors_per_image": int(descriptors_per_image),
        "n_words": int(n_words),
        "seed": int(random_state),
        "fingerprint": images_fingerprint,
    }


def resize_rule(max_side: int | None, resize: int | None) -> str:
    """What is done to an image's size before anything else, in words."""
    if resize is not None:
        return f"squash {resize}x{resize}"
    return "none" if max_side is None else f"max-side {max_side}"


def vocabulary_name(identity: dict, data_name: str) -> str:
    """The file name of a vocabulary: ``scene15-step1-bin3-w400-seed0-1a2b3c4d.npz``."""
    short = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:8]
    step, bins = _plain(identity["step"]), _plain(identity["bin_size"])
    return f"{data_name}-step{step}-bin{bins}-w{identity['n_words']}-seed{identity['seed']}-{short}.npz"


def _plain(value) -> str:
    """A pair as ``3`` or ``3x5``, anything else as it prints."""
    if isinstance(value, (list, tuple)):
        parts = [str(part) for part in value]
        return parts[0] if len(set(parts)) == 1 else "x".join(parts)
    return str(value)


def _parse(path: Path, text: np.ndarray) -> dict:
    try:
        value = json.loads(str(text))
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise ValueError(f"{path}: its identity is not readable: build the vocabulary anew")
    return value
