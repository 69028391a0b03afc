"""The documented way to a vocabulary file, and that runs find and reuse it by its identity."""

import importlib.util
from pathlib import Path

import pytest

from experiments import store
from features import Vocabulary

PROJECT = Path(__file__).resolve().parents[2]


def script(name):
    spec = importlib.util.spec_from_file_location(name, PROJECT / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def build(folder, out, *more):
    arguments = ["--data", str(folder), "--vocab-size", "12", "--step", "2", "--out", str(out), *more]
    return script("build_vocabulary").main(arguments)


def test_same_bytes_twice_and_on_any_number_of_threads(small_folder, tmp_path, capsys):
    assert build(small_folder, tmp_path / "a", "--jobs", "1") == 0
    assert build(small_folder, tmp_path / "b", "--jobs", "2") == 0
    (one,), (two,) = ((tmp_path / name).glob("*.npz") for name in "ab")
    assert one.name == two.name and one.name.startswith("small-step2-bin3-w12-seed0-")
    assert one.read_bytes() == two.read_bytes()
    assert capsys.readouterr().out.splitlines()[-1].endswith(two.name)


def test_a_run_finds_a_shipped_vocabulary_by_what_it_is_made_of(small_folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(store, "PROJECT", tmp_path)
    assert build(small_folder, tmp_path / "vocab") == 0
    arguments = ["--data", str(small_folder), "--vocab-size", "12", "--runs-dir", str(tmp_path / "runs")]
    for step, reused in (("2", True), ("3", False)):
        assert script("run_bow").main([*arguments, "--step", step]) == 0
        assert ("vocabulary: reusing" in capsys.readouterr().out) is reused


def test_too_many_words_are_one_line_and_no_file(small_folder, tmp_path, capsys):
    assert build(small_folder, tmp_path / "out", "--vocab-size", "5000") == 2
    assert "ask for fewer words" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.data
def test_the_shipped_vocabulary_is_that_of_the_real_training_images(scene15):
    (path,) = (PROJECT / "vocab").glob("scene15-step1-bin3-w400-seed0-*.npz")
    vocabulary = Vocabulary.load(path)
    assert vocabulary.words.shape == (400, 128)
    from experiments.data import load_data
    from scenes.dataset import fingerprint

    dataset, _ = load_data(dataset="scene15")
    hashes = dataset.scans["train"].hashes
    assert vocabulary.identity["fingerprint"] == fingerprint(hashes, [""] * len(hashes))


@pytest.mark.slow
@pytest.mark.data
def test_the_documented_command_makes_the_shipped_bytes(scene15, tmp_path):
    assert script("build_vocabulary").main(["--dataset", "scene15", "--out", str(tmp_path)]) == 0
    (made,) = tmp_path.glob("*.npz")
    assert made.read_bytes() == (PROJECT / "vocab" / made.name).read_bytes()
