"""Saved runs put to use: which images are meant, what they are called, and what they show."""

import csv
import glob
import io
import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from classifiers import KNNClassifier
from features import BagOfWords, TinyImage, Vocabulary
from scenes.files import atomic_path, read_npz
from scenes.reading import SUFFIXES, UnreadableImage, read_pixels

SHOWN_CLASSES = 3

# What of a run's configuration its vectors depend on.
TINY_OPTIONS = ("size", "resample", "norm", "zero_mean", "crop", "max_side", "resize")
BAG_OPTIONS = ("step", "bin_size", "window", "dtype", "norm", "backend", "max_side", "resize")


@dataclass(frozen=True)
class Answer:
    """One image: its name, and class names with their share of the vote, best first."""

    filename: str
    ranked: tuple[tuple[str, float], ...]


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
                if not skip_unreadable:
                    raise
                print(f"skipped: {error}", file=sys.stderr)
            else:
                readable[name] = path
        if not readable:
            raise ValueError("no readable image left: give others")
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


def load_model(path: Path) -> ClassicalModel:
    """The model in a run folder or in a ``model.npz``.

    Raises
    ------
    FileNotFoundError, ValueError
        No such file; a folder of several runs; a file that holds no model of this project.
    """
    if path.is_dir():
        if (path / "table.csv").is_file() and not (path / "model.npz").exists():
            raise ValueError(f"{path} holds several runs: give one of the folders in it")
        path = path / "model.npz"
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such model: give a run folder or a model.npz")
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
    """Lines for the screen: the name, then class and share of the vote, best first."""
    width = max(len(answer.filename) for answer in answers)
    return [
        f"{_printable(answer.filename):<{width}}  "
        + "  ".join(f"{_printable(name)} {share:.2f}" for name, share in answer.ranked)
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
        extractor = BagOfWords(Vocabulary.load(path), **settings).fit([])
    else:
        raise ValueError(f"{path}: unknown method {config['method']!r}: update scenebench")
    return ClassicalModel(extractor, classifier)


def _is_hidden(relative: Path) -> bool:
    return any(part.startswith(".") for part in relative.parts)


def _printable(name: str) -> str:
    """A file's name without what could break a line or a terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in name)
