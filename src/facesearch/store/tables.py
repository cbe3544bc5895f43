"""Two of the three tables of a store, joined over its segments: contents and faces."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facesearch.store import schema
from facesearch.store.columns import Ints, Joined, bases, distinct, join, join_offsets, pieces
from facesearch.store.forgotten import Forgotten
from facesearch.store.segments import Segment


class ContentFacts(NamedTuple):
    """What is said of one photo among neighbours."""

    hash: bytes
    width: int
    height: int
    taken: str


class FaceFacts(NamedTuple):
    """What is said of one face among neighbours; ``number`` counts within its photo, from 1."""

    content: int
    number: int
    box: tuple[float, float, float, float]
    score: float


class ContentTable:
    """The distinct photos of a store, by the hash of their bytes."""

    def __init__(
        self, segments: Sequence[Segment], referenced: Callable[[], Ints] | None = None
    ) -> None:
        self._segments = segments
        self._referenced = referenced
        self._texts: dict[str, tuple[Ints, NDArray[np.uint8]]] = {}
        self.table = Joined(segments, "contents")
        self._first_faces = bases(segment.counts.faces for segment in segments)

    def __len__(self) -> int:
        return len(self.table)

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
        live = np.zeros(len(self), np.bool_)
        if self._referenced is not None:
            live[self._referenced()] = True
        return live

    @cached_property
    def all_live(self) -> bool:
        """Whether every content has a file, as after a first run."""
        return bool(self.live.all())

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
        return self._faces_of(row)[0]

    def face_stop(self, row: int) -> int:
        """One more than the id of its last face."""
        return self._faces_of(row)[1]

    def _faces_of(self, row: int) -> tuple[int, int]:
        part = int(np.searchsorted(self.table.bases, row, side="right")) - 1
        segment, local = self.table.place(row)
        offsets = segment.column("contents.face_offsets")
        base = int(self._first_faces[part])
        return base + int(offsets[local]), base + int(offsets[local + 1])

    def first_faces(self, rows: Ints) -> Ints:
        """Ids of the contents' first faces."""
        found = np.empty(len(rows), np.int64)
        for segment, here, local in self.table.parts(rows):
            base = self._first_faces[self._segments.index(segment)]
            found[here] = segment.column("contents.face_offsets")[local] + base
        return found

    def facts(self, row: int) -> ContentFacts:
        """One photo; nothing else is read but the checksums of what is asked."""
        width, height = (int(self.table.value(side, row)) for side in ("width", "height"))
        return ContentFacts(self.hash_of(row), width, height, self.taken(row))

    def hash_of(self, row: int) -> bytes:
        """SHA-256 of one photo's bytes."""
        found: bytes = self.table.value("hash", row).tobytes()
        return found

    def with_hash(self, content_hash: bytes) -> Ints:
        """Rows of the contents whose hash begins so, dead and failed ones too."""
        start = np.frombuffer(content_hash, np.uint8)
        # One byte of each first: of millions of hashes few are looked at whole.
        rows = np.flatnonzero(self.hash[:, 0] == start[0])
        same: NDArray[np.bool_] = (self.hash[rows, : len(start)] == start).all(axis=1)
        return rows[same]

    def with_hashes(self, hashes: Collection[bytes]) -> Ints:
        """Rows of the contents with any of these hashes, ascending, dead and failed ones too."""
        if not hashes:
            return np.zeros(0, np.int64)
        asked = set(hashes)
        starts = np.array([int.from_bytes(each[:8], "little") for each in asked], np.uint64)
        here = np.ascontiguousarray(self.hash[:, :8]).view("<u8").reshape(-1)
        rows = np.flatnonzero(np.isin(here, starts)).tolist()
        return np.array([row for row in rows if self.hash_of(row) in asked], np.int64)

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
        return self.table.text(name, row).decode("utf-8", "replace")


class FaceTable:
    """The faces of all contents, live or not, in the order of their ids."""

    def __init__(
        self,
        segments: Sequence[Segment],
        contents: ContentTable,
        forgotten: Forgotten | None = None,
    ) -> None:
        self._segments = segments
        self._contents = contents
        self._forgotten = forgotten or Forgotten()
        self.table = Joined(segments, "faces")

    def __len__(self) -> int:
        return len(self.table)

    @cached_property
    def content(self) -> Ints:
        """(m,) int64: row of the content table."""
        return self.spread(np.arange(len(self._contents)))

    def content_of(self, faces: ArrayLike) -> Ints:
        """The contents of some faces; cheaper than ``content`` for a few of many."""
        asked = np.asarray(faces, np.int64).reshape(-1)
        found = np.empty(len(asked), np.int64)
        first = self._contents.table.bases
        for segment, here, local in self.table.parts(asked):
            offsets = segment.column("contents.face_offsets")
            place = np.searchsorted(offsets, local, side="right") - 1
            found[here] = place + first[self._segments.index(segment)]
        return found

    def spread(self, values: NDArray[Any]) -> NDArray[Any]:
        """(m, ...) what is known of each content, for each of its faces."""
        found = np.empty((len(self), *values.shape[1:]), values.dtype)
        content = face = 0
        for segment in self._segments:
            offsets = segment.column("contents.face_offsets")
            for piece in pieces(segment.counts.contents):
                ends = offsets[piece.start : piece.stop + 1]
                here = values[content + piece.start : content + piece.stop]
                found[face + int(ends[0]) : face + int(ends[-1])] = np.repeat(
                    here, np.diff(ends), axis=0
                )
            content += segment.counts.contents
            face += segment.counts.faces
        return found

    def facts(self, face: int) -> FaceFacts:
        """One face; nothing else is read but the checksums of what is asked."""
        content, number = self._where(face)
        x, y, width, height = self.table.value("box", face).tolist()
        score = float(self.table.value("score", face))
        return FaceFacts(content, number, (x, y, width, height), score)

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
        """The face's number within its photo, from 1 in reading order; those forgotten count too,
        so that no other face gets their numbers.
        """
        return self._where(face)[1]

    def _where(self, face: int) -> tuple[int, int]:
        """Its content, and its number there."""
        (content,) = self.content_of([face]).tolist()
        start, stop = self._contents.face_start(content), self._contents.face_stop(content)
        if not self._forgotten.faces:
            return content, face - start + 1
        numbers = self._forgotten.numbers(self._contents.hash_of(content), stop - start)
        return content, numbers[face - start]


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
        self.offsets = bases([len(rows) for rows in self.parts])

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
        for part in distinct(part_of).tolist():
            here = part_of == part
            local = ids[here] - self.offsets[part]
            self._segments[part].require_blocks(distinct(local // schema.BLOCK_ROWS))
            gathered[here] = self.parts[part][local]
        return gathered
