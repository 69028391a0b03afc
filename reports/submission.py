"""A submission as it lies in a folder: predictions, sizes and claims, read as if somebody meant harm.

Nothing is executed, unpickled or followed: of the predictions only names and labels are read, of a model file
its size and, of safetensors, the shapes in its header. What is odd becomes a finding and never an error.
"""

from __future__ import annotations

import codecs
import csv
import io
import itertools
import json
import os
import re
import stat
import struct
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

MOST_CSV_BYTES = 2**26
MOST_ROWS = 1_000_000
_MOST_JSON_BYTES = 2**24
MOST_ENTRIES = 20_000
_LONGEST_HEADER, _MOST_NUMBERS = 10_000_000, 2**48
_RUN_PREDICTIONS, _PREDICTIONS, _RESULT = "predictions.csv", "pred.csv", "result.json"
_EITHER = {_RUN_PREDICTIONS, _PREDICTIONS}
# Files beside the predictions that are no models; anything else is one, whatever it is called.
_NO_MODELS = {
    ".csv", ".json", ".txt", ".md", ".html", ".png", ".svg", ".jpg", ".jpeg", ".pdf", ".py", ".ipynb",
    ".toml", ".yaml", ".yml", ".log", ".tex",
}  # fmt: skip
_NO_MODEL_NAMES = {"scores.npz"}
_LARGE = 20_000_000  # bytes of a table or picture that somebody should look at
DEEPEST = 20  # folders within folders that are looked at
_MAIN_MODEL = "model.safetensors"
# Models that may be run; never others.
RUNNABLE = (".safetensors", ".onnx")


@dataclass(frozen=True)
class Finding:
    """Something odd about a submission: a short code, where, and a sentence with its consequence."""

    kind: str
    part: str
    text: str


@dataclass
class SubmittedPart:
    """What one part of a submission holds.

    Attributes
    ----------
    name : str
    rows : list of (image, label) or None
        None where there is no file of predictions at all.
    labels : dict of str to str
        What the file says the images show, which is not believed.
    claimed_accuracy : float or None
        What its ``result.json`` says.
    model : Path or None
    file_bytes, float32_bytes : int or None
        Size of the model file, of several together; and what its tensors take in float32, None where that is
        unknown.
    holds_vectors : bool
        The model file is the ``model.npz`` of a classical run: training vectors, nothing to be run.
    findings : list of Finding
    """

    name: str
    rows: list[tuple[str, str]] | None = None
    labels: dict[str, str] = field(default_factory=dict)
    claimed_accuracy: float | None = None
    model: Path | None = None
    file_bytes: int | None = None
    float32_bytes: int | None = None
    holds_vectors: bool = False
    findings: list[Finding] = field(default_factory=list)

    def note(self, kind: str, text: str) -> None:
        """Add a finding."""
        self.findings.append(Finding(kind, self.name, text))


@dataclass
class Submission:
    """The parts that were found, by name, and what is odd about the folder as a whole."""

    name: str
    parts: dict[str, SubmittedPart]
    findings: list[Finding]


class _Refused(Exception):
    """A file that is not read, with the kind of finding and the reason."""

    def __init__(self, kind: str, text: str):
        super().__init__(text)
        self.kind, self.text = kind, text


def read_submission(folder: str | Path, parts: Sequence[str], *, only_part: str | None = None) -> Submission:
    """Read the parts of a submission.

    Parameters
    ----------
    folder : path
        Holds a folder for each part; or is itself the part `only_part`.
    parts : sequence of str
        The parts asked for.
    only_part : str, optional
        What the folder is, where it holds predictions itself.
    """
    folder = Path(folder)
    found = Submission(folder.name, {}, [])
    entries = _entries(folder)
    names = {entry.name for entry in entries}
    if only_part is not None and names & _EITHER:
        found.parts[only_part] = _read_part(folder, only_part)
        return found
    folders = sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
    read = []
    for part in parts:
        spelt = [name for name in folders if name.casefold() == part.casefold()]
        if part in folders:
            read.append(part)
            found.parts[part] = _read_part(folder / part, part)
        elif len(spelt) == 1:
            read.append(spelt[0])
            found.parts[part] = _read_part(folder / spelt[0], part)
            found.parts[part].note("part_spelling", f"folder {_quoted(spelt[0])} is taken for {part!r}")
        elif part in names:
            entry = next(entry for entry in entries if entry.name == part)
            what = "a link, which is not followed" if entry.is_symlink() else "no folder"
            found.findings.append(Finding("part_is_no_folder", part, f"{part!r} is {what}: not read"))
    if names & _EITHER:
        where = ", ".join(f"{part}/" for part in parts)
        text = f"predictions that lie in none of {where}: not read"
        found.findings.append(Finding("predictions_outside_parts", "", text))
    known = {part.casefold() for part in parts}
    for name in folders:
        inside = {entry.name for entry in _entries(folder / name)}
        if name.casefold() not in known and inside & _EITHER:
            found.findings.append(
                Finding("unknown_part", "", f"folder {_quoted(name)} is none of {', '.join(parts)}: not read")
            )
    outside = SubmittedPart("")
    for name, size in _files_below(folder, outside, leave_out=read):
        if size > _LARGE and _is_model(name):
            outside.note("model_outside_parts", f"{_quoted(name)} has {size:,} bytes and lies in no part: "
                         "it counts for none")  # fmt: skip
    found.findings += outside.findings
    return found


