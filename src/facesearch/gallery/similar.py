"""Answers that show one moment: copies of a photo, and the photos of a burst."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

import numpy as np

from facesearch.gallery import Look
from facesearch.records import Neighbor
from facesearch.store import Store

MOMENT = timedelta(seconds=10)
"""Photos of one moment were taken so near to the one that stands for them, or nearer."""
NEAR = 0.6
"""So near are faces in photos of one moment, at most; beyond that somebody else may be meant."""
COPY = 0.3
"""So near are faces in a photo and in one that was saved again, smaller or compressed more. Two
photos of one person in LFW lie 0.36 from each other or farther, 0.64 in the middle.
"""
_SAME_SHAPE = 0.02  # by how much width over height may differ, as a share


def fold(neighbors: Sequence[Neighbor], looks: Sequence[Look]) -> tuple[Neighbor, ...]:
    """One line for each moment, which its first photo stands for and has the others in ``similar``.

    A photo joins a line if its pixels are those of the line's first one; if it was taken within
    ``MOMENT`` of that and its face lies within ``NEAR`` of that one's; or, where one of the two has
    no capture time, if the faces lie within ``COPY`` and the photos have one shape. Ranks count
    lines. Whole photos, and rows that are not of unit length, join by pixels alone.

    Args:
        neighbors: nearest first, a photo at most once.
        looks: how each of them looks.
    """
    lines = _Lines(len(neighbors), looks[0].row.size if looks else 0)
    for neighbor, look in zip(neighbors, looks, strict=True):
        lines.add(neighbor, look)
    return tuple(
        dataclasses.replace(first, rank=rank, similar=tuple(others))
        for rank, (first, others) in enumerate(lines.members, start=1)
    )


class _Lines:
    """The lines so far: each one's first photo, and the others in it."""

    def __init__(self, most: int, dim: int) -> None:
        self.members: list[tuple[Neighbor, list[Neighbor]]] = []
        self._by_pixels: dict[bytes, int] = {}
        self._rows = np.empty((most, dim), np.float32)
        self._distances = np.empty(most)

    def add(self, neighbor: Neighbor, look: Look) -> None:
        line = self._by_pixels.get(look.pixels)
        if line is None and neighbor.box is not None and neighbor.similarity is not None:
            line = next(self._alike(neighbor, look), None)
        if line is not None:
            self.members[line][1].append(neighbor)
            return
        line = len(self.members)
        self.members.append((neighbor, []))
        self._by_pixels[look.pixels] = line
        self._rows[line] = look.row
        self._distances[line] = neighbor.distance

    def _alike(self, neighbor: Neighbor, look: Look) -> Iterator[int]:
        """Lines that it belongs to."""
        count = len(self.members)
        # Whoever is near to it is about as far from the query.
        start = int(np.searchsorted(self._distances[:count], neighbor.distance - NEAR))
        cosines = self._rows[start:count] @ look.row
        for place in np.flatnonzero(cosines >= 1 - NEAR**2 / 2).tolist():
            first, _ = self.members[start + place]
            distance = math.sqrt(max(0.0, 2 - 2 * float(cosines[place])))
            if _one_moment(first, neighbor, distance):
                yield start + place


def _one_moment(first: Neighbor, other: Neighbor, distance: float) -> bool:
    taken = _moment(first.taken), _moment(other.taken)
    if taken[0] is not None and taken[1] is not None:
        return abs(taken[0] - taken[1]) <= MOMENT
    shapes = first.width * other.height, other.width * first.height
    return distance <= COPY and abs(shapes[0] - shapes[1]) <= _SAME_SHAPE * max(shapes)


def _moment(taken: str) -> datetime | None:
    try:
        return datetime.fromisoformat(taken).replace(tzinfo=None) if taken else None
    except ValueError:  # a store may hold anything
        return None


def looks_of(store: Store, neighbors: Sequence[Neighbor]) -> list[Look]:
    """How answers of a store look.

    Raises:
        StoreError: the rows are damaged.
    """
    contents = _contents_of(store, neighbors)
    faces = [
        _face_of(store, content, neighbor.face or 1)
        for content, neighbor in zip(contents, neighbors, strict=True)
    ]
    pixels = store.contents.table.take("pixel_hash", np.array(contents, np.int64))
    rows = store.embeddings(faces)
    return [Look(each.tobytes(), row) for each, row in zip(pixels, rows, strict=True)]


def _contents_of(store: Store, neighbors: Sequence[Neighbor]) -> list[int]:
    starts = [int(neighbor.id.partition("-")[0], 16) for neighbor in neighbors]
    here = np.ascontiguousarray(store.contents.hash[:, :8]).view(">u8").reshape(-1)
    rows = np.flatnonzero(np.isin(here, np.array(starts, np.uint64)))
    # Dead ones first: whoever has a file wins.
    ordered = sorted(rows.tolist(), key=lambda row: bool(store.contents.live[row]))
    known = {int(here[row]): row for row in ordered}
    return [known[start] for start in starts]


def _face_of(store: Store, content: int, number: int) -> int:
    start, stop = store.contents.face_start(content), store.contents.face_stop(content)
    if not store.forgotten.faces:
        return start + number - 1
    return next(face for face in range(start, stop) if store.faces.number(face) == number)
