"""The reports' experiments as tables: what was reported, what comes out here, and the rows that record it."""

import csv
import shlex
import statistics
import subprocess
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Protocol

import numpy as np
from joblib import effective_n_jobs
from sklearn.model_selection import GridSearchCV
from sklearn.svm import LinearSVC

from experiments.classical import Encoded, Voting, bag_vectors, classify, combinations, tiny_vectors
from experiments.data import PROJECT
from experiments.expected import known_set
from experiments.tuning import tune_tiny
from features import BagOfWords, TinyImage
from reports import INDOOR, RunRecord, block_error_share, build_result
from reports.environment import environment
from scenes.dataset import SceneDataset
from scenes.files import atomic_path

SEEDS = (0, 1, 2, 3, 4)
SIZE_SEEDS = (0, 1, 2)
KS = tuple(range(1, 11))

# Report R1, part 1: accuracies on its 1,500 test images.
R1_TINY_K = (0.2233, 0.1787, 0.1887, 0.2047, 0.2020, 0.1980, 0.2000, 0.2033, 0.1980, 0.2020)
R1_BOW_K = (0.5933, 0.5780, 0.5820, 0.5920, 0.5927, 0.5947, 0.6013, 0.6120, 0.6033, 0.5973)
R1_BOW_STEP = {1: 0.6120, 3: 0.5833, 5: 0.5453}

# How the reason of a training begins whose loss was no number: it failed, and is a result.
DIVERGED = "diverged in epoch"


@dataclass(frozen=True)
class Row:
    """One measurement, as it stands in ``results/<experiment>.csv``."""

    experiment: str
    report: str
    setting: str
    dataset: str
    fingerprint: str
    seeds: str
    metric: str
    reported: str
    measured: str
    n_test: str
    n_seeds: str
    spread: str
    seconds: str
    hardware: str
    command: str
    commit: str
    date: str
    status: str = "done"
    reason: str = ""

    @property
    def key(self) -> tuple[str, ...]:
        """What a row measures; the last row of a key counts."""
        return self.experiment, self.setting, self.metric, self.seeds, self.fingerprint


HEADER = tuple(column.name for column in fields(Row))


def figure(row: Row) -> str:
    """What was measured, with the spread over seeds if there is one, as pages show it."""
    return f"{float(row.measured):.4f}" + (f" ± {float(row.spread):.4f}" if row.spread else "")


@dataclass(frozen=True)
class Measured:
    """A figure before it becomes a row: one value a seed."""

    setting: str
    metric: str
    values: tuple[float, ...]
    reported: float | None = None
    seconds: float | None = None
    seeds: tuple[int, ...] = ()
    hardware: str | None = None  # where it is not that of the whole table


class ImageSet(Protocol):
    """What a row says of the images it was measured on."""

    @property
    def name(self) -> str: ...
    @property
    def fingerprint(self) -> Mapping[str, str]: ...
    @property
    def test(self) -> Sized: ...


