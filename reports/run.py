"""The run folder: what one evaluation leaves behind, written completely or not at all, read with checks.

::

    RUNS/20260131T235959Z-bow/
        result.json                    figures, settings, data, diagnoses, timings, environment
        predictions.csv  scores.npz    what was predicted for each test image
        confusion.png  confusion.svg  report.txt  report.html  tables.md  tables.tex
        model.npz                      what predicting again needs (where there is such a model); of a
                                       network model.safetensors, and metrics.csv, layers.csv, curves.*

Equal inputs give equal bytes, but for ``command``, ``timings`` and ``environment`` in ``result.json`` and the
marked block of ``report.txt`` and ``report.html``. Several settings of one call share a folder: ``table.csv``
and one complete run folder for each.
"""

from __future__ import annotations

import contextlib
import csv
import errno
import io
import itertools
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from reports._run_files import (
    PREDICTION_COLUMNS,
    TABLE_COLUMNS,
    TEXT_ERRORS,
    read_csv,
    read_result,
    read_scores,
)
from reports.figures import confusion_figure
from reports.metrics import confusion_matrix
from reports.page import html_report
from reports.record import RunRecord, build_result, check_name, check_record, json_text
from reports.tables import latex_table, markdown_table, run_tables
from reports.text import text_report
from scenes.files import scratch_folder, sync_folder, write_npz


@dataclass(frozen=True, eq=False)
class Run:
    """One evaluation, as `read_run` found it.

    Attributes
    ----------
    folder : Path
    result : dict
        The contents of ``result.json``.
    filenames, labels, predicted : tuple of str
        One entry a test image, sorted by name.
    scores : ndarray of float32, shape (n, C)
    classes : tuple of str
    """

    folder: Path
    result: dict
    filenames: tuple[str, ...]
    labels: tuple[str, ...]
    predicted: tuple[str, ...]
    scores: np.ndarray
    classes: tuple[str, ...]


def write_run(
    runs_dir: str | os.PathLike,
    record: RunRecord,
    *,
    now: datetime | None = None,
    folder_name: str | None = None,
    page: bool = True,
) -> Path:
    """Write the run folder ``RUNS/<UTC time>-<name>/`` and return it.

    The files are made in a hidden folder beside, which gets its name in one step when it is complete. An
    error or an interrupt on the way removes it. ``-2``, ``-3`` ... are appended if the name is taken, also
    when another process takes it at the same moment.

    Parameters
    ----------
    runs_dir : path
        Created if it does not exist.
    record : RunRecord
    now : datetime, optional
        The time in the name, instead of the present.
    folder_name : str, optional
        The folder's whole name, instead of time and name.
    page : bool, default=True
        Whether ``report.html`` and ``tables.*`` are written.

    Raises
    ------
    ValueError
        The record contradicts itself (see `build_result`).
    OSError
        The disk is full, the folder is not writable.
    """
    stem = _timed(record.name, now) if folder_name is None else folder_name
    check_name(record.name)
    check_name(stem)
    with _scratch_in(Path(runs_dir)) as folder:
        _write_files(folder, record, page)
        return _publish(folder, Path(runs_dir), stem)


def write_table_run(
    runs_dir: str | os.PathLike,
    name: str,
    table_rows: Sequence[Mapping],
    runs: Mapping[str, RunRecord | Path],
    *,
    now: datetime | None = None,
    page: bool = False,
) -> Path:
    """Write several settings of one call as one folder, all or none, and return it.

    Parameters
    ----------
    runs_dir, now
        As in `write_run`.
    name : str
        Name of the whole.
    table_rows : sequence of mapping
        Rows of ``table.csv`` in their order, keys from `TABLE_COLUMNS`; missing ones and None stay empty.
        The ``run`` of a row is its key in `runs`.
    runs : mapping of str to RunRecord or Path
        The complete run of each row, under the name of its folder: what varies, such as ``k8-cityblock``. A
        path is a run folder that is there already; it is copied.
    page : bool, default=False
        Whether each of `runs` that is a record gets its ``report.html`` and ``tables.*``.

    Raises
    ------
    ValueError
        Rows and runs do not match, a column is unknown, a record contradicts itself.
    OSError
        The disk is full, the folder is not writable.
    """
    check_name(name)
    _check_table(table_rows, runs)
    with _scratch_in(Path(runs_dir)) as folder:
        cells = [["" if row.get(key) is None else row[key] for key in TABLE_COLUMNS] for row in table_rows]
        _write_csv(folder / "table.csv", TABLE_COLUMNS, cells)
        for run_name, run in runs.items():
            subfolder = folder / run_name
            if isinstance(run, Path):
                shutil.copytree(run, subfolder)
            else:
                subfolder.mkdir()
                _write_files(subfolder, run, page)
        return _publish(folder, Path(runs_dir), _timed(name, now))


