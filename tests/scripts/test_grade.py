"""grade.py: its doors, its one-line errors, and both pages in a browser."""

import importlib
import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "reports"))

from gallery import TRUTH, good, put, rows, table  # noqa: E402

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture
def handed_in(tmp_path):
    """A class of two, and the truth."""
    for name in ("ann", "bob"):
        good(tmp_path / "class" / name)
    put(tmp_path / "class" / "bob", table(rows("tiny", 0)[1:]))
    (tmp_path / "truth.csv").write_text(table(list(TRUTH.labels.items())), "utf-8")
    return tmp_path


def test_a_class_is_graded_and_shown_in_a_table(call, handed_in):
    out = handed_in / "grades"
    done = call("grade", handed_in / "class", "--truth", handed_in / "truth.csv", "--out", out)
    assert done.folder == out and done.err == ""
    cells = [line.split() for line in done.lines]
    assert cells[1][:3] == ["ann", "100", "100"] and cells[1][-1] == "0"
    assert cells[2][:4] == ["bob", "80", "100", "0"] and cells[2][-1] == "1"
    assert json.loads((out / "bob" / "results.json").read_text("utf-8"))["score"] == 80
    again = call("grade", handed_in / "class", "--truth", handed_in / "truth.csv", "--out", out, "--jobs", 1)
    assert again.lines == done.lines


def test_what_somebody_should_know_is_said_beside_the_table(call, handed_in):
    (handed_in / "class" / "notes.txt").write_text("x")
    (handed_in / "other.csv").write_text("filename,label\n1.jpg,ant\n2.jpg,bee\n")
    done = call("grade", handed_in / "class", "--truth", handed_in / "truth.csv", "--truth",
                f"tiny={handed_in / 'other.csv'}", "--out", handed_in / "class" / "grades")  # fmt: skip
    assert done.code == 0 and [line.split()[0] for line in done.lines[1:3]] == ["ann", "bob"]
    assert "1 files there are no submissions (notes.txt)" in done.err
    assert "nobody names an image and a class of the truth of 'tiny': is it the right one?" in done.err
    assert "'bow'" not in done.err
    again = call("grade", handed_in / "class", "--truth", handed_in / "truth.csv", "--out",
                 handed_in / "class" / "grades")  # fmt: skip
    assert [line.split()[0] for line in again.lines[1:3]] == ["ann", "bob"]


def test_a_picture_that_cannot_be_shown_costs_no_grades(call, handed_in, small_folder):
    names = sorted(path.relative_to(small_folder / "test") for path in (small_folder / "test").rglob("*.*"))
    photos = handed_in / "photos"
    shutil.copytree(small_folder / "test", photos)
    (photos / names[0]).write_bytes(b"no picture")
    for student in ("ann", "bob"):
        lines = [(name.as_posix(), names[-1].parts[0]) for name in names]
        put(handed_in / "class" / student, table(lines))
    done = call("grade", handed_in / "class", "--truth", f"tiny={photos}", "--truth", handed_in / "truth.csv",
                "--out", handed_in / "grades")  # fmt: skip
    assert (done.code, done.err) == (0, "") and done.lines[1].split()[0] == "ann"
    page = (handed_in / "grades" / "instructor.html").read_text("utf-8")
    assert names[0].as_posix() in page and page.count("<img") == sum(
        name.parts[0] != names[-1].parts[0] for name in names
    ) - 1  # fmt: skip


def test_parts_with_truths_of_their_own(call, handed_in):
    half = list(TRUTH.labels.items())[::2]
    (handed_in / "half.csv").write_text(table(half), "utf-8")
    done = call("grade", handed_in / "class" / "ann", "--truth", f"cnn={handed_in / 'half.csv'}", "--truth",
                handed_in / "truth.csv", "--out", handed_in / "grades")  # fmt: skip
    assert done.lines[1].split()[:3] == ["ann", "90", "90"]  # the comparison is left out
    assert done.lines[1].split()[-2:] == ["-", "1"]  # unknown images in cnn/


def test_one_part_alone(call, handed_in):
    rubric = handed_in / "rubric.toml"
    check = 'part = "a"\nname = "A"\nmetric = "accuracy"\nthreshold = 0.6\npoints = 3\n'
    rubric.write_text(f'title = "T"\n[[check]]\n{check}')
    done = call("grade", handed_in / "class/ann/bow", "--part", "a", "--truth", handed_in / "truth.csv",
                "--rubric", rubric, "--out", handed_in / "grades", "--fresh")  # fmt: skip
    assert done.lines[1].split() == ["bow", "3", "3", "3", "0"]


def test_one_part_of_the_default_rubric(call, handed_in):
    done = call("grade", handed_in / "class" / "ann" / "cnn", "--part", "cnn", "--truth",
                handed_in / "truth.csv", "--out", handed_in / "grades")  # fmt: skip
    assert done.lines[1].split() == ["cnn", "40", "40", "30", "10", "0"]


