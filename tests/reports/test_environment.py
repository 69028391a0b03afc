"""The environment block: every key, plausible values, nothing that cannot be written as JSON."""

import importlib
import json
import platform
import re
import sys
from datetime import UTC, datetime

import numpy as np
import pytest

from reports import environment, peak_memory_bytes

module = importlib.import_module("reports.environment")  # `reports.environment` is the function


def test_all_keys_are_there_and_fit_into_json():
    found = environment(2)
    assert list(found) == ["versions", "hardware", "threads", "peak_memory_bytes", "date"]
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["threads"] == 2


def test_versions_are_those_installed():
    versions = environment(1)["versions"]
    assert versions["python"] == platform.python_version()
    assert versions["numpy"] == np.__version__
    assert {"scipy", "scikit-learn", "numba", "pillow"} <= set(versions)


def test_packages_that_are_missing_are_left_out(monkeypatch):
    monkeypatch.setattr(module, "_PACKAGES", {"numpy": ("no-such-one", "numpy"), "none": ("no-such-one",)})
    assert set(environment(1)["versions"]) == {"python", "numpy"}


def test_hardware_names_processor_and_cores():
    assert re.fullmatch(r".+, \d+ cores", environment(1)["hardware"])


def test_processor_comes_from_cpuinfo_where_it_stands(tmp_path):
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor\t: 0\nmodel name\t: Acme  9000 @ 2GHz\nprocessor\t: 1\n")
    assert module._processor(cpuinfo) == "Acme 9000 @ 2GHz"
    assert module._processor(tmp_path / "missing") != ""


def test_date_is_now_in_utc():
    date = datetime.strptime(environment(1)["date"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    assert abs((datetime.now(UTC) - date).total_seconds()) < 60


@pytest.mark.skipif(sys.platform == "win32", reason="not known there")
def test_peak_memory_is_in_bytes():
    assert 10e6 < peak_memory_bytes() < 1e12  # Python with numpy takes tens of megabytes
    held = np.ones(30_000_000, dtype=np.uint8)
    assert peak_memory_bytes() > held.nbytes


def test_peak_memory_units(monkeypatch):
    class Usage:
        RUSAGE_SELF, RUSAGE_CHILDREN = 0, -1

        @staticmethod
        def getrusage(who):
            return type("usage", (), {"ru_maxrss": 7 if who == 0 else 9})

    monkeypatch.setattr(module, "resource", Usage)
    monkeypatch.setattr(sys, "platform", "linux")
    assert peak_memory_bytes() == 9 * 1024
    monkeypatch.setattr(sys, "platform", "darwin")
    assert peak_memory_bytes() == 9
    monkeypatch.setattr(module, "resource", None)
    assert peak_memory_bytes() == 0
