"""Saved runs put to use: which images are meant, what they are called, and what they show."""

import csv
import glob
import io
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from classifiers import KNNClassifier
from experiments.answers import SHOWN_CLASSES, Answer, check_any_left, skip_or_raise
from experiments.data import PROJECT
from features import BagOfWords, TinyImage, Vocabulary
from features.vocabulary import SAME_DESCRIPTORS
from reports.run import named_runs
from reports.text import printable
from scenes.files import atomic_path, read_npz
from scenes.reading import SUFFIXES, UnreadableImage, read_pixels

# Trained models that come with the project.
WEIGHTS = PROJECT / "weights"

CLASSICAL_FILE, NETWORK_FILE = "model.npz", "model.safetensors"

# What torch writes; some of these are zip files with a pickle inside.
_PICKLES = (".pt", ".pth", ".ckpt", ".pkl", ".pickle")

# What of a run's configuration its vectors depend on.
TINY_OPTIONS = ("size", "resample", "norm", "zero_mean", "crop", "max_side", "resize")
BAG_OPTIONS = ("step", "bin_size", "window", "dtype", "norm", "backend", "max_side", "resize")


class Model(Protocol):
    """What a saved run can do."""

    def predict(
        self, images: Mapping[str, Path], *, skip_unreadable: bool = False, n_jobs: int | None = None
    ) -> list[Answer]:
        """An answer for each image, in order. Unreadable ones raise, or are skipped and said so."""


@dataclass(frozen=True)
class ClassicalModel:
    """Features and training vectors of a saved run."""

    extractor: TinyImage | BagOfWords
    classifier: KNNClassifier

    def predict(
        self, images: Mapping[str, Path], *, skip_unreadable: bool = False, n_jobs: int | None = None
    ) -> list[Answer]:
        """An answer for each image, in order. Unreadable ones raise, or are skipped and said so."""
        readable = {}
        for name, path in images.items():
            try:
                read_pixels(path)
            except UnreadableImage as error:
                skip_or_raise(error, skip_unreadable)
            else:
                readable[name] = path
        check_any_left(readable)
        knn = self.classifier.set_params(n_jobs=n_jobs)
        vectors = self.extractor.set_params(n_jobs=n_jobs).transform(list(readable.values()))
        nearest = knn.kneighbors(vectors, len(knn.X_))[1]
        elected = knn.vote(nearest[:, : knn.n_neighbors])
        shares = knn.vote_shares(nearest[:, : knn.n_neighbors])
        return [
            Answer(name, self._ranked(elected[i], shares[i], nearest[i])) for i, name in enumerate(readable)
        ]

    def _ranked(self, elected: int, shares: np.ndarray, nearest: np.ndarray) -> tuple[tuple[str, float], ...]:
        """Classes by share of the vote, then by their nearest training image; the elected one first."""
        labels = self.classifier.y_[nearest]
        closeness = {int(label): -rank for rank, label in reversed(list(enumerate(labels)))}
        order = sorted(closeness, key=lambda c: (c == elected, shares[c], closeness[c]), reverse=True)
        return tuple((str(self.classifier.classes_[c]), float(shares[c])) for c in order[:SHOWN_CLASSES])


def find_model(model: str | Path) -> Path:
    """The file of a model: of a run folder, the file itself, or of a name in ``weights/``.

    Raises
    ------
    FileNotFoundError, ValueError
        No such file; a folder of several runs.
    """
    path = Path(model)
    if not path.exists() and path.name == str(model):
        named = (WEIGHTS / f"{path}.safetensors", WEIGHTS / path)
        path = next((other for other in named if other.exists()), path)
    if path.is_dir():
        if (path / "table.csv").is_file() and not (path / "result.json").exists():
            raise ValueError(f"{path} holds several runs: give one of {named_runs(path)} in it")
        inside = [path / name for name in (CLASSICAL_FILE, NETWORK_FILE) if (path / name).is_file()]
        if len(inside) > 1:
            raise ValueError(f"{path} holds two models: give {inside[0].name} or {inside[1].name} in it")
        path = inside[0] if inside else path / CLASSICAL_FILE
    if not path.is_file():
        there = sorted(found.stem for found in WEIGHTS.glob("*.safetensors"))
        names = f" ({', '.join(there)})" if there else ""
        raise FileNotFoundError(
            f"{path}: no such model: give a run folder, a model file or a name in weights/{names}"
        )
    return path


