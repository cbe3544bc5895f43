import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from facesearch.errors import ModelError, WeightsError
from facesearch.runtimes import Network, NetworkSpec, RuntimeOptions, load_network
from facesearch.runtimes import tensorflow as runtime
from facesearch.runtimes import tensorflow_start as start

TENSORFLOW = RuntimeOptions("tensorflow", "cpu")


@pytest.fixture(scope="module")
def load() -> Callable[[str], Network]:
    return lambda name: load_network(NetworkSpec(name, TENSORFLOW))


def _pixels(*shape: int) -> Any:
    return np.random.default_rng(7).uniform(0, 255, shape).astype(np.float32)


def _package_model(stage: str) -> Any:
    from mtcnn import MTCNN

    return MTCNN().get_stage(stage_name=stage).model


@pytest.mark.parametrize(
    ("name", "stage", "shape", "outputs"),
    [
        ("mtcnn-pnet", "Stage PNET", (2, 37, 52, 3), ("box", "face")),
        ("mtcnn-rnet", "Stage RNET", (5, 24, 24, 3), ("box", "face")),
        ("mtcnn-onet", "Stage ONET", (3, 48, 48, 3), ("box", "landmarks", "face")),
    ],
)
def test_networks_give_what_the_package_gives(
    load: Callable[[str], Network], name: str, stage: str, shape: Any, outputs: tuple[str, ...]
) -> None:
    pixels = _pixels(*shape)
    ours = load(name)(pixels)
    theirs = [out.numpy() for out in _package_model(stage)((pixels - 127.5) / 128)]
    theirs[-1] = theirs[-1][..., 1]

    assert set(ours) == set(outputs)
    for output, expected in zip(outputs, theirs, strict=True):
        assert ours[output].dtype == np.float32
        np.testing.assert_allclose(ours[output], expected, atol=2e-5)


def test_pnet_takes_any_size_without_tracing_again(load: Callable[[str], Network]) -> None:
    network = load("mtcnn-pnet")

    for height, width in [(12, 12), (12, 301), (77, 30)]:
        rows, columns = -(-(height - 2) // 2) - 4, -(-(width - 2) // 2) - 4
        outputs = network(_pixels(1, height, width, 3))
        assert outputs["face"].shape == (1, rows, columns)
        assert outputs["box"].shape == (1, rows, columns, 4)
    # A concrete function has one graph and no way to trace a second.
    assert not hasattr(network._function, "experimental_get_tracing_count")  # type: ignore[attr-defined]


@pytest.mark.parametrize("shape", [(1, 5, 30, 3), (1, 40, 40, 1), (40, 40, 3), (0, 40, 40, 3)])
def test_a_batch_that_cannot_be_run_is_a_model_error(
    load: Callable[[str], Network], shape: Any
) -> None:
    with pytest.raises(ModelError, match="mtcnn-pnet takes no batch of shape"):
        load("mtcnn-pnet")(_pixels(*shape))


def test_a_failure_inside_is_a_model_error_of_one_line() -> None:
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec([None, None, None, 3])])
    def graph(x: Any) -> Any:
        return {"face": tf.reshape(x, [7])}

    network = runtime.TensorFlowNetwork("net", graph, [None, None, None, 3], "/CPU:0")
    with pytest.raises(
        ModelError, match=r"net failed on a batch of shape \(1, 20, 20, 3\)"
    ) as caught:
        network(_pixels(1, 20, 20, 3))
    assert "InvalidArgumentError" in str(caught.value)
    assert "requested shape has 7" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("words", ["OOM when allocating", "MemoryError"])
def test_running_out_of_memory_is_a_model_error(words: str) -> None:
    import tensorflow as tf

    def exhausted(_batch: Any) -> Any:
        if words == "MemoryError":
            raise MemoryError
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when\nallocating tensor")

    network = runtime.TensorFlowNetwork("net", exhausted, [None, None, None, 3], "/CPU:0")
    with pytest.raises(ModelError, match=words):
        network(_pixels(1, 20, 20, 3))


def test_weights_of_another_network_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("facesearch.weights.load_arrays", lambda name: [np.zeros(3)] * 4)

    with pytest.raises(WeightsError, match="4 arrays where the network has 13"):
        load_network(NetworkSpec("mtcnn-pnet", TENSORFLOW))


def test_weights_of_wrong_shape_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    arrays = [np.zeros(3, np.float32)] * 13
    monkeypatch.setattr("facesearch.weights.load_arrays", lambda name: arrays)

    with pytest.raises(ModelError, match="mtcnn-pnet cannot be built"):
        load_network(NetworkSpec("mtcnn-pnet", TENSORFLOW))


def test_only_known_noise_is_held_back(capfd: pytest.CaptureFixture[str]) -> None:
    with start._without_start_noise():
        os.write(2, b"I0000 oneDNN custom operations are on.\nsomething to know\n")

    assert capfd.readouterr().err == "something to know\n"


def test_noise_is_passed_on_when_the_import_fails(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ImportError), start._without_start_noise():
        os.write(2, b"libfoo.so: cannot open\n")
        raise ImportError

    assert "libfoo.so" in capfd.readouterr().err
