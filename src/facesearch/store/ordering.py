"""Files of several sources in one order, (root id, path as bytes), without a loop over them.

The sources are walked side by side, a few ten thousand rows at a time, and each such stretch is
sorted as fixed-width keys; where nearly all rows of a stretch come from one source, the others are
looked up in it instead.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from facesearch.errors import StoreError
from facesearch.store.archive import damaged
from facesearch.store.columns import Ints, Joined, bases
from facesearch.store.segments import Segment

Key = tuple[int, bytes]

_STRETCH = 1 << 15
_KEY_BYTES = 32 << 20  # of one stretch of one source
_FEW = 256  # one row in so many is looked up rather than sorted


class Run(Protocol):
    """Files sorted by (root id, path), each once."""

    def __len__(self) -> int:
        """How many."""

    def key(self, row: int) -> Key:
        """Where a file is."""

    def keys(self, start: int, stop: int) -> tuple[NDArray[np.int32], Ints, NDArray[np.uint8]]:
        """(root ids, lengths, paths laid end to end) of some of them."""

    def disorder(self) -> StoreError:
        """What to raise when they are not sorted after all."""


@dataclass(frozen=True, slots=True, eq=False)
class SegmentRun:
    """The files of one segment."""

    segment: Segment

    def __len__(self) -> int:
        return self.segment.counts.files

    def key(self, row: int) -> Key:
        """Where a file is."""
        offsets = self.segment.column("files.path_offsets")
        blob = self.segment.column("files.path_blob")
        path = blob[int(offsets[row]) : int(offsets[row + 1])].tobytes()
        return int(self.segment.column("files.root")[row]), path

    def keys(self, start: int, stop: int) -> tuple[NDArray[np.int32], Ints, NDArray[np.uint8]]:
        """(root ids, lengths, paths laid end to end) of some of them."""
        offsets = self.segment.column("files.path_offsets")[start : stop + 1]
        blob = self.segment.column("files.path_blob")
        roots = self.segment.column("files.root")[start:stop]
        return roots, np.diff(offsets), blob[int(offsets[0]) : int(offsets[-1])]

    def disorder(self) -> StoreError:
        """What to raise when they are not sorted after all."""
        return damaged(self.segment.archive.path, "its files are out of order")


@dataclass(frozen=True, slots=True, eq=False)
class ChosenRun:
    """Some rows of a table of files, under other root ids perhaps."""

    table: Joined
    rows: Ints
    root: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.rows)

    def key(self, row: int) -> Key:
        """Where a file is."""
        return int(self.root[row]), self.table.text("path", int(self.rows[row]))

    def keys(self, start: int, stop: int) -> tuple[NDArray[np.int32], Ints, NDArray[np.uint8]]:
        """(root ids, lengths, paths laid end to end) of some of them."""
        lengths, text = self.table.texts("path", self.rows[start:stop])
        return self.root[start:stop], lengths, text

    def disorder(self) -> StoreError:
        """What to raise when they are not sorted after all."""
        return damaged(self.table.segments[0].archive.path, "its files are out of order")


def newest_first(runs: Sequence[Run]) -> Ints:
    """All files in order, each from the first of the runs that has it.

    Returns:
        Row numbers, counted through the runs as they were given.

    Raises:
        StoreError: a run is not sorted.
    """
    starts = bases(len(run) for run in runs)
    found = np.empty(int(starts[-1]), np.int64)
    count = 0
    for spans in _stretches(runs):
        here = _merged(runs, spans, starts)
        found[count : count + len(here)] = here
        count += len(here)
    return found[:count]


def find_rows(wanted: Run, held: Run) -> Ints:
    """For each file of ``wanted`` its row in ``held``, -1 where it is not there.

    Raises:
        StoreError: a run is not sorted.
    """
    found = np.full(len(wanted), -1, np.int64)
    for (low, high), (first, last) in _stretches((wanted, held)):
        if high == low or last == first:
            continue
        if (high - low) * _FEW <= last - first:
            for row in range(low, high):
                key = wanted.key(row)
                at = bisect.bisect_left(range(last), key, lo=first, key=held.key)
                if at < last and held.key(at) == key:
                    found[row] = at
            continue
        asked, there = _padded((wanted, held), ((low, high), (first, last)))
        place = np.minimum(np.searchsorted(there, asked), len(there) - 1)
        same = there[place] == asked
        found[low:high][same] = first + place[same]
    return found


def first_disorder(run: Run) -> int | None:
    """The first row that is not after the one before it; None where all are in order."""
    for start in range(0, len(run), _STRETCH):
        parts = run.keys(max(0, start - 1), min(start + _STRETCH, len(run)))
        longest = int(parts[1].max())
        wide = longest * len(parts[1]) > _KEY_BYTES
        keys = _as_objects(*parts) if wide else _as_bytes(*parts, longest)
        wrong = np.flatnonzero(keys[1:] <= keys[:-1])
        if len(wrong):
            return max(0, start - 1) + int(wrong[0]) + 1
    return None


def find_file(segment: Segment, root: int, path: bytes) -> int | None:
    """The row of a file in one segment, by halving."""
    run = SegmentRun(segment)
    row = bisect.bisect_left(range(len(run)), (root, path), key=run.key)
    return row if row < len(run) and run.key(row) == (root, path) else None


def _stretches(runs: Sequence[Run]) -> Iterator[list[tuple[int, int]]]:
    """The runs cut at the same keys, so that no piece is long: (start, stop) in each of them."""
    at = [0] * len(runs)
    while any(low < len(run) for low, run in zip(at, runs, strict=True)):
        ahead = [
            (run.key(low + _STRETCH), index)
            for index, (low, run) in enumerate(zip(at, runs, strict=True))
            if low + _STRETCH < len(run)
        ]
        ends = [len(run) for run in runs]
        if ahead:
            cut, shortest = min(ahead)
            ends = [
                bisect.bisect_left(range(min(low + _STRETCH, len(run))), cut, lo=low, key=run.key)
                for low, run in zip(at, runs, strict=True)
            ]
            if ends[shortest] != at[shortest] + _STRETCH:
                raise runs[shortest].disorder()
        yield list(zip(at, ends, strict=True))
        at = ends


def _merged(runs: Sequence[Run], spans: Sequence[tuple[int, int]], starts: Ints) -> Ints:
    """One stretch of all runs in order, as numbers through all of them."""
    full = [index for index, (low, high) in enumerate(spans) if high > low]
    if len(full) == 1:
        (index,) = full
        alone: Ints = np.arange(*spans[index]) + starts[index]
        return alone
    lengths = [high - low for low, high in spans]
    most = int(np.argmax(lengths))
    if (sum(lengths) - lengths[most]) * _FEW <= lengths[most]:
        return _looked_up(runs, spans, starts, most)
    chosen = [runs[index] for index in full]
    keys = np.concatenate(_padded(chosen, [spans[index] for index in full]))
    numbers = np.concatenate([np.arange(*spans[index]) + starts[index] for index in full])
    order = np.argsort(keys, kind="stable")
    ranked = keys[order]
    first = np.ones(len(order), np.bool_)
    first[1:] = ranked[1:] != ranked[:-1]
    merged: Ints = numbers[order[first]]
    return merged


def _looked_up(
    runs: Sequence[Run], spans: Sequence[tuple[int, int]], starts: Ints, most: int
) -> Ints:
    """The same where one run has nearly all rows of the stretch."""
    few: dict[Key, tuple[int, int]] = {}
    for index, (low, high) in enumerate(spans):
        for row in range(low, high) if index != most else ():
            few.setdefault(runs[index].key(row), (index, int(starts[index]) + row))
    low, high = spans[most]
    numbers = np.arange(low, high) + starts[most]
    places: list[int] = []
    added: list[int] = []
    for key, (index, number) in sorted(few.items()):
        at = bisect.bisect_left(range(high), key, lo=low, key=runs[most].key)
        if at == high or runs[most].key(at) != key:
            places.append(at - low)
            added.append(number)
        elif index < most:
            numbers[at - low] = number
    merged: Ints = np.insert(numbers, places, added)
    return merged


def _padded(
    runs: Sequence[Run], spans: Sequence[tuple[int, int]]
) -> list[NDArray[np.bytes_] | NDArray[np.object_]]:
    """Each run's keys as values that numpy sorts as wholes; checked to be in order."""
    parts = [run.keys(*span) for run, span in zip(runs, spans, strict=True)]
    longest = max(int(lengths.max()) for _, lengths, _ in parts)
    wide = longest * max(len(lengths) for _, lengths, _ in parts) > _KEY_BYTES
    padded = []
    for run, part in zip(runs, parts, strict=True):
        keys = _as_objects(*part) if wide else _as_bytes(*part, longest)
        if np.any(keys[1:] <= keys[:-1]):
            raise run.disorder()
        padded.append(keys)
    return padded


def _as_bytes(
    roots: NDArray[np.int32], lengths: Ints, text: NDArray[np.uint8], longest: int
) -> NDArray[np.bytes_]:
    """The root, big-endian, then the path, then zeros, which no path has in it."""
    table = np.zeros((len(roots), 4 + longest), np.uint8)
    table[:, :4] = roots.astype(">i4").view(np.uint8).reshape(-1, 4)
    table[:, 4:][np.arange(longest) < lengths[:, None]] = text
    return table.view(f"S{4 + longest}").reshape(-1)


def _as_objects(
    roots: NDArray[np.int32], lengths: Ints, text: NDArray[np.uint8]
) -> NDArray[np.object_]:
    """The same for paths so long that padding all of them would take too much memory."""
    ends = np.cumsum(lengths).tolist()
    raw = text.tobytes()
    keys = np.empty(len(roots), np.object_)
    start = 0
    for row, (root, end) in enumerate(zip(roots.tolist(), ends, strict=True)):
        keys[row] = root.to_bytes(4, "big", signed=True) + raw[start:end]
        start = end
    return keys
