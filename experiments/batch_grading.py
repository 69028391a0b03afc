"""Many submissions graded: each in processes of its own with limits of time and memory, resumed, collected.

What a submission does to its processes costs only its own row. The parent reads nothing of a submission but
the names, sizes and times of its files.
"""

import dataclasses
import hashlib
import json
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
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
from reports.submission import RUNNABLE, Finding, Submission, holds_submission, read_submission
from scenes.archives import archive_members, damage_reported
from scenes.dataset import progress
from scenes.files import atomic_path, scratch_folder

MOST_MEMBERS, MOST_UNPACKED = 2000, 2**29
_RESULTS, _FEEDBACK, _KEPT = "results.json", "feedback.html", ".graded"
_OURS = ("gradebook.csv", "items.csv", "instructor.html")
_OUT_OF_MEMORY = 77  # exit code of a child
_MOST_LISTED = 5000
_LOOK_SECONDS = 0.2  # between looks whether to stop


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


def find_submissions(paths: Sequence[Path], grading: Grading) -> dict[str, Path]:
    """Submissions by the name of their row: folders and .zip files, or all those in a folder of them.

    Raises
    ------
    FileNotFoundError, ValueError
        No such path; a folder without any.
    """
    found: list[Path] = []
    for path in paths:
        if not path.exists():
            raise FileNotFoundError(
                f"{path}: no such submission: give a folder, a .zip, or a folder of these"
            )
        if grading.part is None and (path / "pred.csv").is_file():
            raise ValueError(
                f"{path} holds predictions itself: say which part they are with --part "
                f"({', '.join(grading.rubric.parts)})"
            )
        if not path.is_dir() or holds_submission(path, grading.rubric.parts):
            found.append(path)
            continue
        inside = sorted(
            entry for entry in path.iterdir()
            if entry.name[0] != "." and (entry.is_dir() or entry.suffix.lower() == ".zip")
        )  # fmt: skip
        if not inside:
            raise ValueError(
                f"{path}: no submission: it has none of {', '.join(grading.rubric.parts)}, no pred.csv, and "
                "no folder or .zip of a submission"
            )
        found += inside
    named: dict[str, Path] = {}
    taken = {name.casefold() for name in _OURS}
    for path in found:
        whole = Path(os.path.abspath(path))  # of ".", too; links stay what they are
        name = whole.stem if whole.suffix.lower() == ".zip" else whole.name
        stem, number = name, 1
        while name.casefold() in taken:
            number += 1
            name = f"{stem}-{number}"
        taken.add(name.casefold())
        named[name] = path
    return named


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
    """What a submission came to, from an earlier call or by its own processes."""
    kept, key = out / _KEPT / f"{name}.json", _key(path, grading)
    before = None if fresh else _kept(kept)
    is_there = all((out / name / file).is_file() for file in (_RESULTS, _FEEDBACK))
    if before is not None and before.get("key") == key and is_there:
        return before["graded"]
    with scratch_folder(out) as scratch:
        graded = _by_children(name, path, grading, scratch, stop)
    if stop.is_set():
        raise InterruptedError("stopped")
    (out / name).mkdir(exist_ok=True)
    _write(out / name / _RESULTS, json.dumps(gradescope_json(graded), indent=1) + "\n")
    _write(out / name / _FEEDBACK, feedback_page(graded))
    _write(kept, json.dumps({"key": key, "graded": graded}))
    return graded


def _by_children(name: str, path: Path, grading: Grading, scratch: Path, stop: threading.Event) -> dict:
    def child(work: Callable[..., None], *args) -> str:
        return run_limited(work, args, grading.seconds, grading.memory_bytes, stop)

    opened, answer = scratch / "opened.json", scratch / "graded.json"
    problem = child(_open, path, scratch / "unpacked", grading.rubric.parts, grading.part, opened)
    found = {} if problem else json.loads(opened.read_text("utf-8"))
    if not problem and not (problem := found["problem"]):
        reruns = {}
        for part, model in found["models"].items():
            # of bags and tiny images the model file holds their training vectors
            if part in grading.images and part in grading.truths and not model.endswith(".npz"):
                reruns[part] = _rerun(Path(model), part, grading, scratch, child)
        problem = child(_grade_one, name, Path(found["folder"]), grading, reruns, answer)
    if problem:
        findings = [Finding("not_graded", "", f"it could not be read: {_PROBLEMS.get(problem, problem)}")]
        empty = Submission(name, {}, findings)
        return grade_json(grade(empty, grading.truths, grading.rubric))
    return json.loads(answer.read_text("utf-8"))


