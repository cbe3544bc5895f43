"""Networks drawn as ONNX graphs, straight from the arrays of their weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from facesearch.errors import UsageError

FLOAT32 = "float32"
INT8 = "int8"


@dataclass(frozen=True, slots=True)
class Drawing:
    """How a network is drawn. ``draw`` takes a precision and gives the ONNX file; ``precisions``
    are those that it can be drawn in. ``standardise`` is the only way of bringing pixels to one
    scale that the graph has, "" for networks that know one way anyhow. ``exact`` networks stay in
    float32 whatever is asked for: a detector's boxes would move by pixels.
    """

    draw: Callable[[str], bytes]
    precisions: tuple[str, ...] = (FLOAT32,)
    standardise: str = ""
    exact: bool = False


def drawing_of(name: str) -> Drawing:
    """How the network ``name`` is drawn.

    Raises:
        UsageError: it is not one of those that can be.
    """
    if name not in DRAWINGS:
        known = ", ".join(DRAWINGS)
        raise UsageError(f"ONNX Runtime has no network {name!r} here, but {known}")
    return DRAWINGS[name]


def _mtcnn(name: str) -> Callable[[str], bytes]:
    def draw(precision: str) -> bytes:
        import numpy as np

        from facesearch.runtimes.graphs.mtcnn import DRAWERS
        from facesearch.weights import load_arrays

        return DRAWERS[name]([np.asarray(array, np.float32) for array in load_arrays(name)])

    return draw


def _facenet(name: str, standardise: str) -> Callable[[str], bytes]:
    def draw(precision: str) -> bytes:
        from facesearch.runtimes.facenet_h5 import facenet_layers
        from facesearch.runtimes.graphs.eight_bit import EightBit
        from facesearch.runtimes.graphs.facenet import draw_facenet
        from facesearch.runtimes.graphs.ranges import ranges_of
        from facesearch.weights import path_of

        rounding = EightBit(ranges_of(name)) if precision == INT8 else None
        return draw_facenet(facenet_layers(path_of(name)), standardise, rounding)

    return draw


DRAWINGS = {
    "mtcnn-pnet": Drawing(_mtcnn("mtcnn-pnet"), exact=True),
    "mtcnn-rnet": Drawing(_mtcnn("mtcnn-rnet"), exact=True),
    "mtcnn-onet": Drawing(_mtcnn("mtcnn-onet"), exact=True),
    "facenet-128": Drawing(_facenet("facenet-128", "face"), (FLOAT32, INT8), "face"),
    "facenet-512": Drawing(_facenet("facenet-512", "fixed"), standardise="fixed"),
}
"""Network -> its drawing; 8-bit arithmetic needs a file of ranges beside the model cards."""
