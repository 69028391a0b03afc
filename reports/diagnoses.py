"""Numbered checks of a run: what was measured, against which threshold, and what to do about it.

Each check looks at the `Facts` of a run and ends as ``issue``, ``passed`` or ``not applicable``. All three
are reported, so that silence is never mistaken for health. Codes stay: a check that is dropped leaves a gap.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from reports.metrics import wilson_interval

KNOWN_DATASETS = ("scene15", "cifar10", "mnist", "fashion_mnist", "synthetic")
MAX_CLASS_RATIO = 3  # SB013: largest to smallest training class
_SHOWN = 3  # names listed before "and n more"
_IMAGES = ("image", "images")
_GROUPS = ("group of identical images", "groups of identical images")


@dataclass(frozen=True)
class Facts:
    """What the checks look at. None means unknown: checks that need it are not applicable.

    Parameters
    ----------
    classes : sequence of str
        Class names, the order of `confusion`.
    confusion : ndarray of int, shape (C, C)
        Rows = true, columns = predicted, on the test images.
    train_counts : mapping of str to int
        Training images of each class.
    dataset : str
        Name of the data set; `expected` counts only for the known ones.
    expected : (float, float)
        Accuracy to expect of the method on that data set, low and high end.
    n_neighbors : int
        The k of a kNN classifier.
    n_settings : int
        How many settings the call compared on the test images.
    selection : str
        What was chosen on which images; ``none`` if nothing was chosen apart from the test images.
    tiny_accuracy : float
        Accuracy of the tiny-image baseline on the same images.
    duplicates_train_test, duplicates_within, duplicates_across_classes : sequence of sequences of str
        Groups of names whose images are identical: in training and test part, within one part, in
        different classes.
    flat_images, unreadable_images, enlarged_images : sequence of str
        Names of images of one grey value, of images that were skipped, and of images made larger because
        not one descriptor fitted.
    """

    classes: Sequence[str] | None = None
    confusion: np.ndarray | None = None
    train_counts: Mapping[str, int] | None = None
    dataset: str | None = None
    expected: tuple[float, float] | None = None
    n_neighbors: int | None = None
    n_settings: int | None = None
    selection: str | None = None
    tiny_accuracy: float | None = None
    duplicates_train_test: Sequence[Sequence[str]] | None = None
    duplicates_within: Sequence[Sequence[str]] | None = None
    duplicates_across_classes: Sequence[Sequence[str]] | None = None
    flat_images: Sequence[str] | None = None
    unreadable_images: Sequence[str] | None = None
    enlarged_images: Sequence[str] | None = None


def diagnose(facts: Facts) -> list[dict]:
    """Return the outcome of every check, in the order of the codes.

    Returns
    -------
    list of dict
        Each with ``code`` (``SB001``...), ``state`` (``issue``, ``passed`` or ``not applicable``), ``text``
        (what was measured, and the threshold) and ``advice`` (empty unless there is an issue).

    Examples
    --------
    >>> outcome = diagnose(Facts(n_neighbors=8, train_counts={"Coast": 5, "Forest": 100}))[4]
    >>> outcome["code"], outcome["state"]
    ('SB005', 'issue')
    >>> outcome["text"]
    'k = 8 is above the size of the smallest training class, Coast with 5 images'
    """
    return [check(facts) for check in CHECKS]


def same_images_in_train_and_test(facts: Facts) -> dict:
    """SB001: a test image that was trained on is not a test."""
    return _judge_names(
        "SB001",
        None if facts.duplicates_train_test is None else [_group(g) for g in facts.duplicates_train_test],
        _GROUPS,
        "with members in both the training and the test part",
        "remove them from one side",
        "training and test images were not compared",
    )


def near_chance(facts: Facts) -> dict:
    """SB002: an accuracy that guessing, or always naming the largest class, could have given."""
    confusion = _predictions(facts)
    if confusion is None or len(confusion) < 2:
        return _not_applicable("SB002", "needs predictions for two classes or more")
    correct, n = _hits(confusion)
    low, high = wilson_interval(correct, n)
    chance, largest = 1 / len(confusion), float(confusion.sum(axis=1).max() / n)
    measured = (
        f"accuracy {correct / n:.4f}, 95 % interval {low:.4f} to {high:.4f}; "
        f"chance with {len(confusion)} classes is {chance:.4f}"
    )
    if largest > chance:
        measured += f", the largest class has {largest:.4f} of the images"
    if low > largest:
        return _passed("SB002", f"above chance: {measured}")
    if low > chance:
        return _issue(
            "SB002",
            f"not above always naming the largest class: {measured}",
            "read the figures of each class, or test on equally many images of each",
        )
    return _issue(
        "SB002",
        f"not above chance: {measured}",
        "check that the labels belong to the images, or test on more images",
    )


def below_expected_range(facts: Facts) -> dict:
    """SB003: less than the method reaches on this data set elsewhere."""
    confusion = _predictions(facts)
    if confusion is None or facts.expected is None or facts.dataset not in KNOWN_DATASETS:
        return _not_applicable("SB003", "no expected range is known for these data, method and settings")
    low, high = facts.expected
    correct, n = _hits(confusion)
    measured = f"accuracy {correct / n:.4f}, expected on {facts.dataset}: {low:.4f} to {high:.4f}"
    if correct / n >= low:
        return _passed("SB003", f"not below the expected range: {measured}")
    return _issue(
        "SB003",
        f"below the expected range: {measured}",
        "compare settings, image sizes and the split with those of the documentation",
    )


def class_never_predicted(facts: Facts) -> dict:
    """SB004: a class with test images that no image is assigned to."""
    confusion = _predictions(facts)
    if confusion is None or facts.classes is None:
        return _not_applicable("SB004", "needs predictions")
    missing = (confusion.sum(axis=0) == 0) & (confusion.sum(axis=1) > 0)
    names = [name for name, gone in zip(facts.classes, missing, strict=True) if gone]
    return _judge_names(
        "SB004",
        names,
        ("class is", "classes are"),
        f"never predicted, of {len(facts.classes)}",
        "check that each has training images; a larger k or unequal class sizes push small classes out",
        "needs predictions",
    )


def k_above_smallest_class(facts: Facts) -> dict:
    """SB005: with k above its size a class cannot win a unanimous vote."""
    if facts.n_neighbors is None or not facts.train_counts:
        return _not_applicable("SB005", "needs a kNN classifier and the sizes of the training classes")
    name, size = min(facts.train_counts.items(), key=lambda item: (item[1], item[0]))
    smallest = f"the size of the smallest training class, {name} with {size} images"
    if facts.n_neighbors <= size:
        return _passed("SB005", f"k = {facts.n_neighbors} is at most {smallest}")
    return _issue(
        "SB005",
        f"k = {facts.n_neighbors} is above {smallest}",
        "choose a smaller k or add images of this class",
    )


def flat_images(facts: Facts) -> dict:
    """SB006: images of one grey value have no gradients, and all get the same features."""
    return _judge_names(
        "SB006",
        facts.flat_images,
        _IMAGES,
        "of a single grey value",
        "look at these files; they are often damaged or empty exports",
        "images were not checked for being flat",
    )


def unreadable_images(facts: Facts) -> dict:
    """SB007: skipped images are missing from every figure."""
    return _judge_names(
        "SB007",
        facts.unreadable_images,
        _IMAGES,
        "skipped as unreadable",
        "repair or delete these files; two runs compare only on the same test images",
        "reading was not recorded",
    )


def chosen_on_test_images(facts: Facts) -> dict:
    """SB008: the best of many settings is too good on the images it was chosen on."""
    if facts.n_settings is None or facts.selection is None:
        return _not_applicable("SB008", "the number of settings compared is unknown")
    if facts.selection != "none":
        return _passed("SB008", f"settings were chosen apart from the test images: {facts.selection}")
    if facts.n_settings <= 1:
        return _passed("SB008", f"{facts.n_settings} setting was read on the test images (allowed: 1)")
    return _issue(
        "SB008",
        f"the best of {facts.n_settings} settings was read on the test images (allowed: 1)",
        "choose on training images (run_tiny.py --tune; a network's select accuracy) or report all",
    )


def worse_than_tiny_images(facts: Facts) -> dict:
    """SB009: a costlier method below the cheapest one."""
    confusion = _predictions(facts)
    if confusion is None or facts.tiny_accuracy is None:
        return _not_applicable("SB009", "no tiny-image baseline was measured on the same images")
    correct, n = _hits(confusion)
    measured = f"accuracy {correct / n:.4f}, tiny images reach {facts.tiny_accuracy:.4f} on the same images"
    if correct / n >= facts.tiny_accuracy:
        return _passed("SB009", f"not worse than the baseline: {measured}")
    return _issue(
        "SB009",
        f"worse than the baseline: {measured}",
        "check step, vocabulary and metric; tiny images with 1-NN are the floor for any method",
    )


def same_image_in_two_classes(facts: Facts) -> dict:
    """SB010: identical images with different labels cannot all be predicted right."""
    groups = facts.duplicates_across_classes
    return _judge_names(
        "SB010",
        None if groups is None else [_group(group) for group in groups],
        _GROUPS,
        "under different classes",
        "decide on one class for each and delete the other copies",
        "images of different classes were not compared",
    )


def same_images_within_a_part(facts: Facts) -> dict:
    """SB011: copies within the training or the test part count twice."""
    return _judge_names(
        "SB011",
        None if facts.duplicates_within is None else [_group(group) for group in facts.duplicates_within],
        _GROUPS,
        "within one part",
        "delete the copies: each counts again in training or in the accuracy",
        "images within a part were not compared",
    )


def enlarged_images(facts: Facts) -> dict:
    """SB012: an enlarged image has no detail of its own at that size."""
    return _judge_names(
        "SB012",
        facts.enlarged_images,
        _IMAGES,
        "enlarged, being too small for one descriptor",
        "use a smaller --bin-size, or --resize to bring all images to one size",
        "no descriptors were computed",
    )


def unequal_class_sizes(facts: Facts) -> dict:
    """SB013: large training classes attract votes by their number."""
    if not facts.train_counts:
        return _not_applicable("SB013", "the sizes of the training classes are unknown")
    by_size = sorted(facts.train_counts.items(), key=lambda item: (item[1], item[0]))
    (least, smallest), (most, largest) = by_size[0], by_size[-1]
    measured = (
        f"largest training class {most} with {largest} images, smallest {least} with {smallest} "
        f"(allowed: {MAX_CLASS_RATIO} times as many)"
    )
    if largest <= MAX_CLASS_RATIO * smallest:
        return _passed("SB013", f"classes of similar size: {measured}")
    return _issue(
        "SB013",
        f"unequal classes: {measured}",
        "read the per-class figures beside the accuracy, or train on equally many images of each class",
    )


CHECKS = (
    same_images_in_train_and_test,
    near_chance,
    below_expected_range,
    class_never_predicted,
    k_above_smallest_class,
    flat_images,
    unreadable_images,
    chosen_on_test_images,
    worse_than_tiny_images,
    same_image_in_two_classes,
    same_images_within_a_part,
    enlarged_images,
    unequal_class_sizes,
)


def _judge_names(
    code: str,
    names: Sequence[str] | None,
    nouns: tuple[str, str],
    what: str,
    advice: str,
    when_unknown: str,
) -> dict:
    """Return the outcome of a check that wants a list of names to be empty."""
    if names is None:
        return _not_applicable(code, when_unknown)
    counted = f"{len(names)} {nouns[len(names) != 1]} {what} (allowed: 0)"
    if not names:
        return _passed(code, counted)
    listed = ", ".join(names[:_SHOWN])
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return _issue(code, f"{counted}: {listed}{more}", advice)


def _group(names: Sequence[str]) -> str:
    """Return one group of identical images as text: its first two members and the number of the rest."""
    more = f" (+{len(names) - 2})" if len(names) > 2 else ""
    return " = ".join(names[:2]) + more


def _predictions(facts: Facts) -> np.ndarray | None:
    """Return the confusion matrix, or None where it is missing or counts no image."""
    if facts.confusion is None or not np.any(facts.confusion):
        return None
    return np.asarray(facts.confusion)


def _hits(confusion: np.ndarray) -> tuple[int, int]:
    """Return (correct, all) test images."""
    return int(np.trace(confusion)), int(confusion.sum())


def _issue(code: str, text: str, advice: str) -> dict:
    return {"code": code, "state": "issue", "text": text, "advice": advice}


def _passed(code: str, text: str) -> dict:
    return {"code": code, "state": "passed", "text": text, "advice": ""}


def _not_applicable(code: str, text: str) -> dict:
    return {"code": code, "state": "not applicable", "text": text, "advice": ""}
