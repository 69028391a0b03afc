"""The network experiments of reports R1 to R5 as plain tables: what is trained, and what was reported.

Nothing here needs torch; `experiments.network_runs` trains the rows. Reported figures are fractions, as
printed in the report; where it only says something, that stands in `finding`.
"""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from experiments.data import PROJECT
from experiments.tables import EXPERIMENTS, read_rows

# The recipe r1 has 40 epochs, as R1 names none; two processor cores take an hour for these.
R1_EPOCHS = 30
# Its comparison of networks has the same few epochs and images for all.
R1_TABLE_EPOCHS, R1_TABLE_IMAGES = 5, 4000
MYNET_PHASES = ((20, 5, 1.0), (26, 6, 1.0), (32, 5, 1.0))
RESNET_PHASES = ((20, 10, 1.0), (26, 14, 1.0), (32, 12, 1.0))

R1_THRESHOLD = 0.84
R1_MEGABYTES = 80.0

# Part and measure of each line of a panel; a report's own curves are one or two panels.
Panels = tuple[tuple[tuple[str, str], ...], ...]
R1_PANELS: Panels = (
    (("train", "accuracy"),), (("train", "loss"),), (("select", "accuracy"),), (("select", "loss"),),
)  # fmt: skip
R2_PANELS: Panels = (
    (("train", "loss"), ("heldout", "loss"), ("heldout", "accuracy")),
    (("train", "loss"), ("train", "accuracy"), ("heldout", "accuracy")),
)
R3_PANELS: Panels = ((("train", "accuracy"), ("heldout", "accuracy")),)
R4_PANELS: Panels = (
    (("train", "accuracy"), ("heldout", "accuracy")),
    (("train", "loss"), ("heldout", "loss")),
)
R5_PANELS: Panels = ((("train", "loss"),), (("train", "accuracy"),))
OWN_PANELS: Panels = R5_PANELS

# The accuracy without the test-time views of a recipe that has some.
ONE_VIEW = "accuracy, one view"

# Phases of fastnet's recipe beside its own: (pixels, epochs, share of the images).
FAST_PHASES = ((20, 2, 1.0), (24, 2, 0.8), (28, 1, 0.7), (32, 2.8, 0.65))
# Of the weights that come with the project.
LONG_PHASES = ((20, 6, 1.0), (24, 6, 0.85), (28, 5, 0.75), (32, 14, 0.65))
LONG_TINY_PHASES = ((20, 10, 1.0), (24, 20, 1.0), (32, 40, 1.0))
# For 20,000 images in place of 45,000: about as many steps.
COURSE_PHASES = ((20, 6, 1.0), (24, 6, 0.85), (28, 4, 0.7), (32, 13, 0.6))
# Large images last, and few times: a step's time goes with the area.
SCENE_PHASES = ((64, 18, 1.0), (96, 7, 1.0), (128, 5, 1.0))
WIDE_PHASES = ((20, 3, 1.0), (24, 3, 0.85), (28, 2, 0.7), (32, 5, 0.6))


@dataclass(frozen=True)
class Setting:
    """One training.

    label : how rows and figures call it, unique in its experiment.
    recipe, changes : a row of `deep.recipes.RECIPES` and the fields that differ from it.
    options : of the network.
    reported : the report's figures by metric.
    finding : what the report says of it in words.
    seeds : a training each; of several there is a row of their mean too.
    pixels : side of the images that the network is shown; None: its own.
    """

    label: str
    model: str
    recipe: str
    changes: Mapping[str, object] = field(default_factory=dict)
    options: Mapping[str, object] = field(default_factory=dict)
    reported: Mapping[str, float] = field(default_factory=dict)
    finding: str = ""
    seeds: tuple[int, ...] = (0,)
    pixels: int | None = None

    @property
    def slug(self) -> str:
        """The label as a file name."""
        return re.sub(r"[^A-Za-z0-9.]+", "-", self.label).strip("-")


