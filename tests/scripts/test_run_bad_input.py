"""What is wrong with input, said in one line: exit code 2, nothing written; and what stops a run half-way."""

import os
import pickle
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
BOTH = pytest.mark.parametrize("script", ["run_bow", "run_tiny"])


@pytest.fixture
def data(gratings, tmp_path) -> Path:
    """A copy of the gratings, to be damaged."""
    return shutil.copytree(gratings, tmp_path / "data")


@pytest.fixture
def runs(tmp_path) -> Path:
    """The folder for runs, not there yet."""
    return tmp_path / "runs"


# ---------------------------------------------------------------------- the folder


@BOTH
def test_a_missing_folder_is_refused(refused, script, tmp_path, runs):
    refused(script, "--data", tmp_path / "nowhere", "--runs-dir", runs, says=("nowhere", "no such folder"))


@BOTH
def test_a_file_in_place_of_the_folder_is_refused(refused, script, data, runs):
    file = data / "test" / "fine" / "image_0.png"
    refused(script, "--data", file, "--runs-dir", runs, says=("image_0.png", "no such folder"))


@BOTH
def test_a_folder_without_images_is_refused(refused, script, tmp_path, runs):
    (tmp_path / "empty").mkdir()
    refused(script, "--data", tmp_path / "empty", "--runs-dir", runs, says=("empty", "no images"))


@BOTH
def test_a_folder_without_a_test_part_is_refused(refused, script, data, runs):
    shutil.rmtree(data / "test")
    refused(script, "--data", data, "--runs-dir", runs, says=(str(data / "test"), "no such folder"))


@BOTH
@pytest.mark.parametrize("layout", ["train and test", "one folder"])
def test_a_single_class_is_refused(refused, script, data, runs, layout):
    for part in ("train", "test"):
        for label in ("fine", "coarse"):
            shutil.rmtree(data / part / label)
    root = data if layout == "train and test" else data / "train"
    refused(script, "--data", root, "--runs-dir", runs, says="only one class (medium)")


@BOTH
@pytest.mark.parametrize("part", ["train", "test"])
def test_an_empty_class_is_refused(refused, script, data, runs, part):
    (data / part / "void").mkdir()
    refused(
        script, "--data", data, "--runs-dir", runs, says=(str(data / part / "void"), "class without images")
    )


@BOTH
def test_a_test_class_that_was_not_trained_is_refused(refused, script, data, runs):
    shutil.copytree(data / "test" / "fine", data / "test" / "novel")
    refused(script, "--data", data, "--runs-dir", runs, says="test class novel is unknown in training")


@BOTH
@pytest.mark.parametrize("share", ["0", "1", "1.5", "-0.2", "nan"])
def test_a_share_that_leaves_a_part_empty_is_refused(refused, script, data, runs, share):
    arguments = ("--data", data / "train", "--runs-dir", runs, f"--split={share}")
    refused(script, *arguments, says=("--split", "between 0 and 1"))


@BOTH
def test_splitting_what_is_split_already_is_refused(refused, script, data, runs):
    refused(script, "--data", data, "--runs-dir", runs, "--split", 0.5, says=("train/ and test/", "--split"))


@BOTH
def test_a_class_of_copies_of_one_image_cannot_be_split(refused, script, data, runs):
    for i in range(1, 6):
        shutil.copy(data / "train" / "fine" / "image_0.png", data / "train" / "fine" / f"image_{i}.png")
    refused(script, "--data", data / "train", "--runs-dir", runs, says=("class fine", "too few different"))


# ---------------------------------------------------------------------- the images


def _truncated(path: Path) -> None:
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (60, 60)).astype(np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:1000])


DAMAGE = {
    "truncated": (_truncated, "damaged"),
    "empty": (lambda path: path.write_bytes(b""), "empty file"),
    "text": (lambda path: path.write_text("Dear reader, this is no picture.\n"), "not a JPEG"),
}


@BOTH
@pytest.mark.parametrize("part", ["train", "test"])
@pytest.mark.parametrize("kind", DAMAGE)
def test_an_unreadable_image_is_named(refused, script, data, runs, part, kind):
    damage, says = DAMAGE[kind]
    path = data / part / "fine" / "broken.jpg"
    damage(path)
    refused(script, "--data", data, "--runs-dir", runs, says=(str(path), says, "--skip-unreadable"))


