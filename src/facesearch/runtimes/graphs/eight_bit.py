"""Static 8-bit arithmetic: values rounded to ranges known beforehand, kernels channel by channel.

Source: Jacob et al. 2018, "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from facesearch.errors import ModelError
from facesearch.runtimes.graphs.builder import Convolution, GraphBuilder, Plain

Ranges = Mapping[str, tuple[float, float]]
"""Value -> its least and greatest on faces that it was watched on."""


class Watching(Plain):
    """Lets values pass and remembers which ones 8-bit arithmetic would round."""

    def __init__(self) -> None:
        self.watched: list[str] = []

    def value(self, graph: GraphBuilder, name: str, like: str = "") -> str:
        """See ``builder.Rounding``."""
        if not like:
            self.watched.append(name)
        return name


@dataclass(slots=True)
class EightBit:
    """Rounds values to 256 steps of their range, and kernels to 255 steps a channel.

    Values get a pair of nodes, to 8 bits and back, from which the runtime makes integer arithmetic.
    """

    ranges: Ranges
    _scales: dict[str, tuple[str, np.float32]] = field(default_factory=dict)

    def value(self, graph: GraphBuilder, name: str, like: str = "") -> str:
        """See ``builder.Rounding``."""
        steps, scale = self._scales[like] if like else self._steps(graph, name)
        pair = [f"{steps}/scale", f"{steps}/zero"]
        rounded = graph.node("QuantizeLinear", [name, *pair], f"{name}/uint8")
        back = graph.node("DequantizeLinear", [rounded, *pair], f"{name}/rounded")
        self._scales[back] = steps, scale
        return back

    def weights(self, graph: GraphBuilder, name: str, conv: Convolution, x: str) -> list[str]:
        """See ``builder.Rounding``."""
        kernel = conv.kernel.transpose(3, 2, 0, 1)
        widest = np.abs(kernel).max(axis=(1, 2, 3)).astype(np.float32)
        scale = np.maximum(widest, np.finfo(np.float32).tiny) / np.float32(127)
        steps = np.rint(kernel / scale[:, None, None, None]).clip(-127, 127)
        bias_scale = (scale * self._scales[x][1]).astype(np.float32)
        bias_steps = np.rint(conv.bias.astype(np.float64) / bias_scale)
        return [
            _entered(graph, f"{name}/kernel", steps.astype(np.int8), scale),
            _entered(graph, f"{name}/bias", bias_steps.astype(np.int32), bias_scale),
        ]

    def _steps(self, graph: GraphBuilder, name: str) -> tuple[str, np.float32]:
        if name not in self.ranges:
            raise ModelError(f"no range of values is known for {name}; use --precision float32")
        low, high = (float(end) for end in self.ranges[name])
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
