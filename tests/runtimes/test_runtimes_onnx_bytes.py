"""A graph is drawn with the same bytes every time, in every process, whatever its surroundings."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import onnx
import pytest

from facesearch import weights
from facesearch.runtimes.graphs import DRAWINGS, drawing_of

MTCNN = ["mtcnn-pnet", "mtcnn-rnet", "mtcnn-onet"]
FACENET = [("facenet-128", "float32"), ("facenet-128", "int8")]
SURROUNDINGS = [
    {"PYTHONHASHSEED": "1", "LC_ALL": "C", "TZ": "Asia/Tokyo"},
    {"PYTHONHASHSEED": "77", "LC_ALL": "tr_TR.UTF-8", "PYTHONUTF8": "1"},
    {"PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION": "python", "OMP_NUM_THREADS": "1"},
    {"NPY_DISABLE_CPU_FEATURES": "AVX2 AVX512F AVX512_SKX"},
]


def _stated(name: str, precision: str) -> str:
    return weights.find(name).graphs[precision]


def _drawn_elsewhere(names: list[tuple[str, str]], around: dict[str, str], folder: Path) -> Any:
    """The hashes that another process gets, in another folder."""
    code = (
        "import hashlib\n"
        "from facesearch.runtimes.graphs import drawing_of\n"
        f"for name, precision in {names!r}:\n"
        "    print(hashlib.sha256(drawing_of(name).draw(precision)).hexdigest())\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        env=os.environ | around,
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()


@pytest.mark.parametrize("name", MTCNN)
def test_mtcnn_twice_here(name: str) -> None:
    first, second = (drawing_of(name).draw("float32") for _ in range(2))

    assert first == second
    assert hashlib.sha256(first).hexdigest() == _stated(name, "float32")


@pytest.mark.parametrize("around", SURROUNDINGS)
def test_mtcnn_in_another_process(around: dict[str, str], tmp_path: Path) -> None:
    names = [(name, "float32") for name in MTCNN]

    assert _drawn_elsewhere(names, around, tmp_path) == [_stated(*name) for name in names]


@pytest.mark.weights
@pytest.mark.parametrize("around", [{}, SURROUNDINGS[1], SURROUNDINGS[3]])
def test_facenet_in_another_process(around: dict[str, str], tmp_path: Path) -> None:
    assert _drawn_elsewhere(FACENET, around, tmp_path) == [_stated(*name) for name in FACENET]


@pytest.mark.weights
def test_facenet_twice_here() -> None:
    first, second = (drawing_of("facenet-128").draw("int8") for _ in range(2))

    assert hashlib.sha256(first).hexdigest() == _stated("facenet-128", "int8")
    assert first == second


def test_the_manifest_states_every_graph_of_weights_that_it_states() -> None:
    for name, drawing in DRAWINGS.items():
        stated = weights.find(name).graphs
        if name == "facenet-512":  # keras-facenet states its weights
            assert stated == {}
        else:
            assert sorted(stated) == sorted(drawing.precisions)


def _require_frame(model: Any, height: Any, width: Any) -> None:
    onnx.checker.check_model(model, full_check=True)
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 17)]
    assert model.ir_version == 8
    (pixels,) = model.graph.input
    dims = [dim.dim_param or dim.dim_value for dim in pixels.type.tensor_type.shape.dim]
    assert (pixels.name, dims) == ("pixels", ["n", height, width, 3])
    for output in model.graph.output:
        assert output.type.tensor_type.shape.dim[0].dim_param == "n"
    nodes = [node.name for node in model.graph.node]
    assert all(nodes)
    assert len(set(nodes)) == len(nodes)


def test_mtcnn_s_frame_and_names() -> None:
    sides: dict[str, Any] = {"mtcnn-pnet": ("height", "width"), "mtcnn-rnet": (24, 24)}
    for name in MTCNN:
        model = onnx.load_from_string(drawing_of(name).draw("float32"))
        _require_frame(model, *sides.get(name, (48, 48)))
        assert model.graph.name == name
        outputs = [output.name for output in model.graph.output]
        assert outputs == ["face", "box"] + ["landmarks"] * (name == "mtcnn-onet")
        convolutions = [node.output[0] for node in model.graph.node if node.op_type == "Conv"]
        assert convolutions[:3] == ["conv_1", "conv_2", "conv_3"]


@pytest.mark.weights
@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_facenet_s_frame_and_names(precision: str) -> None:
    from facesearch.runtimes.facenet_h5 import facenet_layers

    model = onnx.load_from_string(drawing_of("facenet-128").draw(precision))
    _require_frame(model, 160, 160)
    assert [output.name for output in model.graph.output] == ["embedding"]
    layers = facenet_layers(weights.path_of("facenet-128"))
    convolutions = [node.output[0] for node in model.graph.node if node.op_type == "Conv"]
    kernels = {name for name, arrays in layers.items() if arrays and arrays[0].ndim == 4}
    assert sorted(convolutions) == sorted(kernels)
