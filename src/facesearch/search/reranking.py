"""Exact answers out of rounded ones: whatever a faster comparison may have missed is looked at.

A comparison of rounded rows comes near the true distance, and how near is known. So of the rows
that it leaves out none can be nearer than a certain distance; as long as the neighbours found lie
within, they are the true ones, and otherwise more are fetched.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from facesearch.records import Embeddings
from facesearch.search.distances import euclidean
from facesearch.search.trusted import TrustedRows

Found = tuple[NDArray[np.int64], NDArray[np.float64]]
"""(q, count) numbers of rows, and (q,) the distance that no other row is nearer than."""

_SPARE = 64
_MOST = 4
"""Where a fourth of all rows is to be fetched, looking at all of them is no dearer."""


class Candidates(Protocol):
    """A fast comparison of queries with all rows, right but for what it knows of."""

    def nearest(self, queries: Embeddings, count: int) -> Found:
        """Numbers of the ``count`` rows that seem nearest to each query, in any order."""


def exact_nearest(
    candidates: Candidates, rows: TrustedRows, queries: Embeddings, k: int
) -> NDArray[np.int64]:
    """(q, min(k, n)) numbers of the nearest rows, nearest first, by their float64 distances.

    Args:
        candidates: compares the queries with ``rows``.
        rows: the rows as they are.
        queries: (q, dim) float32, finite.
        k: how many for each.

    Raises:
        StoreError: a row is not as it was written.
    """
    total = rows.shape[0]
    k = max(0, min(k, total))
    found = np.empty((len(queries), k), np.int64)
    if not k:
        return found
    unsure = np.arange(len(queries))
    # Rounding to 8 bits mixes about one and a half times as many rows as are asked for.
    count = 2 * k + k // 2 + _SPARE
    while len(unsure) and count * _MOST < total:
        left = []
        numbers, beyond = candidates.nearest(queries[unsure], count)
        for query, near, bound in zip(unsure.tolist(), numbers, beyond.tolist(), strict=True):
            distances = euclidean(queries[query], rows.take(near))
            order = np.lexsort((near, distances))[:k]
            if distances[order[-1]] <= bound:
                found[query] = near[order]
            else:
                left.append(query)
        unsure = np.array(left, np.int64)
        count *= 2
    for query in unsure.tolist():
        distances = euclidean(queries[query], rows.everything())
        found[query] = np.argsort(distances, kind="stable")[:k]
    return found


def rounding(dim: int) -> float:
    """The largest relative error of a sum of ``dim`` squares in float32, at least four of them
    summed side by side, as every processor does it.
    """
    return (dim / 4 + 16) * float(np.finfo(np.float32).eps)


def vanishing(dim: int) -> float:
    """The largest error of such a sum where its parts are too small for float32."""
    return 4 * dim * float(np.finfo(np.float32).tiny)
