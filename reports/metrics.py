"""What a list of predictions amounts to: intervals, confusion, per-class figures.

A confusion matrix here is ``int64 (C, C)``, rows = true, columns = predicted, in the order of the class
list that goes with it. In files that is the sorted order; only figures reorder.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.special import ndtri

# The 15 scenes in the order and with the short names that their confusion matrices use.
SCENE15_SHORT = {
    "Kitchen": "Kit",
    "Store": "Sto",
    "Bedroom": "Bed",
    "LivingRoom": "Liv",
    "Office": "Off",
    "Industrial": "Ind",
    "Suburb": "Sub",
    "InsideCity": "Cty",
    "TallBuilding": "Bld",
    "Street": "St",
    "Highway": "HW",
    "OpenCountry": "OC",
    "Coast": "Cst",
    "Mountain": "Mnt",
    "Forest": "For",
}
SCENE15_ORDER = tuple(SCENE15_SHORT)
INDOOR = SCENE15_ORDER[:5]


def wilson_interval(correct: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Return the Wilson score interval of a share of `correct` in `n`.

    Unlike the normal approximation it stays inside [0, 1] and has a width when all or none are correct.

    Parameters
    ----------
    correct, n : int
        ``0 <= correct <= n``.
    level : float, default=0.95
        Coverage, between 0 and 1.

    Raises
    ------
    ValueError
        `n` is 0, `correct` lies outside 0..n, `level` outside (0, 1).

    References
    ----------
    Wilson, E. B. (1927). Probable inference, the law of succession, and statistical inference. JASA 22.

    Examples
    --------
    >>> low, high = wilson_interval(335, 1500)
    >>> round(low, 4), round(high, 4)
    (0.203, 0.2451)
    """
    if n <= 0 or not 0 <= correct <= n:
        raise ValueError(f"no interval for {correct} correct of {n}: give 0 <= correct <= n and n > 0")
    if not 0 < level < 1:
        raise ValueError(f"level is {level}: give a share between 0 and 1, such as 0.95")
    z = float(ndtri((1 + level) / 2))
    share = correct / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    # At the ends the formula gives 0 and 1 only up to rounding.
    low = 0.0 if correct == 0 else max(0.0, centre - half)
    high = 1.0 if correct == n else min(1.0, centre + half)
    return low, high


def confusion_matrix(labels: Sequence[str], predicted: Sequence[str], classes: Sequence[str]) -> np.ndarray:
    """Return how often images of one class (rows) were called another (columns).

    Parameters
    ----------
    labels, predicted : sequence of str
        True and predicted class names, one an image.
    classes : sequence of str
        The C class names, which give rows and columns their order.

    Returns
    -------
    ndarray of int64, shape (C, C)

    Raises
    ------
    ValueError
        A label is none of the classes, a class is named twice, the lists differ in length.
    """
    index = {name: i for i, name in enumerate(classes)}
    if len(index) != len(classes):
        raise ValueError("a class is named twice: give each class once")
    if len(labels) != len(predicted):
        raise ValueError(f"{len(labels)} labels but {len(predicted)} predictions: give one each per image")
    for name in (*labels, *predicted):
        if name not in index:
            raise ValueError(f"label {name!r} is none of the {len(index)} classes: check the class list")
    rows = np.array([index[name] for name in labels], dtype=np.int64)
    columns = np.array([index[name] for name in predicted], dtype=np.int64)
    n = len(index)
    return np.bincount(rows * n + columns, minlength=n * n).astype(np.int64).reshape(n, n)


def per_class(confusion: np.ndarray, classes: Sequence[str]) -> list[dict]:
    """Return one dict a class with ``class``, ``n``, ``precision``, ``recall`` and ``f1``.

    ``n`` counts the images of the class. A figure without a denominator (precision of a class never
    predicted, recall of a class without images) is 0.
    """
    confusion = _checked(confusion, classes)
    rows = []
    for i, name in enumerate(classes):
        hits, n, called = int(confusion[i, i]), int(confusion[i].sum()), int(confusion[:, i].sum())
        rows.append(
            {
                "class": name,
                "n": n,
                "precision": _share(hits, called),
                "recall": _share(hits, n),
                "f1": _share(2 * hits, n + called),
            }
        )
    return rows


def asymmetry(confusion: np.ndarray) -> float:
    """Return sum |C - Cᵀ| / sum C: 0 for a symmetric matrix, at most twice the share of errors.

    It is that where no two classes are taken for each other both ways.

    Raises
    ------
    ValueError
        The matrix is not square or counts nothing.
    """
    confusion = _checked(confusion)
    return float(np.abs(confusion - confusion.T).sum() / _total(confusion))


def column_concentration(confusion: np.ndarray, top: int = 4) -> float:
    """Return the share of all predictions that fall in the `top` most predicted classes.

    Equal use of C classes gives top / C; 1 means that nothing else is ever predicted.

    Raises
    ------
    ValueError
        The matrix is not square or counts nothing, `top` is below 1.
    """
    if top < 1:
        raise ValueError(f"top is {top}: give at least 1")
    confusion = _checked(confusion)
    called = np.sort(confusion.sum(axis=0))[::-1]
    return float(called[:top].sum() / _total(confusion))


def block_error_share(confusion: np.ndarray, classes: Sequence[str], block: Sequence[str]) -> float | None:
    """Return the share of all errors whose true and predicted class both lie in `block`.

    ``block_error_share(confusion, classes, INDOOR)`` asks how many errors are between indoor scenes.
    None without any error, and where `classes` lacks a class of the block.
    """
    confusion = _checked(confusion, classes)
    if not set(block) <= set(classes):
        return None
    errors = _errors(confusion)
    if not errors.any():
        return None
    inside = [list(classes).index(name) for name in block]
    return float(errors[np.ix_(inside, inside)].sum() / errors.sum())


def most_confused(confusion: np.ndarray, classes: Sequence[str], n: int = 10) -> list[tuple[str, str, int]]:
    """Return the `n` most frequent errors as (true, predicted, count), the most frequent first.

    Equal counts come in the order of the true, then of the predicted class. Pairs that never happened
    are left out, so the list may be shorter than `n`.
    """
    errors = _errors(_checked(confusion, classes))
    pairs = [(int(i), int(j)) for i, j in np.argwhere(errors > 0)]
    pairs.sort(key=lambda pair: -errors[pair])  # stable, and argwhere goes row by row
    return [(classes[i], classes[j], int(errors[i, j])) for i, j in pairs[:n]]


def _checked(confusion: np.ndarray, classes: Sequence[str] | None = None) -> np.ndarray:
    confusion = np.asarray(confusion)
    n = len(confusion) if classes is None else len(classes)
    if confusion.shape != (n, n):
        raise ValueError(f"confusion matrix has shape {confusion.shape}, not ({n}, {n}): one row a class")
    return confusion.astype(np.int64, copy=False)


def _errors(confusion: np.ndarray) -> np.ndarray:
    return confusion - np.diag(np.diag(confusion))


def _total(confusion: np.ndarray) -> int:
    total = int(confusion.sum())
    if total <= 0:
        raise ValueError("the confusion matrix counts no image: evaluate on at least one")
    return total


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
