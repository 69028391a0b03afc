"""The network experiments run: each setting trained, its rows and figures kept as soon as it is done."""

import dataclasses
import shutil
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from deep.complexity import complexity
from deep.recipes import RECIPES, Recipe, find_recipe, limited
from deep.weights import FILE_NAME
from deep.zoo import image_shape
from experiments.cnn import Job, Result, pick_device, train_job
from experiments.data import is_taken_unasked
from experiments.network_data import (
    ARRAY_SETS,
    NetworkData,
    first_of_each_class,
    load_network_data,
    set_of,
)
from experiments.network_tables import (
    NETWORK_EXPERIMENTS,
    ONE_VIEW,
    OWN,
    Experiment,
    Setting,
    figure_name,
)
from experiments.tables import DIVERGED, Ledger, Measured, Row
from reports import environment, read_run
from reports.panels import panels_figure
from scenes.dataset import fingerprint
from scenes.files import atomic_path
from scenes.formats import ArrayPart, pixel_hashes, select_part

# A --lite training: an epoch of small batches over so many images a class, fewer where images are large.
LOOK_FIT, LOOK_FIT_LARGE, LOOK_HELDOUT, LOOK_BATCH = 4, 2, 2, 8
LARGE = 64  # pixels

MERGED_METRIC = "accuracy after merging"


@dataclass(frozen=True)
class Call:
    """What one call of the command asks for, and where it writes.

    results, figures : folders of the tables, and of a folder of curves for each report.
    data, dataset, split : other images than the report's own set, as the flags of these names.
    """

    runs_dir: Path
    results: Path
    figures: Path
    command: Sequence[str]
    data: str | None = None
    dataset: str | None = None
    split: float | None = None
    lite: bool = False
    fresh: bool = False
    jobs: int | None = None
    device: str | None = None
    precision: str | None = None


@dataclass(frozen=True)
class _Heldout:
    """The images that a row was measured on."""

    name: str
    fingerprint: Mapping[str, str]
    test: ArrayPart

    @classmethod
    def of(cls, data: NetworkData) -> "_Heldout":
        return cls(data.name, {"test": data.heldout_fingerprint}, data.heldout)