class Ledger:
    """The rows of one experiment: read, asked for, appended as they are made."""

    def __init__(
        self,
        path: Path,
        experiment: str,
        dataset: ImageSet,
        command: Sequence[str],
        n_jobs: int | None,
        *,
        report: str = "R1",
        hardware: str | None = None,
    ):
        self.path, self.experiment, self.dataset = path, experiment, dataset
        self.rows = read_rows(path)
        if hardware is None:
            threads = effective_n_jobs(n_jobs or -1)
            hardware = f"{environment(threads)['hardware']}, {threads} threads"
        self._common = {
            "experiment": experiment, "report": report, "dataset": dataset.name,
            "fingerprint": dataset.fingerprint["test"], "n_test": str(len(dataset.test)),
            "hardware": hardware, "command": shlex.join(command), "commit": commit(),
        }  # fmt: skip

    @property
    def hardware(self) -> str:
        """Processor, cores and threads, as in its rows."""
        return self._common["hardware"]

    def fill(self, measurements: Iterable[Measured]) -> None:
        """Append the rows of a whole experiment: all of them, or one that says why there are none.

        What the last rows say already, seconds included, was read off the same run folders and is not said
        again.
        """
        try:
            found = list(measurements)
        except (ValueError, OSError) as error:
            self.fail("all", str(error))
            raise
        rows = [self._row(each) for each in found]
        if rows and list(map(_measurement, rows)) != list(map(_measurement, self._own()[-len(rows) :])):
            self._append(*rows)

    def fail(
        self,
        setting: str,
        reason: str,
        accuracy: float | None = None,
        seeds: tuple[int, ...] = (),
        hardware: str | None = None,
    ) -> None:
        """Append a row that says why a setting has no result, with the accuracy it had come to, if any."""
        self._append(Row(
            setting=setting, metric="accuracy", seeds=" ".join(map(str, seeds)), reported="",
            measured=_number(accuracy), n_seeds=str(len(seeds) or ""), spread="", seconds="",
            status="failed", reason=" ".join(reason.split()), **self._origin(hardware),
        ))  # fmt: skip

    def _row(self, found: Measured) -> Row:
        spread = statistics.stdev(found.values) if len(found.values) > 1 else None
        return Row(
            setting=found.setting, metric=found.metric,
            seeds=" ".join(map(str, found.seeds)), reported=_number(found.reported),
            measured=_number(statistics.mean(found.values)), n_seeds=str(len(found.values)),
            spread=_number(spread), seconds=_number(found.seconds, 1), **self._origin(found.hardware),
        )  # fmt: skip

    def _origin(self, hardware: str | None) -> dict[str, str]:
        """Where and when a row was made, on other hardware than the table's if given."""
        today = {"date": f"{datetime.now(UTC):%Y-%m-%d}"}
        return self._common | today | ({"hardware": hardware} if hardware else {})

    def _append(self, *rows: Row) -> None:
        # another call may have written to the table since this one began
        self.rows = [*read_rows(self.path), *rows]
        write_rows(self.path, self.rows)

    def latest(self) -> list[Row]:
        """The row of each key that counts for this very data set, in the order of first appearance."""
        return list({row.key: row for row in self._own()}.values())

    def has_done(self, setting: str | None = None, seeds: Sequence[int] | None = None) -> bool:
        """Whether rows for this very data set stand there, of this setting, made after any that failed.

        With `seeds` rows of these together. A training that diverged would do so again: it counts as done.
        """
        wanted = None if seeds is None else " ".join(map(str, seeds))
        own = [row for row in self._own() if setting in (None, row.setting) and wanted in (None, row.seeds)]
        return bool(own) and (own[-1].status == "done" or own[-1].reason.startswith(DIVERGED))

    def _own(self) -> list[Row]:
        return [row for row in self.rows if row.fingerprint == self._common["fingerprint"]]


def _measurement(row: Row) -> Row:
    """The row without when and by what it was written."""
    return replace(row, command="", commit="", date="")


def read_rows(path: Path) -> list[Row]:
    """The rows of a results table; none where there is no file."""
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        if tuple(reader.fieldnames or ()) != HEADER:
            raise ValueError(f"{path}: its header is not that of a results table: move the file away")
        return [Row(**row) for row in reader]


def write_rows(path: Path, rows: Iterable[Row]) -> None:
    """Write a results table, atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, HEADER, lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)


@cache
def commit() -> str:
    """The commit of this project, ``-dirty`` where a tracked file but results and pages differs from it.

    Asked once: what is changed while a process runs is not what it runs.
    """

    def git(*arguments: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(PROJECT), *arguments], capture_output=True, text=True, check=False
        )
        return done.stdout.strip()

    head = git("rev-parse", "--short=12", "HEAD")
    elsewhere = (".", ":!results", ":!README.md", ":!docs")
    changed = git("status", "--porcelain", "--untracked-files=no", "--", *elsewhere)
    return f"{head or 'unknown'}{'-dirty' if changed else ''}"


def tiny_k(dataset: SceneDataset, n_jobs: int | None, fresh: bool) -> Iterator[Measured]:
    """R1's table of k for tiny images, and what its confusion matrix at k = 1 shows."""
    encoded = tiny_vectors(dataset, TinyImage(n_jobs=n_jobs))
    for k, record, reported in zip(
        KS, _records(dataset, encoded, KS, "tiny", n_jobs), R1_TINY_K, strict=True
    ):
        yield Measured(f"k={k}", "accuracy", (_accuracy(record),), reported)
        if k == 1:
            yield from _error_shape([record], "k=1")
            counts = sorted(((record.predicted.count(name), name) for name in dataset.classes), reverse=True)
            for count, name in counts[:5]:
                yield Measured("k=1", f"predicted {name}", (count,))