@BOTH
def test_a_damaged_image_before_many_good_ones_takes_one_line_on_stderr(script, data, runs):
    source = data / "train" / "fine" / "image_0.png"
    for i in range(40):
        shutil.copy(source, source.with_name(f"more_{i}.png"))
    _truncated(data / "train" / "coarse" / "a_first.png")
    command = [sys.executable, str(SCRIPTS / f"{script}.py"), "--data", str(data), "--runs-dir", str(runs)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
    assert "a_first.png" in done.stderr and not runs.exists()


@pytest.mark.parametrize(
    ("script", "more"), [("run_tiny", ()), ("run_bow", ("--vocab-size", 8, "--step", 4))]
)
def test_unreadable_images_can_be_skipped_and_are_listed(call, script, more, data, runs):
    for kind, part in (("truncated", "train"), ("empty", "test"), ("text", "train")):
        DAMAGE[kind][0](data / part / "fine" / f"{kind}.jpg")
    called = call(script, "--data", data, "--runs-dir", runs, "--skip-unreadable", *more)
    assert called.result["skipped"] == [
        "train/fine/text.jpg",
        "train/fine/truncated.jpg",
        "test/fine/empty.jpg",
    ]
    assert (called.result["n_train"], called.result["n_test"]) == (18, 15)
    assert next(row for row in called.result["diagnoses"] if row["code"] == "SB007")["state"] == "issue"
    assert "fine/empty.jpg" not in (called.folder / "predictions.csv").read_text("utf-8")
    for kind in DAMAGE:
        assert f"fine/{kind}.jpg" in called.out  # the run says at its end what it left out


@BOTH
def test_a_class_whose_images_are_all_unreadable_is_refused_even_then(refused, script, data, runs):
    for path in (data / "train" / "fine").iterdir():
        path.write_bytes(b"")
    refused(
        script,
        "--data",
        data,
        "--runs-dir",
        runs,
        "--skip-unreadable",
        says="class fine has no readable image",
    )


# -------------------------------------------------------------------- the settings


@BOTH
@pytest.mark.parametrize("k", ["0", "-1", "19", "1000000"])
def test_an_impossible_k_is_refused_before_any_work(refused, script, data, runs, k):
    says = (f"--k is {k}", "give 1 to 18, the number of training images")
    refused(script, "--data", data, "--runs-dir", runs, "--k", 1, k, says=says)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("--step 0", "step is 0"),
        ("--step -1", "step is -1"),
        ("--step 1,0", "--step is 1,0: give"),
        ("--vocab-step 0", "--vocab-step is 0: give"),
        ("--bin-size 0", "--bin-size is 0: give"),
        ("--bin-size -2", "--bin-size is -2: give"),
        ("--step 1,2,3", "--step is 1,2,3: give"),
        ("--step 1.5", "--step is 1.5: give"),
        ("--step many", "--step is many: give a whole number of at least 1"),
        ("--vocab-size 0", "--vocab-size is 0: give 1 or more"),
        ("--vocab-size -4", "--vocab-size is -4: give"),
        ("--vocab-size 100000", "100000 words need at least as many descriptors"),
        ("--seed -1", "--seed is -1: give a whole number of at least 0"),
        ("--resize 0", "--resize is 0: give 1 or more"),
        ("--jobs 0", "--jobs is 0: give 1 or more"),
        ("--jobs -2", "--jobs is -2: give 1 or more"),
        ("--max-side -5", "--max-side is -5: give a whole number of at least 0"),
        ("--metric manhattan", "'manhattan'"),
        ("--metric minkowski --p 0", "--p is 0: give a number above 0"),
        ("--metric minkowski --p nan", "--p is nan: give a number above 0"),
        ("--p inf", "--p is inf: give a number above 0"),
        ("--tie last", "'last'"),
        ("--norm l3", "'l3'"),
        ("--window round", "'round'"),
        ("--dtype int8", "'int8'"),
        ("--backend opencv", "Gaussian window only: add --window gaussian"),
        ("--backend opencv --window gaussian --bin-size 3,4", "square bins only"),
        ("--device nonsense", "device 'nonsense' is unknown: give cpu, cuda or cuda:N"),
        ("--backend opencv --device cuda", "back end opencv computes on the processor: take torch"),
        ("--k", "--k"),
        ("--neighbours 3", "unrecognized arguments: --neighbours 3"),
        ("--met chi2", "unrecognized arguments: --met chi2"),
        ("stray", "unrecognized arguments: stray"),
    ],
)
def test_a_bad_setting_of_run_bow_is_refused(refused, data, runs, arguments, says):
    quick = ("--vocab-size", 8, "--step", 4, "--jobs", 1)
    refused("run_bow", "--data", data, "--runs-dir", runs, *quick, *arguments.split(), says=says)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("--size 0", "size is 0"),
        ("--size 4,-4", "--size is 4,-4: give"),
        ("--size large", "--size is large: give"),
        ("--resample cubic", "'cubic'"),
        ("--norm hellinger", "'hellinger'"),
        ("--metric chi2 --zero-mean", "chi2 takes non-negative values only"),
        ("--resize -1", "resize is -1"),
        ("--step 3", "unrecognized arguments: --step 3"),
        ("--tune --k 3", "--tune chooses"),
        ("--tune --size 8 16", "--tune chooses"),
        ("--tune --zero-mean", "--tune chooses"),
    ],
)
def test_a_bad_setting_of_run_tiny_is_refused(refused, data, runs, arguments, says):
    refused("run_tiny", "--data", data, "--runs-dir", runs, "--jobs", 1, *arguments.split(), says=says)