@dataclass(frozen=True)
class Experiment:
    """Trainings that make one table of a report.

    metrics : the columns shown; more are recorded.
    panels : the curves drawn for each setting; none for a mere comparison.
    confusions : whether the report shows confusion matrices.
    train_images : a seeded part of the training images, as many of each class, in place of all.
    """

    name: str
    report: str
    title: str
    dataset: str
    settings: tuple[Setting, ...]
    metrics: tuple[str, ...] = ("accuracy", "train accuracy")
    panels: Panels = ()
    confusions: bool = False
    course_split: bool = False
    train_images: int | None = None


def figure_name(experiment: Experiment, setting: Setting, kind: str) -> str:
    """Where a setting's ``curves`` or ``confusion`` lies, below the folder of figures."""
    return f"{experiment.report.lower()}/{experiment.name}-{setting.slug}-{kind}.svg"


def _r1_final() -> Experiment:
    reported = {
        "mynet": (0.97840, 0.88980, 0.06605, 0.39247, 0.8898),
        "resnet18": (0.98415, 0.89860, 0.05136, 0.40423, 0.8918),
    }
    metrics = ("train accuracy", "select accuracy", "train loss", "select loss", "accuracy")
    figures = {model: dict(zip(metrics, row, strict=True)) for model, row in reported.items()}
    # of both there are curves for fit and select; the epoch is chosen on select by R1's recipe only
    own = {"fit_all": False}
    settings = (
        Setting(f"resnet18, {R1_EPOCHS} epochs", "resnet18", "r1", {"epochs": R1_EPOCHS},
                reported=figures["resnet18"]),
        Setting("resnet18, own recipe", "resnet18", "cifar", own, reported=figures["resnet18"]),
        Setting("resnet18, own recipe, longer, on all 20,000", "resnet18", "cifar",
                {"resolutions": RESNET_PHASES, "cutout": 8},
                reported={name: figures["resnet18"][name] for name in ("train accuracy", "accuracy")}),
        Setting("mynet, own recipe", "mynet", "cifar", {**own, "resolutions": MYNET_PHASES},
                reported=figures["mynet"]),
    )  # fmt: skip
    return Experiment(
        "r1-cnn-final", "R1",
        "R1's two networks: by its recipe as far as it is stated, and by this project's",
        "cifar10", settings, (*metrics, ONE_VIEW, "MB", "training seconds"), R1_PANELS, course_split=True,
    )  # fmt: skip


R1_MODELS = ("resnet18", "resnet18_plain", "vgg16", "vgg19", "vgg16_wide", "lenet_32", "alexnet_32",
             "googlenet", "mynet", "densenet", "densenet121")  # fmt: skip
R1_AUGMENTATIONS = {"none": "r1-plain", "rotation": "r1-rotation", "flip": "r1-flip", "both": "r1"}
_R1_REPORTED = {("vgg16", "rotation"): 0.825, ("vgg16_wide", "rotation"): 0.8316,
                ("googlenet", "both"): 0.8898, ("mynet", "both"): 0.8898, ("resnet18", "both"): 0.8918,
                ("densenet", "both"): 0.876, ("densenet121", "both"): 0.876}  # fmt: skip
_R1_FINDINGS = {
    ("resnet18", "rotation"): "passed 0.84 at the first training run",
    ("vgg19", "rotation"): "lower than VGG16",
    ("vgg16", "both"): "passed 0.84; file over 80 MB",
    ("lenet_32", "both"): "low, below 0.84",
    ("alexnet_32", "both"): "low, below 0.84",
}


def _r1_table() -> Experiment:
    settings = []
    for model in R1_MODELS:
        # without batch norm the others' rate is too high
        slow = {"lr": 0.01} if model in ("lenet_32", "alexnet_32") else {}
        for augmentation, recipe in R1_AUGMENTATIONS.items():
            found = _R1_REPORTED.get((model, augmentation))
            settings.append(
                Setting(
                    f"{model}, {augmentation}",
                    model,
                    recipe,
                    {"epochs": R1_TABLE_EPOCHS, **slow},
                    reported={} if found is None else {"accuracy": found},
                    finding=_R1_FINDINGS.get((model, augmentation), ""),
                )
            )
    return Experiment(
        "r1-cnn-table", "R1",
        f"Eleven networks, each augmentation: {R1_TABLE_EPOCHS} epochs of {R1_TABLE_IMAGES:,} images, a "
        "tenth of these kept back as select",
        "cifar10", tuple(settings), ("accuracy", "MB", "training seconds"), course_split=True,
        train_images=R1_TABLE_IMAGES,
    )  # fmt: skip


