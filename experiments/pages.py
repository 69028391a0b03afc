"""One Markdown page a report: its tables and figures in its order, what it reported beside what came out.

Everything on a page comes from the rows in the results folder, from the figures that were drawn when they
were made, and from the networks themselves: equal rows and figures give equal bytes. What is not measured
yet is said to be owed.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from deep.diagram import write_diagram
from deep.listings import describe, formula_table, share_listing, summary, zoo_table
from deep.zoo import MODELS, build_model
from experiments.network_tables import (
    NETWORK_EXPERIMENTS,
    ONE_VIEW,
    OWN,
    R1_AUGMENTATIONS,
    R1_MEGABYTES,
    R1_MODELS,
    R1_THRESHOLD,
    R5_SHORT,
    Experiment,
    Setting,
    figure_name,
)
from experiments.tables import EXPERIMENTS, Row, figure, read_rows
from reports.tables import markdown_table
from scenes.files import atomic_path

OWED = "owed"

# Twice chance of ten classes: a network that stays below has learned nothing to compare.
LEARNED = 0.2

_SECONDS = (
    "are of trainings hours apart, on machines of changing speed: a rough guide. What is not yet measured is "
    f"{OWED}."
)

# Figures of the report, measured ones beside them.
_DIGITS = {"training seconds": 1, "epoch seconds": 2, "MB": 3, "MACs": 0, "parameters": 0}


class Page:
    """A page as it grows: headings, paragraphs, tables, listings, figures.

    results, folder : where rows are read and where the page will stand.
    own_sets : only rows of the reports' own images count.
    """

    def __init__(self, report: str, results: Path, folder: Path, own_sets: bool):
        self.report, self.results, self.folder, self.own_sets = report, results, folder, own_sets
        self._blocks: list[str] = []

    @property
    def text(self) -> str:
        """The whole page."""
        return "\n\n".join(self._blocks) + "\n"

    def heading(self, text: str, level: int = 2) -> None:
        """A heading."""
        self._blocks.append(f"{'#' * level} {text}")

    def say(self, text: str) -> None:
        """A paragraph."""
        self._blocks.append(text)

    def table(self, lines: Sequence[Sequence[str]]) -> None:
        """A table; the first line is its head."""
        self._blocks.append(markdown_table(lines).rstrip("\n"))

    def listing(self, text: str, fold: str = "") -> None:
        """A text as it is, behind the words of `fold` where it is long."""
        block = f"```text\n{text.rstrip()}\n```"
        if fold:
            block = f"<details><summary>{fold}</summary>\n\n{block}\n\n</details>"
        self._blocks.append(block)

    def figures(self, names: Sequence[str], captions: Sequence[str]) -> None:
        """Figures beside each other; their files lie in the page's folder."""
        cells = [
            f"![{caption}]({name})" if (self.folder / name).is_file() else f"{caption}: {OWED}"
            for name, caption in zip(names, captions, strict=True)
        ]
        if len(cells) == 1:
            self._blocks.append(cells[0])
        else:
            self.table([list(captions), cells])

    def rows(self, experiment: str, dataset: str) -> dict[tuple[str, str], Row]:
        """The rows that count of an experiment, by setting and metric."""
        found: dict[tuple[str, str], Row] = {}
        for row in read_rows(self.results / f"{experiment}.csv"):
            if not self.own_sets or row.dataset == dataset:
                found[row.setting, row.metric] = row
        return found


def write_page(report: str, results: Path, folder: Path, *, own_sets: bool | None = None) -> Path:
    """Write the page of a report, R1 to R5 or own, into `folder` and return its path.

    Parameters
    ----------
    report : str
    results : Path
        Folder of the tables.
    folder : Path
        Where the figures lie, in a folder of the report's own, and the page will.
    own_sets : bool, optional
        Whether rows of other images than the report's are left out; by default yes, unless there are none
        of the report's.
    """
    if own_sets is None:
        own_sets = _has_own(report, results)
    page = Page(report, results, folder, own_sets)
    folder.mkdir(parents=True, exist_ok=True)
    PAGES[report](page)
    path = folder / f"{report.lower()}.md"
    with atomic_path(path) as temporary:
        temporary.write_text(page.text, encoding="utf-8")
    return path


