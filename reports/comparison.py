"""Runs on the same test images held against each other: differences, how sure they are, where they come from.

A run that is right on more images than another may owe it to chance. Beside each difference stand its 95 %
interval (bootstrap over images, both runs judged on the same draw), the two counts of images that only one
of the runs has right, and the exact p-value of McNemar's test on these counts.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest

from reports.metrics import INDOOR, asymmetry, confusion_matrix, most_confused, wilson_interval
from reports.run import Run

DRAWS = 10_000
LEVEL = 0.95
ALPHA = 0.05
_MOST_SETTINGS, _LONGEST_SETTINGS = 3, 40  # that are told in the name of a run
_MOST_CLASSES = 3  # named in a sentence


@dataclass(frozen=True)
class Pair:
    """Two runs on the same images.

    Attributes
    ----------
    first, second : int
        Their places in the list of runs.
    only_first, only_second, both, neither : int
        Test images that one, the other, both or none of them has right.
    difference : float
        Accuracy of the second minus that of the first.
    interval : (float, float)
        95 %, by the paired bootstrap.
    p_value, p_holm : float
        McNemar's exact test, two-sided; the same corrected for the number of pairs compared.
    """

    first: int
    second: int
    only_first: int
    only_second: int
    both: int
    neither: int
    difference: float
    interval: tuple[float, float]
    p_value: float
    p_holm: float

    @property
    def better(self) -> int | None:
        """Which run is better beyond chance (p after Holm below 0.05), None if neither is."""
        if self.p_holm >= ALPHA or self.only_first == self.only_second:
            return None
        return self.second if self.only_second > self.only_first else self.first


@dataclass(frozen=True, eq=False)
class Comparison:
    """Runs on the same test images, in the order they were given.

    Attributes
    ----------
    runs : tuple of Run
    names : tuple of str
        What each run is called here: its own name, and where several share one the settings that tell them
        apart, the folder or a number.
    right : ndarray of bool, shape (runs, images)
        Which test images each has right, images in sorted order.
    pairs : tuple of Pair
        Every two of them.
    """

    runs: tuple[Run, ...]
    names: tuple[str, ...]
    right: np.ndarray
    pairs: tuple[Pair, ...]

    @property
    def n(self) -> int:
        """Test images."""
        return self.right.shape[1]

    def interval(self, run: int) -> tuple[float, float]:
        """Wilson's 95 % interval of a run's accuracy."""
        return wilson_interval(int(self.right[run].sum()), self.n)

    def only(self, winner: int, loser: int) -> list[str]:
        """Names of the images that `winner` has right and `loser` wrong."""
        rows = np.flatnonzero(self.right[winner] & ~self.right[loser])
        return [self.runs[winner].filenames[row] for row in rows]


def compare(runs: Sequence[Run], *, random_state: int = 0) -> Comparison:
    """Compare two or more runs on the same test images.

    Parameters
    ----------
    runs : sequence of Run
        As `read_run` gives them.
    random_state : int, default=0
        Seed of the bootstrap.

    Raises
    ------
    ValueError
        Fewer than two runs; runs whose (filename, label) sets differ, by name of a run and an image.
    """
    runs = tuple(runs)
    if len(runs) < 2:
        raise ValueError("one run has nothing to be compared with: give two or more")
    for other in runs[1:]:
        check_same_images(runs[0], other)
    right = np.array([np.array(run.predicted) == np.array(run.labels) for run in runs])
    # the same draws for every pair: an interval must not depend on which other runs are compared
    found = [
        _pair(i, j, right[i], right[j], random_state) for i, j in itertools.combinations(range(len(runs)), 2)
    ]
    corrected = holm([pair["p_value"] for pair in found])
    pairs = tuple(Pair(**pair, p_holm=p) for pair, p in zip(found, corrected, strict=True))
    return Comparison(runs, _names(runs), right, pairs)


def check_same_images(first: Run, other: Run) -> None:
    """ValueError that names both runs and an image, unless they have the same test images and labels."""
    one, two = (dict(zip(run.filenames, run.labels, strict=True)) for run in (first, other))
    if one == two:
        return
    where = f"{first.folder} and {other.folder} have different test images"
    if unshared := sorted(one.keys() ^ two.keys()):
        holder = first if unshared[0] in one else other
        raise ValueError(f"{where}: only {holder.folder} has {unshared[0]}: compare runs on the same images")
    image = next(name for name in sorted(one) if one[name] != two[name])
    raise ValueError(
        f"{where}: {image} is {one[image]} in the first and {two[image]} in the other: compare runs on the "
        "same images"
    )


def mcnemar(only_first: int, only_second: int) -> float:
    """McNemar's exact two-sided p-value from the two discordant counts; 1 where both are 0.

    Under the hypothesis that both are right equally often, each discordant image falls to either side like
    a fair coin.

    References
    ----------
    McNemar, Q. (1947). Note on the sampling error of the difference between correlated proportions.
    Psychometrika 12.

    Examples
    --------
    >>> mcnemar(1, 9)
    0.021484375
    """
    if only_first < 0 or only_second < 0:
        raise ValueError(f"counts are {only_first} and {only_second}: give none below 0")
    discordant = only_first + only_second
    return 1.0 if discordant == 0 else float(binomtest(only_first, discordant).pvalue)


def p_text(p: float, digits: int = 2) -> str:
    """A p-value with the sign that stands before it: ``= 0.021``; too small for a float it is not 0.

    Examples
    --------
    >>> p_text(0.0214), p_text(0.0)
    ('= 0.021', '< 1e-300')
    """
    return "< 1e-300" if p < 1e-300 else f"= {p:.{digits}g}"


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values corrected for their number, in the same order (Holm 1979).

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    corrected, highest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, (len(order) - rank) * p_values[index]))
        corrected[index] = highest
    return corrected


def paired_bootstrap(
    only_first: int, only_second: int, n: int, *, random_state: int = 0
) -> tuple[float, float]:
    """The 95 % interval of accuracy(second) - accuracy(first) over 10,000 draws of n images.

    An image counts -1, 0 or +1 in the difference, so that a draw with replacement is one of three numbers
    from a multinomial distribution: no image needs to be drawn by itself.
    """
    if n <= 0 or min(only_first, only_second) < 0 or only_first + only_second > n:
        raise ValueError(f"{only_first} and {only_second} of {n} images: give counts that fit into n")
    rng = np.random.default_rng(random_state)
    shares = [only_first / n, only_second / n, (n - only_first - only_second) / n]
    drawn = rng.multinomial(n, shares, size=DRAWS)
    differences = (drawn[:, 1] - drawn[:, 0]) / n
    low, high = np.quantile(differences, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def _pair(i: int, j: int, first: np.ndarray, second: np.ndarray, random_state: int) -> dict:
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    both, n = int((first & second).sum()), len(first)
    return {
        "first": i, "second": j, "only_first": only_first, "only_second": only_second, "both": both,
        "neither": n - both - only_first - only_second, "difference": (only_second - only_first) / n,
        "interval": paired_bootstrap(only_first, only_second, n, random_state=random_state),
        "p_value": mcnemar(only_first, only_second),
    }  # fmt: skip


CSV_COLUMNS = (
    "model", "img_size", "top1", "top1_err", "top5", "top5_err", "param_count", "file_mb", "macs_m",
    "train_seconds", "ms_per_image",
)  # fmt: skip


def csv_rows(comparison: Comparison) -> list[dict[str, str]]:
    """A row a run with the columns of the field's result tables, accuracies in percent.

    Top-5 is empty where scores are no probabilities: the classes of a kNN vote without a vote are not
    ordered. MACs are those of one view, see `views`. Milliseconds an image end with the class; they begin
    with reading the file for features, with pixels in memory for networks. Costs that a run does not tell
    are empty.
    """
    rows = []
    for i, (run, name) in enumerate(zip(comparison.runs, comparison.names, strict=True)):
        result = run.result
        top1, top5 = 100 * float(comparison.right[i].mean()), _top5(run)
        model, timings = result["model"], result["timings"]
        rows.append({
            "model": name, "img_size": _image_size(result),
            "top1": f"{top1:.2f}", "top1_err": f"{100 - top1:.2f}",
            "top5": "" if top5 is None else f"{top5:.2f}",
            "top5_err": "" if top5 is None else f"{100 - top5:.2f}",
            "param_count": str(model["parameters"] or ""),
            "file_mb": f"{model['file_bytes'] / 1e6:.3f}" if model["file_bytes"] else "",
            "macs_m": f"{model['macs'] / 1e6:.3f}" if model["macs"] else "",
            "train_seconds": f"{timings['training']:.1f}" if timings["training"] else "",
            "ms_per_image": f"{_milliseconds(result):.3f}" if timings["ms_per_image"] else "",
        })  # fmt: skip
    return rows


def _milliseconds(result: Mapping) -> float:
    """Per test image, classification included, which a run of features tells apart."""
    timings = result["timings"]
    search = 0.0 if is_network(result) else 1000 * timings["classification"] / result["n_test"]
    return timings["ms_per_image"] + search


def is_network(result: Mapping) -> bool:
    """Whether a run is that of a trained network."""
    return "recipe" in result["config"]


def views(result: Mapping) -> int | None:
    """How many views of an image a network's outputs are averaged over; None of other runs."""
    return result["config"]["recipe"].get("views", 1) if is_network(result) else None