def read_run(folder: str | os.PathLike) -> Run:
    """Return the run in a folder that `write_run` wrote, after comparing its files with each other.

    Keys of ``result.json`` that this version does not know are kept. Pictures and reports need not be there.

    Raises
    ------
    ValueError
        A file is missing, damaged or of another schema; the accuracy or the confusion matrix is not that
        of the predictions. One line, which names the file.
    """
    folder = Path(folder)
    if (folder / "table.csv").is_file() and not (folder / "result.json").exists():
        raise ValueError(f"{folder} holds several runs: give one of {named_runs(folder)} in it")
    result = read_result(folder / "result.json")
    classes = tuple(result["classes"])
    rows = read_csv(folder / "predictions.csv", PREDICTION_COLUMNS)
    run = Run(
        folder=folder,
        result=result,
        filenames=tuple(row[0] for row in rows),
        labels=tuple(row[1] for row in rows),
        predicted=tuple(row[2] for row in rows),
        scores=read_scores(folder / "scores.npz", [row[0] for row in rows], classes),
        classes=classes,
    )
    _check_run(run)
    _check_scores(run, [row[3] for row in rows])
    return run


def named_runs(folder: Path) -> str:
    """The names of the first run folders in a folder, and how many more there are."""
    names = sorted(path.parent.name for path in folder.glob("*/result.json"))
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def read_table_run(folder: str | os.PathLike) -> tuple[list[dict[str, str]], dict[str, Run]]:
    """Return the rows of ``table.csv`` as text, and its runs by name, from a folder of several settings.

    Raises
    ------
    ValueError
        As `read_run`, for the table and for each run.
    """
    path = Path(folder) / "table.csv"
    rows = [dict(zip(TABLE_COLUMNS, row, strict=True)) for row in read_csv(path, TABLE_COLUMNS)]
    for row in rows:
        try:
            check_name(row["run"])  # before it becomes a path
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
    return rows, {row["run"]: read_run(Path(folder, row["run"])) for row in rows}


def _write_files(folder: Path, record: RunRecord, page: bool) -> None:
    check_record(record)
    order = sorted(range(len(record.filenames)), key=lambda i: record.filenames[i])
    record = replace(
        record,
        filenames=[record.filenames[i] for i in order],
        labels=[record.labels[i] for i in order],
        predicted=[record.predicted[i] for i in order],
        scores=np.asarray(record.scores, dtype=np.float32)[order],
    )
    model_bytes = 0
    if record.model_arrays is not None:
        write_npz(folder / "model.npz", record.model_arrays)
        model_bytes = (folder / "model.npz").stat().st_size
    for name, write in record.extra_files.items():
        write(folder / name)
    if (folder / "model.safetensors").exists():
        model_bytes = (folder / "model.safetensors").stat().st_size
    result = build_result(record, model_bytes)
    _write_predictions(folder, record)
    confusion_figure(
        np.array(result["confusion"]),
        result["classes"],
        result["accuracy"],
        folder / "confusion",
        record.name,
    )
    _write_text(folder / "report.txt", text_report(result))
    if page:
        text = html_report(
            result, record.filenames, record.labels, record.predicted, _chosen(record), shown=record.shown,
            folder=folder,
        )  # fmt: skip
        _write_text(folder / "report.html", text)
        tables = run_tables(result)
        _write_text(folder / "tables.md", "\n".join(map(markdown_table, tables)))
        _write_text(folder / "tables.tex", "\n".join(map(latex_table, tables)))
    _write_text(folder / "result.json", json_text(result))


def _write_predictions(folder: Path, record: RunRecord) -> None:
    rows = zip(record.filenames, record.labels, record.predicted, _chosen(record), strict=True)
    _write_csv(folder / "predictions.csv", PREDICTION_COLUMNS, rows)
    arrays = {
        "filenames": np.array(record.filenames),
        "classes": np.array(record.classes),
        "scores": record.scores,
    }
    write_npz(folder / "scores.npz", arrays)


def _chosen(record: RunRecord) -> list[float]:
    """The score of each image's predicted class."""
    column = {name: i for i, name in enumerate(record.classes)}
    return [record.scores[i, column[name]] for i, name in enumerate(record.predicted)]


