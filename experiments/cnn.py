"""A network's whole way: build, train, save, evaluate once, write the run folder."""

import contextlib
import csv
import dataclasses
import functools
import hashlib
import json
import math
import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import nn

from deep.complexity import complexity, file_bytes, layer_table, write_layers_csv
from deep.data import Images, Normalizer, pixel_statistics
from deep.diagram import write_diagram
from deep.recipes import Recipe
from deep.training import (
    PRECISIONS,
    DivergedError,
    Setup,
    Trained,
    Trainer,
    check_recipe,
    faster_precision,
    on_device,
    predict_logits,
)
from deep.weights import FILE_NAME, SavedModel, check_size, load_saved, save_model
from deep.zoo import build_model, image_shape
from experiments.network_data import NetworkData
from reports import Facts, RunRecord, Shown, confusion_matrix, diagnose, environment, write_run
from reports.curves import learning_curves_figure
from scenes.dataset import in_folders
from scenes.files import atomic_path

METRIC_COLUMNS = ("epoch", "train_loss", "train_accuracy", "select_loss", "select_accuracy", "heldout_loss",
                  "heldout_accuracy", "lr", "seconds")  # fmt: skip


Made = TypeVar("Made")


@dataclass(frozen=True)
class Job:
    """One training: the network, its settings, the images, and where it computes.

    options : what `build_model` is given beside classes and size. resize : "squash" or "crop".
    precision : "fp32", "bf16", "fp16", or None: the faster one, measured. half : also store float16 weights.
    pixels : side of the images that the network is shown; None: its own.
    n_settings : how many settings beside seeds are compared on the held-out images, this one among them.
    """

    model: str
    recipe: Recipe
    data: NetworkData
    options: dict = dataclasses.field(default_factory=dict)
    resize: str = "squash"
    device: str = "cpu"
    precision: str | None = None
    half: bool = False
    pixels: int | None = None
    n_settings: int = 1

    @property
    def all_options(self) -> dict:
        """The options with the recipe's dropout and batch norm among them."""
        return self.options | self.recipe.network_options

    @property
    def input_size(self) -> tuple[int, int, int]:
        """(C, H, W) of what the network is shown."""
        return image_shape(self.model, self.data.channels, self.pixels)

    def untrained(self, **options) -> nn.Module:
        """The network as the recipe's seed makes it; `options` replace some of its own."""
        torch.manual_seed(self.recipe.seed)
        return build_model(
            self.model, num_classes=len(self.data.classes), input_size=self.input_size,
            **(self.all_options | options),
        )  # fmt: skip

    @property
    def key(self) -> str:
        """Eight hex digits of everything the weights depend on but precision and threads."""
        parts = {
            "model": self.model, "options": self.all_options, "recipe": self.recipe.as_json(),
            "images": [self.data.train_fingerprint, len(self.data.train)], "classes": self.data.classes,
            "resize": self.resize, **({"pixels": self.pixels} if self.pixels else {}),
        }  # fmt: skip
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:8]


@dataclass(frozen=True)
class Result:
    """A finished training: its run folder and what was measured."""

    folder: Path
    accuracy: float
    trained: Trained


def pick_device(name: str | None) -> torch.device:
    """The device of this name: ``cpu``, ``cuda``, ``cuda:1`` or ``mps``; None takes CUDA where there is one.

    Raises
    ------
    ValueError
        The device is not there.
    """
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ValueError(f"--device {name} is unknown: give cpu, cuda, cuda:N or mps") from None
    kind = device.type
    if kind == "cuda" and not torch.cuda.is_available():
        raise ValueError("no CUDA device is available: use --device cpu")
    if kind == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ValueError(f"--device {name}: there are {torch.cuda.device_count()}, counted from 0")
    if kind == "mps" and not torch.backends.mps.is_available():
        raise ValueError("no MPS device is available: use --device cpu")
    if kind not in ("cpu", "cuda", "mps"):
        raise ValueError(f"--device {name} is unknown: give cpu, cuda, cuda:N or mps")
    return device


def unfinished_folder(job: Job, runs_dir: Path) -> Path:
    """Where the checkpoints of a training lie until its run folder is written."""
    return Path(runs_dir) / ".unfinished" / f"{job.model}-{job.key}"