def fitted(result: Mapping) -> int | None:
    """How many images a run was fitted to: of a training that chose on some of its images, the others.

    None of somebody's predictions, where nobody knows.
    """
    return result.get("training", {}).get("n_fit", result["n_train"]) or None


def _top5(run: Run) -> float | None:
    if not is_network(run.result) or len(run.classes) < 6:
        return None
    truth = np.array([run.classes.index(label) for label in run.labels])
    own = run.scores[np.arange(len(truth)), truth]
    # of equal scores any may come first: the true class does not
    return 100 * float(((run.scores >= own[:, None]).sum(1) <= 5).mean())


def _image_size(result: dict) -> str:
    size = result["config"].get("input_size")
    return f"{size[1]}x{size[2]}" if size else str(result["data"].get("image_size", ""))


def _names(runs: Sequence[Run]) -> tuple[str, ...]:
    own = [str(run.result["name"]) for run in runs]
    named = list(own)
    for name in {name for name in own if own.count(name) > 1}:
        same = [i for i, other in enumerate(own) if other == name]
        for i, words in zip(same, _differences([runs[i] for i in same]), strict=True):
            named[i] = f"{name} ({words})"
    return tuple(
        name if named.count(name) == 1 else f"{name} ({named[: i + 1].count(name)})"
        for i, name in enumerate(named)
    )


