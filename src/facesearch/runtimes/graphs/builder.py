"""Draws an ONNX graph node by node, with names of its own, in float32 or with 8-bit arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

OPSET = 17
IR_VERSION = 8
"""What goes with the operator set; older runtimes refuse newer ones."""

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Convolution:
    """A convolution's weights: ``kernel`` (height, width, inputs, outputs) as Keras has it,
    ``bias`` (outputs,). ``same`` pads as TensorFlow's "same" does for stride 1.
    """

    kernel: Floats
    bias: Floats
    stride: int = 1
    same: bool = False


class Rounding(Protocol):
    """What happens to the values between two operations, and to the weights of one."""

    def value(self, graph: GraphBuilder, name: str, like: str = "") -> str:
        """The name under which the value ``name`` goes on; ``like`` is a value that it only
        selects from.
        """
        ...

    def weights(self, graph: GraphBuilder, name: str, conv: Convolution, x: str) -> list[str]:
        """Enters kernel and bias of the convolution ``name`` over ``x``; their names."""
        ...


class GraphBuilder:
    """Collects nodes and weights; names follow the layers and never depend on when or where."""

    def __init__(self, rounding: Rounding | None = None) -> None:
        self._nodes: list[Any] = []
        self._weights: list[Any] = []
        self._rounding = rounding or Plain()

    def node(self, operation: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        """Adds one operation; the name of its output."""
        self._add(operation, inputs, [output], output, **attributes)
        return output

    def weight(self, name: str, array: NDArray[Any]) -> str:
        """Adds one array of weights; its name."""
        from onnx import numpy_helper

        self._weights.append(numpy_helper.from_array(np.asarray(array, order="C"), name))
        return name

    def convolution(
        self, name: str, x: str, conv: Convolution, activate: Callable[[str], str] | None = None
    ) -> str:
        """A convolution, then ``activate`` where there is one; rounded after both."""
        height, width = conv.kernel.shape[:2]
        before = [(height - 1) // 2, (width - 1) // 2] if conv.same else [0, 0]
        after = [height // 2, width // 2] if conv.same else [0, 0]
        y = self.node(
            "Conv",
            [x, *self._rounding.weights(self, name, conv, x)],
            name,
            kernel_shape=[height, width],
            strides=[conv.stride, conv.stride],
            pads=before + after,
        )
        return self._rounding.value(self, y if activate is None else activate(y))

    def relu(self, y: str) -> str:
        """Negative values become 0."""
        return self.node("Relu", [y], f"{y}/relu")

    def pool(self, name: str, x: str, size: int, stride: int, whole: bool = True) -> str:
        """The largest of each window; with ``whole`` only windows that lie inside, else those that
        begin inside.
        """
        y = self.node(
            "MaxPool",
            [x],
            name,
            kernel_shape=[size, size],
            strides=[stride, stride],
            ceil_mode=0 if whole else 1,
        )
        return self._rounding.value(self, y, like=x)

    def join(self, name: str, parts: Sequence[str]) -> str:
        """Channels one after the other."""
        return self._rounding.value(self, self.node("Concat", parts, name, axis=1))

    def add(self, name: str, x: str, y: str, activate: bool) -> str:
        """The sum, negative values made 0 where asked for."""
        total = self.node("Add", [x, y], name)
        return self._rounding.value(self, self.relu(total) if activate else total)

    def split(
        self, x: str, names: Sequence[str], sizes: Sequence[int], axis: int, *,
        whole_names: bool = False,
    ) -> list[str]:  # fmt: skip
        """The value cut into parts of ``sizes``, none of size 0, named below ``x`` or as they are.

        Returns:
            Their names.
        """
        parts = [name if whole_names else f"{x}/{name}" for name in names]
        parts = [part for part, size in zip(parts, sizes, strict=True) if size]
        counts = self.weight(f"{x}/sizes", np.array([size for size in sizes if size], np.int64))
        self._add("Split", [x, counts], parts, f"{x}/split", axis=axis)
        return parts

    def times(self, x: str, factors: Floats, name: str = "times", *, places: bool = True) -> str:
        """Each channel times its own factor; with ``places``, channels are rows of places."""
        shape = (-1, 1, 1) if places else (-1,)
        weight = self.weight(f"{x}/{name}/factors", factors.reshape(shape))
        return self.node("Mul", [x, weight], f"{x}/{name}")

    def larger(self, x: str, y: str) -> str:
        """The larger of two, value by value."""
        return self.node("Max", [x, y], f"{x}/larger")

    def _add(
        self, operation: str, inputs: Sequence[str], outputs: Sequence[str], name: str,
        **attributes: Any,
    ) -> None:  # fmt: skip
        from onnx import helper

        made = helper.make_node(operation, list(inputs), list(outputs), name=name, **attributes)
        self._nodes.append(made)

    def build(self, name: str, side: int | None, outputs: dict[str, Sequence[int | str]]) -> bytes:
        """The whole graph as a file.

        Args:
            name: the network's.
            side: of the square pixels it takes, None for any height and width.
            outputs: shapes after the batch; names in place of numbers where they vary.
        """
        from onnx import TensorProto, helper

        sides: list[int | str] = ["height", "width"] if side is None else [side, side]
        taken = helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["n", *sides, 3])
        given = [
            helper.make_tensor_value_info(output, TensorProto.FLOAT, ["n", *shape])
            for output, shape in outputs.items()
        ]
        graph = helper.make_graph(self._nodes, name, [taken], given, self._weights)
        model = helper.make_model(
            graph,
            producer_name="facesearch",
            ir_version=IR_VERSION,
            opset_imports=[helper.make_opsetid("", OPSET)],
        )
        return bytes(model.SerializeToString(deterministic=True))


class Plain:
    """Values and weights as they are."""

    def value(self, graph: GraphBuilder, name: str, like: str = "") -> str:
        """See ``Rounding``."""
        return name

    def weights(self, graph: GraphBuilder, name: str, conv: Convolution, x: str) -> list[str]:
        """See ``Rounding``."""
        kernel = conv.kernel.transpose(3, 2, 0, 1)
        return [
            graph.weight(f"{name}/kernel", kernel.astype(np.float32)),
            graph.weight(f"{name}/bias", conv.bias.astype(np.float32)),
        ]
