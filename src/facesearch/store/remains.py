"""What is left of a damaged segment: the rows that are sound, as a segment that can be read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from facesearch.store import schema
from facesearch.store.archive import npy_header
from facesearch.store.columns import Ints, bases
from facesearch.store.head import SegmentEntry
from facesearch.store.salvage import Found
from facesearch.store.segments import Segment, block_checksum

_FILES = ("root", "size", "mtime_ns", "content")
_CONTENTS = ("hash", "pixel_hash", "width", "height", "scale", "frames")
_FACES = ("box", "landmarks", "score", "sharpness")
_SENSELESS = 1 << 60  # numbers, of which numpy has no array
_EMBEDDING, _CHECKSUM = "faces.embedding", "faces.checksum"

Flags = NDArray[np.bool_]


@dataclass(slots=True, eq=False)
class Remains:
    """What is sound of one segment.

    Attributes:
        entry: as the head names it.
        files: its columns of files by field; empty where they are lost.
        contents: those of contents; empty where they are lost.
        faces: those of faces, of lost ones zeros, and ``embedding``.
        lost: (contents,) which contents are not whole.
        lost_faces: (start, stop) of the embeddings that are lost, counted within the segment.
        damage: what is wrong, a line each.
    """

    entry: SegmentEntry
    files: dict[str, Any] = field(default_factory=dict)
    contents: dict[str, Any] = field(default_factory=dict)
    faces: dict[str, Any] = field(default_factory=dict)
    lost: Flags = field(default_factory=lambda: np.zeros(0, np.bool_))
    lost_faces: list[tuple[int, int]] = field(default_factory=list)
    damage: list[str] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        """Whether no row of it is lost."""
        lacks_files = self.entry.files and not self.files
        lacks_contents = self.entry.contents and not self.contents
        return not (lacks_files or lacks_contents or self.lost.any())

    def faces_of(self, content: int) -> tuple[int, int]:
        """(start, stop) of a content's faces within the segment."""
        offsets = self.contents["face_offsets"]
        return int(offsets[content]), int(offsets[content + 1])

    def lost_numbers(self, content: int) -> list[int]:
        """Which faces of a content lost their embeddings, from 1."""
        first, last = self.faces_of(content)
        return [
            face - first + 1
            for start, stop in self.lost_faces
            for face in range(max(start, first), min(stop, last))
        ]


def nothing_of(entry: SegmentEntry, why: str) -> Remains:
    """A segment of which nothing is left."""
    return Remains(entry, damage=[why])


def remains_of(entry: SegmentEntry, found: Found, dim: int) -> Remains:
    """What is sound of a segment whose file was gone through."""
    counts = entry.counts(dim)
    if counts.faces * dim >= _SENSELESS:
        return nothing_of(entry, f"{found.path}: it cannot have {counts.faces:,} faces")
    columns = {name: array for name, array in found.arrays.items() if _fits(name, array, counts)}
    left = Remains(entry)
    left.damage += [
        f"{found.path}: {name} is damaged"
        for name in schema.NAMES
        if name not in columns and not _needless(name, columns, counts)
    ]
    left.files = _files(columns)
    left.contents, left.lost = _contents(columns, entry)
    if left.contents:
        _add_faces(left, columns, found, counts)
    return left


def _fits(name: str, array: NDArray[Any], counts: schema.Counts) -> bool:
    column = schema.BY_NAME.get(name)
    if column is None:
        return False
    size = array.shape[0] if array.ndim else 0
    right = array.dtype == np.dtype(column.dtype) and array.shape == column.shape(counts, size)
    return right and (not name.endswith("_offsets") or _rises(array))


def _rises(offsets: NDArray[np.int64]) -> bool:
    return bool(offsets[0] == 0 and np.all(offsets[1:] >= offsets[:-1]))


def _needless(name: str, columns: dict[str, NDArray[Any]], counts: schema.Counts) -> bool:
    """Whether an array that is gone has nothing in it that the others do not say."""
    if name == _CHECKSUM:
        return _EMBEDDING in columns
    return name.startswith("faces.") and counts.faces == 0


