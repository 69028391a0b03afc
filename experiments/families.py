"""Both families on the same held-out images: tiny images and bags of SIFT beside really trained networks.

What is not there yet is run; the runs are held against each other; the rows of ``compare-SET`` and a page are
what is left. The networks are settings of `network_tables`, trained as any other.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from experiments.classical import Voting, bag_vectors, classify, tiny_vectors
from experiments.data import load_data, set_folder
from experiments.network_runs import Call, Runner
from experiments.network_tables import NETWORK_EXPERIMENTS, OWN
from experiments.readme import Results
from experiments.tables import Ledger, Measured, Row
from experiments.tabulate import aligned
from features import BagOfWords, TinyImage
from reports import Comparison, Run, compare, read_run, write_run
from reports.comparison import csv_rows, explanation
from reports.comparison_page import ABOUT_COSTS, cost_figure, made_lines, pair_lines, run_lines
from reports.tables import markdown_table
from scenes.dataset import SceneDataset
from scenes.files import atomic_path


@dataclass(frozen=True)
class Classical:
    """A tiny image or a bag of SIFT with its vote, at the reference's settings but for the image size."""

    label: str
    method: str  # tiny or bow
    k: int
    resize: int | None = None


@dataclass(frozen=True)
class Families:
    """What is held against each other on one set.

    classical : the first one is what the others are held beside.
    networks : (experiment, setting's label), in order.
    """

    name: str
    title: str
    dataset: str
    classical: tuple[Classical, ...]
    networks: tuple[tuple[str, str], ...]
    course_split: bool = False
    about: str = ""


def _of(experiment: str, *labels: str) -> tuple[tuple[str, str], ...]:
    return tuple((experiment, label) for label in labels)


SCENES = Families(
    "compare-scene15", "The 15 scenes", "scene15",
    (
        Classical("bag of SIFT, 8-NN", "bow", 8),
        Classical("tiny images, 1-NN", "tiny", 1),
        Classical("bag of SIFT, 8-NN, of 32 pixels", "bow", 8, 32),
        Classical("tiny images, 1-NN, of 32 pixels", "tiny", 1, 32),
    ),
    tuple(("cnn-scene15", setting.label) for setting in NETWORK_EXPERIMENTS["cnn-scene15"].settings),
    about="100 training images a class. Networks see squashed images of the size that is named; classical "
    "methods the whole image unless a size is named, so that resolution and method are told apart.",
)  # fmt: skip
CIFAR10 = Families(
    "compare-cifar10", "CIFAR-10, course split", "cifar10",
    (Classical("bag of SIFT, 8-NN", "bow", 8), Classical("tiny images, 1-NN", "tiny", 1)),
    (
        *_of("r1-cnn-final", "mynet, own recipe", "resnet18, own recipe, longer, on all 20,000"),
        *(("cnn-cifar10", setting.label) for setting in NETWORK_EXPERIMENTS["cnn-cifar10"].settings),
    ),
    course_split=True,
    about="20,000 training images, all 5,000 held-out ones; everything at 32 pixels.",
)  # fmt: skip
TABLES = {each.name: each for each in (SCENES, CIFAR10)}


@dataclass(frozen=True)
class _Judged:
    """The images that a run was judged on, as a table of results wants them."""

    name: str
    fingerprint: Mapping[str, str]
    test: Sequence[str]

    @classmethod
    def by(cls, run: Run) -> "_Judged":
        data = run.result["data"]
        return cls(str(data["name"]), {"test": str(data["test_fingerprint"])}, run.filenames)


def compare_families(families: Families, call: Call) -> tuple[list[str], Path]:
    """Run what is missing, compare, write the rows and the page ``compare/SET.md`` beside the figures.

    Run folders are looked for in ``call.runs_dir`` by their names; a network's is taken where its accuracy
    is the one in the experiment's rows, a classical one where its images, k and size are those asked for. Of
    other images than the set's own, and in a look, all is run anew.

    Returns
    -------
    (list of str, Path)
        The runs in a table, and the page.
    """
    own = call.data is None and call.dataset is None and not call.lite
    reused = own and not call.fresh
    runner, networks = Runner(call), []
    for experiment, label in families.networks:
        name = _run_name(experiment, label)
        done = Results(call.results).last(experiment, label)
        folder = _latest(call.runs_dir, name, partial(_is_of, done)) if reused else None
        if folder is None:
            _, failed = runner.run(experiment, [label], again=True)
            folder = _latest(call.runs_dir, name)
            if failed or folder is None:
                raise ValueError(f"{experiment} {label} could not be trained: see the lines above")
        networks.append(read_run(folder))
    runs = [*_classical_runs(families, call, networks[0], reused), *networks]
    labels = [each.label for each in families.classical] + [label for _, label in families.networks]
    comparison = replace(compare(runs), names=tuple(labels))
    path = call.results / f"{families.name}.csv"
    ledger = Ledger(path, families.name, _Judged.by(networks[0]), call.command, call.jobs, report=OWN)
    ledger.fill(_measured(comparison))
    return aligned(run_lines(comparison)), _write_page(families, comparison, call.figures.parent / "compare")


def _run_name(experiment: str, label: str) -> str:
    (setting,) = (each for each in NETWORK_EXPERIMENTS[experiment].settings if each.label == label)
    return f"{experiment}-{setting.slug}"


