"""What Keras's networks are given, which files fit them, and how they come here."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from facesearch import weights
from facesearch.errors import UsageError, WeightsError
from facesearch.runtimes import NetworkSpec, load_network
from facesearch.runtimes import keras_applications as applications
from facesearch.runtimes.keras_h5 import read_weights, write_weights
from facesearch.runtimes.small_cnn_layers import convolutions, embedding_model
from facesearch.runtimes.untrained import untrained_model, write_untrained

NAMES = list(applications.APPLICATIONS)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FACESEARCH_HOME", str(tmp_path / "home"))
    return tmp_path


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("vgg16", "vgg16"),
        ("inception-resnet-v2", "inception_resnet_v2"),
        ("efficientnet-v2l", "efficientnet_v2"),
    ],
)
def test_pixels_are_brought_to_scale_as_keras_does(name: str, module: str) -> None:
    import tensorflow as tf

    keras_module = importlib.import_module(f"keras.applications.{module}")
    pixels = np.random.default_rng(1).uniform(0, 255, (2, 9, 7, 3)).astype(np.float32)

    scaled = np.asarray(applications.APPLICATIONS[name].scale(tf, tf.constant(pixels)))

    expected = keras_module.preprocess_input(pixels.copy())
    np.testing.assert_allclose(scaled, expected, atol=2e-5)


def test_the_small_network_takes_pixels_as_they_are() -> None:
    import keras

    layers = convolutions(keras)
    assert [layer.name for layer in layers if "conv" in layer.name] == [
        "conv_1", "conv_2", "conv_3",
    ]  # fmt: skip
    model = embedding_model(keras)
    assert model.output_shape == (None, 107_648)
    assert [tuple(weight.shape) for weight in model.weights[::2]] == [
        (3, 3, 3, 32), (3, 3, 32, 64), (3, 3, 64, 128),
    ]  # fmt: skip


def test_the_small_network_is_the_reports_arithmetic(home: Path) -> None:
    """Convolution, ReLU and pooling, written out on one corner of a photo."""
    file = home / "given.h5"
    write_untrained("small-cnn", 3, file)
    weights.keep("small-cnn", file, {})
    arrays = [np.asarray(array) for array in untrained_model("small-cnn", 3).weights]
    pixels = np.random.default_rng(2).integers(0, 256, (1, 250, 250, 3)).astype(np.float32)

    row = load_network(NetworkSpec("small-cnn"))(pixels)["embedding"]

    x = pixels[0, :22, :22].astype(np.float64)
    for kernel, bias in zip(arrays[::2], arrays[1::2], strict=True):
        side = x.shape[0] - 2
        windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(0, 1))
        x = np.maximum(np.einsum("yxcij,ijco->yxo", windows, kernel) + bias, 0)
        even = side - side % 2
        x = x[:even, :even].reshape(even // 2, 2, even // 2, 2, -1).max(axis=(1, 3))
    corner = row.reshape(29, 29, 128)[:1, :1]
    np.testing.assert_allclose(corner, x[:1, :1], rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("name", [*NAMES, "small-cnn", "small-cnn-without-pois"])
def test_without_weights_there_is_no_network(home: Path, name: str) -> None:
    with pytest.raises(WeightsError, match="are missing") as caught:
        load_network(NetworkSpec(name))
    assert str(caught.value).endswith(weights.remedy(name))


def _network(sizes: tuple[int, ...]) -> Any:
    import keras

    layers = [keras.layers.Conv2D(size, 3, name=f"conv_{n}") for n, size in enumerate(sizes, 1)]
    return keras.Sequential([keras.layers.Input((250, 250, 3)), *layers])


@pytest.mark.parametrize("sizes", [(32, 64), (32, 64, 127), (32, 64, 128, 8)])
def test_weights_of_another_network_do_not_fit(home: Path, sizes: tuple[int, ...]) -> None:
    file = home / "given.h5"
    write_weights(_network(sizes), file)
    weights.keep("small-cnn", file, {})

    with pytest.raises(WeightsError, match="does not fit the network small-cnn") as caught:
        load_network(NetworkSpec("small-cnn"))
    assert "\n" not in str(caught.value)
    assert "run: facesearch train small-cnn FOLDER" in str(caught.value)


def test_layers_are_known_by_their_order_and_not_by_name(tmp_path: Path) -> None:
    """InceptionResNetV2's are numbered anew with every model that a process makes."""
    import keras

    def made() -> Any:
        layers = [keras.layers.Conv2D(4, 3), keras.layers.BatchNormalization()]
        return keras.Sequential([keras.layers.Input((8, 8, 3)), *layers])

    first, second = made(), made()
    first.layers[1].set_weights([np.full(4, value) for value in (1.0, 2.0, 3.0, 4.0)])
    assert first.layers[0].name != second.layers[0].name
    write_weights(first, tmp_path / "w.h5", {"mark": 1})

    read_weights(second, tmp_path / "w.h5", "nothing")

    for one, other in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_many_layers_have_their_names_in_parts(tmp_path: Path) -> None:
    """An attribute of an h5 file takes 64 kB."""
    import keras

    layers = [keras.layers.Dense(1, name=f"{'long' * 250}_{n}") for n in range(70)]
    first = keras.Sequential([keras.layers.Input((1,)), *layers])
    write_weights(first, tmp_path / "w.h5")
    before = first.get_weights()
    first.set_weights([np.zeros_like(array) for array in before])

    read_weights(first, tmp_path / "w.h5", "nothing")

    for one, other in zip(first.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, other)


def test_random_weights_follow_from_their_seed() -> None:
    once, again, other = (untrained_model("small-cnn", seed).get_weights() for seed in (1, 1, 2))
    assert all((one == two).all() for one, two in zip(once, again, strict=True))
    assert not all((one == two).all() for one, two in zip(once, other, strict=True))


@pytest.fixture
def keras_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keras's own cache folder, empty; no network leads anywhere."""
    monkeypatch.setattr("keras.src.backend.config._KERAS_DIR", str(home / "keras"))
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    (home / "keras" / "models").mkdir(parents=True)
    return home / "keras"


def test_the_file_is_the_one_in_keras_cache_folder(
    keras_home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[tuple[str, str | None]] = []

    def made(name: str, weights: str | None = None) -> None:
        sys.stdout.write("Downloading data from Keras")
        asked.append((name, weights))

    monkeypatch.setattr(applications, "model_of", made)
    with pytest.raises(WeightsError, match="Keras cannot download vgg16"):
        applications.download("vgg16")
    file = keras_home / "models" / weights.find("vgg16").member
    file.write_bytes(b"whole")

    assert applications.download("vgg16") == file
    assert asked == [("vgg16", "imagenet")] * 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Downloading data" in captured.err


def test_a_failed_download_says_how_to_bring_the_file(keras_home: Path) -> None:
    """The real function of Keras."""
    with pytest.raises(WeightsError) as caught:
        applications.download("inception-resnet-v2")

    line = str(caught.value)
    file = "inception_resnet_v2_weights_tf_dim_ordering_tf_kernels_notop.h5"
    assert "\n" not in line
    assert "Keras cannot download inception-resnet-v2 (URL fetch failure" in line
    assert line.endswith(f"facesearch models pull inception-resnet-v2 --from {file}")


def test_an_unknown_network_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match="vgg16, inception-resnet-v2"):
        applications.model_of("resnet")


def test_nothing_heavy_is_imported_for_a_name() -> None:
    import subprocess

    code = (
        "import sys, facesearch.runtimes.untrained, facesearch.extractors.whole_photo; "
        "print([name for name in ('tensorflow', 'keras', 'h5py') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
