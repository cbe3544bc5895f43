"""faiss: a scan of 8-bit codes, then exact distances to the rows that can be nearest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from facesearch.errors import StoreError
from facesearch.records import Embeddings
from facesearch.search.blocks import blocks
from facesearch.search.codes import Arrays, CodedArray, Coder, coded
from facesearch.search.faiss_library import load_faiss, team
from facesearch.search.reranking import Found, exact_nearest, rounding
from facesearch.search.shapes import require_dim, require_finite
from facesearch.search.trusted import TrustedRows

LEAST_ROWS = 100_000
"""Fewer are as quickly compared as they are."""

_MOST_DIM = 1 << 15
"""The squares of longer rows overflow the whole numbers in which faiss sums them."""

_STEPS = 127
_ZERO = 128
_LEAST_SIZE = 1e-30
_ROUNDED = 2e-5
"""More steps than float32 gets wrong in one number while the error is measured."""


class EightBitBackend:
    """Every number of every row as one of 255 steps of one size, a fourth of the memory.

    faiss compares the codes as whole numbers, without an error of its own. The rounded query and
    the rounded rows are each off by a known length, so by the triangle inequality every true
    distance is known to within the sum, and ``exact_nearest`` loses nothing.
    """

    def __init__(self, arrays: Arrays, rows: TrustedRows) -> None:
        """Search ``rows`` by their codes, which may be mapped from a file."""
        self._faiss = load_faiss()
        self._codes, self._rows = arrays["codes"], rows
        self._scale, self._error = (float(fact) for fact in arrays["facts"])
        if not (0 < self._scale < np.inf and 0 <= self._error < np.inf):
            raise StoreError(
                "the codes kept beside the store make no sense; run facesearch check, or delete "
                "its folder .derived"
            )
        _, dim = rows.shape
        self._quantizer = self._faiss.ScalarQuantizer(
            dim, self._faiss.ScalarQuantizer.QT_8bit_direct_signed
        )
        self._team = team(self._faiss)

    def search(self, queries: Embeddings, k: int) -> NDArray[np.int64]:
        """See ``SearchBackend.search``."""
        require_dim(queries, self._rows.shape[1])
        return exact_nearest(self, self._rows, queries, k)

    def nearest(self, queries: Embeddings, count: int) -> Found:
        """See ``Candidates.nearest``."""
        exact = queries.astype(np.float64)
        rounded = np.clip(np.rint(exact * self._scale), -_STEPS, _STEPS)
        off = np.linalg.norm(exact - rounded / self._scale, axis=1) + self._error
        squares, numbers = self._scanned(rounded.astype(np.float32), count)
        last = np.sqrt(squares.max(axis=1).astype(np.float64)) / self._scale
        return numbers, last * (1 - rounding(queries.shape[1])) - off

    def _scanned(
        self, queries: NDArray[np.float32], count: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """(q, count) squared distances in steps, and the rows' numbers."""
        everything = slice(0, len(self._codes))
        if len(queries) > 1:
            single = self._team.map(
                lambda query: self._scan(query, everything, count), list(queries)
            )
            return np.stack([one[0] for one in single]), np.stack([one[1] for one in single])
        pieces = self._team.pieces(*self._codes.shape)
        parts = self._team.map(lambda piece: self._scan(queries[0], piece, count), pieces)
        squares = np.concatenate([part[0] for part in parts])
        numbers = np.concatenate([part[1] for part in parts])
        best = np.argpartition(squares, count - 1)[:count]
        return squares[None, best], numbers[None, best]

    def _scan(
        self, query: NDArray[np.float32], piece: slice, count: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """The nearest codes of a piece, in no order; infinitely far where it has too few."""
        faiss, codes = self._faiss, self._codes[piece]
        squares, numbers = np.full(count, np.inf, np.float32), np.full(count, -1, np.int64)
        scanner = self._quantizer.select_InvertedListScanner(
            faiss.METRIC_L2, None, True, None, False
        )
        scanner.list_no = 0  # else numbers have the list's in front
        scanner.set_query(faiss.swig_ptr(query))
        scanner.scan_codes(
            len(codes), faiss.swig_ptr(codes), None,
            faiss.swig_ptr(squares), faiss.swig_ptr(numbers), count,
        )  # fmt: skip
        return squares, numbers + piece.start


def arrays_of(rows: Embeddings) -> Iterator[CodedArray]:
    """See ``Coder.arrays``; ``facts`` are the steps in 1.0, and how far a row is from its code at
    most.

    Raises:
        StoreError: a row holds a value that is not finite.
    """
    largest = float(np.max([_largest(rows[block]) for block in blocks(*rows.shape)], initial=0.0))
    if not np.isfinite(largest):
        require_finite(rows)  # says what to do
    scale = np.float32(_STEPS / max(largest, _LEAST_SIZE))
    worst = np.zeros(1)

    def encode(block: Embeddings) -> NDArray[np.uint8]:
        steps = block * scale
        codes = np.clip(np.rint(steps), -_STEPS, _STEPS)
        steps -= codes
        worst[0] = max(worst[0], float(np.einsum("ij,ij->i", steps, steps).max()))
        return np.asarray(codes + _ZERO, np.uint8)

    def facts() -> Iterable[CodedArray]:
        error = (np.sqrt(worst[0]) * (1 + _ROUNDED) + np.sqrt(rows.shape[1]) * _ROUNDED) / scale
        yield CodedArray(
            "facts",
            "<f4",
            (2,),
            (np.array([scale, np.nextafter(np.float32(error), np.inf)], np.float32),),
        )

    return coded(rows, rows.shape[1], encode, facts)


def _largest(rows: Embeddings) -> float:
    # Two passes over a block in the cache are cheaper than a copy of it; NaN comes through both.
    return float(np.maximum(rows.max(), -rows.min()))


EIGHT_BIT = Coder(
    "codes-octets",
    lambda count, dim: count >= LEAST_ROWS and dim <= _MOST_DIM,
    arrays_of,
    EightBitBackend,
    lambda dim: {"facts": ("<f4", (2,))},
    lambda dim: dim,
)