def _advising_on_memory(train: Callable[..., Made]) -> Callable[..., Made]:
    """A training whose GPU runs full ends with a line that says which batch to try."""

    @functools.wraps(train)
    def advising(job: Job, *args, **kwargs) -> Made:
        try:
            return train(job, *args, **kwargs)
        except torch.cuda.OutOfMemoryError:
            smaller = max(1, job.recipe.batch_size // 2)
            raise ValueError(f"out of memory on the GPU: try --batch-size {smaller}") from None

    return advising


@_advising_on_memory
def train_job(
    job: Job,
    runs_dir: Path,
    command: Sequence[str],
    *,
    resume: bool = False,
    on_epoch: Sequence[Callable[[dict], object]] = (),
    name: str | None = None,
    show_progress: bool | None = None,
    rank: int = 0,
    world: int = 1,
    at: Path | None = None,
    keep_diverged: bool = False,
    page: bool = True,
) -> Result | None:
    """Train a network, save it, read the held-out images once and write the run folder.

    A training that was stopped lies in ``RUNS/.unfinished/``; `resume` goes on there. The run folder is `at`
    where that is given, else in `runs_dir`. With `keep_diverged` a training that diverges is a run like any
    other, of the last weights whose outputs are numbers, if need be the untrained ones. `page`: with
    ``report.html``. None on all but the first process of several.

    Raises
    ------
    TooLargeError
        Over the recipe's size limit; before training if the parameters show it.
    DivergedError
        The loss is no longer a number.
    ValueError
        Out of memory on the GPU, with the batch size to try; settings the images or the network cannot have.
    """
    recipe, data, input_size = job.recipe, job.data, job.input_size
    if job.options.get("pretrained"):
        recipe = recipe.changed(initialization="default")  # which leaves weights as they are
    network = job.untrained()
    check_size(job.model, file_bytes(network), recipe.size_limit)
    counts = complexity(network, input_size)
    fit, select = data.fit_and_select(recipe.seed, recipe.fit_all)
    device = torch.device(job.device)
    mean, std = pixel_statistics(fit.pixels)
    normalizer = Normalizer(mean, std, input_size[1:], device)
    folder = unfinished_folder(job, runs_dir)
    if not resume and folder.exists() and rank == 0:
        shutil.rmtree(folder)
    precision = job.precision
    if precision is None and rank == 0:
        precision = _precision_before(folder) or _measured(network, fit, normalizer, recipe, device)
    setup = Setup(device, _agreed(precision, device, world), rank, world)

    def trainer(network: nn.Module, folder: Path | None) -> Trainer:
        return Trainer(
            network, recipe, fit, select, normalizer, setup, folder=folder,
            heldout=data.heldout_images() if recipe.heldout_curve else None, on_epoch=on_epoch,
            show_progress=show_progress,
        )  # fmt: skip

    def saved_and_scored(trained: Trained) -> tuple[SavedModel, np.ndarray, float]:
        described = SavedModel(
            trained.model.cpu(), job.model, _kept_options(job), data.classes, input_size, tuple(mean),
            tuple(std), job.resize, recipe.as_json(),
        )  # fmt: skip
        folder.mkdir(parents=True, exist_ok=True)
        # the figure is that of the saved file, whatever the precision of the training
        saved = load_saved(save_model(folder / FILE_NAME, described, limit=recipe.size_limit))
        started = time.perf_counter()
        scores = class_scores(saved, data.heldout_images(), device, recipe.views)
        seconds = time.perf_counter() - started
        if not np.isfinite(scores).all():
            message = f"outputs are no numbers after epoch {trained.epoch}: try a lower --lr"
            raise DivergedError(message, trained.history[-1])
        return saved, scores, seconds

    try:
        trained = trainer(network, folder).run(resume=resume)
        if rank:
            return None
        saved, scores, seconds = saved_and_scored(trained)
    except DivergedError as error:
        if not keep_diverged:
            raise
        if rank:
            return None
        try:
            trained = trainer(job.untrained(), folder).last_good(error)
            saved, scores, seconds = saved_and_scored(trained)
        except DivergedError:
            trained = trainer(job.untrained(), None).last_good(error)
            saved, scores, seconds = saved_and_scored(trained)
    record = _record(job, name or job.model, command, trained, counts, scores, len(fit), len(select))
    seen = {"input_size": list(input_size), "mean": mean, "std": std, "processes": world}
    classifying = {
        "classification": round(seconds, 3),
        "ms_per_image": round(1000 * seconds / len(data.heldout), 4),
        "total": round(trained.seconds + seconds, 3),
    }
    record = dataclasses.replace(
        record, config={**record.config, **seen}, timings={**record.timings, **classifying}
    )
    if recipe.views > 1:
        plain = class_scores(saved, data.heldout_images(), device, 1)
        hits = plain.argmax(1) == data.heldout.labels
        record = dataclasses.replace(record, extra={**record.extra, "plain_accuracy": float(hits.mean())})
    record = dataclasses.replace(record, extra_files=_files(job, saved, trained, folder / FILE_NAME))
    if at:
        run = write_run(at.parent, record, folder_name=at.name, page=page)
    else:
        run = write_run(runs_dir, record, page=page)
    shutil.rmtree(folder)
    with contextlib.suppress(OSError):  # others are still unfinished
        folder.parent.rmdir()
    hits = scores.argmax(1) == data.heldout.labels
    return Result(run, float(hits.mean()), trained)


def check_job(job: Job) -> None:
    """ValueError, before anything is trained, for settings that these images and this network cannot have."""
    n_images = job.data.n_fit(job.recipe.seed, job.recipe.fit_all)
    with torch.device("meta"):
        network = job.untrained(pretrained=False)
    check_size(job.model, file_bytes(network), job.recipe.size_limit)
    check_recipe(network, job.recipe, n_images, job.input_size)


def class_scores(saved: SavedModel, images: Images, device: torch.device, views: int = 1) -> np.ndarray:
    """Softmax probabilities of images, float32 (n, classes), computed in float32."""
    normalizer = Normalizer(saved.mean, saved.std, saved.input_size[1:], device)
    network = on_device(saved.network, device)
    logits = predict_logits(network, images, normalizer, Setup(device), views)
    return torch.softmax(logits.double(), 1).float().numpy()


def metrics_csv(history: Sequence[dict], path: Path) -> Path:
    """Write the history as ``metrics.csv``; columns of parts that were not looked at stay empty."""
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(METRIC_COLUMNS)
        for row in history:
            writer.writerow("" if row[column] is None else row[column] for column in METRIC_COLUMNS)
    return path


def _precision_before(folder: Path) -> str | None:
    """The precision that a stopped training computed in."""
    from deep.checkpoints import load_checkpoint

    found = load_checkpoint(folder)
    precision = found[1].get("precision") if found else None
    return precision if precision in PRECISIONS else None


def _agreed(precision: str | None, device: torch.device, world: int) -> str:
    """The first process's precision, once it has cleared the folder: measurements differ."""
    number = torch.tensor(PRECISIONS.index(precision) if precision else 0, device=device)
    if world > 1:
        torch.distributed.broadcast(number, src=0)
    return PRECISIONS[int(number)]


def _kept_options(job: Job) -> dict:
    """What rebuilding needs: weights that a network began from are not fetched again."""
    return {name: value for name, value in job.all_options.items() if name != "pretrained"}


def _measured(network, fit: Images, normalizer: Normalizer, recipe: Recipe, device: torch.device) -> str:
    batch = min(recipe.batch_size, len(fit), 128)
    return faster_precision(network, normalizer(fit.pixels[:batch]), recipe, device)


def _record(job, name, command, trained, counts, scores, n_fit, n_select) -> RunRecord:
    data, recipe = job.data, job.recipe
    labels = [data.classes[label] for label in data.heldout.labels]
    predicted = [data.classes[best] for best in scores.argmax(1)]
    chosen_on_select = n_select and (recipe.keep == "best" or recipe.patience)
    facts = Facts(
        classes=data.classes,
        confusion=confusion_matrix(labels, predicted, data.classes),
        train_counts={c: int((data.train.labels == i).sum()) for i, c in enumerate(data.classes)},
        dataset=data.name,
        n_settings=job.n_settings,
        # the epoch's choice does not excuse that of a learning rate
        selection="select-split" if chosen_on_select and job.n_settings == 1 else "none",
        duplicates_train_test=in_folders(data.leaks["train_test"], data.folders) if data.leaks else None,
        duplicates_within=data.leaks.get("within"),
        duplicates_across_classes=data.leaks.get("across_classes"),
        unreadable_images=data.skipped,
    )
    training = {
        "epochs": len(trained.history), "kept_epoch": trained.epoch, "ended": trained.reason,
        "precision": trained.precision, "n_fit": n_fit, "n_select": n_select,
        "unlabelled": data.unlabelled, "views": recipe.views,
        "history": [_timeless(row) for row in trained.history],
    }  # fmt: skip
    if any(row["heldout_loss"] is not None for row in trained.history):
        training["heldout_curve"] = "not used for choosing"
    return RunRecord(
        name=name, command=list(command), classes=list(data.classes),
        filenames=list(data.heldout.filenames), labels=labels, predicted=predicted, scores=scores,
        n_train=len(data.train),
        config={"model": job.model, "options": job.all_options, "recipe": recipe.as_json(),
                "device": torch.device(job.device).type, "precision": trained.precision,
                "resize": job.resize, "seed": recipe.seed},
        selection="select-split" if chosen_on_select else "none",
        data={"name": data.name, "train_fingerprint": data.train_fingerprint,
              "test_fingerprint": data.heldout_fingerprint, "resize": job.resize,
              "image_size": data.image_size},
        model={"parameters": counts.parameters, "macs": counts.macs, "trainable": counts.trainable},
        leaks=data.leaks,
        skipped=list(data.skipped),
        diagnoses=diagnose(facts),
        timings={"training": round(trained.seconds, 3),
                 "images_per_second": round(trained.images_per_second, 1), "resumed": trained.resumed},
        environment=_environment(torch.device(job.device)),
        expected=_expected(job),
        extra={"training": training}, shown=Shown(_pictures(data)),
    )  # fmt: skip


def _expected(job: Job) -> list[str]:
    """What to compare an accuracy with: chance, and the same network's on the same images in ``results/``."""
    # its tables bring the classical half of the project with them, which predicting has no use for
    from experiments.network_tables import measured_accuracies

    data, model, n = job.data, job.model, len(job.data.classes)
    lines = [f"chance: {1 / n:.4f} (1 of {n} classes, {len(data.heldout)} images)"]
    split = bool(data.unlabelled)  # the course split leaves some out, with all other images of its set
    options, images, merge = job.all_options, data.heldout_fingerprint, job.recipe.merge
    pixels = max(job.input_size[1:])
    found = sorted(
        measured_accuracies(model, options, images, course_split=split, merge=merge, pixels=pixels)
    )
    if found:
        times = "1 training" if len(found) == 1 else f"{len(found)} trainings"
        span = f"{found[0]:.4f} to {found[-1]:.4f}" if found[0] < found[-1] else f"{found[0]:.4f}"
        lines.append(f"{model} on these images, {times} by this project's recipes and the report's: {span}")
    return lines


def _pictures(data: NetworkData) -> Callable[[str], np.ndarray]:
    """The held-out images by name, as they are kept."""
    rows = {name: row for row, name in enumerate(data.heldout.filenames)}
    return lambda name: data.heldout.images[rows[name]]


def _timeless(row: dict) -> dict:
    """A row of the history as equal trainings give it again; JSON has no infinity."""
    return {
        name: value if value is None or math.isfinite(value) else None
        for name, value in row.items()
        if name != "seconds"
    }


def _environment(device: torch.device) -> dict:
    found = environment(torch.get_num_threads())
    found["versions"]["torch"] = str(torch.__version__)
    if device.type == "cuda":
        found["hardware"] += f", {torch.cuda.get_device_name(device)}"
    return found


def _files(
    job: Job, saved: SavedModel, trained: Trained, weights: Path
) -> dict[str, Callable[[Path], object]]:
    rows = layer_table(saved.network.cpu(), saved.input_size)
    files: dict[str, Callable[[Path], object]] = {
        FILE_NAME: partial(shutil.copyfile, weights),
        "metrics.csv": partial(metrics_csv, trained.history),
        "layers.csv": partial(write_layers_csv, rows),
        "diagram.svg": partial(write_diagram, saved.network, saved.input_size, title=job.model),
        "curves": partial(learning_curves_figure, trained.history, title=f"{job.model} on {job.data.name}"),
    }
    if job.half:
        files["model-fp16.safetensors"] = lambda path: save_model(path, saved, half=True)
    return files


def under_torchrun(device: torch.device) -> tuple[torch.device, int, int]:
    """This process's device and rank, and how many there are; starts the group of a torchrun."""
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world > 1 and device.type == "cuda" and device.index is None:
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(device)
    if world > 1 and not torch.distributed.is_initialized():
        torch.distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    return device, int(os.environ.get("RANK", "0")), world
