"""The networks on TensorFlow: the reference that other runtimes are compared with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from facesearch import weights
from facesearch.errors import DeviceError, ModelError, UsageError, WeightsError
from facesearch.runtimes import keras_applications, small_cnn_layers
from facesearch.runtimes.facenet_h5 import facenet_layers
from facesearch.runtimes.fetching import Fetch
from facesearch.runtimes.tensorflow_start import Graph, Shape, import_tensorflow, reason_of

if TYPE_CHECKING:
    from facesearch.runtimes import NetworkSpec, RuntimeOptions

_CPU_TEXT = "CPU, TensorFlow float32"

SMALLEST_SIDE = 12
"""The smallest photo, in pixels, on which P-Net has one answer."""


class TensorFlowNetwork:
    """A traced graph with fixed weights; safe to call from several threads.

    ``shape`` is that of a batch, None where any size goes.
    """

    def __init__(self, name: str, function: Any, shape: Shape, device: str) -> None:
        self._name = name
        self._function = function
        self._shape = shape
        self._device = device

    def __call__(self, batch: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """See ``facesearch.runtimes.Network``."""
        import tensorflow as tf

        self._check(np.shape(batch))
        try:
            with tf.device(self._device):
                outputs = self._function(tf.constant(batch, tf.float32))
            return {name: tensor.numpy() for name, tensor in outputs.items()}
        except Exception as error:  # whatever TensorFlow raises is the model's failure
            raise ModelError(
                f"the network {self._name} failed on a batch of shape {np.shape(batch)}: "
                f"{reason_of(error)}"
            ) from error

    def _check(self, shape: tuple[int, ...]) -> None:
        # TensorFlow can abort the whole process on arrays that shrink to nothing on the way.
        fits = len(shape) == len(self._shape) and shape[0] > 0
        for side, wanted in zip(shape[1:], self._shape[1:], strict=False):
            fits = fits and (side >= SMALLEST_SIDE if wanted is None else side == wanted)
        if not fits:
            raise ModelError(
                f"the network {self._name} takes no batch of shape {shape}; "
                f"it needs {self._shape}, sides from {SMALLEST_SIDE} pixels"
            )


def load(spec: NetworkSpec) -> TensorFlowNetwork:
    """Build ``spec``'s network. See ``facesearch.runtimes.load_network``."""
    _require_float32(spec.name, spec.options)
    tf = import_tensorflow(spec.options.threads)
    device = _device(tf, spec.options.device)
    build = _BUILDERS.get(spec.name)
    if build is None:
        known = ", ".join(_BUILDERS)
        raise UsageError(f"there is no network {spec.name!r}; choose one of {known}")
    try:
        with tf.device(device):
            shape, graph = build(tf, spec)
            signature = [tf.TensorSpec(shape, tf.float32)]
            traced = tf.function(graph, input_signature=signature, autograph=False)
            function = traced.get_concrete_function()
            return TensorFlowNetwork(spec.name, function, shape, device)
    except (WeightsError, UsageError):
        raise
    except Exception as error:
        raise ModelError(f"the network {spec.name} cannot be built: {reason_of(error)}") from error


def knows(name: str, device: str) -> bool:
    """Whether it can run the network."""
    return name in _BUILDERS


def make_ready(name: str, options: RuntimeOptions, fetch: Fetch) -> None:
    """See ``facesearch.runtimes.make_ready``."""
    _require_float32(name, options)
    weights.ensure(name, offline=fetch.offline, report=fetch.report, progress=fetch.progress)


def device_of(options: RuntimeOptions, name: str) -> str:
    """See ``facesearch.runtimes.device_name``."""
    if options.device == "cpu":
        return _CPU_TEXT
    tf = import_tensorflow(options.threads)
    if _device(tf, options.device) == "/CPU:0":
        return _CPU_TEXT
    details = tf.config.experimental.get_device_details(tf.config.list_physical_devices("GPU")[0])
    return f"{details.get('device_name', 'GPU')}, TensorFlow float32"