def _latest(
    runs_dir: Path, name: str, fits: Callable[[Mapping], bool] = lambda result: True
) -> Path | None:
    """The last run folder of a name that fits; its beginning is the time, so that names sort by it."""
    for folder in sorted(runs_dir.glob(f"*-{name}"), reverse=True):
        try:
            if (folder / "result.json").is_file() and fits(read_run(folder).result):
                return folder
        except ValueError:  # damaged, or of another version
            continue
    return None


def _is_of(row: Row | None, result: Mapping) -> bool:
    """Whether a run is the training that a row tells of."""
    if row is None or result["data"].get("test_fingerprint") != row.fingerprint:
        return False
    return str(result["n_test"]) == row.n_test and abs(result["accuracy"] - float(row.measured)) < 1e-4


def _classical_runs(families: Families, call: Call, network: Run, reused: bool) -> list[Run]:
    """The classical runs, on the very images that a network was judged on."""
    names = {each: f"{families.name}-{_slug(each.label)}" for each in families.classical}
    there = {
        each: _latest(call.runs_dir, name, partial(_is_that, each, network.result)) if reused else None
        for each, name in names.items()
    }
    if not all(there.values()):
        is_own = call.data is None and call.dataset is None and set_folder(families.dataset).is_dir()
        dataset, note = load_data(
            call.data, families.dataset if is_own else call.dataset, split=call.split,
            course_split=families.course_split and is_own, lite=call.lite, jobs=call.jobs,
        )  # fmt: skip
        print(note)
        dataset = _judged_on(dataset, network)
        for each, name in names.items():
            there[each] = there[each] or _run_classical(each, name, dataset, call)
    return [read_run(folder) for folder in there.values() if folder is not None]


def _is_that(setting: Classical, network: Mapping, result: Mapping) -> bool:
    """Whether a run has this k and size of images, and the network's images."""
    config = result["config"]
    prints = ("train_fingerprint", "test_fingerprint")
    same = all(result["data"].get(key) == network["data"].get(key) for key in prints)
    return same and (config.get("k"), config.get("resize")) == (setting.k, setting.resize)


def _judged_on(dataset: SceneDataset, network: Run) -> SceneDataset:
    """The set with the test images of a run, which may be fewer in a look."""
    wanted = set(network.filenames)
    rows = [i for i, name in enumerate(dataset.test.names) if name in wanted]
    if len(rows) == len(dataset.test):
        return dataset
    return replace(dataset, test=dataset.test.select(rows), scans={}).scan()


def _run_classical(setting: Classical, name: str, dataset: SceneDataset, call: Call) -> Path:
    print(f"{name}: {setting.label}", flush=True)
    if setting.method == "tiny":
        encoded = tiny_vectors(dataset, TinyImage(resize=setting.resize, n_jobs=call.jobs))
    else:
        bag = BagOfWords(resize=setting.resize, n_jobs=call.jobs)
        (encoded,) = bag_vectors(dataset, bag, fresh=call.fresh)
    voting = Voting((setting.k,))
    (record,) = classify(
        dataset, encoded, voting, name=setting.method, command=call.command, n_jobs=call.jobs
    )
    return write_run(call.runs_dir, replace(record, name=name))


def _measured(comparison: Comparison) -> Iterator[Measured]:
    """The figures of each run, and of all but the first how they differ from it."""
    costs = {"parameters": "param_count", "MB": "file_mb", "million MACs": "macs_m",
             "training seconds": "train_seconds", "ms per image": "ms_per_image"}  # fmt: skip
    for i, (label, row) in enumerate(zip(comparison.names, csv_rows(comparison), strict=True)):
        hardware = str(comparison.runs[i].result["environment"]["hardware"])
        low, high = comparison.interval(i)
        figures = {"accuracy": float(comparison.right[i].mean()), "interval low": low, "interval high": high}
        figures |= {metric: float(row[key]) for metric, key in costs.items() if row[key]}
        for pair in comparison.pairs:
            if (pair.first, pair.second) == (0, i):
                figures |= {
                    "difference to the first": pair.difference, "difference low": pair.interval[0],
                    "difference high": pair.interval[1], "right only here": pair.only_second,
                    "right only there": pair.only_first, "p, Holm": pair.p_holm,
                }  # fmt: skip
        for metric, value in figures.items():
            yield Measured(label, metric, (value,), hardware=hardware)


def _write_page(families: Families, comparison: Comparison, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    blocks = [
        f"# {families.title}: what a CNN buys",
        "Written by `scripts/reproduce.py compare`; nobody types a figure. " + families.about,
        markdown_table(run_lines(comparison)).rstrip("\n"),
        ABOUT_COSTS,
    ]
    drawn = cost_figure(comparison, folder / families.dataset)
    if drawn is not None:
        drawn[0].unlink()
        blocks.append(f"![accuracy over costs]({drawn[1].name})")
    blocks += [
        "## Differences",
        "Second minus first, in points, with the paired bootstrap's 95 % interval; p of McNemar's exact "
        "test, corrected by Holm's rule for all pairs.",
        markdown_table(pair_lines(comparison)).rstrip("\n"),
        "## Where they come from",
        *(" ".join(explanation(comparison, 0, other)) for other in range(1, len(comparison.names))),
        "## How they were made",
        markdown_table(made_lines(comparison)).rstrip("\n"),
    ]
    path = folder / f"{families.dataset}.md"
    with atomic_path(path) as temporary:
        temporary.write_text("\n\n".join(blocks) + "\n", "utf-8")
    return path


def _slug(label: str) -> str:
    return "-".join("".join(letter if letter.isalnum() else " " for letter in label).split())