def _has_own(report: str, results: Path) -> bool:
    """Whether any row is of the report's own images."""
    sets = {each.name: each.dataset for each in NETWORK_EXPERIMENTS.values() if each.report == report}
    if report == "R1":
        sets |= dict.fromkeys(EXPERIMENTS, "scene15")
    return any(row.dataset == own for name, own in sets.items() for row in read_rows(results / f"{name}.csv"))


# ------------------------------------------------------------------------------------------- parts of pages


def _network_table(page: Page, name: str, extra: Callable[[dict], list[str]] | None = None, heads=()) -> None:
    """The table of an experiment, a line a setting; `extra` makes further cells of a setting's rows."""
    experiment = NETWORK_EXPERIMENTS[name]
    rows = page.rows(name, experiment.dataset)
    printed = {metric for setting in experiment.settings for metric in setting.reported}
    columns = [
        (metric, which)
        for metric in experiment.metrics
        for which in (("reported", "measured") if metric in printed else ("measured",))
    ]
    finds = any(setting.finding for setting in experiment.settings)
    names = [metric if metric not in printed else f"{metric}, {which}" for metric, which in columns]
    several = any(len(setting.seeds) > 1 for setting in experiment.settings)
    lines = [["setting", *(["seeds"] if several else []), *names, *heads,
              *(["the report says"] if finds else [])]]  # fmt: skip
    for setting in experiment.settings:
        cells = [_cell(rows, setting, metric, which) for metric, which in columns]
        own = {metric: rows[key] for key in rows for metric in [key[1]] if key[0] == setting.label}
        further = extra(own) if extra else []
        seeds = [own["accuracy"].n_seeds if "accuracy" in own else ""] if several else []
        lines.append([setting.label, *seeds, *cells, *further, *([setting.finding] if finds else [])])
    page.table(lines)
    page.say(_origin(experiment, list(rows.values())))


def _cell(rows: dict[tuple[str, str], Row], setting: Setting, metric: str, which: str) -> str:
    if which == "reported":
        return _shown(setting.reported[metric], metric) if metric in setting.reported else ""
    main = rows.get((setting.label, "accuracy"))
    if main is not None and main.status == "failed":
        last = f" (the last good weights: {float(main.measured):.4f})" if main.measured else ""
        return f"failed: {main.reason}{last}" if metric == "accuracy" else ""
    row = rows.get((setting.label, metric))
    if row is None:  # of a training without test-time views, say, there is no figure without them
        return OWED if main is None else ""
    return figure(row) if metric in ("accuracy", ONE_VIEW) else _shown(float(row.measured), metric)


def _shown(value: float, metric: str) -> str:
    return f"{value:,.{_DIGITS.get(metric, 4)}f}"


def _origin(experiment: Experiment, rows: Sequence[Row]) -> str:
    if not rows:
        return f"Not measured yet: `python scripts/reproduce.py {experiment.name}`."
    sizes = sorted({f"{row.dataset}, {int(row.n_test):,} held-out images" for row in rows})
    machines = sorted({row.hardware for row in rows})
    about = f"Measured on {'; '.join(sizes)}; {'; '.join(machines)}. Rows: `results/{experiment.name}.csv`."
    if any(row.spread for row in rows):
        about += " ± is the standard deviation over the seeds."
    if any(row.metric == "accuracy" and row.status == "done" and not row.seconds for row in rows):
        about += " Where seconds are missing other work ran beside."
    return about


