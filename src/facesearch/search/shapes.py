"""What every back end asks of rows and queries."""

from __future__ import annotations

import numpy as np

from facesearch.errors import RecipeMismatchError, StoreError
from facesearch.records import Embeddings
from facesearch.search.blocks import blocks


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


def require_finite(rows: Embeddings) -> None:
    """Look at all rows, a block at a time.

    Raises:
        StoreError: a value is not finite.
    """
    for block in blocks(*rows.shape):
        if not np.isfinite(rows[block]).all():
            raise StoreError(
                "the store's embeddings cannot be searched (a value is not finite); run: "
                "facesearch check"
            )
