"""Static 8-bit arithmetic: values rounded to ranges known beforehand, kernels channel by channel.

Source: Jacob et al. 2018, "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from facesearch.errors import ModelError
from facesearch.runtimes.graphs.builder import Convolution, GraphBuilder, Plain

_LEAST_STEP = np.float32(1e-6)  # of a kernel, so that a channel of zeros keeps its bias


@dataclass(frozen=True, slots=True)
class Ranges:
    """What values are on many faces: ``ends`` are the least and greatest of each, ``means`` the
    (channels,) means of some.
    """

    ends: Mapping[str, tuple[float, float]]
    means: Mapping[str, Sequence[float]] = field(default_factory=dict)


class Watching(Plain):
    """Lets values pass and remembers which ones 8-bit arithmetic would round: to steps of their own
    (``watched``), or to those of another value that they only select from (``alike``).
    """

    def __init__(self) -> None:
        self.watched: list[str] = []
        self.alike: list[str] = []

    def value(self, graph: GraphBuilder, name: str, like: str = "") -> str:
        """See ``builder.Rounding``."""
        (self.alike if like else self.watched).append(name)
        return name


@dataclass(frozen=True, slots=True)
class _Rounded:
    """Where a rounded value comes from, and the steps it is rounded to."""

    value: str
    steps: str
    scale: np.float32


@dataclass(slots=True)
class EightBit:
    """Rounds values to 256 steps of their range, and kernels to 255 steps a channel.

    Values get a pair of nodes, to 8 bits and back, from which the runtime makes integer arithmetic.
    A convolution over values that were never rounded, the pixels, stays in float32.
    """

    ranges: Ranges
    _rounded: dict[str, _Rounded] = field(default_factory=dict)

    def value(self, graph: GraphBuilder, name: str, like: str = "") -> str:
        """See ``builder.Rounding``."""
        if like:
            steps, scale = self._rounded[like].steps, self._rounded[like].scale
        else:
            steps, scale = self._steps(graph, name)
        pair = [f"{steps}/scale", f"{steps}/zero"]
        rounded = graph.node("QuantizeLinear", [name, *pair], f"{name}/uint8")
        back = graph.node("DequantizeLinear", [rounded, *pair], f"{name}/rounded")
        self._rounded[back] = _Rounded(name, steps, scale)
        return back

    def weights(self, graph: GraphBuilder, name: str, conv: Convolution, x: str) -> list[str]:
        """See ``builder.Rounding``."""
        if x not in self._rounded:
            return Plain().weights(graph, name, conv, x)
        widest = np.abs(conv.kernel).max(axis=(0, 1, 2)).astype(np.float32)
        scale = np.maximum(widest / np.float32(127), _LEAST_STEP)
        steps = np.rint(conv.kernel / scale).clip(-127, 127)
        bias_scale = (scale * self._rounded[x].scale).astype(np.float32)
        bias = conv.bias - self._shift(conv.kernel, steps * scale, self._rounded[x].value)
        kernel = steps.transpose(3, 2, 0, 1).astype(np.int8)
        return [
            _entered(graph, f"{name}/kernel", kernel, scale),
            _entered(
                graph, f"{name}/bias", np.rint(bias / bias_scale).astype(np.int32), bias_scale
            ),
        ]

    def _shift(
        self, kernel: NDArray[np.float32], rounded: NDArray[np.float32], value: str
    ) -> NDArray[np.float64]:
        """By how much rounding the kernel moves each output on average, where that can be told.

        Source: Nagel et al. 2019, "Data-Free Quantization Through Weight Equalization and Bias
        Correction".
        """
        total = np.zeros(kernel.shape[3])
        means = self.ranges.means.get(value)
        if means is not None:  # one product after the other, the same on every machine
            wrong = (rounded.astype(np.float64) - kernel) * np.array(means)[:, None]
            for part in wrong.reshape(-1, kernel.shape[3]):
                total = total + part
        return total

    def _steps(self, graph: GraphBuilder, name: str) -> tuple[str, np.float32]:
        if name not in self.ranges.ends:
            raise ModelError(f"no range of values is known for {name}; use --precision float32")
        low, high = (float(end) for end in self.ranges.ends[name])
        low, high = min(low, 0.0), max(high, 0.0)
        scale = np.float32(max(high - low, 1e-6) / 255)
        graph.weight(f"{name}/scale", np.array(scale))
        graph.weight(f"{name}/zero", np.array(round(-low / float(scale)), np.uint8))
        return name, scale


def _entered(
    graph: GraphBuilder, name: str, steps: NDArray[np.generic], scale: NDArray[np.float32]
) -> str:
    """Whole numbers and the scale of each output channel; the name of their product."""
    inputs = [
        graph.weight(f"{name}/steps", steps),
        graph.weight(f"{name}/scale", scale),
        graph.weight(f"{name}/zero", np.zeros(len(scale), steps.dtype)),
    ]
    return graph.node("DequantizeLinear", inputs, name, axis=0)
