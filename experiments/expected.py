"""The range to expect of a method, measured on the known image sets; on others chance and tiny images."""

from collections.abc import Collection, Mapping

from scenes.dataset import SceneDataset, committed_fingerprint

# Lowest and highest test accuracy measured with this code, widened to the next 0.01. scene15: tiny over
# k = 1 ... 10 and all norms with cityblock (results/r1-tiny-k.csv, r1-tiny-norms.csv); bow at step 1 and
# 400 words over k = 1 ... 10 and the single vocabulary seeds 0 to 4 behind r1-bow-k.csv; bow_svm the same
# histograms under a linear SVM (r1-bow-svm.csv). synthetic: the same values of k, norms and seeds (a slow
# test measures them). A range holds for the settings below, not for others.
EXPECTED: dict[str, dict[str, tuple[float, float]]] = {
    "scene15": {"tiny": (0.15, 0.23), "bow": (0.55, 0.63), "bow_svm": (0.75, 0.77)},
    "synthetic": {"tiny": (0.22, 0.36), "bow": (0.8, 0.87)},
}

# The built-in scenes with 20 + 20 images a class and seed 0.
SYNTHETIC_FINGERPRINT = {
    "train": "dd619bb2364d230ea8550a9328d206d06f1ad3e617799e71318ca109f8c92b2a",
    "test": "565820d137936d591955e24d72142ed026c5a06c7f437787b339b651e156da75",
}

METHODS = {
    "tiny": "tiny images + kNN (16x16, cityblock)",
    "bow": "bags of SIFT + kNN (step 1, 400 words)",
    "bow_svm": "bags of SIFT + linear SVM (step 1, 400 words)",
}

# The settings the ranges were measured at, by their names in result.json.
_VOTING: dict[str, Collection] = {"metric": ("cityblock",), "tie": ("first",), "k": range(1, 11)}
_PIXELS: dict[str, Collection] = {"max_side": (480,), "resize": (None,)}
MEASURED_AT: dict[str, dict[str, Collection]] = {
    "tiny": _VOTING | _PIXELS | {
        "size": (16,), "resample": ("nearest",), "norm": ("l1_matrix", "l1", "l2"), "zero_mean": (False,),
        "crop": (False,),
    },
    "bow": _VOTING | _PIXELS | {
        "step": (1,), "bin_size": (3,), "window": ("flat",), "dtype": ("uint8",), "norm": ("none",),
        "backend": ("numba", "torch"), "n_words": (400,), "vocab_step": (None, 1),
        "descriptors_per_image": (100,),
    },
}  # fmt: skip


def known_set(dataset: SceneDataset) -> str | None:
    """The name of the known set that this is, pixel by pixel, or None."""
    prints = dataset.fingerprint
    if prints == committed_fingerprint("scene15"):
        return "scene15"
    return "synthetic" if prints == SYNTHETIC_FINGERPRINT else None


def expected_range(dataset: SceneDataset, method: str, settings: Mapping) -> tuple[float, float] | None:
    """Accuracy to expect, low and high end, where it was measured on this very set at these settings.

    `settings` are those of ``result.json``; a method whose settings nobody wrote down has no range.
    """
    measured_at = MEASURED_AT.get(method, {})
    if not measured_at or any(settings.get(name, ()) not in values for name, values in measured_at.items()):
        return None
    return EXPECTED.get(known_set(dataset) or "", {}).get(method)


def expected_lines(dataset: SceneDataset, tiny_accuracy: float | None) -> list[str]:
    """What to compare an accuracy with, a line each."""
    lines = [f"chance: {1 / len(dataset.classes):.4f} (1 of {len(dataset.classes)} classes)"]
    if tiny_accuracy is not None:
        lines.append(f"tiny images + 1 nearest neighbour on the same images: {tiny_accuracy:.4f}")
    known = known_set(dataset)
    for method, (low, high) in EXPECTED.get(known or "", {}).items():
        lines.append(f"{METHODS[method]} on {known}: {low:.2f} to {high:.2f}")
    return lines
