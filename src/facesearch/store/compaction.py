"""Several segments become one: side by side while a run goes on, in canonical order at its end.

Canonical: files by (root, path), contents by the first file that has them, faces by number; what no
file needs is dropped. Both ways rewrite the last segments of a store only, so that ids of contents
and faces before them stay.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facesearch.store import schema
from facesearch.store.archive import Member
from facesearch.store.reader import Store
from facesearch.store.segments import Segment, segment_members
from facesearch.store.tables import (
    ContentTable,
    EmbeddingRows,
    FaceTable,
    FileRows,
    Ints,
    find_file,
    take_ranges,
    take_texts,
)

TIER = 2
"""A segment is merged into the one before unless that is so many times as large; so their number
grows with the logarithm of the size."""

_CONTENT_BYTES = 200
_FILE_BYTES = 100


@dataclass(frozen=True, slots=True, eq=False)
class _Files:
    """File rows to write, in order."""

    root: NDArray[np.int32]
    size: Ints
    mtime_ns: Ints
    content: Ints
    starts: Ints
    stops: Ints
    blob: NDArray[np.uint8]

    def taken(self, order: Ints) -> _Files:
        return _Files(
            self.root[order],
            self.size[order],
            self.mtime_ns[order],
            self.content[order],
            self.starts[order],
            self.stops[order],
            self.blob,
        )

    def followed_by(self, rows: FileRows, at: Ints) -> _Files:
        """These rows and some of those of which they are a choice."""
        return _Files(
            np.concatenate([self.root, rows.root[at]]),
            np.concatenate([self.size, rows.size[at]]),
            np.concatenate([self.mtime_ns, rows.mtime_ns[at]]),
            np.concatenate([self.content, rows.content[at]]),
            np.concatenate([self.starts, rows.starts[at]]),
            np.concatenate([self.stops, rows.stops[at]]),
            self.blob,
        )

    def key(self, row: int) -> tuple[int, bytes]:
        return int(self.root[row]), self.blob[self.starts[row] : self.stops[row]].tobytes()


@dataclass(frozen=True, slots=True, eq=False)
class Merge:
    """The segments from ``start`` on as one.

    ``order`` are its contents and ``faces`` its faces, counted from the first one in ``sources``.
    """

    start: int
    sources: tuple[Segment, ...]
    files: _Files
    order: Ints
    faces: Ints
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
        """The new segment's arrays; embeddings pass through a block at a time, verified."""
        contents = ContentTable(self.sources)
        tables = {"contents": contents, "faces": FaceTable(self.sources, contents)}
        picked = {"contents": self.order, "faces": self.faces}
        rows = EmbeddingRows(self.sources, self.dim)
        texts: dict[str, tuple[Ints, NDArray[np.uint8]]] = {}

        def column(name: str) -> NDArray[Any]:
            table, _, field = name.partition(".")
            if name == "contents.face_offsets":
                return np.cumsum([0, *contents.face_counts[self.order].tolist()], dtype=np.int64)
            text, _, kind = field.rpartition("_")
            if kind in ("offsets", "blob"):
                if name.endswith("_offsets"):
                    texts[name.removesuffix("_offsets")] = self._text(contents, text)
                    return texts[f"{table}.{text}"][0]
                return texts.pop(f"{table}.{text}")[1]
            if table == "files":
                values: NDArray[Any] = getattr(self.files, field)
                return values
            taken: NDArray[Any] = getattr(tables[table], field)[picked[table]]
            return taken

        return segment_members(
            column, self.counts, lambda start, stop: rows.gather(self.faces[start:stop])
        )

    def _text(self, contents: ContentTable, name: str) -> tuple[Ints, NDArray[np.uint8]]:
        if name == "path":
            return take_texts(self.files.blob, self.files.starts, self.files.stops)
        offsets, blob = contents.text_column(name)
        return take_texts(blob, offsets[:-1][self.order], offsets[1:][self.order])


def _merge(store: Store, start: int, files: _Files, order: Ints) -> Merge:
    sources = store.segments[start:]
    contents = ContentTable(sources)
    faces = take_ranges(contents.face_offsets[:-1][order], contents.face_counts[order])
    return Merge(start, sources, files, order, faces, store.dim)


def _first_contents(segments: Sequence[Segment]) -> Ints:
    return np.cumsum([0, *(segment.counts.contents for segment in segments)], dtype=np.int64)


