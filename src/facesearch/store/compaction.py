"""Several segments become one: side by side while a run goes on, in canonical order at its end.

Canonical: files by (root, path), contents by the first file that has them, faces by number; what no
file needs is dropped. Both ways rewrite the last segments of a store only, so that ids of contents
and faces before them stay. Rows pass through memory a piece at a time; what is held are a few
numbers for each row of the tables.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facesearch.store import schema
from facesearch.store.archive import Member
from facesearch.store.columns import Ints, Joined, bases, pieces, take_ranges
from facesearch.store.files import FileRows
from facesearch.store.hashes import leaders
from facesearch.store.ordering import ChosenRun, SegmentRun, find_rows, newest_first
from facesearch.store.reader import Store
from facesearch.store.segments import Pieces, Segment, segment_members
from facesearch.store.tables import ContentTable, EmbeddingRows

TIER = 2
"""A segment is merged into the one before unless that is so many times as large; so their number
grows with the logarithm of the size."""

_CONTENT_BYTES = 200
_FILE_BYTES = 100


@dataclass(frozen=True, slots=True, eq=False)
class Files:
    """File rows to write, in order: ``numbers`` are rows of ``table``, whose size, time and path
    they have; ``root`` and ``content`` are as they will be.
    """

    table: Joined
    numbers: Ints
    root: NDArray[np.int32]
    content: Ints

    def taken(self, order: Ints | NDArray[np.bool_]) -> Files:
        """Some of them."""
        return Files(self.table, self.numbers[order], self.root[order], self.content[order])

    def followed_by(self, other: Files) -> Files:
        """These and others of the same table, in order."""
        order = newest_first([self.run, other.run])
        joined = Files(
            self.table,
            np.concatenate([self.numbers, other.numbers]),
            np.concatenate([self.root, other.root]),
            np.concatenate([self.content, other.content]),
        )
        return joined.taken(order)

    @property
    def run(self) -> ChosenRun:
        """Where they are, in order."""
        return ChosenRun(self.table, self.numbers, self.root)


@dataclass(frozen=True, slots=True, eq=False)
class Merge:
    """The segments from ``start`` on as one.

    ``order`` are its contents, counted from the first one in ``sources``.
    """

    start: int
    sources: tuple[Segment, ...]
    files: Files
    order: Ints
    faces: _FaceOrder | _RemainingFaces
    dim: int

    @property
    def counts(self) -> schema.Counts:
        """Rows of the new segment."""
        return schema.Counts(len(self.files.root), len(self.order), len(self.faces), self.dim)

    @property
    def empty(self) -> bool:
        """Whether nothing would be in the new segment."""
        return not len(self.files.root) and not len(self.order)

    @property
    def embedding_bytes(self) -> int:
        """Size of the new segment's embeddings."""
        return len(self.faces) * self.dim * 4

    def members(self) -> Iterator[Member]:
        """The new segment's arrays; all pass through a piece at a time, verified."""
        rows = EmbeddingRows(self.sources, self.dim)
        return segment_members(
            _Columns(self).column,
            self.counts,
            lambda start, stop: rows.gather(self.faces.ids(start, stop)),
        )


class _FaceOrder:
    """The faces of contents in a new order; ``offsets`` (contents + 1,) says where each begins."""

    def __init__(self, contents: ContentTable, order: Ints) -> None:
        self.offsets = np.zeros(len(order) + 1, np.int64)
        self._starts = np.empty(len(order), np.int64)
        for piece in pieces(len(order)):
            here = order[piece]
            self._starts[piece] = contents.first_faces(here)
            self.offsets[piece.start + 1 : piece.stop + 1] = contents.table.lengths("face", here)
        np.cumsum(self.offsets, out=self.offsets)

    def __len__(self) -> int:
        return int(self.offsets[-1])

    def ids(self, start: int, stop: int) -> Ints:
        """Which faces come from ``start`` to ``stop``."""
        low = int(np.searchsorted(self.offsets, start, side="right")) - 1
        high = int(np.searchsorted(self.offsets, stop, side="left"))
        begins = np.maximum(self.offsets[low:high], start)
        ends = np.minimum(self.offsets[low + 1 : high + 1], stop)
        skipped = begins - self.offsets[low:high]
        return take_ranges(self._starts[low:high] + skipped, ends - begins)


