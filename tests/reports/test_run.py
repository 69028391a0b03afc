"""Run folders: complete or absent, the same bytes for the same run, read back with checks."""

import csv
import dataclasses
import json
import os
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reports import run as module
from reports._run_files import read_csv
from reports.record import RunRecord
from reports.run import read_run, read_table_run, write_run, write_table_run
from scenes.files import read_npz, write_npz

NOW = datetime(2026, 1, 31, 23, 59, 59, tzinfo=UTC)
RECORD = RunRecord(
    name="bow",
    command=["scripts/run_bow.py"],
    classes=["cat", "dog"],
    filenames=["dog/1.png", "cat/1.png", "dog/2.png", "cat, the 2nd.png"],
    labels=["dog", "cat", "dog", "cat"],
    predicted=["dog", "cat", "cat", "cat"],
    scores=np.array([[0.0, 1.0], [1.0, 0.0], [0.6, 0.4], [0.7, 0.3]]),
    n_train=9,
    config={"k": 5},
    model_arrays={"features": np.eye(3, dtype=np.float32), "labels": np.array(["cat", "dog", "dog"])},
)
FILES = [
    "confusion.png",
    "confusion.svg",
    "model.npz",
    "predictions.csv",
    "report.html",
    "report.txt",
    "result.json",
    "scores.npz",
    "tables.md",
    "tables.tex",
]
IN_A_TABLE = [name for name in FILES if name not in ("report.html", "tables.md", "tables.tex")]


def names(folder):
    return sorted(path.name for path in Path(folder).iterdir())


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("runs"), RECORD, now=NOW)


@pytest.fixture
def folder(written, tmp_path):
    """A copy of a good run, to be damaged."""
    target = tmp_path / "run"
    target.mkdir()
    for path in written.iterdir():
        (target / path.name).write_bytes(path.read_bytes())
    return target


# Writing


def test_folder_is_named_by_utc_time_and_name_and_is_complete(written):
    assert written.name == "20260131T235959Z-bow"
    assert names(written) == FILES and names(written.parent) == [written.name]


