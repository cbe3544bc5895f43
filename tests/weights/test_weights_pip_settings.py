from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from facesearch.weights.pip_settings import index_settings


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder whose pip.conf is read; no variable says anything."""
    for name in ("INDEX_URL", "EXTRA_INDEX_URL", "CERT", "PROXY", "NO_INDEX", "CONFIG_FILE"):
        monkeypatch.delenv(f"PIP_{name}", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / ".config"))
    monkeypatch.setenv("XDG_CONFIG_DIRS", str(tmp_path / "xdg"))
    return tmp_path


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_files_then_variables(user: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(user / "xdg/pip/pip.conf", "[global]\nindex-url = https://everyone/\nproxy = http://p\n")
    assert index_settings().index == "https://everyone/"
    write(user / ".config/pip/pip.conf", "[global]\nindex_url = https://mine/\ncert=/ca.pem\n")
    settings = index_settings()
    assert (settings.index, settings.proxy, settings.certificates) == (
        "https://mine/",
        "http://p",
        "/ca.pem",
    )
    named = write(user / "named.conf", "[install]\nindex-url = https://named/\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(named))
    assert index_settings().index == "https://named/"
    monkeypatch.setenv("PIP_INDEX_URL", "https://variable/")
    assert index_settings().index == "https://variable/"


def test_extra_indexes_on_several_lines_and_files_left_out(user: Path) -> None:
    write(
        user / ".pip/pip.conf",
        "[global]\nextra-index-url =\n  https://one/\n  file:///two\n  http://three/\n",
    )
    assert index_settings().extra == ("https://one/", "http://three/")


def test_no_files_are_read_when_pip_is_told_so(user: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(user / ".config/pip/pip.conf", "[global]\nindex-url = https://mine/\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    assert index_settings().index is None


def test_a_broken_file_says_nothing(user: Path) -> None:
    write(user / ".config/pip/pip.conf", "index-url without a section")
    assert index_settings().index is None


@pytest.mark.skipif(shutil.which("pip") is None, reason="pip is the oracle")
def test_pip_itself_agrees(user: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(user / "xdg/pip/pip.conf", "[global]\nindex-url = https://everyone/\n")
    write(user / ".pip/pip.conf", "[global]\nindex-url = https://legacy/\n")
    write(user / ".config/pip/pip.conf", "[global]\nindex-url = https://mine/\n")
    done = subprocess.run(
        [sys.executable, "-m", "pip", "config", "get", "global.index-url"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert index_settings().index == done.stdout.strip() == "https://mine/"
