"""The three tables of a store, joined over its segments: files, contents, faces."""

from __future__ import annotations

import bisect
import heapq
import os
from array import array
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facesearch.store import schema
from facesearch.store.archive import damaged
from facesearch.store.segments import Segment

Ints = NDArray[np.int64]

_ROWS_AT_ONCE = 1 << 16


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


def take_texts(
    blob: NDArray[np.uint8], starts: Ints, stops: Ints
) -> tuple[Ints, NDArray[np.uint8]]:
    """(offsets, blob) of the pieces ``blob[start:stop]`` laid end to end."""
    lengths = stops - starts
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)])
    taken = np.empty(int(offsets[-1]), np.uint8)
    for first in range(0, len(starts), _ROWS_AT_ONCE):
        rows = slice(first, first + _ROWS_AT_ONCE)
        pieces = blob[take_ranges(starts[rows], lengths[rows])]
        begin = int(offsets[first])
        taken[begin : begin + len(pieces)] = pieces
    return offsets, taken


class FileRows:
    """Newest row of every file over some segments, removed ones included, by (root id, path).

    Attributes:
        segment: (n,) int32, which of the segments the row is in.
        root: (n,) int32, the root's id.
        size, mtime_ns, content: (n,) int64; ``content`` is -1 where the file is gone.
    """

    def __init__(self, segments: Sequence[Segment]) -> None:
        self.segment, rows = _newest_rows(segments)
        bases = _bases([segment.counts.files for segment in segments])
        at = None if len(segments) == 1 else bases[self.segment] + rows

        def column(name: str) -> NDArray[Any]:
            values = join(segments, name)
            return values if at is None else values[at]

        self.root: NDArray[np.int32] = column("files.root")
        self.size: Ints = column("files.size")
        self.mtime_ns: Ints = column("files.mtime_ns")
        self.content: Ints = column("files.content")
        offsets = join_offsets(segments, "files.path_offsets")
        self.starts: Ints = offsets[:-1] if at is None else offsets[:-1][at]
        self.stops: Ints = offsets[1:] if at is None else offsets[1:][at]
        self.blob: NDArray[np.uint8] = join(segments, "files.path_blob")

    def __len__(self) -> int:
        return len(self.root)

    def key(self, row: int) -> bytes:
        """The path's bytes."""
        return self.blob[int(self.starts[row]) : int(self.stops[row])].tobytes()


def _bases(lengths: list[int]) -> Ints:
    return np.cumsum([0, *lengths], dtype=np.int64)


def _newest_rows(segments: Sequence[Segment]) -> tuple[NDArray[np.int32], Ints]:
    """(segment, row) of the newest row of every file, in order of (root id, path)."""
    if len(segments) == 1:
        count = segments[0].counts.files
        return np.zeros(count, np.int32), np.arange(count, dtype=np.int64)
    chosen, rows = array("i"), array("q")
    last: tuple[int, bytes] | None = None
    # Each segment is sorted and the newest comes first among equals, so one pass is enough.
    for root, path, age, row in heapq.merge(
        *(_sorted_rows(segment, -index) for index, segment in enumerate(segments))
    ):
        if (root, path) != last:
            last = (root, path)
            chosen.append(-age)
            rows.append(row)
    return np.frombuffer(chosen, np.int32), np.frombuffer(rows, np.int64)


def _sorted_rows(segment: Segment, age: int) -> Iterator[tuple[int, bytes, int, int]]:
    roots, offsets = segment.column("files.root"), segment.column("files.path_offsets")
    blob = segment.column("files.path_blob")
    last = (-1, b"")
    for first in range(0, segment.counts.files, _ROWS_AT_ONCE):
        ends = offsets[first : first + _ROWS_AT_ONCE + 1].tolist()
        for step, root in enumerate(roots[first : first + _ROWS_AT_ONCE].tolist()):
            key = (root, blob[ends[step] : ends[step + 1]].tobytes())
            if key <= last:
                raise damaged(segment.archive.path, "its files are out of order")
            last = key
            yield (*key, age, first + step)


