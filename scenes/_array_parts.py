"""Sets of images that lie in memory as one array: their parts, hashes, splits and merged classes."""

import csv
import hashlib
import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np

# The split of the 50,000 CIFAR-10 training images: images a class. What remains is unlabelled.
CIFAR10_SEED = 0
CIFAR10_PER_CLASS = {"heldout": 500, "train": 2000}

_HASH_DIGITS = 8  # of the 64 in the committed list: 1.3 MB instead of 4; a swapped image still shows


@dataclass(frozen=True, eq=False)
class ArrayPart:
    """One part (train, test, ...) of a set of equally large images.

    images : uint8 (n, H, W, C), C = 1 (grey) or 3 (RGB); axes are (y, x), the origin is the top left pixel.
    labels : int64 (n,), indices into the set's classes in their official order; (0,) for unlabelled images.
    filenames : what the images are called, ``train/00042``: part and zero-padded index in official order.

    ValueError or TypeError if these do not fit together.
    """

    images: np.ndarray
    labels: np.ndarray
    filenames: tuple[str, ...]

    def __post_init__(self):
        if self.images.dtype != np.uint8 or self.labels.dtype != np.int64:
            raise TypeError(
                f"images are uint8 and labels int64, not {self.images.dtype} and {self.labels.dtype}"
            )
        if self.images.ndim != 4 or self.images.shape[3] not in (1, 3):
            raise ValueError(f"images are (n, H, W, 1) or (n, H, W, 3), not {self.images.shape}")
        n = len(self.images)
        if len(self.filenames) != n or self.labels.shape not in ((n,), (0,)):
            raise ValueError(
                f"{n} images with labels of shape {self.labels.shape} and {len(self.filenames)} names: "
                "give one of each an image"
            )

    def __len__(self) -> int:
        return len(self.images)

    def select(self, keep: Sequence[int] | np.ndarray) -> "ArrayPart":
        """The part's images at these positions, copied; they keep their names."""
        keep = np.asarray(keep, np.int64)
        labels = self.labels[keep] if len(self.labels) else self.labels
        return ArrayPart(self.images[keep], labels, tuple(self.filenames[i] for i in keep))


def numbered_part(
    folder: Path, which: str, images: np.ndarray, labels: np.ndarray, n_classes: int
) -> ArrayPart:
    """The part of a set in official order, its images named by index; `folder` is named in an error.

    Raises
    ------
    ValueError
        A label is none of the classes.
    """
    if labels.max(initial=0) >= n_classes:
        raise ValueError(
            f"{folder}: label {labels.max()} is none of the {n_classes} classes: fetch the files again"
        )
    return ArrayPart(images, labels, tuple(f"{which}/{i:05d}" for i in range(len(images))))


def pixel_hashes(images: np.ndarray) -> list[str]:
    """The pixel hash of each image of an array, uint8 (n, H, W, C): 60,000 small ones in a fraction of a
    second.

    The same as `scenes.pixel_hash` of the image written to a file and decoded, so a grey one, (H, W, 1), is
    hashed with the shape (H, W).
    """
    shape = images.shape[1:3] if images.shape[3] == 1 else images.shape[1:]
    start = hashlib.sha256(repr(tuple(int(n) for n in shape)).encode())
    hashes = []
    for pixels in np.ascontiguousarray(images):
        digest = start.copy()
        digest.update(pixels.data)
        hashes.append(digest.hexdigest())
    return hashes