def _require_float32(name: str, options: RuntimeOptions) -> None:
    """With "auto", networks come here that ONNX Runtime does not have."""
    if options.precision == "int8":
        raise UsageError(f"{name} runs in float32 on TensorFlow; leave out --precision int8")


def _device(tf: Any, wanted: str) -> str:
    if wanted == "cpu":
        return "/CPU:0"
    if tf.config.list_physical_devices("GPU"):
        return "/GPU:0"
    if wanted == "gpu":
        raise DeviceError(
            "TensorFlow finds no GPU here; use --device cpu, or install on an NVIDIA machine: pip "
            "install 'onnxruntime-gpu[cuda,cudnn]' for FaceNet, 'tensorflow[and-cuda]' for the "
            "other systems"
        )
    return "/CPU:0"


def _mtcnn_arrays(name: str, count: int) -> Iterator[NDArray[np.float32]]:
    arrays = weights.load_arrays(name)
    if len(arrays) != count:
        raise WeightsError(
            f"the weights {name} hold {len(arrays)} arrays where the network has {count}; "
            "reinstall the mtcnn package"
        )
    return iter(arrays)


def _layer_kit(tf: Any, arrays: Iterator[NDArray[np.float32]]) -> dict[str, Any]:
    """Layers that take their weights from ``arrays`` in the order of MTCNN's files."""

    def take(count: int) -> list[Any]:
        return [tf.constant(next(arrays)) for _ in range(count)]

    def prelu(alpha: Any) -> Callable[[Any], Any]:
        return lambda x: tf.nn.relu(x) - alpha * tf.nn.relu(-x)

    def convolution() -> Callable[[Any], Any]:
        kernel, bias, alpha = take(3)
        activate = prelu(alpha)
        return lambda x: activate(tf.nn.bias_add(tf.nn.conv2d(x, kernel, 1, "VALID"), bias))

    def pixelwise() -> Callable[[Any], Any]:
        kernel, bias = take(2)
        return lambda x: tf.nn.bias_add(tf.nn.conv2d(x, kernel, 1, "VALID"), bias)

    def dense() -> Callable[[Any], Any]:
        kernel, bias = take(2)
        return lambda x: tf.nn.bias_add(tf.linalg.matmul(x, kernel), bias)

    def hidden() -> Callable[[Any], Any]:
        linear, activate = dense(), prelu(*take(1))
        return lambda x: activate(linear(x))

    return {"convolution": convolution, "pixelwise": pixelwise, "dense": dense, "hidden": hidden}


def _pnet(tf: Any, spec: NetworkSpec) -> tuple[Shape, Graph]:
    kit = _layer_kit(tf, _mtcnn_arrays(spec.name, 13))
    first, second, third = (kit["convolution"]() for _ in range(3))
    box, face = kit["pixelwise"](), kit["pixelwise"]()

    def graph(pixels: Any) -> dict[str, Any]:
        x = tf.nn.max_pool2d(first((pixels - 127.5) / 128.0), 2, 2, "SAME")
        x = third(second(x))
        return {"face": tf.nn.softmax(face(x))[..., 1], "box": box(x)}

    return [None, None, None, 3], graph


def _rnet(tf: Any, spec: NetworkSpec) -> tuple[Shape, Graph]:
    kit = _layer_kit(tf, _mtcnn_arrays(spec.name, 16))
    first, second, third = (kit["convolution"]() for _ in range(3))
    fourth = kit["hidden"]()
    box, face = kit["dense"](), kit["dense"]()

    def graph(pixels: Any) -> dict[str, Any]:
        x = tf.nn.max_pool2d(first((pixels - 127.5) / 128.0), 3, 2, "SAME")
        x = third(tf.nn.max_pool2d(second(x), 3, 2, "VALID"))
        x = fourth(_flat(tf, x))
        return {"face": tf.nn.softmax(face(x))[..., 1], "box": box(x)}

    return [None, 24, 24, 3], graph


