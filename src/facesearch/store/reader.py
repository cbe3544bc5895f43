"""``Store``: one commit of a store file, as a read-only snapshot."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facesearch.errors import StoreError, StoreMissingError
from facesearch.recipes import Recipe
from facesearch.records import Progress
from facesearch.store import schema
from facesearch.store.archive import META, Archive, damaged
from facesearch.store.files import FileRows, FileTable, require_safe_paths
from facesearch.store.forgotten import Forgotten
from facesearch.store.head import Head, Root
from facesearch.store.heads import open_head
from facesearch.store.lock import owner_of
from facesearch.store.sealing import Key
from facesearch.store.segments import Segment, open_segment
from facesearch.store.tables import ContentTable, EmbeddingRows, FaceTable

_OPEN_TRIES = 20


class Store:
    """What a store held at its last commit.

    Cheap to open: arrays are mapped, and verified when first used. It stays valid, and stays the
    same, while a writer goes on.

    Attributes:
        path: as it was named.
        head: its own description: recipe, roots, options, segments.
        key: what its files are encrypted with; None: they are plain.
    """

    def __init__(
        self,
        path: Path,
        head: Head,
        segments: Sequence[Segment],
        archive: Archive | None = None,
        key: Key | None = None,
    ) -> None:
        self.path = path
        self.head = head
        self.segments = tuple(segments)
        self.key = key if archive is None else archive.key
        self._archive = archive

    @classmethod
    def open(cls, path: Path) -> Store:
        """Open the last commit.

        Raises:
            StoreMissingError: there is no store at ``path``.
            StoreError: the file is no store, of a newer version, cut short or damaged.
        """
        path = Path(path)
        location = real_location(path)
        last = ""
        for _ in range(_OPEN_TRIES):
            head, archive = open_head(path, location)
            try:
                return cls(path, head, _open_segments(location, head, archive), archive)
            except StoreMissingError as gone:
                # A writer may have merged it away since the head was read; a head that still
                # names it is no such case.
                if archive.digest == last:
                    raise damaged(
                        path, f"a part of it is gone: {str(gone).split(':')[0]}"
                    ) from gone
                last = archive.digest
        raise StoreError(f"{path}: it changes faster than it can be opened; try again")

    @property
    def version(self) -> int:
        """Version of the format."""
        return schema.VERSION

    @property
    def recipe(self) -> Recipe:
        """How its rows were made."""
        return self.head.recipe

    @property
    def options(self) -> dict[str, Any]:
        """What ``index`` was told and remembers, e.g. exclude patterns; a copy."""
        return dict(self.head.options)

    @property
    def roots(self) -> tuple[Root, ...]:
        """The folders indexed, in the order in which they were added."""
        return self.head.roots

    @property
    def indexed_at(self) -> str:
        """When a run last ended, ISO 8601 in UTC."""
        return self.head.indexed_at

    @property
    def progress(self) -> Progress | None:
        """The run that has not ended, if there is one; looked up anew each time."""
        run = self.head.run
        if run is None:
            return None
        progress = run.progress()
        # Where the run was stopped, the process that worked on it may live on.
        running = progress.running and owner_of(real_location(self.path)) == run.pid
        return replace(progress, running=running)

    @property
    def folder(self) -> Path:
        """The folder that the store's file is in; relative roots count from here."""
        return real_location(self.path).parent

    @property
    def size(self) -> int:
        """Bytes on disk, all parts and what was computed from them together."""
        parts = {segment.archive.path: segment.archive.size for segment in self.segments}
        location = real_location(self.path)
        others = [derived_folder(location) / entry.file for entry in self.head.derived.values()]
        if not self.head.inline:
            others.append(location if self._archive is None else self._archive.path)
        return sum(parts.values()) + sum(path.stat().st_size for path in others if path.exists())

    @property
    def dim(self) -> int:
        """Length of an embedding."""
        return self.recipe.extractor.dim

    @cached_property
    def _tables(self) -> _Tables:
        return _Tables(self.path, self.segments, self.roots)

    @property
    def file_rows(self) -> FileRows:
        """Newest row of every file, removed ones included."""
        return self._tables.rows

    @property
    def files(self) -> FileTable:
        """The files that are there, sorted by root and path."""
        return self._tables.files

    @cached_property
    def contents(self) -> ContentTable:
        """The distinct photos."""
        tables = self._tables  # not self: who lets go of a store lets go of its files at once
        return ContentTable(self.segments, lambda: tables.files.content)

    @cached_property
    def faces(self) -> FaceTable:
        """The faces; a face's id is its row here."""
        return FaceTable(self.segments, self.contents, self.forgotten)

    @cached_property
    def forgotten(self) -> Forgotten:
        """What must not come back.

        Raises:
            StoreError: it makes no sense.
        """
        try:
            return Forgotten.of(self.head.entered)
        except StoreError as error:
            raise damaged(self.path, str(error)) from error

    @cached_property
    def _embeddings(self) -> EmbeddingRows:
        return EmbeddingRows(self.segments, self.dim)

    @property
    def rows(self) -> tuple[NDArray[np.float32], ...]:
        """One (n, dim) float32 array for each segment, in order of face id.

        They are read-only views of the mapped files, not copied, and not verified before
        ``verify_rows``.
        """
        return self._embeddings.parts

    def verify_rows(self) -> None:
        """Hold all of ``rows`` against their checksums, each block once.

        Raises:
            StoreError: a block is not as it was written.
        """
        for segment in self.segments:
            segment.require_blocks(np.arange(segment.counts.rows("blocks")))

    @property
    def row_offsets(self) -> NDArray[np.int64]:
        """(segments + 1,) int64: the face id at which each of ``rows`` starts."""
        return self._embeddings.offsets

    def embeddings(self, ids: ArrayLike) -> NDArray[np.float32]:
        """(len(ids), dim) float32, a copy of the faces' rows, verified.

        Every block of 4,096 rows that is touched is held against its checksum, once.

        Raises:
            IndexError: an id is no face.
            StoreError: a block is not as it was written.
        """
        return self._embeddings.gather(np.asarray(ids, np.int64).reshape(-1))

    def content_digest(self) -> str:
        """SHA-256 (hex) that two stores share when they hold the same photos and faces.

        It covers the recipe and, for every file, its path relative to its root, hashes, facts,
        faces and embeddings. Left out are where roots lie, their order, file times, when it was
        made, failure messages, options, and the order of contents and segments.
        """
        contents = [self._digest_content(row) for row in range(len(self.contents))]
        roots = [hashlib.sha256() for _ in self.roots]
        files = self.files
        for row, path in enumerate(files.paths()):
            name = os.fsencode(path)
            digest = roots[files.root[row]]
            digest.update(len(name).to_bytes(8, "little") + name)
            digest.update(contents[files.content[row]])
        whole = hashlib.sha256(self.recipe.recipe_digest.encode())
        named = {int(root) for root in np.unique(files.root)}
        for part in sorted(roots[root].digest() for root in named):
            whole.update(part)
        return whole.hexdigest()

    def _digest_content(self, row: int) -> bytes:
        contents, faces = self.contents, self.faces
        if not contents.live[row]:
            return b""
        digest = hashlib.sha256(contents.hash[row].tobytes() + contents.pixel_hash[row].tobytes())
        for column in (contents.width, contents.height, contents.scale, contents.frames):
            digest.update(column[row].tobytes())
        reason = (contents.failure(row) or ("",))[0]
        for text in (contents.taken(row), contents.camera(row), contents.format(row), reason):
            raw = text.encode("utf-8", "surrogateescape")
            digest.update(len(raw).to_bytes(8, "little") + raw)
        ids = np.arange(contents.face_start(row), contents.face_stop(row))
        for table in (faces.box, faces.landmarks, faces.score, faces.sharpness):
            digest.update(table[ids].tobytes())
        digest.update(self.embeddings(ids).tobytes())
        return digest.digest()

    def head_archive(self) -> Archive:
        """The file that this snapshot came from, or what lies in its place by now."""
        return self._archive or open_head(self.path, real_location(self.path))[1]


