"""Photos that two stores have in folders of which one lies inside the other."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from facesearch.locations import as_location, key_below
from facesearch.store import Root, Store

Ints = NDArray[np.int64]


def rows_to_take(
    stores: Sequence[Store], roots: Sequence[Root], known_as: Sequence[Sequence[int]]
) -> list[Ints | None]:
    """Which files of each store are not in an earlier one under another root; None for all.

    Args:
        stores: in the order in which they count.
        roots: those of all of them together.
        known_as: for each store, which of ``roots`` its own are.
    """
    gone: list[set[int]] = [set() for _ in stores]
    for outer, inner, way in _nested(roots):
        having = [
            (number, list(own).index(root), prefix)
            for root, prefix in ((outer, way), (inner, ""))
            for number, own in enumerate(known_as)
            if root in own
        ]
        for first, second in itertools.combinations(sorted(having), 2):
            # Of one store both are as it has them; under one root, equal paths are equal files.
            if first[0] != second[0] and first[2] != second[2]:
                known = _keys(stores[first[0]], first[1], first[2])
                again = _keys(stores[second[0]], second[1], second[2])
                gone[second[0]].update(again[key] for key in known.keys() & again.keys())
    return [
        None if not rows else np.setdiff1d(np.arange(len(store.files)), sorted(rows))
        for store, rows in zip(stores, gone, strict=True)
    ]


def _nested(roots: Sequence[Root]) -> Iterator[tuple[int, int, str]]:
    """(outer, inner, way from the one to the other) of roots that lie inside each other."""
    places = [as_location(root.path) for root in roots]
    for outer, inner in itertools.permutations(range(len(roots)), 2):
        way = key_below(places[outer], places[inner])
        if way:
            yield outer, inner, way


def _keys(store: Store, root: int, prefix: str) -> dict[bytes, int]:
    """The files of a root at or below ``prefix``, by the path from there."""
    start = os.fsencode(prefix)
    rows = [row for part in store.files.below(root, start) for row in range(*part.indices(1 << 62))]
    return {store.files.path_bytes(row)[len(start) :].lstrip(b"/"): row for row in rows}