def tiny_norms(dataset: SceneDataset, n_jobs: int | None, fresh: bool) -> Iterator[Measured]:
    """R1's way past 0.2: euclidean and cityblock under three norms, k = 1 ... 10."""
    for norm in ("l2", "l1", "l1_matrix"):
        encoded = tiny_vectors(dataset, TinyImage(norm=norm, n_jobs=n_jobs))
        for metric in ("euclidean", "cityblock"):
            for k, record in zip(KS, _records(dataset, encoded, KS, "tiny", n_jobs, metric), strict=True):
                yield Measured(f"{metric} {norm} k={k}", "accuracy", (_accuracy(record),))


def tiny_tune(dataset: SceneDataset, n_jobs: int | None, fresh: bool) -> Iterator[Measured]:
    """Tiny images tuned on the training images, read once on the test images."""
    chosen = tune_tiny(dataset, crop=False, max_side=480, resize=None, n_jobs=n_jobs, seed=0)
    extractor = TinyImage(
        chosen.size, resample=chosen.resample, norm=chosen.norm, zero_mean=chosen.zero_mean, n_jobs=n_jobs
    )
    encoded = tiny_vectors(dataset, extractor)
    record = next(_records(dataset, encoded, (chosen.k,), "tiny", n_jobs, chosen.metric))
    mean = "zero mean" if chosen.zero_mean else "mean kept"
    setting = (
        f"{chosen.size}x{chosen.size} {chosen.resample} {chosen.norm} {mean} {chosen.metric} k={chosen.k}"
    )
    yield Measured(setting, "cross-validated accuracy", (chosen.accuracy,))
    yield Measured(setting, "accuracy", (_accuracy(record),), R1_TINY_K[0])


def bow_k(dataset: SceneDataset, n_jobs: int | None, fresh: bool) -> Iterator[Measured]:
    """R1's table of k for bags of SIFT, over vocabulary seeds, and the shape of the errors at k = 8."""
    by_seed = [
        list(_records(dataset, encoded, KS, "bow", n_jobs))
        for encoded in _bags(dataset, n_jobs, fresh, step=(1,), n_words=(400,), random_state=SEEDS)
    ]
    for place, (k, reported) in enumerate(zip(KS, R1_BOW_K, strict=True)):
        records = [records[place] for records in by_seed]
        seconds = statistics.mean(record.timings["total"] for record in records)
        yield Measured(f"k={k}", "accuracy", tuple(map(_accuracy, records)), reported, seconds, SEEDS)
        if k == 8:
            yield from _error_shape(records, "k=8", SEEDS)


def bow_step(dataset: SceneDataset, n_jobs: int | None, fresh: bool) -> Iterator[Measured]:
    """R1's table of steps at k = 8, with descriptors an image."""
    for step, reported in R1_BOW_STEP.items():
        found = list(_bags(dataset, n_jobs, fresh, step=(step,), n_words=(400,), random_state=SEEDS))
        yield from _at_eight(dataset, found, f"step={step}", SEEDS, n_jobs, reported)
        per_image = tuple(encoded.columns["descriptors_per_image"] for encoded in found[:1])
        yield Measured(f"step={step}", "descriptors per image", per_image)


def bow_words(dataset: SceneDataset, n_jobs: int | None, fresh: bool) -> Iterator[Measured]:
    """Accuracy and seconds over the number of words, at step 1 and k = 8."""
    for n_words in (10, 25, 50, 100, 200, 400, 800):
        found = list(_bags(dataset, n_jobs, fresh, step=(1,), n_words=(n_words,), random_state=SIZE_SEEDS))
        yield from _at_eight(dataset, found, f"words={n_words}", SIZE_SEEDS, n_jobs)


def bow_sample(dataset: SceneDataset, n_jobs: int | None, fresh: bool) -> Iterator[Measured]:
    """Accuracy, and seconds of the vocabulary, over the descriptors sampled from an image; step 1, k = 8."""
    for count in (1, 3, 10, 30, 100, 300):
        if count * len(dataset.train) < 400:
            continue  # too few for 400 words, in a look
        grid = {"step": (1,), "descriptors_per_image": (count,), "random_state": SIZE_SEEDS}
        found = list(_bags(dataset, n_jobs, fresh, n_words=(400,), **grid))
        yield from _at_eight(dataset, found, f"descriptors={count}", SIZE_SEEDS, n_jobs)
        made = [encoded.vocabulary_making for encoded in found if encoded.vocabulary_making is not None]
        seconds = tuple(making.seconds for making in made)
        yield Measured(f"descriptors={count}", "vocabulary seconds", seconds, seeds=SIZE_SEEDS)