class _Columns:
    """The arrays of a new segment but for embeddings, asked for in file order."""

    def __init__(self, merge: Merge) -> None:
        self._merge = merge
        self._tables = {
            "files": merge.files.table,
            "contents": Joined(merge.sources, "contents"),
            "faces": Joined(merge.sources, "faces"),
        }
        self._text_bytes = 0

    def column(self, name: str) -> NDArray[Any] | Pieces:
        """One array, or its rows a piece at a time."""
        table, _, field = name.partition(".")
        if name == "contents.face_offsets":
            return self._merge.faces.offsets
        if name in ("files.root", "files.content"):
            values: NDArray[Any] = getattr(self._merge.files, field)
            return values
        text, _, kind = field.rpartition("_")
        if kind == "offsets":
            return len(self._rows(table)) + 1, self._offsets(table, text)
        if kind == "blob":
            # The offsets were written by now, so the length is known.
            return self._text_bytes, self._blob(table, text)
        return self._count(table), self._taken(table, field)

    def _rows(self, table: str) -> Ints:
        return self._merge.files.numbers if table == "files" else self._merge.order

    def _count(self, table: str) -> int:
        return len(self._merge.faces) if table == "faces" else len(self._rows(table))

    def _taken(self, table: str, field: str) -> Iterator[NDArray[Any]]:
        faces = self._merge.faces
        for piece in pieces(self._count(table)):
            rows = faces.ids(piece.start, piece.stop) if table == "faces" else None
            yield self._tables[table].take(
                field, self._rows(table)[piece] if rows is None else rows
            )

    def _offsets(self, table: str, text: str) -> Iterator[Ints]:
        yield np.zeros(1, np.int64)
        self._text_bytes = 0
        rows = self._rows(table)
        for piece in pieces(len(rows)):
            ends = self._text_bytes + np.cumsum(self._tables[table].lengths(text, rows[piece]))
            self._text_bytes = int(ends[-1])
            yield ends

    def _blob(self, table: str, text: str) -> Iterator[NDArray[np.uint8]]:
        rows = self._rows(table)
        for piece in pieces(len(rows)):
            yield self._tables[table].texts(text, rows[piece])[1]


class _RemainingFaces:
    """The faces of another order but for some."""

    def __init__(self, faces: _FaceOrder, left_out: Ints) -> None:
        every = faces.ids(0, len(faces))
        stays = ~np.isin(every, left_out)
        self._ids = every[stays]
        self.offsets = np.concatenate([[0], np.cumsum(stays)])[faces.offsets]

    def __len__(self) -> int:
        return len(self._ids)

    def ids(self, start: int, stop: int) -> Ints:
        """Which faces come from ``start`` to ``stop``."""
        return self._ids[start:stop]


def merge_of(
    sources: Sequence[Segment], dim: int, files: Files, order: Ints, start: int = 0
) -> Merge:
    """What is written for these files and contents."""
    faces = _FaceOrder(ContentTable(tuple(sources)), order)
    return Merge(start, tuple(sources), files, order, faces, dim)


def without_faces(merge: Merge, left_out: Ints) -> Merge:
    """The same but for some faces, by their numbers in its sources."""
    if not len(left_out):
        return merge
    assert isinstance(merge.faces, _FaceOrder)
    return replace(merge, faces=_RemainingFaces(merge.faces, left_out))


def side_by_side(store: Store, start: int, stop: int) -> Merge:
    """The segments from ``start`` to ``stop`` as one in which every content keeps its id."""
    sources = store.segments[start:stop]
    rows = FileRows(sources)
    files = Files(rows.table, rows.numbered(np.arange(len(rows))), rows.root, rows.content)
    count = sum(segment.counts.contents for segment in sources)
    return merge_of(sources, store.dim, files, np.arange(count), start)


def start_of_tier(sizes: Sequence[int], settled: int) -> int:
    """From which segment on to merge after one was added; the first ``settled`` stay."""
    start = len(sizes) - 1
    total = sizes[-1]
    while start > settled and sizes[start - 1] < TIER * total:
        start -= 1
        total += sizes[start]
    return start


def canonical(store: Store, single_file_bytes: int) -> Merge:
    """What a run that has ended has to write.

    All in one when the embeddings take up to ``single_file_bytes``, else the last segments, as many
    as keep the tiers.
    """
    files = store.files
    content = one_content_a_hash(store.contents, files.content)
    live = store.contents.live
    if content is not files.content:
        live = np.zeros(len(live), np.bool_)
        live[content] = True
    start = _start(store, live, single_file_bytes)
    sources = store.segments[start:]
    base = int(store.contents.table.bases[start])
    order, renumbered = in_file_order(content, base, len(store.contents))
    if start == 0:
        rows = files.numbers(np.arange(len(files)))
        chosen = Files(files.table, rows, files.root, renumbered)
        return merge_of(sources, store.dim, chosen, order)
    rows = _changed(store, start, content)
    numbers = files.numbers(rows)
    chosen = Files(files.table, numbers, _ids(store)[files.root[rows]], renumbered[rows])
    return merge_of(sources, store.dim, _told_anew(store, start, chosen), order, start)


def _ids(store: Store) -> NDArray[np.int32]:
    return np.array([root.id for root in store.roots], np.int32)


def one_content_a_hash(contents: ContentTable, content: Ints) -> Ints:
    """(files,) int64: each file's content, or the sound one with the same hash."""
    live = np.zeros(len(contents), np.bool_)
    live[content] = True
    rows, leader = leaders(contents, live)
    if not len(rows):
        return content
    chosen = np.arange(len(contents))
    chosen[rows] = leader
    return chosen[content]


