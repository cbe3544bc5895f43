"""Rows in, indices of the nearest rows out. One file for each back end, one line to register it.

Back ends return indices alone; ``distances`` computes every distance that a person sees.
"""

from __future__ import annotations

from collections.abc import Callable

from facesearch.errors import UsageError
from facesearch.records import Embeddings
from facesearch.search.auto import AUTO, Choice, choose
from facesearch.search.brute import BruteBackend
from facesearch.search.codes import Coder, SearchBackend
from facesearch.search.eight_bit import EIGHT_BIT
from facesearch.search.exact import ExactBackend
from facesearch.search.flat import FlatBackend
from facesearch.search.pca import COMPONENTS, PcaBackend
from facesearch.search.rabitq import RABITQ
from facesearch.search.tensorflow import TensorflowBackend

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


BACKENDS: dict[str, Callable[[Embeddings, int], SearchBackend]] = {
    "sklearn": lambda rows, components: ExactBackend(rows),
    "brute": lambda rows, components: BruteBackend(rows),
    "faiss": lambda rows, components: _by_codes(EIGHT_BIT, rows),
    "faiss-flat": lambda rows, components: FlatBackend(rows),
    "faiss-rabitq": lambda rows, components: _by_codes(RABITQ, rows),
    "tensorflow": lambda rows, components: TensorflowBackend(rows),
    "pca": lambda rows, components: PcaBackend(rows, components or COMPONENTS),
}

CODERS: dict[str, Coder] = {"faiss": EIGHT_BIT, "faiss-rabitq": RABITQ}
"""Back ends that search codes in place of rows, where there are many rows."""

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
    if name not in BACKENDS:
        known = ", ".join(BACKENDS)
        raise UsageError(f"there is no search back end {name!r}; choose one of: {known}")
    return BACKENDS[name](rows, components)


def _by_codes(coder: Coder, rows: Embeddings) -> SearchBackend:
    return coder.over(rows) if coder.fits(*rows.shape) else FlatBackend(rows)
