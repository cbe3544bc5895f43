"""Which of several overlapping boxes to keep."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BLOCK = 256
"""Boxes compared at once, which bounds memory on crowded photos."""

Rows = NDArray[np.float64]


def best_first(rows: Rows, by: int = 4) -> Rows:
    """``rows`` by their scores, which are in column ``by``.

    Scores of exactly 1 are common; the ``mtcnn`` package's own sort leaves them in its order.
    """
    return rows[np.argsort(rows[:, by])[::-1]]


def suppress(
    rows: Rows,
    threshold: float,
    *,
    of_smaller: bool = False,
    apart: NDArray[np.intp] | None = None,
) -> Rows:
    """Drop each box that overlaps a better one by more than ``threshold``.

    A box counts even when it is dropped itself, as in the ``mtcnn`` package (greedy suppression
    would bring some boxes back).

    Args:
        rows: (n, 4 or more): x1, y1, x2, y2, best boxes first.
        threshold: overlap above which the worse box goes, as a share of both boxes' union.
        of_smaller: take the share of the smaller box instead.
        apart: (n,) numbers; boxes with different ones leave each other alone.

    Returns:
        The rows kept, in their order.
    """
    if len(rows) < 2:
        return rows
    x1, y1, x2, y2 = np.ascontiguousarray(rows[:, :4].T, np.float32)
    if apart is not None:  # as if they lay below each other
        below = apart * (y2.max() - y1.min() + 1)
        y1, y2 = y1 + below, y2 + below
    # Taken from top to bottom, a box needs comparing only with those at its own height.
    place = np.argsort(y1, kind="stable")
    x1, y1, x2, y2 = x1[place], y1[place], x2[place], y2[place]
    areas = (x2 - x1) * (y2 - y1)
    tallest = (y2 - y1).max()
    kept = np.ones(len(rows), bool)
    for start in range(0, len(rows), BLOCK):
        mine = slice(start, start + BLOCK)
        first = np.searchsorted(y1, y1[start] - tallest)
        last = np.searchsorted(y1, y2[mine].max(), "right")
        near = slice(int(first), int(last))
        width = np.minimum.outer(x2[near], x2[mine])
        width -= np.maximum.outer(x1[near], x1[mine])
        height = np.minimum.outer(y2[near], y2[mine])
        height -= np.maximum.outer(y1[near], y1[mine])
        shared = np.maximum(width, 0, out=width) * np.maximum(height, 0, out=height)
        if of_smaller:
            whole = np.minimum.outer(areas[near], areas[mine])
        else:
            whole = np.add.outer(areas[near], areas[mine]) - shared
        whole *= threshold
        worse = shared > whole
        worse &= place[near, None] < place[mine]
        kept[place[mine]] = ~worse.any(axis=0)
    return rows[kept]
