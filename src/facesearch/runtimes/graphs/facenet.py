"""FaceNet's graph: Inception-ResNet v1, its normalisations folded into the convolutions.

Sources: Szegedy et al. 2017, "Inception-v4, Inception-ResNet and the Impact of Residual Connections
on Learning", as keras-facenet builds it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from facesearch.errors import WeightsError
from facesearch.runtimes.graphs.builder import Convolution, GraphBuilder, Rounding

Layers = dict[str, list[NDArray[np.float32]]]

SIDE = 160
EPSILON = 0.001
"""Of the batch normalisations."""
_DEVIATION_FLOOR = 1.0 / float(np.sqrt(SIDE * SIDE * 3))
"""Keeps a face of one colour finite; it is that of FaceNet's own code."""


def draw_facenet(layers: Layers, standardise: str, rounding: Rounding | None = None) -> bytes:
    """The graph as an ONNX file.

    Args:
        layers: Keras's arrays by layer.
        standardise: "face" or "fixed"; see ``NetworkSpec``.
        rounding: 8-bit arithmetic; float32 when None.

    Raises:
        WeightsError: a layer is missing or has another shape.
    """
    return _FaceNet(layers, standardise, rounding).draw()


class _FaceNet:
    def __init__(self, layers: Layers, standardise: str, rounding: Rounding | None) -> None:
        self._layers = layers
        self._standardise = standardise
        self._graph = GraphBuilder(rounding)

    def draw(self) -> bytes:
        graph = self._graph
        x = self._standardised()
        x = self._conv("Conv2d_1a_3x3", x, stride=2)
        x = self._conv("Conv2d_2a_3x3", x)
        x = self._conv("Conv2d_2b_3x3", x, same=True)
        x = graph.pool("MaxPool_3a_3x3", x, 3, 2)
        x = self._conv("Conv2d_3b_1x1", x)
        x = self._conv("Conv2d_4a_3x3", x)
        x = self._conv("Conv2d_4b_3x3", x, stride=2)
        for number in range(1, 6):
            x = self._block(f"Block35_{number}", x, ((), ("0b_3x3",), ("0b_3x3", "0c_3x3")), 0.17)
        x = self._reduction("Mixed_6a", x, (("1a_3x3",), ("0a_1x1", "0b_3x3", "1a_3x3")))
        for number in range(1, 11):
            x = self._block(f"Block17_{number}", x, ((), ("0b_1x7", "0c_7x1")), 0.1)
        x = self._reduction(
            "Mixed_7a",
            x,
            (("0a_1x1", "1a_3x3"), ("0a_1x1", "1a_3x3"), ("0a_1x1", "0b_3x3", "1a_3x3")),
        )
        for number in range(1, 6):
            x = self._block(f"Block8_{number}", x, ((), ("0b_1x3", "0c_3x1")), 0.2)
        x = self._block("Block8_6", x, ((), ("0b_1x3", "0c_3x1")), 1.0, activate=False)
        return self._embedding(x)

    def _standardised(self) -> str:
        graph = self._graph
        x = graph.node("Transpose", ["pixels"], "channels_first", perm=[0, 3, 1, 2])
        if self._standardise == "fixed":
            x = graph.node("Sub", [x, self._scalar("middle", 127.5)], "centred")
            return graph.node("Div", [x, self._scalar("middle_2", 127.5)], "standardised")
        mean = graph.node("ReduceMean", [x], "mean", axes=[1, 2, 3])
        centred = graph.node("Sub", [x, mean], "centred")
        squares = graph.node("Mul", [centred, centred], "squares")
        variance = graph.node("ReduceMean", [squares], "variance", axes=[1, 2, 3])
        deviation = graph.node("Sqrt", [variance], "deviation")
        floor = self._scalar("floor", _DEVIATION_FLOOR)
        divisor = graph.node("Max", [deviation, floor], "divisor")
        return graph.node("Div", [centred, divisor], "standardised")

    def _scalar(self, name: str, value: float) -> str:
        return self._graph.weight(name, np.array(value, np.float32))

    def _conv(self, name: str, x: str, stride: int = 1, same: bool = False) -> str:
        """A convolution with its normalisation and activation."""
        kernel = self._array(name, 0, 1)
        beta, mean, variance = (self._array(f"{name}_BatchNorm", part, 3) for part in range(3))
        factor = (1 / np.sqrt(variance + np.float32(EPSILON))).astype(np.float32)
        conv = Convolution(kernel * factor, beta - mean * factor, stride, same)
        return self._graph.convolution(name, x, conv, self._graph.relu)

    def _block(
        self,
        name: str,
        x: str,
        branches: tuple[tuple[str, ...], ...],
        scale: float,
        activate: bool = True,
    ) -> str:
        """Branches over ``x``, each a 1x1 convolution and what follows it, added to ``x``."""
        ends = []
        for number, further in enumerate(branches):
            first = "0a_1x1" if further else "1x1"
            y = x
            for part in (first, *further):
                y = self._conv(f"{name}_Branch_{number}_Conv2d_{part}", y, same=True)
            ends.append(y)
        mixed = self._graph.join(f"{name}_Concatenate", ends)
        kernel, bias = (self._array(f"{name}_Conv2d_1x1", part, 2) for part in range(2))
        share = np.float32(scale)
        up = self._graph.convolution(
            f"{name}_Conv2d_1x1", mixed, Convolution(kernel * share, bias * share)
        )
        return self._graph.add(f"{name}_sum", x, up, activate)

    def _reduction(self, name: str, x: str, branches: tuple[tuple[str, ...], ...]) -> str:
        """Half the height and width: branches that end with stride 2, and the largest values."""
        ends = []
        for number, parts in enumerate(branches):
            y = x
            for part in parts:
                last = part == parts[-1]
                conv = f"{name}_Branch_{number}_Conv2d_{part}"
                y = self._conv(conv, y, stride=2 if last else 1, same=not last)
            ends.append(y)
        pool = f"{name}_Branch_{len(branches)}_MaxPool_1a_3x3"
        return self._graph.join(name, [*ends, self._graph.pool(pool, x, 3, 2)])

    def _embedding(self, x: str) -> bytes:
        graph = self._graph
        x = graph.node("GlobalAveragePool", [x], "AvgPool")
        x = graph.node("Flatten", [x], "features")
        kernel = self._array("Bottleneck", 0, 1)
        beta, mean, variance = (self._array("Bottleneck_BatchNorm", part, 3) for part in range(3))
        factor = (1 / np.sqrt(variance + np.float32(EPSILON))).astype(np.float32)
        weights = graph.weight("Bottleneck/kernel", kernel * factor)
        bias = graph.weight("Bottleneck/bias", beta - mean * factor)
        x = graph.node("Gemm", [x, weights, bias], "Bottleneck")
        graph.node("LpNormalization", [x], "embedding", axis=1, p=2)
        return graph.build("facenet", SIDE, {"embedding": [kernel.shape[1]]})

    def _array(self, layer: str, part: int, parts: int) -> NDArray[np.float32]:
        arrays = self._layers.get(layer, [])
        if len(arrays) != parts:
            raise WeightsError(
                f"the weights do not fit FaceNet: layer {layer} has {len(arrays)} arrays where "
                f"{parts} belong; pull them again with: facesearch models pull"
            )
        return arrays[part]