class _Tables:
    """The files of a store, put in order when first asked for."""

    def __init__(self, path: Path, segments: Sequence[Segment], roots: Sequence[Root]) -> None:
        self._path = path
        self._segments = segments
        self._roots = roots

    @cached_property
    def rows(self) -> FileRows:
        rows = FileRows(self._segments)
        count = sum(segment.counts.contents for segment in self._segments)
        if len(rows) and not (
            int(rows.content.min()) >= schema.REMOVED and int(rows.content.max()) < count
        ):
            raise damaged(self._path, "a file has a content that is not there")
        require_safe_paths(self._path, rows.table)
        return rows

    @cached_property
    def files(self) -> FileTable:
        return FileTable(self.rows, [root.id for root in self._roots])


def real_location(path: Path) -> Path:
    """The file behind symbolic links: that one is replaced, and its parts lie beside it."""
    return Path(os.path.realpath(path))


def parts_folder(location: Path) -> Path:
    """Where a store keeps the segments that are not in its own file."""
    return location.with_name(location.name + ".parts")


def derived_folder(location: Path) -> Path:
    """Where a store keeps what was computed from it."""
    return location.with_name(location.name + ".derived")


def _open_segments(location: Path, head: Head, archive: Archive) -> list[Segment]:
    dim = head.recipe.extractor.dim
    if head.inline:
        return [Segment(archive, head.segments[0].counts(dim))]
    if archive.names != (META,):
        raise damaged(location, "it holds arrays that it does not name")
    folder = parts_folder(location)
    return [
        open_segment(folder / entry.name, entry.counts(dim), entry.sha256, archive.key)
        for entry in head.segments
    ]
