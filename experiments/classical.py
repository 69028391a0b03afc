"""Tiny images and bags of SIFT, end to end: settings that share work, run once, each with its full record."""

import itertools
import json
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from joblib import effective_n_jobs

from classifiers import KNNClassifier
from experiments.expected import expected_lines, expected_range, known_set
from experiments.store import Making, encode, find_vocabulary, keep_vocabulary
from features import BagOfWords, TinyImage, Vocabulary, histograms
from features._images import image_pair
from features.vocabulary import resize_rule, vocabulary_identity
from reports import Facts, Neighbour, RunRecord, Shown, confusion_matrix, diagnose
from reports.environment import environment
from scenes.dataset import SceneDataset, fingerprint, in_folders
from scenes.reading import read_pixels

# Nearest training images that a page shows of a mistake.
SHOWN_NEIGHBOURS = 5

# What of a bag of words its vocabulary depends on.
VOCABULARY_SETTINGS = (
    "n_words", "step", "vocab_step", "bin_size", "window", "dtype", "descriptors_per_image", "backend",
    "max_side", "resize", "random_state",
)  # fmt: skip


@dataclass(frozen=True)
class Encoded:
    """Both parts of a data set as vectors, how they came about, and what that cost.

    config : the settings of the vectors, as they stand in ``result.json``.
    columns : what ``table.csv`` says about them.
    """

    train: np.ndarray
    test: np.ndarray
    config: dict
    columns: dict
    features: Making
    vocabulary: Vocabulary | None = None
    vocabulary_making: Making | None = None
    enlarged: tuple[str, ...] = ()


@dataclass(frozen=True)
class Voting:
    """How vectors are classified: the settings of `KNNClassifier` but k, of which there may be several."""

    k: tuple[int, ...] = (1,)
    metric: str = "cityblock"
    p: float = 2
    tie: str = "first"


def tiny_vectors(dataset: SceneDataset, extractor: TinyImage) -> Encoded:
    """A data set as tiny images."""
    started = time.perf_counter()
    train, test = (extractor.fit_transform(part.paths) for part in (dataset.train, dataset.test))
    config = _plain(extractor.get_params())
    return Encoded(train, test, config, {"norm": config["norm"]}, Making.now(started, extractor.n_jobs))


def bag_vectors(
    dataset: SceneDataset, bag: BagOfWords, norms: Sequence[str] = ("none",), *, fresh: bool = False
) -> Iterator[Encoded]:
    """A data set as bags of words, once for each histogram norm; the encoding is shared.

    The vocabulary is `bag`'s own, or one of the identity it asks for that was made before, or a new one.
    With `fresh` neither stored vocabularies nor stored histograms are used.
    """
    vocabulary, making = _vocabulary(dataset, bag, fresh)
    fitted = BagOfWords(**{**bag.get_params(), "vocabulary": vocabulary}).fit([])
    hashes = [digest for which in ("train", "test") for digest in dataset.scans[which].hashes]
    counts, enlarged, cost = encode(fitted, dataset.train.paths + dataset.test.paths, hashes, fresh=fresh)
    names = [
        f"{folder}{name}"
        for folder, part in zip(dataset.folders, (dataset.train, dataset.test), strict=True)
        for name in part.names
    ]
    per_image = float(counts.sum(axis=1).mean())
    config = _plain(bag.get_params()) | {"n_words": len(vocabulary.words)}
    config["seed"] = config.pop("random_state")
    if bag.vocabulary is not None:  # these are the given words' own, as far as they are known
        identity = vocabulary.identity
        config |= {name: identity.get(name) for name in ("seed", "descriptors_per_image")}
        config["vocab_step"] = _vocab_step(identity.get("vocab_step"), bag.step)
    for norm in norms:
        vectors = histograms(counts, norm)
        yield Encoded(
            vectors[: len(dataset.train)],
            vectors[len(dataset.train) :],
            config | {"norm": norm},
            {
                "step": as_text(bag.step), "n_words": len(vocabulary.words), "norm": norm,
                "seed": config["seed"], "descriptors_per_image": round(per_image, 1),
            },
            cost,
            vocabulary,
            making,
            tuple(name for name, large in zip(names, enlarged, strict=True) if large),
        )  # fmt: skip


