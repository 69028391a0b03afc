"""What ``train_cnn.py`` does: describe networks, train one setting or several, print tables."""

import contextlib
import dataclasses
import hashlib
import itertools
import shutil
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from deep import checkpoints
from deep.complexity import complexity, count_parameters
from deep.diagram import write_diagram
from deep.listings import describe as described
from deep.listings import zoo_table
from deep.recipes import Recipe, find_recipe, limited, recipe_for, with_settings
from deep.weights import check_size
from deep.zoo import MODELS, build_model, image_shape, trained_options
from experiments.cnn import Job, Result, check_job, pick_device, train_job, under_torchrun, unfinished_folder
from experiments.network_data import load_network_data, recipe_set
from experiments.tabulate import aligned, check_writable, folder_name, issue_lines, seed_summary
from reports import read_run, write_table_run

# What --lite cuts a recipe down to, where --set or another flag does not say otherwise.
LITE_EPOCHS, LITE_BATCH = 2, 100

EPOCH_COLUMNS = ("epoch", "fit loss", "fit acc", "select loss", "select acc", "held-out acc", "lr", "seconds")


def describe(name: str | None, diagram: Path | None, option: Sequence[str], input_size: int | None) -> None:
    """Print all networks, or one layer by layer; draw it where `diagram` names a file."""
    if name is None:
        if diagram is not None:
            raise ValueError("--diagram draws what --describe NAME names: give both or neither")
        if option or input_size is not None:
            raise ValueError("--list shows all networks as they are: give --describe NAME with these flags")
        print("\n".join(zoo_table()))
        return
    shape = image_shape(name, None, input_size)
    options = _checked_options(name, option, {}, input_size)
    options.pop("pretrained", None)  # weights change no layer
    print(described(name, input_size=input_size, **options))
    if diagram is not None:
        with torch.device("meta"):
            network = build_model(name, input_size=input_size, **options)
        print(write_diagram(network, shape, diagram, title=name))


def train(args, command: list[str]) -> list[Path]:
    """Train every combination of learning rate, batch size and seed; returns the folders written.

    Several give one folder with a table; one that diverges is a row of it.
    """
    shape = image_shape(args.model, None, args.input_size)
    check_writable(args.runs_dir)
    if args.diagram is not None:
        raise ValueError("--diagram draws what --describe NAME names: give both or neither")
    recipe = chosen_recipe(args)
    options = _checked_options(args.model, args.option, recipe.network_options, args.input_size)
    seed = args.seed[0] if args.seed else recipe.seed  # of a drawn split: one for all settings
    device, rank, world = under_torchrun(pick_device(args.device))
    data = load_network_data(
        args.model, shape, data=args.data, dataset=args.dataset, split=args.split,
        classes_file=args.classes, course_split=args.course_split, resize=args.resize, merge=recipe.merge,
        lite=args.lite, seed=seed, skip_unreadable=args.skip_unreadable, jobs=args.jobs,
    )  # fmt: skip
    say: Callable[..., None] = print if rank == 0 else lambda *_: None
    say(data.note)
    n_settings = len(args.lr or [0]) * len(args.batch_size or [0])
    settings = [
        (flags, Job(args.model, each, data, options, args.resize, str(device), args.precision, args.half,
                    args.input_size, n_settings))
        for flags, each in _settings(recipe, args)
    ]  # fmt: skip
    for _, job in settings:
        check_job(job)
    several = len(settings) > 1
    varied = [each for each, _ in settings]
    names = [folder_name(each, list(each)) for each in varied]
    parts = _unfinished_sweep([job for _, job in settings], args.runs_dir)
    if several and parts.exists() and not args.resume and rank == 0:
        say(f"starts anew: what there is in {parts} is dropped (--resume goes on with it)")
        shutil.rmtree(parts)
    folders: list[Path] = []
    results: list[dict] = []
    precision: str | None = args.precision
    for name, (_, job) in zip(names, settings, strict=True):
        at = parts / name if several else None
        say(_headline(job))
        if at is not None and args.resume and (at / "result.json").is_file():
            say("done before")
        else:
            if precision is not None:
                job = dataclasses.replace(job, precision=precision)
            result = _train_one(args, job, command, at, say, rank, world)
            if result is None:
                continue
            at = result.folder
        found = read_run(at).result
        # measured once, so that the settings differ in nothing else
        precision = found["config"]["precision"]
        say("\n" + "\n".join(_result_lines(found)))
        folders.append(at)
        results.append(found)
        if not several:
            say(at)
    if not several or rank:
        return folders
    rows = [_table_row(name, result) for name, result in zip(names, results, strict=True)]
    folder = write_table_run(args.runs_dir, args.model, rows, dict(zip(names, folders, strict=True)))
    shutil.rmtree(parts)
    with contextlib.suppress(OSError):  # others are still unfinished
        parts.parent.rmdir()
    judged = [result["diagnoses"] for result in results]
    print("\n" + "\n".join([*_screen_table(varied, results), *issue_lines(judged, names)]))
    print(folder)
    return [folder]


