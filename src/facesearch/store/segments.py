"""One segment: an immutable set of arrays in a file, checked before they are believed."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facesearch.errors import StoreError
from facesearch.store import schema
from facesearch.store.archive import MAX_META, META, Archive, Member, damaged
from facesearch.store.head import encode_json
from facesearch.store.sealing import Key

Pieces = tuple[int, Iterable[NDArray[Any]]]
"""An array that is made a piece at a time: its length, and the pieces along its first axis."""


class Segment:
    """The arrays of one segment, mapped; each is verified when first asked for.

    Attributes:
        counts: rows of its tables.
        rows: (faces, dim) float32, the embeddings as a read-only view of the file, not verified.
    """

    def __init__(self, archive: Archive, counts: schema.Counts) -> None:
        self.archive = archive
        self.counts = counts
        self._require_shapes()
        self.rows: NDArray[np.float32] = archive.array("faces.embedding")
        self._columns: dict[str, NDArray[Any]] = {}
        self._sound_blocks = np.zeros(counts.rows("blocks"), np.bool_)

    def _require_shapes(self) -> None:
        """Raise unless exactly the arrays of the format are there, each of its type and shape."""
        archive = self.archive
        if archive.names != (META, *schema.NAMES):
            raise damaged(archive.path, "its arrays are not those of the format")
        for column in schema.COLUMNS:
            found = archive.shape(column.name)
            size = found[0] if found else 0
            expected = column.shape(self.counts, size)
            if archive.dtype(column.name) != column.dtype or found != expected:
                raise damaged(archive.path, f"{column.name} has the wrong type or shape")

    def column(self, name: str) -> NDArray[Any]:
        """A verified array, read-only.

        Raises:
            StoreError: its checksum is wrong or its offsets lead outside their blob.
        """
        found = self._columns.get(name)
        if found is None:
            found = self.archive.verified(name)
            if name.endswith("_offsets"):
                self._require_offsets(name, found)
            self._columns[name] = found
        return found

    def _require_offsets(self, name: str, offsets: NDArray[np.int64]) -> None:
        if name == "contents.face_offsets":
            end = self.counts.faces
        else:
            end = self.archive.shape(name.removesuffix("offsets") + "blob")[0]
        if offsets[0] != 0 or offsets[-1] != end or np.any(offsets[1:] < offsets[:-1]):
            raise damaged(self.archive.path, f"{name} does not rise from 0 to {end}")

    def require_blocks(self, blocks: NDArray[np.int64]) -> None:
        """Verify the embedding blocks with these numbers, each once.

        Raises:
            StoreError: one has a wrong checksum.
        """
        for block in blocks[~self._sound_blocks[blocks]].tolist():
            if not self.block_sound(block):
                first = block * schema.BLOCK_ROWS
                last = min(first + schema.BLOCK_ROWS, self.counts.faces) - 1
                raise damaged(self.archive.path, f"embeddings {first} to {last} are not as written")
            self._sound_blocks[block] = True

    def block_sound(self, block: int) -> bool:
        """Whether a block of 4,096 embeddings has its checksum."""
        start = block * schema.BLOCK_ROWS
        rows = self.rows[start : start + schema.BLOCK_ROWS]
        return block_checksum(rows) == int(self.column("faces.checksum")[block])


def open_segment(path: Path, counts: schema.Counts, sha256: str, key: Key | None = None) -> Segment:
    """Map a segment that the head names, with the key of its store if that is encrypted.

    Raises:
        StoreMissingError: there is no such file.
        StoreError: it is not the one that the head means.
    """
    archive = Archive.open(path, key)
    if archive.digest != sha256:
        raise damaged(path, "it is not the segment that the store names")
    return Segment(archive, counts)


def block_checksum(rows: NDArray[np.float32]) -> int:
    """CRC-32 of the rows' bytes, little-endian float32."""
    return zlib.crc32(np.ascontiguousarray(rows, "<f4").reshape(-1).view(np.uint8).data)


def segment_members(
    columns: Callable[[str], NDArray[Any] | Pieces],
    counts: schema.Counts,
    embeddings: Callable[[int, int], NDArray[np.float32]],
) -> Iterator[Member]:
    """The members of a segment but for ``meta``, in file order.

    Args:
        columns: gives every other array by its name, but for ``faces.checksum``; asked for one
            at a time, when the ones before were written.
        counts: rows of the tables.
        embeddings: returns the rows from one face to another; asked for a block at a time.
    """
    checksums: list[int] = []

    def blocks() -> Iterable[NDArray[np.float32]]:
        for start in range(0, counts.faces, schema.BLOCK_ROWS):
            rows = embeddings(start, min(start + schema.BLOCK_ROWS, counts.faces))
            checksums.append(block_checksum(rows))
            yield rows

    for column in schema.COLUMNS:
        if column.name == "faces.embedding":
            shape = column.shape(counts, 0)
            yield Member(column.name, column.dtype, shape, blocks())
        elif column.name == "faces.checksum":
            # The blocks were written by now, so their checksums are known.
            array = np.array(checksums, column.dtype)
            yield Member(column.name, column.dtype, array.shape, (array,))
        else:
            found = columns(column.name)
            rows, chunks = found if isinstance(found, tuple) else (len(found), (found,))
            shape = column.shape(counts, rows)
            if rows != shape[0]:
                raise ValueError(f"{column.name}: {rows} rows do not fit {counts}")
            yield Member(column.name, column.dtype, shape, chunks)


def meta_member(text: bytes) -> Member:
    """The ``meta`` array that every store file begins with.

    Raises:
        StoreError: it is larger than readers take.
    """
    if len(text) > MAX_META:
        raise StoreError(
            f"labels, roots and what was forgotten take {len(text) >> 20:,} MiB, and a store has "
            f"room for {MAX_META >> 20}; nothing was changed: give fewer labels, or forget with "
            "--no-memory"
        )
    array = np.frombuffer(text, np.uint8)
    return Member(META, "|u1", array.shape, (array,))


def segment_meta(counts: schema.Counts) -> Member:
    """The ``meta`` of a file that is only a segment."""
    data = {
        "format": schema.SEGMENT_FORMAT,
        "version": schema.VERSION,
        "files": counts.files,
        "contents": counts.contents,
        "faces": counts.faces,
        "dim": counts.dim,
    }
    return meta_member(encode_json(data))


def derived_meta(name: str, made_from: str) -> Member:
    """The ``meta`` of a file that holds derived data."""
    data = {
        "format": schema.DERIVED_FORMAT,
        "version": schema.VERSION,
        "name": name,
        "made_from": made_from,
    }
    return meta_member(encode_json(data))
