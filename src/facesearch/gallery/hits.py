"""Faces found near a query, and how far to trust what a back end left out."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from facesearch.search.distances import similarity

if TYPE_CHECKING:
    from facesearch.gallery import Search
    from facesearch.recipes import Recipe

_SLACK = 32  # faces fetched beyond k at first, for photos with several faces and left-out ones
# Back ends round, so rows whose squared distances are closer than this share of the squared lengths
# involved may come in either order.
_TIE = 1e-6


@dataclass(frozen=True, slots=True)
class Hit:
    """A face, its distance to the query's row ``example``."""

    face: int
    distance: float
    example: int


Photos = Mapping[int, int] | NDArray[np.int64]
"""The photo of each face, by numbers."""


def first_fetch(k: int) -> int:
    """How many faces to fetch at first for ``k`` answers."""
    return 2 * k + _SLACK


def enough_hits(
    search: Search,
    fetch: int,
    nearest: Callable[[int], tuple[list[Hit], float]],
    photos: Callable[[list[Hit]], Photos],
) -> list[Hit]:
    """The hits that can be among the answers, one for each photo or face.

    Args:
        search: what is asked.
        fetch: how many faces to fetch at first; they become four times as many, and so on, until
            nothing that was left out can be an answer.
        nearest: hits among so many faces fetched, and the distance up to which none is missing
            (infinite when all were fetched).
        photos: the photo of each face among hits.
    """
    limit = math.inf if search.where.max_distance is None else search.where.max_distance
    while True:
        hits, certain = nearest(fetch)
        by = photos(hits) if search.by == "photo" else None
        best = [hit for hit in best_hits(hits, by) if hit.distance <= limit]
        sure = [hit for hit in best if hit.distance < certain]
        if search.k is not None and len(sure) >= search.k:
            return sure
        if certain > limit or math.isinf(certain):
            return best
        fetch *= 4


def best_hits(hits: Sequence[Hit], content: Photos | None) -> list[Hit]:
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


def cosine_of(hit: Hit, recipe: Recipe) -> float | None:
    """The cosine between both rows, which only rows of unit length tell by their distance."""
    if not recipe.extractor.unit:
        return None
    return float(similarity(np.array([hit.distance]))[0])
