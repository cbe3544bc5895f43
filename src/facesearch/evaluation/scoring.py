"""Distances between a store's faces, as a system's search sees them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from facesearch.records import Embeddings

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_BLOCK_BYTES = 64_000_000
_DIGITS = 6
"""Dot products tell equal rows apart by noise; rounded, they tie as they should."""


class Scorer(Protocol):
    """Compares faces of one store, named by their ids."""

    def distances(self, probes: Ints) -> Floats:
        """(probes, faces): from each probe to every face of the store, lower is closer."""

    def between(self, first: Ints, second: Ints) -> Floats:
        """(n,): from each of ``first`` to its counterpart in ``second``."""


class EuclideanScorer:
    """Euclidean distance of rows, in float64 and in blocks: rows may be larger than memory."""

    def __init__(self, parts: Sequence[Embeddings]) -> None:
        """Take the store's rows, one (n, dim) float32 array a segment."""
        self._parts = [part for part in parts if len(part)]
        self._starts = np.cumsum([0, *(len(part) for part in self._parts)])

    @property
    def faces(self) -> int:
        """How many rows there are."""
        return int(self._starts[-1])

    def rows(self, faces: Ints) -> Floats:
        """(n, dim) float64, the faces' rows."""
        part_of = np.searchsorted(self._starts, faces, side="right") - 1
        dim = self._parts[0].shape[1] if self._parts else 0
        rows = np.empty((len(faces), dim))
        for part in np.unique(part_of):
            here = part_of == part
            rows[here] = self._parts[part][faces[here] - self._starts[part]]
        return rows

    def distances(self, probes: Ints) -> Floats:
        """See ``Scorer.distances``."""
        return self.from_rows(self.rows(probes))

    def from_rows(self, points: Floats) -> Floats:
        """(points, faces): from each point, (n, dim), to every face."""
        found = np.empty((len(points), self.faces))
        lengths = np.square(points).sum(axis=1)[:, None]
        for start, block in self._blocks():
            squares = lengths + np.square(block).sum(axis=1) - 2 * (points @ block.T)
            found[:, start : start + len(block)] = squares
        np.sqrt(np.maximum(found, 0.0, out=found), out=found)
        return np.round(found, _DIGITS, out=found)

    def between(self, first: Ints, second: Ints) -> Floats:
        """See ``Scorer.between``."""
        found = np.empty(len(first))
        for start, stop in spans(len(first), self._row_bytes()):
            difference = self.rows(first[start:stop]) - self.rows(second[start:stop])
            found[start:stop] = np.sqrt(np.square(difference).sum(axis=1))
        return found

    def _row_bytes(self) -> int:
        return 8 * (self._parts[0].shape[1] if self._parts else 1)

    def _blocks(self) -> Iterator[tuple[int, Floats]]:
        for start, part in zip(self._starts, self._parts, strict=False):
            for first, last in spans(len(part), self._row_bytes()):
                yield int(start) + first, part[first:last].astype(np.float64)


class CosineScorer:
    """Cosine distance (0..2) of rows that fit into memory, e.g. projected ones."""

    def __init__(self, rows: NDArray[np.float32]) -> None:
        """Take (faces, dim) rows of any length."""
        points = np.asarray(rows, np.float64)
        lengths = np.linalg.norm(points, axis=1, keepdims=True)
        self._unit: Floats = points / np.where(lengths > 0, lengths, 1.0)

    def distances(self, probes: Ints) -> Floats:
        """See ``Scorer.distances``."""
        distances = np.asarray(1.0 - self._unit[probes] @ self._unit.T, np.float64)
        np.maximum(distances, 0.0, out=distances)
        return np.round(distances, _DIGITS, out=distances)

    def between(self, first: Ints, second: Ints) -> Floats:
        """See ``Scorer.between``."""
        return 1.0 - np.asarray((self._unit[first] * self._unit[second]).sum(axis=1))


def spans(count: int, item_bytes: int) -> Iterator[tuple[int, int]]:
    """Ranges (start, stop) over ``count`` items, each of some 64 MB at most."""
    size = max(1, _BLOCK_BYTES // max(1, item_bytes))
    for start in range(0, count, size):
        yield start, min(count, start + size)