def test_time_is_utc_whatever_the_zone(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_write_files", lambda folder, record, page: (folder / "x").touch())
    local = NOW.astimezone(timezone(timedelta(hours=9)))
    assert write_run(tmp_path, RECORD, now=local).name == "20260131T235959Z-bow"
    assert re.fullmatch(r"\d{8}T\d{6}Z-bow", write_run(tmp_path, RECORD).name)


def test_predictions_are_sorted_by_filename_with_plain_line_ends(written):
    assert (written / "predictions.csv").read_bytes() == (
        b"filename,label,predicted,score\n"
        b'"cat, the 2nd.png",cat,cat,0.7\n'
        b"cat/1.png,cat,cat,1.0\n"
        b"dog/1.png,dog,dog,1.0\n"
        b"dog/2.png,dog,cat,0.6\n"
    )


def test_scores_and_model_can_be_read_by_numpy(written):
    with np.load(written / "scores.npz") as scores:
        assert scores["filenames"].tolist() == sorted(RECORD.filenames)
        assert scores["classes"].tolist() == ["cat", "dog"]
        assert scores["scores"].dtype == np.float32
        np.testing.assert_array_equal(scores["scores"][0], np.float32([0.7, 0.3]))
    with np.load(written / "model.npz") as model:
        np.testing.assert_array_equal(model["features"], np.eye(3))


def test_result_knows_the_size_of_the_model(written):
    result = json.loads((written / "result.json").read_text())
    assert result["model"]["file_bytes"] == (written / "model.npz").stat().st_size


def test_without_arrays_there_is_no_model(tmp_path):
    run = write_run(tmp_path, dataclasses.replace(RECORD, model_arrays=None))
    assert names(run) == [name for name in FILES if name != "model.npz"]


def test_equal_runs_give_equal_bytes(written, tmp_path):
    order = [2, 0, 3, 1]  # the same images in another order
    shuffled = dataclasses.replace(
        RECORD,
        **{key: [getattr(RECORD, key)[i] for i in order] for key in ("filenames", "labels", "predicted")},
        scores=RECORD.scores[order],
    )
    again = write_run(tmp_path, shuffled)
    for name in FILES:
        assert (again / name).read_bytes() == (written / name).read_bytes(), name


def test_only_the_documented_places_vary(written, tmp_path):
    varied = dataclasses.replace(
        RECORD, command=["other"], timings={"total": 3.5}, environment={"date": "2027-01-01"}
    )
    other = write_run(tmp_path, varied)
    differing = [name for name in FILES if (other / name).read_bytes() != (written / name).read_bytes()]
    assert differing == ["report.html", "report.txt", "result.json"]
    results = [json.loads((run / "result.json").read_text()) for run in (written, other)]
    assert {key for key in results[0] if results[0][key] != results[1][key]} == {
        "command",
        "timings",
        "environment",
    }


def test_a_taken_name_gets_a_number(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_write_files", lambda folder, record, page: (folder / "x").touch())
    made = [write_run(tmp_path, RECORD, now=NOW).name for _ in range(3)]
    assert made == [f"20260131T235959Z-bow{end}" for end in ("", "-2", "-3")]


def test_a_name_taken_at_the_last_moment_gets_a_number(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_write_files", lambda folder, record, page: (folder / "x").touch())
    write_run(tmp_path, RECORD, now=NOW)
    monkeypatch.setattr(os.path, "lexists", lambda path: False)
    assert write_run(tmp_path, RECORD, now=NOW).name == "20260131T235959Z-bow-2"


def test_two_processes_never_share_a_folder(tmp_path):
    code = """
import sys
from datetime import UTC, datetime
from reports import run
run._write_files = lambda folder, record, page: (folder / sys.argv[2]).touch()
class Record:
    name = "bow"
sys.stdin.readline()
for _ in range(20):
    run.write_run(sys.argv[1], Record, now=datetime(2026, 1, 31, 23, 59, 59, tzinfo=UTC))
"""
    both = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path), mark], stdin=subprocess.PIPE)
        for mark in "ab"
    ]
    for process in both:
        process.stdin.write(b"\n")
        process.stdin.flush()
    assert [process.wait(60) for process in both] == [0, 0]
    for process in both:
        process.stdin.close()
    stem = "20260131T235959Z-bow"
    assert names(tmp_path) == sorted([stem] + [f"{stem}-{i}" for i in range(2, 41)])
    assert sorted(names(folder)[0] for folder in tmp_path.iterdir()) == ["a"] * 20 + ["b"] * 20
    assert all(len(names(folder)) == 1 for folder in tmp_path.iterdir())


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device"), MemoryError])
@pytest.mark.parametrize("step", ["confusion_figure", "text_report", "write_npz", "sync_folder", "json_text"])
def test_any_failure_leaves_nothing(tmp_path, monkeypatch, step, error):
    def fail(*args):
        raise error

    monkeypatch.setattr(module, step, fail)
    with pytest.raises(type(error) if isinstance(error, OSError) else error):
        write_run(tmp_path / "runs", RECORD)
    assert names(tmp_path) == []


def test_a_contradictory_record_leaves_nothing(tmp_path):
    with pytest.raises(ValueError, match="4 file names"):
        write_run(tmp_path, dataclasses.replace(RECORD, labels=["cat"]))
    with pytest.raises(ValueError, match="cannot be a folder"):
        write_run(tmp_path, dataclasses.replace(RECORD, name="a/b"))
    assert names(tmp_path) == []


@pytest.mark.skipif(os.name == "nt", reason="POSIX limits")
def test_a_full_disk_is_an_os_error_and_leaves_nothing(tmp_path):
    import resource

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    record = dataclasses.replace(RECORD, model_arrays={"features": np.zeros(1_000_000, np.uint8)})
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(OSError):
            write_run(tmp_path, record)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert names(tmp_path) == []


