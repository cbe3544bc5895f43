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
from facesearch.search.brute import BruteBackend
from facesearch.search.exact import ExactBackend
from facesearch.search.pca import COMPONENTS, PcaBackend

__all__ = ["BACKENDS", "PLAIN_BACKENDS", "SearchBackend", "load_backend"]


class SearchBackend(Protocol):
    """Finds the rows nearest to each query, by Euclidean distance; "pca" by the cosine distance of
    projections.
    """

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


BACKENDS: dict[str, Callable[[Embeddings, int], SearchBackend]] = {
    "sklearn": lambda rows, components: ExactBackend(rows),
    "brute": lambda rows, components: BruteBackend(rows),
    "pca": lambda rows, components: PcaBackend(rows, components or COMPONENTS),
}

PLAIN_BACKENDS = ("sklearn", "brute")
"""Those fit for any query: exact, and quickly ready; "brute" is sooner, for it imports nothing."""


def load_backend(name: str, rows: Embeddings, components: int = 0) -> SearchBackend:
    """Make the back end ``name`` over ``rows``.

    Args:
        name: a key of ``BACKENDS``.
        rows: (n, dim) float32 of any length, n may be 0; a read-only memory map will do.
        components: how many "pca" keeps, 0 for the 400 of the course report; others have none.

    Raises:
        UsageError: there is no back end of that name.
        StoreError: the rows cannot be searched.
    """
    if name not in BACKENDS:
        known = ", ".join(BACKENDS)
        raise UsageError(f"there is no search back end {name!r}; choose one of: {known}")
    return BACKENDS[name](rows, components)