class Runner:
    """Runs experiments of one call; images that several settings share are read once."""

    def __init__(self, call: Call):
        self.call = call
        self.device = pick_device(call.device)
        self._last: tuple[object, NetworkData] | None = None
        self._noted: set[str] = set()
        self._precisions: dict[tuple[str, int], str] = {}  # of a network and a batch: measured once

    def run(
        self, name: str, only: Sequence[str] = (), seeds: Sequence[int] = (), *, again: bool = False
    ) -> tuple[Ledger | None, list[str]]:
        """Train what is not done yet of an experiment; its table, and the labels of settings that failed.

        `only` and `seeds` choose settings by label and of their seeds; none are all. What is done is left
        alone unless `again`. A setting's rows are written together when it is done; one that stopped halfway
        goes on. A loss that is no number is a result, as a failed row; another ValueError costs its own
        setting only. No table where the images cannot serve the experiment (R4's merged classes are digits).
        """
        experiment, failed, ledger = NETWORK_EXPERIMENTS[name], [], None
        for setting in experiment.settings:
            if only and setting.label not in only:
                continue
            recipe = chosen_recipe(setting, self.call.lite)
            data = self._images(experiment, setting, recipe)
            if data is None:
                print(f"{name}: left out: {setting.label} needs the digits")
                continue
            if data.note not in self._noted:
                self._noted.add(data.note)
                print(data.note, flush=True)
            ledger = self._ledger(experiment, data)
            of_setting, news = self._seeds(setting), False
            for seed in of_setting:
                if seeds and seed not in seeds:
                    continue
                if ledger.has_done(setting.label, (seed,)) and not (again or self.call.fresh):
                    continue
                which = f"{setting.label}, seed {seed}" if len(of_setting) > 1 else setting.label
                print(f"{name}: {which}: {setting.model}, {recipe.total_epochs:g} epochs", flush=True)
                try:
                    self._train(experiment, setting, recipe.changed(seed=seed), data, ledger)
                    news = True
                except ValueError as error:
                    failed.append(which)
                    ledger.fail(setting.label, str(error), seeds=(seed,))
                    print(f"{name}: {which} failed: {error}", flush=True)
            if len(of_setting) > 1 and (news or not ledger.has_done(setting.label, of_setting)):
                ledger.fill(over_seeds(ledger.latest(), setting, of_setting))
        return ledger, failed

    def _seeds(self, setting: Setting) -> tuple[int, ...]:
        return setting.seeds[:1] if self.call.lite else setting.seeds

    def _ledger(self, experiment: Experiment, data: NetworkData) -> Ledger:
        threads = torch.get_num_threads()
        hardware = f"{environment(threads)['hardware']}, {threads} threads"
        if self.device.type == "cuda":
            hardware = f"{torch.cuda.get_device_name(self.device)}, {hardware}"
        path = self.call.results / f"{experiment.name}.csv"
        return Ledger(path, experiment.name, _Heldout.of(data), self.call.command, self.call.jobs,
                      report=experiment.report, hardware=hardware)  # fmt: skip

    def _train(
        self, experiment: Experiment, setting: Setting, recipe: Recipe, data: NetworkData, ledger: Ledger
    ) -> None:
        call = self.call
        if call.lite:
            recipe = recipe.changed(batch_size=max(1, min(LOOK_BATCH, len(data.train) // 2)))
        # in a look the measuring takes longer than the training
        precision = call.precision or ("fp32" if call.lite else None)
        precision = precision or self._precisions.get((setting.model, recipe.batch_size))
        half = experiment.report == OWN and not call.lite  # small enough to come with the project
        job = Job(setting.model, recipe, data, dict(setting.options), "squash", str(self.device), precision,
                  half, setting.pixels)  # fmt: skip
        name = f"{experiment.name}-{setting.slug}"
        if len(setting.seeds) > 1:
            name += f"-seed{recipe.seed}"
        result = train_job(
            job, call.runs_dir, call.command, resume=not call.fresh, name=name, keep_diverged=True
        )
        assert result is not None  # one process only
        self._precisions[setting.model, recipe.batch_size] = result.trained.precision
        # rows before figures: a full disk there must not cost the training
        epoch = result.trained.diverged_epoch
        hardware = f"{ledger.hardware}, {result.trained.precision}"
        if epoch is None:
            found = measured(setting, job, result)
            ledger.fill([dataclasses.replace(each, hardware=hardware) for each in found])
        else:
            ledger.fail(setting.label, f"{DIVERGED} {epoch}", result.accuracy, (recipe.seed,), hardware)
        if recipe.seed == setting.seeds[0]:
            self._draw(experiment, setting, result.trained.history)
            if experiment.confusions:
                target = self._figure(experiment, setting, "confusion")
                with atomic_path(target) as temporary:
                    shutil.copyfile(result.folder / "confusion.svg", temporary)
        if call.lite:
            (result.folder / FILE_NAME).unlink()  # gigabytes over all experiments

    def _figure(self, experiment: Experiment, setting: Setting, kind: str) -> Path:
        path = self.call.figures / figure_name(experiment, setting, kind)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def _draw(self, experiment: Experiment, setting: Setting, history: Sequence[dict]) -> None:
        if experiment.panels and history:
            stem = self._figure(experiment, setting, "curves").with_suffix("")
            png, _ = panels_figure(history, experiment.panels, stem, setting.label)
            png.unlink()

    def _images(self, experiment: Experiment, setting: Setting, recipe: Recipe) -> NetworkData | None:
        """The images of a setting, the same ones for the next of the same set; None where they cannot do."""
        call, size = self.call, image_shape(setting.model, None, setting.pixels)
        own = call.data is None and call.dataset is None and is_taken_unasked(experiment.dataset)
        dataset = experiment.dataset if own else call.dataset
        # sets in arrays stay at their own size
        stored = None if own and experiment.dataset in ARRAY_SETS else size
        few, large = experiment.train_images, max(size[1:]) > LARGE
        key = (dataset, stored, experiment.course_split, few, recipe.merge, self.call.lite and large)
        if self._last is None or self._last[0] != key:
            self._last = None  # let go of it before the next is read

            def load(merge) -> NetworkData:
                return load_network_data(
                    setting.model, size, data=call.data, dataset=dataset, split=call.split, lite=call.lite,
                    course_split=own and experiment.course_split, merge=merge, seed=recipe.seed,
                    jobs=call.jobs,
                )  # fmt: skip

            if recipe.merge and not own and len(load(()).classes) != sum(map(len, recipe.merge)):
                return None
            found = load(recipe.merge)
            if call.lite:
                found = _fewer(found, large)
            elif few is not None and few < len(found.train):
                found = _part_of(found, few)
            self._last = (key, found)
        return self._last[1]


def chosen_recipe(setting: Setting, lite: bool = False) -> Recipe:
    """The recipe of a setting, with the network's size limit; of one epoch where `lite`."""
    recipe = limited(find_recipe(setting.recipe), setting.model).changed(**setting.changes)
    return recipe.changed(epochs=1, resolutions=()) if lite else recipe


def measured(setting: Setting, job: Job, result: Result) -> Iterator[Measured]:
    """What a training gave, one figure a metric; the report's own beside it where the images are its set."""
    reported = setting.reported if job.data.name == set_of(setting.model) else {}
    trained = result.trained
    kept = trained.history[trained.epoch - 1]
    with torch.device("meta"):
        counts = complexity(job.untrained(), job.input_size)
    figures = {
        "accuracy": result.accuracy,
        ONE_VIEW: read_run(result.folder).result.get("plain_accuracy"),
        "train accuracy": kept["train_accuracy"],
        "select accuracy": kept["select_accuracy"],
        "train loss": kept["train_loss"],
        "select loss": kept["select_loss"],
        "held-out loss": kept["heldout_loss"],
        "generalisation gap": kept["train_accuracy"] - result.accuracy,
        "loss gap": None if kept["heldout_loss"] is None else kept["heldout_loss"] - kept["train_loss"],
        "training seconds": trained.seconds,
        "epoch seconds": float(np.mean([row["seconds"] for row in trained.history])),
        "images per second": trained.images_per_second,
        "MB": counts.file_bytes / 1e6,
        "MACs": counts.macs,
        "parameters": counts.parameters,
        "trainable parameters": counts.trainable,
    }
    if job.model == "mnist_conv3" and not job.recipe.merge:
        figures[MERGED_METRIC] = merged_accuracy(result.folder, RECIPES["r4-merged"].merge)
    for metric, value in figures.items():
        if value is not None:
            seconds = trained.seconds if metric == "accuracy" else None
            yield Measured(
                setting.label, metric, (float(value),), reported.get(metric), seconds,
                (job.recipe.seed,),
            )  # fmt: skip


def over_seeds(rows: Sequence[Row], setting: Setting, seeds: Sequence[int]) -> Iterator[Measured]:
    """The means of a setting's figures over its seeds, of those that every seed has."""
    own = {(row.metric, row.seeds): row for row in rows if row.setting == setting.label}
    for metric in dict.fromkeys(metric for metric, _ in own):
        each = [own.get((metric, str(seed))) for seed in seeds]
        found = [row for row in each if row is not None and row.status == "done"]
        if len(found) < len(seeds):
            continue
        seconds = [float(row.seconds) for row in found if row.seconds]
        yield Measured(
            setting.label, metric, tuple(float(row.measured) for row in found),
            float(found[0].reported) if found[0].reported else None,
            statistics.mean(seconds) if seconds else None, tuple(seeds), found[0].hardware,
        )  # fmt: skip


def merged_accuracy(folder: Path, groups: Sequence[Sequence[int]]) -> float | None:
    """The accuracy of a run's predictions after classes are taken together; None where groups do not fit."""
    run = read_run(folder)
    group = {
        run.classes[i]: number for number, each in enumerate(groups) for i in each if i < len(run.classes)
    }
    if len(group) != sum(map(len, groups)) or len(group) != len(run.classes):
        return None
    pairs = zip(run.labels, run.predicted, strict=True)
    return sum(group[label] == group[predicted] for label, predicted in pairs) / len(run.labels)


def _fewer(data: NetworkData, large: bool) -> NetworkData:
    """A few images a class, for a look."""
    train, heldout = LOOK_FIT_LARGE if large else LOOK_FIT, LOOK_HELDOUT
    return dataclasses.replace(
        data,
        train=first_of_each_class(data.train, train),
        heldout=first_of_each_class(data.heldout, heldout),
        note=f"{data.note}; {train} + {heldout} a class of these",
    )  # fmt: skip


def _part_of(data: NetworkData, count: int) -> NetworkData:
    """A seeded part of the training images, about as many of each class as its share."""
    _, rows = select_part(data.train.labels, 0, count / len(data.train))
    train = data.train.select(rows)
    print_ = fingerprint(pixel_hashes(train.images), [data.classes[label] for label in train.labels])
    return dataclasses.replace(
        data, train=train, train_fingerprint=print_,
        note=f"{data.note}; {len(rows)} of the training images (seed 0)",
    )  # fmt: skip
