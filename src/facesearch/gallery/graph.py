"""The gallery's own nearest-neighbour graph, brought up to date for new and removed faces only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facesearch.gallery.nearest import NONE, Ints, NeighborLists, Queries, add_neighbors
from facesearch.records import Embeddings
from facesearch.store.columns import take_ranges
from facesearch.store.derived import FaceKeys, sortable

NAME = "neighbors"
USED = 5
"""Neighbours of a face that neighbour averaging takes."""
SPARE = 3
"""Further ones that step in where faces of the probe's own photo are left out."""
_HASH_BYTES = 32


@dataclass(frozen=True, slots=True, eq=False)
class NeighborGraph:
    """Each face's nearest others, faces numbered in the order of ``keys``."""

    keys: FaceKeys
    lists: NeighborLists

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What is kept beside the store (docs/store-format.md)."""
        return {
            "hash": self.keys.hash,
            "counts": self.keys.counts,
            "checksum": self.keys.checksum,
            "index": self.lists.index,
            "cosine": self.lists.cosine,
        }


@dataclass(frozen=True, slots=True, eq=False)
class Update:
    """What is to be done to make an earlier graph, or none, one of the faces ``keys``.

    ``lists`` are the earlier ones as far as they hold, ``new`` the faces that were not there,
    ``anew`` those and the ones whose list must be made again.
    """

    keys: FaceKeys
    lists: NeighborLists
    new: Ints
    anew: Ints

    @property
    def pairs(self) -> int:
        """How many pairs of faces are to be compared."""
        faces = len(self.keys.ids)
        return len(self.anew) * faces + (faces - len(self.anew)) * len(self.new)

    def done(self, rows: Embeddings) -> NeighborGraph:
        """The graph of ``rows``, (m, dim) unit rows of the faces in the order of ``keys``; equal to
        one made from nothing.
        """
        everybody = np.arange(len(rows))
        kept = np.setdiff1d(everybody, self.anew, assume_unique=True)
        index, cosine = self.lists.index.copy(), self.lists.cosine.copy()
        for faces, among in ((kept, self.new), (self.anew, None)):
            lists = NeighborLists(index[faces], cosine[faces])
            asked = rows if len(faces) == len(rows) else rows[faces]
            add_neighbors(lists, Queries(asked, faces), rows, among)
            index[faces], cosine[faces] = lists.index, lists.cosine
        return NeighborGraph(self.keys, NeighborLists(index, cosine))


def update(keys: FaceKeys, earlier: Mapping[str, NDArray[Any]] | None) -> Update:
    """What the graph of the faces ``keys`` takes, given the arrays of an earlier one, if any."""
    count = len(keys.ids)
    if earlier is None or not _fits(earlier):
        everybody = np.arange(count)
        return Update(keys, NeighborLists.empty(count, USED + SPARE), everybody, everybody)
    place = _places(earlier, keys)
    stay = np.flatnonzero(place != NONE)
    held = NeighborLists(earlier["index"], earlier["cosine"])
    gone = (held.index != NONE) & (place[held.index] == NONE)
    # A full list that lost one may have left others out; in any other list all are there.
    broken = held.full & gone.any(axis=1)
    left = held.without(gone)
    moved = np.where(left.index == NONE, NONE, place[left.index]).astype(np.int32)
    lists = NeighborLists.empty(count, USED + SPARE)
    sound = stay[~broken[stay]]
    lists.index[place[sound]], lists.cosine[place[sound]] = moved[sound], left.cosine[sound]
    everybody = np.arange(count)
    return Update(
        keys,
        lists,
        np.setdiff1d(everybody, place[stay]),
        np.setdiff1d(everybody, place[sound]),
    )


def current(keys: FaceKeys, arrays: Mapping[str, NDArray[Any]]) -> NeighborGraph | None:
    """A graph from its arrays, if it is that of these faces."""
    if not _fits(arrays) or len(arrays["index"]) != len(keys.ids):
        return None
    return NeighborGraph(keys, NeighborLists(arrays["index"], arrays["cosine"]))


def _fits(arrays: Mapping[str, NDArray[Any]]) -> bool:
    """Whether arrays are those of a graph as this version makes it."""
    if set(arrays) != {"hash", "counts", "checksum", "index", "cosine"}:
        return False
    contents, faces = len(arrays["hash"]), len(arrays["checksum"])
    forms = {
        "hash": ("|u1", (contents, _HASH_BYTES)),
        "counts": ("<i8", (contents,)),
        "checksum": ("<u4", (faces,)),
        "index": ("<i4", (faces, USED + SPARE)),
        "cosine": ("<f4", (faces, USED + SPARE)),
    }
    for name, (kind, shape) in forms.items():
        if arrays[name].dtype != np.dtype(kind) or arrays[name].shape != shape:
            return False
    index, counts = arrays["index"], arrays["counts"]
    return bool(
        np.all((index >= NONE) & (index < faces))
        and np.all((counts > 0) & (counts <= faces))  # so that their sum cannot run over
        and int(counts.sum()) == faces
        and np.isfinite(arrays["cosine"]).all()
    )


def _places(earlier: Mapping[str, NDArray[Any]], keys: FaceKeys) -> Ints:
    """(earlier faces,) the number of each by now, -1 where it is gone or its row is another."""
    counts = earlier["counts"]
    _, before, after = np.intersect1d(
        sortable(earlier["hash"]), sortable(keys.hash), assume_unique=True, return_indices=True
    )
    shared = np.minimum(counts[before], keys.counts[after])
    old = take_ranges((np.cumsum(counts) - counts)[before], shared)
    new = take_ranges((np.cumsum(keys.counts) - keys.counts)[after], shared)
    same = earlier["checksum"][old] == keys.checksum[new]
    place = np.full(int(counts.sum()), NONE, np.int64)
    place[old[same]] = new[same]
    return place
