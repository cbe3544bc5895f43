"""What ONNX Runtime computes from the drawn graphs is what TensorFlow computes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from facesearch.errors import ModelError, UsageError, WeightsError
from facesearch.faces.mtcnn import patches
from facesearch.runtimes import Network, NetworkSpec, RuntimeOptions, load_network

Load = Callable[..., Network]
Crops = NDArray[np.uint8]
MTCNN = {"mtcnn-pnet": None, "mtcnn-rnet": 24, "mtcnn-onet": 48}
TENSORFLOW = RuntimeOptions("tensorflow", "cpu", 2)


def _tensorflow(name: str) -> Any:
    return load_network(NetworkSpec(name, TENSORFLOW))


def _noise(*shape: int) -> Any:
    return np.random.default_rng(7).uniform(0, 255, shape).astype(np.float32)


def _photo(lfw: Path) -> Any:
    path = lfw / "Aaron_Eckhart" / "Aaron_Eckhart_0001.jpg"
    return np.asarray(Image.open(path).convert("RGB"), np.float32)


def _boxes(count: int) -> Any:
    """Squares of 20 to 150 pixels in a photo of 250, as the cascade has them."""
    random = np.random.default_rng(3)
    corners = random.uniform(-10, 180, (count, 2))
    sides = random.uniform(20, 150, (count, 1))
    return np.column_stack([corners, corners + sides, np.ones(count)])


def _require_same(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    assert set(ours) == set(theirs)
    for name, expected in theirs.items():
        assert ours[name].dtype == np.float32
        assert ours[name].shape == expected.shape
        np.testing.assert_allclose(ours[name], expected, atol=1e-5, err_msg=name)


def _cosines(one: Any, other: Any) -> Any:
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return (one.astype(np.float64) * other).sum(axis=1) / lengths


@pytest.mark.parametrize("name", MTCNN)
def test_mtcnn_on_noise(onnx_network: Load, name: str) -> None:
    side = MTCNN[name]
    pixels = _noise(2, 37, 52, 3) if side is None else _noise(300, side, side, 3)

    _require_same(onnx_network(name)(pixels), _tensorflow(name)(pixels))


@pytest.mark.lfw
@pytest.mark.parametrize("name", MTCNN)
def test_mtcnn_on_a_photo(onnx_network: Load, lfw: Path, name: str) -> None:
    photo, side = _photo(lfw), MTCNN[name]
    pixels = photo[None] if side is None else patches(photo, _boxes(400), side)

    theirs = _tensorflow(name)(pixels)

    assert theirs["face"].max() > 0.7
    assert theirs["face"].min() < 0.1
    _require_same(onnx_network(name)(pixels), theirs)


def test_pnet_takes_photos_of_any_size(onnx_network: Load) -> None:
    ours, theirs = onnx_network("mtcnn-pnet"), _tensorflow("mtcnn-pnet")

    sizes = [(side, 52 - side) for side in range(12, 41)]
    sizes += [(side, side) for side in range(12, 41)]
    for height, width in [*sizes, (12, 1201), (997, 13), (601, 802)]:
        pixels = _noise(1, height, width, 3)
        _require_same(ours(pixels), theirs(pixels))


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("mtcnn-pnet", (1, 5, 30, 3)),
        ("mtcnn-pnet", (1, 40, 40, 1)),
        ("mtcnn-pnet", (40, 40, 3)),
        ("mtcnn-pnet", (0, 40, 40, 3)),
        ("mtcnn-rnet", (0, 24, 24, 3)),
        ("mtcnn-onet", (2, 24, 24, 3)),
    ],
)
def test_a_batch_that_cannot_be_run_is_a_model_error(
    onnx_network: Load, name: str, shape: tuple[int, ...]
) -> None:
    with pytest.raises(ModelError, match=f"the network {name} failed on a batch") as caught:
        onnx_network(name)(_noise(*shape))
    assert "\n" not in str(caught.value)


def test_any_layout_of_the_pixels_is_taken(onnx_network: Load) -> None:
    network, pixels = onnx_network("mtcnn-rnet"), _noise(3, 24, 24, 3)

    backwards = network(pixels[::-1, :, ::-1])

    _require_same(backwards, network(np.ascontiguousarray(pixels[::-1, :, ::-1])))
    _require_same(network(pixels.astype(np.float64)), network(pixels))


@pytest.mark.weights
def test_facenet_on_noise_and_on_one_colour(onnx_network: Load) -> None:
    pixels = _noise(5, 160, 160, 3)
    pixels[1] *= 0.1
    pixels[2] = 88  # no deviation: the floor keeps it finite

    ours = onnx_network("facenet-128")(pixels)["embedding"]

    theirs = _tensorflow("facenet-128")(pixels)["embedding"]
    assert ours.shape == (5, 128)
    assert _cosines(ours, theirs).min() >= 0.99999
    np.testing.assert_allclose(np.linalg.norm(ours, axis=1), 1, atol=1e-5)


def _facenet_cosines(onnx_network: Load, crops: Crops) -> Any:
    rows = []
    for network in (onnx_network("facenet-128"), _tensorflow("facenet-128")):
        parts = np.array_split(crops.astype(np.float32), max(1, len(crops) // 20))
        rows.append(np.concatenate([network(part)["embedding"] for part in parts]))
    return _cosines(*rows)


@pytest.mark.weights
@pytest.mark.lfw
def test_facenet_on_faces(onnx_network: Load, crops: Crops) -> None:
    assert _facenet_cosines(onnx_network, crops).min() >= 0.99999


@pytest.mark.weights
@pytest.mark.lfw
@pytest.mark.full
@pytest.mark.timeout(1800)
def test_facenet_on_a_thousand_faces(onnx_network: Load, lfw_crops: Callable[[int], Crops]) -> None:
    cosines = _facenet_cosines(onnx_network, lfw_crops(1000))

    assert len(cosines) == 1000
    assert cosines.min() >= 0.99999


def _by_tf2onnx(function: Any, side: int | None) -> Callable[[Any], dict[str, Any]]:
    """TensorFlow's own graph as tf2onnx writes it, on ONNX Runtime."""
    import onnxruntime
    import tensorflow as tf
    import tf2onnx

    signature = [tf.TensorSpec([None, side, side, 3], tf.float32, name="pixels")]
    traced = tf.function(function, autograph=False)
    model, _ = tf2onnx.convert.from_function(traced, input_signature=signature, opset=17)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    names = [output.name for output in session.get_outputs()]
    return lambda pixels: dict(zip(names, session.run(names, {"pixels": pixels}), strict=True))