def _onet(tf: Any, spec: NetworkSpec) -> tuple[Shape, Graph]:
    kit = _layer_kit(tf, _mtcnn_arrays(spec.name, 21))
    first, second, third, fourth = (kit["convolution"]() for _ in range(4))
    fifth = kit["hidden"]()
    box, landmarks, face = kit["dense"](), kit["dense"](), kit["dense"]()

    def graph(pixels: Any) -> dict[str, Any]:
        x = tf.nn.max_pool2d(first((pixels - 127.5) / 128.0), 3, 2, "SAME")
        x = third(tf.nn.max_pool2d(second(x), 3, 2, "VALID"))
        x = fourth(tf.nn.max_pool2d(x, 2, 2, "SAME"))
        x = fifth(_flat(tf, x))
        return {
            "face": tf.nn.softmax(face(x))[..., 1],
            "box": box(x),
            "landmarks": landmarks(x),
        }

    return [None, 48, 48, 3], graph


def _flat(tf: Any, x: Any) -> Any:
    """MTCNN's dense layers were trained on columns before rows."""
    count = x.shape[1] * x.shape[2] * x.shape[3]
    return tf.reshape(tf.transpose(x, [0, 2, 1, 3]), [-1, count])


def _facenet(tf: Any, spec: NetworkSpec) -> tuple[Shape, Graph]:
    layers = facenet_layers(weights.path_of(spec.name))
    model = _inception_resnet(tf, layers, spec.name)
    scale = _STANDARDISERS.get(spec.standardise)
    if scale is None:
        known = ", ".join(_STANDARDISERS)
        raise UsageError(f"there is no standardisation {spec.standardise!r}; choose one of {known}")

    def graph(pixels: Any) -> dict[str, Any]:
        return {"embedding": model(scale(tf, pixels), training=False)}

    return [None, 160, 160, 3], graph


def _inception_resnet(tf: Any, layers: dict[str, list[NDArray[np.float32]]], name: str) -> Any:
    from keras_facenet.inception_resnet_v1 import InceptionResNetV1

    dim = layers["Bottleneck"][0].shape[1] if "Bottleneck" in layers else 128
    model = InceptionResNetV1(input_shape=(160, 160, 3), classes=dim)
    for layer in model.layers:
        wanted = [tuple(weight.shape) for weight in layer.weights]
        if not wanted:
            continue
        found = [array.shape for array in layers.get(layer.name, [])]
        if found != wanted:
            raise WeightsError(
                f"the weights {name} do not fit the network: layer {layer.name} needs {wanted} "
                f"and the file has {found or 'none'}; pull them again with: "
                f"facesearch models pull {name}"
            )
        layer.set_weights(layers[layer.name])
    return model


def _standardise_face(tf: Any, pixels: Any) -> Any:
    # The floor keeps a face of one colour finite; it is that of FaceNet's own code.
    floor = 1.0 / float(np.sqrt(160 * 160 * 3))
    mean = tf.reduce_mean(pixels, [1, 2, 3], keepdims=True)
    deviation = tf.math.reduce_std(pixels, [1, 2, 3], keepdims=True)
    return (pixels - mean) / tf.maximum(deviation, floor)


def _standardise_fixed(tf: Any, pixels: Any) -> Any:
    return (pixels - 127.5) / 127.5


_STANDARDISERS = {"face": _standardise_face, "fixed": _standardise_fixed}

_BUILDERS: dict[str, Callable[[Any, Any], tuple[Shape, Graph]]] = {
    "mtcnn-pnet": _pnet,
    "mtcnn-rnet": _rnet,
    "mtcnn-onet": _onet,
    "facenet-128": _facenet,
    "facenet-512": _facenet,
    "vgg16": keras_applications.build,
    "inception-resnet-v2": keras_applications.build,
    "efficientnet-v2l": keras_applications.build,
    "small-cnn": small_cnn_layers.build,
    "small-cnn-without-pois": small_cnn_layers.build,
}