def _rerun(model: Path, part: str, grading: Grading, scratch: Path, child: Callable[..., str]) -> Rerun:
    if model.suffix.lower() not in RUNNABLE:
        return Rerun(None, None, f"only {' and '.join(RUNNABLE)} files are run", "not_run")
    answer = scratch / f"rerun-{part}.json"
    names = list(grading.truths[part].labels)
    problem = child(_predict_again, model, grading.images[part], names, answer)
    if problem:
        return Rerun(None, None, f"running it failed: {_PROBLEMS.get(problem, problem)}", problem)
    found = json.loads(answer.read_text("utf-8"))
    if found["problem"]:
        return Rerun(None, None, found["problem"], "refused")
    return Rerun([(image, label) for image, label in found["rows"]], found["seconds"])


# What children do; each leaves its answer in a file.


def _open(path: Path, unpacked: Path, parts: Sequence[str], part: str | None, answer: Path) -> None:
    """Unpack a .zip, find the submission in it and its models."""
    found: dict = {"problem": "", "folder": str(path), "models": {}}
    try:
        if path.is_symlink():
            raise ValueError("it is a link, which is not followed")
        folder = path if path.is_dir() else _unpack(path, unpacked)
        inside = [entry for entry in folder.iterdir() if entry.is_dir() and not entry.is_symlink()]
        if not path.is_dir() and len(inside) == 1 and not holds_submission(folder, parts):
            folder = inside[0]
        submission = read_submission(folder, parts, only_part=part)
        found["folder"] = str(folder)
        found["models"] = {each.name: str(each.model) for each in submission.parts.values() if each.model}
    except (ValueError, OSError) as error:
        reason = error.strerror or "unreadable" if isinstance(error, OSError) else str(error)
        found["problem"] = " ".join(reason.replace(str(path), path.name).split())[:300]
    answer.write_text(json.dumps(found), "utf-8")


def _unpack(path: Path, to: Path) -> Path:
    to.mkdir()
    with damage_reported(path):
        for name, stream in archive_members(path, max_members=MOST_MEMBERS, max_bytes=MOST_UNPACKED):
            if name.startswith("__MACOSX/"):
                continue
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


def _predict_again(model: Path, folder: Path, names: Sequence[str], answer: Path) -> None:
    """Run a model on the test images: what it says of each, and in how many seconds."""
    found: dict = {"problem": "", "rows": [], "seconds": None}
    try:
        import torch

        from experiments.network_prediction import load_network

        torch.set_num_threads(1)
        sources = image_sources(folder, names)
        assert sources is not None
        network = load_network(model, "cpu")
        started = time.perf_counter()
        answers = network.predict(sources, n_jobs=1)
        found["seconds"] = time.perf_counter() - started
        found["rows"] = [(each.filename, each.ranked[0][0]) for each in answers]
    except ModuleNotFoundError as error:
        found["problem"] = f"{error.name} is not installed here"
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
    process.start()
    ends = time.monotonic() + seconds
    while process.is_alive() and time.monotonic() < ends and not stop.is_set():
        process.join(min(_LOOK_SECONDS, max(0.0, ends - time.monotonic())))
    if process.is_alive():
        process.kill()
        process.join()
        return "stopped" if stop.is_set() else "too_slow"
    code = process.exitcode
    slow = {-int(getattr(signal, name)) for name in ("SIGXCPU",) if hasattr(signal, name)}
    return (
        ""
        if code == 0
        else "too_large"
        if code == _OUT_OF_MEMORY
        else "too_slow"
        if code in slow
        else "crashed"
    )


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
    if resource is not None:
        whole = int(seconds) + 1
        for limit, value in ((resource.RLIMIT_CPU, whole), (resource.RLIMIT_CORE, 0),
                             (resource.RLIMIT_DATA, _memory_in_use() + memory_bytes)):  # fmt: skip
            resource.setrlimit(limit, (value, value))
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
    """Tells whether a submission or what it is graded by has changed."""
    parts: list = [
        dataclasses.asdict(grading.rubric),
        {part: [truth.labels, truth.official] for part, truth in grading.truths.items()},
        {part: str(folder) for part, folder in grading.images.items()},
        grading.part, grading.seconds, grading.memory_bytes,
    ]  # fmt: skip
    for number, entry in enumerate(_walked(path)):
        if number == _MOST_LISTED:
            break
        status = entry.lstat()
        parts.append([str(entry), status.st_size, status.st_mtime_ns])
    text = json.dumps(parts, sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _walked(path: Path) -> Iterable[Path]:
    yield path
    if path.is_dir() and not path.is_symlink():
        for folder, folders, files in os.walk(path):
            folders.sort()
            yield from (Path(folder, name) for name in sorted([*folders, *files]))


def _kept(path: Path) -> dict | None:
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None


def _write(path: Path, text: str) -> None:
    with atomic_path(path) as temporary:
        # names need not be valid UTF-8
        temporary.write_bytes(text.encode("utf-8", "backslashreplace"))
