"""MTCNN's three networks as graphs, arranged for speed; what they compute is the same.

PReLU is slow in ONNX Runtime, so it is written as the larger of a value and a multiple of it, and
comes after the first pooling, which leaves a quarter of the values.
Source: Zhang et al. 2016, "Joint Face Detection and Alignment Using Multitask Cascaded
Convolutional Networks"; the ``mtcnn`` package's arrays, in the order of its layers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facesearch.errors import WeightsError
from facesearch.runtimes.graphs.builder import Convolution, GraphBuilder

Floats = NDArray[np.float32]
Arrays = Sequence[Floats]

_TOGETHER = 16
"""Channels that the runtime computes at once; it is slow on what is no multiple of them."""


def draw_pnet(arrays: Arrays) -> bytes:
    """P-Net's graph, for photos of any size. Raises WeightsError where the arrays do not fit."""
    net = _Mtcnn(arrays, 13)
    x = net.conv("conv_3", net.conv("conv_2", net.first("conv_1", size=2)))
    net.heads_over(x)
    return net.graph.build(
        "mtcnn-pnet", None, {"face": ["rows", "columns"], "box": ["rows", "columns", 4]}
    )


def draw_rnet(arrays: Arrays) -> bytes:
    """R-Net's graph. Raises WeightsError where the arrays do not fit."""
    net = _Mtcnn(arrays, 16)
    x = net.graph.pool("pool_2", net.conv("conv_2", net.first("conv_1", size=3)), 3, 2)
    x = net.hidden("dense_4", net.conv("conv_3", x), 3)
    net.dense("box", x)
    net.face(x)
    return net.graph.build("mtcnn-rnet", 24, {"face": [], "box": [4]})


def draw_onet(arrays: Arrays) -> bytes:
    """O-Net's graph. Raises WeightsError where the arrays do not fit."""
    net = _Mtcnn(arrays, 21)
    x = net.graph.pool("pool_2", net.conv("conv_2", net.first("conv_1", size=3)), 3, 2)
    x = net.graph.pool("pool_3", net.conv("conv_3", x), 2, 2, whole=False)
    x = net.hidden("dense_5", net.conv("conv_4", x), 3)
    net.dense("box", x)
    net.dense("landmarks", x)
    net.face(x)
    return net.graph.build("mtcnn-onet", 48, {"face": [], "box": [4], "landmarks": [10]})


DRAWERS = {"mtcnn-pnet": draw_pnet, "mtcnn-rnet": draw_rnet, "mtcnn-onet": draw_onet}


@dataclass(frozen=True, slots=True)
class _Value:
    """A value whose channels lie in another ``order`` than the weights know, times ``sign``."""

    name: str
    order: NDArray[np.intp] | None = None
    sign: Floats | None = None


