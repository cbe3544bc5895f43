"""Faces found near a query, and how far to trust what a back end left out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Back ends round, so rows whose squared distances are closer than this share of the squared lengths
# involved may come in either order.
_TIE = 1e-6


@dataclass(frozen=True, slots=True)
class Hit:
    """A face, its distance to the query's row ``example``."""

    face: int
    distance: float
    example: int


def best_hits(
    hits: Sequence[Hit], content: Mapping[int, int] | NDArray[np.int64] | None
) -> list[Hit]:
    """The nearest hit of each photo (``content`` says which face is whose), or of each face."""
    best: dict[int, Hit] = {}
    for hit in sorted(hits, key=lambda hit: (hit.distance, hit.face)):
        best.setdefault(hit.face if content is None else int(content[hit.face]), hit)
    return list(best.values())


def nearest_hits(hits: Sequence[Hit], k: int | None) -> list[Hit]:
    """The ``k`` nearest (None: all), and whatever is as near as the last of them: which of those
    come first is not for distances to say.
    """
    if k is None or len(hits) <= k:
        return list(hits)
    last = sorted(hit.distance for hit in hits)[k - 1]
    return [hit for hit in hits if hit.distance <= last]


def certain_up_to(distance: float, length: float) -> float:
    """Up to where no row is nearer than the farthest fetched one, as far as a back end can tell.

    Args:
        distance: of the farthest fetched row.
        length: of the query; a row that near is at most as long as both together.
    """
    return math.sqrt(max(0.0, distance**2 - _TIE * (length + distance) ** 2))
