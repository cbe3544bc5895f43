"""Networks of whole photos with seeded random weights, to try their path without the real ones.

The files say in an attribute that they are not trained; whatever is made with them is marked so.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from facesearch.runtimes import keras_applications, small_cnn_layers
from facesearch.runtimes.keras_h5 import write_weights
from facesearch.weights.kept import UNTRAINED


def write_untrained(name: str, seed: int, path: Path) -> None:
    """Write random weights of the network ``name`` to ``path``, the same for the same seed.

    Raises:
        UsageError: there is no such network of whole photos.
        ModelError: TensorFlow cannot be loaded.
        OSError: the file cannot be written.
    """
    write_weights(untrained_model(name, seed), path, {UNTRAINED: seed})


def untrained_model(name: str, seed: int) -> Any:
    """The Keras model that ``write_untrained`` writes."""
    from facesearch.runtimes.tensorflow_start import import_tensorflow

    tf = import_tensorflow(1)
    import keras

    keras.utils.set_random_seed(seed)
    if name.startswith("small-cnn"):
        return small_cnn_layers.embedding_model(keras)
    model = keras_applications.model_of(name)
    made = keras_applications.APPLICATIONS[name]
    _settle(model, made.scale(tf, _pictures(tf, made.side, seed)))
    return model


def _pictures(tf: Any, side: int, seed: int) -> Any:
    """(12, side, side, 3): coarse and fine, dark and bright, flat and rich in contrast."""
    random = np.random.default_rng(seed)
    made = []
    for cells in (3, 5, 9, 16, 40, side) * 2:
        low, high = sorted(random.uniform(0, 255, 2))
        made.append(tf.image.resize(random.uniform(low, high, (cells, cells, 3)), (side, side)))
    return tf.cast(tf.stack(made), tf.float32)


def _settle(model: Any, pixels: Any) -> None:
    """Let the normalising layers see some made-up pictures once, as training would, and let the
    many blocks of EfficientNetV2 add little each.

    Without it the numbers grow from layer to layer, and in the deepest networks rounding decides
    what comes out.
    """
    layers = [layer for layer in model.layers if type(layer).__name__ == "BatchNormalization"]
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.momentum = 0.0
        if layer.name.endswith("project_bn") and not layer.name.endswith("a_project_bn"):
            layer.gamma.assign(0.01 * layer.gamma)
    if layers:
        model(pixels, training=True)
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