def find_file(segment: Segment, root: int, key: bytes) -> int | None:
    """The row of a file in one segment, by halving."""
    roots, offsets = segment.column("files.root"), segment.column("files.path_offsets")
    blob = segment.column("files.path_blob")

    def place(row: int) -> tuple[int, bytes]:
        return int(roots[row]), blob[offsets[row] : offsets[row + 1]].tobytes()

    row = bisect.bisect_left(range(len(roots)), (root, key), key=place)
    return row if row < len(roots) and place(row) == (root, key) else None


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
        self.size: Ints = self._take(rows.size)
        self.mtime_ns: Ints = self._take(rows.mtime_ns)
        self.content: Ints = self._take(rows.content)

    def __len__(self) -> int:
        return len(self.root)

    def _take(self, values: NDArray[Any]) -> NDArray[Any]:
        return values if self._picked is None else values[self._picked]

    @property
    def rows(self) -> Ints:
        """(n,) int64: where each file is in the ``FileRows`` that this table was made from."""
        return self._take(np.arange(len(self._rows)))

    def path_bytes(self, row: int) -> bytes:
        """The path relative to its root, as the file system spells it, "/" between parts."""
        return self._rows.key(row if self._picked is None else int(self._picked[row]))

    def path(self, row: int) -> str:
        """``path_bytes`` as text, undecodable bytes as surrogates."""
        return os.fsdecode(self.path_bytes(row))

    def paths(self) -> Iterator[str]:
        """All paths in order."""
        blob = self._rows.blob.data
        starts, stops = self._take(self._rows.starts), self._take(self._rows.stops)
        for start, stop in zip(starts.tolist(), stops.tolist(), strict=True):
            yield os.fsdecode(bytes(blob[start:stop]))

    def of_content(self, content: int) -> Ints:
        """The rows of all files with this content, in order of (root, path)."""
        order, sorted_contents = self._by_content
        first, last = np.searchsorted(sorted_contents, [content, content + 1])
        return order[first:last]

    @cached_property
    def _by_content(self) -> tuple[Ints, Ints]:
        order = np.argsort(self.content, kind="stable")
        return order, self.content[order]


def _positions(values: NDArray[np.int32], listed: Sequence[int]) -> NDArray[np.int32]:
    """Where in ``listed`` each value is, -1 where it is not."""
    if not listed:
        return np.full(len(values), -1, np.int32)
    order = np.argsort(listed)
    ranked = np.asarray(listed)[order]
    place = np.minimum(np.searchsorted(ranked, values), len(ranked) - 1)
    return np.where(ranked[place] == values, order[place], -1).astype(np.int32)


class ContentTable:
    """The distinct photos of a store, by the hash of their bytes."""

    def __init__(
        self, segments: Sequence[Segment], referenced: Callable[[], Ints] | None = None
    ) -> None:
        self._segments = segments
        self._referenced = referenced
        self._texts: dict[str, tuple[Ints, NDArray[np.uint8]]] = {}
        self._count = sum(segment.counts.contents for segment in segments)

    def __len__(self) -> int:
        return self._count

    @cached_property
    def hash(self) -> NDArray[np.uint8]:
        """(n, 32) uint8: SHA-256 of the bytes, zero where they could not be read."""
        return join(self._segments, "contents.hash")

    @cached_property
    def pixel_hash(self) -> NDArray[np.uint8]:
        """(n, 16) uint8: BLAKE2b of the upright pixels, zero where it failed."""
        return join(self._segments, "contents.pixel_hash")

    @cached_property
    def width(self) -> NDArray[np.int32]:
        """(n,) int32: pixels of the upright original, 0 where it failed."""
        return join(self._segments, "contents.width")

    @cached_property
    def height(self) -> NDArray[np.int32]:
        """(n,) int32: pixels of the upright original, 0 where it failed."""
        return join(self._segments, "contents.height")

    @cached_property
    def scale(self) -> NDArray[np.float32]:
        """(n,) float32: decoded size over original size, 0 where it failed."""
        return join(self._segments, "contents.scale")

    @cached_property
    def frames(self) -> NDArray[np.int32]:
        """(n,) int32: animation frames or pages, 0 where it failed."""
        return join(self._segments, "contents.frames")

    @cached_property
    def face_offsets(self) -> Ints:
        """(n + 1,) int64: content i has the faces ``face_offsets[i] .. face_offsets[i + 1]``."""
        return join_offsets(self._segments, "contents.face_offsets")

    @cached_property
    def live(self) -> NDArray[np.bool_]:
        """(n,) bool: whether a file has this content; the others wait to be dropped."""
        live = np.zeros(self._count, np.bool_)
        if self._referenced is not None:
            live[self._referenced()] = True
        return live

    @cached_property
    def failed(self) -> NDArray[np.bool_]:
        """(n,) bool: whether the photo could not be used."""
        offsets, _ = self.text_column("reason")
        return offsets[1:] > offsets[:-1]

    @cached_property
    def face_counts(self) -> Ints:
        """(n,) int64: faces of each content."""
        return np.diff(self.face_offsets)

    def face_start(self, row: int) -> int:
        """Id of the content's first face."""
        return int(self.face_offsets[row])

    def face_stop(self, row: int) -> int:
        """One more than the id of its last face."""
        return int(self.face_offsets[row + 1])

    def taken(self, row: int) -> str:
        """Capture time, ISO 8601 without zone, or ""."""
        return self._text("taken", row)

    def camera(self, row: int) -> str:
        """Make and model, or ""."""
        return self._text("camera", row)

    def format(self, row: int) -> str:
        """Pillow's name of the file format, or ""."""
        return self._text("format", row)

    def failure(self, row: int) -> tuple[str, str] | None:
        """(reason, message) of a photo that could not be used, else None."""
        reason = self._text("reason", row)
        return (reason, self._text("message", row)) if reason else None

    def text_column(self, name: str) -> tuple[Ints, NDArray[np.uint8]]:
        """(offsets, blob) of one of ``schema.TEXTS``."""
        if name not in self._texts:
            offsets = join_offsets(self._segments, f"contents.{name}_offsets")
            self._texts[name] = offsets, join(self._segments, f"contents.{name}_blob")
        return self._texts[name]

    def _text(self, name: str, row: int) -> str:
        offsets, blob = self.text_column(name)
        return blob[int(offsets[row]) : int(offsets[row + 1])].tobytes().decode("utf-8", "replace")