def _train_one(
    args, job: Job, command: list[str], at: Path | None, say: Callable[..., None], rank: int, world: int
) -> Result | None:
    """Train one setting, telling of each epoch; a sweep's goes `at` a folder and may diverge."""
    listeners: list[Callable[[dict], object]] = [lambda row: say(_epoch_line(row), flush=True)]
    writer = _tensorboard(args, job) if args.tensorboard and rank == 0 else None
    if writer is not None:
        listeners.append(writer)
    found = (unfinished_folder(job, args.runs_dir) / checkpoints.FILE_NAME).is_file()
    if args.resume:
        say("goes on from its checkpoint" if found else "no checkpoint of these settings: starts anew")
    elif found:
        say("starts anew: an unfinished training of these settings is dropped (--resume goes on with it)")
    say(_epoch_line(None))
    return train_job(
        job, args.runs_dir, command, resume=args.resume, on_epoch=listeners, rank=rank, world=world, at=at,
        keep_diverged=at is not None, page=at is None or args.report,
    )  # fmt: skip


def _unfinished_sweep(jobs: Sequence[Job], runs_dir: Path) -> Path:
    """Where the finished runs of a sweep lie until all are done."""
    keys = hashlib.sha256(" ".join(job.key for job in jobs).encode()).hexdigest()[:8]
    return Path(runs_dir) / ".unfinished" / f"{jobs[0].model}-sweep-{keys}"


def _result_lines(result: dict) -> list[str]:
    training, timings = result["training"], result["timings"]
    low, high = result["accuracy_interval"]
    lines = [
        f"held-out accuracy {result['accuracy']:.4f} (95 % interval {low:.3f} to {high:.3f}, "
        f"{result['n_test']} images); epoch {training['kept_epoch']} kept; {timings['training']:.1f} s of "
        f"training, {timings['images_per_second']:.0f} images/s, {training['precision']}"
    ]
    if training["ended"] != "all epochs":
        lines.insert(0, training["ended"])
    return lines


def _table_row(name: str, result: dict) -> dict:
    return {
        "run": name,
        "seed": result["config"]["seed"],
        "accuracy": result["accuracy"],
        "n_test": result["n_test"],
        "seconds": result["timings"]["total"],
    }


def _screen_table(settings: Sequence[dict], results: Sequence[dict]) -> list[str]:
    heads = ["accuracy", "95 % interval", "epochs", "ended", "seconds", "images/s", "precision"]
    rows = [[*settings[0], *heads]]
    for varied, result in zip(settings, results, strict=True):
        training, timings = result["training"], result["timings"]
        low, high = result["accuracy_interval"]
        rows.append([
            *map(str, varied.values()), f"{result['accuracy']:.4f}", f"{low:.3f} to {high:.3f}",
            str(training["epochs"]), training["ended"], f"{timings['training']:.1f}",
            f"{timings['images_per_second']:.0f}", training["precision"],
        ])  # fmt: skip
    pairs = list(zip(settings, results, strict=True))
    ended = [(each, found["accuracy"]) for each, found in pairs if not _diverged(found)]
    lines = aligned(rows) + (seed_summary(ended, list(settings[0])) if ended else [])
    if "seed" in settings[0] and len(ended) < len(pairs):
        lines.append("(without those that diverged)")
    return lines


def _diverged(result: dict) -> bool:
    return result["training"]["ended"].startswith("diverged")


