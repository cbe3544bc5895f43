"""Rows made small: what of them is kept to search through quickly, and how it is made."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from facesearch.records import Embeddings
from facesearch.search.blocks import blocks
from facesearch.search.trusted import PlainRows, TrustedRows

Arrays = Mapping[str, NDArray[Any]]

CHECKSUM = "checksum"
_BLOCK_BYTES = 8 << 20


class CodedArray(NamedTuple):
    """One array of codes: ``chunks`` are pieces along its first axis, made on demand, one array
    after the other.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    chunks: Iterable[NDArray[Any]]


class SearchBackend(Protocol):
    """Finds the rows nearest to each query, by Euclidean distance; "pca" by the cosine distance of
    projections, "faiss-rabitq" by an estimate.
    """

    def search(self, queries: Embeddings, k: int) -> NDArray[np.int64]:
        """Look up the nearest rows of each query.

        Args:
            queries: (q, dim) float32, finite.
            k: how many rows for each query.

        Returns:
            (q, min(k, rows)) row numbers, nearest first. The order of rows at equal distance is
            the back end's own.

        Raises:
            RecipeMismatchError: queries and rows differ in dimension.
            StoreError: a row is not as it was written.
        """
        ...


@dataclass(frozen=True, slots=True)
class Coder:
    """A way to make rows small.

    Attributes:
        name: what the codes are called where they are kept.
        fits: whether rows of this number and length are worth it.
        arrays: the arrays to keep of (n, dim) rows, which are read from one end to the other and
            never copied as a whole; one of them, ``CHECKSUM``, is the CRC-32 of each row.
        backend: searches through such arrays, with the rows that they were made of.
        facts: the arrays besides codes and checksums, for rows of this length: dtype and shape.
        width: bytes of the code of a row of this length.
    """

    name: str
    fits: Callable[[int, int], bool]
    arrays: Callable[[Embeddings], Iterator[CodedArray]]
    backend: Callable[[Arrays, TrustedRows], SearchBackend]
    facts: Callable[[int], Mapping[str, tuple[str, tuple[int, ...]]]]
    width: Callable[[int], int]

    def suit(self, arrays: Arrays, count: int, dim: int) -> bool:
        """Whether arrays, which anybody may have written, are such as ``arrays`` makes of (count,
        dim) rows. faiss looks at no lengths: it would read beyond those that are too short.
        """
        expected = {
            "codes": ("|u1", (count, self.width(dim))),
            CHECKSUM: ("<u4", (count,)),
            **self.facts(dim),
        }
        found = {name: (array.dtype, array.shape) for name, array in arrays.items()}
        return found == {name: (np.dtype(kind), shape) for name, (kind, shape) in expected.items()}

    def over(self, rows: Embeddings) -> SearchBackend:
        """A back end whose codes are made now and held in memory.

        Raises:
            StoreError: a row holds a value that is not finite.
        """
        return self.backend(held(self.arrays(rows)), PlainRows(rows))


def held(arrays: Iterable[CodedArray]) -> dict[str, NDArray[Any]]:
    """The arrays in memory."""
    found = {}
    for name, dtype, shape, chunks in arrays:
        whole = np.empty(shape, dtype)
        start = 0
        for chunk in chunks:
            whole[start : start + len(chunk)] = chunk
            start += len(chunk)
        found[name] = whole
    return found


def coded(
    rows: Embeddings,
    width: int,
    encode: Callable[[Embeddings], NDArray[np.uint8]],
    facts: Callable[[], Iterable[CodedArray]],
) -> Iterator[CodedArray]:
    """The arrays of a coder: codes of ``width`` bytes a row, checksums, and what ``facts`` says
    once all rows were encoded.
    """
    count, dim = rows.shape
    checksum = np.zeros(count, np.uint32)

    def chunks() -> Iterator[NDArray[np.uint8]]:
        for block in blocks(count, dim, _BLOCK_BYTES):
            checksum[block] = checksums(rows[block])
            yield encode(rows[block])

    yield CodedArray("codes", "|u1", (count, width), chunks())
    yield CodedArray(CHECKSUM, "<u4", (count,), (checksum,))
    yield from facts()


def checksums(rows: Embeddings) -> NDArray[np.uint32]:
    """(n,) CRC-32 of each row's bytes, little-endian float32."""
    plain = np.ascontiguousarray(rows, "<f4")
    return np.fromiter((zlib.crc32(row.data) for row in plain), np.uint32, len(plain))
