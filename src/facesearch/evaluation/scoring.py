"""Distances between a store's faces, as a system's search sees them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from facesearch.records import Embeddings

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_BLOCK_BYTES = 64_000_000
_PROBES_BYTES = 128_000_000
"""Very wide rows are read anew for each block of probes, so those may take more."""
_DIGITS = 13
"""Dot products tell equal rows apart by noise. Squares rounded to so many digits of the longest
row's tie as they should, and those of rows that differ do not.
"""


class Scorer(Protocol):
    """Compares faces of one store, named by their ids."""

    @property
    def probe_bytes(self) -> int:
        """Memory that comparing one probe with all faces takes."""

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

    @property
    def probe_bytes(self) -> int:
        """See ``Scorer.probe_bytes``."""
        return 8 * self.faces + 2 * self._row_bytes()

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
        lengths = _squared_lengths(points)
        for start, block in self._blocks():
            np.matmul(points, block.T, out=found[:, start : start + len(block)])
        found *= -2
        found += lengths[:, None]
        found += self._lengths
        longest = max(float(each.max(initial=0.0)) for each in (lengths, self._lengths))
        np.round(found, _digits(longest), out=found)
        return np.sqrt(np.maximum(found, 0.0, out=found), out=found)

    def between(self, first: Ints, second: Ints) -> Floats:
        """See ``Scorer.between``."""
        found = np.empty(len(first))
        for start, stop in spans(len(first), self._row_bytes()):
            difference = self.rows(first[start:stop]) - self.rows(second[start:stop])
            found[start:stop] = np.sqrt(np.square(difference).sum(axis=1))
        return found

    @cached_property
    def _lengths(self) -> Floats:
        """(faces,) squared lengths of all rows."""
        parts = [_squared_lengths(block) for _, block in self._blocks()]
        return np.concatenate([*parts, np.zeros(0)])

    def _row_bytes(self) -> int:
        return 8 * (self._parts[0].shape[1] if self._parts else 1)

    def _blocks(self) -> Iterator[tuple[int, Floats]]:
        for start, part in zip(self._starts, self._parts, strict=False):
            for first, last in spans(len(part), self._row_bytes()):
                yield int(start) + first, part[first:last].astype(np.float64)


def _squared_lengths(rows: Floats) -> Floats:
    return np.asarray(np.einsum("ij,ij->i", rows, rows), np.float64)


def _digits(largest: float) -> int:
    """Decimal places that a square keeps beside the largest one."""
    return _DIGITS - math.ceil(math.log10(largest)) if largest > 0 else _DIGITS


class CosineScorer:
    """Cosine distance (0..2) of rows that fit into memory, e.g. projected ones."""

    def __init__(self, rows: NDArray[np.float32]) -> None:
        """Take (faces, dim) rows of any length."""
        points = np.asarray(rows, np.float64)
        lengths = np.linalg.norm(points, axis=1, keepdims=True)
        self._unit: Floats = points / np.where(lengths > 0, lengths, 1.0)

    @property
    def probe_bytes(self) -> int:
        """See ``Scorer.probe_bytes``."""
        return 8 * len(self._unit)

    def distances(self, probes: Ints) -> Floats:
        """See ``Scorer.distances``."""
        distances = np.asarray(1.0 - self._unit[probes] @ self._unit.T, np.float64)
        np.maximum(distances, 0.0, out=distances)
        return np.round(distances, _DIGITS, out=distances)

    def between(self, first: Ints, second: Ints) -> Floats:
        """See ``Scorer.between``."""
        return 1.0 - np.asarray((self._unit[first] * self._unit[second]).sum(axis=1))


def probe_spans(count: int, scorer: Scorer) -> Iterator[tuple[int, int]]:
    """Ranges (start, stop) over ``count`` probes, each as many as are compared at once."""
    yield from spans(count, scorer.probe_bytes, _PROBES_BYTES)


def spans(
    count: int, item_bytes: int, block_bytes: int = _BLOCK_BYTES
) -> Iterator[tuple[int, int]]:
    """Ranges (start, stop) over ``count`` items, each of some ``block_bytes`` at most."""
    size = max(1, block_bytes // max(1, item_bytes))
    for start in range(0, count, size):
        yield start, min(count, start + size)
