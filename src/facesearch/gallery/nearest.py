"""Which rows are nearest to which: by cosine, in blocks, to the bit the same however it is cut."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facesearch.records import Embeddings

MIN_COSINE = np.float32(0.6)
NONE = -1

_QUERIES_AT_ONCE = 512
_ROWS_AT_ONCE = 8192
_PAIR_VALUES_AT_ONCE = 1 << 22
_CROWDED = 4  # times as many candidates as places: worth a closer look before they are compared

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class NeighborLists:
    """For each of m rows its nearest others above ``MIN_COSINE``, nearest first, equal ones by
    number.

    Attributes:
        index: (m, k) int32, numbers of rows, then -1 where there are no more.
        cosine: (m, k) float32, 0 there.
    """

    index: NDArray[np.int32]
    cosine: NDArray[np.float32]

    @classmethod
    def empty(cls, count: int, k: int) -> NeighborLists:
        """Lists without an entry."""
        return cls(np.full((count, k), NONE, np.int32), np.zeros((count, k), np.float32))

    @property
    def k(self) -> int:
        """How many a list can hold."""
        return int(self.index.shape[1])

    @property
    def full(self) -> NDArray[np.bool_]:
        """(m,) whether there may be neighbours that found no place."""
        return np.asarray(self.index[:, -1] != NONE)

    def first(self, k: int) -> NeighborLists:
        """The ``k`` nearest of each."""
        return NeighborLists(self.index[:, :k], self.cosine[:, :k])

    def without(self, gone: NDArray[np.bool_]) -> NeighborLists:
        """The lists without some entries, those after them moved up.

        Args:
            gone: (m, k), which entries to drop.
        """
        index = np.where(gone, np.int32(NONE), self.index)
        order = np.argsort(index == NONE, axis=1, kind="stable")
        cosine = np.where(gone, np.float32(0), self.cosine)
        return NeighborLists(
            np.take_along_axis(index, order, axis=1), np.take_along_axis(cosine, order, axis=1)
        )


@dataclass(frozen=True, slots=True, eq=False)
class Queries:
    """Unit rows to find neighbours for: (q, dim), and for each its own number among the rows
    searched, which it is no neighbour of; -1 where it is not among them.
    """

    rows: Embeddings
    own: Ints

    @classmethod
    def outside(cls, rows: Embeddings) -> Queries:
        """Rows that are not among those searched."""
        return cls(rows, np.full(len(rows), NONE, np.int64))


def lists_of(rows: Embeddings, k: int) -> NeighborLists:
    """The ``k`` nearest others of all unit rows, (m, dim)."""
    lists = NeighborLists.empty(len(rows), k)
    add_neighbors(lists, Queries(rows, np.arange(len(rows))), rows)
    return lists


def add_neighbors(
    lists: NeighborLists, queries: Queries, rows: Embeddings, among: Ints | None = None
) -> None:
    """Enter rows into the queries' lists, in place, where they belong to the nearest.

    Args:
        lists: one for each query, without any of the rows to enter.
        queries: whose lists they are.
        rows: (m, dim) unit rows.
        among: numbers of the rows to enter, ascending; None for all.
    """
    count = len(rows) if among is None else len(among)
    for start in range(0, len(queries.rows), _QUERIES_AT_ONCE):
        part = slice(start, start + _QUERIES_AT_ONCE)
        here = NeighborLists(lists.index[part], lists.cosine[part])
        asked = Queries(queries.rows[part], queries.own[part])
        for first in range(0, count, _ROWS_AT_ONCE):
            last = min(first + _ROWS_AT_ONCE, count)
            numbers = np.arange(first, last) if among is None else among[first:last]
            block = rows[first:last] if among is None else rows[numbers]
            _enter_block(here, asked, block, numbers)


def _enter_block(lists: NeighborLists, asked: Queries, block: Embeddings, numbers: Ints) -> None:
    """Enter one block of rows into the lists of some queries."""
    near = _candidates(asked.rows @ block.T, lists, block.shape[1])
    query, row = np.nonzero(near)
    other = asked.own[query] != numbers[row]
    query, row = query[other], row[other]
    cosine = _cosines(asked.rows, query, block, row)
    above = cosine > MIN_COSINE
    query, number, cosine = query[above], numbers[row[above]], cosine[above]
    if not len(query):
        return
    touched = np.unique(query)
    held = lists.index[touched]
    _put(
        lists,
        np.concatenate([np.repeat(touched, lists.k)[held.ravel() != NONE], query]),
        np.concatenate([held[held != NONE], number]),
        np.concatenate([lists.cosine[touched][held != NONE], cosine]),
    )


def _put(lists: NeighborLists, query: Ints, number: Ints, cosine: NDArray[np.float32]) -> None:
    """Write the nearest of these pairs as the lists of their queries."""
    order = np.lexsort((number, -cosine, query))
    query, number, cosine = query[order], number[order], cosine[order]
    starts = np.flatnonzero(np.diff(query, prepend=-1))
    rank = np.arange(len(query)) - np.repeat(starts, np.diff(starts, append=len(query)))
    kept = rank < lists.k
    lists.index[query[kept], rank[kept]] = number[kept]
    lists.cosine[query[kept], rank[kept]] = cosine[kept]


def _candidates(products: NDArray[np.float32], lists: NeighborLists, dim: int) -> NDArray[np.bool_]:
    """(q, n) which rows may belong into the lists; a few that do not are among them.

    The products of a matrix product are rounded as its blocks fall, so they decide nothing: what
    is near enough by them is computed again, pair by pair.
    """
    slack = np.float32(max(1e-5, dim * 2.0**-23))
    floor = np.maximum(MIN_COSINE, np.where(lists.full, lists.cosine[:, -1], 0)) - slack
    near: NDArray[np.bool_] = products >= floor[:, None]
    places = lists.k + 1  # one for the query itself
    crowded = np.flatnonzero(near.sum(axis=1) > _CROWDED * places)
    if len(crowded):
        busy = products[crowded]
        last = np.partition(busy, busy.shape[1] - places, axis=1)[:, busy.shape[1] - places]
        near[crowded] &= busy >= (last - slack)[:, None]
    return near


def _cosines(
    first: Embeddings, at_first: Ints, second: Embeddings, at_second: Ints
) -> NDArray[np.float32]:
    """Cosines of pairs of unit rows, each the same whatever pairs are beside it and in which order
    the two are.
    """
    found = np.empty(len(at_first), np.float32)
    for part in _parts(len(at_first), first.shape[1]):
        products = first[at_first[part]].astype(np.float64)
        products *= second[at_second[part]]
        found[part] = products.sum(axis=1)
    return found


def _parts(count: int, dim: int) -> Iterator[slice]:
    step = max(1, _PAIR_VALUES_AT_ONCE // dim)
    for start in range(0, count, step):
        yield slice(start, start + step)
