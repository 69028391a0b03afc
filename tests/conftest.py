"""What all tests share: what each may see of the machine, and small data sets to try things on."""

import gzip
import importlib
import os
import shutil
import struct
from pathlib import Path

import hypothesis
import numpy as np
import pytest
from PIL import Image

# Taken away before any test module is imported; tests marked `data` get it back one by one.
_DATA = os.environ.pop("SCENEBENCH_DATA", None)

# Compiling a kernel takes seconds, so no deadline; the same examples in every run.
hypothesis.settings.register_profile("scenebench", deadline=None, derandomize=True, database=None)
hypothesis.settings.load_profile("scenebench")


def _missing_data() -> str | None:
    if not _DATA:
        return "SCENEBENCH_DATA is not set"
    return None if Path(_DATA).is_dir() else f"SCENEBENCH_DATA names {_DATA}, which is no folder"


def _missing_cyvlfeat() -> str | None:
    try:
        importlib.import_module("cyvlfeat.sift")
    except ImportError as error:
        return f"cyvlfeat cannot be imported ({error}): run make vlfeat"
    return None


def _missing_browser() -> str | None:
    try:
        importlib.import_module("selenium")
    except ImportError as error:
        return f"selenium cannot be imported ({error}): run make install-all"
    missing = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    return f"no {missing[0]}: install Debian's chromium and chromium-driver" if missing else None


# By marker: what says why a test cannot run here, or None.
_NEEDS = {"data": _missing_data, "vlfeat": _missing_cyvlfeat, "browser": _missing_browser}


def _skip_or_fail(name: str, reason: str) -> None:
    """Skip the test, or fail it where SCENEBENCH_REQUIRE lists the marker."""
    if name in os.environ.get("SCENEBENCH_REQUIRE", "").replace(" ", "").split(","):
        pytest.fail(f"{reason}, but SCENEBENCH_REQUIRE asks for {name}", pytrace=False)
    pytest.skip(reason)


def pytest_runtest_setup(item: pytest.Item) -> None:
    for name, missing in _NEEDS.items():
        if item.get_closest_marker(name) and (reason := missing()):
            _skip_or_fail(name, reason)


@pytest.fixture(autouse=True)
def _own_allocator(monkeypatch):
    """Commands that train leave the allocator of the tests' process as it is."""
    monkeypatch.setattr("experiments.memory.keep_freed_memory", lambda: True)


@pytest.fixture(autouse=True)
def _own_environment(request, monkeypatch):
    """The folder of real data for tests marked `data`, none for the others."""
    if request.node.get_closest_marker("data"):
        monkeypatch.setenv("SCENEBENCH_DATA", _DATA)


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory):
    """A cache folder of this test run, so that no test finds or leaves anything in the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def scene15() -> Path:
    """The folder of the 15 real scenes, with train/ and test/; for tests marked `data`."""
    reason = _missing_data()
    if reason is None and not Path(_DATA, "scene15").is_dir():
        reason = f"SCENEBENCH_DATA ({_DATA}) holds no scene15"
    if reason:
        _skip_or_fail("data", reason)
    return Path(_DATA, "scene15")


@pytest.fixture
def small_folder(tmp_path) -> Path:
    """train/ and test/ with 4 and 3 images of the classes bars, checks and stripes: PNG, about 40x50."""
    root = tmp_path / "small"
    rng = np.random.default_rng(15)
    for part, count in (("train", 4), ("test", 3)):
        for label in ("bars", "checks", "stripes"):
            (root / part / label).mkdir(parents=True)
            for i in range(count):
                Image.fromarray(_texture(rng, label)).save(root / part / label / f"image_{i}.png")
    return root


def _texture(rng: np.random.Generator, label: str) -> np.ndarray:
    """A noisy grey pattern with edges across, along or in squares, at a random phase."""
    y, x = np.mgrid[: 40 + rng.integers(4), : 50 + rng.integers(4)]
    along, across = ((x + rng.integers(8)) // 4) % 2, ((y + rng.integers(8)) // 4) % 2
    pattern = {"bars": along, "stripes": across, "checks": along ^ across}[label]
    return (60 + 120 * pattern + rng.integers(0, 40, pattern.shape)).astype(np.uint8)


@pytest.fixture
def idx_folder():
    """idx_folder(root, count=12, twin=False): a folder with the four files of a set like MNIST."""
    return _idx_folder


def _idx_folder(root: Path, count: int = 12, twin: bool = False) -> Path:
    """With `twin` test/00005 is train/00000."""
    rng = np.random.default_rng(3)
    root.mkdir()
    for part in ("train", "t10k"):
        images = rng.integers(0, 256, (count, 28, 28), np.uint8)
        if part == "train":
            first = images[0]
        elif twin:
            images[5] = first
        labels = (np.arange(count) % 10).astype(np.uint8)
        for name, array, head in (
            ("images-idx3", images, struct.pack(">4i", 2051, count, 28, 28)),
            ("labels-idx1", labels, struct.pack(">2i", 2049, count)),
        ):
            (root / f"{part}-{name}-ubyte.gz").write_bytes(gzip.compress(head + array.tobytes()))
    return root