def chosen_recipe(args) -> Recipe:
    """The recipe that the flags ask for, its phases made for the images that the network is shown."""
    dataset = recipe_set(args.model, args.data, args.dataset)
    recipe = limited(find_recipe(args.recipe), args.model) if args.recipe else recipe_for(args.model, dataset)
    recipe = recipe.ending_at(max(image_shape(args.model, None, args.input_size)[1:]))
    if args.lite:
        short = recipe.lasting(min(recipe.total_epochs, LITE_EPOCHS))
        recipe = short.changed(batch_size=min(recipe.batch_size, LITE_BATCH))
    recipe = with_settings(recipe, args.set)
    return recipe if args.epochs is None else recipe.lasting(args.epochs)


def _settings(recipe: Recipe, args):
    """Each combination of the flags that take several values: what varies, and the recipe."""
    several = {"lr": args.lr, "batch_size": args.batch_size, "seed": args.seed}
    given = {name: values for name, values in several.items() if values}
    for name, values in given.items():
        if len(set(values)) < len(values):
            raise ValueError(f"--{name.replace('_', '-')} names a value twice: give each once")
    for values in itertools.product(*given.values()):
        chosen = dict(zip(given, values, strict=True))
        varied = {name: value for name, value in chosen.items() if len(given[name]) > 1}
        yield varied, recipe.changed(**chosen)


def _option(text: str) -> tuple[str, object]:
    """``padding=1`` as ("padding", 1); true, false and none are what they say."""
    name, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"--option {text}: write name=value")
    named = {"true": True, "false": False, "none": None}
    if value.lower() in named:
        return name, named[value.lower()]
    for kind in (int, float):
        try:
            return name, kind(value)
        except ValueError:
            continue
    return name, value


def _checked_options(model: str, texts: Sequence[str], others: dict, input_size: int | None) -> dict:
    """A network's options, tried at this size and together with `others` before anything is read.

    Weights that come with the project bring the options they were trained with.
    """
    options = dict(_option(text) for text in texts)
    known = {**MODELS[model].options, "pretrained": False}
    for name in options:
        if name not in known:
            raise ValueError(f"{model} has no option {name!r}: it has {', '.join(known)}")
    if options.get("pretrained"):
        options = trained_options(model) | options
    try:
        with torch.device("meta"), warnings.catch_warnings(action="ignore"):
            given = options | others | {"pretrained": False}
            network = build_model(model, input_size=input_size, **given)
        complexity(network, image_shape(model, None, input_size))
    except (TypeError, RuntimeError, IndexError, ZeroDivisionError) as error:
        # what torch and Python raise for a width of -1 or a stride of 0
        reason = " ".join(str(error).split())
        raise ValueError(f"--option {' '.join(texts)}: {reason}: give other values") from None
    return options


def _headline(job: Job) -> str:
    with torch.device("meta"):
        network = job.untrained(pretrained=False)
        counts = complexity(network, job.input_size)
    parameters = count_parameters(network)
    verdict = check_size(job.model, counts.file_bytes, None)
    changed = {name: value for name, value in (("lr", job.recipe.lr), ("batch", job.recipe.batch_size),
                                               ("seed", job.recipe.seed))}  # fmt: skip
    return (
        f"\n{job.model}: {parameters.trainable:,} trainable parameters, {counts.macs:,} MACs, {verdict}; "
        f"recipe {job.recipe.name} ({', '.join(f'{name} {value:g}' for name, value in changed.items())}), "
        f"{job.recipe.total_epochs:g} epochs"
    )


def _epoch_line(row: dict | None) -> str:
    if row is None:
        return "  ".join(f"{name:>12}" for name in EPOCH_COLUMNS)
    keys = ("train_loss", "train_accuracy", "select_loss", "select_accuracy", "heldout_accuracy")
    cells = [str(row["epoch"]), *("" if row[key] is None else f"{row[key]:.4f}" for key in keys)]
    return "  ".join(f"{cell:>12}" for cell in [*cells, f"{row['lr']:.4g}", f"{row['seconds']:.1f}"])


def _tensorboard(args, job: Job) -> Callable[[dict], None]:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise ValueError(
            "--tensorboard needs it: run `make install-all` or pip install tensorboard"
        ) from None
    writer = None

    def log(row: dict) -> None:
        nonlocal writer
        if writer is None:  # not before there is something to write
            writer = SummaryWriter(Path(args.runs_dir) / "tensorboard" / f"{job.model}-{job.key}")
        for name, value in row.items():
            if name != "epoch" and value is not None:
                writer.add_scalar(name.replace("_", "/", 1), value, row["epoch"])
        writer.flush()

    return log
