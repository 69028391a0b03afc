"""README's tables, written from ``results/*.csv`` between their markers, so that nobody types a figure."""

import re
from collections.abc import Callable
from pathlib import Path

from experiments.benchmark_table import read_benchmarks
from experiments.network_tables import ONE_VIEW
from experiments.tables import KS, Row, figure, read_rows
from reports.tables import markdown_table
from scenes.dataset import committed_fingerprint

MARKED = re.compile(r"(<!-- table: ([a-z0-9-]+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)


def filled(text: str, results: Path) -> str:
    """A page with the table between each pair of markers made anew from the results folder.

    Raises
    ------
    ValueError
        A marker names no table, or a row that a table needs is not in the results.
    """

    def table(match: re.Match) -> str:
        start, name, _, end = match.groups()
        if name not in TABLES:
            raise ValueError(f"no table is called {name}: use {', '.join(TABLES)}")
        return f"{start}{markdown_table(TABLES[name](Results(results)))}{end}"

    return MARKED.sub(table, text)


class Results:
    """The rows that count, found by experiment, setting and metric, for one committed data set."""

    def __init__(self, folder: Path, dataset: str = "scene15"):
        self.folder, self._fingerprint = folder, committed_fingerprint(dataset)["test"]

    def row(self, experiment: str, setting: str, metric: str = "accuracy") -> Row:
        """The last row with this setting and metric."""
        for row in reversed(self.rows(experiment)):
            if (row.setting, row.metric) == (setting, metric):
                return row
        raise ValueError(f"{experiment} has no row {setting!r}: run python scripts/reproduce.py {experiment}")

    def last(self, experiment: str, setting: str, metric: str = "accuracy") -> Row | None:
        """The last finished row of a setting and metric, on any images."""
        rows = read_rows(self.folder / f"{experiment}.csv")
        wanted = (setting, metric, "done")
        found = [row for row in rows if (row.setting, row.metric, row.status) == wanted]
        return found[-1] if found else None

    def rows(self, experiment: str) -> list[Row]:
        """All rows of an experiment on the images of the data set, whatever they were called."""
        rows = read_rows(self.folder / f"{experiment}.csv")
        return [row for row in rows if row.fingerprint == self._fingerprint]

    def settings(self, experiment: str, metric: str = "accuracy") -> list[str]:
        """The settings an experiment has accuracies of, in order."""
        return list(dict.fromkeys(row.setting for row in self.rows(experiment) if row.metric == metric))


def _summary(results: Results) -> list[list[str]]:
    tuned = results.settings("r1-tiny-tune")[-1]
    svm = results.settings("r1-bow-svm")[-1]
    rows = [
        ("tiny images, 1 nearest neighbour", results.row("r1-tiny-k", "k=1")),
        (f"tiny images, tuned on the training images ({tuned})", results.row("r1-tiny-tune", tuned)),
        ("bag of SIFT, step 1, 400 words, 8 nearest neighbours", results.row("r1-bow-k", "k=8")),
        ("the same histograms, linear SVM (yardstick)", results.row("r1-bow-svm", svm)),
    ]
    head = ["method", "reported (R1)", "measured", "seeds", "seconds"]
    return [head] + [[name, row.reported, figure(row), row.n_seeds, row.seconds] for name, row in rows]


def _over_k(results: Results) -> list[list[str]]:
    lines = [["k", "tiny, reported", "tiny, measured", "bag of SIFT, reported", "bag of SIFT, measured"]]
    for k in KS:
        tiny, bow = (results.row(name, f"k={k}") for name in ("r1-tiny-k", "r1-bow-k"))
        lines.append([str(k), tiny.reported, figure(tiny), bow.reported, figure(bow)])
    return lines


def _over_step(results: Results) -> list[list[str]]:
    lines = [["step", "reported", "measured", "seeds", "descriptors an image", "seconds"]]
    for setting in results.settings("r1-bow-step"):
        row = results.row("r1-bow-step", setting)
        count = results.row("r1-bow-step", setting, "descriptors per image")
        per_image = f"{float(count.measured):,.0f}"
        step = setting.split("=")[1]
        lines.append([step, row.reported, figure(row), row.n_seeds, per_image, row.seconds])
    return lines


def _over_words(results: Results) -> list[list[str]]:
    lines = [["words", "measured", "seeds", "seconds"]]
    for setting in results.settings("r1-bow-words"):
        row = results.row("r1-bow-words", setting)
        lines.append([setting.split("=")[1], figure(row), row.n_seeds, row.seconds])
    return lines


def _over_sample(results: Results) -> list[list[str]]:
    lines = [["descriptors an image", "measured", "seeds", "vocabulary, s", "all, s"]]
    for setting in results.settings("r1-bow-sample"):
        row = results.row("r1-bow-sample", setting)
        made = float(results.row("r1-bow-sample", setting, "vocabulary seconds").measured)
        lines.append([setting.split("=")[1], figure(row), row.n_seeds, f"{made:.1f}", row.seconds])
    return lines


def _norms(results: Results) -> list[list[str]]:
    lines = [["metric", "l2", "l1", "l1_matrix"]]
    for metric in ("euclidean", "cityblock"):
        rows = [results.row("r1-tiny-norms", f"{metric} {norm} k=1") for norm in lines[0][1:]]
        lines.append([metric, *map(figure, rows)])
    return lines


def _errors(results: Results) -> list[list[str]]:
    names = ("asymmetry", "column concentration", "share of errors among indoor classes")
    lines = [["measure", "tiny images, k = 1", "bag of SIFT, k = 8"]]
    for name in names:
        pair = [results.row("r1-tiny-k", "k=1", name), results.row("r1-bow-k", "k=8", name)]
        lines.append([name, *map(figure, pair)])
    # all errors one way
    accuracies = [results.row("r1-tiny-k", "k=1"), results.row("r1-bow-k", "k=8")]
    most = [f"{2 * (1 - float(row.measured)):.4f}" for row in accuracies]
    lines.insert(2, ["its most, were all errors one way", *most])
    return lines


# The networks that README shows: experiment, setting, and what the row is called.
_NETWORKS = (
    ("own-fastnet", "fastnet", "`fastnet`"),
    ("own-fastnet", "fastnet, wide", "`fastnet`, wide"),
    ("own-fastnet", "fastnet, a fifth of the time", "`fastnet`, about a fifth of airbench94's time"),
    ("own-fastnet", "fastnet, wide, longer", "`fastnet`, wide, longer"),
    ("own-tiny50k", "tiny50k", "`tiny50k`, below 50,000 parameters"),
    ("own-tiny50k", "tiny50k, longer", "`tiny50k`, longer"),
    ("r1-cnn-final", "resnet18, 30 epochs", "`resnet18` (R1), 30 epochs, 18,000 images"),
    ("r1-cnn-final", "resnet18, own recipe", "`resnet18` (R1), this project's recipe, 18,000 images"),
    ("r1-cnn-final", "resnet18, own recipe, longer, on all 20,000",
     "`resnet18` (R1), this project's recipe, 20,000 images"),
    ("r1-cnn-final", "mynet, own recipe", "`mynet` (R1), this project's recipe, 18,000 images"),
    ("r2-lenet", "lenet_modern", "`lenet_modern` (R2)"),
    ("r2-lenet", "lenet_channels8", "`lenet_channels8` (R2)"),
    ("r3-networks", "plain", "`cifar_plain` (R3)"),
    ("r3-networks", "separable", "`cifar_separable` (R3)"),
    ("r3-networks", "residual", "`cifar_residual` (R3)"),
    ("r3-networks", "50k", "`cifar_50k` (R3)"),
    ("r3-own", "plain, own recipe", "`cifar_plain` (R3), this project's recipe"),
    ("r3-own", "separable, own recipe", "`cifar_separable` (R3), this project's recipe"),
    ("r3-own", "residual, own recipe", "`cifar_residual` (R3), this project's recipe"),
    ("r3-own", "residual, own recipe, longer", "`cifar_residual` (R3), this project's recipe, longer"),
    ("r3-own", "50k, own recipe", "`cifar_50k` (R3), this project's recipe"),
    ("r4-digits", "10 classes", "`mnist_conv3` (R4), ten digits"),
    ("r4-merged", "4 classes", "`mnist_conv3` (R4), four merged classes"),
)


def _networks(results: Results) -> list[list[str]]:
    lines = [["network", "set", "reported", "held-out accuracy", "of one view", "held-out images", "seeds",
              "training seconds"]]  # fmt: skip
    for experiment, setting, name in _NETWORKS:
        row = results.last(experiment, setting)
        if row is None:
            lines.append([name, "", "", "owed", "", "", "", ""])
        else:
            single = results.last(experiment, setting, ONE_VIEW)
            lines.append([name, row.dataset, row.reported, figure(row), figure(single) if single else "",
                          f"{int(row.n_test):,}", row.n_seeds, row.seconds])  # fmt: skip
    return lines


# Both families side by side: what a row is called, its pixels, its label on the 15 scenes and on CIFAR-10.
_FAMILIES = (
    ("tiny images, 1-NN", "32", "tiny images, 1-NN, of 32 pixels", "tiny images, 1-NN"),
    ("bag of SIFT, 8-NN", "32", "bag of SIFT, 8-NN, of 32 pixels", "bag of SIFT, 8-NN"),
    ("`mynet` (R1)", "32", "mynet, 32 pixels", "mynet, own recipe"),
    ("`resnet18` (R1)", "32", "resnet18, 32 pixels",
     "resnet18, own recipe, longer, on all 20,000"),
    ("`fastnet`", "32", "fastnet, 32 pixels", "fastnet, own recipe"),
    ("tiny images, 1-NN", "all", "tiny images, 1-NN", ""),
    ("bag of SIFT, 8-NN", "all", "bag of SIFT, 8-NN", ""),
    ("`fastnet`", "128", "fastnet, 128 pixels", ""),
    ("`resnet18` (R1)", "128", "resnet18, 128 pixels", ""),
)


def _families(results: Results) -> list[list[str]]:
    lines = [["method", "pixels a side", "15 scenes", "CIFAR-10"]]
    for name, pixels, scene, object_ in _FAMILIES:
        cells = [_with_interval(results, "compare-scene15", scene),
                 _with_interval(results, "compare-cifar10", object_)]  # fmt: skip
        lines.append([name, pixels, *cells])
    return lines


def _with_interval(results: Results, experiment: str, setting: str) -> str:
    if not setting:
        return ""
    metrics = ("accuracy", "interval low", "interval high")
    found = [results.last(experiment, setting, metric) for metric in metrics]
    accuracy, low, high = (float(row.measured) if row else None for row in found)
    return "owed" if accuracy is None else f"{accuracy:.3f} ({low:.3f} to {high:.3f})"


# The first table of docs/speed.md, by claim; it ends with one of all rows.
SPEED = (
    "dense SIFT, step 1, flat window",
    "dense SIFT, step 1, gaussian window",
    "nearest of 400 words, 8-bit dot products, against faiss flat",
    "nearest of 400 words, portable, against faiss flat",
    "nearest of 400 words, portable, 256-bit registers, against faiss flat",
    "nearest of 40000 words, 8-bit dot products, against faiss flat",
    "JPEG to histogram, 8-bit dot products, against the product alone",
    "JPEG to histogram, portable, against the product alone",
    "images to predictions, against assembled",
    "images to predictions, against reference",
    "k-means, against scikit-learn KMeans",
    "k-means, against faiss Kmeans",
    "kNN cityblock, against scikit-learn KNeighborsClassifier",
    "kNN cityblock, against scipy cdist + mode",
    "kNN cityblock, against faiss flat L1",
)


def _speed(results: Results) -> list[list[str]]:
    rows = {row["claim"]: row for row in read_benchmarks(results.folder / "benchmarks.csv")}
    lines = [["claim", "ours", "peer", "times as fast", "range", "turns", "work"]]
    for claim in SPEED:
        if claim not in rows:
            lines.append([claim, "owed", *[""] * 5])
            continue
        row = rows[claim]
        ours, peer = (f"{float(row[side]):.3g} s" for side in ("ours_seconds", "peer_seconds"))
        times, low, high = (f"{1 / float(row[name]):.3g}" for name in ("ratio", "ratio_max", "ratio_min"))
        shown = [claim, ours, f"{row['peer']}, {peer}", times, f"{low} to {high}", row["runs"], row["work"]]
        lines.append(shown)
    return lines


def _measurements(results: Results) -> list[list[str]]:
    lines = [["claim", "ours, s", "peer, s", "ratio", "range", "threads", "work"]]
    for row in read_benchmarks(results.folder / "benchmarks.csv"):
        if row["ours"] != "fastnet":
            ours, peer = (f"{float(row[side]):.3g}" for side in ("ours_seconds", "peer_seconds"))
            lines.append([row["claim"], ours, peer, row["ratio"], f"{row['ratio_min']} to {row['ratio_max']}",
                          row["threads"], row["work"]])  # fmt: skip
    return lines


def _fastnets(results: Results) -> list[list[str]]:
    lines = [["claim", "work", "ours, s", "peer, s", "ratio", "range", "hardware"]]
    for row in read_benchmarks(results.folder / "benchmarks.csv"):
        if row["ours"] != "fastnet":
            continue
        lines.append([
            row["claim"], row["work"], row["ours_seconds"], row["peer_seconds"], row["ratio"],
            f"{row['ratio_min']} to {row['ratio_max']}", f"{row['hardware']}, {row['threads']} threads",
        ])  # fmt: skip
    return lines


TABLES: dict[str, Callable[[Results], list[list[str]]]] = {
    "families": _families,
    "summary": _summary,
    "k": _over_k,
    "step": _over_step,
    "words": _over_words,
    "sample": _over_sample,
    "norms": _norms,
    "errors": _errors,
    "networks": _networks,
    "fastnets": _fastnets,
    "speed": _speed,
    "measurements": _measurements,
}
