"""Many submissions: archives and models that mean harm, limits, resuming, and what is written."""

import csv
import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

try:
    import torch
except ModuleNotFoundError:
    torch = None

sys.path.insert(0, str(Path(__file__).parents[1] / "reports"))

from gallery import NAMES, TRUTH, good, put, rows, table  # noqa: E402

from experiments import batch_grading  # noqa: E402
from experiments.batch_grading import Grading, find_submissions, grade_all, run_limited  # noqa: E402
from reports.rubric import Check, Rubric, read_rubric  # noqa: E402

RUBRIC = read_rubric()
GRADING = Grading(RUBRIC, dict.fromkeys(RUBRIC.parts, TRUTH))
MEMORY = 2**31


@pytest.fixture
def graded(tmp_path, monkeypatch):
    """graded(): grades all in tmp_path/all; by name what became of each."""

    def graded(grading=GRADING, **options) -> dict[str, dict]:
        # relative, as they are typed
        found, _ = find_submissions([Path("all")], grading)
        return {each["submission"]: each for each in grade_all(found, grading, Path("out"), **options)}

    monkeypatch.chdir(tmp_path)

    (tmp_path / "all").mkdir()
    return graded


def kinds(graded: dict) -> set[str]:
    return {finding["kind"] for finding in graded["findings"]}


def read(path: Path) -> list[dict]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


# --------------------------------------------------------------------------------------------------- archives


def zipped(path: Path, folder: Path, inside: str = "") -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.writestr(inside + file.relative_to(folder).as_posix(), file.read_bytes())


def bomb(path, folder):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("tiny/pred.csv", bytes(600_000))
    # every size in the directory says a gigabyte
    data = path.read_bytes()
    path.write_bytes(data.replace((600_000).to_bytes(4, "little"), (2**30).to_bytes(4, "little")))


def climbing(path, folder):
    zipped(path, folder, "../../")


def absolute(path, folder):
    zipped(path, folder, "/tmp/")


def linked(path, folder):
    with zipfile.ZipFile(path, "w") as archive:
        link = zipfile.ZipInfo("tiny/pred.csv")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")


def encrypted(path, folder):
    zipped(path, folder)
    data = bytearray(path.read_bytes())
    for mark, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.find(mark)
        data[at + flags] |= 1
    path.write_bytes(data)


def cut_short(path, folder):
    zipped(path, folder)
    path.write_bytes(path.read_bytes()[:-30])


def changed_within(path, folder):
    zipped(path, folder)
    data = path.read_bytes()
    path.write_bytes(data.replace(b"ant/003.png", b"ant/004.png", 1))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def twice_the_same(path, folder):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tiny/pred.csv", "filename,label\n")
        archive.writestr("tiny/pred.csv", "filename,label\n")


def thousands_of_files(path, folder):
    with zipfile.ZipFile(path, "w") as archive:
        for i in range(2001):
            archive.writestr(f"tiny/{i}.txt", "")


def folders_without_end(path, folder):
    with zipfile.ZipFile(path, "w") as archive:
        for depth in (400, 800, 1200):  # each of which can still be made
            archive.writestr("a/" * depth + "x", "")


def no_archive(path, folder):
    path.write_text("my homework")


BAD_ARCHIVES = (bomb, climbing, absolute, linked, encrypted, cut_short, changed_within, twice_the_same,
                thousands_of_files, folders_without_end, no_archive)  # fmt: skip


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_an_archive_that_means_harm_costs_its_own_row_and_leaves_nothing(graded, tmp_path):
    folder = good(tmp_path / "good")
    zipped(tmp_path / "all" / "good.zip", folder)
    zipped(tmp_path / "all" / "wrapped.zip", folder, "my homework/")
    with zipfile.ZipFile(tmp_path / "all" / "wrapped.zip", "a") as archive:
        archive.writestr("__MACOSX/my homework/._tiny", b"\0")
    for make in BAD_ARCHIVES:
        make(tmp_path / "all" / f"{make.__name__}.zip", folder)
    (tmp_path / "all" / "link.zip").symlink_to(tmp_path / "all" / "good.zip")
    before = sorted(path.name for path in tmp_path.iterdir())
    found = graded()
    assert {name for name, each in found.items() if each["score"] == 100} == {"good", "wrapped"}
    for name in ("link", *(make.__name__ for make in BAD_ARCHIVES)):
        assert (found[name]["score"], found[name]["max_score"], kinds(found[name])) == (0, 90, {"not_graded"})
        (finding,) = found[name]["findings"]
        assert str(tmp_path) not in finding["text"] and "\n" not in finding["text"]
    assert kinds(found["wrapped"]) == set()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*before, "out"])
    left = {path.name for path in (tmp_path / "out").iterdir()}
    assert left == {*found, ".graded", "gradebook.csv", "items.csv", "instructor.html"}