_R2_METRICS = ("train loss", "held-out loss", "train accuracy", "accuracy", "generalisation gap", "loss gap")
_LENET_FINDINGS = {
    "lenet_baseline": "loss flattens near 0.5",
    "lenet_modern": "better in every respect: accuracies near 0.85, losses down to about 0.2; "
    "gap slightly larger than baseline",
    "lenet_window9": "better than baseline and modern; gap slightly larger than both",
    "lenet_window7": "7 to 9 changes curves little but complexity a lot",
    "lenet_channels8": "accuracy as window9, training loss below 0.2; gap smaller than window9; the best",
    "lenet_channels16": "",
    "lenet_channels24": "no visible gain, cost up",
    "lenet_channels32": "no visible gain, cost up",
    "lenet_channels64": "no visible gain, cost up",
    "lenet_convs4": "accuracy as the others; training loss much higher than window9 and channels8",
    "lenet_fc5": "accuracy as the others; training loss well below convs4, about window9",
}
_ALEXNET_FINDINGS = {
    "alexnet_128": "loss slightly higher than the LeNets, accuracy the same; gap gone after epoch 3",
    "alexnet_28": "accuracies near 0.8, loss down to 0.25",
    "alexnet_28_small": "accuracy slightly better, no gap, loss about the same",
    "alexnet_224": "too slow to train",
}
# R2 gave this one up as too slow: an epoch tells how slow.
_ALEXNET_CHANGES = {"alexnet_224": {"epochs": 1}}
_RATE_FINDINGS = {
    1.0: "worst of all",
    0.01: "best; gap almost none; training loss higher than the earlier models",
    0.001: "also shown",
}
_DROPOUT_FINDINGS = {0.1: "slightly better than the other rates; the gap almost vanishes"}


def _r2(name: str, title: str, settings) -> Experiment:
    metrics = (*_R2_METRICS, "training seconds", "epoch seconds", "MACs")
    return Experiment(name, "R2", title, "fashion_mnist", tuple(settings), metrics, R2_PANELS)


def _r2_experiments() -> tuple[Experiment, ...]:
    return (
        _r2("r2-lenet", "The LeNets", (
            Setting(model, model, "r2-lenet", finding=finding) for model, finding in _LENET_FINDINGS.items()
        )),
        _r2("r2-lr", "Learning rates on lenet_modern", (
            Setting(f"lr {rate:g}", "lenet_modern", "r2-lenet", {"lr": rate}, finding=finding)
            for rate, finding in _RATE_FINDINGS.items()
        )),
        _r2("r2-dropout", "Dropout on lenet_channels8", (
            Setting(f"dropout {rate:g}", "lenet_channels8", "r2-lenet", {"dropout": rate},
                    finding=_DROPOUT_FINDINGS.get(rate, ""))
            for rate in (0.1, 0.3, 0.5, 0.7)
        )),
        _r2("r2-alexnet", "The AlexNets; the textbook's size for one epoch only", (
            Setting(model, model, "r2-alexnet", _ALEXNET_CHANGES.get(model, {}), finding=finding)
            for model, finding in _ALEXNET_FINDINGS.items()
        )),
    )  # fmt: skip


