"""What ``compare.py`` does: reads runs, finds their pictures, writes tables, a figure and a page."""

import csv
import os
from collections.abc import Sequence
from pathlib import Path

from experiments.data import set_folder
from experiments.tabulate import aligned, check_writable
from experiments.truth import pictures_in
from reports import Comparison, Run, compare, read_run
from reports.comparison import CSV_COLUMNS, csv_rows, explanation
from reports.comparison_page import (
    ABOUT_COSTS,
    comparison_page,
    cost_figure,
    made_lines,
    pair_lines,
    run_lines,
)
from reports.page import Picture
from reports.tables import latex_table, markdown_table
from scenes.dataset import fingerprint
from scenes.files import scratch_folder, sync_folder
from scenes.reading import pixel_hash
from scenes.threads import in_threads


def compare_runs(
    folders: Sequence[Path], out: Path, *, data: str | None = None, random_state: int = 0
) -> tuple[Comparison, list[str]]:
    """Compare runs and write `out` whole or not at all; the comparison and the lines for the screen.

    Parameters
    ----------
    folders : run folders, the first is what the others are held beside
    out : Path
        Must not exist, or be empty.
    data : str, optional
        Folder with the test images, for the pictures; without it that of the known set, if it is there.
    random_state : int
        Seed of the bootstrap.

    Raises
    ------
    ValueError, OSError
        What `read_run` and `compare` refuse; `out` holds something already.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"{out} is there already: give --out another folder")
    check_writable(out)
    comparison = compare([read_run(folder) for folder in folders], random_state=random_state)
    picture = heldout_pictures(comparison.runs[0], data)
    lines = [
        *aligned(run_lines(comparison)), ABOUT_COSTS, "", *aligned(pair_lines(comparison)), "",
        *(sentence for other in range(1, len(comparison.runs))
          for sentence in explanation(comparison, 0, other)),
        "", *aligned(made_lines(comparison)),
    ]  # fmt: skip
    if picture is None:
        lines += ["", "(no pictures: the test images are not where a known set lies; --data DIR names them)"]
    out.parent.mkdir(parents=True, exist_ok=True)
    with scratch_folder(out.parent) as folder:
        _write(folder, comparison, lines, picture)
        sync_folder(folder)
        if out.exists():
            out.rmdir()
        os.rename(folder, out)
    return comparison, lines


def heldout_pictures(run: Run, data: str | None) -> Picture | None:
    """The pixels of a run's test images by name, from `data` or from the known set of that name; or None.

    Raises
    ------
    FileNotFoundError, ValueError
        `data` does not hold them, or others of their names; one of them is damaged.
    """
    name = str(run.result["data"].get("name", ""))
    folder = Path(data) if data else set_folder(name)
    if not folder.is_dir() or not name and not data:
        if data:
            raise FileNotFoundError(f"{folder}: no such folder: give the one with the test images")
        return None
    try:
        picture = pictures_in(folder, run.filenames)
        if not _is_of(picture, run):
            raise ValueError(
                f"{folder}: its pictures have the names of {run.folder}'s test images, but other pixels: "
                "give the folder that the run was tested on"
            )
        return picture
    except (FileNotFoundError, ValueError):
        if data:
            raise
        return None


def _is_of(picture: Picture, run: Run) -> bool:
    """Whether the pixels are those the run was tested on, as far as its record tells."""
    given = run.result["data"].get("test_fingerprint")
    if not given or run.result["config"].get("recipe", {}).get("merge"):
        return True  # taken with the classes before they were merged, which the run does not keep

    def digest(name: str) -> str:
        pixels = picture(name)
        return pixel_hash(pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels)

    hashes = list(in_threads(digest, run.filenames, None))
    return fingerprint(hashes, run.labels) == given


def _write(folder: Path, comparison: Comparison, lines: Sequence[str], picture: Picture | None) -> None:
    with (folder / "comparison.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, CSV_COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(csv_rows(comparison))
    tables = (run_lines(comparison), pair_lines(comparison), made_lines(comparison))
    drawn = cost_figure(comparison, folder / "cost")
    texts = {
        "comparison.txt": "\n".join(lines) + "\n",
        "comparison.md": "\n".join(map(markdown_table, tables)),
        "comparison.tex": "\n".join(map(latex_table, tables)),
        "comparison.html": comparison_page(comparison, picture=picture, figure=drawn[1] if drawn else None),
    }
    for name, text in texts.items():
        # names of classes and files need not be valid UTF-8; this keeps their bytes
        (folder / name).write_bytes(text.encode("utf-8", "surrogateescape"))