def test_a_place_that_is_no_folder_is_an_os_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError):
        write_run(tmp_path / "file", RECORD)


# Reading


def test_a_run_comes_back(written):
    run = read_run(written)
    assert run.folder == written and run.classes == ("cat", "dog")
    assert run.filenames == tuple(sorted(RECORD.filenames))
    assert run.labels == ("cat", "cat", "dog", "dog") and run.predicted == ("cat", "cat", "dog", "cat")
    assert run.scores.dtype == np.float32 and run.scores.shape == (4, 2)
    assert run.result["accuracy"] == 0.75 and run.result["config"] == {"k": 5}


def test_unknown_keys_and_missing_pictures_are_fine(folder):
    change(folder, lambda result: result.update(later=1))
    (folder / "confusion.png").unlink()
    (folder / "report.txt").unlink()
    assert read_run(str(folder)).result["later"] == 1


def change(folder, edit):
    path = folder / "result.json"
    result = json.loads(path.read_text())
    edit(result)
    path.write_text(json.dumps(result))


def refused(folder, *parts):
    with pytest.raises(ValueError) as error:
        read_run(folder)
    message = str(error.value)
    assert "\n" not in message
    for part in parts:
        assert part in message


@pytest.mark.parametrize("name", ["result.json", "predictions.csv", "scores.npz"])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    refused(folder, name, "is missing")


def test_a_folder_that_is_not_there(tmp_path):
    refused(tmp_path / "no", "result.json", "is missing")


@pytest.mark.parametrize("name", ["result.json", "predictions.csv", "scores.npz"])
@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"{", b'"', b"PK\x03\x04", b"[" * 100_000])
def test_a_damaged_file_is_named(folder, name, content):
    (folder / name).write_bytes(content)
    refused(folder, name)


@pytest.mark.parametrize(
    ("edit", "parts"),
    [
        (lambda r: r.update(schema=2), ["schema 2", "reads 1"]),
        (lambda r: r.pop("schema"), ["schema None"]),
        (lambda r: r.pop("confusion"), ["lacks the key 'confusion'"]),
        (lambda r: r.update(accuracy="0.75"), ["'accuracy' is str"]),
        (lambda r: r.update(n_test=True), ["'n_test' is bool"]),
        (lambda r: r.update(accuracy=0.76), ["'accuracy' is 0.76", "give 0.75"]),
        (lambda r: r.update(accuracy=float("nan")), ["NaN"]),
        (lambda r: r.update(confusion=[[2, 0], [0, 2]]), ["'confusion' is not that of predictions.csv"]),
        (lambda r: r.update(n_test=5), ["'n_test' is 5", "4 rows"]),
        (lambda r: r.update(classes=["dog", "cat"]), ["'classes'"]),
        (lambda r: r.update(classes=[1, 2]), ["'classes'"]),
        (lambda r: r.update(classes=["cat", "cow", "dog"]), ["scores.npz", "'classes'"]),
        (lambda r: r["model"].pop("macs"), ["'macs' of 'model' is no number"]),
        (lambda r: r["timings"].update(training="x"), ["'training' of 'timings' is no number"]),
        (lambda r: r["timings"].update(ms_per_image=-1), ["'ms_per_image' of 'timings'"]),
        (lambda r: r["config"].update(input_size=32), ["'input_size' of 'config' is not three"]),
        (lambda r: r["config"].update(recipe="x"), ["'recipe' of 'config'"]),
        (lambda r: r["model"].update(parameters=1.0), ["'parameters' of 'model'"]),
        (lambda r: r.update(plain_accuracy="x"), ["'plain_accuracy' is no number"]),
        (lambda r: r.update(training={"n_fit": "x"}), ["'n_fit' of 'training'"]),
    ],
)
def test_a_result_that_does_not_fit_is_refused(folder, edit, parts):
    change(folder, edit)
    refused(folder, *parts)