def test_an_upload_of_whatever_shape_is_graded_as_one(call, handed_in):
    (handed_in / "class" / "bob" / "tiny" / "pred.csv").rename(handed_in / "class" / "bob" / "pred.csv")
    (handed_in / "wrapped").mkdir()
    (handed_in / "class" / "ann").rename(handed_in / "wrapped" / "homework")
    (handed_in / "empty").mkdir()
    (handed_in / "empty" / "report.pdf").write_bytes(b"%PDF")
    for upload, score in ((handed_in / "class" / "bob", "80"), (handed_in / "wrapped", "100"),
                          (handed_in / "empty", "0")):  # fmt: skip
        out = handed_in / f"grades-{upload.name}"
        done = call("grade", upload, "--one", "--truth", handed_in / "truth.csv", "--out", out)
        assert done.lines[1].split()[:2] == [upload.name, score]
        assert (out / upload.name / "results.json").is_file()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("nobody", "--truth", "truth.csv"), "nobody: no such submission"),
        (("class", "--truth", "nothing.csv"), "no such truth"),
        (("class", "--truth", "art=truth.csv"), "the rubric has no part 'art'"),
        (("class", "--truth", "truth.csv", "--truth", "truth.csv"), "a second truth for the same parts"),
        (("class", "--truth", "truth.csv", "--part", "art"), "--part art: the rubric has tiny, bow, cnn"),
        (("class", "--truth", "truth.csv", "--rubric", "truth.csv"), "no valid TOML"),
        (("class/ann/bow", "--truth", "truth.csv"), "say which part they are with --part"),
        (("class", "--truth", "tiny=truth.csv", "--truth", "tiny=truth.csv"), "a second truth for 'tiny'"),
        (("class", "--truth", "truth.csv", "--time-limit", "0"), "1 to 86400 seconds"),
        (("class", "--truth", "truth.csv", "--time-limit", "inf"), "1 to 86400 seconds"),
        (("class", "--truth", "truth.csv", "--memory-limit", "1"), "256 to 1048576 MB"),
        (("class", "--truth", "truth.csv", "--out", "truth.csv"), "truth.csv"),
        (("class", "--truth", "truth.csv", "--out", "class"), "class: this is where grades go"),
    ],
)
def test_bad_calls_are_refused_in_one_line(refused, handed_in, monkeypatch, arguments, says):
    monkeypatch.chdir(handed_in)
    refused("grade", *arguments, says=says)


def test_without_a_model_file_no_torch_is_needed(handed_in):
    # in the children too
    (handed_in / "torch.py").write_text("raise ModuleNotFoundError('no torch', name='torch')")
    where = ["class", "--truth", "truth.csv", "--out", "grades"]
    command = [sys.executable, PROJECT / "scripts" / "grade.py", *where]
    done = subprocess.run(command, cwd=handed_in, capture_output=True, text=True,
                          env={**os.environ, "PYTHONPATH": str(handed_in)})  # fmt: skip
    assert done.returncode == 0 and "ann" in done.stdout, done.stderr
    assert "100" in done.stdout


def test_the_docs_hold_the_default_rubric_in_full():
    text = (PROJECT / "docs" / "grading.md").read_text("utf-8")
    rubric = (PROJECT / "reports" / "rubric.toml").read_text("utf-8")
    assert rubric in text and tomllib.loads(rubric)["check"]


@pytest.mark.browser
def test_both_pages_open_and_nothing_in_them_runs(call, handed_in, tmp_path):
    webdriver = importlib.import_module("selenium.webdriver")
    evil = "<img src=x onerror=document.title='run'>"
    good(handed_in / "class" / evil)
    row = ("</script><script>document.title='run'</script>", "x")
    put(handed_in / "class" / evil, table([*rows("tiny"), row]))
    out = handed_in / "grades"
    assert call("grade", handed_in / "class", "--truth", handed_in / "truth.csv", "--out", out).code == 0
    options = webdriver.ChromeOptions()
    for flag in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=400,800"):
        options.add_argument(flag)
    options.binary_location = shutil.which("chromium")
    browser = webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))
    try:
        for page in (out / "instructor.html", out / evil / "feedback.html"):
            browser.get(page.as_uri())
            assert browser.title != "run" and evil in browser.find_element("tag name", "body").text
            assert browser.get_log("browser") == []
            # reads on a phone: wide tables scroll within themselves
            root = "document.documentElement"
            assert browser.execute_script(f"return {root}.scrollWidth <= {root}.clientWidth")
        browser.get((out / "instructor.html").as_uri())
        browser.find_element("link text", "bob").click()
        assert browser.current_url.endswith("#s3")
        assert "Equal predictions" in browser.find_element("tag name", "main").text
    finally:
        browser.quit()
