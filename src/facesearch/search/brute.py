"""The search of the first course report: the Euclidean distance to every row, in plain numpy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from facesearch.records import Embeddings
from facesearch.search.blocks import blocks
from facesearch.search.shapes import require_dim, require_finite


class BruteBackend:
    """Subtracts the query from every row, squares, sums and sorts."""

    def __init__(self, rows: Embeddings) -> None:
        """Keep ``rows``, (n, dim) float32, as they are; n may be 0.

        Raises:
            StoreError: a row holds a value that is not finite.
        """
        require_finite(rows)
        self._rows = rows

    def search(self, queries: Embeddings, k: int) -> NDArray[np.int64]:
        """See ``SearchBackend.search``; rows at equal distance come by number."""
        require_dim(queries, self._rows.shape[1])
        k = max(0, min(k, len(self._rows)))
        found = np.empty((len(queries), k), np.int64)
        for row, query in enumerate(queries):
            found[row] = np.argsort(self._distances(query), kind="stable")[:k]
        return found

    def _distances(self, query: NDArray[np.float32]) -> NDArray[np.float32]:
        """(rows,) distances in float32."""
        distances = np.empty(len(self._rows), np.float32)
        for rows in blocks(*self._rows.shape):
            difference = self._rows[rows] - query
            distances[rows] = np.sqrt(np.square(difference, out=difference).sum(axis=1))
        return distances