def _curves(page: Page, name: str, labels: Sequence[str] | None = None, kind: str = "curves") -> None:
    """The curves of an experiment's settings, one below the other, or those named beside each other."""
    experiment = NETWORK_EXPERIMENTS[name]
    chosen = [setting for setting in experiment.settings if labels is None or setting.label in labels]
    names = [figure_name(experiment, setting, kind) for setting in chosen]
    captions = [setting.label for setting in chosen]
    if labels is None:
        for drawn, caption in zip(names, captions, strict=True):
            page.figures([drawn], [caption])
    else:
        page.figures(names, captions)


def _classical_table(page: Page, name: str) -> None:
    page.heading((EXPERIMENTS[name].__doc__ or name).strip().rstrip("."), 3)
    rows = [row for row in page.rows(name, "scene15").values() if row.status == "done"]
    if not rows:
        page.say(f"{OWED.capitalize()}: `python scripts/reproduce.py {name}`.")
        return
    lines = [["setting", "metric", "reported", "measured", "spread", "seeds", "seconds"]]
    lines += [
        [row.setting, row.metric, row.reported, row.measured, row.spread, row.n_seeds, row.seconds]
        for row in rows
    ]
    page.table(lines)


def _meta(name: str, **options) -> torch.nn.Module:
    with torch.device("meta"):
        return build_model(name, **options)


def _diagram(page: Page, name: str) -> None:
    file = f"{page.report.lower()}/{name}.svg"
    (page.folder / file).parent.mkdir(parents=True, exist_ok=True)
    write_diagram(_meta(name), MODELS[name].input_size, page.folder / file, title=name)
    page.figures([file], [name])


# -------------------------------------------------------------------------------------------------- reports


def _open(page: Page, title: str) -> None:
    page.heading(f"{page.report}: {title}", 1)
    page.say(
        "Written by `scripts/reproduce.py` from the rows in `results/`; nobody types a figure. Accuracies "
        f"are fractions, those measured of the held-out images unless they say otherwise; seconds {_SECONDS}"
    )


def _r1(page: Page) -> None:
    _open(page, "scene recognition, and networks for CIFAR-10")
    page.heading("Part 1: tiny images and bags of SIFT")
    for name in EXPERIMENTS:
        _classical_table(page, name)
    page.heading("The two confusion matrices", 3)
    drawn = Path(__file__).resolve().parents[1] / "docs" / "confusions.svg"
    if drawn.is_file() and page.folder.resolve().parent == drawn.parent:
        page.say(f"![tiny images and bags of SIFT](../{drawn.name})")
    else:
        page.say(f"{OWED.capitalize()}: `python scripts/draw_confusions.py`.")
    page.heading("Part 2: mynet and resnet18")
    page.say(
        "Of the course split's 20,000 training images a tenth is *select*, unless a setting is on all. The "
        "report's *val acc* is the value in its log at the epoch it kept: here *select accuracy*. By R1's "
        "recipe the epoch is chosen by it, by this project's it is the last. The report's *accuracy* is a "
        "separate evaluation: here of the held-out images, once, by this project's recipe over six views of "
        f"each (*{ONE_VIEW}* is without them). That recipe's train loss is of smoothed labels and its train "
        "accuracy of shifted and partly covered images; select loss is of neither. The longer training on "
        "all 20,000 was added when the held-out figure of the shorter one was known."
    )
    _network_table(page, "r1-cnn-final")
    page.heading("Learning curves", 3)
    _curves(page, "r1-cnn-final")
    page.heading("The networks", 3)
    for name in ("mynet", "resnet18"):
        text = summary(_meta(name), MODELS[name].input_size)
        page.say(f"`{name}`:")
        page.listing("\n".join(text.rstrip().splitlines()[-9:]))
        page.listing(describe(name), fold=f"{name}: every module and every call")
    page.heading("What R1 tried")
    page.say(
        f"{NETWORK_EXPERIMENTS['r1-cnn-table'].title}: far from whole trainings, which the reported figures "
        f"are of. The threshold is {R1_THRESHOLD} and the limit {R1_MEGABYTES:g} MB of float32 weights."
    )
    _network_table(page, "r1-cnn-table", _verdicts, (f"above {R1_THRESHOLD}", f"under {R1_MEGABYTES:g} MB"))
    page.say(_r1_finding(page))


