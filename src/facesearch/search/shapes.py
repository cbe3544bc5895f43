"""What every back end asks of rows and queries."""

from __future__ import annotations

import numpy as np

from facesearch.errors import RecipeMismatchError, StoreError
from facesearch.records import Embeddings
from facesearch.search.blocks import blocks

_FAR_FROM_UNIT = 0.01


def require_dim(queries: Embeddings, dim: int) -> None:
    """Make sure that queries are as long as the rows.

    Raises:
        RecipeMismatchError: they are not.
    """
    if queries.ndim != 2 or queries.shape[1] != dim:
        raise RecipeMismatchError(
            f"the query's embeddings have shape {queries.shape}, the gallery's rows have {dim} "
            "numbers; query with the recipe that made the store"
        )


def require_unit(rows: Embeddings) -> None:
    """Look at all rows, a block at a time.

    Raises:
        StoreError: one is far from unit length, or not finite.
    """
    for block in blocks(*rows.shape):
        with np.errstate(invalid="ignore", over="ignore"):
            lengths = np.linalg.norm(rows[block].astype(np.float64), axis=1)
        if not (np.abs(lengths - 1) < _FAR_FROM_UNIT).all():  # NaN is not
            raise _unsearchable("a row is not of unit length")


def require_finite(rows: Embeddings) -> None:
    """Look at all rows, a block at a time.

    Raises:
        StoreError: a value is not finite.
    """
    for block in blocks(*rows.shape):
        if not np.isfinite(rows[block]).all():
            raise _unsearchable("a value is not finite")


def _unsearchable(why: str) -> StoreError:
    return StoreError(f"the store's embeddings cannot be searched ({why}); run: facesearch check")
