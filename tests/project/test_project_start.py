"""Starting the program: quick, by both names, and without the heavy libraries."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEAVY = {"tensorflow", "keras", "keras_facenet", "mtcnn", "sklearn", "scipy", "cv2", "h5py"}


def facesearch(*arguments: str, cwd: Path, options: tuple[str, ...] = ()):
    environment = {name: value for name, value in os.environ.items() if name != "FACESEARCH_STORE"}
    return subprocess.run(
        [sys.executable, *options, "-m", "facesearch", *arguments],
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


def imported(importtime: str) -> set[str]:
    """Top-level packages in what ``-X importtime`` wrote."""
    lines = [line for line in importtime.splitlines() if line.startswith("import time:")]
    return {line.rsplit("|", 1)[1].strip().partition(".")[0] for line in lines}


@pytest.fixture(scope="module")
def store(samples, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("start")
    shutil.copytree(samples / "val" / "madonna", folder / "photos")
    done = facesearch("index", "photos", "--jobs", "1", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / "faces.npz"


def test_help_by_both_names(tmp_path):
    program = Path(sys.executable).parent / "facesearch"
    named = subprocess.run([program, "--help"], capture_output=True, text=True, check=True)
    module = facesearch("--help", cwd=tmp_path)
    assert module.returncode == 0
    assert module.stdout == named.stdout
    for command in ("index", "query", "info", "check", "roots", "models", "datasets"):
        assert f"  {command} " in module.stdout


def test_version(tmp_path):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    done = facesearch("--version", cwd=tmp_path)
    assert done.returncode == 0
    assert project["version"] in done.stdout


@pytest.mark.parametrize(
    "arguments", [["--help"], ["index", "--help"], ["query", "--help"], ["models", "list"]]
)
def test_help_imports_nothing_heavy(arguments, tmp_path):
    done = facesearch(*arguments, cwd=tmp_path, options=("-X", "importtime"))
    assert done.returncode == 0, done.stderr
    modules = imported(done.stderr)
    assert "facesearch" in modules
    assert not modules & HEAVY


@pytest.mark.weights
def test_info_imports_nothing_heavy(store):
    done = facesearch("info", cwd=store.parent, options=("-X", "importtime"))
    assert done.returncode == 0, done.stderr
    assert str(store) in done.stdout
    modules = imported(done.stderr)
    assert "numpy" in modules
    assert not modules & HEAVY


def test_importing_the_library_is_light(tmp_path):
    code = "import sys, facesearch; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert not {name.partition(".")[0] for name in done.stdout.split()} & HEAVY


def test_a_query_imports_nothing_that_it_does_not_need(tmp_path):
    needed = (
        "cli.main", "cli.query", "gallery.npz", "index_options", "processing", "querying", "report",
        "search.brute", "store",
    )  # fmt: skip
    code = f"import sys, {', '.join(f'facesearch.{name}' for name in needed)}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    modules = set(done.stdout.split())
    assert {f"facesearch.{name}" for name in needed} <= modules
    others = {"psutil", "filelock", "jinja2", "matplotlib", "requests", "tarfile", "zipfile", "csv"}
    assert not {name.partition(".")[0] for name in modules} & (HEAVY | others)
    rooms = ("report.evaluation", "report.contact_sheet", "store.writer", "planning", "indexing")
    assert not {f"facesearch.{name}" for name in rooms} & modules


@pytest.mark.parametrize(
    "arguments", [["frobnicate"], ["query"], ["query", "-k", "minus one", "photo.jpg"]]
)
def test_wrong_calls_exit_with_2(arguments, tmp_path):
    done = facesearch(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("arguments", [["info"], ["check"], ["query", "photo.jpg"]])
def test_without_a_store_one_line_says_so(arguments, tmp_path):
    (tmp_path / "photo.jpg").write_bytes(b"")
    done = facesearch(*arguments, cwd=tmp_path)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "faces.npz" in done.stderr
    assert "facesearch index" in done.stderr