@pytest.mark.parametrize("name", MTCNN)
def test_mtcnn_against_tf2onnx(onnx_network: Load, name: str) -> None:
    import tensorflow as tf

    from facesearch.runtimes import tensorflow as runtime

    side = MTCNN[name]
    pixels = _noise(2, 37, 52, 3) if side is None else _noise(30, side, side, 3)

    def graph(batch: Any) -> Any:  # built inside, else its constants become inputs
        return runtime._BUILDERS[name](tf, NetworkSpec(name, TENSORFLOW))[1](batch)

    _require_same(onnx_network(name)(pixels), _by_tf2onnx(graph, side)(pixels))


@pytest.mark.weights
@pytest.mark.lfw
@pytest.mark.full
@pytest.mark.timeout(600)
def test_facenet_against_tf2onnx(onnx_network: Load, crops: Crops) -> None:
    pixels = crops[:20].astype(np.float32)

    function = _tensorflow("facenet-128")._function
    (theirs,) = _by_tf2onnx(function, 160)(pixels).values()

    assert _cosines(onnx_network("facenet-128")(pixels)["embedding"], theirs).min() >= 0.99999


@pytest.mark.weights
def test_another_standardisation_than_the_graph_s_is_refused(onnx_network: Load) -> None:
    onnx_network("facenet-128")
    options = RuntimeOptions("onnx", "cpu", precision="float32")

    with pytest.raises(UsageError, match="--runtime tensorflow"):
        load_network(NetworkSpec("facenet-128", options, standardise="fixed"))


def test_weights_that_do_not_fit_are_refused() -> None:
    from facesearch.runtimes.graphs.facenet import draw_facenet
    from facesearch.runtimes.graphs.mtcnn import draw_pnet

    with pytest.raises(WeightsError, match="4 arrays where the network has 13"):
        draw_pnet([np.zeros(3, np.float32)] * 4)
    with pytest.raises(WeightsError, match="layer Conv2d_1a_3x3 has 0 arrays"):
        draw_facenet({}, "face")