@BOTH
def test_tuning_or_sampling_from_copies_of_one_image_is_refused_in_plain_words(refused, script, data, runs):
    first = data / "train" / "fine" / "image_0.png"
    for path in data.glob("train/*/*.png"):
        if path != first:
            shutil.copy(first, path)
    arguments = ("--tune",) if script == "run_tiny" else ("--vocab-size", 101)
    says = "different training images" if script == "run_tiny" else "the sample has 100"
    refused(script, "--data", data, "--runs-dir", runs, *arguments, says=says)


# ------------------------------------------------------------------ the vocabulary


VOCABULARIES = {
    "missing.npz": (lambda path: None, "missing.npz: No such file"),
    "folder.npz": (
        lambda path: path.mkdir(),
        "folder.npz: Is a directory: a folder stands where a file is needed",
    ),
    "empty.npz": (lambda path: path.write_bytes(b""), "empty.npz: not an .npz file"),
    "text.npy": (lambda path: path.write_text("words"), "text.npy: not an .npy file"),
    "damaged.npz": (
        lambda path: path.write_bytes(b"PK\x03\x04" + bytes(100)),
        "damaged.npz: the file is damaged",
    ),
    "pickle.pkl": (lambda path: path.write_bytes(pickle.dumps(np.eye(128))), "allow_pickle=True"),
    "inside.npy": (lambda path: np.save(path, np.array([{}], object), allow_pickle=True), "pickled objects"),
    "short.npy": (lambda path: np.save(path, np.zeros((8, 64))), "64-d words, SIFT descriptors have 128"),
    "nan.npy": (lambda path: np.save(path, np.full((4, 128), np.nan)), "finite numbers"),
    "line.npy": (lambda path: np.save(path, np.zeros(128)), "shape (K, 128)"),
    "several.npz": (lambda path: np.savez(path, a=np.eye(128), b=np.eye(128)), "an array `words`"),
}


@pytest.mark.parametrize("name", VOCABULARIES)
def test_a_file_that_holds_no_vocabulary_is_refused(refused, data, runs, tmp_path, name):
    make, says = VOCABULARIES[name]
    make(tmp_path / name)
    refused("run_bow", "--data", data, "--runs-dir", runs, "--vocab", tmp_path / name, says=says)


# ---------------------------------------------------------------------- known sets


