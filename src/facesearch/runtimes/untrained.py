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
    from facesearch.runtimes.tensorflow import import_tensorflow

    tf = import_tensorflow(1)
    import keras

    keras.utils.set_random_seed(seed)
    if name.startswith("small-cnn"):
        return small_cnn_layers.embedding_model(keras)
    model = keras_applications.model_of(name)
    made = keras_applications.APPLICATIONS[name]
    random = np.random.default_rng(seed)
    blots = [
        tf.image.resize(random.uniform(0, 255, (4, cells, cells, 3)), (made.side, made.side))
        for cells in (4, 12, 40, made.side)
    ]
    _settle(model, made.scale(tf, tf.reduce_mean(tf.stack(blots), 0)))
    return model


def _settle(model: Any, pixels: Any) -> None:
    """Let the normalising layers see some made-up pictures once, as training would.

    Without it the numbers grow from layer to layer, and in the deepest networks rounding decides
    what comes out.
    """
    layers = [layer for layer in model.layers if type(layer).__name__ == "BatchNormalization"]
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.momentum = 0.0
    if layers:
        model(pixels, training=True)
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