def in_file_order(content: Ints, base: int, count: int) -> tuple[Ints, Ints]:
    """The contents from ``base`` to ``count`` that files have, in order of the first file, counted
    from ``base``; and every file's content when they are numbered so.
    """
    own = np.flatnonzero(content >= base) if base else np.arange(len(content))
    values = content[own] - base
    first = np.full(count - base, -1, np.int64)
    first[values[::-1]] = np.arange(len(values))[::-1]  # the last one written is the first file
    used = np.flatnonzero(first >= 0)
    order = used[np.argsort(first[used], kind="stable")]
    first[order] = np.arange(len(order))
    renumbered = content.copy()
    renumbered[own] = base + first[values]
    return order, renumbered


def _changed(store: Store, start: int, content: Ints) -> Ints:
    """The files that a segment from ``start`` on tells of, or whose content is another one now."""
    files = store.files
    first = files.table.bases[start]
    found = [np.zeros(0, np.int64)]
    for piece in pieces(len(files)):
        late = files.numbers(np.arange(piece.start, piece.stop)) >= first
        found.append(piece.start + np.flatnonzero(late | (content[piece] != files.content[piece])))
    return np.concatenate(found)


def _start(store: Store, live: NDArray[np.bool_], single_file_bytes: int) -> int:
    """The first segment to rewrite; depends on what is there, not on how it came to be."""
    row = store.dim * 4
    firsts = store.contents.table.bases
    spans = [live[a:b] for a, b in itertools.pairwise(firsts.tolist())]
    faces = [_live_faces(part, span) for part, span in zip(store.segments, spans, strict=True)]
    if sum(faces) * row <= single_file_bytes:
        return 0
    used = [
        count * row + int(np.count_nonzero(span)) * _CONTENT_BYTES
        for count, span in zip(faces, spans, strict=True)
    ]
    settled = sum(entry.settled for entry in store.head.segments)
    start = settled
    for index, segment in enumerate(store.segments[:settled]):
        counts = segment.counts
        if 2 * used[index] < counts.faces * row + counts.contents * _CONTENT_BYTES:
            start = index
            break
    rows = _file_rows_from(store, start)
    tail = rows * _FILE_BYTES + sum(used[start:])
    while 0 < start < len(used):
        before = used[start - 1] + store.segments[start - 1].counts.files * _FILE_BYTES + 1
        if before >= TIER * tail:
            break
        start -= 1
        tail += before
    return start


def _live_faces(segment: Segment, live: NDArray[np.bool_]) -> int:
    if live.all():
        return segment.counts.faces
    return int(np.diff(segment.column("contents.face_offsets"))[live].sum())


def _file_rows_from(store: Store, start: int) -> int:
    """How many of the newest file rows the segments from ``start`` on have."""
    rows = store.file_rows
    first = rows.table.bases[start]
    return sum(
        int(np.count_nonzero(rows.numbered(np.arange(piece.start, piece.stop)) >= first))
        for piece in pieces(len(rows))
    )


def _told_anew(store: Store, start: int, files: Files) -> Files:
    """Of these rows those that say something new to the segments before, and what is gone."""
    gone = _gone(store, start)
    told = _last_told(store.segments[:start], files)
    table = files.table
    known = told >= 0
    same = files.content[known] == table.take("content", told[known])
    for field in ("size", "mtime_ns"):
        now = table.take(field, files.numbers[known])
        same &= now == table.take(field, told[known])
    new = np.ones(len(told), np.bool_)
    new[known] = ~same
    dead = _last_told(store.segments[:start], gone) >= 0
    return files.taken(new).followed_by(gone.taken(dead))


def _gone(store: Store, start: int) -> Files:
    """The rows from ``start`` on that say of a file of a listed root that it is gone."""
    rows = store.file_rows
    found = np.flatnonzero(rows.content == schema.REMOVED)
    numbers, root = rows.numbered(found), rows.root[found]
    kept = (numbers >= rows.table.bases[start]) & np.isin(root, _ids(store))
    content = np.full(int(kept.sum()), schema.REMOVED, np.int64)
    return Files(rows.table, numbers[kept], root[kept], content)


def _last_told(segments: Sequence[Segment], files: Files) -> Ints:
    """For each file the number of its newest row in the first segments, -1 where it is not there
    or gone.
    """
    firsts = bases(segment.counts.files for segment in segments)
    found = np.full(len(files.root), -1, np.int64)
    left = np.arange(len(found))
    for segment, first in reversed(list(zip(segments, firsts.tolist(), strict=False))):
        place = find_rows(files.taken(left).run, SegmentRun(segment))
        hit = place >= 0
        content = segment.column("files.content")[place[hit]]
        found[left[hit]] = np.where(content == schema.REMOVED, -1, place[hit] + first)
        left = left[~hit]
    return found