def _r1_finding(page: Page) -> str:
    """What the few epochs of the table say to R1's steps on its way, from its rows."""
    rows = _accuracies(page, "r1-cnn-table")
    if rows is None:
        return f"What each step is worth is {OWED}."
    found = {row.setting: float(row.measured) for row in rows}
    learned = [
        model for model in R1_MODELS if max(found[f"{model}, {name}"] for name in R1_AUGMENTATIONS) > LEARNED
    ]

    def gain(pairs: list[tuple[str, str]]) -> str:
        points = [100 * (found[after] - found[before]) for before, after in pairs]
        better = sum(each > 0 for each in points)
        mean = round(sum(points) / len(points), 1) + 0.0  # no -0.0
        return f"{mean:+.1f} points (better in {better} of {len(points)})"

    steps = {
        name: [(f"{model}, none", f"{model}, {name}") for model in learned]
        for name in R1_AUGMENTATIONS
        if name != "none"
    } | {
        f"from {before} to {after}": [(f"{before}, {name}", f"{after}, {name}") for name in R1_AUGMENTATIONS]
        for before, after in (("vgg16", "vgg19"), ("vgg16", "vgg16_wide"), ("resnet18_plain", "resnet18"))
    }
    return (
        "R1 finds that a flip helps throughout, VGG19 lower than VGG16, and VGG16 0.7 points better when "
        "widened and with dropout; it begins with a ResNet18 whose first kernel and stride are made smaller. "
        f"At these few epochs, one seed each, mean over the {len(learned)} networks that came above "
        f"{LEARNED:g}: {'; '.join(f'{name} {gain(pairs)}' for name, pairs in steps.items())}."
    )


def _accuracies(page: Page, name: str) -> list[Row] | None:
    """The accuracies of all settings of an experiment, in its order; None where one is not measured."""
    experiment = NETWORK_EXPERIMENTS[name]
    found = page.rows(name, experiment.dataset)
    rows = [found[key] for setting in experiment.settings if (key := (setting.label, "accuracy")) in found]
    return rows if len(rows) == len(experiment.settings) and all(row.measured for row in rows) else None


def _verdicts(rows: dict[str, Row]) -> list[str]:
    accuracy, size = rows.get("accuracy"), rows.get("MB")
    if accuracy is None or size is None or accuracy.status != "done":
        return ["", ""]
    return [
        "yes" if float(accuracy.measured) > R1_THRESHOLD else "no",
        "yes" if float(size.measured) <= R1_MEGABYTES else "no",
    ]


# R2's eight tables in its order; the experiments that each follows.
_R2_LISTED = ("lenet_modern", "lenet_window9", "lenet_channels8", "lenet_convs4", "lenet_fc5")
# What R2 found best in its sweeps.
_R2_BEST = {"r2-lr": "lr 0.01", "r2-dropout": "dropout 0.1"}
_GAP = (
    "The generalisation gap is train accuracy minus held-out accuracy; train accuracy is that of the last "
    "epoch as it ran, of augmented images where there are such, under dropout and before the last steps."
)
_R2_ALEXNETS = ("alexnet_128", "alexnet_28", "alexnet_28_small")


