"""What a gallery knows of files and photos, as a store of this process without embeddings."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from facesearch.gallery.milvus.head import GalleryHead
from facesearch.gallery.milvus.rows import FILE_COLUMNS, Content, content_at, content_in, entry_of
from facesearch.gallery.milvus.tables import Table
from facesearch.recipes import Recipe
from facesearch.records import Face, Failure, PhotoEntry, PhotoResult
from facesearch.store import Root, Store, StoreWriter

_FILES_AT_ONCE = 50_000
_NO_FACE = Face(None, (), 0.0)

Place = tuple[int, str]
"""A root's id, and the path of a file below it."""


class Shadow:
    """A store whose rows have one number in place of an embedding, and which photo lies where.

    Attributes:
        writer: writes it; content ids stay as they are until its ``finish``.
    """

    def __init__(self, folder: str, recipe: Recipe) -> None:
        self._recipe = recipe
        self._entered: dict[str, Any] = {}
        small = replace(recipe, extractor=replace(recipe.extractor, dim=1))
        self.writer = StoreWriter.open(Path(folder, "shadow.npz"), small)
        self._begun = self.writer.store
        self._seen = (self._begun, self._begun)
        self._now: dict[Place, int | None] = {}
        self._places: dict[int, set[Place]] = {}

    def fill(self, head: GalleryHead, files: Table) -> None:
        """Takes over what a gallery has."""
        writer = self.writer
        self._entered = head.entered
        writer.set_roots([Root(path, path, number) for number, path in head.roots])
        writer.set_options(head.options)
        index = {root.id: place for place, root in enumerate(writer.roots)}
        pending = 0
        for rows in files.scan(FILE_COLUMNS):
            for row in rows:
                number, entry = entry_of(row)
                if number in index:
                    self._take(index[number], entry, content_in(row))
            pending += len(rows)
            if pending >= _FILES_AT_ONCE:
                writer.commit()
                pending = 0
        writer.commit()
        self._begun = writer.store

    def _take(self, root: int, entry: PhotoEntry, content: Content) -> None:
        failure = content.failure and Failure("", *content.failure)
        faces = (_NO_FACE,) * content.faces
        facts = None if failure else content.facts
        nothing = np.zeros((0, 1), np.float32)
        result = PhotoResult(content.facts.content_hash, facts, faces, nothing, failure)
        self.put((root, entry), result)

    def put(self, file: tuple[int, PhotoEntry], result: PhotoResult) -> int:
        """A file and what became of it; its content's id."""
        rows = np.zeros((len(result.faces), 1), np.float32)
        return self.writer.put(file, replace(result, embeddings=rows))

    @property
    def store(self) -> Store:
        """The store as of the last commit, of the gallery's own recipe."""
        now, told = self._seen
        if now is not self.writer.store or told is now:
            now = self.writer.store
            told = Store(
                now.path,
                replace(now.head, recipe=self._recipe, entered=self._entered),
                now.segments,
            )
            self._seen = (now, told)
        return told

    def content(self, number: int) -> Content:
        """A content that is committed."""
        return content_at(self.writer.store.contents, number)

    def files_of(self, content: int) -> list[tuple[int, PhotoEntry]]:
        """The files of a content at the start, with their roots' ids."""
        files, roots = self._begun.files, self._begun.roots
        return [
            (
                roots[int(files.root[row])].id,
                PhotoEntry(files.path(row), int(files.size[row]), int(files.mtime_ns[row])),
            )
            for row in files.of_content(content).tolist()
        ]

    def places(self, content: int) -> set[Place]:
        """Where a content lies now."""
        if content not in self._places:
            held = range(len(self._begun.contents))
            self._places[content] = set(self._held_places(content)) if content in held else set()
        return self._places[content]

    def moved(self, place: Place, content: int | None) -> set[int]:
        """A file has this content now, or is gone (None); the contents to which that matters."""
        before = self._now.get(place, self._held.get(place))
        self._now[place] = content
        touched = {number for number in (before, content) if number is not None}
        if before is not None:
            self.places(before).discard(place)
        if content is not None:
            self.places(content).add(place)
        return touched

    def places_of_roots(self, roots: Collection[int]) -> list[Place]:
        """All files of these roots."""
        held = {**self._held, **self._now}
        return [
            place for place, content in held.items() if place[0] in roots and content is not None
        ]

    def _held_places(self, content: int) -> Iterator[Place]:
        files, roots = self._begun.files, self._begun.roots
        for row in files.of_content(content).tolist():
            yield roots[int(files.root[row])].id, files.path(row)

    @cached_property
    def _held(self) -> dict[Place, int]:
        """The content of each file before the run."""
        files, roots = self._begun.files, self._begun.roots
        rows = zip(files.root.tolist(), files.paths(), files.content.tolist(), strict=True)
        return {(roots[root].id, path): content for root, path, content in rows}
