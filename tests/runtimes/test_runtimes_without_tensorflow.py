"""Face recipes run, and their graphs are drawn, where TensorFlow cannot even be imported."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Program = Callable[..., subprocess.CompletedProcess[str]]

REFUSAL = """
import sys

class Refusing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("tensorflow", "keras", "tf_keras", "tf2onnx"):
            sys.stderr.write(f"REFUSED {name}\\n")
            raise ImportError(f"{name} is not to be imported")

sys.meta_path.insert(0, Refusing())
"""


@pytest.fixture
def program(weights: Path, tmp_path: Path) -> Program:
    """The program in processes, workers too, that cannot import TensorFlow or Keras; the weights
    are here and no graph is.
    """
    refusal = tmp_path / "refusal"
    refusal.mkdir()
    (refusal / "sitecustomize.py").write_text(REFUSAL)
    models = tmp_path / "home" / "models"
    models.mkdir(parents=True)
    (models / weights.name).symlink_to(weights)
    around = os.environ | {"FACESEARCH_HOME": str(tmp_path / "home"), "PYTHONPATH": str(refusal)}

    def run(*arguments: object, code: str = "") -> subprocess.CompletedProcess[str]:
        start = ["-c", code] if code else ["-m", "facesearch"]
        return subprocess.run(
            [sys.executable, *start, *map(str, arguments)],
            env=around,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )

    return run


@pytest.fixture
def photos(lfw: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("George_W_Bush", "Serena_Williams", "Vladimir_Putin"):
        (folder / f"{name}.jpg").symlink_to(lfw / name / f"{name}_0001.jpg")
    return folder


def _require_done(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 0, done.stderr
    assert "REFUSED" not in done.stderr


@pytest.mark.weights
def test_the_refusal_refuses(program: Program) -> None:
    done = program(code="import tensorflow")
    assert done.returncode == 1
    assert "REFUSED tensorflow" in done.stderr


@pytest.mark.weights
def test_pull_draws_the_graphs(program: Program, tmp_path: Path) -> None:
    done = program("models", "pull")

    _require_done(done)
    graphs = sorted(path.name for path in (tmp_path / "home" / "models").glob("*.onnx"))
    assert graphs == [
        "facenet-128.float32.onnx",
        "facenet-128.int8.onnx",
        "mtcnn-onet.float32.onnx",
        "mtcnn-pnet.float32.onnx",
        "mtcnn-rnet.float32.onnx",
    ]
    _require_done(program("models", "verify", "facenet-128"))


@pytest.mark.weights
@pytest.mark.lfw
@pytest.mark.parametrize("jobs", [1, 2])
def test_index_and_query(program: Program, photos: Path, tmp_path: Path, jobs: int) -> None:
    indexed = program("index", photos, "--store", "faces.npz", "--jobs", jobs, "--offline")
    _require_done(indexed)
    photo = photos / "Serena_Williams.jpg"
    asked = program("query", photo, "--store", "faces.npz", "-k", 1, "--offline")

    _require_done(asked)
    assert "Serena_Williams.jpg" in asked.stdout


@pytest.mark.weights
def test_a_recipe_that_needs_it_says_so_in_one_line(program: Program, tmp_path: Path) -> None:
    """The refusal reaches TensorFlow's own runtime, which is no traceback."""
    (tmp_path / "photo.jpg").write_bytes(b"none")
    done = program("index", ".", "--runtime", "tensorflow", "--store", "faces.npz", "--offline")

    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert "TensorFlow cannot be loaded" in done.stderr
