"""Many submissions graded: each in processes of its own with limits of time and memory, resumed, collected.

What a submission does to its processes costs only its own row. The parent reads nothing of a submission but
the names, sizes and times of its files.
"""

import contextlib
import dataclasses
import hashlib
import importlib
import itertools
import json
import multiprocessing
import multiprocessing.connection
import os
import signal
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from experiments.data import image_sources
from experiments.truth import pictures_in
from reports import grade
from reports.feedback import (
    feedback_page,
    grade_json,
    gradebook_csv,
    gradescope_json,
    instructor_page,
    items,
    items_csv,
)
from reports.grading import Rerun
from reports.judging import Truth
from reports.rubric import Rubric
from reports.submission import RUNNABLE, Finding, Submission, holds_submission, read_submission, shown
from scenes.archives import archive_members, damage_reported
from scenes.dataset import progress
from scenes.files import atomic_path, scratch_folder
from scenes.reading import UnreadableImage

MOST_MEMBERS, MOST_UNPACKED = 2000, 2**29
_RESULTS, _FEEDBACK, _KEPT = "results.json", "feedback.html", ".graded"
_OURS = ("gradebook.csv", "items.csv", "instructor.html")
_OUT_OF_MEMORY = 77  # exit code of a child
_FORMAT = 1  # of what is kept: another number grades all anew
_MOST_LISTED, _DEEPEST = 20_000, 3  # of a submission nothing deeper is read
_MOST_STEPS = 20  # of a path in an archive
_LONGEST_NAME = 200  # bytes
_LOOK_SECONDS = 0.2  # between looks whether to stop
# multiprocessing asks after everybody's children whenever one is started, and each may be asked only once
_ONE_AT_A_TIME = threading.Lock()


@dataclasses.dataclass(frozen=True)
class Grading:
    """What submissions are graded by, and within which limits.

    Attributes
    ----------
    rubric : Rubric
    truths : dict of parts to Truth
    images : dict of parts to the folder with the test images, where there is one: models are run again
    part : what a submission is that holds predictions itself
    seconds, memory_bytes : limits of each process; memory is that which it takes itself
    """

    rubric: Rubric
    truths: Mapping[str, Truth]
    images: Mapping[str, Path] = dataclasses.field(default_factory=dict)
    part: str | None = None
    seconds: float = 300.0
    memory_bytes: int = 4 * 2**30


def find_submissions(paths: Sequence[Path], grading: Grading, *, one: bool = False) -> dict[str, Path]:
    """Submissions by the name of their row: folders and .zip files, or all those in a folder of them.

    With `one` each path is a submission, whatever it holds.

    Raises
    ------
    FileNotFoundError, ValueError
        No such path; a folder without any.
    """
    found: list[Path] = []
    parts = ", ".join(grading.rubric.parts)
    for given in paths:
        path = given.resolve() if given.is_symlink() else given
        if not path.exists():
            raise FileNotFoundError(
                f"{path}: no such submission: give a folder, a .zip, or a folder of these"
            )
        has_part = any((path / part).is_dir() for part in grading.rubric.parts)
        if grading.part is None and not one and not has_part and (path / "pred.csv").is_file():
            raise ValueError(
                f"{path} holds predictions itself: say which part they are with --part ({parts})"
            )
        if one or not path.is_dir() or holds_submission(path, grading.rubric.parts):
            found.append(path)
            continue
        inside = sorted(
            entry for entry in path.iterdir()
            if entry.name[0] != "." and (entry.is_dir() or entry.suffix.lower() == ".zip")
            and not (entry / _KEPT).is_dir()  # grades of an earlier call
        )  # fmt: skip
        if not inside:
            raise ValueError(
                f"{path}: no submission: it has none of {parts}, no pred.csv, and no folder or .zip of a "
                "submission"
            )
        found += inside
    return dict(zip(_row_names(found), found, strict=True))


def _row_names(paths: Sequence[Path]) -> list[str]:
    """A name for each submission that can be a folder beside the others, and beside our own files."""
    stems = []
    for path in paths:
        whole = Path(os.path.abspath(path))  # of ".", too; links stay what they are
        stem = whole.name[: -len(".zip")] if whole.suffix.lower() == ".zip" else whole.name
        stem = stem.strip(". ") or "submission"
        stems.append(stem.encode("utf-8", "surrogateescape")[:_LONGEST_NAME].decode("utf-8", "ignore"))
    stems_folded, taken = {stem.casefold() for stem in stems}, {*_OURS, _KEPT}
    names: list[str] = []
    for stem in stems:
        name, number = stem, 1
        # the first of a name keeps it
        while name.casefold() in taken or (number > 1 and name.casefold() in stems_folded):
            number += 1
            name = f"{stem}-{number}"
        taken.add(name.casefold())
        names.append(name)
    return names


