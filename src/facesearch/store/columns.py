"""Columns over several segments: rows taken where they lie, a piece at a time, nothing joined."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facesearch.store import schema
from facesearch.store.segments import Segment

Ints = NDArray[np.int64]

ROWS_AT_ONCE = 1 << 16
"""How many rows pass through memory at a time."""


def bases(lengths: Iterable[int]) -> Ints:
    """The number at which each piece starts when all are counted through, and the total."""
    return np.cumsum([0, *lengths], dtype=np.int64)


def pieces(count: int) -> Iterator[slice]:
    """Rows 0 to ``count`` in pieces that fit into memory."""
    for start in range(0, count, ROWS_AT_ONCE):
        yield slice(start, min(start + ROWS_AT_ONCE, count))


def join(segments: Sequence[Segment], name: str) -> NDArray[Any]:
    """One column over all segments; a view of the file where there is only one segment."""
    if len(segments) == 1:
        return segments[0].column(name)
    column = schema.BY_NAME[name]
    if not segments:
        return np.zeros(column.shape(schema.Counts(0, 0, 0, 1), 0), column.dtype)
    return np.concatenate([segment.column(name) for segment in segments])


def join_offsets(segments: Sequence[Segment], name: str) -> Ints:
    """An offsets column over all segments, as if their blobs were one."""
    if len(segments) == 1:
        return segments[0].column(name)
    parts: list[Ints] = [np.zeros(1, np.int64)]
    end = 0
    for segment in segments:
        offsets = segment.column(name)
        parts.append(offsets[1:] + end)
        end += int(offsets[-1])
    return np.concatenate(parts)


def take_ranges(starts: Ints, lengths: Ints) -> Ints:
    """The numbers of all ranges ``start .. start + length``, one range after the other."""
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(ends) else 0
    return np.repeat(starts - (ends - lengths), lengths) + np.arange(total)


def distinct(numbers: Ints) -> Ints:
    """Which small numbers occur; numpy's own ``unique`` imports much at its first call."""
    return np.flatnonzero(np.bincount(numbers))


class Joined:
    """The rows of one table over several segments, counted through in their order.

    ``table`` is "files", "contents" or "faces". What is asked of few rows touches only those.
    """

    def __init__(self, segments: Sequence[Segment], table: str) -> None:
        self.segments = segments
        self.table = table
        self.bases = bases(segment.counts.rows(table) for segment in segments)

    def __len__(self) -> int:
        return int(self.bases[-1])

    def place(self, row: int) -> tuple[Segment, int]:
        """The segment of a row, and its number there."""
        if not 0 <= row < len(self):
            raise IndexError(f"{self.table} has no row {row}")
        part = int(np.searchsorted(self.bases, row, side="right")) - 1
        return self.segments[part], row - int(self.bases[part])

    def parts(self, rows: Ints) -> Iterator[tuple[Segment, slice | NDArray[np.bool_], Ints]]:
        """For each segment that has some of the rows: which of them, and their numbers there."""
        if len(self.segments) == 1:
            yield self.segments[0], slice(None), rows
            return
        part_of = np.searchsorted(self.bases, rows, side="right") - 1
        for part in distinct(part_of).tolist():
            here = part_of == part
            yield self.segments[part], here, rows[here] - self.bases[part]

    def take(self, field: str, rows: Ints) -> NDArray[Any]:
        """These rows of a column that is no text."""
        name = f"{self.table}.{field}"
        if len(self.segments) == 1:
            taken: NDArray[Any] = self.segments[0].column(name)[rows]
            return taken
        column = schema.BY_NAME[name]
        found = np.empty((len(rows), *column.row), column.dtype)
        for segment, here, local in self.parts(rows):
            found[here] = segment.column(name)[local]
        return found

    def value(self, field: str, row: int) -> Any:
        """One row of a column that is no text."""
        segment, local = self.place(row)
        return segment.column(f"{self.table}.{field}")[local]

    def text(self, field: str, row: int) -> bytes:
        """One text."""
        segment, local = self.place(row)
        offsets = segment.column(f"{self.table}.{field}_offsets")
        blob = segment.column(f"{self.table}.{field}_blob")
        return blob[int(offsets[local]) : int(offsets[local + 1])].tobytes()

    def lengths(self, field: str, rows: Ints) -> Ints:
        """Bytes of these rows' texts, or how many faces they have."""
        found = np.empty(len(rows), np.int64)
        for segment, here, local in self.parts(rows):
            offsets = segment.column(f"{self.table}.{field}_offsets")
            found[here] = offsets[local + 1] - offsets[local]
        return found

    def texts(self, field: str, rows: Ints) -> tuple[Ints, NDArray[np.uint8]]:
        """(lengths, bytes laid end to end) of these rows' texts."""
        lengths = self.lengths(field, rows)
        starts = np.cumsum(lengths) - lengths
        taken = np.empty(int(lengths.sum()), np.uint8)
        for segment, here, local in self.parts(rows):
            offsets = segment.column(f"{self.table}.{field}_offsets")
            blob = segment.column(f"{self.table}.{field}_blob")
            there = take_ranges(offsets[local], lengths[here])
            if isinstance(here, slice):
                taken[:] = blob[there]
            else:
                taken[take_ranges(starts[here], lengths[here])] = blob[there]
        return lengths, taken
