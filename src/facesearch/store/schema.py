"""Which arrays a segment holds: names, types, shapes, in file order (docs/store-format.md)."""

from __future__ import annotations

from dataclasses import dataclass

FORMAT = "facesearch-store"
SEGMENT_FORMAT = "facesearch-segment"
DERIVED_FORMAT = "facesearch-derived"
VERSION = 1
BLOCK_ROWS = 4096
"""Embedding rows that share one checksum."""
DIM = -1
"""Stands for the length of an embedding in ``Column.row``."""
TEXTS = ("taken", "camera", "format", "reason", "message")
"""Facts of a content that are texts: UTF-8, one blob with offsets."""
REMOVED = -1
"""``files.content`` of a file that is gone."""


@dataclass(frozen=True, slots=True)
class Column:
    """One array of a segment.

    ``table`` says what its first axis counts: "files", "contents", "faces", "blocks" (of 4,096
    faces), "bytes" (any number), or a table and "+1" for offsets.
    """

    name: str
    dtype: str
    table: str
    row: tuple[int, ...] = ()

    def shape(self, counts: Counts, size: int) -> tuple[int, ...]:
        """The shape it must have; ``size`` is the length found, used for blobs alone."""
        rows = size if self.table == "bytes" else counts.rows(self.table)
        return (rows, *(counts.dim if length == DIM else length for length in self.row))


@dataclass(frozen=True, slots=True)
class Counts:
    """How many rows each table of a segment has, and the length of an embedding."""

    files: int
    contents: int
    faces: int
    dim: int

    def rows(self, table: str) -> int:
        """Length of the first axis for a ``Column.table`` other than "bytes"."""
        known = {
            "files": self.files,
            "files+1": self.files + 1,
            "contents": self.contents,
            "contents+1": self.contents + 1,
            "faces": self.faces,
            "blocks": -(-self.faces // BLOCK_ROWS),
        }
        return known[table]


def _blob(name: str, table: str) -> tuple[Column, Column]:
    return Column(f"{name}_offsets", "<i8", f"{table}+1"), Column(f"{name}_blob", "|u1", "bytes")


COLUMNS = (
    Column("files.root", "<i4", "files"),
    *_blob("files.path", "files"),
    Column("files.size", "<i8", "files"),
    Column("files.mtime_ns", "<i8", "files"),
    Column("files.content", "<i8", "files"),
    Column("contents.hash", "|u1", "contents", (32,)),
    Column("contents.pixel_hash", "|u1", "contents", (16,)),
    Column("contents.width", "<i4", "contents"),
    Column("contents.height", "<i4", "contents"),
    Column("contents.scale", "<f4", "contents"),
    Column("contents.frames", "<i4", "contents"),
    *(column for text in TEXTS for column in _blob(f"contents.{text}", "contents")),
    Column("contents.face_offsets", "<i8", "contents+1"),
    Column("faces.box", "<f4", "faces", (4,)),
    Column("faces.landmarks", "<f4", "faces", (5, 2)),
    Column("faces.score", "<f4", "faces"),
    Column("faces.sharpness", "<f4", "faces"),
    Column("faces.embedding", "<f4", "faces", (DIM,)),
    Column("faces.checksum", "<u4", "blocks"),
)
NAMES = tuple(column.name for column in COLUMNS)
BY_NAME = {column.name: column for column in COLUMNS}