def grade_all(
    submissions: Mapping[str, Path],
    grading: Grading,
    out: Path,
    *,
    n_jobs: int | None = None,
    fresh: bool = False,
) -> list[dict]:
    """Grade submissions and write everything below `out`; their `grade_json` in the order of their names.

    A submission that was graded before by the same rubric and truth, and whose files have not changed, is
    not graded again, unless `fresh`.
    """
    (out / _KEPT).mkdir(parents=True, exist_ok=True)
    stop = threading.Event()
    names = sorted(submissions)
    with ThreadPoolExecutor(n_jobs or os.cpu_count() or 1) as pool:
        try:
            graded = list(progress(
                pool.map(lambda name: _graded(name, submissions[name], grading, out, fresh, stop), names),
                total=len(names), description="grading", unit="submissions",
            ))  # fmt: skip
        except BaseException:
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise
    found = items(graded, grading.truths)
    pictures = {
        part: pictures_in(folder, list(grading.truths[part].labels))
        for part, folder in grading.images.items()
    }
    texts = {
        _OURS[0]: gradebook_csv(graded),
        _OURS[1]: items_csv(found),
        _OURS[2]: instructor_page(grading.rubric.title, graded, found, pictures),
    }
    for name, text in texts.items():
        _write(out / name, text)
    return graded


# ------------------------------------------------------------------------------------------- one submission


def _graded(name: str, path: Path, grading: Grading, out: Path, fresh: bool, stop: threading.Event) -> dict:
    """What a submission came to, from an earlier call or by its own processes; never an error of its own."""
    kept = out / _KEPT / f"{hashlib.sha256(os.fsencode(name)).hexdigest()[:32]}.json"
    key = _key(path, grading)
    before = None if fresh else _kept(kept)
    is_there = all((out / name / file).is_file() for file in (_RESULTS, _FEEDBACK))
    if before is not None and before.get("key") == key and is_there:
        return before["graded"]
    try:
        with scratch_folder(out) as scratch:
            graded, lasts = _by_children(name, path, grading, scratch, stop)
    except Exception as error:  # whatever it is, the others go on
        graded, lasts = _not_graded(name, f"{type(error).__name__} while it was read", grading), False
    if stop.is_set():
        raise InterruptedError("stopped")
    (out / name).mkdir(exist_ok=True)
    _write(out / name / _RESULTS, json.dumps(gradescope_json(graded), indent=1) + "\n")
    _write(out / name / _FEEDBACK, feedback_page(graded))
    # what the machine may be to blame for is tried again by the next call
    _write(kept, json.dumps({"key": key if lasts else "", "graded": graded}))
    return graded


def _not_graded(name: str, why: str, grading: Grading) -> dict:
    findings = [Finding("not_graded", "", shown(f"it could not be read: {_PROBLEMS.get(why, why)}", 300))]
    return grade_json(grade(Submission(name, {}, findings), grading.truths, grading.rubric))


def _by_children(
    name: str, path: Path, grading: Grading, scratch: Path, stop: threading.Event
) -> tuple[dict, bool]:
    """What a submission comes to, and whether it would again."""

    def child(work: Callable[..., None], *args) -> str:
        return run_limited(work, args, grading.seconds, grading.memory_bytes, stop)

    opened, answer, lasts = scratch / "opened.json", scratch / "graded.json", True
    problem = child(_open, path, scratch / "unpacked", grading.rubric.parts, grading.part, opened)
    if problem:
        return _not_graded(name, problem, grading), False
    found = json.loads(opened.read_text("utf-8"))
    if found["problem"]:
        return _not_graded(name, found["problem"], grading), found["lasts"]
    reruns = {}
    for part, model in found["models"].items():
        if part in grading.images and part in grading.truths:
            reruns[part], again = _rerun(Path(model), part, grading, scratch, child)
            lasts = lasts and again
    problem = child(_grade_one, name, Path(found["folder"]), grading, reruns, answer)
    if problem:
        return _not_graded(name, problem, grading), False
    return json.loads(answer.read_text("utf-8")), lasts


