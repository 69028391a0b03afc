"""What README shows runs as shown, and its tables are those of the results folder."""

import importlib.util
import os
import re
import shlex
import shutil
from pathlib import Path

import pytest

from reports import read_run

PROJECT = Path(__file__).resolve().parents[1]
README = (PROJECT / "README.md").read_text("utf-8")
COMMANDS = re.findall(r"^    python (scripts/\S+\.py.*?)(?:\s+#.*)?$", README, re.MULTILINE)


@pytest.fixture
def workplace(small_folder, tmp_path, monkeypatch):
    """A working directory with the folder `photos` that README speaks of."""
    small_folder.rename(tmp_path / "photos")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(command: str) -> int:
    """The exit code of a command line as README shows it."""
    script, *arguments = shlex.split(command)
    spec = importlib.util.spec_from_file_location(Path(script).stem, PROJECT / script)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main(arguments)


def test_readme_shows_the_commands_it_is_about():
    shown = {command.split()[0] for command in COMMANDS}
    assert {f"scripts/{name}.py" for name in ("run_bow", "predict", "reproduce", "get_data")} <= shown


def test_python_blocks_run_one_after_the_other(workplace, capsys):
    blocks = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 2
    scope: dict = {}
    for block in blocks:
        exec(compile(block, "README.md", "exec"), scope)
    chosen, svm = capsys.readouterr().out.splitlines()
    assert "knn__metric" in chosen
    assert 0.5 <= float(svm) <= 1


@pytest.mark.parametrize("command", [c for c in COMMANDS if "reproduce.py r1" in c])
def test_reproduce_commands_write_their_rows(command, workplace):
    assert run(f"{command} --data photos --lite --runs-dir runs") == 0
    experiment = command.split()[1]
    rows = (workplace / "runs" / "results" / f"{experiment}.csv").read_text("utf-8").splitlines()
    assert len(rows) > 1 and all(row.split(",")[0] in ("experiment", experiment) for row in rows)


def test_the_own_pictures_are_classified_and_the_run_predicts_one_more(workplace, capsys):
    (command,) = [c for c in COMMANDS if "--data photos" in c]
    assert run(command) == 0
    folder = Path(capsys.readouterr().out.splitlines()[-1])
    one = sorted(path for path in folder.iterdir() if path.is_dir())[0]
    assert read_run(one).result["n_test"] == 9
    picture = sorted(Path("photos/test").rglob("*.png"))[0]
    os.rename(picture, "holiday.jpg")
    (command,) = [c for c in COMMANDS if "predict.py" in c and "-bow" in c]
    assert run(re.sub(r"runs/\S+", str(one), command)) == 0
    assert capsys.readouterr().out.startswith("holiday.jpg")


def test_two_runs_are_compared(workplace, capsys):
    folders = []
    for script in ("run_tiny", "run_bow"):
        assert run(f"scripts/{script}.py --data photos") == 0
        folders.append(capsys.readouterr().out.splitlines()[-1])
    (command,) = [c for c in COMMANDS if "compare.py" in c]
    assert run(re.sub(r"runs/\S+ runs/\S+", " ".join(folders), command)) == 0
    assert "bow has" in capsys.readouterr().out and Path("comparison/comparison.html").is_file()


def test_submissions_are_graded(workplace, capsys):
    (command,) = [c for c in COMMANDS if "grade.py" in c]
    for part, script in (("tiny", "run_tiny"), ("bow", "run_bow")):
        assert run(f"scripts/{script}.py --data photos --runs-dir submissions/ann/{part}") == 0
    capsys.readouterr()
    assert run(command) == 0
    assert "ann" in capsys.readouterr().out and Path("grades/ann/feedback.html").is_file()


def test_networks_are_listed_described_and_drawn(workplace, capsys):
    listed, described = (c for c in COMMANDS if "--list" in c or "--describe" in c)
    assert run(listed) == 0
    assert "41 networks" in README and len(re.findall(r"^\S+ +.*\d", capsys.readouterr().out, re.M)) >= 41
    assert run(described) == 0
    assert "104.93" in capsys.readouterr().out
    assert Path("mynet.svg").read_text("utf-8").startswith("<svg")


def test_networks_train_predict_and_are_exported(workplace, capsys):
    trained = [c for c in COMMANDS if "train_cnn.py --model" in c]
    assert len(trained) == 2
    for command in trained:
        # README's sets are large: the same networks on the small folder, for a look
        command = re.sub(r"--dataset \S+", "--data photos --lite", command)
        assert run(f"{command} --set batch_size=8 --runs-dir runs") == 0
    folder = next(path for path in Path("runs").iterdir() if path.name.endswith("-fastnet"))
    picture = sorted(Path("photos/test").rglob("*.png"))[0]
    shutil.copy(picture, "holiday.jpg")
    for script in ("predict.py", "export.py"):
        (command,) = [c for c in COMMANDS if script in c and "-fastnet" in c]
        assert run(re.sub(r"runs/\S+", str(folder), command)) == 0
    (command,) = [c for c in COMMANDS if "--model fastnet holiday.jpg" in c]
    assert run(command) == 0
    assert "holiday.jpg" in capsys.readouterr().out and Path("fastnet.onnx").stat().st_size > 100_000


def test_predictions_are_scored(workplace, capsys):
    pictures = sorted(Path("photos/test").rglob("*.png"))
    rows = [f"{path.relative_to('photos/test').as_posix()},{path.parent.name}" for path in pictures]
    Path("pred.csv").write_text("\n".join(["filename,label", *rows]) + "\n", "utf-8")
    (command,) = [c for c in COMMANDS if "evaluate.py" in c]
    assert run(command) == 0
    assert "1.0000" in capsys.readouterr().out


def test_a_report_is_reproduced_for_a_look(workplace, capsys):
    (command,) = [c for c in COMMANDS if c.endswith("reproduce.py r4")]
    assert run(f"{command} --data photos --lite --runs-dir runs") == 0
    assert Path("runs/lite/reports/r4.md").is_file()


def test_every_script_is_shown_in_readme_or_contributing():
    others = ("CONTRIBUTING.md", "vocab/README.md")
    pages = README + "".join((PROJECT / page).read_text("utf-8") for page in others)
    assert [path.name for path in (PROJECT / "scripts").glob("*.py") if path.name not in pages] == []


def test_tables_are_those_of_the_results_folder():
    assert run("scripts/update_readme.py --check") == 0


def test_links_lead_to_files():
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", README)
    assert links and [link for link in links if not (PROJECT / link).exists()] == []
