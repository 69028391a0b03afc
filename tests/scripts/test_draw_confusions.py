"""Two runs' matrices side by side."""

import importlib.util
from pathlib import Path

from PIL import Image

PROJECT = Path(__file__).resolve().parents[2]


def script(name):
    spec = importlib.util.spec_from_file_location(name, PROJECT / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run_folder(folder, runs, capsys, *more):
    assert script("run_tiny").main(["--data", str(folder), "--runs-dir", str(runs), *more]) == 0
    return capsys.readouterr().out.splitlines()[-1]


def test_two_runs_become_one_picture(small_folder, tmp_path, capsys):
    runs = [run_folder(small_folder, tmp_path / "runs", capsys, "--k", k) for k in ("1", "3")]
    out = tmp_path / "made" / "pair"
    assert script("draw_confusions").main([*runs, "--titles", "one", "three", "--out", str(out)]) == 0
    assert capsys.readouterr().out.split() == [f"{out}.png", f"{out}.svg"]
    with Image.open(f"{out}.png") as picture:
        assert picture.width > 1.5 * picture.height


def test_runs_on_other_classes_are_refused(small_folder, tmp_path, capsys):
    first = run_folder(small_folder, tmp_path / "runs", capsys)
    for part in ("train", "test"):
        (small_folder / part / "bars").rename(small_folder / part / "beams")
    second = run_folder(small_folder, tmp_path / "runs", capsys)
    assert script("draw_confusions").main([first, second, "--out", str(tmp_path / "pair")]) == 2
    assert "different classes" in capsys.readouterr().err
    assert not (tmp_path / "pair.png").exists()