def _rerun(
    model: Path, part: str, grading: Grading, scratch: Path, child: Callable[..., str]
) -> tuple[Rerun, bool]:
    """A model run again, and whether the same would come of it another time."""
    if not model.name.lower().endswith(RUNNABLE):
        return Rerun(None, None, f"only {' and '.join(RUNNABLE)} files are run", "not_run"), True
    answer = scratch / f"rerun-{part}.json"
    names = list(grading.truths[part].labels)
    problem = child(_predict_again, model, grading.images[part], names, scratch, answer)
    if problem:
        return Rerun(None, None, f"running it failed: {_PROBLEMS.get(problem, problem)}", problem), False
    found = json.loads(answer.read_text("utf-8"))
    if found["problem"]:
        return Rerun(None, None, found["problem"], "refused"), found["lasts"]
    return Rerun([(image, label) for image, label in found["rows"]], found["seconds"]), True


# What children do; each leaves its answer in a file.


def _open(path: Path, unpacked: Path, parts: Sequence[str], part: str | None, answer: Path) -> None:
    """Unpack a .zip, find the submission in it and its models."""
    found: dict = {"problem": "", "lasts": True, "folder": str(path), "models": {}}
    try:
        if path.is_symlink():
            raise ValueError("it is a link, which is not followed")
        folder = path if path.is_dir() else _unpack(path, unpacked)
        inside = [entry for entry in folder.iterdir() if entry.is_dir() and not entry.is_symlink()]
        if len(inside) == 1 and not holds_submission(folder, parts):
            folder = inside[0]
        submission = read_submission(folder, parts, only_part=part)
        found["folder"] = str(folder)
        found["models"] = {
            each.name: str(each.model)
            for each in submission.parts.values()
            if each.model and not each.holds_vectors
        }
    except ValueError as error:
        found["problem"] = " ".join(str(error).replace(str(path), path.name).split())[:300]
    except OSError as error:  # the disk may be full
        found |= {"problem": error.strerror or "unreadable", "lasts": False}
    answer.write_text(json.dumps(found), "utf-8")


def _unpack(path: Path, to: Path) -> Path:
    to.mkdir()
    with damage_reported(path):
        for name, stream in archive_members(path, max_members=MOST_MEMBERS, max_bytes=MOST_UNPACKED):
            if name.startswith("__MACOSX/"):
                continue
            if name.count("/") > _MOST_STEPS:
                raise ValueError(f"{path}: holds folders more than {_MOST_STEPS} deep")
            target = to / name
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                file = target.open("xb")
            except FileExistsError:
                raise ValueError(f"{path}: holds {name[:80]!r} twice") from None
            with file:
                while chunk := stream.read(2**20):
                    file.write(chunk)
    return to


def _grade_one(name: str, folder: Path, grading: Grading, reruns: Mapping[str, Rerun], answer: Path) -> None:
    submission = read_submission(folder, grading.rubric.parts, only_part=grading.part)
    submission.name = name
    graded = grade(submission, grading.truths, grading.rubric, reruns=reruns)
    answer.write_text(json.dumps(grade_json(graded)), "utf-8")


def _predict_again(model: Path, folder: Path, names: Sequence[str], scratch: Path, answer: Path) -> None:
    """Run a model on the test images: what it says of each, and in how many seconds."""
    found: dict = {"problem": "", "lasts": True, "rows": [], "seconds": None}
    try:
        for needed in ("torch", *(("onnx", "onnxruntime") if model.suffix.lower() == ".onnx" else ())):
            importlib.import_module(needed)
        import torch

        from experiments.network_prediction import load_network

        torch.set_num_threads(1)
        sources = image_sources(folder.resolve(), names)
        assert sources is not None
        model, answer, empty = model.resolve(), answer.resolve(), scratch / "empty"
        empty.mkdir(exist_ok=True)
        os.chdir(empty)  # there is nothing that a path in a model could name
        network = load_network(model, "cpu")
        started = time.perf_counter()
        answers = network.predict(sources, n_jobs=1)
        found["seconds"] = time.perf_counter() - started
        found["rows"] = [(each.filename, each.ranked[0][0]) for each in answers]
    except ModuleNotFoundError as error:
        found |= {"problem": f"{error.name} is not installed here", "lasts": False}
    except UnreadableImage:
        found |= {"problem": "a test image cannot be read", "lasts": False}
    except (ValueError, OSError) as error:
        found["problem"] = " ".join(str(error).replace(str(model), model.name).split())[:300]
    answer.write_text(json.dumps(found), "utf-8")