@pytest.mark.parametrize(
    ("old", "new", "parts"),
    [
        (b"filename,label", b"file,label", ["does not start with the line filename,label,predicted,score"]),
        (b"dog/1.png,dog,dog,1.0", b"dog/1.png,dog", ["row 4 has 2 cells"]),
        (b"dog/1.png", b"dog/3.png", ["scores.npz", "'filenames'"]),
        (b"dog/1.png,dog,dog", b"dog/1.png,cow,dog", ["label 'cow' is none of"]),
        (b"dog/1.png,dog,dog", b"dog/1.png,dog,cat", ["'accuracy' is 0.75"]),
        (b"dog/1.png,dog,dog,1.0", b"dog/1.png,dog,dog,0.5", ["'dog/1.png' is '0.5', scores.npz has 1"]),
        (b"dog/1.png,dog,dog,1.0", b"dog/1.png,dog,dog,x", ["score of 'dog/1.png' is 'x'"]),
    ],
)
def test_predictions_that_do_not_fit_are_refused(folder, old, new, parts):
    path = folder / "predictions.csv"
    path.write_bytes(path.read_bytes().replace(old, new))
    refused(folder, *parts)


def test_an_image_named_twice_is_refused(folder):
    path = folder / "predictions.csv"
    path.write_bytes(path.read_bytes().replace(b"dog/2.png", b"dog/1.png"))
    arrays = read_npz(folder / "scores.npz")
    arrays["filenames"][3] = "dog/1.png"
    write_npz(folder / "scores.npz", arrays)
    refused(folder, "predictions.csv", "twice")


def test_scores_that_are_no_numbers_are_refused(folder):
    arrays = read_npz(folder / "scores.npz")
    scores = arrays["scores"].copy()
    scores[0, 0] = np.nan
    write_npz(folder / "scores.npz", {**arrays, "scores": scores})
    refused(folder, "scores.npz", "not all numbers")


def test_scores_of_another_shape_are_refused(folder):
    arrays = read_npz(folder / "scores.npz")
    for scores in (np.zeros((4, 3), np.float32), np.zeros((4, 2))):
        write_npz(folder / "scores.npz", {**arrays, "scores": scores})
        refused(folder, "scores.npz", "float32", "(4, 2)")


NAMES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=8)


@given(st.sets(NAMES, min_size=1, max_size=5))
@settings(max_examples=60, deadline=None)
def test_any_file_name_survives(tmp_path_factory, filenames):
    """Commas, quotes, line ends of any kind, and bytes that are no UTF-8 (as surrogates)."""
    filenames = sorted(filenames | {"\udcff.png", "a\u2028b", 'a"b', "a\r\nb", "a\rb"})
    path = tmp_path_factory.mktemp("csv") / "predictions.csv"
    rows = [[name, "a", "a", "1.0"] for name in filenames]
    module._write_csv(path, ["filename", "label", "predicted", "score"], rows)
    assert read_csv(path, ["filename", "label", "predicted", "score"]) == rows


def test_odd_file_names_survive_a_whole_run(tmp_path):
    odd = ["\udcff.png", "a\u2028b", 'a"b', "a\rb"]
    run = read_run(write_run(tmp_path, dataclasses.replace(RECORD, filenames=odd)))
    assert run.filenames == tuple(sorted(odd))


# Several settings in one folder


ROWS = [
    {"run": "k1-cityblock", "k": 1, "metric": "cityblock", "accuracy": 0.75, "n_test": 4, "seconds": 0.5},
    {"run": "k5-cityblock", "k": 5, "metric": "cityblock", "accuracy": 0.75, "n_test": 4, "step": None},
]
RUNS = {"k5-cityblock": RECORD, "k1-cityblock": RECORD}