def _write_text(path: Path, text: str) -> None:
    path.write_bytes(text.encode("utf-8", TEXT_ERRORS))  # as bytes, so that line ends stay


def _write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence]) -> None:
    _write_text(path, "".join(_csv_line(cells) for cells in (header, *rows)))


def _csv_line(cells: Sequence) -> str:
    """Return one row ended by a newline; the writer quotes a carriage return only if rows end in one."""
    line = io.StringIO(newline="")
    csv.writer(line, lineterminator="\r\n").writerow(cells)
    return line.getvalue().removesuffix("\r\n") + "\n"


@contextlib.contextmanager
def _scratch_in(runs_dir: Path) -> Iterator[Path]:
    """Yield a scratch folder in `runs_dir`, made where it is missing and removed again if it stays empty."""
    missing = [folder for folder in (runs_dir, *runs_dir.parents) if not folder.exists()]
    runs_dir.mkdir(parents=True, exist_ok=True)
    try:
        with scratch_folder(runs_dir) as scratch:
            yield scratch
    finally:
        with contextlib.suppress(OSError):
            for folder in missing:
                folder.rmdir()


def _timed(name: str, now: datetime | None) -> str:
    return f"{(now or datetime.now(UTC)).astimezone(UTC):%Y%m%dT%H%M%SZ}-{name}"


def _publish(folder: Path, runs_dir: Path, stem: str) -> Path:
    """Give a complete folder its public name, the first free one, and return its path."""
    sync_folder(folder)
    target = runs_dir / stem
    for attempt in itertools.count(2):
        try:
            # A folder never replaces one with files in it, so that two processes cannot both get a name.
            if not os.path.lexists(target):
                os.rename(folder, target)
                break
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
                raise
        target = runs_dir / f"{stem}-{attempt}"
    return target


def _check_table(rows: Sequence[Mapping], runs: Mapping[str, RunRecord | Path]) -> None:
    for name in runs:
        check_name(name)
    # Some file systems take K8 and k8 for the same folder.
    if len({name.lower() for name in runs} | {"table.csv"}) != len(runs) + 1:
        raise ValueError("names of runs differ only in upper and lower case: choose clearly different ones")
    if sorted(str(row.get("run")) for row in rows) != sorted(runs):
        raise ValueError("table rows and runs do not match: give each run one row with its name as `run`")
    unknown = sorted({key for row in rows for key in row} - set(TABLE_COLUMNS))
    if unknown:
        raise ValueError(f"table has no column {', '.join(unknown)}: use {', '.join(TABLE_COLUMNS)}")


def _check_scores(run: Run, written: Sequence[str]) -> None:
    """Raise ValueError where predictions.csv and scores.npz disagree; all classes are known."""
    column = {name: i for i, name in enumerate(run.classes)}
    chosen = run.scores[np.arange(len(run.predicted)), [column[name] for name in run.predicted]]
    for i, (text, score) in enumerate(zip(written, chosen, strict=True)):
        try:
            agrees = abs(float(text) - score) <= 1e-6 * max(1.0, abs(score))
        except ValueError:
            agrees = False
        if not agrees:
            raise ValueError(
                f"{run.folder / 'predictions.csv'}: the score of {run.filenames[i]!r} is {text!r}, "
                f"scores.npz has {score:.6g} for {run.predicted[i]!r}: run again"
            )


def _check_run(run: Run) -> None:
    """Raise ValueError where predictions and result.json disagree."""
    predictions, claims = run.folder / "predictions.csv", run.folder / "result.json"
    if len(set(run.filenames)) != len(run.filenames):
        raise ValueError(f"{predictions} names an image twice: run again")
    try:
        confusion = confusion_matrix(run.labels, run.predicted, run.classes)
    except ValueError as error:
        raise ValueError(f"{predictions}: {error}") from error
    n_test = len(run.labels)
    if n_test == 0 or run.result["n_test"] != n_test:
        claimed = run.result["n_test"]
        raise ValueError(f"{claims}: 'n_test' is {claimed}, {predictions.name} has {n_test} rows: run again")
    accuracy, claimed = int(np.trace(confusion)) / n_test, run.result["accuracy"]
    if abs(claimed - accuracy) > 1e-9:
        raise ValueError(f"{claims}: 'accuracy' is {claimed}, the predictions give {accuracy}: run again")
    if run.result["confusion"] != confusion.tolist():
        raise ValueError(f"{claims}: 'confusion' is not that of {predictions.name}: run again")
