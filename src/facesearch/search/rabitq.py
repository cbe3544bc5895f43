"""faiss-rabitq: one bit for each number of a row, and exact distances to many of the nearest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facesearch.records import Embeddings
from facesearch.search.blocks import blocks
from facesearch.search.codes import Arrays, CodedArray, Coder, coded
from facesearch.search.eight_bit import LEAST_ROWS
from facesearch.search.faiss_library import load_faiss, team
from facesearch.search.reranking import Found, exact_nearest
from facesearch.search.shapes import require_dim, require_finite
from facesearch.search.trusted import TrustedRows

_OVERSAMPLED = 8
"""Bits mix the near ones thoroughly: so many times as many rows are looked at."""


class RabitqBackend:
    """The least memory: 24 bytes for a row of 128 numbers.

    What the bits say is an estimate whose error nobody can bound, so a neighbour may be missed;
    how many are is measured (docs/search.md). Distances are exact like everybody's.
    """

    def __init__(self, arrays: Arrays, rows: TrustedRows) -> None:
        """Search ``rows`` by their codes."""
        self._faiss = load_faiss()
        self._rows = rows
        self._team = team(self._faiss)
        codes = arrays["codes"]
        self._parts = [
            (piece.start, self._index(codes[piece], arrays["center"]))
            for piece in self._team.pieces(len(codes), rows.shape[1])
        ]

    def _index(self, codes: NDArray[np.uint8], center: NDArray[np.float32]) -> Any:
        index = _empty(self._faiss, center)
        index.add_sa_codes(codes)
        return index

    def search(self, queries: Embeddings, k: int) -> NDArray[np.int64]:
        """See ``SearchBackend.search``; some of the nearest may be missing."""
        require_dim(queries, self._rows.shape[1])
        return exact_nearest(self, self._rows, queries, k)

    def nearest(self, queries: Embeddings, count: int) -> Found:
        """See ``Candidates.nearest``; believed as it is."""
        count = min(_OVERSAMPLED * count, self._rows.shape[0])

        def scan(part: tuple[int, Any]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
            start, index = part
            squares, numbers = index.search(queries, min(count, index.ntotal))
            return squares, numbers + start

        parts = self._team.map(scan, self._parts)
        squares = np.concatenate([part[0] for part in parts], axis=1)
        numbers = np.concatenate([part[1] for part in parts], axis=1)
        best = np.argpartition(squares, count - 1, axis=1)[:, :count]
        return np.take_along_axis(numbers, best, 1), np.full(len(queries), np.inf)


def _empty(faiss: Any, center: NDArray[np.float32]) -> Any:
    index = faiss.IndexRaBitQ(len(center), faiss.METRIC_L2)
    index.train(np.ascontiguousarray(center[None]))  # what it learns is the mean
    return index


def arrays_of(rows: Embeddings) -> Iterator[CodedArray]:
    """See ``Coder.arrays``; ``center`` is what the bits count from, the mean row.

    Raises:
        StoreError: a row holds a value that is not finite.
    """
    require_finite(rows)
    count, dim = rows.shape
    total = sum((rows[block].sum(axis=0, dtype=np.float64) for block in blocks(count, dim)),
                np.zeros(dim))  # fmt: skip
    center = (total / max(1, count)).astype(np.float32)
    index = _empty(load_faiss(), center)

    def encode(block: Embeddings) -> NDArray[np.uint8]:
        return np.asarray(index.sa_encode(np.ascontiguousarray(block)), np.uint8)

    def facts() -> Iterable[CodedArray]:
        yield CodedArray("center", "<f4", (dim,), (center,))

    return coded(rows, index.sa_code_size(), encode, facts)


RABITQ = Coder(
    "codes-rabitq",
    lambda count, dim: count >= LEAST_ROWS,
    arrays_of,
    RabitqBackend,
    lambda dim: {"center": ("<f4", (dim,))},
    lambda dim: int(_empty(load_faiss(), np.zeros(dim, np.float32)).sa_code_size()),
)