def _files(columns: dict[str, NDArray[Any]]) -> dict[str, Any]:
    found = {name: columns.get(f"files.{name}") for name in _FILES}
    text = _text(columns, "files.path")
    if text is None or any(array is None for array in found.values()):
        return {}
    offsets, blob = text
    if blob is None:
        return {}
    return {**found, "path_offsets": offsets, "path_blob": blob}


def _text(
    columns: dict[str, NDArray[Any]], name: str
) -> tuple[NDArray[np.int64], NDArray[np.uint8] | None] | None:
    """(offsets, blob) of a text; the blob None where it is lost, all of it None without offsets."""
    offsets, blob = columns.get(f"{name}_offsets"), columns.get(f"{name}_blob")
    if offsets is None:
        return None
    if blob is None and offsets[-1] == 0:
        blob = np.zeros(0, np.uint8)
    return offsets, blob if blob is None or len(blob) == offsets[-1] else None


def _contents(
    columns: dict[str, NDArray[Any]], entry: SegmentEntry
) -> tuple[dict[str, Any], Flags]:
    """The columns of contents, and which of them are not whole; none where most is not known."""
    found: dict[str, Any] = {name: columns.get(f"contents.{name}") for name in _CONTENTS}
    found["face_offsets"] = columns.get("contents.face_offsets")
    if any(array is None for array in found.values()):
        return {}, np.zeros(0, np.bool_)
    if found["face_offsets"][-1] != entry.faces:
        return {}, np.zeros(0, np.bool_)
    lost = np.zeros(entry.contents, np.bool_)
    for name in schema.TEXTS:
        blob = columns.get(f"contents.{name}_blob")
        text = _text(columns, f"contents.{name}")
        if text is None and blob is not None and not len(blob):
            text = np.zeros(entry.contents + 1, np.int64), blob
        if text is None:
            return {}, np.zeros(0, np.bool_)
        offsets, blob = text
        if blob is None:
            # Who has no such text has lost nothing.
            lost |= np.diff(offsets) > 0
            offsets, blob = np.zeros_like(offsets), np.zeros(0, np.uint8)
        found[f"{name}_offsets"], found[f"{name}_blob"] = offsets, blob
    return found, lost


def _add_faces(
    left: Remains, columns: dict[str, NDArray[Any]], found: Found, counts: schema.Counts
) -> None:
    """The faces of the contents that are left; who has a face that is not whole is lost too."""
    offsets = left.contents["face_offsets"]
    have = np.diff(offsets) > 0
    for name in _FACES:
        column = schema.BY_NAME[f"faces.{name}"]
        array = columns.get(column.name)
        if array is None and counts.faces:
            left.lost |= have
        left.faces[name] = _nothing(column, counts) if array is None else array
    rows: Any = columns.get(_EMBEDDING)
    if rows is None and not counts.faces:
        rows = np.zeros((0, counts.dim), np.float32)
    if rows is None:
        rows = _blocks(columns.get(_CHECKSUM), found, counts)
        sound = rows.sound if rows is not None else np.zeros(0, np.bool_)
        left.lost_faces = _ranges(sound, counts.faces)
        left.lost |= have & _touched(offsets, sound)
        if sound.all() and len(sound):
            left.damage = [line for line in left.damage if _EMBEDDING not in line]
    left.faces["embedding"] = (
        rows if rows is not None else _nothing(schema.BY_NAME[_EMBEDDING], counts)
    )


def _nothing(column: schema.Column, counts: schema.Counts) -> NDArray[Any]:
    """Zeros in place of what is lost, which take no memory; nobody may read them."""
    return np.broadcast_to(np.zeros((), column.dtype), column.shape(counts, 0))


@dataclass(frozen=True, slots=True, eq=False)
class _Blocks:
    """Embeddings by block: ``starts`` in the file, -1 where a block is lost."""

    view: memoryview
    starts: Ints
    shape: tuple[int, int]

    @property
    def sound(self) -> Flags:
        return self.starts >= 0

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Ints) -> NDArray[np.float32]:
        found = np.empty((len(rows), self.shape[1]), np.float32)
        width = 4 * self.shape[1]
        for at, row in enumerate(np.asarray(rows).tolist()):
            block, inside = divmod(row, schema.BLOCK_ROWS)
            start = int(self.starts[block]) + inside * width
            found[at] = np.frombuffer(self.view, "<f4", self.shape[1], start)
        return found


