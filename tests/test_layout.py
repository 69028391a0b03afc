"""How the project hangs together: which room may use which, what stands in the open, what is never called."""

import ast
import importlib
import importlib.util
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]

# Data flows one way: scenes, features, classifiers, reports; experiments put them together.
MAY_IMPORT = {
    "scenes": set(),
    "features": {"scenes"},
    "classifiers": set(),
    "deep": {"scenes"},
    "reports": {"scenes"},
    "experiments": {"scenes", "features", "classifiers", "deep", "reports"},
    "scripts": {"scenes", "features", "classifiers", "deep", "reports", "experiments"},
    "benchmarks": {"scenes", "features", "classifiers", "deep", "reports", "experiments"},
}
ROOMS = [name for name in MAY_IMPORT if (PROJECT / name / "__init__.py").is_file()]
SCRIPTS = sorted(path.stem for path in (PROJECT / "scripts").glob("*.py"))
NOT_OURS = {".venv", ".git", "build", "data", "runs"}

# Modules that can run what a file says, and calls that run text.
RUNS_ANYTHING = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "shelve", "marshal"}
RUNS_TEXT = {"eval", "exec", "compile"}


def sources() -> list[Path]:
    """Every Python file of the project."""
    found = (path.relative_to(PROJECT) for path in PROJECT.rglob("*.py"))
    return sorted(path for path in found if not NOT_OURS & set(path.parts))


def parsed(path: Path) -> ast.Module:
    return ast.parse((PROJECT / path).read_text("utf-8"))


