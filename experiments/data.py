"""Which images a command uses, said in one line before anything else."""

import os
from pathlib import Path

from scenes.dataset import SceneDataset
from scenes.synthetic import synthetic_folder

PROJECT = Path(__file__).resolve().parents[1]

DATASETS = ("scene15", "synthetic")

# Images a class and part in a --lite run.
LITE_IMAGES = 8

GET_SCENES = "python scripts/get_data.py scene15"


def load_data(
    data: str | Path | None = None,
    dataset: str | None = None,
    *,
    split: float | None = None,
    seed: int = 0,
    lite: bool = False,
    skip_unreadable: bool = False,
    jobs: int | None = None,
) -> tuple[SceneDataset, str]:
    """The images to use, looked at once, and a line that says which they are and why.

    In this order: the folder `data`; the set `dataset` (scene15 if None) in the folder that the
    environment variable SCENEBENCH_DATA names, or where it is unset in ``data/`` under the project;
    the built-in synthetic scenes, if no set was asked for by name.

    Raises
    ------
    FileNotFoundError, ValueError
        No such folder or set; both `data` and `dataset` given; what `SceneDataset` refuses.
    """
    if data is not None and dataset is not None:
        raise ValueError("--data and --dataset exclude each other: give one of them")
    folder, name, note = _choose(data, dataset)
    found = SceneDataset.from_folder(folder, split=split, random_state=seed, name=name)
    if found.drawn:
        note += f", split {found.drawn[0]:g} with seed {found.drawn[1]}"
    if lite:
        found = found.lite(LITE_IMAGES)
        note += f", only {LITE_IMAGES} + {LITE_IMAGES} images a class (--lite)"
    found = found.scan(skip_unreadable=skip_unreadable, n_jobs=jobs)
    sizes = f"{len(found.train)} training and {len(found.test)} test images of {len(found.classes)} classes"
    return found, f"data: {note}: {sizes}"


def set_folder(name: str) -> Path:
    """Where a known set lies if it is here: below SCENEBENCH_DATA, or where that is unset in ``data/``."""
    root = os.environ.get("SCENEBENCH_DATA")
    return (Path(root) if root is not None else PROJECT / "data") / name


def _choose(data, dataset) -> tuple[Path, str | None, str]:
    if data is not None:
        return Path(data), None, str(data)
    named = dataset or "scene15"
    root = os.environ.get("SCENEBENCH_DATA")
    if named != "synthetic" and root is not None:
        folder = Path(root) / named
        if not folder.is_dir():
            raise FileNotFoundError(
                f"{folder}: SCENEBENCH_DATA is set, but holds no {named}: unset it or make the folder "
                f"(python scripts/get_data.py {named} --to {root})"
            )
        return folder, named, f"{named} in {root} (SCENEBENCH_DATA)"
    folder = PROJECT / "data" / named
    if named != "synthetic" and folder.is_dir():
        return folder, named, f"{named} in {folder.parent}"
    if named != "synthetic" and dataset is not None:
        raise FileNotFoundError(
            f"{folder}: no such folder: get the set with python scripts/get_data.py {named}"
        )
    note = "the built-in synthetic scenes"
    if dataset is None:
        note += f" (for the real ones: {GET_SCENES}, for your own: --data DIR)"
    return synthetic_folder(), "synthetic", note