def cifar10_parts(
    images: np.ndarray, labels: np.ndarray, *, course: bool = False
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which of CIFAR-10's 50,000 training images train, which are held out, which are left unlabelled.

    The list is committed, ``scenes/splits/cifar10.csv``: index in official order, label, part, and the
    first 8 digits of the pixel hash. `cifar10_list` is how it was drawn.

    Parameters
    ----------
    images : uint8 (50000, 32, 32, 3)
        The training images in official order.
    labels : int array (50000,)
    course : bool, default=False
        The course's sizes instead: 20,000 train and 25,000 unlabelled. The same 5,000 are held out.

    Returns
    -------
    train, heldout, unlabelled : int64 arrays
        Sorted indices: 45,000, 5,000 and 0 of them, every class equally often; with `course` 20,000, 5,000
        and 25,000.

    Raises
    ------
    ValueError
        Other images or labels than those of the list, or in another order.
    """
    rows = list(_committed_rows())
    if len(images) != len(rows) or len(labels) != len(rows):
        raise ValueError(
            f"{len(images)} images with {len(labels)} labels are not the {len(rows)} of CIFAR-10's training "
            "part: give the five training batches"
        )
    for i, (digest, label, row) in enumerate(zip(pixel_hashes(images), labels, rows, strict=True)):
        if (digest[:_HASH_DIGITS], str(int(label))) != (row["sha256"], row["label"]):
            raise ValueError(
                f"image {i} or its label is not CIFAR-10's train/{i:05d}: "
                "give the official training batches in their order"
            )
    parts = np.array([row["part"] for row in rows])
    if not course:
        parts[parts == "unlabelled"] = "train"
    train, heldout, unlabelled = (np.flatnonzero(parts == p) for p in ("train", "heldout", "unlabelled"))
    return train, heldout, unlabelled


def cifar10_list(
    hashes: Sequence[str],
    labels: Sequence[int] | np.ndarray,
    *,
    per_class: Mapping[str, int] = CIFAR10_PER_CLASS,
    seed: int = CIFAR10_SEED,
) -> str:
    """The committed list as text: the parts drawn from the images' pixel hashes.

    Each class's hashes are ordered by the SHA-256 of ``"<seed> <hash>"``, as in the split of a folder; the
    first 500 are held out, the next 2,000 train in the course split, the others are unlabelled there. So the
    draw depends on pixels and seed only, not on the order of the files or a version of numpy. The 50,000
    images all differ, so none can stand on two sides.

    Parameters
    ----------
    hashes : sequence of str
        Pixel hashes in official order.
    labels : sequence of int
    per_class : mapping of str to int
        How many images a class each part takes, in this order; "unlabelled" takes the others.
    seed : int
    """
    labels, parts = np.asarray(labels), ["unlabelled"] * len(hashes)
    rank = [hashlib.sha256(f"{seed} {digest}".encode()).hexdigest() for digest in hashes]
    for label in np.unique(labels):
        drawn = iter(sorted(np.flatnonzero(labels == label).tolist(), key=rank.__getitem__))
        for part, count in per_class.items():
            for i in itertools.islice(drawn, count):
                parts[i] = part
    rows = zip(range(len(hashes)), labels, parts, hashes, strict=True)
    lines = [f"{i},{int(label)},{part},{digest[:_HASH_DIGITS]}\n" for i, label, part, digest in rows]
    return "index,label,part,sha256\n" + "".join(lines)


def select_part(
    labels: Sequence[int] | np.ndarray, seed: int | np.random.Generator, share: float = 0.1
) -> tuple[np.ndarray, np.ndarray]:
    """A seeded tenth of a training part for choosing epochs and recipes; the rest is for fitting.

    Parameters
    ----------
    labels : int array (n,)
    seed : int or numpy.random.Generator
    share : float, default=0.1
        Of each class, rounded; at least one image, and one is left for fitting.

    Returns
    -------
    fit, select : int64 arrays
        Sorted indices, each image in one of the two.

    Raises
    ------
    ValueError
        A share outside (0, 1), a class of a single image, no labels.
    """
    if not 0 < share < 1:
        raise ValueError(f"the share for choosing is {share:g}: give one between 0 and 1")
    labels, rng = np.asarray(labels), np.random.default_rng(seed)
    if not len(labels):
        raise ValueError("no labels to draw from: give a labelled training part")
    chosen = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        if len(members) < 2:
            raise ValueError(f"class {label} has a single training image: two are needed to set one aside")
        wanted = min(max(round(share * len(members)), 1), len(members) - 1)
        chosen[rng.permutation(members)[:wanted]] = True
    return np.flatnonzero(~chosen), np.flatnonzero(chosen)


def merge_classes(
    labels: Sequence[int] | np.ndarray, classes: Sequence[str], groups: Sequence[Collection[int]]
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Labels and names after putting classes together: the class of each group, in the order of `groups`.

    Parameters
    ----------
    labels : int array (n,)
        Indices into `classes`.
    classes : sequence of str
    groups : sequence of sets of int
        Every class's index in exactly one of them.

    Returns
    -------
    labels : int64 array (n,)
        Indices into `groups`.
    names : tuple of str
        The merged classes' names in order of their index, joined by ``/``.

    Raises
    ------
    ValueError
        A group is empty, a class stands in no group or in two, a label is no class.

    Examples
    --------
    >>> merge_classes([0, 3, 1, 2], ["a", "b", "c", "d"], [{0, 3}, {1, 2}])
    (array([0, 0, 1, 1]), ('a/d', 'b/c'))
    """
    members = sorted(i for group in groups for i in group)
    if members != list(range(len(classes))) or not all(groups):
        raise ValueError(
            f"groups {[sorted(group) for group in groups]} do not hold each of {len(classes)} classes once: "
            f"give every index from 0 to {len(classes) - 1} in one group"
        )
    labels = np.asarray(labels, np.int64)
    if len(labels) and not (labels.min() >= 0 and labels.max() < len(classes)):
        raise ValueError(f"labels go from {labels.min()} to {labels.max()}, there are {len(classes)} classes")
    new_label = np.zeros(len(classes), np.int64)
    for i, group in enumerate(groups):
        new_label[list(group)] = i
    return new_label[labels], tuple("/".join(classes[i] for i in sorted(group)) for group in groups)


def _committed_rows() -> Iterator[dict[str, str]]:
    text = resources.files("scenes").joinpath("splits/cifar10.csv").read_text("utf-8")
    return csv.DictReader(text.splitlines())
