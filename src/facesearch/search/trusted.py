"""Rows that are believed: each one taken is held against what was written, where that is known."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from facesearch.records import Embeddings


class TrustedRows(Protocol):
    """(n, dim) float32 rows that back ends compare queries with in the end."""

    @property
    def shape(self) -> tuple[int, int]:
        """(n, dim)."""

    def take(self, numbers: NDArray[np.int64]) -> Embeddings:
        """(len(numbers), dim), a copy of these rows.

        Raises:
            StoreError: one is not as it was written.
        """

    def everything(self) -> Embeddings:
        """All rows where they lie.

        Raises:
            StoreError: one is not as it was written.
        """


class PlainRows:
    """Rows in memory, about which there is nothing to check."""

    def __init__(self, rows: Embeddings) -> None:
        self._rows = rows

    @property
    def shape(self) -> tuple[int, int]:
        """See ``TrustedRows.shape``."""
        count, dim = self._rows.shape
        return count, dim

    def take(self, numbers: NDArray[np.int64]) -> Embeddings:
        """See ``TrustedRows.take``."""
        return self._rows[numbers]

    def everything(self) -> Embeddings:
        """See ``TrustedRows.everything``."""
        return self._rows
