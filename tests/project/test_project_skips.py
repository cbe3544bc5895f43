"""tests/conftest.py: what is skipped at home is a failure in continuous integration."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SUITE = """
import pytest

@pytest.mark.lfw
def test_photos(lfw):
    assert lfw.is_dir()

@pytest.mark.weights
def test_weights(weights):
    assert weights.is_file()

@pytest.mark.full
def test_longer():
    pass

def test_plain():
    pass
"""


@pytest.fixture
def suite(tmp_path):
    (tmp_path / "tests").mkdir()
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copy(ROOT / "tests" / "conftest.py", tmp_path / "tests")
    (tmp_path / "tests" / "test_suite.py").write_text(SUITE)
    return tmp_path


def outcome(suite: Path, *arguments: str, **environment: str) -> str:
    """pytest's closing line, with neither photos nor weights in reach."""
    gone = str(suite / "gone")
    inherited = {name: value for name, value in os.environ.items() if name not in {"CI"}}
    inherited.pop("FACESEARCH_FULL", None)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments],
        cwd=suite,
        env=inherited | {"FACESEARCH_LFW": gone, "FACESEARCH_HOME": gone} | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stdout.splitlines()[-1]


def test_at_home_missing_photos_and_weights_are_skips(suite):
    assert outcome(suite).startswith("1 passed, 2 skipped, 1 deselected")


def test_in_continuous_integration_they_are_failures(suite):
    line = outcome(suite, CI="true")
    assert "1 passed" in line
    assert "2 failed" in line or "2 errors" in line


@pytest.mark.parametrize(
    ("arguments", "environment"), [((), {"FACESEARCH_FULL": "1"}), (("-m", "full"), {})]
)
def test_longer_tests_run_when_asked_for(suite, arguments, environment):
    line = outcome(suite, *arguments, "-k", "longer", **environment)
    assert line.startswith("1 passed")
