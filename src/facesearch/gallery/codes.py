"""The segments of a store with what searches them: by rows, or by codes kept beside the store."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facesearch.errors import StoreError
from facesearch.records import Embeddings
from facesearch.search import CODERS, SearchBackend, load_backend
from facesearch.search.codes import CHECKSUM, Arrays, CodedArray, Coder, checksums
from facesearch.store import Store
from facesearch.store.archive import Member, damaged
from facesearch.store.segments import Segment

_WITHOUT_CODES = "faiss-flat"
_log = logging.getLogger(__name__)


class SegmentRows:
    """The rows of one segment as ``TrustedRows``: held against the checksum of each row where
    there is one, else against those of whole blocks, of which every one is looked at once.
    """

    def __init__(self, segment: Segment, row_checksums: NDArray[np.uint32] | None = None) -> None:
        self._segment = segment
        self._checksums = row_checksums
        self._sound = False

    @property
    def shape(self) -> tuple[int, int]:
        """See ``TrustedRows.shape``."""
        count, dim = self._segment.rows.shape
        return count, dim

    def take(self, numbers: NDArray[np.int64]) -> Embeddings:
        """See ``TrustedRows.take``."""
        if self._checksums is None or self._sound:
            return self.everything()[numbers]
        rows = self._segment.rows[numbers]
        wrong = np.flatnonzero(checksums(rows) != self._checksums[numbers])
        if len(wrong):
            face = int(numbers[wrong[0]])
            raise damaged(self._segment.archive.path, f"embedding {face} is not as written")
        return rows

    def everything(self) -> Embeddings:
        """See ``TrustedRows.everything``."""
        if not self._sound:
            self._segment.require_blocks(np.arange(self._segment.counts.rows("blocks")))
            self._sound = True
        return self._segment.rows


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """One segment as it is searched; the number of its first face is ``start``."""

    backend: SearchBackend
    rows: SegmentRows
    start: int


def parts_of(store: Store, name: str) -> list[Part]:
    """All segments, ready for the back end ``name``.

    A back end that looks at the rows sees none before all of the segment's were found sound: a
    damaged one could push the right one out. One that looks at codes needs the rows no more than
    to compare the nearest with the query.

    Raises:
        StoreError: rows are damaged.
        UsageError: what the back end needs is not installed.
    """
    parts, start = [], 0
    for segment in store.segments:
        coder = CODERS.get(name)
        if coder is None:
            parts.append(_by_rows(segment, name, start))
        elif (
            not coder.fits(*segment.rows.shape) or (codes := _codes(store, segment, coder)) is None
        ):
            parts.append(_by_rows(segment, _WITHOUT_CODES, start))
        else:
            rows = SegmentRows(segment, codes[CHECKSUM])
            parts.append(Part(coder.backend(codes, rows), rows, start))
        start += segment.counts.faces
    return parts


def _by_rows(segment: Segment, name: str, start: int) -> Part:
    rows = SegmentRows(segment)
    return Part(load_backend(name, rows.everything()), rows, start)


def _codes(store: Store, segment: Segment, coder: Coder) -> Arrays | None:
    """The codes kept beside the store, made now if there are none; None where they cannot be kept,
    for then every query would make them anew.
    """
    from facesearch.store.attached import load_attached, save_attached

    found = load_attached(store, segment, coder.name)
    if found is not None and coder.suit(found, *segment.rows.shape):
        return found
    rows = SegmentRows(segment).everything()
    _log.info("%s: making %s of %d faces", store.path, coder.name, len(rows))
    reason = "another process writes the store"
    try:
        if save_attached(store, segment, coder.name, map(_member, coder.arrays(rows))):
            kept = load_attached(Store.open(store.path), segment, coder.name)
            if kept is not None:
                return kept
            reason = "the store has changed"
    except StoreError as error:
        reason = str(error)
    _log.info("%s: %s cannot be kept: %s", store.path, coder.name, reason)
    return None


def _member(array: CodedArray) -> Member:
    return Member(array.name, array.dtype, array.shape, array.chunks)
