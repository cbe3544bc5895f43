"""Rows looked at in blocks, so that memory does not depend on how many or how wide they are."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

BLOCK_BYTES = 64 << 20
"""What a block of rows may take once it is cast to float64."""

_WIDE = np.dtype(np.float64).itemsize


def rows_at_once(dim: int, size: int = BLOCK_BYTES) -> int:
    """How many rows of length ``dim`` make ``size`` bytes in float64, one at least."""
    return max(1, size // (max(1, dim) * _WIDE))


def blocks(count: int, dim: int, size: int = BLOCK_BYTES) -> Iterator[slice]:
    """Consecutive slices of ``count`` rows, of ``rows_at_once`` each."""
    step = rows_at_once(dim, size)
    for start in range(0, count, step):
        yield slice(start, min(start + step, count))