def test_several_settings_make_a_table_and_complete_runs(tmp_path):
    folder = write_table_run(tmp_path, "tiny", ROWS, RUNS, now=NOW)
    assert folder.name == "20260131T235959Z-tiny"
    assert names(folder) == ["k1-cityblock", "k5-cityblock", "table.csv"]
    assert (folder / "table.csv").read_bytes() == (
        b"run,step,n_words,k,metric,norm,seed,accuracy,n_test,descriptors_per_image,feature_seconds,seconds\n"
        b"k1-cityblock,,,1,cityblock,,,0.75,4,,,0.5\n"
        b"k5-cityblock,,,5,cityblock,,,0.75,4,,,\n"
    )
    assert names(folder / "k5-cityblock") == IN_A_TABLE
    asked = write_table_run(tmp_path, "tiny", ROWS, RUNS, page=True)
    assert names(asked / "k5-cityblock") == FILES
    rows, runs = read_table_run(folder)
    assert [row["run"] for row in rows] == list(runs) == ["k1-cityblock", "k5-cityblock"]
    assert rows[0]["seconds"] == "0.5" and runs["k1-cityblock"].result["accuracy"] == 0.75
    with pytest.raises(ValueError, match="several runs: give one of k1-cityblock, k5-cityblock in it$"):
        read_run(folder)


def test_finished_runs_are_gathered_in_a_table(tmp_path):
    made = {name: write_run(tmp_path / "parts", RECORD, folder_name=name, page=False) for name in RUNS}
    assert made["k1-cityblock"] == tmp_path / "parts" / "k1-cityblock"
    folder = write_table_run(tmp_path / "runs", "tiny", ROWS, made, now=NOW)
    direct = write_table_run(tmp_path / "direct", "tiny", ROWS, dict.fromkeys(RUNS, RECORD), now=NOW)
    for path in direct.rglob("*.*"):
        assert (folder / path.relative_to(direct)).read_bytes() == path.read_bytes(), path
    assert made["k5-cityblock"].is_dir()  # copied: a kill on the way loses nothing


@pytest.mark.parametrize("name", ["../up", "", "a/b"])
def test_a_folders_own_name_stays_below_the_runs(tmp_path, name):
    with pytest.raises(ValueError, match="cannot be a folder's"):
        write_run(tmp_path / "runs", RECORD, folder_name=name)
    assert list(tmp_path.iterdir()) == []


def test_one_bad_setting_leaves_nothing_of_any(tmp_path):
    bad = dataclasses.replace(RECORD, labels=["cat"])
    with pytest.raises(ValueError):
        write_table_run(tmp_path, "tiny", ROWS, {"k1-cityblock": RECORD, "k5-cityblock": bad})
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("rows", "runs", "message"),
    [
        (ROWS[:1], RUNS, "do not match"),
        ([*ROWS, ROWS[0]], RUNS, "do not match"),
        ([{"run": "k1", "speed": 3}], {"k1": RECORD}, "no column speed"),
        ([{"run": "../k1"}], {"../k1": RECORD}, "cannot be a folder"),
        ([{"run": "K1"}, {"run": "k1"}], {"K1": RECORD, "k1": RECORD}, "upper and lower case"),
        ([{"run": "table.csv"}], {"table.csv": RECORD}, "clearly different"),
    ],
)
def test_tables_that_do_not_fit_are_refused(tmp_path, rows, runs, message):
    with pytest.raises(ValueError, match=message):
        write_table_run(tmp_path, "tiny", rows, runs)
    assert names(tmp_path) == []


def test_a_table_cannot_lead_out_of_its_folder(tmp_path, written):
    with open(tmp_path / "table.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([module.TABLE_COLUMNS, ["../" + written.name] + [""] * 11])
    with pytest.raises(ValueError, match="table.csv"):
        read_table_run(tmp_path)