def holds_submission(folder: Path, parts: Sequence[str]) -> bool:
    """Whether a folder is a submission: it has a part or predictions."""
    return bool(holds_parts(folder, parts)) or holds_predictions(folder)


def holds_parts(folder: Path, parts: Sequence[str]) -> list[str]:
    """The entries of a folder that are called like parts, in any spelling."""
    known = {part.casefold() for part in parts}
    return [entry.name for entry in _entries(folder) if entry.name.casefold() in known]


def entry_names(folder: Path) -> list[str]:
    """The names of what lies in a folder, sorted; none where it cannot be opened."""
    return [entry.name for entry in _entries(folder)]


def holds_predictions(folder: Path) -> bool:
    """Whether a folder holds predictions itself, or a run without them."""
    return bool({entry.name for entry in _entries(folder)} & {*_EITHER, _RESULT})


def _read_part(folder: Path, name: str) -> SubmittedPart:
    part, outer = SubmittedPart(name), folder
    entries = {entry.name: entry for entry in _entries(folder)}
    if not _EITHER & entries.keys():
        inner = [
            entry for entry in entries.values()
            if entry.is_dir(follow_symlinks=False) and not is_clutter(entry.name)
        ]  # fmt: skip
        if "table.csv" in entries:
            part.note("several_settings", f"{name}: several settings, none read: hand in one run folder")
            inner = []
        if len(inner) == 1:
            folder = folder / inner[0].name
            entries = {entry.name: entry for entry in _entries(folder)}
            if _RESULT not in entries:  # a run folder as it was written is nothing odd
                part.note("nested", f"{name}: read from the folder {_quoted(inner[0].name)} in it")
    is_run = _RUN_PREDICTIONS in entries and (_RESULT in entries or _PREDICTIONS not in entries)
    if _RUN_PREDICTIONS in entries and _PREDICTIONS in entries:
        taken = _RUN_PREDICTIONS if is_run else _PREDICTIONS
        part.note("two_predictions", f"{name}: two files of predictions: {taken} is taken")
    file = _RUN_PREDICTIONS if is_run else _PREDICTIONS
    if file in entries:
        part.rows = []
        try:
            _read_predictions(_bytes_of(folder / file, MOST_CSV_BYTES), part, file)
        except _Refused as refused:
            part.note(refused.kind, f"{name}: {file} {refused.text}: none of its predictions count")
    if _RESULT in entries:
        try:
            part.claimed_accuracy = _claim(_bytes_of(folder / _RESULT, _MOST_JSON_BYTES))
        except _Refused as refused:
            part.note(f"result_{refused.kind}", f"{name}: {_RESULT} {refused.text}: ignored")
    _find_model(outer, folder, _RESULT in entries, part)
    return part


def is_clutter(name: str) -> bool:
    """Whether systems and tools leave files of this name behind, and nobody means anything by them."""
    return name.startswith(".") or name in ("__MACOSX", "__pycache__")


# ------------------------------------------------------------------------------------------------ predictions


def _read_predictions(data: bytes, part: SubmittedPart, file: str) -> None:
    """Fill `part.rows` and, of a run, `part.labels` from the bytes of a CSV file."""
    text = _text(data, part, file)
    lines = _csv_rows(text, part, file)
    first = next(lines, None)
    if first is None:
        raise _Refused("empty", "is empty")
    head = [cell.strip().casefold() for cell in first]
    assert part.rows is not None
    if "filename" in head and {"label", "predicted"} & set(head):
        columns = len(head)
        name_at = head.index("filename")
        label_at = head.index("predicted") if "predicted" in head else head.index("label")
        if "predicted" not in head and head != ["filename", "label"]:
            kind = "column_order" if sorted(head) == ["filename", "label"] else "extra_columns"
            part.note(kind, f"{part.name}: {file} has the columns {_shown_head(first)}: read by their names")
        elif [cell.strip() for cell in first] != head:
            part.note(
                "header_spelling", f"{part.name}: {file} begins {_shown_head(first)}: read all the same"
            )
        truth_at = head.index("label") if "predicted" in head and "label" in head else None
    elif len(first) == 2 and "filename" not in head:
        part.note(
            "no_header", f"{part.name}: {file} has no line filename,label: its columns are taken for it"
        )
        columns, name_at, label_at, truth_at = 2, 0, 1, None
        lines = itertools.chain([first], lines)
    else:
        raise _Refused("not_predictions", f"begins with {_shown_head(first)}, not with filename,label")
    short = 0
    for row in lines:
        if len(row) != columns:
            short += 1
            continue
        if len(part.rows) == MOST_ROWS:
            part.note(
                "too_many_rows", f"{part.name}: {file} has over {MOST_ROWS:,} rows: the rest is ignored"
            )
            break
        part.rows.append((row[name_at], as_windows_wrote(row[label_at]).strip()))
        if truth_at is not None:
            part.labels[row[name_at]] = as_windows_wrote(row[truth_at])
    if short:
        part.note("malformed_rows", f"{part.name}: {short} rows of {file} have not {columns} cells: ignored")
    if not part.rows:
        part.note("no_rows", f"{part.name}: {file} has no rows below its head")