def _differences(runs: Sequence[Run]) -> list[str]:
    """What tells runs of one name apart: a few settings, or where they lie."""
    configs = [run.result["config"] for run in runs]
    known = dict.fromkeys(key for each in configs for key in each)
    keys = [key for key in known if len({json.dumps(each.get(key)) for each in configs}) > 1]
    words = [", ".join(f"{key} {each.get(key)}" for key in keys) for each in configs]
    if 0 < len(keys) <= _MOST_SETTINGS and max(map(len, words)) <= _LONGEST_SETTINGS:
        return words
    return [run.folder.name for run in runs]


def explanation(comparison: Comparison, first: int, second: int) -> list[str]:
    """About five sentences, of measured values only, on where the difference of two runs comes from.

    Classes gained and lost, the shape of the errors, indoor and outdoor (on the 15 scenes), the pairs that
    are confused less and more.
    """
    pair = next(p for p in comparison.pairs if {p.first, p.second} == {first, second})
    sign = 1 if pair.first == first else -1
    a, b = comparison.names[first], comparison.names[second]
    only_a, only_b = (pair.only_first, pair.only_second)[::sign]
    low, high = sorted(sign * end for end in pair.interval)
    difference = sign * pair.difference
    one, two = comparison.runs[first], comparison.runs[second]
    classes = sorted({*one.classes, *two.classes})
    before, after = (confusion_matrix(run.labels, run.predicted, classes) for run in (one, two))
    shares = [100 * float(comparison.right[run].mean()) for run in (first, second)]
    most = [2 * (1 - share / 100) for share in shares]  # asymmetry, were all errors one way
    verdict = "beyond chance" if pair.better is not None else "not beyond chance"
    p = f"p {p_text(pair.p_value)}"
    if pair.p_holm != pair.p_value:
        p += f", with Holm's correction for {len(comparison.pairs)} pairs {p_text(pair.p_holm)}"
    sentences = [
        f"{b} has {shares[1]:.1f} % of the {comparison.n} images right, {a} {shares[0]:.1f} %: a difference "
        f"of {100 * difference:+.1f} points (95 % interval {100 * low:+.1f} to {100 * high:+.1f}); {only_b} "
        f"images only {b} has right, {only_a} only {a} ({p}: {verdict}).",
        *_training(one, two, a, b),
        _gains(before, after, classes, b),
        "Asymmetry of the errors (at most twice their share) goes from "
        f"{asymmetry(before):.2f} of {most[0]:.2f} to {asymmetry(after):.2f} of {most[1]:.2f}.",
    ]
    if set(INDOOR) < set(classes):
        sentences.append(_indoor(before, after, classes, a, b))
    sentences += _pairs(before, after, classes, b)
    return sentences