_R3_METRICS = ("train accuracy", "accuracy", "generalisation gap", "epoch seconds", "parameters", "MACs")
SEEDS = (0, 1, 2)
R3_NETWORKS = (
    Setting("plain", "cifar_plain", "r3", seeds=SEEDS, reported={
        "train accuracy": 1.0, "accuracy": 0.6622, "epoch seconds": 1.15, "parameters": 704_842},
        finding="overfits heavily; more epochs will not help"),
    Setting("separable", "cifar_separable", "r3", seeds=SEEDS, reported={
        "train accuracy": 0.9622, "accuracy": 0.5301, "epoch seconds": 1.12, "parameters": 104_106},
        finding="overfits heavily; slightly faster"),
    Setting("residual", "cifar_residual", "r3", seeds=SEEDS, reported={
        "train accuracy": 0.8014, "accuracy": 0.7197, "epoch seconds": 1.15, "parameters": 706_954},
        finding="the best; its curves have not flattened"),
    Setting("50k", "cifar_50k", "r3", seeds=SEEDS,
        finding="train just under 60 %, validation a little over 60 %; under 50,000 parameters; "
        "does not overfit"),
)  # fmt: skip
R3_ABLATION = (
    Setting("residual, as it is", "cifar_residual", "r3"),
    Setting("without dropout", "cifar_residual", "r3", options={"dropout": 0.0}),
    Setting("without skips", "cifar_residual", "r3", options={"skips": False}),
    Setting("without both", "cifar_residual", "r3", options={"dropout": 0.0, "skips": False}),
)
# Longer, with augmentation; the smaller the network, the less it needs holding back.
_SMALL: Mapping[str, object] = {"resolutions": (), "cutout": 0, "label_smoothing": 0.0}
R3_OWN = (
    Setting("plain, own recipe", "cifar_plain", "cifar", {"resolutions": (), "epochs": 60}),
    Setting("separable, own recipe", "cifar_separable", "cifar", {**_SMALL, "epochs": 90}),
    Setting("residual, own recipe", "cifar_residual", "cifar",
            {"resolutions": (), "epochs": 80, "dropout": 0.1}),
    Setting("residual, own recipe, longer", "cifar_residual", "cifar",
            {"resolutions": (), "epochs": 200, "dropout": 0.0, "cutout": 4}),
    Setting("residual, own recipe, longer, held back more", "cifar_residual", "cifar",
            {"resolutions": (), "epochs": 200, "dropout": 0.05, "cutout": 8, "translate": 4}),
    Setting("50k, own recipe", "cifar_50k", "cifar", {**_SMALL, "epochs": 120, "dropout": 0.0}),
)  # fmt: skip


def _r3_experiments() -> tuple[Experiment, ...]:
    return (
        Experiment("r3-networks", "R3", "The four networks", "cifar10", R3_NETWORKS, _R3_METRICS, R3_PANELS),
        Experiment("r3-ablation", "R3", "What dropout and skips do", "cifar10", R3_ABLATION,
                   ("train accuracy", "accuracy", "generalisation gap"), R3_PANELS),
        Experiment("r3-own", "R3", "The four by this project's recipe", "cifar10", R3_OWN,
                   ("train accuracy", "accuracy", ONE_VIEW, "generalisation gap", "epoch seconds"),
                   OWN_PANELS),
    )  # fmt: skip


# One option at a time, beside R4's own settings; 10 epochs each.
R4_OPTIONS: Mapping[str, Mapping[str, object]] = {
    "base": {},
    "dropout 0.2": {"dropout": 0.2},
    "shift, turn, scale": {"translate": 2, "rotate": 10, "scale": 0.1},
    "rate times 0.1 after 6 epochs": {"schedule": "step", "step_epochs": 6},
    "batch norm": {"batch_norm": True},
    "early stopping": {"patience": 2, "keep": "best", "fit_all": False},
}


def _r4_experiments() -> tuple[Experiment, ...]:
    metrics = ("train accuracy", "accuracy", "train loss", "held-out loss", "training seconds")
    digits = (Setting("10 classes", "mnist_conv3", "r4"),)
    merged = (Setting("4 classes", "mnist_conv3", "r4-merged"),)
    options = tuple(Setting(label, "mnist_conv3", "r4", fields) for label, fields in R4_OPTIONS.items())
    return (
        Experiment("r4-digits", "R4", "The ten digits", "mnist", digits,
                   (*metrics, "accuracy after merging"), R4_PANELS, confusions=True),
        Experiment("r4-merged", "R4", "Four merged classes", "mnist", merged, metrics, R4_PANELS,
                   confusions=True),
        Experiment("r4-options", "R4", "One option at a time against the base", "mnist", options, metrics),
    )  # fmt: skip


def _alexnet(variant: str, accuracy: float | None = None, finding: str = "", **options) -> Setting:
    model = f"alexnet_227{variant}"
    label = ", ".join([model, *(f"{name}={value}" for name, value in options.items())])
    reported = {} if accuracy is None else {"accuracy": accuracy}
    return Setting(label, model, "r5", options=options, reported=reported, finding=finding)


