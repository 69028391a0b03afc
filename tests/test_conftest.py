"""What the shared settings of the tests promise: who sees the data, what is skipped, what then fails."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = """
import os, platformdirs, pytest

@pytest.mark.data
def test_marked(scene15):
    assert os.environ["SCENEBENCH_DATA"] == str(scene15.parent)

def test_unmarked():
    assert "SCENEBENCH_DATA" not in os.environ
    assert platformdirs.user_cache_path("x").parent.name.startswith("cache")
"""


@pytest.fixture
def outcomes(tmp_path):
    """The short summary of the two tests above under the given environment."""
    shutil.copy(Path(__file__).parent / "conftest.py", tmp_path)
    (tmp_path / "test_two.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n    data: real sets\n")

    def run(**environment):
        ours = ("SCENEBENCH_DATA", "SCENEBENCH_REQUIRE")
        environment = {k: v for k, v in os.environ.items() if k not in ours} | environment
        command = [sys.executable, "-m", "pytest", "-rA", "-q", "-p", "no:cacheprovider", "test_two.py"]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        return done.returncode, done.stdout

    return run


def test_tests_of_real_data_are_skipped_with_the_reason_where_there_is_none(outcomes):
    code, text = outcomes()
    assert code == 0 and "1 passed, 1 skipped" in text
    assert "SCENEBENCH_DATA is not set" in text


def test_a_required_marker_turns_the_skip_into_a_failure(outcomes, tmp_path):
    code, text = outcomes(SCENEBENCH_REQUIRE="vlfeat, data")
    assert code == 1 and "1 passed, 1 error" in text
    assert "SCENEBENCH_DATA is not set, but SCENEBENCH_REQUIRE asks for data" in text
    code, text = outcomes(SCENEBENCH_REQUIRE="data", SCENEBENCH_DATA=str(tmp_path))
    assert code == 1 and f"SCENEBENCH_DATA ({tmp_path}) holds no scene15" in text


def test_only_marked_tests_see_the_data(outcomes, tmp_path):
    (tmp_path / "scene15").mkdir()
    code, text = outcomes(SCENEBENCH_DATA=str(tmp_path))
    assert code == 0 and "2 passed" in text
