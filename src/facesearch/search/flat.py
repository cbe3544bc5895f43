"""faiss-flat: faiss compares the float32 rows where they lie, without a copy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from facesearch.records import Embeddings
from facesearch.search.faiss_library import load_faiss, team
from facesearch.search.reranking import Found, exact_nearest, rounding, vanishing
from facesearch.search.shapes import require_dim, require_finite
from facesearch.search.trusted import PlainRows

_AT_ONCE = 16
"""Up to so many queries faiss subtracts; for more it multiplies, and loses digits."""


class FlatBackend:
    """A plain scan in float32, the nearest by float64."""

    def __init__(self, rows: Embeddings) -> None:
        """Search ``rows``, (n, dim) float32, which may be mapped from a file; n may be 0.

        Raises:
            StoreError: a row holds a value that is not finite.
        """
        self._faiss = load_faiss()
        require_finite(rows)
        self._rows = rows
        self._team = team(self._faiss)

    def search(self, queries: Embeddings, k: int) -> NDArray[np.int64]:
        """See ``SearchBackend.search``."""
        require_dim(queries, self._rows.shape[1])
        return exact_nearest(self, PlainRows(self._rows), queries, k)

    def nearest(self, queries: Embeddings, count: int) -> Found:
        """See ``Candidates.nearest``."""
        starts = range(0, len(queries), _AT_ONCE)
        found = [self._nearest(queries[start : start + _AT_ONCE], count) for start in starts]
        return np.concatenate([one[0] for one in found]), np.concatenate([one[1] for one in found])

    def _nearest(self, queries: Embeddings, count: int) -> Found:
        rows, dim = self._rows, self._rows.shape[1]
        pieces = self._team.pieces(len(rows), rows.strides[0])

        def scan(piece: slice) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
            part = rows[piece]
            squares, numbers = self._faiss.knn(queries, part, min(count, len(part)))
            return squares, numbers + piece.start

        parts = self._team.map(scan, pieces)
        squares = np.concatenate([part[0] for part in parts], axis=1)
        numbers = np.concatenate([part[1] for part in parts], axis=1)
        best = np.argpartition(squares, count - 1, axis=1)[:, :count]
        last = np.take_along_axis(squares, best, 1).max(axis=1).astype(np.float64)
        # Beyond what float32 holds nothing is known.
        last[~np.isfinite(last)] = 0.0
        least = last * (1 - min(1.0, rounding(dim))) - vanishing(dim)
        return np.take_along_axis(numbers, best, 1), np.sqrt(np.maximum(least, 0.0))