# --------------------------------------------------------------------------------------- children with limits

_PROBLEMS = {
    "too_slow": "it took longer than the time limit",
    "too_large": "it needed more memory than the limit",
    "crashed": "its process broke down",
    "stopped": "stopped",
}


def run_limited(
    work: Callable[..., None], args: tuple, seconds: float, memory_bytes: int, stop: threading.Event
) -> str:
    """Run work in a process of its own: "" or "too_slow", "too_large", "crashed", "stopped".

    Memory is limited where the system can (not on macOS and Windows).
    """
    process = _forks().Process(target=_limited, args=(work, args, seconds, memory_bytes), daemon=True)
    with _ONE_AT_A_TIME:
        process.start()
    ends = time.monotonic() + seconds
    while not stop.is_set() and (left := ends - time.monotonic()) > 0:
        if multiprocessing.connection.wait([process.sentinel], min(_LOOK_SECONDS, left)):
            break
    else:
        process.kill()
        multiprocessing.connection.wait([process.sentinel])
        with _ONE_AT_A_TIME:
            process.join()
        return "stopped" if stop.is_set() else "too_slow"
    with _ONE_AT_A_TIME:
        process.join()
        code = process.exitcode
    if code == -getattr(signal, "SIGXCPU", 0):
        return "too_slow"
    return {0: "", _OUT_OF_MEMORY: "too_large"}.get(code or 0, "crashed")


def _forks() -> Any:
    """Makes processes: forks of one that has imported this module and nothing else, where there are forks."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


def _memory_in_use() -> int:
    """Bytes that RLIMIT_DATA counts already: libraries take some that depend on the number of cores."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[5])
    except (OSError, IndexError, ValueError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def _limited(work: Callable[..., None], args: tuple, seconds: float, memory_bytes: int) -> None:
    """In the child: take on the limits, then work."""
    try:
        import resource
    except ModuleNotFoundError:  # Windows
        resource = None  # type: ignore[assignment]
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent stops its children
    if resource is not None:
        whole = int(seconds) + 1
        memory = _memory_in_use() + memory_bytes
        for limit, soft, hard in ((resource.RLIMIT_CPU, whole, whole + 5), (resource.RLIMIT_CORE, 0, 0),
                                  (resource.RLIMIT_DATA, memory, memory)):  # fmt: skip
            most = resource.getrlimit(limit)[1]
            if most != resource.RLIM_INFINITY:  # a lower limit is in force already
                soft, hard = min(soft, most), min(hard, most)
            with contextlib.suppress(ValueError, OSError):
                resource.setrlimit(limit, (soft, hard))
    devnull = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):  # libraries print about broken files
        os.dup2(devnull, stream)
    try:
        work(*args)
    except MemoryError:
        os._exit(_OUT_OF_MEMORY)
    except RuntimeError as error:
        # torch says so when it gets no memory
        os._exit(_OUT_OF_MEMORY if "memory" in str(error) else 1)
    sys.exit(0)


# ---------------------------------------------------------------------------------------------------- files


def _key(path: Path, grading: Grading) -> str:
    """Tells whether a submission or what it is graded by has changed; never twice the same if it cannot."""
    parts: list = [
        _FORMAT, dataclasses.asdict(grading.rubric),
        {part: [truth.labels, truth.official] for part, truth in grading.truths.items()},
        {part: str(folder) for part, folder in grading.images.items()},
        grading.part, grading.seconds, grading.memory_bytes,
    ]  # fmt: skip
    for number, listed in enumerate(_listed(path, _DEEPEST)):
        if number == _MOST_LISTED or listed is None:
            parts.append(os.urandom(16).hex())
            break
        parts.append(listed)
    text = json.dumps(parts, sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _listed(path: Path, deeper: int) -> Iterator[list | None]:
    """Path, size and time of all that is read of a submission; None for what cannot be looked at."""
    try:
        status = path.lstat()
        yield [str(path), status.st_size, status.st_mtime_ns]
        if deeper and stat.S_ISDIR(status.st_mode):
            with os.scandir(path) as entries:
                names = sorted(entry.name for entry in itertools.islice(entries, _MOST_LISTED))
            for name in names:
                yield from _listed(path / name, deeper - 1)
    except OSError:
        yield None


def _kept(path: Path) -> dict | None:
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None


def _write(path: Path, text: str) -> None:
    with atomic_path(path) as temporary:
        # names need not be valid UTF-8
        temporary.write_bytes(text.encode("utf-8", "backslashreplace"))