def bow_svm(dataset: SceneDataset, n_jobs: int | None, fresh: bool) -> Iterator[Measured]:
    """The yardstick: the same histograms under a linear SVM, C chosen on the training images."""
    values = []
    for encoded in _bags(
        dataset, n_jobs, fresh, norm="hellinger", step=(1,), n_words=(400,), random_state=SEEDS
    ):
        svm = linear_svm(dataset.train.labels).fit(encoded.train, dataset.train.labels)
        values.append(float(svm.score(encoded.test, dataset.test.labels)))
    yield Measured("hellinger, C by 5-fold cross-validation", "accuracy", tuple(values), seeds=SEEDS)


def linear_svm(labels: Sequence[str]) -> GridSearchCV:
    """A linear SVM whose C is chosen by cross-validation in 5 folds, fewer where a class is smaller."""
    folds = min(5, min(Counter(labels).values()))
    return GridSearchCV(LinearSVC(random_state=0, max_iter=20000), {"C": [0.1, 1, 10, 100]}, cv=folds)


EXPERIMENTS: dict[str, Callable[[SceneDataset, int | None, bool], Iterator[Measured]]] = {
    "r1-tiny-k": tiny_k,
    "r1-tiny-norms": tiny_norms,
    "r1-tiny-tune": tiny_tune,
    "r1-bow-k": bow_k,
    "r1-bow-step": bow_step,
    "r1-bow-words": bow_words,
    "r1-bow-sample": bow_sample,
    "r1-bow-svm": bow_svm,
}


def measurements(
    experiment: str, dataset: SceneDataset, n_jobs: int | None, fresh: bool
) -> Iterator[Measured]:
    """What an experiment measures; R1's figures stand beside it only where the images are R1's."""
    same_images = known_set(dataset) == "scene15"
    for found in EXPERIMENTS[experiment](dataset, n_jobs, fresh):
        yield found if same_images else replace(found, reported=None)


def _bags(dataset, n_jobs, fresh, norm="none", **grid) -> Iterator[Encoded]:
    for setting in combinations(**grid):
        yield from bag_vectors(dataset, BagOfWords(**setting, n_jobs=n_jobs), (norm,), fresh=fresh)


def _records(dataset, encoded, ks, name, n_jobs, metric="cityblock") -> Iterator[RunRecord]:
    return classify(dataset, encoded, Voting(tuple(ks), metric), name=name, command=[], n_jobs=n_jobs)


def _at_eight(dataset, found, setting, seeds, n_jobs, reported=None) -> Iterator[Measured]:
    records = [next(_records(dataset, encoded, (8,), "bow", n_jobs)) for encoded in found]
    seconds = statistics.mean(record.timings["total"] for record in records)
    yield Measured(setting, "accuracy", tuple(map(_accuracy, records)), reported, seconds, seeds)


def _error_shape(
    records: Sequence[RunRecord], setting: str, seeds: tuple[int, ...] = ()
) -> Iterator[Measured]:
    """The measures that R1's reading of its two matrices comes down to."""
    results = [build_result(record) for record in records]
    for name in ("asymmetry", "column_concentration"):
        yield Measured(
            setting, name.replace("_", " "), tuple(result[name] for result in results), seeds=seeds
        )
    found = [block_error_share(np.array(r["confusion"]), r["classes"], INDOOR) for r in results]
    shares = tuple(share for share in found if share is not None)
    if len(shares) == len(results):
        yield Measured(setting, "share of errors among indoor classes", shares, seeds=seeds)


def _accuracy(record: RunRecord) -> float:
    return float((np.array(record.predicted) == np.array(record.labels)).mean())


def _number(value: float | None, digits: int = 4) -> str:
    if value is None:
        return ""
    if digits == 4 and 0 < abs(value) < 5e-5:
        return f"{value:.3g}"  # a small p-value is not 0
    return str(int(value)) if float(value).is_integer() and digits == 4 else f"{value:.{digits}f}"