def _blocks(
    checksums: NDArray[np.uint32] | None, found: Found, counts: schema.Counts
) -> _Blocks | None:
    """The blocks of embeddings that have their checksum; None where those are lost."""
    if checksums is None:
        return None
    shape = counts.faces, counts.dim
    skipped = len(npy_header("<f4", shape))
    width = 4 * counts.dim
    starts = np.full(len(checksums), -1, np.int64)
    for block, checksum in enumerate(checksums.tolist()):
        first = block * schema.BLOCK_ROWS
        rows = min(schema.BLOCK_ROWS, counts.faces - first)
        for begin in found.loose:
            start = begin + skipped + first * width
            if start < 0 or start + rows * width > found.size:
                continue
            array = np.frombuffer(found.view, "<f4", rows * counts.dim, start)
            if block_checksum(array) == checksum:
                starts[block] = start
                break
    return _Blocks(found.view, starts, shape)


def _ranges(sound: Flags, faces: int) -> list[tuple[int, int]]:
    """The faces of the blocks that are not sound; of all where none is known."""
    if not len(sound):
        return [(0, faces)] if faces else []
    size = schema.BLOCK_ROWS
    return [(n * size, min((n + 1) * size, faces)) for n in np.flatnonzero(~sound).tolist()]


def _touched(offsets: Ints, sound: Flags) -> Flags:
    """(contents,) which have a face in a block that is not sound; all where none is known."""
    if not len(sound):
        return np.ones(len(offsets) - 1, np.bool_)
    bad = np.cumsum(np.concatenate([[False], ~sound]))
    first = np.minimum(offsets[:-1] // schema.BLOCK_ROWS, len(sound))
    last = -(-offsets[1:] // schema.BLOCK_ROWS)
    touched: Flags = bad[np.minimum(last, len(sound))] > bad[first]
    return touched


class SoundSegment(Segment):
    """The sound rows of a damaged segment, read as any other; all of them were verified."""

    def __init__(self, left: Remains, content: Ints, dim: int) -> None:
        files = len(content) if left.files else 0
        contents = left.entry.contents if left.contents else 0
        faces = left.entry.faces if left.contents else 0
        self.counts = schema.Counts(files, contents, faces, dim)
        self.archive = cast(Any, SimpleNamespace(path=left.entry.name, size=0))
        columns = {
            "files": {**left.files, "content": content} if left.files else {},
            "contents": left.contents,
            "faces": left.faces,
        }
        self._columns = {}
        for column in schema.COLUMNS:
            table, _, name = column.name.partition(".")
            here = columns[table].get(name)
            empty = np.zeros(column.shape(self.counts, 0), column.dtype) if here is None else here
            self._columns[column.name] = empty
        self.rows = self._columns["faces.embedding"]

    def require_blocks(self, blocks: Ints) -> None:
        """Nothing: what may be read was verified when it was found."""


def sound_segments(parts: Sequence[Remains], dim: int) -> tuple[list[SoundSegment], list[Flags]]:
    """The sound rows of all segments, contents numbered through those that are left.

    Returns:
        The segments, and of each which of its files have lost their content.
    """
    old = bases(part.entry.contents for part in parts)
    new = bases(part.entry.contents if part.contents else 0 for part in parts)
    segments, lost = [], []
    for part in parts:
        content = part.files.get("content", np.zeros(0, np.int64))
        moved, gone = _renumbered(content, parts, old, new)
        segments.append(SoundSegment(part, moved, dim))
        lost.append(gone)
    return segments, lost


def _renumbered(
    content: Ints, parts: Sequence[Remains], old: Ints, new: Ints
) -> tuple[Ints, Flags]:
    """The contents of files as they are numbered now, -1 of those that are lost; and which are."""
    found = np.full(len(content), schema.REMOVED, np.int64)
    gone = content >= 0
    place = np.searchsorted(old, content, side="right") - 1
    for index, part in enumerate(parts):
        here = np.flatnonzero((place == index) & (content >= 0))
        if not len(here) or not part.contents:
            continue
        local = content[here] - old[index]
        kept = ~part.lost[local]
        found[here[kept]] = local[kept] + new[index]
        gone[here[kept]] = False
    return found, gone
