"""Which of several overlapping boxes to keep."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BLOCK = 256
"""Boxes compared at once, which bounds memory on crowded photos."""


def suppress(
    rows: NDArray[np.float64], threshold: float, *, of_smaller: bool = False
) -> NDArray[np.intp]:
    """Drop each box that overlaps a better one by more than ``threshold``.

    A box counts even when it is dropped itself, as in the ``mtcnn`` package (greedy suppression
    would bring some boxes back).

    Args:
        rows: (n, 5): x1, y1, x2, y2, score.
        threshold: overlap above which the worse box goes, as a share of both boxes' union.
        of_smaller: take the share of the smaller box instead.

    Returns:
        Indices of the boxes kept, best first.
    """
    # Scores of exactly 1 are common; the package's own sort leaves them in the package's order.
    order = np.argsort(rows[:, 4])[::-1]
    if len(order) < 2:
        return order
    # Taken from top to bottom, a box needs comparing only with those at its own height.
    place = np.argsort(rows[order, 1], kind="stable")
    x1, y1, x2, y2 = rows[order[place], :4].T.astype(np.float32)
    areas = (x2 - x1) * (y2 - y1)
    tallest = (y2 - y1).max()
    kept = np.ones(len(order), bool)
    for start in range(0, len(order), BLOCK):
        mine = slice(start, start + BLOCK)
        first = np.searchsorted(y1, y1[start] - tallest)
        last = np.searchsorted(y1, y2[mine].max(), "right")
        near = slice(int(first), int(last))
        width = np.minimum.outer(x2[near], x2[mine]) - np.maximum.outer(x1[near], x1[mine])
        height = np.minimum.outer(y2[near], y2[mine]) - np.maximum.outer(y1[near], y1[mine])
        shared = np.maximum(width, 0, out=width) * np.maximum(height, 0, out=height)
        if of_smaller:
            whole = np.minimum.outer(areas[near], areas[mine])
        else:
            whole = np.add.outer(areas[near], areas[mine]) - shared
        better = place[near, None] < place[mine]
        kept[place[mine]] = ~((shared > threshold * whole) & better).any(axis=0)
    return order[kept]
