"""VGG16, InceptionResNetV2 and EfficientNetV2L as Keras brings them, with weights from a file."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from facesearch.errors import ModelError, UsageError, WeightsError
from facesearch.runtimes.keras_h5 import read_weights

if TYPE_CHECKING:
    from facesearch.runtimes import NetworkSpec
    from facesearch.runtimes.tensorflow_start import Graph, Shape

Scale = Callable[[Any, Any], Any]
"""(tensorflow, pixels 0..255 RGB) -> what the network was trained on."""

BGR_MEANS = (103.939, 116.779, 123.68)
"""Of ImageNet's pixels, 0..255."""


@dataclass(frozen=True, slots=True)
class Application:
    """A network of ``keras.applications``: ``builder`` is its name there, ``side`` that of its
    input in pixels. ``layer`` gives the embedding, "" the last one. ``top``: with its dense layers.
    """

    builder: str
    side: int
    scale: Scale
    top: bool = False
    layer: str = ""


def model_of(name: str, weights: str | None = None) -> Any:
    """Keras's own model, with new random weights; ``weights="imagenet"`` is for ``download``.

    Raises:
        UsageError: Keras brings no such network.
    """
    import keras

    if name not in APPLICATIONS:
        raise UsageError(f"Keras brings no network {name!r}, but {', '.join(APPLICATIONS)}")
    made = APPLICATIONS[name]
    build = getattr(keras.applications, made.builder)
    shape = (made.side, made.side, 3)
    return build(include_top=made.top, weights=weights, input_shape=shape)


def build(tf: Any, spec: NetworkSpec) -> tuple[Shape, Graph]:
    """The network with the weights that were kept for it. See ``runtimes.load_network``."""
    import keras

    from facesearch.weights import kept_file, remedy

    path = kept_file(spec.name, spec.sha256)  # before seconds are spent on the network
    made = APPLICATIONS[spec.name]
    whole = model_of(spec.name)
    read_weights(whole, path, remedy(spec.name))
    last = whole.get_layer(made.layer).output if made.layer else whole.output
    model = keras.Model(whole.inputs, last)

    def graph(pixels: Any) -> dict[str, Any]:
        features = model(made.scale(tf, pixels), training=False)
        dim = int(np.prod(features.shape[1:]))
        return {"embedding": tf.reshape(features, [-1, dim])}

    return [None, made.side, made.side, 3], graph


def download(name: str) -> Path:
    """Let Keras fetch a network's ImageNet weights into its own cache folder, and check them.

    What Keras says about it goes to standard error.

    Raises:
        UsageError: Keras brings no such network.
        ModelError: TensorFlow or Keras cannot be loaded.
        WeightsError: they cannot be had; says how to bring them by hand.
    """
    from facesearch.runtimes.tensorflow_start import import_tensorflow
    from facesearch.weights import find

    import_tensorflow(1)
    import keras

    file = find(name).member
    try:
        with contextlib.redirect_stdout(sys.stderr):
            model_of(name, "imagenet")
            # Only Keras knows its cache folder; a file that lies there is not fetched again.
            found = keras.utils.get_file(file, f"file:///{file}", cache_subdir="models")
    except (UsageError, ModelError):
        raise
    except Exception as error:  # Keras raises bare exceptions for whatever the network does
        reason = " ".join(str(error).split())[:250]
        raise WeightsError(
            f"Keras cannot download {name} ({reason}); fetch {file} on another machine and run: "
            f"facesearch models pull {name} --from {file}"
        ) from error
    return Path(found)


def _caffe(tf: Any, pixels: Any) -> Any:
    return tf.reverse(pixels, [-1]) - tf.constant(BGR_MEANS, tf.float32)


def _minus_one_to_one(tf: Any, pixels: Any) -> Any:
    del tf
    return pixels / 127.5 - 1.0


def _as_they_are(tf: Any, pixels: Any) -> Any:
    """EfficientNetV2L scales its pixels in its own first layer."""
    del tf
    return pixels


APPLICATIONS = {
    "vgg16": Application("VGG16", 224, _caffe, top=True, layer="fc1"),
    "inception-resnet-v2": Application("InceptionResNetV2", 250, _minus_one_to_one),
    "efficientnet-v2l": Application("EfficientNetV2L", 250, _as_they_are),
}
"""Name in the weights manifest -> network; a further one is a line here."""
