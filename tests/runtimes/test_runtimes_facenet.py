"""FaceNet's two layouts of weights, written here with seeded numbers."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from facesearch.errors import UsageError, WeightsError
from facesearch.runtimes import (
    Fetch,
    NetworkSpec,
    RuntimeOptions,
    load_network,
    make_ready,
)
from facesearch.runtimes import tensorflow as runtime
from facesearch.runtimes.facenet_h5 import facenet_layers

TENSORFLOW = RuntimeOptions("tensorflow", "cpu")
ONNX = RuntimeOptions("onnx", "cpu")


@pytest.fixture(scope="module")
def model() -> Any:
    import keras
    from keras_facenet.inception_resnet_v1 import InceptionResNetV1

    keras.utils.set_random_seed(11)
    return InceptionResNetV1(input_shape=(160, 160, 3), classes=512)


@pytest.fixture(scope="module")
def plain_file(model: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The layout of keras-facenet's release: Keras 2's ``save_weights``."""
    import h5py

    path = tmp_path_factory.mktemp("weights") / "512.h5"
    with h5py.File(path, "w") as file:
        _write(file, model)
    return path


def _write(group: Any, model: Any) -> None:
    group.attrs["layer_names"] = [layer.name.encode() for layer in model.layers]
    for layer in model.layers:
        folder = group.create_group(layer.name)
        names = [f"{layer.name}/{weight.name}:0".encode() for weight in layer.weights]
        folder.attrs["weight_names"] = names
        for name, weight in zip(names, layer.weights, strict=True):
            folder[name.decode()] = np.asarray(weight)


def _small_file(path: Path, layers: dict[str, list[Any]], *, inside: str = "") -> Path:
    import h5py

    with h5py.File(path, "w") as file:
        group = file.create_group(inside) if inside else file
        for name, arrays in layers.items():
            folder = group.create_group(name)
            folder.attrs["weight_names"] = [f"{name}/{n}:0" for n in range(len(arrays))]
            for number, array in enumerate(arrays):
                folder[f"{name}/{number}:0"] = array
    return path


@pytest.mark.parametrize("inside", ["", "model_weights"])
def test_both_layouts_are_read(tmp_path: Path, inside: str) -> None:
    layers = {"a": [np.arange(6.0).reshape(2, 3), np.ones(3)], "empty": []}

    found = facenet_layers(_small_file(tmp_path / "w.h5", layers, inside=inside))

    assert list(found) == ["a", "empty"]
    np.testing.assert_array_equal(found["a"][0], layers["a"][0])
    assert [array.dtype for array in found["a"]] == [np.float32, np.float32]


def test_layer_names_in_parts_are_read(tmp_path: Path) -> None:
    import h5py

    path = _small_file(tmp_path / "w.h5", {"b": [np.ones(2)], "a": [np.zeros(1)]})
    with h5py.File(path, "a") as file:
        file.attrs["layer_names0"], file.attrs["layer_names1"] = [b"b"], [b"a"]

    assert list(facenet_layers(path)) == ["b", "a"]


@pytest.mark.parametrize("content", [b"", b"not h5 at all" * 99])
def test_a_file_that_is_no_weights_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "w.h5"
    path.write_bytes(content)

    with pytest.raises(WeightsError, match=r"w\.h5"):
        facenet_layers(path)


def test_a_missing_file_and_one_without_weights_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"none\.h5"):
        facenet_layers(tmp_path / "none.h5")
    with pytest.raises(WeightsError, match="no layer with weights"):
        facenet_layers(_small_file(tmp_path / "w.h5", {"a": []}))


def test_facenet_512_is_keras_own_model_with_fixed_scaling(
    model: Any, plain_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("facesearch.weights.path_of", lambda name: plain_file)
    network = load_network(NetworkSpec("facenet-512", TENSORFLOW, standardise="fixed"))
    pixels = np.random.default_rng(1).uniform(0, 255, (2, 160, 160, 3)).astype(np.float32)

    rows = network(pixels)["embedding"]

    assert rows.shape == (2, 512)
    expected = model((pixels - 127.5) / 127.5, training=False).numpy()
    np.testing.assert_allclose(rows, expected, atol=1e-5)


def test_every_layer_must_have_its_weights(model: Any) -> None:
    import tensorflow as tf

    layers = {layer.name: [np.asarray(w) for w in layer.weights] for layer in model.layers}
    name = "Block17_3_Branch_1_Conv2d_0b_1x7_BatchNorm"
    without = {key: value for key, value in layers.items() if key != name}
    short = {**layers, name: layers[name][:2]}
    wrong = {**layers, name: [np.zeros(5, np.float32)] * 3}

    for broken in (without, short, wrong):
        with pytest.raises(WeightsError, match=name):
            runtime._inception_resnet(tf, broken, "facenet-512")


def test_an_unknown_standardisation_is_refused(
    plain_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("facesearch.weights.path_of", lambda name: plain_file)

    with pytest.raises(UsageError, match="face, fixed"):
        load_network(NetworkSpec("facenet-512", TENSORFLOW, standardise="none"))


def test_each_face_is_standardised_by_itself() -> None:
    import tensorflow as tf

    pixels = np.random.default_rng(2).uniform(0, 255, (3, 160, 160, 3)).astype(np.float32)
    pixels[1] *= 0.1
    pixels[2] = 88  # no deviation: the floor keeps it finite

    scaled = runtime._standardise_face(tf, tf.constant(pixels)).numpy()

    for face, result in zip(pixels[:2], scaled, strict=False):
        np.testing.assert_allclose(result, (face - face.mean()) / face.std(), atol=2e-3)
    assert np.isfinite(scaled).all()
    np.testing.assert_allclose(scaled[2], 0, atol=1e-2)


@pytest.fixture
def graphs(plain_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of graphs; facenet-512's weights are seeded numbers."""
    monkeypatch.setenv("FACESEARCH_HOME", str(tmp_path))
    monkeypatch.setattr("facesearch.weights.path_of", lambda name: plain_file)
    monkeypatch.setattr("facesearch.weights.ensure", lambda name, **_: plain_file)
    return tmp_path / "models"


def test_facenet_512_on_onnx_runtime_is_keras_own_model(model: Any, graphs: Path) -> None:
    make_ready(["facenet-512"], ONNX, Fetch())
    pixels = np.random.default_rng(1).uniform(0, 255, (2, 160, 160, 3)).astype(np.float32)

    rows = load_network(NetworkSpec("facenet-512", ONNX, "fixed"))(pixels)["embedding"]

    expected = model((pixels - 127.5) / 127.5, training=False).numpy()
    assert rows.shape == (2, 512)
    np.testing.assert_allclose(rows, expected, atol=1e-5)
    with pytest.raises(UsageError, match="by 'fixed' here, not by 'face'"):
        load_network(NetworkSpec("facenet-512", ONNX, "face"))


def test_facenet_512_has_no_8_bit_arithmetic(graphs: Path) -> None:
    with pytest.raises(UsageError, match="leave out --precision int8"):
        make_ready(["facenet-512"], RuntimeOptions("onnx", "cpu", precision="int8"), Fetch())
    assert not graphs.exists()
