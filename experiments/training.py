"""What ``train_cnn.py`` does: describe networks, train one setting or several, print tables."""

import itertools
from collections.abc import Callable
from pathlib import Path

import torch

from deep.checkpoints import FILE_NAME
from deep.complexity import complexity, count_parameters
from deep.diagram import write_diagram
from deep.listings import describe as described
from deep.listings import zoo_table
from deep.recipes import Recipe, find_recipe, limited, recipe_for, with_settings
from deep.training import DivergedError
from deep.weights import check_size
from deep.zoo import MODELS, build_model
from experiments.cnn import Job, pick_device, train_job, under_torchrun, unfinished_folder
from experiments.network_data import load_network_data, recipe_set
from experiments.tabulate import aligned, check_writable
from reports import wilson_interval

EPOCH_COLUMNS = ("epoch", "fit loss", "fit acc", "select loss", "select acc", "held-out acc", "lr", "seconds")


def describe(name: str | None, diagram: Path | None) -> None:
    """Print all networks, or one layer by layer; draw it where `diagram` names a file."""
    if name is None:
        print("\n".join(zoo_table()))
        return
    print(described(name))
    if diagram is not None:
        with torch.device("meta"):
            network = build_model(name)
        print(write_diagram(network, MODELS[name].input_size, diagram, title=name))


def train(args, command: list[str]) -> list[Path]:
    """Train every combination of learning rate, batch size and seed; returns the run folders."""
    with torch.device("meta"):
        build_model(args.model)  # a wrong name is known before anything is read
    check_writable(args.runs_dir)
    if args.diagram is not None:
        raise ValueError("--diagram draws what --describe NAME names: give both or neither")
    recipe = chosen_recipe(args)
    options = _checked_options(args, recipe)
    device, rank, world = under_torchrun(pick_device(args.device))
    data = load_network_data(
        args.model, MODELS[args.model].input_size, data=args.data, dataset=args.dataset, split=args.split,
        classes_file=args.classes, course_split=args.course_split, resize=args.resize, merge=recipe.merge,
        lite=args.lite, seed=recipe.seed, jobs=args.jobs,
    )  # fmt: skip
    say: Callable[..., None] = print if rank == 0 else lambda *_: None
    say(data.note)
    settings = list(_settings(recipe, args))
    rows, folders = [], []
    for varied, each in settings:
        job = Job(args.model, each, data, options, args.resize, str(device), args.precision, args.half)
        say(_headline(job))
        listeners: list[Callable[[dict], object]] = [lambda row: say(_epoch_line(row), flush=True)]
        writer = _tensorboard(args, job) if args.tensorboard and rank == 0 else None
        if writer is not None:
            listeners.append(writer)
        found = (unfinished_folder(job, args.runs_dir) / FILE_NAME).is_file()
        if args.resume:
            say("goes on from its checkpoint" if found else "no checkpoint of these settings: starts anew")
        elif found:
            say("starts anew: an unfinished training of these settings is dropped (--resume goes on with it)")
        say(_epoch_line(None))
        try:
            result = train_job(job, args.runs_dir, command, resume=args.resume, on_epoch=listeners, rank=rank,
                               world=world)  # fmt: skip
        except DivergedError as error:
            if len(settings) == 1:
                raise
            say(f"diverged: {error}")
            rows.append([*varied.values(), "diverged", "", "", ""])
            continue
        if result is None:
            continue
        low, high = wilson_interval(round(result.accuracy * len(data.heldout)), len(data.heldout))
        trained = result.trained
        say(
            f"\nheld-out accuracy {result.accuracy:.4f} (95 % interval {low:.3f} to {high:.3f}, "
            f"{len(data.heldout)} images); epoch {trained.epoch} kept; {trained.seconds:.1f} s of training, "
            f"{trained.images_per_second:.0f} images/s, {trained.precision}"
        )
        rows.append([*varied.values(), f"{result.accuracy:.4f}", f"{low:.3f} to {high:.3f}",
                     f"{trained.seconds:.1f}", f"{trained.images_per_second:.0f}"])  # fmt: skip
        folders.append(result.folder)
        say(result.folder)
    if len(settings) > 1 and rank == 0:
        heads = [*settings[0][0], "accuracy", "95 % interval", "seconds", "images/s"]
        print("\n" + "\n".join(aligned([heads, *[[str(cell) for cell in row] for row in rows]])))
        for folder in folders[-1:]:
            print(folder)
    return folders


def chosen_recipe(args) -> Recipe:
    """The recipe that the flags ask for."""
    dataset = recipe_set(args.model, args.data, args.dataset)
    recipe = limited(find_recipe(args.recipe), args.model) if args.recipe else recipe_for(args.model, dataset)
    recipe = with_settings(recipe, args.set)
    if args.lite:
        recipe = recipe.changed(
            epochs=min(recipe.epochs, 2),
            resolutions=_scaled(recipe, 2.0),
            batch_size=min(recipe.batch_size, 100),
        )
    if args.epochs is not None:
        recipe = recipe.changed(epochs=args.epochs, resolutions=_scaled(recipe, args.epochs))
    return recipe


def _scaled(recipe: Recipe, epochs: float):
    """The phases of a recipe, shortened or lengthened to so many epochs together."""
    factor = epochs / recipe.total_epochs
    return tuple((pixels, part * factor, share) for pixels, part, share in recipe.resolutions)


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


def _checked_options(args, recipe: Recipe) -> dict:
    """The network's options, tried before anything is read."""
    options = dict(_option(text) for text in args.option)
    known = {**MODELS[args.model].options, "pretrained": False}
    for name in options:
        if name not in known:
            raise ValueError(f"{args.model} has no option {name!r}: it has {', '.join(known)}")
    try:
        with torch.device("meta"):
            build_model(args.model, **(options | recipe.network_options | {"pretrained": False}))
    except TypeError as error:
        raise ValueError(f"--option {' '.join(args.option)}: {error}: give numbers as numbers") from None
    return options


def _headline(job: Job) -> str:
    with torch.device("meta"):
        network = build_model(
            job.model, num_classes=len(job.data.classes), in_channels=job.data.channels,
            **(job.all_options | {"pretrained": False}),
        )  # fmt: skip
        counts = complexity(network, (job.data.channels, *MODELS[job.model].input_size[1:]))
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
    writer = SummaryWriter(Path(args.runs_dir) / "tensorboard" / f"{job.model}-{job.key}")

    def log(row: dict) -> None:
        for name, value in row.items():
            if name != "epoch" and value is not None:
                writer.add_scalar(name.replace("_", "/", 1), value, row["epoch"])
        writer.flush()

    return log