def _gains(before: np.ndarray, after: np.ndarray, classes: Sequence[str], name: str) -> str:
    gains = np.diag(after) - np.diag(before)
    order = np.argsort(-gains, kind="stable")
    parts = []
    for verb, found, none in (
        ("gains", [i for i in order if gains[i] > 0], "gains in no class"),
        ("loses", [i for i in order[::-1] if gains[i] < 0], "loses in none"),
    ):
        words = ", ".join(f"{classes[i]} {gains[i]:+d}" for i in found[:_MOST_CLASSES])
        if len(found) > _MOST_CLASSES:
            parts.append(f"{verb} most in {words} ({len(found)} classes in all)")
        else:
            parts.append(f"{verb} in {words}" if found else none)
    return f"By class, in images, {name} {' and '.join(parts)}."


def _training(one: Run, two: Run, a: str, b: str) -> list[str]:
    """A sentence where the runs were trained on different images, or judged on different pixels."""
    sentences = []
    prints = [(run.result["data"].get("train_fingerprint"), fitted(run.result)) for run in (one, two)]
    counts = [count for _, count in prints if count is not None]
    if len(set(counts)) > 1:
        sentences.append(
            f"Fitted to different numbers of images: {a} to {counts[0]:,}, {b} to {counts[1]:,}."
        )
    elif prints[0][0] != prints[1][0] and all(print_ for print_, _ in prints):
        sentences.append("Fitted to different images.")
    tested = [run.result["data"].get("test_fingerprint") for run in (one, two)]
    if tested[0] != tested[1] and all(tested):
        sentences.append("The test images have the same names and classes, but not the same pixels.")
    return sentences


def _indoor(before: np.ndarray, after: np.ndarray, classes: Sequence[str], a: str, b: str) -> str:
    inside = np.array([name in INDOOR for name in classes])

    def right(matrix: np.ndarray, rows: np.ndarray) -> float:
        return float(np.diag(matrix)[rows].sum() / max(matrix[rows].sum(), 1))

    shares = [(right(before, rows), right(after, rows)) for rows in (inside, ~inside)]
    (indoor_a, indoor_b), (outdoor_a, outdoor_b) = shares
    return (
        f"Right of the indoor images: {a} {100 * indoor_a:.0f} %, {b} {100 * indoor_b:.0f} %; "
        f"of the outdoor ones: {a} {100 * outdoor_a:.0f} %, {b} {100 * outdoor_b:.0f} %."
    )


def _pairs(before: np.ndarray, after: np.ndarray, classes: Sequence[str], b: str) -> list[str]:
    """A sentence on the pairs of classes whose confusion shrinks most, and one on those where it grows."""
    change = (before + before.T) - (after + after.T)
    sentences = []
    for sign, words in ((1, f"{b} confuses less"), (-1, f"{b} confuses more")):
        found = most_confused(np.maximum(sign * np.triu(change, 1), 0), classes, 3)
        texts = [
            f"{one} and {two} ({_both(before, classes, one, two)} to {_both(after, classes, one, two)})"
            for one, two, _ in found
        ]
        if texts:
            sentences.append(f"The pairs of classes that {words}: {', '.join(texts)}.")
    return sentences


def _both(matrix: np.ndarray, classes: Sequence[str], one: str, two: str) -> int:
    i, j = classes.index(one), classes.index(two)
    return int(matrix[i, j] + matrix[j, i])