def imported(tree: ast.AST) -> set[str]:
    """Full names of the modules that a file imports, wherever in it."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports name their room: no relative ones"
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def rooms_of(names: set[str]) -> set[str]:
    return {name.split(".")[0] for name in names} & set(MAY_IMPORT)


def broken_rules(path: Path, tree: ast.AST) -> set[str]:
    """Rooms that a file imports and may not."""
    room = path.parts[0]
    allowed = MAY_IMPORT.get(room, set())
    return rooms_of(imported(tree)) - allowed - {room}


@pytest.mark.parametrize("path", [p for p in sources() if p.parts[0] != "tests"], ids=str)
def test_a_file_imports_only_rooms_below_its_own(path):
    assert broken_rules(path, parsed(path)) == set()


@pytest.mark.parametrize(
    ("path", "text", "wrong"),
    [
        ("classifiers/x.py", "import features", {"features"}),
        ("classifiers/x.py", "from scenes.reading import read_grey", {"scenes"}),
        ("features/x.py", "def f():\n    from reports import read_run", {"reports"}),
        ("reports/x.py", "import experiments.data as d", {"experiments"}),
        ("experiments/x.py", "from scripts import run_bow", {"scripts"}),
        ("scripts/x.py", "import scripts.run_bow", set()),
        ("scenes/x.py", "import numpy, scenes.files", set()),
        ("setup.py", "import scenes", {"scenes"}),
    ],
)
def test_the_rule_sees_every_kind_of_import(path, text, wrong):
    assert broken_rules(Path(path), ast.parse(text)) == wrong


def test_nobody_but_the_tests_imports_scripts():
    users = {
        str(path)
        for path in sources()
        if path.parts[0] != "tests" and "scripts" in rooms_of(imported(parsed(path)))
    }
    assert users == set()


def test_every_room_is_installed_and_scripts_and_tests_are_not():
    text = (PROJECT / "setup.cfg").read_text("utf-8")
    listed = re.search(r"^packages =\n((?: {4}\S+\n)+)", text, re.MULTILINE)[1].split()
    nested = [".".join(path.parent.relative_to(PROJECT).parts) for room in ROOMS
              for path in (PROJECT / room).glob("*/__init__.py")]  # fmt: skip
    assert sorted(listed) == sorted(ROOMS + nested)


def test_tests_are_no_packages():
    assert list((PROJECT / "tests").rglob("__init__.py")) == []


# ----------------------------------------------------------------- what is trusted


def dangerous(tree: ast.AST) -> set[str]:
    """What in a file could run what a data file says."""
    found = {name for name in imported(tree) if name.split(".")[0] in RUNS_ANYTHING}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Name) and node.func.id in RUNS_TEXT:
                found.add(node.func.id)
            for keyword in node.keywords:
                forbids = isinstance(keyword.value, ast.Constant) and keyword.value.value is False
                if keyword.arg == "allow_pickle" and not forbids:
                    found.add("allow_pickle")
            called = ast.unparse(node.func)
            if (
                called in ("joblib.load", "joblib.dump")
                or called.endswith("np.load")
                or called == "numpy.load"
            ):
                found.add(called)
    return found


@pytest.mark.parametrize("path", [p for p in sources() if p.parts[0] != "tests"], ids=str)
def test_no_file_runs_what_data_say(path):
    assert dangerous(parsed(path)) == set()


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("import pickle", {"pickle"}),
        ("from pickle import loads", {"pickle", "pickle.loads"}),
        ("eval('1')", {"eval"}),
        ("def f(x):\n    exec(x)", {"exec"}),
        ("np.lib.format.read_array(f, allow_pickle=True)", {"allow_pickle"}),
        ("np.lib.format.read_array(f, allow_pickle=flag)", {"allow_pickle"}),
        ("np.load(path)", {"np.load"}),
        ("np.lib.format.read_array(f, allow_pickle=False)", set()),
        ("model.eval()", set()),
        ("re.compile('x')", set()),
    ],
)
def test_the_watch_sees_what_it_should(text, wrong):
    assert dangerous(ast.parse(text)) == wrong


# --------------------------------------------------------- what stands in the open


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_says_what_it_is_and_its_public_names_exist(room):
    module = importlib.import_module(room)
    assert module.__doc__
    names = getattr(module, "__all__", [])
    assert len(names) == len(set(names))
    for name in names:
        assert hasattr(module, name), name


@pytest.mark.parametrize("room", ROOMS)
def test_public_functions_and_classes_have_docstrings_and_so_have_their_methods(room):
    module = importlib.import_module(room)
    missing = []
    for name in getattr(module, "__all__", []):
        thing = getattr(module, name)
        if not (inspect.isclass(thing) or inspect.isfunction(thing)):
            continue
        if not inspect.getdoc(thing):
            missing.append(name)
        if inspect.isclass(thing):
            own = {key: value for key, value in vars(thing).items() if not key.startswith("_")}
            for key, value in own.items():
                function = value.__func__ if isinstance(value, classmethod | staticmethod) else value
                if inspect.isfunction(function) and not inspect.getdoc(function):
                    missing.append(f"{name}.{key}")
    assert missing == []


@pytest.mark.parametrize("path", [p for p in sources() if p.parts[0] in (*ROOMS, "scripts")], ids=str)
def test_every_file_begins_with_what_it_is(path):
    assert ast.get_docstring(parsed(path))


# --------------------------------------------------------------------- the scripts


def load_script(name: str):
    spec = importlib.util.spec_from_file_location(name, PROJECT / "scripts" / f"{name}.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    return script


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_has_a_main_and_shows_its_defaults(name, capsys):
    script = load_script(name)
    with pytest.raises(SystemExit) as stop:
        script.main(["--help"])
    out, err = capsys.readouterr()
    assert (stop.value.code, err) == (0, "")
    text = " ".join(out.split())
    assert (
        text.startswith(f"usage: {Path(sys.argv[0]).name}")
        and script.__doc__.split(".")[0].split("\n")[0] in text
    )
    # no default is shown twice, and none as Python's idea of nothing
    assert "(default: None)" not in text and "(default: False)" not in text and ") (default:" not in text


@pytest.mark.parametrize("name", [name for name in SCRIPTS if name.startswith("run_")])
def test_a_run_scripts_defaults_are_the_functions_own(name):
    from classifiers import KNNClassifier
    from features import BagOfWords, TinyImage

    parser = load_script(name)._parser()
    own = BagOfWords() if name == "run_bow" else TinyImage()
    names = {"n_words": "vocab_size", "random_state": "seed", "n_jobs": "jobs", "vocabulary": "vocab"}
    names |= {"n_neighbors": "k"}
    shown = 0
    for parameter, default in {**KNNClassifier().get_params(), **own.get_params()}.items():
        flag = names.get(parameter, parameter)
        if flag in vars(parser.parse_args([])):
            shown += 1
            assert parser.get_default(flag) in (default, [default]), flag
    assert shown >= 10


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_is_thin(name):
    lines = (PROJECT / "scripts" / f"{name}.py").read_text("utf-8").splitlines()
    assert len(lines) <= 120


def test_nothing_that_classical_commands_need_imports_torch_or_pyplot(tmp_path):
    # A torch that tells on whoever imports it, whether a real one is installed or not.
    for name in ("torch", "torchvision"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('a classical command imports ' + __name__)")
    classical = [name for name in ROOMS if name != "deep"]
    names = [
        name for name in SCRIPTS if "deep" not in rooms_of(imported(parsed(Path("scripts", f"{name}.py"))))
    ]
    assert "run_bow" in names
    code = (
        "import importlib, runpy, sys\n"
        f"sys.path.insert(0, {str(tmp_path)!r})\n"
        f"for room in {classical!r}: importlib.import_module(room)\n"
        f"for name in {names!r}: runpy.run_path({str(PROJECT / 'scripts')!r} + '/' + name + '.py')\n"
        "print([name for name in ('torch', 'torchvision', 'matplotlib.pyplot') if name in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "[]\n", "")


@pytest.mark.parametrize(
    ("script", "argument"), [("train_cnn", "--list"), ("reproduce", "r3"), ("reproduce", "compare")]
)
def test_training_sets_the_allocator_before_torch_is_imported(script, argument):
    code = (
        "import runpy, sys\n"
        "from experiments import memory\n"
        "def check():\n"
        "    print('torch' in sys.modules)\n"
        "    raise KeyboardInterrupt\n"
        "memory.keep_freed_memory = check\n"
        f"names = runpy.run_path({str(PROJECT / 'scripts' / f'{script}.py')!r})\n"
        f"names['main']([{argument!r}])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("False\n", "interrupted\n")


def test_importing_moves_no_random_state_and_writes_nothing(tmp_path):
    code = (
        "import importlib, random, sys\n"
        "import numpy as np\n"
        "before = np.random.get_state()[1].tolist(), random.getstate()\n"
        f"for room in {ROOMS!r}: importlib.import_module(room)\n"
        "print(before == (np.random.get_state()[1].tolist(), random.getstate()))\n"
    )
    environment = {"XDG_CACHE_HOME": str(tmp_path / "cache"), "MPLCONFIGDIR": str(tmp_path / "mpl")}
    work = tmp_path / "work"
    work.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=work, env=environment, check=False
    )
    assert (done.returncode, done.stdout) == (0, "True\n"), done.stderr
    assert list(work.iterdir()) == [] and not (tmp_path / "cache" / "scenebench").exists()
