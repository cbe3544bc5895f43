"""FaceNet in 8-bit arithmetic: how it is drawn, how near it comes, when it is chosen."""

from __future__ import annotations

import importlib.util
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper

from facesearch.errors import ModelError, UsageError
from facesearch.runtimes import (
    Fetch,
    Network,
    NetworkSpec,
    RuntimeOptions,
    device_name,
    load_network,
    make_ready,
)
from facesearch.runtimes.facenet_h5 import facenet_layers
from facesearch.runtimes.graphs import drawing_of
from facesearch.runtimes.graphs.builder import Convolution, GraphBuilder
from facesearch.runtimes.graphs.eight_bit import EightBit, Watching
from facesearch.runtimes.graphs.facenet import draw_facenet
from facesearch.runtimes.graphs.ranges import ranges_of

Load = Callable[..., Network]
Crops = NDArray[np.uint8]
ROOT = Path(__file__).resolve().parents[2]
INT8 = RuntimeOptions("onnx", "cpu", precision="int8")


@pytest.fixture(scope="module")
def drawn(weights: Path) -> Any:
    return onnx.load_from_string(drawing_of("facenet-128").draw("int8")).graph


@pytest.mark.weights
def test_every_convolution_is_between_rounded_values_and_per_channel(drawn: Any) -> None:
    makers = {output: node for node in drawn.node for output in node.output}
    arrays = {array.name: numpy_helper.to_array(array) for array in drawn.initializer}
    convolutions = [node for node in drawn.node if node.op_type == "Conv"]

    assert len(convolutions) > 120
    for node in convolutions:
        value, kernel, bias = (makers[name] for name in node.input)
        rounded = makers[value.input[0]]
        assert (value.op_type, rounded.op_type) == ("DequantizeLinear", "QuantizeLinear")
        assert arrays[value.input[2]].dtype == np.uint8
        steps, scale, zero = (arrays[name] for name in kernel.input)
        assert (steps.dtype, scale.shape, [a.i for a in kernel.attribute]) == (
            np.int8, (len(steps),), [0],
        )  # fmt: skip
        assert not zero.any()
        assert np.abs(steps).reshape(len(steps), -1).max(axis=1).min() == 127
        assert arrays[bias.input[0]].dtype == np.int32
        np.testing.assert_allclose(arrays[bias.input[1]], scale * arrays[value.input[1]])


@pytest.mark.weights
def test_the_ranges_are_those_of_exactly_the_values_that_are_rounded(weights: Path) -> None:
    watching = Watching()
    draw_facenet(facenet_layers(weights), "face", watching)

    ranges = ranges_of("facenet-128")
    assert list(ranges) == watching.watched
    assert len(set(watching.watched)) == len(watching.watched)
    assert all(low <= 0 < high for low, high in ranges.values())


@pytest.mark.weights
def test_a_missing_range_is_an_error(weights: Path) -> None:
    ranges = ranges_of("facenet-128")
    name = list(ranges)[40]

    with pytest.raises(ModelError, match=f"{name}; use --precision float32"):
        draw_facenet(
            facenet_layers(weights),
            "face",
            EightBit({key: ends for key, ends in ranges.items() if key != name}),
        )
    with pytest.raises(ModelError, match="known for facenet-512; use --precision float32"):
        ranges_of("facenet-512")


def test_rounded_arithmetic_is_near_the_exact_one() -> None:
    """A convolution with channels of very different size, one of them empty."""
    import onnxruntime

    random = np.random.default_rng(5)
    sizes = np.array([10, 0.01, 0, 1], np.float32)
    kernel = (random.normal(0, 1, (3, 3, 3, 4)) * sizes).astype(np.float32)
    bias = (random.normal(0, 1, 4) * sizes).astype(np.float32)
    x = random.uniform(-1, 3, (2, 9, 9, 3)).astype(np.float32)

    def run(rounding: EightBit | None) -> Any:
        graph = GraphBuilder(rounding)
        y = graph.node("Transpose", ["pixels"], "turned", perm=[0, 3, 1, 2])
        y = graph.convolution("conv", graph.rounded(y), Convolution(kernel, bias))
        made = graph.build("tiny", None, {y: [4, "rows", "columns"]})
        return onnxruntime.InferenceSession(made).run([y], {"pixels": x})[0]

    exact = run(None)
    near = run(EightBit({"turned": (-1.0, 3.0), "conv": (float(exact.min()), float(exact.max()))}))
    widest = (exact.max() - exact.min()) / 255
    assert np.abs(near - exact).max() < 6 * widest
    assert len(np.unique(near)) <= 256