@BOTH
def test_data_and_dataset_exclude_each_other(refused, script, data, runs):
    refused(script, "--data", data, "--dataset", "scene15", "--runs-dir", runs, says=("--data", "--dataset"))


@BOTH
def test_an_unknown_set_is_refused_with_the_known_ones(refused, script, runs):
    refused(script, "--dataset", "scene16", "--runs-dir", runs, says=("'scene16'", "scene15", "synthetic"))


@BOTH
@pytest.mark.parametrize("asked", [(), ("--dataset", "scene15")])
def test_a_data_variable_without_the_set_is_refused(refused, script, asked, runs, tmp_path, monkeypatch):
    monkeypatch.setenv("SCENEBENCH_DATA", str(tmp_path))
    refused(script, *asked, "--runs-dir", runs, says=(str(tmp_path / "scene15"), "SCENEBENCH_DATA is set"))


@BOTH
def test_scene15_that_is_nowhere_is_refused_with_how_to_get_it(refused, script, runs, tmp_path, monkeypatch):
    monkeypatch.setattr("experiments.data.PROJECT", tmp_path)
    refused(script, "--dataset", "scene15", "--runs-dir", runs, says="python scripts/get_data.py scene15")


# ------------------------------------------------------------------- where runs go


@BOTH
@pytest.mark.parametrize("below", ["", "deep/runs"])
def test_a_file_in_place_of_the_runs_folder_is_refused_before_any_work(
    refused, script, data, tmp_path, below
):
    (tmp_path / "file").write_text("mine")
    says = (str(tmp_path / "file"), "a file stands where a folder is needed")
    refused(script, "--data", data, "--runs-dir", tmp_path / "file" / below, "--k", 1, says=says)
    assert (tmp_path / "file").read_text() == "mine"


@BOTH
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_must_not_be_written_is_refused_before_any_work(refused, script, data, tmp_path):
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    says = (str(locked), "Permission denied", "choose a folder you may write to")
    refused(script, "--data", data, "--runs-dir", locked / "runs", says=says)


@pytest.mark.parametrize("existing", [False, True])
@pytest.mark.parametrize(("script", "several"), [("run_tiny", False), ("run_tiny", True), ("run_bow", False)])
def test_a_disk_without_room_leaves_no_half_made_run(call, refused, data, runs, script, several, existing):
    arguments = [script, "--data", data, "--runs-dir", runs / "deep", "--jobs", 1]
    arguments += ["--k", 1, 2] if several else []
    arguments += ["--vocab-size", 20, "--step", 4] if script == "run_bow" else []
    if existing:
        call(*arguments)
    # No file may grow beyond 2 kB: like a full disk, the system refuses to write on.
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))
    try:
        refused(*arguments, says=(str(runs / "deep"), "File too large"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert call(*arguments).code == 0


# ---------------------------------------------------------------- the surroundings


@pytest.mark.parametrize("script", ["run_bow", "run_tiny", "predict"])
def test_without_the_package_a_script_says_what_to_run(script):
    # -S leaves the installed packages out, -I the environment's and the script's folder
    command = [sys.executable, "-I", "-S", str(SCRIPTS / f"{script}.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
    assert f"run `make install` in {SCRIPTS.parent}" in done.stderr


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_an_interrupted_run_ends_with_130_and_one_line_and_leaves_nothing(data, runs):
    seeds = map(str, range(200))  # minutes of work
    command = [
        sys.executable,
        "-u",
        str(SCRIPTS / "run_bow.py"),
        "--data",
        str(data),
        "--runs-dir",
        str(runs),
    ]
    process = subprocess.Popen(
        [*command, "--vocab-size", "8", "--seed", *seeds],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # a shell that runs the tests in the background lets its children ignore the signal
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        lines = [process.stdout.readline() for _ in range(3)]  # the data and two vocabularies: well under way
        process.send_signal(signal.SIGINT)
        sent = time.monotonic()
        _, err = process.communicate(timeout=30)
    finally:
        process.kill()
    assert lines[0].startswith("data: ") and lines[2].startswith("vocabulary: ")
    assert (process.returncode, err) == (130, "interrupted\n")
    assert time.monotonic() - sent < 10
    assert not runs.exists()