R5_VARIANTS = (
    _alexnet("", 0.70),
    _alexnet("_conv4", 0.73),
    _alexnet("_conv3", 0.67, "lower complexity"),
    _alexnet("_conv3", 0.67, "the other reading, with more parameters", conv3_out=384),
    _alexnet("_fc2", 0.6173, "fewer linear layers underfit"),
    _alexnet("_fc1", 0.5659, "fewer linear layers underfit"),
    _alexnet("_fc4", finding="worse; too complex"),
    _alexnet("_leaky", 0.6282),
    _alexnet("_lrn", finding="not run"),
)
R5_BCE = (
    Setting("alexnet_227, BCE", "alexnet_227", "r5-bce", reported={"accuracy": 0.80}),
    Setting("alexnet_227_conv3, BCE", "alexnet_227_conv3", "r5-bce", reported={"accuracy": 0.8136},
            finding="the best"),
)  # fmt: skip
# The networks of the report's first and best row under both losses, at what two processor cores can do.
R5_SHORT_EPOCHS, R5_SHORT_IMAGES = 3, 15_000
R5_SHORT = tuple(
    dataclasses.replace(
        setting, label=f"{setting.label}, {R5_SHORT_EPOCHS} epochs", changes={"epochs": R5_SHORT_EPOCHS}
    )
    for setting in (R5_VARIANTS[0], R5_VARIANTS[2], *R5_BCE)
)


def _r5_experiments() -> tuple[Experiment, ...]:
    metrics = ("accuracy", "train accuracy", "train loss", "training seconds")
    return (
        Experiment("r5-variants", "R5", "AlexNet and its variants, cross-entropy", "cifar10", R5_VARIANTS,
                   metrics, R5_PANELS),
        Experiment("r5-bce", "R5", "Binary cross-entropy", "cifar10", R5_BCE, metrics, R5_PANELS),
        Experiment("r5-short", "R5",
                   "The first network and the best one, by cross-entropy and by binary cross-entropy: "
                   f"{R5_SHORT_EPOCHS} epochs of {R5_SHORT_IMAGES:,} images",
                   "cifar10", R5_SHORT, metrics, R5_PANELS, train_images=R5_SHORT_IMAGES),
    )  # fmt: skip


OWN = "own"  # in place of a report


def _own_experiments() -> tuple[Experiment, ...]:
    metrics = ("accuracy", ONE_VIEW, "train accuracy", "training seconds", "parameters", "MB")
    settled = {"fit_all": True, "keep": "last"}  # the recipes are: nothing is chosen any more
    fastnets = (
        Setting("fastnet", "fastnet", "fastnet", settled, seeds=SEEDS),
        Setting("fastnet, a fifth of the time", "fastnet", "fastnet",
                {**settled, "resolutions": FAST_PHASES}, seeds=SEEDS),
        Setting("fastnet, wide", "fastnet", "fastnet", {**settled, "resolutions": WIDE_PHASES},
                {"width": "wide"}, seeds=SEEDS),
        Setting("fastnet, wide, longer", "fastnet", "fastnet", {**settled, "resolutions": LONG_PHASES},
                {"width": "wide"}),
    )  # fmt: skip
    few = (
        Setting("mynet, 32 pixels", "mynet", "folder", settled),
        Setting("resnet18, 32 pixels", "resnet18", "folder", settled),
        Setting("fastnet, 32 pixels", "fastnet", "fastnet-folder", settled),
        Setting("fastnet, 128 pixels", "fastnet", "fastnet-folder", settled, pixels=128),
        Setting("resnet18, 128 pixels", "resnet18", "folder",
                {**settled, "resolutions": SCENE_PHASES}, pixels=128),
    )  # fmt: skip
    course = (
        Setting("fastnet, own recipe", "fastnet", "fastnet", {**settled, "resolutions": COURSE_PHASES}),
    )
    tiny = (
        Setting("tiny50k", "tiny50k", "tiny50k", settled, seeds=SEEDS),
        Setting("tiny50k, longer", "tiny50k", "tiny50k", {**settled, "resolutions": LONG_TINY_PHASES},
                seeds=SEEDS),
    )  # fmt: skip
    return (
        Experiment("own-fastnet", OWN, "fastnet: accuracy over time", "cifar10", fastnets, metrics,
                   OWN_PANELS),
        Experiment("own-tiny50k", OWN, "tiny50k: accuracy with fewer than 50,000 parameters", "cifar10", tiny,
                   metrics, OWN_PANELS),
        Experiment("cnn-scene15", OWN, "Networks on the 15 scenes", "scene15", few, metrics, OWN_PANELS),
        Experiment("cnn-cifar10", OWN, "fastnet on CIFAR-10's course split", "cifar10", course, metrics,
                   OWN_PANELS, course_split=True),
    )  # fmt: skip