def side_by_side(store: Store, start: int) -> Merge:
    """The segments from ``start`` on as one in which every content keeps its id."""
    sources = store.segments[start:]
    rows = FileRows(sources)
    files = _Files(
        rows.root, rows.size, rows.mtime_ns, rows.content, rows.starts, rows.stops, rows.blob
    )
    count = sum(segment.counts.contents for segment in sources)
    return _merge(store, start, files, np.arange(count))


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
    content = _one_content_a_hash(store)
    live = np.zeros(len(store.contents), np.bool_)
    live[content] = True
    start = _start(store, live, single_file_bytes)
    base = int(_first_contents(store.segments)[start])
    distinct, first = np.unique(content, return_index=True)
    order = distinct[np.argsort(first)]
    order = order[order >= base]
    number = np.arange(len(store.contents))
    number[order] = base + np.arange(len(order))
    rows = store.file_rows
    at = files.rows
    roots = files.root if start == 0 else _ids(store)[files.root]
    chosen = _Files(
        roots,
        files.size,
        files.mtime_ns,
        number[content],
        rows.starts[at],
        rows.stops[at],
        rows.blob,
    )
    if start > 0:
        changed = (rows.segment[at] >= start) | (content != files.content)
        chosen = _told_anew(store, start, chosen.taken(np.flatnonzero(changed)))
    return _merge(store, start, chosen, order - base)


def _ids(store: Store) -> NDArray[np.int32]:
    return np.array([root.id for root in store.roots], np.int32)


def _one_content_a_hash(store: Store) -> Ints:
    """(files,) int64: each file's content, or the sound one with the same hash.

    A photo that failed and was read later under another name has two.
    """
    contents, content = store.contents, store.files.content
    distinct = np.unique(content)
    distinct = distinct[contents.hash[distinct].any(axis=1)]
    words = np.ascontiguousarray(contents.hash[distinct]).view(np.uint64)
    rank = np.lexsort((contents.failed[distinct], *words.T))
    words, distinct = words[rank], distinct[rank]
    leads = np.ones(len(distinct), np.bool_)
    leads[1:] = (words[1:] != words[:-1]).any(axis=1)
    leader = distinct[leads][np.cumsum(leads) - 1]
    chosen = np.arange(len(contents))
    # Failures name their file, so those of one hash stay apart.
    chosen[distinct] = np.where(contents.failed[leader], distinct, leader)
    return chosen[content]


def _start(store: Store, live: NDArray[np.bool_], single_file_bytes: int) -> int:
    """The first segment to rewrite; depends on what is there, not on how it came to be."""
    row = store.dim * 4
    faces = store.contents.face_counts
    if int(faces[live].sum()) * row <= single_file_bytes:
        return 0
    weight = faces * row + _CONTENT_BYTES
    firsts = _first_contents(store.segments)
    spans = [slice(int(a), int(b)) for a, b in itertools.pairwise(firsts)]
    used = [int(weight[span][live[span]].sum()) for span in spans]
    settled = sum(entry.settled for entry in store.head.segments)
    start = settled
    for index in range(settled):
        if 2 * used[index] < int(weight[spans[index]].sum()):
            start = index
            break
    rows = int((store.file_rows.segment >= start).sum())
    tail = rows * _FILE_BYTES + sum(used[start:])
    while 0 < start < len(used):
        before = used[start - 1] + store.segments[start - 1].counts.files * _FILE_BYTES + 1
        if before >= TIER * tail:
            break
        start -= 1
        tail += before
    return start


def _told_anew(store: Store, start: int, files: _Files) -> _Files:
    """Of these rows those that say something new to the segments before, and what is gone."""
    rows = store.file_rows
    listed = np.isin(rows.root, [root.id for root in store.roots])
    gone = np.flatnonzero((rows.content == schema.REMOVED) & (rows.segment >= start) & listed)
    before = store.segments[:start]
    told = [_last_told(before, *files.key(row)) for row in range(len(files.root))]
    now = zip(files.size.tolist(), files.mtime_ns.tolist(), files.content.tolist(), strict=True)
    new = [row for row, (old, own) in enumerate(zip(told, now, strict=True)) if old != own]
    dead = [row for row in gone.tolist() if _last_told(before, int(rows.root[row]), rows.key(row))]
    joined = files.taken(np.array(new, np.int64)).followed_by(rows, np.array(dead, np.int64))
    order = sorted(range(len(joined.root)), key=joined.key)
    return joined.taken(np.array(order, np.int64))


def _last_told(segments: Sequence[Segment], root: int, key: bytes) -> tuple[int, int, int] | None:
    """(size, time, content) of a file as the last of these segments has it, None if it is gone."""
    for segment in reversed(segments):
        row = find_file(segment, root, key)
        if row is not None:
            columns = ("files.size", "files.mtime_ns", "files.content")
            size, mtime, content = (int(segment.column(name)[row]) for name in columns)
            return None if content == schema.REMOVED else (size, mtime, content)
    return None
