"""Choosing the settings of tiny images on the training images alone."""

import hashlib
from dataclasses import dataclass

import numpy as np

from classifiers import KNNClassifier, pairwise_distances
from experiments.classical import combinations
from features.tiny import TinyImage
from scenes.dataset import SceneDataset, progress

FOLDS = 5

GRID = {
    "size": (8, 12, 16, 24, 32),
    "resample": ("nearest", "box", "bilinear", "lanczos"),
    "norm": ("l1_matrix", "l1", "l2", "none"),
    "zero_mean": (False, True),
}
LITE_GRID = {
    "size": (8, 16),
    "resample": ("nearest", "box"),
    "norm": ("l1_matrix", "l2"),
    "zero_mean": (False, True),
}
METRICS = ("cityblock", "euclidean", "cosine")
LARGEST_K = 15


@dataclass(frozen=True)
class Chosen:
    """The setting with the highest cross-validated accuracy; the first in grid order where equal."""

    size: int
    resample: str
    norm: str
    zero_mean: bool
    metric: str
    k: int
    accuracy: float
    tried: int

    @property
    def summary(self) -> str:
        """What was chosen, from how many, with which accuracy on the training images."""
        mean = "zero mean" if self.zero_mean else "mean kept"
        return (
            f"tuned on the training images ({FOLDS}-fold cross-validation, {self.tried} settings): "
            f"size {self.size}, {self.resample}, norm {self.norm}, {mean}, {self.metric}, k = {self.k}: "
            f"{self.accuracy:.4f} there"
        )


def tune_tiny(
    dataset: SceneDataset,
    *,
    crop,
    max_side,
    resize,
    n_jobs,
    seed: int,
    tie: str = "first",
    lite: bool = False,
) -> Chosen:
    """The best of the grid by cross-validation on the training images; test images are not looked at.

    Folds are drawn by pixel hash and seed, so identical images share one, and neither names nor order
    matter. Distances are computed once a setting; each fold then ignores its own columns.
    """
    labels = np.array(dataset.train.labels)
    folds = np.array([fold_of(digest, seed) for digest in dataset.scans["train"].hashes])
    if len(set(folds)) < 2:
        raise ValueError("tuning needs more different training images: add some, or try another --seed")
    ks = range(1, min(LARGEST_K, int(min((folds != fold).sum() for fold in range(FOLDS)))) + 1)
    settings = list(combinations(**(LITE_GRID if lite else GRID)))
    best, tried = None, 0
    for setting in progress(settings, total=len(settings), description="tuning", unit="settings"):
        extractor = TinyImage(**setting, crop=crop, max_side=max_side, resize=resize, n_jobs=n_jobs)
        vectors = extractor.fit_transform(dataset.train.paths)
        for metric in METRICS:
            for k, accuracy in zip(
                ks, _cross_validated(vectors, labels, folds, metric, tie, ks), strict=True
            ):
                tried += 1
                if best is None or accuracy > best.accuracy:
                    best = Chosen(**setting, metric=metric, k=k, accuracy=accuracy, tried=0)
    return Chosen(**{**best.__dict__, "tried": tried})


def fold_of(digest: str, seed: int) -> int:
    """The fold of an image, from its pixel hash and a seed."""
    return int(hashlib.sha256(f"fold {seed} {digest}".encode()).hexdigest(), 16) % FOLDS


def _cross_validated(vectors, labels, folds, metric: str, tie: str, ks: range) -> list[float]:
    """Accuracy at each k: every image is classified by the images of the other folds."""
    distances = pairwise_distances(vectors, vectors, metric)
    distances[folds[:, None] == folds[None, :]] = np.inf
    order = np.argsort(distances, axis=1, kind="stable")[:, : max(ks)]
    voter = KNNClassifier(tie=tie).fit(vectors, labels)
    return [float((voter.classes_[voter.vote(order[:, :k])] == labels).mean()) for k in ks]
