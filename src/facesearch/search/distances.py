"""The one place where returned distances are computed, in float64."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from facesearch.records import Embeddings

_ROWS_AT_ONCE = 4096


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
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        difference = rows[start : start + _ROWS_AT_ONCE] - point
        np.sqrt(
            np.square(difference, out=difference).sum(axis=1),
            out=found[start : start + _ROWS_AT_ONCE],
        )
    return found


def similarity(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cosine of the unit vectors that lie ``distance`` apart, -1..1, same shape."""
    return 1.0 - np.square(distance) / 2.0
