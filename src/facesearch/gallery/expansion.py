"""Neighbour averaging: each embedding plus its nearest in the gallery, weighted by their cosine."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facesearch.gallery.graph import SPARE, USED
from facesearch.gallery.nearest import NONE, Ints, NeighborLists, Queries, add_neighbors, lists_of
from facesearch.records import Embeddings

_ROWS_AT_ONCE = 4096


class Expansion:
    """A gallery's rows, each plus its ``USED`` nearest others above cosine 0.6, weighted by the
    square of the cosine, and brought back to length 1.

    A person's photos support each other so: what they share stays, what light and pose add
    averages out. Faces that are the probe's own must not support others in its favour, so they can
    be left out, exactly.

    Attributes:
        plain: (n, dim) float32, the rows as they were.
        rows: (n, dim) float32, the expanded rows, unit length.
    """

    def __init__(self, rows: Embeddings, lists: NeighborLists | None = None) -> None:
        """Expand (n, dim) unit rows; ``lists`` are their ``USED + SPARE`` nearest others, found
        here when not given.
        """
        self.plain = rows
        self._lists = lists_of(rows, USED + SPARE) if lists is None else lists
        self.rows = np.empty((len(rows), rows.shape[1]), np.float32)
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            part = slice(start, start + _ROWS_AT_ONCE)
            lists = NeighborLists(self._lists.index[part], self._lists.cosine[part])
            self.rows[part] = self._expanded(rows[part], lists)

    def probe(self, row: NDArray[np.float32], left_out: ArrayLike = ()) -> NDArray[np.float32]:
        """Expand a row from outside the gallery.

        Args:
            row: (dim,), unit length.
            left_out: numbers of gallery rows that lend no support: the faces of its own photo.

        Returns:
            (dim,) float32, unit length.
        """
        (expanded,) = self._found_anew(Queries.outside(row[None]), _numbers(left_out))
        return np.asarray(expanded)

    def without(self, left_out: ArrayLike) -> tuple[Ints, Embeddings]:
        """What changes when some faces are taken out of the gallery.

        Args:
            left_out: their numbers: all faces of the probe's photo.

        Returns:
            (ids, rows): numbers (m,) of the rows, ascending, that had support from those faces, and
            their rows (m, dim) as an expansion without those faces has them.
        """
        gone = _numbers(left_out)
        lost = np.isin(self._lists.index[:, :USED], gone).any(axis=1)
        ids = np.setdiff1d(np.flatnonzero(lost), gone)
        held = NeighborLists(self._lists.index[ids], self._lists.cosine[ids])
        left = held.without(np.isin(held.index, gone))
        rows = self._expanded(self.plain[ids], left)
        short = np.flatnonzero(held.full & (left.index[:, USED - 1] == NONE))
        if len(short):
            asked = Queries(self.plain[ids[short]], ids[short])
            rows[short] = self._found_anew(asked, gone)
        return ids, rows

    def itself(self, left_out: ArrayLike) -> Embeddings:
        """(len(left_out), dim) rows of faces, none of which supports another."""
        gone = np.asarray(left_out, np.int64).reshape(-1)
        return self._found_anew(Queries(self.plain[gone], gone), _numbers(gone))

    def _found_anew(self, asked: Queries, left_out: Ints) -> Embeddings:
        """Expand rows by neighbours that are looked for among all but ``left_out``."""
        # With places for those too, the others that belong there are in the lists for certain.
        lists = NeighborLists.empty(len(asked.rows), USED + len(left_out))
        add_neighbors(lists, asked, self.plain)
        return self._expanded(asked.rows, lists.without(np.isin(lists.index, left_out)))

    def _expanded(self, rows: Embeddings, lists: NeighborLists) -> Embeddings:
        """(n, dim) rows with the support of the first of their lists."""
        total = rows.astype(np.float64)
        for place in range(USED if len(self.plain) else 0):
            # A place without a neighbour has cosine 0, so it takes any row, and nothing of it.
            weight = np.square(lists.cosine[:, place].astype(np.float64))
            total += weight[:, None] * self.plain[lists.index[:, place]]
        total /= np.linalg.norm(total, axis=1, keepdims=True)
        return total.astype(np.float32)


def _numbers(rows: ArrayLike) -> Ints:
    return np.unique(np.asarray(rows, np.int64).reshape(-1))
