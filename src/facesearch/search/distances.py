"""The one place where returned distances are computed, in float64."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from facesearch.records import Embeddings
from facesearch.search.blocks import blocks

_BLOCK_BYTES = 4 << 20  # a block that stays in the processor's cache is faster than a large one


def euclidean(query: NDArray[np.float32], rows: Embeddings) -> NDArray[np.float64]:
    """Distances between one query and each row.

    Sums squared differences. The faster form by dot products loses half the digits where they
    matter, at small distances. A row's distance does not depend on the rows beside it.

    Args:
        query: (dim,).
        rows: (n, dim), n may be 0.

    Returns:
        (n,), each 0 or more; at most 2 between unit vectors.
    """
    point = query.astype(np.float64)
    found = np.empty(len(rows), dtype=np.float64)
    # In blocks, so that a million rows need no second copy in float64.
    for block in blocks(len(rows), len(query), _BLOCK_BYTES):
        difference = rows[block] - point
        np.sqrt(np.square(difference, out=difference).sum(axis=1), out=found[block])
    return found


def similarity(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cosine of the unit vectors that lie ``distance`` apart, -1..1, same shape."""
    return 1.0 - np.square(distance) / 2.0
