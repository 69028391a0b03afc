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

from experiments.data import folder_of_images, image_sources
from experiments.truth import shown_in
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
from reports.submission import (
    DEEPEST,
    MOST_ENTRIES,
    RUNNABLE,
    Finding,
    Submission,
    entry_names,
    holds_parts,
    holds_predictions,
    holds_submission,
    is_clutter,
    read_submission,
    shown,
)
from scenes.archives import archive_members, damage_reported
from scenes.dataset import progress
from scenes.files import atomic_path, scratch_folder
from scenes.reading import UnreadableImage

MOST_MEMBERS, MOST_UNPACKED = 2000, 2**29
_RESULTS, _FEEDBACK, _KEPT = "results.json", "feedback.html", ".graded"
_OURS = ("gradebook.csv", "items.csv", "instructor.html")
_OUT_OF_MEMORY = 77  # exit code of a child
_FORMAT = 2  # of what is kept: another number grades all anew
# What holds a submission in one file; others are refused with a reason when they are opened.
_ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar")
_MOST_WRAPPED = 3  # folders and archives around a submission
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


def find_submissions(
    paths: Sequence[Path], grading: Grading, *, one: bool = False, out: Path | None = None
) -> tuple[dict[str, Path], list[str]]:
    """Submissions by the name of their row: folders and archives, or all those in a folder of them.

    With `one` each path is a submission, whatever it holds. Of several paths each is one, unless it is a
    folder of several; the rows of these begin with its name then. `out` is no submission.

    Returns
    -------
    (dict of str to path, list of str)
        The submissions; and what somebody should know about the way they were found.

    Raises
    ------
    FileNotFoundError, ValueError
        No such path; a folder without any; none but `out`.
    """
    found: list[tuple[str, Path]] = []
    said: list[str] = []
    for given in paths:
        path = given.resolve() if given.is_symlink() else given
        if not path.exists():
            raise FileNotFoundError(
                f"{path}: no such submission: give a folder, a .zip, or a folder of these"
            )
        if _is_same(path, out):
            continue
        alone, inside = len(paths) == 1, []
        if path.is_dir() and not one:
            inside = _submissions_in(path, grading, out, alone, said)
        whole = Path(os.path.abspath(path))  # of ".", too; links stay what they are
        before = "" if alone else f"{whole.name}-"
        found += [(before + entry.name, entry) for entry in inside] or [(whole.name, path)]
    if not found:
        raise ValueError(f"{out}: this is where grades go (--out): give a folder of submissions")
    names = _row_names([name for name, _ in found])
    return dict(zip(names, (path for _, path in found), strict=True)), said


def _submissions_in(
    path: Path, grading: Grading, out: Path | None, alone: bool, said: list[str]
) -> list[Path]:
    """The submissions in a folder of them; none where it is a submission itself."""
    parts, wanted = grading.rubric.parts, ", ".join(grading.rubric.parts)
    entries = [path / name for name in entry_names(path) if not is_clutter(name)]
    entries = [entry for entry in entries if not _is_same(entry, out)]
    folders = [entry for entry in entries if _is_folder(entry)]
    inside = sorted({*folders, *(entry for entry in entries if entry.suffix.lower() in _ARCHIVES)})
    named = {*holds_parts(path, parts)}
    # a student may be called like a part: such a folder is a submission where it has other parts in it
    submitted = [entry for entry in folders if _is_submission(entry, entry.name in named, grading)]
    own_parts = named - {entry.name for entry in submitted}
    own = [name for name in own_parts if _has_predictions(path / name)]
    if grading.part is not None and holds_predictions(path):
        own.append("predictions")
    # what is called like a part and holds nothing tells only where nothing else is there
    here = bool(own) or (bool(own_parts) and {entry.name for entry in folders} <= named)
    here = here or (holds_predictions(path) and not inside)
    if here and len(submitted) <= max(len(own), 1):
        if not own_parts and grading.part is None and alone:
            raise ValueError(
                f"{path} holds predictions itself: say which part they are with --part ({wanted})"
            )
        return []
    if not alone and len(inside) < 2:
        return []  # what is wrapped into a folder, or nothing: the reason comes with its row
    if not inside:
        raise ValueError(
            f"{path}: no submission: it has none of {wanted}, no pred.csv, and no folder or .zip of a "
            "submission"
        )
    if here:
        like = ", ".join(sorted(own) or sorted(own_parts))
        said.append(
            f"{path} holds submissions and, like a submission, {like}: taken for a folder of submissions "
            "(--one: for one)"
        )
    taken = {*inside}
    if others := [entry.name for entry in entries if entry not in taken]:
        said.append(f"{path}: {len(others)} files there are no submissions ({shown(', '.join(others), 100)})")
    return inside