def classify(
    dataset: SceneDataset,
    encoded: Encoded,
    voting: Voting,
    *,
    name: str,
    command: Sequence[str],
    n_settings: int = 1,
    selection: str = "none",
    tiny_accuracy: float | None = None,
    n_jobs: int | None = None,
) -> Iterator[RunRecord]:
    """The record of each k: neighbours are found once, for the largest."""
    started = time.perf_counter()
    knn = KNNClassifier(max(voting.k), metric=voting.metric, p=voting.p, tie=voting.tie, n_jobs=n_jobs)
    n_neighbours = max(*voting.k, min(SHOWN_NEIGHBOURS, len(dataset.train)))
    distances, neighbours = knn.fit(encoded.train, dataset.train.labels).kneighbors(
        encoded.test, n_neighbours
    )
    seconds = time.perf_counter() - started
    for k in voting.k:
        if k < 1:
            raise ValueError(f"k is {k}: give 1 or more")
        predicted = knn.classes_[knn.vote(neighbours[:, :k])].tolist()
        config = encoded.config | {"k": k, "metric": voting.metric, "p": voting.p, "tie": voting.tie}
        facts = _facts(dataset, encoded, predicted, name, config, n_settings, selection, tiny_accuracy)
        yield RunRecord(
            name=name,
            command=list(command),
            classes=list(dataset.classes),
            filenames=dataset.test.names,
            labels=dataset.test.labels,
            predicted=predicted,
            scores=knn.vote_shares(neighbours[:, :k]),
            n_train=len(dataset.train),
            config=config,
            selection=selection,
            data=_data_block(dataset, encoded.config),
            vocabulary=encoded.vocabulary.identity if encoded.vocabulary else {},
            leaks=dataset.leaks(),
            diagnoses=diagnose(facts),
            skipped=list(dataset.skipped),
            timings=_timings(encoded, seconds, len(dataset.train) + len(dataset.test)),
            environment=environment(effective_n_jobs(n_jobs or -1)),
            model_arrays=_model_arrays(dataset, encoded, config, name),
            expected=expected_lines(dataset, tiny_accuracy),
            extra={"enlarged": list(encoded.enlarged)},
            shown=_shown(dataset, predicted, distances, neighbours),
        )


def _shown(
    dataset: SceneDataset, predicted: Sequence[str], distances: np.ndarray, neighbours: np.ndarray
) -> Shown:
    """The pictures of a set, and for mistakes the nearest training images that were looked at."""
    train, test = (dict(zip(part.names, part.paths, strict=True)) for part in (dataset.train, dataset.test))
    wrong = [i for i, label in enumerate(dataset.test.labels) if predicted[i] != label]
    nearest = {
        dataset.test.names[i]: [
            Neighbour(dataset.train.names[j], dataset.train.labels[j], float(distances[i, place]))
            for place, j in enumerate(neighbours[i, :SHOWN_NEIGHBOURS])
        ]
        for i in wrong
    }
    return Shown(lambda name: read_pixels(test[name]), lambda name: read_pixels(train[name]), nearest)


def tiny_baseline(
    dataset: SceneDataset, *, max_side: int | None, resize: int | None, n_jobs: int | None
) -> float:
    """Accuracy of tiny images at their defaults with the nearest neighbour, on the same test images."""
    vectors = tiny_vectors(dataset, TinyImage(max_side=max_side, resize=resize, n_jobs=n_jobs))
    return (
        KNNClassifier(n_jobs=n_jobs)
        .fit(vectors.train, dataset.train.labels)
        .score(vectors.test, dataset.test.labels)
    )


def combinations(**several: Iterable) -> Iterator[dict]:
    """Every combination of options that take several values, in order, each as a dict."""
    for values in itertools.product(*several.values()):
        yield dict(zip(several, values, strict=True))


def _vocabulary(dataset: SceneDataset, bag: BagOfWords, fresh: bool) -> tuple[Vocabulary, Making]:
    if bag.vocabulary is not None:
        return BagOfWords(**bag.get_params()).fit([]).vocabulary_, Making(0.0, 0, "unknown", cached=True)
    settings = {name: getattr(bag, name) for name in VOCABULARY_SETTINGS}
    identity = vocabulary_identity(images_fingerprint=_images(dataset), **settings)
    found = None if fresh else find_vocabulary(identity)
    if found:
        vocabulary, making, path = found
        print(
            f"vocabulary: reusing {display_path(path)}, made of the same images and settings (--fresh: anew)"
        )
        return vocabulary, making
    vocabulary, making = make_vocabulary(dataset, settings, bag.n_jobs)
    try:
        where = display_path(keep_vocabulary(vocabulary, making, dataset.name))
    except OSError as error:
        where = f"not kept ({error.strerror})"
    print(f"vocabulary: {len(vocabulary.words)} words made in {making.seconds:.1f} s: {where}")
    return vocabulary, making


