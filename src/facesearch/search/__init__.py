"""Rows in, indices of the nearest rows out. Each back end has a file, and a line in ``backends``.

Back ends return indices alone; ``distances`` computes every distance that a person sees.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from facesearch.errors import UsageError
from facesearch.search.auto import AUTO, Choice, choose

if TYPE_CHECKING:
    from facesearch.records import Embeddings
    from facesearch.search.backends import BACKENDS, CODERS
    from facesearch.search.codes import SearchBackend
else:

    def __getattr__(name: str) -> Any:
        """What needs numpy, when it is asked for: the names of the back ends do not."""
        if name not in ("BACKENDS", "CODERS", "SearchBackend"):
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from facesearch.search import backends

        return getattr(backends, name)


__all__ = [
    "AUTO",
    "BACKENDS",
    "CODERS",
    "PLAIN_BACKENDS",
    "QUERY_BACKENDS",
    "Choice",
    "SearchBackend",
    "choose",
    "load_backend",
]

PLAIN_BACKENDS = ("sklearn", "brute", "faiss", "faiss-flat", "tensorflow")
"""Those fit for any query: exact."""

QUERY_BACKENDS = (AUTO, *PLAIN_BACKENDS, "faiss-rabitq")
"""What a query can choose."""


def load_backend(name: str, rows: Embeddings, components: int = 0) -> SearchBackend:
    """Make the back end ``name`` over ``rows``.

    Args:
        name: a key of ``BACKENDS``.
        rows: (n, dim) float32 of any length, n may be 0; a read-only memory map will do.
        components: how many "pca" keeps, 0 for the 400 of the course report; others have none.

    Raises:
        UsageError: there is no back end of that name, or what it needs is not installed.
        StoreError: the rows cannot be searched.
    """
    from facesearch.search.backends import BACKENDS

    if name not in BACKENDS:
        known = ", ".join(BACKENDS)
        raise UsageError(f"there is no search back end {name!r}; choose one of: {known}")
    return BACKENDS[name](rows, components)