def _mean_cosine(onnx_network: Load, crops: Crops) -> float:
    exact, rounded = onnx_network("facenet-128", "float32"), onnx_network("facenet-128", "int8")
    cosines: list[float] = []
    for part in np.array_split(crops.astype(np.float32), max(1, len(crops) // 20)):
        one, other = exact(part)["embedding"], rounded(part)["embedding"]
        lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
        cosines.extend((one * other).sum(axis=1) / lengths)
    return float(np.mean(cosines))


@pytest.mark.weights
@pytest.mark.lfw
def test_on_faces_it_is_near_float32(onnx_network: Load, crops: Crops) -> None:
    assert 0.998 <= _mean_cosine(onnx_network, crops) < 0.9999999


@pytest.mark.weights
@pytest.mark.lfw
@pytest.mark.full
@pytest.mark.timeout(1800)
def test_on_a_thousand_faces_it_is_near_float32(
    onnx_network: Load, lfw_crops: Callable[[int], Crops]
) -> None:
    assert _mean_cosine(onnx_network, lfw_crops(1000)) >= 0.998


@pytest.mark.lfw
def test_nobody_who_is_measured_took_part_in_the_ranges(lfw: Path) -> None:
    pairs = lfw.parent / "lfw_pairs.txt"
    if not pairs.is_file():
        pytest.skip("no file of pairs beside the photos")
    spec = importlib.util.spec_from_file_location("ranges", ROOT / "scripts" / "watch_ranges.py")
    assert spec and spec.loader
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    counts = Counter(photo.parent.name for photo in lfw.glob("*/*.jpg"))
    pois = {name for name, count in counts.items() if count == 6}
    rows = [line.split() for line in pairs.read_text().splitlines()[1:]]
    in_pairs = {part for row in rows for part in row if not part.isdigit()}

    people = [photo.parent.name for photo in script.unmeasured(lfw, pairs)]

    assert len(pois) == 55
    assert len(in_pairs) > 4000
    assert len(people) == len(set(people)) > 512
    assert not set(people) & (pois | in_pairs)


def test_the_ranges_say_what_they_were_made_from() -> None:
    held = json.loads((ROOT / "models" / "ranges" / "facenet-128.json").read_text())

    assert (held["model"], held["faces"]) == ("facenet-128", 512)
    assert "outside the pairs" in held["people"]


@pytest.mark.parametrize(
    ("features", "chosen"),
    [
        ("avx2 avx512_vnni", "int8"),
        ("avx_vnni", "int8"),
        ("avx2 avx512f", "float32"),
        ("avx512_vnni_not", "float32"),
    ],
)
def test_auto_is_what_is_fastest_without_loss(
    processor: Callable[[str], None], features: str, chosen: str
) -> None:
    processor(features)

    def device(name: str, precision: str = "auto") -> str:
        return device_name(RuntimeOptions(device="cpu", precision=precision), name)

    assert device("facenet-128") == f"CPU, ONNX Runtime {chosen}"
    assert device("facenet-128", "float32") == "CPU, ONNX Runtime float32"
    assert device("facenet-128", "int8") == "CPU, ONNX Runtime int8"
    assert device("facenet-512") == "CPU, ONNX Runtime float32"
    assert device("mtcnn-onet", "int8") == "CPU, ONNX Runtime float32"


def test_a_processor_that_says_nothing_gets_float32(
    processor: Callable[[str], None], tmp_path: Path
) -> None:
    processor("avx512_vnni")
    (tmp_path / "cpuinfo").unlink()

    assert device_name(RuntimeOptions(device="cpu"), "facenet-128").endswith("float32")


@pytest.mark.parametrize("has_it", [True, False])
def test_elsewhere_than_on_linux_opencv_is_asked(
    processor: Callable[[str], None], monkeypatch: pytest.MonkeyPatch, has_it: bool
) -> None:
    processor("")
    monkeypatch.setattr("sys.platform", "darwin")
    monkeypatch.setattr("cv2.checkHardwareSupport", lambda feature: has_it and feature == 23)

    expected = "int8" if has_it else "float32"
    assert device_name(RuntimeOptions(device="cpu"), "facenet-128").endswith(expected)


def test_detectors_stay_in_float32(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACESEARCH_HOME", str(tmp_path))

    make_ready(["mtcnn-rnet"], INT8, Fetch(offline=True))

    assert [path.name for path in (tmp_path / "models").iterdir()] == ["mtcnn-rnet.float32.onnx"]
    load_network(NetworkSpec("mtcnn-rnet", INT8))


@pytest.mark.parametrize("name", ["facenet-512", "vgg16"])
def test_a_network_without_ranges_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("FACESEARCH_HOME", str(tmp_path))
    options = RuntimeOptions(device="cpu", precision="int8")

    for ask in (
        lambda: make_ready([name], options, Fetch(offline=True)),
        lambda: load_network(NetworkSpec(name, options, "fixed")),
    ):
        with pytest.raises(UsageError, match=r"float32.*leave out --precision int8"):
            ask()