def load_model(model: str | Path, *, device: str | None = None) -> Model:
    """The model that `find_model` finds, ready to predict; torch is imported for networks only.

    Parameters
    ----------
    model : path or name
    device : str, optional
        Where a network computes: ``cpu``, ``cuda``, ``cuda:1`` or ``mps``.

    Raises
    ------
    FileNotFoundError, ValueError
        No such file; a folder of several runs; a file that holds no model of this project; a network
        where torch is missing; a device that is not there, or for a model that is no network.
    """
    path = find_model(model)
    if path.suffix.lower() in (".safetensors", ".onnx"):
        try:
            from experiments.network_prediction import load_network
        except ModuleNotFoundError as error:
            raise ValueError(
                f"{error.name} is missing: networks need `make install-all`, see README.md"
            ) from None
        return load_network(path, device)
    if path.suffix.lower() in _PICKLES:
        raise ValueError(
            f"{path}: a pickle, which could run anything, is never opened: convert it to safetensors "
            "where it is trusted"
        )
    if device is not None:
        raise ValueError(f"{path} is no network: leave --device out")
    arrays = read_npz(path)
    try:
        return _classical(path, arrays)
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise ValueError(
            f"{path}: no model of this project ({error!r}): give one that run_*.py wrote"
        ) from None


def find_images(arguments: Sequence[str]) -> dict[str, Path]:
    """Names and paths of the images that files, folders and glob patterns mean.

    Raises
    ------
    FileNotFoundError, ValueError
        Nothing found; two images of one name.
    """
    named: list[tuple[str, Path]] = []
    for argument in arguments:
        path = Path(argument)
        if path.is_dir():
            below = (
                (p.relative_to(path), p) for p in sorted(path.rglob("*")) if p.suffix.lower() in SUFFIXES
            )
            # hidden ones are thumbnails and a Mac's traces
            found = [(n.as_posix(), p) for n, p in below if p.is_file() and not _is_hidden(n)]
        elif path.exists():
            found = [(path.name, path)]
        else:
            found = [
                (Path(p).name, Path(p))
                for p in sorted(glob.glob(argument, recursive=True))
                if Path(p).is_file()
            ]
        if not found:
            raise FileNotFoundError(
                f"{argument}: no image there: give a file, a folder of images or a pattern"
            )
        named += found
    double = [name for name, count in Counter(name for name, _ in named).items() if count > 1]
    if double:
        raise ValueError(f"two images are called {double[0]}: give their common folder instead")
    return dict(named)


def prediction_table(answers: Sequence[Answer]) -> list[str]:
    """Lines for the screen: the name, then class and share of the vote or probability, best first."""
    width = max(len(answer.filename) for answer in answers)
    return [
        f"{printable(answer.filename):<{width}}  "
        + "  ".join(f"{printable(name)} {share:.2f}" for name, share in answer.ranked)
        for answer in answers
    ]


def write_predictions(path: Path, answers: Sequence[Answer]) -> None:
    """Write ``filename,label``, one row an image, atomically."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["filename", "label"])
    writer.writerows((answer.filename, answer.ranked[0][0]) for answer in answers)
    with atomic_path(path) as temporary:
        # names of files need not be valid UTF-8; this keeps their bytes
        temporary.write_text(text.getvalue(), "utf-8", "surrogateescape")


def _classical(path: Path, arrays: dict[str, np.ndarray]) -> ClassicalModel:
    config = json.loads(str(arrays["config"]))
    classifier = KNNClassifier(config["k"], metric=config["metric"], p=config["p"], tie=config["tie"])
    classifier.fit(arrays["features"], arrays["labels"])
    options = {name: tuple(value) if isinstance(value, list) else value for name, value in config.items()}
    extractor: TinyImage | BagOfWords
    if config["method"] == "tiny":
        extractor = TinyImage(**{name: options[name] for name in TINY_OPTIONS}).fit([])
    elif config["method"] == "bow":
        settings = {name: options[name] for name in BAG_OPTIONS}
        # the same descriptors without torch
        backend = str(settings.pop("backend"))
        settings["backend"] = SAME_DESCRIPTORS.get(backend, backend)
        extractor = BagOfWords(Vocabulary.load(path), **settings).fit([])
    else:
        raise ValueError(f"{path}: unknown method {config['method']!r}: update scenebench")
    return ClassicalModel(extractor, classifier)


def _is_hidden(relative: Path) -> bool:
    return any(part.startswith(".") for part in relative.parts)