def _r2(page: Page) -> None:
    _open(page, "LeNets and AlexNets on Fashion-MNIST")
    page.say(
        f"{_GAP} The loss gap is held-out loss minus train loss. The last epoch is kept; the held-out curve "
        "is drawn as in the report and not used for choosing. MACs are products of convolutions and linear "
        "layers; the listings count by R2's rule, which has biases, norms, activations and pools as well."
    )
    page.heading("The baseline and its variants")
    _network_table(page, "r2-lenet")
    _curves(page, "r2-lenet")
    page.heading("Parameters and MACs", 3)
    for name in _R2_LISTED:
        page.say(f"`{name}`:")
        page.listing(share_listing(_meta(name), MODELS[name].input_size))
    page.heading("Learning rate")
    _network_table(page, "r2-lr")
    page.say(_r2_order(page, "r2-lr"))
    _curves(page, "r2-lr", ("lr 0.01", "lr 0.001"))
    _curves(page, "r2-lr", ("lr 1",))
    page.heading("Dropout on R2's best model")
    _network_table(page, "r2-dropout")
    page.say(_r2_order(page, "r2-dropout"))
    _curves(page, "r2-dropout", ("dropout 0.1", "dropout 0.7"))
    _curves(page, "r2-dropout", ("dropout 0.3", "dropout 0.5"))
    page.say("R2's best model without and with dropout 0.1:")
    lenet, dropout = NETWORK_EXPERIMENTS["r2-lenet"], NETWORK_EXPERIMENTS["r2-dropout"]
    best = next(setting for setting in lenet.settings if setting.label == "lenet_channels8")
    page.figures(
        [figure_name(lenet, best, "curves"), figure_name(dropout, dropout.settings[0], "curves")],
        ["without dropout", "dropout 0.1"],
    )
    page.heading("AlexNets")
    _network_table(page, "r2-alexnet")
    for name in _R2_ALEXNETS:  # the fourth's single epoch is no curve
        _curves(page, "r2-alexnet", (name,))
    page.heading("Parameters and MACs", 3)
    for name in _R2_ALEXNETS:
        page.say(f"`{name}`:")
        page.listing(share_listing(_meta(name), MODELS[name].input_size))


def _r2_order(page: Page, name: str) -> str:
    """A sweep's settings from the best to the worst, those that diverged last, and what R2 found best."""
    rows = _accuracies(page, name)
    if rows is None:
        return f"The order is {OWED}."
    ranked = sorted(rows, key=lambda row: (row.status == "done", float(row.measured)), reverse=True)
    words = [row.setting if row.status == "done" else f"{row.setting} (diverged)" for row in ranked]
    same = "as" if ranked[0].setting == _R2_BEST[name] else "not as"
    return f"From the best accuracy to the worst: {', '.join(words)}; the best of these {same} in the report."


def _r3(page: Page) -> None:
    _open(page, "four small networks for CIFAR-10")
    page.heading("The networks")
    for name in ("cifar_plain", "cifar_separable", "cifar_residual", "cifar_50k"):
        page.heading(name, 3)
        page.listing(formula_table(_meta(name), MODELS[name].input_size, channels_last=True))
        if name in ("cifar_residual", "cifar_50k"):
            _diagram(page, name)
    page.heading("Results")
    page.say(_GAP)
    _network_table(page, "r3-networks")
    _curves(page, "r3-networks")
    page.heading("What dropout and skips do")
    _network_table(page, "r3-ablation")
    page.say(_r3_finding(page))
    _curves(page, "r3-ablation")
    page.heading("By this project's recipe")
    page.say(
        "The same networks with shifted, mirrored and partly covered images, a rate that rises and falls, "
        "and more epochs, chosen on a tenth of the 45,000 and then fitted on all. The accuracy is over six "
        f"views of an image, *{ONE_VIEW}* without. The residual network was trained longer when its first "
        "held-out accuracy was known to be below 0.90: of its rows expect the best to flatter a little."
    )
    _network_table(page, "r3-own")
    _curves(page, "r3-own")
    page.heading("Photographs")
    page.say("What these networks say to photographs of another origin: [photographs](../photographs.md).")


def _r3_finding(page: Page) -> str:
    """What the ablation says to R3's claim, from its rows."""
    rows = _accuracies(page, "r3-ablation")
    if rows is None:
        return f"What each is worth is {OWED}."
    whole, *others = (100 * float(row.measured) for row in rows)
    points = [whole - each for each in others]
    several = page.rows("r3-networks", "cifar10").get(("residual", "accuracy"))
    spread = f"; s.d. over seeds {100 * float(several.spread):.1f}" if several and several.spread else ""
    return (
        "R3 puts the residual network's lead down to dropout and skips together. Here leaving out dropout "
        f"costs {points[0]:.1f} points, leaving out the skips {points[1]:.1f}, leaving out both "
        f"{points[2]:.1f} (one seed each{spread})."
    )