NETWORK_EXPERIMENTS: dict[str, Experiment] = {
    row.name: row
    for row in (
        _r1_final(), _r1_table(), *_r2_experiments(), *_r3_experiments(), *_r4_experiments(),
        *_r5_experiments(), *_own_experiments(),
    )
}  # fmt: skip

# Comparisons of both families, see `experiments.families`, and their sets.
FAMILIES = {"compare-scene15": "scene15", "compare-cifar10": "cifar10"}

# Names that stand for several experiments, the classical ones of R1 among them.
GROUPS: dict[str, tuple[str, ...]] = {
    **{
        part: tuple(name for name in EXPERIMENTS if name.startswith(f"{part}-"))
        for part in ("r1-tiny", "r1-bow")
    },
    "r1-cnn": ("r1-cnn-final", "r1-cnn-table"),
    **{
        report.lower(): tuple(row.name for row in NETWORK_EXPERIMENTS.values() if row.report == report)
        for report in ("R2", "R3", "R4", "R5", OWN)
    },
    "compare": tuple(FAMILIES),
}
GROUPS["all"] = tuple(name for names in GROUPS.values() for name in names)


def measured_accuracies(
    model: str,
    options: Mapping[str, object],
    fingerprint: str,
    *,
    course_split: bool,
    merge: Sequence[Sequence[int]] = (),
    pixels: int | None = None,
    results: Path = PROJECT / "results",
) -> list[float]:
    """Held-out accuracies of whole trainings of a network with these options, from the project's own rows.

    Of images with this fingerprint, the same training images, the same classes (`merge`, as in a recipe)
    and images shown at the same side (`pixels`; None: the network's own); trainings on a part of these, and
    of a single epoch, do not count. A table that cannot be read has none.
    """
    from deep.recipes import RECIPES  # not above: torch comes with it
    from deep.zoo import image_shape

    side = max(image_shape(model, None, pixels)[1:])

    def same(setting: Setting) -> bool:
        recipe = RECIPES[setting.recipe].changed(**setting.changes)
        whole = setting.changes.get("epochs") != 1 and recipe.merge == merge
        whole = whole and max(image_shape(setting.model, None, setting.pixels)[1:]) == side
        own = {**setting.options, **recipe.network_options}
        return whole and setting.model == model and own == dict(options)

    found = []
    for experiment in NETWORK_EXPERIMENTS.values():
        if experiment.train_images is not None or experiment.course_split != course_split:
            continue
        labels = {setting.label for setting in experiment.settings if same(setting)}
        wanted = ("accuracy", "done", "1", fingerprint)
        try:
            rows = read_rows(results / f"{experiment.name}.csv") if labels else []
            found += [float(row.measured) for row in {row.key: row for row in rows}.values()
                      if (row.metric, row.status, row.n_seeds, row.fingerprint) == wanted
                      and row.setting in labels]  # fmt: skip
        except (ValueError, OSError, TypeError):
            continue
    return found


def expanded(names: Sequence[str]) -> list[str]:
    """Names of experiments, groups opened, each once, in the order of the reports."""
    asked = {each for name in names for each in GROUPS.get(name, (name,))}
    return [name for name in (*EXPERIMENTS, *NETWORK_EXPERIMENTS, *FAMILIES) if name in asked]


def check_labels(only: Sequence[str], names: Sequence[str]) -> None:
    """ValueError for a label that none of the named experiments has."""
    known = [setting.label for name in names for setting in NETWORK_EXPERIMENTS[name].settings]
    for label in only:
        if label not in known:
            there = "; ".join(known) or "none without a network"
            raise ValueError(f"--only {label}: no such setting: there are {there}")
