"""The back ends by their names; a new one is a line here."""

from __future__ import annotations

from collections.abc import Callable

from facesearch.records import Embeddings
from facesearch.search.brute import BruteBackend
from facesearch.search.codes import Coder, SearchBackend
from facesearch.search.eight_bit import EIGHT_BIT
from facesearch.search.exact import ExactBackend
from facesearch.search.flat import FlatBackend
from facesearch.search.pca import COMPONENTS, PcaBackend
from facesearch.search.rabitq import RABITQ
from facesearch.search.tensorflow import TensorflowBackend

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


def _by_codes(coder: Coder, rows: Embeddings) -> SearchBackend:
    return coder.over(rows) if coder.fits(*rows.shape) else FlatBackend(rows)
