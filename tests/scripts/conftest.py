"""What the tests of the commands share: a way to call them, and pictures that are hard to tell apart."""

import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"

VARYING_KEYS = ('"command":', '"timings":', '"environment":')
PAGE_START, PAGE_END = "<!-- environment and timings -->", "<!-- end -->"
BLOCK_START, BLOCK_END = "--- environment and timings ---", "--- end ---"


@dataclass(frozen=True)
class Called:
    """What a command gave back: exit code, standard output, standard error."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()

    @property
    def folder(self) -> Path:
        """The folder that the last line names."""
        assert self.code == 0, self.err
        return Path(self.lines[-1])

    @property
    def result(self) -> dict:
        return json.loads((self.folder / "result.json").read_text("utf-8"))


def load_script(name: str):
    """A script as a module, from its file: scripts are not installed."""
    spec = importlib.util.spec_from_file_location(name, SCRIPTS / f"{name}.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    return script


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path_factory) -> Path:
    """An empty cache folder for each test: whether something is reused is what many of them are about."""
    folder = tmp_path_factory.mktemp("own-cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    return folder


@pytest.fixture
def pictures():
    """For tests that want confusion matrices drawn: a quarter of a second a run."""


@pytest.fixture(autouse=True)
def _sketches(request, monkeypatch):
    """Figures as text, unless the test asks for `pictures`."""

    def sketch(confusion, classes, accuracy, path, title) -> None:
        for suffix in (".png", ".svg"):
            path.with_suffix(suffix).write_text(repr((confusion.tolist(), classes, accuracy, title)))

    if "pictures" not in request.fixturenames:
        monkeypatch.setattr("reports.run.confusion_figure", sketch)


@pytest.fixture
def call(capsys):
    """call("run_bow", "--k", 3): the script's main in this process, and all it printed."""

    def call(script: str, *arguments) -> Called:
        main = load_script(script).main
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        return Called(code, *capsys.readouterr())

    return call


@pytest.fixture
def refused(call, tmp_path):
    """refused("run_bow", ..., says="..."): exit code 2, one line that says so, and nothing written."""

    def refused(script: str, *arguments, says: str | tuple[str, ...] = ()) -> None:
        before = tree(tmp_path)
        called = call(script, *arguments)
        assert called.code == 2
        assert called.err.startswith("error: ") and called.err.endswith("\n") and called.err.count("\n") == 1
        for text in (says,) if isinstance(says, str) else says:
            assert text in called.err
        assert tree(tmp_path) == before

    return refused


def tree(folder: Path) -> list[str]:
    """Every file and folder below a folder, hidden ones too."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.fixture
def steady():
    """steady(run folder): by path, what equal inputs must give again: every byte but the varying parts."""
    return _steady


def _steady(folder: Path) -> dict[str, bytes]:
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            name, data = path.relative_to(folder).as_posix(), path.read_bytes()
            if path.name == "result.json":
                lines = data.decode().splitlines()
                data = "\n".join(
                    row for row in lines if not row.lstrip(" {").startswith(VARYING_KEYS)
                ).encode()
            elif path.name == "report.txt":
                text = data.decode()
                data = (text[: text.index(BLOCK_START)] + text[text.index(BLOCK_END) :]).encode()
            elif path.name == "report.html":
                text = data.decode()
                data = (text[: text.index(PAGE_START)] + text[text.index(PAGE_END) :]).encode()
            elif path.name == "table.csv":
                data = b"\n".join(
                    row.rsplit(b",", 2)[0] for row in data.splitlines()
                )  # the columns of seconds
            found[name] = data
    return found


@pytest.fixture(scope="session")
def gratings(tmp_path_factory) -> Path:
    """train/ and test/ with 6 and 5 noisy gratings of three widths: no method gets all of them right."""
    root = tmp_path_factory.mktemp("sets") / "gratings"
    rng = np.random.default_rng(15)
    for part, count in (("train", 6), ("test", 5)):
        for label, period in (("coarse", 9), ("fine", 4), ("medium", 6)):
            (root / part / label).mkdir(parents=True)
            for i in range(count):
                Image.fromarray(_grating(rng, period)).save(root / part / label / f"image_{i}.png")
    return root


def _grating(rng: np.random.Generator, period: float) -> np.ndarray:
    y, x = np.mgrid[: 36 + rng.integers(6), : 46 + rng.integers(6)]
    angle, period = rng.uniform(0, np.pi), period + rng.uniform(-1, 1)
    wave = np.sin(2 * np.pi * (x * np.cos(angle) + y * np.sin(angle)) / period + rng.uniform(0, 6))
    return np.clip(128 + rng.uniform(15, 45) * wave + rng.normal(0, 28, x.shape), 0, 255).astype(np.uint8)