def _text(data: bytes, part: SubmittedPart, file: str) -> str:
    """The text of a file, whatever encoding it is in."""
    where = f"{part.name}: {file}"
    encoding = "utf-8"
    for mark, name in ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"),
                       (codecs.BOM_UTF16_BE, "utf-16-be")):  # fmt: skip
        if data.startswith(mark):
            data, encoding = data.removeprefix(mark), name
            part.note(f"byte_order_mark_{name}", f"{where} begins with a byte order mark ({name}): read so")
            break
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        if encoding != "utf-8":
            raise _Refused("broken_encoding", f"is no {encoding}") from None
        # names of files need not be valid UTF-8: which ones are Windows-1252 the truth tells
        text = data.decode("utf-8", "surrogateescape")
        part.note("encoding", f"{where} is not UTF-8: what is not is read as Windows-1252")
    if "\0" in text:
        text = text.replace("\0", "")
        part.note("nul_bytes", f"{where} holds NUL characters: left out")
    if "\r" in text:
        kind = "crlf" if "\r\n" in text else "cr"
        part.note(kind, f"{where} has the line ends of another system: read all the same")
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text


def as_windows_wrote(text: str) -> str:
    """A text with bytes that are no UTF-8, all of it read as Windows-1252."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogateescape").decode("cp1252", "replace")
    return text


def _csv_rows(text: str, part: SubmittedPart, file: str) -> Iterator[list[str]]:
    """The rows that are not blank, up to the first that is no CSV."""
    head = text[: text.find("\n")] if "\n" in text else text
    delimiter = max(",;\t", key=lambda mark: head.count(mark))  # the first of equals
    if delimiter != ",":
        called = {";": "semicolons", "\t": "tabs"}[delimiter]
        part.note(f"delimiter_{called}", f"{part.name}: {file} is divided by {called}: read so")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            reason = " ".join(str(error).split())
            where = f"{part.name}: {file} is no CSV from line {reader.line_num} on ({reason})"
            part.note("broken_csv", f"{where}: the rest is ignored")
            return
        if any(cell.strip() for cell in row):
            yield row


# ------------------------------------------------------------------------------------------ claims and models


def _claim(data: bytes) -> float | None:
    """The accuracy that a ``result.json`` claims."""

    def no_constant(name: str) -> None:
        raise ValueError(f"{name} is no JSON number")

    try:
        found = json.loads(data, parse_constant=no_constant)
    except (ValueError, RecursionError) as error:
        raise _Refused("no_json", f"is no valid JSON ({' '.join(str(error).split())[:80]})") from None
    value = found.get("accuracy") if isinstance(found, dict) else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e9:
        raise _Refused("no_accuracy", "has no accuracy that is a number")
    return float(value)


def _find_model(outer: Path, folder: Path, is_run: bool, part: SubmittedPart) -> None:
    """Fill in the model files of a part: all below `outer`; `folder` is that with the predictions."""
    models: dict[str, int] = {}
    clutter: dict[str, int] = {}
    for name, size in _files_below(outer, part):
        if _is_model(name):
            (clutter if any(map(is_clutter, name.split("/"))) else models)[name] = size
        elif size > _LARGE and name.rsplit("/", 1)[-1] not in (_PREDICTIONS, _RUN_PREDICTIONS, _RESULT):
            part.note("large_file", f"{part.name}: {_quoted(name)} has {size:,} bytes and counts as no model")
    if sum(clutter.values()) > _LARGE:  # more than tools leave behind
        models |= clutter
    models = {name: size for name, size in models.items() if size}
    if not models or any(finding.kind == "not_all_seen" for finding in part.findings):
        return
    before = "" if folder == outer else f"{folder.name}/"
    run_again = sorted(name for name in models if name.lower().endswith(RUNNABLE))
    main = before + _MAIN_MODEL
    chosen = main if main in models else [*run_again, *models][0]
    if len(models) > 1:
        part.note("several_models", f"{part.name}: {len(models)} model files: their sizes are added")
    part.model, part.file_bytes = outer / chosen, sum(models.values())
    part.holds_vectors = chosen == f"{before}model.npz" and is_run
    if len(models) == 1 and chosen.lower().endswith(".safetensors"):
        part.float32_bytes = _float32_bytes(part.model)


def _is_model(name: str) -> bool:
    """Whether a file is called as no table, text or picture is."""
    return name.rsplit("/", 1)[-1] not in _NO_MODEL_NAMES and Path(name).suffix.lower() not in _NO_MODELS


def _files_below(
    folder: Path, part: SubmittedPart, *, leave_out: Collection[str] = ()
) -> Iterator[tuple[str, int]]:
    """Names, from `folder` on, and sizes of the plain files in it and its folders.

    Links, and that there is more than can be looked at, are noted; `leave_out` are folders at the top.
    """
    seen, all_seen, waiting = 0, True, [("", 0)]
    while waiting and all_seen:
        before, depth = waiting.pop()
        try:
            entries = _listing(folder / before)
        except OSError:
            all_seen = False
            break
        for entry in entries:
            name, seen = before + entry.name, seen + 1
            try:
                status = entry.stat(follow_symlinks=False)
            except OSError:
                all_seen = False
                continue
            if stat.S_ISREG(status.st_mode):
                yield name, status.st_size
            elif stat.S_ISDIR(status.st_mode):
                if before or entry.name not in leave_out:
                    waiting.append((f"{name}/", depth + 1))
            elif Path(name).suffix.lower() not in _NO_MODELS and part.name:
                what = "a link" if stat.S_ISLNK(status.st_mode) else "no plain file"
                part.note("model_is_no_file", f"{part.name}: {_quoted(name)} is {what}: not looked at")
        all_seen = all_seen and seen < MOST_ENTRIES and not (waiting and waiting[-1][1] > DEEPEST)
    if not all_seen:
        where = f"{part.name}: " if part.name else "outside the parts: "
        so = ", and no model file counts" if part.name else ""
        many = f"{MOST_ENTRIES:,} files or more, or folders more than {DEEPEST} deep or closed"
        part.note("not_all_seen", f"{where}{many}: not all is looked at{so}")


def _float32_bytes(path: Path) -> int | None:
    """Bytes that the tensors of a safetensors file take in float32, by its header; None if damaged."""
    try:
        with _opened(path) as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > _LONGEST_HEADER:
                return None
            header = json.loads(file.read(length))
        shapes = [entry["shape"] for name, entry in header.items() if name != "__metadata__"]
        total = 0
        for shape in shapes:
            count = 1
            for side in shape:
                if type(side) is not int or side < 0 or (count := count * side) > _MOST_NUMBERS:
                    return None
            total += count
        return 4 * total if total <= _MOST_NUMBERS else None
    except (_Refused, OSError, ValueError, KeyError, TypeError, AttributeError, struct.error, RecursionError):
        return None


# ------------------------------------------------------------------------------------------------------ files


def _entries(folder: Path) -> list[os.DirEntry]:
    """What lies in a folder, by name; of very many the first, and nothing where it cannot be opened."""
    try:
        return _listing(folder)
    except OSError:
        return []


def _listing(folder: Path) -> list[os.DirEntry]:
    with os.scandir(folder) as found:
        return sorted(itertools.islice(found, MOST_ENTRIES), key=lambda entry: entry.name)


def _opened(path: Path) -> io.BufferedReader:
    """A plain file, opened for reading: no link, device or pipe."""
    # without O_NONBLOCK opening a pipe would wait for its other end
    if not hasattr(os, "O_NOFOLLOW") and path.is_symlink():
        raise _Refused("link", "is a link, which is not followed")
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        descriptor = os.open(path, flags | getattr(os, "O_BINARY", 0))
    except OSError as error:
        if path.is_symlink():
            raise _Refused("link", "is a link, which is not followed") from None
        raise _Refused("unreadable", f"cannot be read ({error.strerror})") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _Refused("no_file", "is no plain file")
    return os.fdopen(descriptor, "rb")


def _bytes_of(path: Path, most: int) -> bytes:
    with _opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > most:
            raise _Refused("too_large", f"has {size:,} bytes, over {most:,}")
        return file.read(most + 1)[:most]


def shown(text: str, most: int) -> str:
    """A text as it can be shown: on one line, in letters of Europe, and not endless."""
    text = re.sub(r"[^\x20-\x7e\u00a0-\u024f]", "?", text)
    return text if len(text) <= most else text[: most - 3] + "..."


def _quoted(name: str) -> str:
    return repr(shown(name, 60))


def _shown_head(cells: Sequence[str]) -> str:
    return _quoted(",".join(cells[:6]))
