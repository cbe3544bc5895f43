"""The default back end: scikit-learn looks at every row, on the caller's own memory."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from facesearch.errors import RecipeMismatchError, StoreError
from facesearch.records import Embeddings


class ExactBackend:
    """``NearestNeighbors`` by brute force, fitted without a copy of the rows.

    Euclidean rather than cosine: on unit vectors the order is the same and scikit-learn's search
    1.7 times faster.
    """

    def __init__(self, rows: Embeddings) -> None:
        """Fit on ``rows``, (n, dim) float32, C-contiguous so that nothing is copied; n may be 0.

        Raises:
            StoreError: a row holds a value that is not finite.
        """
        self._count, self._dim = rows.shape
        # scikit-learn refuses to be fitted on nothing.
        self._index = _fit(rows) if self._count else None

    def search(self, queries: Embeddings, k: int) -> NDArray[np.int64]:
        """See ``SearchBackend.search``."""
        if queries.ndim != 2 or queries.shape[1] != self._dim:
            raise RecipeMismatchError(
                f"the query's embeddings have shape {queries.shape}, the gallery's rows have "
                f"{self._dim} numbers; query with the recipe that made the store"
            )
        k = max(0, min(k, self._count))
        if self._index is None or not k or not len(queries):
            return np.empty((len(queries), k), dtype=np.int64)
        indices = self._index.kneighbors(queries, n_neighbors=k, return_distance=False)
        return np.asarray(indices, dtype=np.int64)


def _fit(rows: Embeddings) -> Any:
    from sklearn.neighbors import NearestNeighbors

    index = NearestNeighbors(algorithm="brute", metric="euclidean")
    try:
        return index.fit(rows)
    except ValueError as error:
        raise StoreError(
            f"the store's embeddings cannot be searched ({str(error).splitlines()[0]}); "
            "run: facesearch check"
        ) from error