# ----------------------------------------------------------------------------------------------------- limits


@pytest.mark.parametrize(
    ("work", "args", "outcome"),
    [(time.sleep, (0,), ""), (time.sleep, (60,), "too_slow"), (bytearray, (2**33,), "too_large"),
     (os.abort, (), "crashed"), (int, ("x",), "crashed")],
)  # fmt: skip
def test_a_process_is_held_to_its_limits(work, args, outcome):
    started = time.monotonic()
    assert run_limited(work, args, 8, MEMORY, threading.Event()) == outcome
    assert time.monotonic() - started < 30


@pytest.mark.skipif(sys.platform == "win32", reason="semaphores as on Unix")
def test_nothing_is_said_of_what_a_killed_process_leaves_behind(tmp_path):
    mark = tmp_path / "has the lock"
    work = "import multiprocessing, pathlib, time; lock = multiprocessing.RLock(); "
    work += f"pathlib.Path({str(mark)!r}).touch(); time.sleep(600)"
    code = f"""if __name__ == "__main__":
        import pathlib, threading, time
        from experiments.batch_grading import run_limited
        stop = threading.Event()
        def watch():
            while not pathlib.Path({str(mark)!r}).exists():
                time.sleep(0.1)
            stop.set()
        threading.Thread(target=watch, daemon=True).start()
        print(run_limited(exec, ({work!r},), 300, {MEMORY}, stop))
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("stopped\n", "")


def test_a_process_is_stopped_with_the_others():
    stop = threading.Event()
    threading.Timer(0.5, stop.set).start()
    started = time.monotonic()
    assert run_limited(time.sleep, (60,), 60, MEMORY, stop) == "stopped"
    assert time.monotonic() - started < 30


def test_a_submission_beyond_the_limits_costs_its_own_row(graded, tmp_path):
    good(tmp_path / "all" / "fine")
    good(tmp_path / "all" / "heavy")
    # a million rows take more than the limit
    lines = "".join(f"{i}/a/very/long/name/of/an/image/that/nobody/has.png,bee\n" for i in range(999_999))
    put(tmp_path / "all" / "heavy", "filename,label\n" + lines)
    found = graded(dataclasses.replace(GRADING, memory_bytes=100 * 2**20))
    assert found["fine"]["score"] == 100
    assert kinds(found["heavy"]) == {"not_graded"} and "memory" in found["heavy"]["findings"][0]["text"]


def test_nothing_in_the_current_folder_is_executed(tmp_path):
    """Also not where that is a submission, or a class with a student who is called like a module."""
    for place in (tmp_path / "class" / "ann", tmp_path / "class"):
        good(tmp_path / "class" / "ann")
        for module in ("selectors", "numpy", "torch", "experiments", "signal"):
            (place / f"{module}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').write(__name__)")
        if place.name == "class":
            module = good(place / "shutil") / "__init__.py"
            module.write_text((place / "signal.py").read_text())
        (tmp_path / "truth.csv").write_text(table(list(TRUTH.labels.items())))
        script = Path(__file__).parents[2] / "scripts" / "grade.py"
        where = [".", "--truth", tmp_path / "truth.csv", "--out", tmp_path / "out"]
        command = [sys.executable, str(script), *where]
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}
        done = subprocess.run(command, cwd=place, capture_output=True, text=True, env=environment)
        assert done.returncode == 0 and " 100 " in done.stdout, done.stderr
        assert not (tmp_path / "ran").exists()
        shutil.rmtree(tmp_path / "class")


def test_many_at_a_time_do_not_disturb_each_other():
    def calm(_):
        return run_limited(time.sleep, (0,), 60, MEMORY, threading.Event())

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(calm, range(100))) == [""] * 100


def test_folders_that_mean_harm_cost_their_own_row(graded, tmp_path):
    good(tmp_path / "all" / "fine")
    deep = good(tmp_path / "all" / "deep") / "extra"
    for _ in range(15):
        deep = deep / ("d" * 200)
    os.makedirs(deep)  # the path is 3,000 letters long
    good(tmp_path / "all" / ("n" * 252))
    found = graded()
    assert {name: each["score"] for name, each in found.items()} == {
        "fine": 100, "deep": 100, "n" * 200: 100
    }  # fmt: skip
    assert all((tmp_path / "out" / name / "results.json").is_file() for name in found)


# --------------------------------------------------------------------------------------------------- resuming


def test_what_was_graded_is_graded_again_only_when_something_changed(graded, tmp_path, monkeypatch):
    for name in ("a", "b", "c"):
        good(tmp_path / "all" / name)
    asked = []
    by_children = batch_grading._by_children
    monkeypatch.setattr(
        batch_grading, "_by_children", lambda name, *rest: asked.append(name) or by_children(name, *rest)
    )
    first = graded(n_jobs=1)
    assert asked == ["a", "b", "c"]
    assert graded() == first and asked == ["a", "b", "c"]
    put(tmp_path / "all" / "b", table(rows("tiny", 10)))
    assert graded()["b"]["score"] == 80 and asked[3:] == ["b"]
    (tmp_path / "out" / "c" / "results.json").unlink()
    graded()
    assert asked[4:] == ["c"] and (tmp_path / "out" / "c" / "results.json").is_file()
    checks = tuple(dataclasses.replace(check, points=1) for check in RUBRIC.checks)
    assert graded(dataclasses.replace(GRADING, rubric=Rubric("x", checks)), n_jobs=1)["a"]["score"] == 5
    assert asked[5:] == ["a", "b", "c"]
    graded(dataclasses.replace(GRADING, rubric=Rubric("x", checks)), n_jobs=1, fresh=True)
    assert asked[8:] == ["a", "b", "c"]


@pytest.mark.skipif(sys.platform == "win32", reason="times as on Unix")
def test_a_change_deep_in_a_folder_or_with_its_time_set_back_is_seen(graded, tmp_path):
    deep = tmp_path / "all" / "ann" / "homework" / "run"
    good(deep.parent)
    deep = deep.parent / "tiny" / "run"
    deep.mkdir()
    file = deep / "pred.csv"
    (deep.parent / "pred.csv").rename(file)
    graded()
    before = file.stat()
    file.write_text(table([(name, "cow") for name, _ in rows("tiny")]), "utf-8")  # as long as before
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file.stat().st_size == before.st_size
    assert graded()["ann"]["score"] == 80


def test_a_call_cut_short_between_its_files_leaves_none_that_would_be_believed(graded, tmp_path, monkeypatch):
    good(tmp_path / "all" / "ann")
    graded()
    checks = tuple(dataclasses.replace(check, points=1) for check in RUBRIC.checks)
    other = dataclasses.replace(GRADING, rubric=Rubric("x", checks))
    write = batch_grading._write

    def cut_short(path, text):
        if path.name == "feedback.html":
            raise KeyboardInterrupt
        write(path, text)

    with monkeypatch.context() as patch:
        patch.setattr(batch_grading, "_write", cut_short)
        with pytest.raises(KeyboardInterrupt):
            graded(other)
    assert graded()["ann"]["score"] == 100
    results = json.loads((tmp_path / "out" / "ann" / "results.json").read_text("utf-8"))
    assert results["score"] == 100


def test_the_order_of_the_truth_means_nothing(graded, tmp_path):
    put(good(tmp_path / "all" / "a"), table(rows("tiny", 10)))
    good(tmp_path / "all" / "b")
    graded()
    before = (tmp_path / "out" / "items.csv").read_text("utf-8")
    turned = dataclasses.replace(TRUTH, labels=dict(reversed(TRUTH.labels.items())))
    put(tmp_path / "all" / "b", table(rows("tiny", 20)))  # one is graded again, one is not
    graded(dataclasses.replace(GRADING, truths=dict.fromkeys(RUBRIC.parts, turned)))
    after = (tmp_path / "out" / "items.csv").read_text("utf-8")
    graded(fresh=True)
    assert after == (tmp_path / "out" / "items.csv").read_text("utf-8") != before


def test_what_the_machine_may_be_to_blame_for_is_tried_again(graded, tmp_path, monkeypatch):
    good(tmp_path / "all" / "a")
    with monkeypatch.context() as patch:
        patch.setattr(batch_grading, "run_limited", lambda *_: "crashed")
        assert graded()["a"]["score"] == 0
        patch.setattr(batch_grading, "_by_children", lambda *_: 1 / 0)
        assert "ZeroDivisionError" in graded()["a"]["findings"][0]["text"]
    assert graded()["a"]["score"] == 100


@pytest.mark.skipif(sys.platform == "win32", reason="signals as on Unix")
def test_ctrl_c_stops_the_children_and_keeps_no_wrong_marks(tmp_path):
    for i in range(40):
        good(tmp_path / "all" / f"s{i}")
    (tmp_path / "truth.csv").write_text(table(list(TRUTH.labels.items())))
    script = Path(__file__).parents[2] / "scripts" / "grade.py"
    command = [sys.executable, str(script), "all", "--truth", "truth.csv", "--out", "out", "--jobs", "4"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                               text=True, start_new_session=True)  # fmt: skip
    while process.poll() is None and not list((tmp_path / "out").glob("s*")):
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=120)
    if process.returncode != 0:  # all may have been done just then
        assert process.returncode == 130 and said.splitlines()[-1] == "interrupted"
        assert not (tmp_path / "out" / "gradebook.csv").exists()
    for results in (tmp_path / "out").glob("*/results.json"):
        assert json.loads(results.read_text("utf-8"))["score"] == 100
    assert list((tmp_path / "out").glob(".part*")) == []


def test_a_stopped_call_keeps_what_it_graded(graded, tmp_path, monkeypatch):
    for name in ("a", "b"):
        good(tmp_path / "all" / name)
    by_children = batch_grading._by_children

    def stopped_at_b(name, *rest):
        if name == "b":
            raise KeyboardInterrupt
        return by_children(name, *rest)

    monkeypatch.setattr(batch_grading, "_by_children", stopped_at_b)
    with pytest.raises(KeyboardInterrupt):
        graded(n_jobs=1)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [".graded", "a"]


# -------------------------------------------------------------------------------------------- what is written


def test_the_class_in_files(graded, tmp_path):
    good(tmp_path / "all" / "=cmd|' C calc'!A0")
    good(tmp_path / "all" / "<img src=x onerror=alert(1)>")
    put(good(tmp_path / "all" / "weak"), table(rows("tiny", 0)))
    found = graded()
    book = read(tmp_path / "out" / "gradebook.csv")
    assert list(book[0])[:3] == ["submission", "score", "max_score"] and list(book[0])[-1] == "findings"
    assert {row["submission"]: row["score"] for row in book} == {
        "'=cmd|' C calc'!A0": "100", "<img src=x onerror=alert(1)>": "100", "weak": "80"
    }  # fmt: skip
    images = read(tmp_path / "out" / "items.csv")
    assert len(images) == 300
    missed = {(row["part"], row["filename"]): row["missed"] for row in images}
    right = [name for name, label in rows("tiny") if TRUTH.labels[name] == label]
    assert {missed["tiny", name] for name in right} == {"1"}  # by the weak one only
    assert {missed["tiny", name] for name in set(NAMES) - set(right)} == {"3"}
    page = (tmp_path / "out" / "instructor.html").read_text("utf-8")
    assert "<img src=x" not in page and "&lt;img src=x" in page
    assert "Equal predictions" in page and "<li>tiny: &#39;" not in page
    assert "<li>tiny: &lt;img" in page and str(tmp_path / "all" / "weak") not in page
    assert "all/weak" in page  # where each was found
    scope = json.loads((tmp_path / "out" / "weak" / "results.json").read_text("utf-8"))
    assert scope["score"] == 80 and sum(test["max_score"] for test in scope["tests"]) == 100
    assert {test["status"] for test in scope["tests"]} == {"passed", "failed"}
    assert set(scope["tests"][0]) == {"name", "score", "max_score", "status", "output", "visibility"}
    assert scope["leaderboard"] == [
        {"name": "tiny accuracy", "value": 0.0}, {"name": "bow accuracy", "value": 0.6},
        {"name": "cnn accuracy", "value": 0.9},
    ]  # fmt: skip
    assert found["weak"]["marks"][0]["reason"].endswith("asked: above 0.2: 0 of 20 points")


def test_the_students_page_gives_reasons_and_no_answers(graded, tmp_path):
    folder = good(tmp_path / "all" / "one")
    put(folder, table([("<b>x</b><script>alert(1)</script>.png", "ant"), *rows("tiny")[1:]]))
    (folder / "bow" / "pred.csv").unlink()
    graded()
    page = (tmp_path / "out" / "one" / "feedback.html").read_text("utf-8")
    assert "What was not checked" in page and "does not apply: part &#39;bow&#39; has no predictions" in page
    assert "<b>x" not in page and "<script>" not in page and "&lt;script&gt;alert(1)" in page
    assert not [name for name in NAMES if name in page]
    assert not [label for label in ("ant", "bee", "cat", "dog") if f"{label}/" in page]


def test_names_that_would_stand_in_each_others_way(tmp_path):
    for name in ("a", "gradebook.csv", "A", ".hidden"):
        good(tmp_path / "all" / name)
    zipped(tmp_path / "all" / "a.zip", tmp_path / "all" / "a")
    (tmp_path / "all" / "notes.txt").write_text("x")
    good(tmp_path / "all" / "a-2")
    (good(tmp_path / "all" / "grades") / ".graded").mkdir()
    found, said = find_submissions([tmp_path / "all"], GRADING, out=tmp_path / "all" / "grades")
    assert list(found) == ["A", "a-3", "a-2", "a-4", "gradebook.csv-2"]
    assert said == [f"{tmp_path / 'all'}: 1 files there are no submissions (notes.txt)"]
    # only our own grades are left out, not what somebody calls so
    assert "grades" in find_submissions([tmp_path / "all"], GRADING)[0]
    for name in ("..zip", "...tar.gz"):
        good(tmp_path / name)
        assert list(find_submissions([tmp_path / name], GRADING, one=True)[0]) == ["submission"]


@pytest.mark.skipif(sys.platform != "linux", reason="names that are no text")
def test_names_that_are_no_text_do_not_leave_the_folder_of_grades(graded, tmp_path):
    for name in (b"\xff..\xff", b"\xfe", b"\xff.\xff"):
        good(Path(os.fsdecode(os.fsencode(tmp_path / "all") + b"/" + name)))
    assert set(graded()) == {"submission", "submission-2", "submission-3"}
    assert not (tmp_path / "results.json").exists() and not (tmp_path / "out" / "results.json").exists()


def test_a_student_called_like_a_part_is_one_of_the_class(tmp_path):
    for name in ("ann", "Bow", "tiny"):
        good(tmp_path / "class" / name)
    (tmp_path / "class" / "result.json").write_text("{}")
    (tmp_path / "class" / "pred.csv").write_text("x")
    found, said = find_submissions([tmp_path / "class"], GRADING)
    assert list(found) == ["Bow", "ann", "tiny"]
    assert said == [f"{tmp_path / 'class'}: 2 files there are no submissions (pred.csv, result.json)"]
    # also where each wrapped it once more
    for name in ("ann", "Bow", "cid"):
        good(tmp_path / "wrapped" / name / "homework")
    assert list(find_submissions([tmp_path / "wrapped"], GRADING)[0]) == ["Bow", "ann", "cid"]
    # and where that student handed in predictions alone
    (tmp_path / "class" / "cnn").mkdir()
    (tmp_path / "class" / "cnn" / "pred.csv").write_text(table(rows("cnn")))
    found, said = find_submissions([tmp_path / "class"], GRADING)
    assert list(found) == ["Bow", "ann", "cnn", "tiny"]
    assert "like a submission, cnn: taken for a folder of submissions (--one: for one)" in said[0]
    # alone, with predictions of one part
    alone = dataclasses.replace(GRADING, part="bow")
    for name in ("ann", "bob"):
        (tmp_path / "alone" / name).mkdir(parents=True)
        (tmp_path / "alone" / name / "pred.csv").write_text(table(rows("bow")))
    assert list(find_submissions([tmp_path / "alone"], alone)[0]) == ["ann", "bob"]


def test_one_submission_is_not_several_whatever_lies_in_it(tmp_path):
    ann = good(tmp_path / "ann")
    good(ann / "old")
    (ann / "cnn" / "cnn").mkdir()
    (ann / "cnn" / "pred.csv").rename(ann / "cnn" / "cnn" / "pred.csv")
    assert list(find_submissions([ann], GRADING)[0]) == ["ann"]
    for part in ("tiny", "bow"):
        (ann / part / "pred.csv").unlink()  # nothing in them: they are parts all the same
    shutil.rmtree(ann / "old")
    assert list(find_submissions([ann], GRADING)[0]) == ["ann"]
    alone = dataclasses.replace(GRADING, part="cnn")
    (tmp_path / "solo" / "old").mkdir(parents=True)
    for folder in (tmp_path / "solo", tmp_path / "solo" / "old"):
        (folder / "pred.csv").write_text(table(rows("cnn")))
    assert find_submissions([tmp_path / "solo"], alone)[0] == {"solo": tmp_path / "solo"}


@pytest.mark.skipif(sys.platform == "win32", reason="links and permissions as on Unix")
def test_a_folder_that_cannot_be_listed_or_that_leads_in_circles_costs_its_own_row(graded, tmp_path):
    good(tmp_path / "all" / "ann")
    (tmp_path / "all" / "ann" / "round").symlink_to("round")
    (tmp_path / "all" / "round").symlink_to("round")
    (tmp_path / "all" / "bob").mkdir(mode=0)
    given = [tmp_path / "all" / name for name in ("ann", "bob")]
    assert list(find_submissions(given, GRADING)[0]) == ["ann", "bob"]
    found = graded()
    (tmp_path / "all" / "bob").chmod(0o700)
    assert (found["ann"]["score"], found["bob"]["score"]) == (100, 0)


def test_the_grades_are_no_submission_where_all_of_a_folder_is_given(graded, tmp_path):
    good(tmp_path / "all" / "ann")
    good(tmp_path / "out" / "ann")
    given = [tmp_path / "all" / "ann", tmp_path / "out"]
    assert list(find_submissions(given, GRADING, out=tmp_path / "out")[0]) == ["ann"]


def test_of_several_paths_each_has_a_row_whatever_it_holds(tmp_path):
    good(tmp_path / "ann")
    (tmp_path / "bob").mkdir()
    (tmp_path / "bob" / "pred.csv").write_text(table(rows("tiny")))
    (tmp_path / "cid").mkdir()
    good(tmp_path / "dan" / "ann")
    good(tmp_path / "section 2" / "ann")
    good(tmp_path / "section 2" / "eva")
    given = [tmp_path / name for name in ("ann", "bob", "cid", "dan", "section 2")]
    assert list(find_submissions(given, GRADING)[0]) == [
        "ann", "bob", "cid", "dan", "section 2-ann", "section 2-eva"
    ]  # fmt: skip


def test_archives_of_other_kinds_and_wrapped_ones_are_opened_or_have_a_reason(graded, tmp_path):
    folder = good(tmp_path / "good")
    shutil.make_archive(str(tmp_path / "all" / "tarred"), "gztar", folder)
    (tmp_path / "all" / "packed.rar").write_bytes(b"Rar!\x1a\x07\x00")
    with zipfile.ZipFile(tmp_path / "all" / "windows.zip", "w") as archive:
        for file in folder.rglob("*.*"):
            info = zipfile.ZipInfo("homework/x")
            info.filename = "homework\\" + "\\".join(file.relative_to(folder).parts)
            archive.writestr(info, file.read_bytes())
        info = zipfile.ZipInfo("x")
        info.filename = "homework\\tiny\\"  # a folder, as some write it
        archive.writestr(info, b"")
    for name in ("moodle", "mac", "git"):
        (tmp_path / "all" / name).mkdir()
    zipped(tmp_path / "all" / "moodle" / "hw.zip", folder)
    shutil.copytree(folder, tmp_path / "all" / "mac" / "homework")
    (tmp_path / "all" / "mac" / "__MACOSX").mkdir()
    shutil.copytree(folder, tmp_path / "all" / "git" / "homework")
    (tmp_path / "all" / "git" / ".git").mkdir()
    (tmp_path / "all" / "empty").mkdir()
    (tmp_path / "all" / "other" / "baseline").mkdir(parents=True)
    (tmp_path / "all" / "other" / "network").mkdir()
    found = graded()
    scores = {name: each["score"] for name, each in found.items()}
    assert scores == dict.fromkeys(("tarred", "windows", "moodle", "mac", "git"), 100) | dict.fromkeys(
        ("packed", "empty", "other"), 0
    )
    reasons = {name: each["findings"][0]["text"] for name, each in found.items() if each["findings"]}
    assert "not a .zip, .tar or .tar.gz" in reasons["packed"]
    assert "none of tiny/, bow/, cnn/, but nothing" in reasons["empty"]
    assert "but baseline, network" in reasons["other"]


def test_what_would_be_in_the_way_is_said_before_anything_is_graded(graded, tmp_path):
    good(tmp_path / "all" / "ann")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "ann").write_text("x")
    with pytest.raises(ValueError, match="in the way of a submission's folder"):
        graded()
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["ann"]


def test_what_is_no_submission_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such submission"):
        find_submissions([tmp_path / "x"], GRADING)
    with pytest.raises(ValueError, match="no submission: it has none of tiny, bow, cnn"):
        find_submissions([tmp_path], GRADING)
    put(good(tmp_path / "one"), table(rows("tiny")))
    with pytest.raises(ValueError, match="say which part they are with --part"):
        find_submissions([tmp_path / "one" / "tiny"], GRADING)
    assert list(find_submissions([tmp_path], GRADING, one=True)[0]) == [tmp_path.name]
    (tmp_path / "latest").symlink_to(tmp_path / "one")
    assert find_submissions([tmp_path / "latest"], GRADING)[0] == {"one": tmp_path / "one"}
    alone = dataclasses.replace(GRADING, part="tiny")
    submissions, _ = find_submissions([tmp_path / "one" / "tiny"], alone)
    found = grade_all(submissions, alone, tmp_path / "out")
    assert found[0]["marks"][0]["score"] == 20


# ----------------------------------------------------------------------------------------------- models again


class CountsImages(torch.nn.Module if torch else object):
    """Says of the images of a batch that the first third is the first class, and so on."""

    def forward(self, x):
        places = torch.arange(x.shape[0]) * 3 // x.shape[0]
        return torch.nn.functional.one_hot(places, 3).float() + 0 * x.mean((1, 2, 3))[:, None]


def test_a_model_learns_nothing_from_the_order_of_the_images(graded, tmp_path, small_folder):
    pytest.importorskip("onnxruntime")
    from deep.export import export_onnx
    from deep.weights import SavedModel
    from experiments.truth import read_truth

    truth = read_truth(small_folder)
    assert [*truth.labels.values()] == sorted(truth.labels.values())  # class by class
    saved = SavedModel(CountsImages().eval(), "x", {}, truth.classes, (3, 32, 32), (0.5,) * 3, (0.25,) * 3,
                       "squash", {})  # fmt: skip
    (tmp_path / "all" / "ann" / "cnn").mkdir(parents=True)
    put(tmp_path / "all" / "ann", table([(name, truth.classes[0]) for name in truth.labels]), "cnn")
    export_onnx(saved, tmp_path / "all" / "ann" / "cnn" / "net.onnx")
    checks = (Check("cnn", "accuracy", "accuracy", 10, weak=0, strong=1),)
    found = graded(Grading(Rubric("T", checks), {"cnn": truth}, {"cnn": small_folder}))
    assert kinds(found["ann"]) == {"model_differs"}
    assert found["ann"]["parts"]["cnn"]["accuracy"] < 0.7


def test_submitted_models_are_run_again(graded, tmp_path, small_folder):
    pytest.importorskip("torch")
    onnx = pytest.importorskip("onnx")
    from deep.export import export_onnx
    from deep.weights import SavedModel, save_model
    from deep.zoo import build_model
    from experiments.network_prediction import load_network
    from experiments.truth import images_of, read_truth

    truth = read_truth(small_folder)
    names = list(truth.labels)
    folder = images_of(str(small_folder), names)
    assert folder == small_folder and images_of(str(tmp_path), names) is None
    mean, std, predicted = (0.5,) * 3, (0.25,) * 3, []
    while len({label for _, label in predicted}) < 2:  # untrained ones say the same of all, mostly
        network = build_model("cifar_50k", num_classes=3).eval()
        saved = SavedModel(network, "cifar_50k", {}, truth.classes, (3, 32, 32), mean, std, "squash", {})
        save_model(tmp_path / "m.safetensors", saved)
        model = load_network(tmp_path / "m.safetensors", "cpu")
        answers = model.predict({name: small_folder / "test" / name for name in names})
        predicted = [(each.filename, each.ranked[0][0]) for each in answers]

    def hand_in(name: str, lines=predicted) -> Path:
        (tmp_path / "all" / name / "cnn").mkdir(parents=True)
        put(tmp_path / "all" / name, table(lines), "cnn")
        return tmp_path / "all" / name / "cnn"

    save_model(hand_in("honest") / "model.safetensors", saved)
    save_model(hand_in("copied", list(truth.labels.items())) / "model.safetensors", saved)
    export_onnx(saved, hand_in("onnx") / "net.onnx")
    (hand_in("pickle") / "model.pt").write_bytes(b"\x80\x04.")
    (hand_in("damaged") / "model.safetensors").write_bytes((tmp_path / "m.safetensors").read_bytes()[:-100])
    other = dataclasses.replace(saved, name="resnet18")
    save_model(hand_in("misnamed") / "model.safetensors", other)
    model = onnx.load(tmp_path / "all" / "onnx" / "cnn" / "net.onnx")
    silent = onnx.ModelProto.FromString(model.SerializeToString())
    del silent.metadata_props[:]
    onnx.save_model(silent, hand_in("silent") / "net.onnx")
    onnx.save_model(model, hand_in("outside") / "net.onnx", save_as_external_data=True, size_threshold=0,
                    location="weights.bin")  # fmt: skip
    (hand_in("garbage") / "net.onnx").write_bytes(b"ONNX" * 1000)

    checks = (Check("cnn", "accuracy", "accuracy", 10, weak=0, strong=1),
              Check("cnn", "fast", "seconds", 10, threshold=200))  # fmt: skip
    grading = Grading(Rubric("T", checks), {"cnn": truth}, {"cnn": folder})
    found = graded(grading)
    accuracy = sum(truth.labels[name] == label for name, label in predicted) / len(names)
    assert kinds(found["honest"]) == kinds(found["onnx"]) == set()
    assert found["honest"]["score"] == found["onnx"]["score"] == round(10 * accuracy, 4) + 10
    assert kinds(found["copied"]) == {"model_differs"}
    assert found["copied"]["parts"]["cnn"]["accuracy"] == accuracy
    assert kinds(found["pickle"]) == {"model_not_run"}
    reasons = {
        "damaged": "damaged", "misnamed": "do not fit", "silent": "no classes in its metadata",
        "outside": "keeps data outside of the file", "garbage": "no ONNX file",
    }  # fmt: skip
    for name, reason in reasons.items():
        assert "model_refused" in kinds(found[name]), name
        said = " ".join(finding["text"] for finding in found[name]["findings"])
        assert reason in said and str(tmp_path) not in said
        assert not found[name]["marks"][1]["applies"]
    page = (tmp_path / "out" / "instructor.html").read_text("utf-8")
    assert "data:image/jpeg;base64," in page and len(page) < 10**6
