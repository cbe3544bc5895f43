"""Rows that a writer has been given and not yet committed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facesearch.records import Box, Embeddings, Face, PhotoEntry, PhotoFacts, PhotoResult
from facesearch.store import schema

_FAILED = PhotoFacts(b"", b"", 0, 0, 0.0, frames=0)


class Pending:
    """A batch in memory: files by (root id, path), contents and their faces in order.

    ``first_content`` is the id of the first content added.
    """

    def __init__(self, first_content: int, dim: int) -> None:
        self.first_content = first_content
        self._dim = dim
        self._files: dict[tuple[int, bytes], tuple[int, int, int]] = {}
        self._contents: list[tuple[bytes, PhotoFacts, tuple[str, str], int]] = []
        self._faces: list[Face] = []
        self._embeddings: list[Embeddings] = []

    def __bool__(self) -> bool:
        return bool(self._files or self._contents)

    @property
    def next_content(self) -> int:
        """The id that the next content gets."""
        return self.first_content + len(self._contents)

    def add_content(self, result: PhotoResult) -> int:
        """Keep what became of a photo; returns the content's id.

        Raises:
            ValueError: its parts do not fit together.
        """
        rows = np.ascontiguousarray(result.embeddings, np.float32)
        count = len(result.faces)
        if count and rows.shape != (count, self._dim):
            raise ValueError(f"embeddings {rows.shape} for {count} faces of dimension {self._dim}")
        if not np.isfinite(rows).all():
            raise ValueError("an embedding is not finite")
        if len(result.content_hash) not in (0, 32):
            raise ValueError("a content hash has 32 bytes")
        if (result.facts is None) == (result.failure is None):
            raise ValueError("a photo has facts or a failure")
        failure = result.failure
        texts = (failure.reason, failure.message) if failure else ("", "")
        identifier = self.next_content
        self._contents.append((result.content_hash, result.facts or _FAILED, texts, count))
        self._faces.extend(result.faces)
        if count:
            # A copy: the rows may be a view that keeps a worker's whole batch alive.
            self._embeddings.append(rows.copy())
        return identifier

    def set_file(self, root: int, entry: PhotoEntry, content: int) -> None:
        """A file of this root id has this content from now on.

        Raises:
            ValueError: its path leads outside its root.
        """
        key = os.fsencode(entry.key)
        if key.startswith(b"/") or b"\0" in key or b".." in key.split(b"/"):
            raise ValueError(f"{entry.key!r} is no path below a root")
        self._files[root, key] = (entry.size, entry.mtime_ns, content)

    def remove_file(self, root: int, key: str) -> None:
        """A file is gone."""
        self._files[root, os.fsencode(key)] = (0, 0, schema.REMOVED)

    @property
    def counts(self) -> schema.Counts:
        """Rows of the segment that this batch becomes."""
        return schema.Counts(len(self._files), len(self._contents), len(self._faces), self._dim)

    def embeddings(self, start: int, stop: int) -> NDArray[np.float32]:
        """The rows of the faces ``start`` to ``stop`` of this batch."""
        return self._joined_embeddings()[start:stop]

    def _joined_embeddings(self) -> NDArray[np.float32]:
        if len(self._embeddings) > 1:
            self._embeddings = [np.concatenate(self._embeddings)]
        return self._embeddings[0]

    def columns(self) -> dict[str, NDArray[Any]]:
        """Every array of the segment but embeddings and their checksums."""
        return {**self._file_columns(), **self._content_columns(), **self._face_columns()}

    def _file_columns(self) -> dict[str, NDArray[Any]]:
        files = sorted(self._files.items())
        offsets, blob = _blob([key[1] for key, _ in files])
        return {
            "files.root": np.array([key[0] for key, _ in files], np.int32),
            "files.path_offsets": offsets,
            "files.path_blob": blob,
            "files.size": np.array([row[0] for _, row in files], np.int64),
            "files.mtime_ns": np.array([row[1] for _, row in files], np.int64),
            "files.content": np.array([row[2] for _, row in files], np.int64),
        }

    def _content_columns(self) -> dict[str, NDArray[Any]]:
        facts = [row[1] for row in self._contents]
        texts = {
            "taken": [fact.taken for fact in facts],
            "camera": [fact.camera for fact in facts],
            "format": [fact.format for fact in facts],
            "reason": [row[2][0] for row in self._contents],
            "message": [row[2][1] for row in self._contents],
        }
        columns: dict[str, NDArray[Any]] = {
            "contents.hash": _fixed([row[0] for row in self._contents], 32),
            "contents.pixel_hash": _fixed([fact.pixel_hash for fact in facts], 16),
            "contents.width": np.array([fact.width for fact in facts], np.int32),
            "contents.height": np.array([fact.height for fact in facts], np.int32),
            "contents.scale": np.array([fact.scale for fact in facts], np.float32),
            "contents.frames": np.array([fact.frames for fact in facts], np.int32),
            "contents.face_offsets": _ends([row[3] for row in self._contents]),
        }
        for name, values in texts.items():
            # Half of a surrogate pair in a photo's own text must not make the blob unreadable.
            offsets, blob = _blob([text.encode("utf-8", "backslashreplace") for text in values])
            columns[f"contents.{name}_offsets"] = offsets
            columns[f"contents.{name}_blob"] = blob
        return columns

    def _face_columns(self) -> dict[str, NDArray[Any]]:
        faces = self._faces
        unknown = ((np.nan, np.nan),) * 5
        boxes = [_sides(face.box) for face in faces]
        landmarks = [face.landmarks or unknown for face in faces]
        return {
            "faces.box": np.array(boxes, np.float32).reshape(-1, 4),
            "faces.landmarks": np.array(landmarks, np.float32).reshape(-1, 5, 2),
            "faces.score": np.array([face.score for face in faces], np.float32),
            "faces.sharpness": np.array([face.sharpness for face in faces], np.float32),
        }


def _sides(box: Box | None) -> tuple[float, float, float, float]:
    """A box as a row of ``faces.box``; NaN where the whole photo is the item."""
    if box is None:
        return (np.nan,) * 4
    return box.x, box.y, box.width, box.height


def _ends(lengths: Sequence[int]) -> NDArray[np.int64]:
    return np.cumsum([0, *lengths], dtype=np.int64)


def _blob(values: Sequence[bytes]) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    return _ends([len(value) for value in values]), np.frombuffer(b"".join(values), np.uint8)


def _fixed(values: Sequence[bytes], length: int) -> NDArray[np.uint8]:
    joined = b"".join(value.ljust(length, b"\0") for value in values)
    return np.frombuffer(joined, np.uint8).reshape(-1, length)