class _Mtcnn:
    """Draws layers that take their weights one after the other, in the order of the files."""

    def __init__(self, arrays: Arrays, count: int) -> None:
        if len(arrays) != count:
            raise WeightsError(
                f"MTCNN's weights hold {len(arrays)} arrays where the network has {count}; "
                "reinstall the mtcnn package"
            )
        self.graph = GraphBuilder()
        self._arrays: Iterator[Floats] = iter(arrays)

    def first(self, name: str, size: int) -> _Value:
        """The first convolution over the pixels, its PReLU and the pooling after it.

        The largest of PReLU's values in a window is taken after the pooling: with a slope from 0
        to 1 it is PReLU of the largest value m, max(m, slope m); with one above 1 that is
        -max(-m, -slope m); with a negative one the least value counts too, max(m, -slope l), l
        being the largest of the negated values, which the convolution gives besides.
        """
        graph, conv, slope = self.graph, self._on_pixels(), next(self._arrays).reshape(-1)
        falling, rising = np.flatnonzero(slope < 0), np.flatnonzero(slope >= 0)
        sizes = [len(falling), len(rising), len(falling)]
        sizes.append(-sum(sizes) % _TOGETHER)  # filled up with zeros
        spare = np.zeros((*conv.kernel.shape[:3], sizes[3]), np.float32)
        both = Convolution(
            np.concatenate(
                [conv.kernel[..., falling], conv.kernel[..., rising], -conv.kernel[..., falling],
                 spare], axis=-1,
            ),
            np.concatenate(
                [conv.bias[falling], conv.bias[rising], -conv.bias[falling], spare[0, 0, 0]]
            ),
        )  # fmt: skip
        x = graph.node("Transpose", ["pixels"], "channels_first", perm=[0, 3, 1, 2])
        pooled = graph.pool(f"{name}/pool", graph.convolution(name, x, both), size, 2, whole=False)
        names = ["falling", "rising", "negated", "spare"]
        graph.split(pooled, names, sizes, axis=1)
        low, high, negated, _ = (f"{pooled}/{part}" for part in names)
        steep = slope[rising] > 1
        sign = np.where(steep, np.float32(-1), np.float32(1))
        flat = graph.times(high, sign) if steep.any() else high
        ends = []
        if len(falling):
            ends.append(graph.larger(low, graph.times(negated, -slope[falling])))
        if len(rising):
            ends.append(graph.larger(flat, graph.times(high, sign * slope[rising], "slope")))
        joined = graph.join(f"{name}/prelu", ends)
        signs = np.concatenate([np.ones(len(falling), np.float32), sign])
        return _Value(joined, np.concatenate([falling, rising]), signs)

    def conv(self, name: str, x: _Value | str) -> str:
        """A convolution and its PReLU."""
        kernel, bias, slope = (next(self._arrays) for _ in range(3))
        value = _Value(x) if isinstance(x, str) else x
        if value.order is not None and value.sign is not None:
            kernel = kernel[:, :, value.order] * value.sign[:, None]
        y = self.graph.convolution(name, value.name, Convolution(kernel, bias))
        return self._prelu(y, slope)

    def hidden(self, name: str, x: str, side: int) -> str:
        """A dense layer over ``side`` by ``side`` places, and its PReLU.

        MTCNN's were trained on columns, lines, channels.
        """
        kernel, bias = next(self._arrays), next(self._arrays)
        places = kernel.reshape(side, side, -1, len(bias)).transpose(2, 1, 0, 3)
        y = self._gemm(name, self._flat(x), places.reshape(kernel.shape), bias)
        return self._prelu(y, next(self._arrays), places=False)

    def dense(self, name: str, x: str) -> str:
        """A dense layer."""
        return self._gemm(name, x, next(self._arrays), next(self._arrays))

    def _flat(self, x: str) -> str:
        """All values of an item in a row: channels, lines, columns."""
        return self.graph.node("Flatten", [x], "flat")

    def heads_over(self, x: str) -> None:
        """Box and face at every place, from one convolution."""
        box, box_bias = next(self._arrays), next(self._arrays)
        face, face_bias = self._odds()
        conv = Convolution(
            np.concatenate([face, box], axis=-1), np.concatenate([face_bias, box_bias])
        )
        y = self.graph.convolution("heads", x, conv)
        y = self.graph.node("Transpose", [y], "channels_last", perm=[0, 2, 3, 1])
        odds, _ = self.graph.split(y, ["odds", "box"], [1, 4], axis=3, whole_names=True)
        self._face(odds, axis=3)

    def face(self, x: str) -> None:
        """Whether it is a face, 0 to 1."""
        kernel, bias = self._odds()
        self._face(self._gemm("odds", x, kernel, bias), axis=1)

    def _on_pixels(self) -> Convolution:
        """The convolution of (pixels - 127.5) / 128, over pixels as they are."""
        kernel = next(self._arrays) / np.float32(128)
        bias = next(self._arrays)
        return Convolution(kernel, _shifted(bias, kernel))

    def _odds(self) -> tuple[Floats, Floats]:
        """From two logits to what the first is above the second."""
        kernel, bias = next(self._arrays), next(self._arrays)
        return kernel[..., :1] - kernel[..., 1:], bias[:1] - bias[1:]

    def _face(self, odds: str, axis: int) -> None:
        # Softmax of two, to the last bit: scores near 1 decide which box is best, and the
        # runtime's own Sigmoid is an approximation.
        graph = self.graph
        one = graph.weight("one", np.ones((1,) * (axis + 1), np.float32))  # slow as a scalar
        whole = graph.node("Add", [graph.node("Exp", [odds], "exp"), one], "plus_one")
        share = graph.node("Reciprocal", [whole], "share")
        graph.node("Squeeze", [share, graph.weight("axis", np.array([axis], np.int64))], "face")

    def _gemm(self, name: str, x: str, kernel: Floats, bias: Floats) -> str:
        weights = [
            self.graph.weight(f"{name}/kernel", kernel),
            self.graph.weight(f"{name}/bias", bias),
        ]
        return self.graph.node("Gemm", [x, *weights], name)

    def _prelu(self, y: str, slope: Floats, places: bool = True) -> str:
        slope = slope.reshape(-1)
        if (slope > 1).any():
            raise WeightsError("MTCNN's weights have a slope above 1; reinstall the mtcnn package")
        return self.graph.larger(y, self.graph.times(y, slope, places=places))


def _shifted(bias: Floats, kernel: Floats) -> Floats:
    """The bias that takes 127.5 from every pixel; summed one by one, the same on every machine."""
    total = np.zeros(len(bias), np.float64)
    for weights in kernel.reshape(-1, len(bias)).astype(np.float64):
        total = total + weights
    return (bias - total * 127.5).astype(np.float32)