def _r4(page: Page) -> None:
    _open(page, "a small network for MNIST")
    for name, classes in (("r4-digits", 10), ("r4-merged", 4)):
        page.heading(NETWORK_EXPERIMENTS[name].title)
        page.listing(
            formula_table(_meta("mnist_conv3", num_classes=classes), MODELS["mnist_conv3"].input_size)
        )
        _network_table(page, name)
        _curves(page, name)
        _curves(page, name, kind="confusion")
    page.say(
        "*Accuracy after merging* is that of the ten-class network when its predictions are taken together "
        "to the four classes: what training on merged classes is to be compared with."
    )
    page.heading(NETWORK_EXPERIMENTS["r4-options"].title)
    page.say("Early stopping looks at select, a tenth of the training images; the others are fitted on all.")
    _network_table(page, "r4-options")


def _r5(page: Page) -> None:
    _open(page, "AlexNet at 227x227")
    page.heading("The networks")
    page.listing(formula_table(_meta("alexnet_227"), MODELS["alexnet_227"].input_size))
    page.listing("\n".join(zoo_table(name for name in MODELS if name.startswith("alexnet_227"))))
    for name in ("r5-short", "r5-variants", "r5-bce"):
        page.heading(NETWORK_EXPERIMENTS[name].title)
        _network_table(page, name)
        if name == "r5-short":
            page.say(_r5_finding(page))
        _curves(page, name)


def _r5_finding(page: Page) -> str:
    """What training at equal epochs says to R5's lead of binary cross-entropy, from its rows."""
    rows = _accuracies(page, "r5-short")
    if rows is None:
        return f"What binary cross-entropy is worth is {OWED}."
    leads = []
    pairs = list(zip(R5_SHORT, rows, strict=True))
    for (plain, first), (binary, second) in zip(pairs[:2], pairs[2:], strict=True):
        reported = 100 * (binary.reported["accuracy"] - plain.reported["accuracy"])
        measured = 100 * (float(second.measured) - float(first.measured))
        leads.append(f"`{plain.model}` {reported:+.1f} points there, {measured:+.1f} here")
    return (
        "R5 finds binary cross-entropy far ahead of cross-entropy. At equal epochs, one seed each: "
        f"{'; '.join(leads)}."
    )


def _own(page: Page) -> None:
    page.heading("This project's networks", 1)
    page.say(
        "Written by `scripts/reproduce.py` from the rows in `results/`; nobody types a figure. "
        f"*{ONE_VIEW}* is without the recipe's test-time views. Seconds {_SECONDS}"
    )
    page.say(
        "`fastnet` and `tiny50k`: CIFAR-10's training images, 45,000 fitted and 5,000 held out by a "
        "committed list. The recipes were chosen on parts of the 45,000, beginning from settings that had "
        "been compared on the last 5,000 of the 50,000, of which 469 are held out here."
    )
    for name in ("fastnet", "tiny50k"):
        page.heading(NETWORK_EXPERIMENTS[f"own-{name}"].title)
        page.listing(formula_table(_meta(name), MODELS[name].input_size))
        _diagram(page, name)
        _network_table(page, f"own-{name}")
        _curves(page, f"own-{name}")
    page.heading("For the comparisons with tiny images and bags of SIFT")
    for name in ("cnn-scene15", "cnn-cifar10"):
        page.heading(NETWORK_EXPERIMENTS[name].title, 3)
        _network_table(page, name)
        _curves(page, name)


PAGES: dict[str, Callable[[Page], None]] = {
    "R1": _r1, "R2": _r2, "R3": _r3, "R4": _r4, "R5": _r5, OWN: _own,
}  # fmt: skip
