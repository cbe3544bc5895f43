"""Graphs that go away between the command that makes them ready and the workers that read them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import facesearch
from facesearch import indexing
from facesearch.errors import WeightsError
from facesearch.index_options import IndexOptions, default_recipe
from facesearch.indexing import IndexHooks
from facesearch.processing import PhotoTask, ProcessSpec
from facesearch.runtimes import Fetch, RuntimeOptions
from facesearch.workers import PoolOptions, WorkerPool
from small_store import MIDDLE, RED, draw

pytestmark = pytest.mark.weights

OPTIONS = RuntimeOptions("onnx", "cpu", precision="float32")
GRAPHS = ("facenet-128", "mtcnn-pnet", "mtcnn-rnet", "mtcnn-onet")


@pytest.fixture
def home(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder with copies of the graphs that the default recipe needs."""
    models = tmp_path / "home" / "models"
    models.mkdir(parents=True)
    for name in GRAPHS:
        shutil.copy(weights.parent / f"{name}.float32.onnx", models)
    monkeypatch.setenv("FACESEARCH_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def _line(error: pytest.ExceptionInfo[WeightsError]) -> str:
    line = str(error.value)
    assert "\n" not in line
    return line


@pytest.mark.parametrize("name", ["facenet-128", "mtcnn-pnet"])
def test_a_worker_names_the_command_that_brings_the_graph(
    home: Path, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    spec = ProcessSpec(default_recipe("facenet-128"), 10**8, OPTIONS)
    spec.make_ready(Fetch(offline=True))
    graph = home / "models" / f"{name}.float32.onnx"
    graph.unlink()

    with WorkerPool(spec, PoolOptions(1)) as pool, pytest.raises(WeightsError) as caught:
        list(pool.run([[PhotoTask(0, "any.jpg")]]))

    assert _line(caught) == (
        f"the network {name} is missing ({graph}); run: facesearch models pull facenet-128"
    )
    assert "Traceback" not in capfd.readouterr().err


def test_so_does_the_run_that_started_it_and_the_next_one_goes_on(
    home: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    photo = draw(tmp_path / "photos" / "red.png", {RED: MIDDLE})
    store = tmp_path / "faces.npz"
    graph = home / "models" / "mtcnn-onet.float32.onnx"
    options = IndexOptions(runtime="onnx", device="cpu", precision="float32", jobs=1, offline=True)

    def without_graph(spec: ProcessSpec) -> ProcessSpec:
        spec.make_ready(Fetch(offline=True))
        graph.unlink()
        return spec

    with pytest.raises(WeightsError) as caught:
        indexing.index([photo.parent], store, options, IndexHooks(factory=without_graph))

    assert _line(caught).endswith("; run: facesearch models pull facenet-128")
    assert "Traceback" not in capfd.readouterr().err
    summary = facesearch.index(photo.parent, store, options)
    assert (summary.new, summary.failed) == (1, 0)
    assert graph.is_file()
