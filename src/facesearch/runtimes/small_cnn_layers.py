"""The small network of the second course report: the layers that training and embedding share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from facesearch.runtimes import NetworkSpec
    from facesearch.runtimes.tensorflow_start import Graph, Shape

SIDE = 250
"""Side of a photo, in pixels."""
DIM = 107_648
"""29 x 29 x 128: what is left of a photo after the convolutions, flattened."""


def convolutions(keras: Any) -> list[Any]:
    """The layers from (n, 250, 250, 3) pixels, 0..255 as they are, to (n, 107,648).

    The three with weights are named conv_1, conv_2 and conv_3.
    """
    layers: list[Any] = []
    for number, filters in enumerate((32, 64, 128), 1):
        layers += [
            keras.layers.Conv2D(filters, 3, activation="relu", name=f"conv_{number}"),
            keras.layers.MaxPooling2D(2, name=f"pool_{number}"),
        ]
    return [*layers, keras.layers.Flatten(name="flatten")]


def embedding_model(keras: Any) -> Any:
    """The network that embeds, with new weights; ``keras_h5.write_weights`` keeps them in a file
    that ``weights.keep`` takes.
    """
    layers = [keras.layers.Input((SIDE, SIDE, 3)), *convolutions(keras)]
    return keras.Sequential(layers, name="small-cnn")


def build(tf: Any, spec: NetworkSpec) -> tuple[Shape, Graph]:
    """The trained network, ready to embed. See ``facesearch.runtimes.load_network``."""
    import keras

    from facesearch.runtimes.keras_h5 import read_weights
    from facesearch.weights import kept_file, remedy

    del tf
    model = embedding_model(keras)
    read_weights(model, kept_file(spec.name, spec.sha256), remedy(spec.name))

    def graph(pixels: Any) -> dict[str, Any]:
        return {"embedding": model(pixels, training=False)}

    return [None, SIDE, SIDE, 3], graph
