"""The files of a store: the newest row of each over its segments, in order."""

from __future__ import annotations

import bisect
import os
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facesearch.store import schema
from facesearch.store.archive import damaged
from facesearch.store.columns import (
    Ints,
    Joined,
    bases,
    pieces,
    take_ranges,
)
from facesearch.store.ordering import SegmentRun, newest_first
from facesearch.store.segments import Segment

_MOST_ROOTS = 1 << 20  # whose ids are looked up in a table
_NO_BYTES = (b"\0", b":", b"\\") if os.name == "nt" else (b"\0",)


class FileRows:
    """Newest row of every file over some segments, removed ones included, by (root id, path).

    Attributes:
        table: the rows of all segments.
        numbers: (n,) int64, which of them these are; None where there is one segment, all of it.
        first_contents: how many contents the first segment has.
    """

    def __init__(self, segments: Sequence[Segment]) -> None:
        self.table = Joined(segments, "files")
        self.numbers: Ints | None = None if len(segments) == 1 else _newest(segments)
        self.first_contents = segments[0].counts.contents if segments else 0

    def __len__(self) -> int:
        return len(self.table) if self.numbers is None else len(self.numbers)

    @cached_property
    def root(self) -> NDArray[np.int32]:
        """(n,) int32: the root's id."""
        return self._column("root")

    @cached_property
    def size(self) -> Ints:
        """(n,) int64: bytes."""
        return self._column("size")

    @cached_property
    def mtime_ns(self) -> Ints:
        """(n,) int64: nanoseconds since 1970."""
        return self._column("mtime_ns")

    @cached_property
    def content(self) -> Ints:
        """(n,) int64: number of the content, -1 where the file is gone."""
        return self._column("content")

    def _column(self, field: str) -> NDArray[Any]:
        if self.numbers is None:
            return self.table.segments[0].column(f"files.{field}")
        column = schema.BY_NAME[f"files.{field}"]
        found = np.empty(len(self.numbers), column.dtype)
        for piece in pieces(len(found)):
            found[piece] = self.table.take(field, self.numbers[piece])
        return found

    def number(self, row: int) -> int:
        """A row's number through all segments."""
        return row if self.numbers is None else int(self.numbers[row])

    def numbered(self, rows: Ints) -> Ints:
        """The same for several."""
        return rows if self.numbers is None else self.numbers[rows]

    def key(self, row: int) -> bytes:
        """The path's bytes."""
        return self.table.text("path", self.number(row))


def _newest(segments: Sequence[Segment]) -> Ints:
    """Numbers of the newest row of every file."""
    found = newest_first([SegmentRun(segment) for segment in reversed(segments)])
    # They were counted from the newest segment on.
    lengths = [segment.counts.files for segment in segments]
    ends = bases(reversed(lengths))
    moved = bases(lengths)[:-1][::-1] - ends[:-1]
    if len(segments):
        for piece in pieces(len(found)):
            part = np.searchsorted(ends, found[piece], side="right") - 1
            found[piece] += moved[part]
    return found


class FileTable:
    """The files of a store as they were last seen, sorted by (root, path as bytes).

    Attributes:
        root: (n,) int32, index into ``Store.roots``.
        size: (n,) int64, bytes.
        mtime_ns: (n,) int64, nanoseconds since 1970.
        content: (n,) int64, row of the content table.
    """

    def __init__(self, rows: FileRows, root_ids: Sequence[int]) -> None:
        indices = _positions(rows.root, root_ids)
        live = (rows.content != schema.REMOVED) & (indices >= 0)
        picked = None if bool(live.all()) else np.flatnonzero(live)
        order = indices if picked is None else indices[picked]
        if np.any(order[1:] < order[:-1]):
            ranked = np.argsort(order, kind="stable")
            picked = ranked if picked is None else picked[ranked]
        self._rows = rows
        self._picked = picked
        self.root: NDArray[np.int32] = self._take(indices)

    def __len__(self) -> int:
        return len(self.root)

    def _take(self, values: NDArray[Any]) -> NDArray[Any]:
        return values if self._picked is None else values[self._picked]

    @cached_property
    def size(self) -> Ints:
        """(n,) int64: bytes."""
        return self._take(self._rows.size)

    @cached_property
    def mtime_ns(self) -> Ints:
        """(n,) int64: nanoseconds since 1970."""
        return self._take(self._rows.mtime_ns)

    @cached_property
    def content(self) -> Ints:
        """(n,) int64: row of the content table."""
        return self._take(self._rows.content)

    @property
    def table(self) -> Joined:
        """The rows of all segments, of which these are some."""
        return self._rows.table

    def numbers(self, rows: Ints) -> Ints:
        """Where in ``table`` these files are."""
        return self._rows.numbered(rows if self._picked is None else self._picked[rows])

    def path_bytes(self, row: int) -> bytes:
        """The path relative to its root, as the file system spells it, "/" between parts."""
        return self._rows.key(row if self._picked is None else int(self._picked[row]))

    def path(self, row: int) -> str:
        """``path_bytes`` as text, undecodable bytes as surrogates."""
        return os.fsdecode(self.path_bytes(row))

    def paths(self) -> Iterator[str]:
        """All paths in order."""
        for lengths, text in self.path_pieces():
            raw, start = text.tobytes(), 0
            for end in np.cumsum(lengths).tolist():
                yield os.fsdecode(raw[start:end])
                start = end

    def path_pieces(self) -> Iterator[tuple[Ints, NDArray[np.uint8]]]:
        """(lengths, bytes laid end to end) of all paths in order, some ten thousand at a time."""
        for piece in pieces(len(self)):
            rows = self.numbers(np.arange(piece.start, piece.stop))
            yield self.table.texts("path", rows)

    def below(self, root: int, prefix: bytes) -> tuple[slice, slice]:
        """The rows of a root's file at the path ``prefix``, and of those below it; of all its files
        for "".
        """
        first = np.searchsorted(self.root, np.array([root, root + 1], np.int32))
        low, high = first.tolist()
        if not prefix:
            return slice(low, high), slice(0)

        def place(key: bytes) -> int:
            return bisect.bisect_left(range(high), key, lo=low, key=self.path_bytes)

        at = place(prefix)
        same = at < high and self.path_bytes(at) == prefix
        return slice(at, at + same), slice(place(prefix + b"/"), place(prefix + b"0"))

    def of_content(self, content: int) -> Ints:
        """The rows of all files with this content, in order of (root, path)."""
        return self._by_content.rows(content)

    @cached_property
    def _by_content(self) -> _ByContent:
        return _ByContent(self.content, self._rows.first_contents)