def _images(dataset: SceneDataset) -> str:
    """The fingerprint of the training images alone, which is all that a vocabulary sees of a data set."""
    hashes = dataset.scans["train"].hashes
    return fingerprint(hashes, [""] * len(hashes))


def make_vocabulary(dataset: SceneDataset, settings: dict, n_jobs: int | None) -> tuple[Vocabulary, Making]:
    """A new vocabulary of the training images, and what it cost."""
    started = time.perf_counter()
    vocabulary = Vocabulary.fit(dataset.train.paths, **settings, n_jobs=n_jobs)
    return vocabulary, Making.now(started, n_jobs)


def _facts(dataset, encoded, predicted, name, config, n_settings, selection, tiny_accuracy) -> Facts:
    leaks = dataset.leaks()
    # another set's words may be good or bad: nobody measured them
    own_words = not encoded.vocabulary or encoded.vocabulary.identity.get("fingerprint") == _images(dataset)
    return Facts(
        classes=dataset.classes,
        confusion=confusion_matrix(dataset.test.labels, predicted, dataset.classes),
        train_counts={label: dataset.train.labels.count(label) for label in dataset.classes},
        dataset=known_set(dataset) or dataset.name,
        expected=expected_range(dataset, name, config) if own_words else None,
        n_neighbors=config["k"],
        n_settings=n_settings,
        selection=selection,
        tiny_accuracy=tiny_accuracy,
        duplicates_train_test=in_folders(leaks["train_test"], dataset.folders),
        duplicates_within=leaks["within"],
        duplicates_across_classes=leaks["across_classes"],
        flat_images=[image for scan in dataset.scans.values() for image in scan.flat],
        unreadable_images=dataset.skipped,
        enlarged_images=encoded.enlarged if encoded.vocabulary else None,
    )


def _data_block(dataset: SceneDataset, config: dict) -> dict:
    prints = dataset.fingerprint
    longest = max(max(shape) for scan in dataset.scans.values() for shape in scan.shapes)
    untouched = config["resize"] is None and (config["max_side"] is None or longest <= config["max_side"])
    return {
        "name": dataset.name,
        "train_fingerprint": prints["train"],
        "test_fingerprint": prints["test"],
        "resize": "none" if untouched else resize_rule(config["max_side"], config["resize"]),
        "image_size": dataset.image_sizes(),
        **({"split": list(dataset.drawn)} if dataset.drawn else {}),  # share and seed
    }


def _timings(encoded: Encoded, classification: float, n_images: int) -> dict:
    vocabulary = encoded.vocabulary_making.seconds if encoded.vocabulary_making else 0.0
    stages = {"features": encoded.features, "vocabulary": encoded.vocabulary_making}
    return {
        "features": round(encoded.features.seconds, 3),
        "vocabulary": round(vocabulary, 3),
        "classification": round(classification, 3),
        "ms_per_image": round(1000 * encoded.features.seconds / n_images, 3),
        "total": round(encoded.features.seconds + vocabulary + classification, 3),
        "cached": [stage for stage, making in stages.items() if making and making.cached],
        "making": {
            stage: {
                "seconds": round(making.seconds, 3),
                "threads": making.threads,
                "hardware": making.hardware,
            }
            for stage, making in stages.items()
            if making
        },
    }


def _model_arrays(dataset: SceneDataset, encoded: Encoded, config: dict, name: str) -> dict:
    arrays = {
        "features": encoded.train,
        "labels": np.array(dataset.train.labels),
        "classes": np.array(dataset.classes),
        "config": np.array(json.dumps({"method": name, **config}, sort_keys=True)),
    }
    if encoded.vocabulary:
        arrays["words"] = encoded.vocabulary.words
        arrays["identity"] = np.array(json.dumps(encoded.vocabulary.identity, sort_keys=True))
    return arrays


def _plain(params: dict) -> dict:
    """Parameters as they stand in ``result.json``: without threads (they change nothing), tuples as lists."""
    kept = {name: value for name, value in params.items() if name not in ("n_jobs", "vocabulary")}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in kept.items()}


def _vocab_step(pair: Sequence[int] | None, step) -> int | list[int] | None:
    """The grid of given words as configurations have it: None where it is the step, or is not known."""
    if pair is None or tuple(pair) == image_pair("step", step):
        return None
    return pair[0] if pair[0] == pair[1] else list(pair)


def as_text(value) -> str:
    """An option's value in tables and names: a pair as ``2x3``."""
    return "x".join(map(str, value)) if isinstance(value, tuple) else str(value)


def display_path(path: Path) -> str:
    """A path as short as it can be written from the working directory."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)