class FaceTable:
    """The faces of all contents, live or not, in the order of their ids."""

    def __init__(self, segments: Sequence[Segment], contents: ContentTable) -> None:
        self._segments = segments
        self._contents = contents
        self._count = sum(segment.counts.faces for segment in segments)

    def __len__(self) -> int:
        return self._count

    @cached_property
    def content(self) -> Ints:
        """(m,) int64: row of the content table."""
        return np.repeat(np.arange(len(self._contents)), self._contents.face_counts)

    @cached_property
    def box(self) -> NDArray[np.float32]:
        """(m, 4) float32: x, y, width, height in pixels of the upright original."""
        return join(self._segments, "faces.box")

    @cached_property
    def landmarks(self) -> NDArray[np.float32]:
        """(m, 5, 2) float32: x, y of eyes, nose, mouth corners; NaN where unknown."""
        return join(self._segments, "faces.landmarks")

    @cached_property
    def score(self) -> NDArray[np.float32]:
        """(m,) float32: the detector's confidence, 0..1."""
        return join(self._segments, "faces.score")

    @cached_property
    def sharpness(self) -> NDArray[np.float32]:
        """(m,) float32: variance of the Laplacian of the grey crop."""
        return join(self._segments, "faces.sharpness")

    def number(self, face: int) -> int:
        """The face's number within its photo, from 1 in reading order."""
        return face - self._contents.face_start(int(self.content[face])) + 1


class EmbeddingRows:
    """The embeddings of all faces: one mapped array a segment, gathered with verification.

    Attributes:
        parts: one (n, dim) float32 array a segment, read-only views of the files.
        offsets: (segments + 1,) int64, the face id at which each part starts.
    """

    def __init__(self, segments: Sequence[Segment], dim: int) -> None:
        self._segments = segments
        self._dim = dim
        self.parts = tuple(segment.rows for segment in segments)
        self.offsets = _bases([len(rows) for rows in self.parts])

    def gather(self, ids: Ints) -> NDArray[np.float32]:
        """(len(ids), dim) float32, each row from a block whose checksum was found right.

        Raises:
            IndexError: an id is no face.
            StoreError: a block is not as it was written.
        """
        if len(ids) and not 0 <= int(ids.min()) <= int(ids.max()) < int(self.offsets[-1]):
            raise IndexError(f"face ids must be from 0 to {int(self.offsets[-1]) - 1}")
        gathered = np.empty((len(ids), self._dim), np.float32)
        part_of = np.searchsorted(self.offsets, ids, side="right") - 1
        for part in _distinct(part_of).tolist():
            here = part_of == part
            local = ids[here] - self.offsets[part]
            self._segments[part].require_blocks(_distinct(local // schema.BLOCK_ROWS))
            gathered[here] = self.parts[part][local]
        return gathered


def _distinct(numbers: Ints) -> Ints:
    """Which small numbers occur; numpy's own ``unique`` imports much at its first call."""
    return np.flatnonzero(np.bincount(numbers))