class _ByContent:
    """The rows that have a value, for values that mostly come once and ascending, as in a segment
    that a finished run wrote: only what is otherwise is kept in memory.

    ``ordered``: how many of the values, from 0 on, are of that kind.
    """

    def __init__(self, values: Ints, ordered: int) -> None:
        further: list[Ints] = [np.zeros(0, np.int64)]
        missing: list[Ints] = [np.zeros(0, np.int64)]
        highest = -1
        for piece in pieces(len(values)):
            here = np.where(values[piece] < ordered, values[piece], -1)
            tops = np.maximum.accumulate(np.concatenate([[highest], here]))
            new = here > tops[:-1]
            steps = np.diff(np.concatenate([[highest], here[new]]))
            missing.append(take_ranges(here[new] - steps + 1, steps - 1))
            further.append(piece.start + np.flatnonzero(~new))
            highest = int(tops[-1])
        rows = np.concatenate(further)
        self._before = rows - np.arange(len(rows))
        order = np.argsort(values[rows], kind="stable")
        self._rows = rows[order]
        self._values = values[self._rows]
        self._missing = np.concatenate(missing)
        self._end = highest + 1

    def rows(self, value: int) -> Ints:
        """All rows with this value, ascending."""
        first, last = np.searchsorted(self._values, [value, value + 1])
        rows = self._rows[first:last]
        skipped, after = np.searchsorted(self._missing, [value, value + 1])
        if not 0 <= value < self._end or after > skipped:
            return rows
        rank = value - int(skipped)
        lead = rank + int(np.searchsorted(self._before, rank, side="right"))
        return np.concatenate([np.array([lead], np.int64), rows])


def _positions(values: NDArray[np.int32], listed: Sequence[int]) -> NDArray[np.int32]:
    """Where in ``listed`` each value is, -1 where it is not."""
    if not listed or not len(values):
        return np.full(len(values), -1, np.int32)
    low, high = int(values.min()), int(values.max())
    if low >= 0 and high < len(listed) and list(listed[: high + 1]) == list(range(high + 1)):
        return values
    if low >= 0 and max(high, *listed) < _MOST_ROOTS:
        table = np.full(max(high, *listed) + 1, -1, np.int32)
        table[list(listed)] = np.arange(len(listed))
        looked_up: NDArray[np.int32] = table[values]
        return looked_up
    order = np.argsort(listed)
    ranked = np.asarray(listed)[order]
    place = np.minimum(np.searchsorted(ranked, values), len(ranked) - 1)
    return np.where(ranked[place] == values, order[place], -1).astype(np.int32)


def require_safe_paths(path: Path, table: Joined) -> None:
    """Raise where a path would lead outside its root; a store may come from a stranger."""
    if any(_is_suspicious(segment) for segment in table.segments):
        raise damaged(path, "a path in it leads outside its folder")


def _is_suspicious(segment: Segment) -> bool:
    blob = segment.column("files.path_blob")
    offsets = segment.column("files.path_offsets")
    return any(
        _leads_outside(blob, offsets[piece.start : piece.stop + 1])
        for piece in pieces(len(offsets) - 1)
    )


def _leads_outside(blob: NDArray[np.uint8], ends: Ints) -> bool:
    """Whether one of these paths begins with "/", has ".." for a part, or a byte that none has."""
    filled = ends[1:] > ends[:-1]
    starts, stops = ends[:-1][filled], ends[1:][filled]
    text = blob[int(ends[0]) : int(ends[-1])]
    raw = text.tobytes()
    if np.any(blob[starts] == ord("/")) or any(byte in raw for byte in _NO_BYTES):
        return True
    if b".." not in raw:
        return False
    begins, finishes = np.zeros((2, len(text) + 1), np.bool_)
    begins[starts - ends[0]] = True
    finishes[stops - ends[0]] = True
    slash, dots = text == ord("/"), text == ord(".")
    pairs = dots[:-1] & dots[1:] & ~begins[1:-1]  # not the end of one path and the next one's begin
    begins[1:] |= slash
    finishes[:-1] |= slash
    return bool(np.any(pairs & begins[:-2] & finishes[2:]))