def _is_submission(folder: Path, is_named: bool, grading: Grading) -> bool:
    """Whether an entry of a folder is a submission, by the names in it; or a part, as its name tells."""
    parts = holds_parts(folder, grading.rubric.parts)
    if is_named:
        return any(name != folder.name for name in parts)
    return bool(parts) or (grading.part is not None and holds_predictions(folder))


def _has_predictions(folder: Path) -> bool:
    """Whether a part has predictions, in itself or in a run folder in it."""
    return holds_predictions(folder) or any(holds_predictions(folder / name) for name in entry_names(folder))


def _is_folder(path: Path) -> bool:
    with contextlib.suppress(OSError):
        return path.is_dir()
    return False


def _is_same(path: Path, other: Path | None) -> bool:
    with contextlib.suppress(OSError):
        return other is not None and os.path.samefile(path, other)
    return False


def _row_names(stems: Sequence[str]) -> list[str]:
    """A name for each submission that can be a folder beside the others, and beside our own files."""
    stems = [_as_folder(stem) for stem in stems]
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


def _as_folder(name: str) -> str:
    ending = next((end for end in (".tar.gz", *_ARCHIVES) if name.lower().endswith(end)), "")
    name = os.fsencode(name[: len(name) - len(ending)])[:_LONGEST_NAME].decode("utf-8", "ignore")
    return name.strip(". ") or "submission"


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

    Raises
    ------
    OSError
        `out` cannot be written.
    ValueError
        Something in `out` is called like a submission and is no folder.
    """
    names = sorted(submissions)
    for name in names:
        if os.path.lexists(out / name) and not (out / name).is_dir():
            raise ValueError(f"{out / name} is in the way of a submission's folder: give another --out")
    (out / _KEPT).mkdir(parents=True, exist_ok=True)
    stop, same = threading.Event(), _fingerprint(grading)
    with ThreadPoolExecutor(n_jobs or os.cpu_count() or 1) as pool:
        try:
            graded = list(progress(
                pool.map(
                    lambda name: _graded(name, submissions[name], grading, same, out, fresh, stop), names
                ),
                total=len(names), description="grading", unit="submissions",
            ))  # fmt: skip
        except BaseException:
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise
    graded = [each | {"path": str(submissions[each["submission"]])} for each in graded]
    found = items(graded, grading.truths)
    _write(out / _OURS[0], gradebook_csv(graded))
    _write(out / _OURS[1], items_csv(found))
    pictures = {
        part: shown_in(folder, list(grading.truths[part].labels))
        for part, folder in grading.images.items()
    }
    _write(out / _OURS[2], instructor_page(grading.rubric.title, graded, found, pictures))
    return graded


# ------------------------------------------------------------------------------------------- one submission


def _graded(
    name: str, path: Path, grading: Grading, same: str, out: Path, fresh: bool, stop: threading.Event
) -> dict:
    """What a submission came to, from an earlier call or by its own processes; never an error of its own."""
    kept = out / _KEPT / f"{hashlib.sha256(os.fsencode(name)).hexdigest()[:32]}.json"
    key = _key(path, same)
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
    kept.unlink(missing_ok=True)  # a call cut short between these files must not look like one that was not
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
    # truths come class by class: a model could look at its neighbours. This order only the answers tell.
    labels = grading.truths[part].labels
    secret = hashlib.sha256(json.dumps(sorted(labels.items())).encode()).digest()
    names = sorted(labels, key=lambda name: hashlib.sha256(secret + os.fsencode(name)).digest())
    problem = child(_predict_again, model, grading.images[part], names, scratch, answer)
    if problem:
        return Rerun(None, None, f"running it failed: {_PROBLEMS.get(problem, problem)}", problem), False
    found = json.loads(answer.read_text("utf-8"))
    if found["problem"]:
        return Rerun(None, None, found["problem"], "refused"), found["lasts"]
    return Rerun([(image, label) for image, label in found["rows"]], found["seconds"]), True


# What children do; each leaves its answer in a file.


def _open(path: Path, unpacked: Path, parts: Sequence[str], part: str | None, answer: Path) -> None:
    """Unpack an archive, find the submission in it and its models."""
    found: dict = {"problem": "", "lasts": True, "folder": str(path), "models": {}}
    try:
        if path.is_symlink():
            raise ValueError("it is a link, which is not followed")
        unpacked.mkdir()
        folder = path if path.is_dir() else _unpack(path, unpacked / "0")
        for step in range(1, _MOST_WRAPPED + 1):
            inside = [
                entry for entry in folder.iterdir() if not is_clutter(entry.name) and not entry.is_symlink()
                and (entry.is_dir() or entry.suffix.lower() in _ARCHIVES)
            ]  # fmt: skip
            if len(inside) != 1 or holds_submission(folder, parts):
                break
            folder = inside[0] if inside[0].is_dir() else _unpack(inside[0], unpacked / str(step))
        if not holds_submission(folder, parts):
            wanted = ", ".join([*(f"{each}/" for each in parts), *(["pred.csv"] if part else [])])
            names = sorted(entry.name for entry in folder.iterdir())
            there = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
            raise ValueError(f"it holds none of {wanted}, but {there or 'nothing'}")
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
            name = name.replace("\\", "/")  # of an archive made on Windows
            if name.startswith("__MACOSX/") or name.endswith("/"):
                continue
            if name.count("/") > DEEPEST:
                raise ValueError(f"{path}: holds folders more than {DEEPEST} deep")
            target = to / name
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                file = target.open("xb")
            except (FileExistsError, NotADirectoryError, IsADirectoryError):
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
    except OSError as error:  # its text may name a test image
        found |= {"problem": error.strerror or "unreadable", "lasts": False}
    except ValueError as error:
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
    with _ONE_AT_A_TIME, _environment_of_children():
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


# Nothing is imported from the current folder, which may be a submission; and nothing is said of semaphores
# that a killed process leaves behind, which are removed.
_CHILDREN = {"PYTHONSAFEPATH": "1", "PYTHONWARNINGS": "ignore:resource_tracker:UserWarning"}


@contextlib.contextmanager
def _environment_of_children() -> Iterator[None]:
    """Python processes that are started within get `_CHILDREN` in their environment."""
    before = {name: os.environ.get(name) for name in _CHILDREN}
    os.environ.update(_CHILDREN)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


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
        os._exit(_OUT_OF_MEMORY if "memory" in str(error) or "alloc" in str(error) else 1)
    sys.exit(0)


# ---------------------------------------------------------------------------------------------------- files


def _fingerprint(grading: Grading) -> str:
    """Tells whether what submissions are graded by has changed, the test images included."""
    images = {}
    for part, folder in grading.images.items():
        names = tuple(grading.truths[part].labels)
        if (folder, names) not in images:
            images[folder, names] = _images_state(folder, names)
    return _hashed([
        _FORMAT, dataclasses.asdict(grading.rubric),
        {part: [truth.labels, truth.official] for part, truth in grading.truths.items()},
        {part: str(folder) for part, folder in grading.images.items()}, list(images.values()),
        grading.part, grading.seconds, grading.memory_bytes,
    ])  # fmt: skip


def _images_state(folder: Path, names: Sequence[str]) -> list:
    """The states of test images; of a set in arrays, those of the files in the folder."""
    inside = folder_of_images(folder, names)
    if inside is not None:
        return [_state(inside / name, (inside / name).stat()) for name in names]
    return [_state(file, file.lstat()) for file in sorted(folder.iterdir()) if file.is_file()]


def _key(path: Path, same: str) -> str:
    """Tells whether a submission has changed, or `same` has; never twice the same if that cannot be told."""
    listed = list(itertools.islice(_listed(path, DEEPEST + _MOST_WRAPPED), MOST_ENTRIES + 1))
    unsure = len(listed) > MOST_ENTRIES or None in listed
    return _hashed([same, listed, os.urandom(16).hex() if unsure else ""])


def _hashed(parts: list) -> str:
    text = json.dumps(parts, sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _listed(path: Path, deeper: int) -> Iterator[list | None]:
    """The state of all that is read of a submission; None for what cannot be looked at."""
    try:
        status = path.lstat()
        yield _state(path, status)
        if stat.S_ISDIR(status.st_mode):
            if not deeper:
                yield None
                return
            with os.scandir(path) as entries:
                names = sorted(entry.name for entry in itertools.islice(entries, MOST_ENTRIES))
            for name in names:
                yield from _listed(path / name, deeper - 1)
    except OSError:
        yield None


def _state(path: Path, status: os.stat_result) -> list:
    """Path, size and times of a file, and which file it is.

    On Unix nobody can set the second of the times; on Windows it is that of creation, and a change of the
    same length with the first one set back is not seen.
    """
    return [str(path), status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]


def _kept(path: Path) -> dict | None:
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None


def _write(path: Path, text: str) -> None:
    with atomic_path(path) as temporary:
        # names need not be valid UTF-8
        temporary.write_bytes(text.encode("utf-8", "backslashreplace"))
