"""FaceNet in 8-bit arithmetic: how it is drawn, how near it comes, when it is chosen."""

from __future__ import annotations

import importlib.util
import json
from collections import Counter
from collections.abc import Callable
from importlib.resources import files
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
from facesearch.runtimes.graphs.builder import Convolution, GraphBuilder, Plain
from facesearch.runtimes.graphs.eight_bit import EightBit, Ranges, Watching
from facesearch.runtimes.graphs.facenet import draw_facenet
from facesearch.runtimes.graphs.ranges import ranges_of

Load = Callable[..., Network]
Crops = NDArray[np.uint8]
Floats = NDArray[np.float32]
ROOT = Path(__file__).resolve().parents[2]
INT8 = RuntimeOptions("onnx", "cpu", precision="int8")


@pytest.fixture(scope="module")
def drawn(weights: Path) -> Any:
    return onnx.load_from_string(drawing_of("facenet-128").draw("int8")).graph


@pytest.mark.weights
def test_every_convolution_but_the_first_is_between_rounded_values_and_per_channel(
    drawn: Any,
) -> None:
    makers = {output: node for node in drawn.node for output in node.output}
    arrays = {array.name: numpy_helper.to_array(array) for array in drawn.initializer}
    convolutions = [node for node in drawn.node if node.op_type == "Conv"]
    first, *others = convolutions

    assert len(others) > 120
    assert first.name == "Conv2d_1a_3x3"
    assert makers[first.input[0]].op_type == "Div"  # the standardised pixels, as they are
    assert [arrays[name].dtype for name in first.input[1:]] == [np.float32, np.float32]
    for node in others:
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
    assert sorted(ranges.ends) == sorted(watching.watched)
    assert len(set(watching.watched)) == len(watching.watched)
    assert all(low <= 0 < high for low, high in ranges.ends.values())


@pytest.mark.weights
def test_the_means_are_of_the_channels_that_convolutions_before_the_blocks_take(
    weights: Path,
) -> None:
    watching = Watching()
    graph = onnx.load_from_string(draw_facenet(facenet_layers(weights), "face", watching)).graph
    kernels = {array.name: tuple(array.dims) for array in graph.initializer}
    taken = {
        node.input[0]: kernels[node.input[1]][1]
        for node in graph.node
        if node.op_type == "Conv" and node.name.startswith("Conv2d")
    }
    del taken["standardised"]

    ranges = ranges_of("facenet-128")

    assert set(taken) <= set(ranges.means) <= {*watching.watched, *watching.alike}
    assert {name: len(ranges.means[name]) for name in taken} == taken
    for name in ranges.means.keys() & ranges.ends.keys():
        low, high = ranges.ends[name]
        assert all(low <= mean <= high for mean in ranges.means[name])


@pytest.mark.weights
def test_a_missing_range_is_an_error(weights: Path) -> None:
    ranges = ranges_of("facenet-128")
    name = list(ranges.ends)[40]
    others = {key: ends for key, ends in ranges.ends.items() if key != name}

    with pytest.raises(ModelError, match=f"{name}; use --precision float32"):
        draw_facenet(facenet_layers(weights), "face", EightBit(Ranges(others, ranges.means)))
    with pytest.raises(ModelError, match="known for facenet-512; use --precision float32"):
        ranges_of("facenet-512")


def _convolved(x: Floats, conv: Convolution, ranges: Ranges | None) -> Any:
    """What a graph of one convolution gives, in float32 without ranges; (n, c, h, w).

    The value that goes in is named "turned", the one that comes out "conv".
    """
    import onnxruntime

    rounding = Plain() if ranges is None else EightBit(ranges)
    graph = GraphBuilder(rounding)
    y = graph.node("Transpose", ["pixels"], "turned", perm=[0, 3, 1, 2])
    y = graph.convolution("conv", rounding.value(graph, y), conv)
    made = graph.build("tiny", None, {y: [conv.kernel.shape[3], "rows", "columns"]})
    return onnxruntime.InferenceSession(made).run([y], {"pixels": x})[0]


def _ends(x: Floats, exact: Any) -> dict[str, tuple[float, float]]:
    return {
        "turned": (float(x.min()), float(x.max())),
        "conv": (float(exact.min()), float(exact.max())),
    }


def test_rounded_arithmetic_is_near_the_exact_one() -> None:
    """A convolution with channels of very different size, one of them empty."""
    random = np.random.default_rng(5)
    sizes = np.array([10, 0.01, 0, 1], np.float32)
    kernel = (random.normal(0, 1, (3, 3, 3, 4)) * sizes).astype(np.float32)
    bias = (random.normal(0, 1, 4) * sizes).astype(np.float32)
    x = random.uniform(-1, 3, (2, 9, 9, 3)).astype(np.float32)
    conv = Convolution(kernel, bias)

    exact = _convolved(x, conv, None)
    near = _convolved(x, conv, Ranges(_ends(x, exact)))

    widest = (exact.max() - exact.min()) / 255
    assert np.abs(near - exact).max() < 6 * widest
    assert len(np.unique(near)) <= 256


def test_means_take_away_what_rounding_kernels_adds_on_average() -> None:
    random = np.random.default_rng(7)
    kernel = random.uniform(-0.3, 0.3, (3, 3, 3, 8)).astype(np.float32)
    kernel[:, :, 0] = 30  # makes the steps wide, so that the others are rounded badly
    x = random.uniform(4, 6, (2, 12, 12, 3)).astype(np.float32)
    x[..., 0] = 0
    conv = Convolution(kernel, np.zeros(8, np.float32))
    exact = _convolved(x, conv, None)
    ends = _ends(x, exact)
    means = {"turned": x.mean(axis=(0, 1, 2)).tolist()}

    def wrong(ranges: Ranges) -> Any:
        """By how much each channel is wrong on average."""
        return np.abs((_convolved(x, conv, ranges) - exact).mean(axis=(0, 2, 3)))

    without, corrected = wrong(Ranges(ends)), wrong(Ranges(ends, means))
    step = (ends["conv"][1] - ends["conv"][0]) / 255
    assert without.mean() > 5 * step
    assert corrected.max() < step
    assert corrected.mean() < without.mean() / 10
    other = Ranges(ends, {"conv": [9.0] * 8})
    np.testing.assert_array_equal(wrong(other), without)  # means of another value


@pytest.mark.filterwarnings("error")
def test_a_channel_without_weights_keeps_its_bias() -> None:
    random = np.random.default_rng(6)
    kernel = random.normal(0, 1, (3, 3, 3, 3)).astype(np.float32)
    kernel[..., 1] = 0
    bias = np.array([0.5, 2.5, -1], np.float32)
    x = random.uniform(-1, 3, (1, 9, 9, 3)).astype(np.float32)
    conv = Convolution(kernel, bias)
    exact = _convolved(x, conv, None)
    ends = _ends(x, exact)

    near = _convolved(x, conv, Ranges(ends, {"turned": [1.0, 1.0, 1.0]}))

    step = (ends["conv"][1] - ends["conv"][0]) / 255
    assert (exact[:, 1] == 2.5).all()
    assert np.abs(near[:, 1] - 2.5).max() <= step
    assert np.abs(near - exact).max() < 6 * step


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
    source = files("facesearch.runtimes").joinpath("ranges", "facenet-128.json")
    held = json.loads(source.read_text(encoding="utf-8"))

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
