"""Rows in, indices of the nearest rows out. One file for each back end, one line to register it.

Back ends return indices alone; ``distances`` computes every distance that a person sees.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from facesearch.errors import UsageError
from facesearch.records import Embeddings
from facesearch.search.exact import ExactBackend

__all__ = ["BACKENDS", "SearchBackend", "load_backend"]


class SearchBackend(Protocol):
    """Finds the rows nearest to each query, by Euclidean distance."""

    def search(self, queries: Embeddings, k: int) -> NDArray[np.int64]:
        """Look up the nearest rows of each query.

        Args:
            queries: (q, dim) float32, finite.
            k: how many rows for each query.

        Returns:
            (q, min(k, rows)) row numbers, nearest first. The order of rows at equal distance is
            the back end's own.

        Raises:
            RecipeMismatchError: queries and rows differ in dimension.
        """
        ...


BACKENDS: dict[str, Callable[[Embeddings], SearchBackend]] = {
    "sklearn": ExactBackend,
}


def load_backend(name: str, rows: Embeddings) -> SearchBackend:
    """Make the back end ``name`` over ``rows``.

    Args:
        name: a key of ``BACKENDS``.
        rows: (n, dim) float32, n may be 0; a read-only memory map will do.

    Raises:
        UsageError: there is no back end of that name.
        StoreError: the rows cannot be searched.
    """
    if name not in BACKENDS:
        known = ", ".join(BACKENDS)
        raise UsageError(f"there is no search back end {name!r}; choose one of: {known}")
    return BACKENDS[name](rows)
