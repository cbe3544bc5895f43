"""``MilvusWriter``: an index run that writes into a gallery in Milvus."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from facesearch.addresses import EngineAddress
from facesearch.errors import RecipeMismatchError
from facesearch.gallery.facts import coverage_of
from facesearch.gallery.milvus import schema
from facesearch.gallery.milvus.connection import Connection
from facesearch.gallery.milvus.filters import Placer
from facesearch.gallery.milvus.head import GalleryHead, totals_of, write_head
from facesearch.gallery.milvus.holding import held_head
from facesearch.gallery.milvus.rows import (
    FACE_COLUMNS,
    Content,
    content_of,
    face_rows,
    file_key,
    file_row,
    placed_row,
    where_of,
)
from facesearch.gallery.milvus.shadow import Shadow
from facesearch.gallery.milvus.sweeping import Wanted, sweep_faces
from facesearch.gallery.milvus.tables import Row, Table, in_batches
from facesearch.recipes import Recipe
from facesearch.records import PhotoEntry, PhotoResult
from facesearch.store import Root, Store
from facesearch.store.assembly import LeftOut, must_not_be
from facesearch.store.head import RunMark

_PHOTOS_AT_ONCE = 1_000

_Place = tuple[int, str]


class MilvusWriter:
    """Adds photos to a gallery in batches; a commit is on the server's disk when it returns.

    What the gallery knows of files and photos is read at the start into a ``Shadow``, with which
    the run plans and counts. Everything is written under keys that follow from the photo, so what
    a killed run has written the next one writes again, to the same end.
    """

    def __init__(self, address: EngineAddress, wait: bool = False) -> None:
        """Connects and reads what is there; ``wait`` for another run on this machine to end.

        Raises:
            StoreBusyError: another process of this machine writes.
            StoreError: the server is away, refuses or is too slow; or it is something else.
        """
        self._address = address
        self._connection = Connection(address, create=True)
        self._faces = Table(self._connection, schema.FACES)
        self._files = Table(self._connection, schema.FILES)
        self._head_table = Table(self._connection, schema.HEAD)
        self._gallery = held_head(self._connection, wait)
        self._folder = tempfile.TemporaryDirectory(prefix="facesearch-")
        self._shadow: Shadow | None = None
        self._results: dict[int, PhotoResult] = {}
        self._changed: dict[_Place, tuple[PhotoEntry, int] | None] = {}
        self._touched: set[int] = set()
        self._written: GalleryHead | None = None
        if self._gallery is not None:
            try:
                self._shadow = Shadow(self._folder.name, self._gallery.recipe)
                self._shadow.fill(self._gallery, self._files)
            except BaseException:
                self.close()
                raise

    @property
    def held(self) -> Store | None:
        """What is there before the run, without embeddings; None where there is no gallery yet."""
        return None if self._shadow is None else self._shadow.store

    def begin(self, recipe: Recipe) -> None:
        """Says how the rows to come are made.

        Raises:
            RecipeMismatchError: the gallery's rows were made in another way.
        """
        head = self._gallery
        if head is None:
            self._gallery = GalleryHead(recipe)
            self._shadow = Shadow(self._folder.name, recipe)
        elif head.recipe.recipe_digest != recipe.recipe_digest:
            raise RecipeMismatchError(
                f"{self._address}: made with {head.recipe.differences(recipe)}; leave the option "
                "out, or name another collection"
            )

    def __enter__(self) -> MilvusWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Forgets the shadow. Rows not committed are dropped."""
        if self._shadow is not None:
            self._shadow.writer.close()
        self._folder.cleanup()

    @property
    def store(self) -> Store:
        """The gallery as of the last commit, without embeddings."""
        return self._of_run.store

    @property
    def roots(self) -> tuple[Root, ...]:
        """The roots as last set; other methods take an index into them."""
        return self._of_run.writer.roots

    def set_roots(self, roots: Sequence[Root]) -> None:
        """Names the roots; files of a root that is left out are dropped with it."""
        before = {root.id for root in self.roots}
        self._of_run.writer.set_roots(roots)
        dropped = before - {root.id for root in self.roots}
        for place in self._of_run.places_of_roots(dropped) if dropped else ():
            self._note(place, None)

    def set_options(self, options: dict[str, Any]) -> None:
        """Remembers what ``index`` was told."""
        self._of_run.writer.set_options(options)

    def content_id(self, content_hash: bytes) -> int | None:
        """The content with these bytes; see ``StoreWriter.content_id``."""
        return self._of_run.writer.content_id(content_hash)

    def put(self, file: tuple[int, PhotoEntry], result: PhotoResult) -> int:
        """A file and what became of it; see ``StoreWriter.put``."""
        root, entry = file
        known = self.content_id(result.content_hash) if result.content_hash else None
        if known is not None:
            self.link(root, entry, known)
            return known
        content = self._of_run.put(file, result)
        self._results[content] = result
        self._note((self.roots[root].id, entry.key), (entry, content))
        return content

    def link(self, root: int, entry: PhotoEntry, content_id: int) -> None:
        """A file has a content that is known; see ``StoreWriter.link``."""
        self._of_run.writer.link(root, entry, content_id)
        self._note((self.roots[root].id, entry.key), (entry, content_id))

    def remove(self, root: int, key: str) -> None:
        """A file is gone; see ``StoreWriter.remove``."""
        self._of_run.writer.remove(root, key)
        self._note((self.roots[root].id, key), None)

    def commit(self, progress: tuple[int, int] | None = None) -> None:
        """Brings everything given so far to the server's disk.

        Args:
            progress: (done, total) photos of the run, None when none is under way.

        Raises:
            StoreError: it could not be written; what was written counts, and the next run goes on.
        """
        shadow = self._of_run
        shadow.writer.commit(progress)
        run = RunMark.here(*progress) if progress else None
        self._make_ready(run)
        contents = {
            number: content_of(self._results[number])
            if number in self._results
            else shadow.content(number)
            for number in self._touched
        }
        # First the files that go: where this is cut off, the next run reads their photos again.
        self._files.delete(file_key(*place) for place, now in self._changed.items() if now is None)
        self._write_faces(contents)
        self._write_files(contents)
        self._write_head(self._head(run))
        self._changed, self._results, self._touched = {}, {}, set()

    def finish(self) -> None:
        """Ends a run: removes what no file needs.

        Raises:
            StoreError: it could not be written; the last commit stands.
        """
        if self._changed:
            self.commit((0, 0))
        self._make_ready(None)
        sweep_faces(self._faces, Wanted(self.store))
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        self._write_head(replace(self._head(None), indexed_at=now))
        self._of_run.writer.finish()

    def settle(self) -> None:
        """Takes out what was to go when another was cut off.

        Raises:
            StoreError: it could not be written; the same again goes on.
        """
        store = self.store
        left = must_not_be(store.contents, store.forgotten)
        if left:
            self.take_out(left, store.head.entered)
            return
        assert self._gallery is not None
        if sweep_faces(self._faces, Wanted(store)):
            self._compact()
        # The shadow was filled from the rows that there are.
        counted = self._gallery.counted(coverage_of(store))
        if self._gallery.run is None and counted != self._gallery:
            self._write_head(counted)

    def take_out(self, left_out: LeftOut, entered: dict[str, Any]) -> None:
        """Photos and faces go for good; what people entered is said first, so that whoever is cut
        off knows what is still to go.

        Raises:
            StoreError: it could not be written; the same again goes on.
        """
        assert self._gallery is not None
        before = self._gallery
        self._gallery = replace(before, entered=entered)
        write_head(self._head_table, self._gallery)
        if left_out:
            self._delete(left_out)
            # Not as the shadow counts, which still has the single faces.
            counted = replace(
                self._gallery, run=before.run, entered=entered, totals=totals_of(self._files)
            )
            write_head(self._head_table, counted)
            self._gallery = counted
        self._written = self._gallery
        self._compact()

    def _delete(self, left_out: LeftOut) -> None:
        """The rows of photos and faces, and of single faces also what their photo's files say."""
        assert self._gallery is not None
        store, shadow = self.store, self._of_run
        forgotten = store.forgotten
        of_photo: dict[int, list[int]] = defaultdict(list)
        photos = store.faces.content_of(left_out.faces)
        for number, face in zip(photos.tolist(), left_out.faces.tolist(), strict=True):
            of_photo[number].append(face)
        placer = Placer(self._gallery)
        for number, faces in of_photo.items():
            content, start = shadow.content(number), store.contents.face_start(number)
            keys = content.keys(forgotten)
            self._faces.delete([keys[face - start] for face in faces])
            fewer = replace(content, faces=content.faces - len(faces))
            self._files.upsert(
                [
                    file_row(placer.placed(root, entry.key), entry, fewer)
                    for root, entry in shadow.files_of(number)
                ]
            )
        index = {root.id: at for at, root in enumerate(self.roots)}
        for number in left_out.contents.tolist():
            for root, entry in shadow.files_of(number):
                self.remove(index[root], entry.key)
        self.commit()
        sweep_faces(self._faces, Wanted(self.store))

    def _compact(self) -> None:
        """Asks the engine to write its files without the rows that went."""
        for ending in schema.TABLES:
            name = self._address.collection + ending
            self._connection.call("flush", name)
            self._connection.call("compact", name)

    @property
    def _of_run(self) -> Shadow:
        if self._shadow is None:
            raise ValueError("nothing is written before begin")
        return self._shadow

    def _note(self, place: _Place, now: tuple[PhotoEntry, int] | None) -> None:
        """A file is as it is now, None where it is gone."""
        self._changed[place] = now
        self._touched |= self._of_run.moved(place, None if now is None else now[1])

    def _make_ready(self, run: RunMark | None) -> None:
        """Makes the collections when they are needed first, and tells of new roots before there
        are files in them.
        """
        if self._written is None:
            dim = self._of_run.store.recipe.extractor.dim
            schema.make_collections(self._connection, dim)
        head = self._head(run)
        if self._written is None or self._written.roots != head.roots:
            self._write_head(head)

    def _head(self, run: RunMark | None) -> GalleryHead:
        assert self._gallery is not None
        return replace(
            self._gallery,
            roots=tuple((root.id, root.path) for root in self.roots),
            options=self._of_run.writer.store.options,
            run=run,
        )

    def _write_head(self, head: GalleryHead) -> None:
        head = head.counted(coverage_of(self._of_run.store))
        if head != self._written:
            write_head(self._head_table, head)
            self._written = self._gallery = head

    def _write_faces(self, contents: Mapping[int, Content]) -> None:
        """Faces of new photos go in whole; those whose photo came or went somewhere are told so."""
        placer = Placer(self._head(None))
        forgotten = self.store.forgotten
        gone: list[str] = []
        moved: dict[str, Row] = {}
        rows: list[Row] = []
        for number, content in contents.items():
            places = [placer.placed(*place) for place in self._of_run.places(number)]
            result = self._results.get(number)
            keys = content.keys(forgotten)
            if not places:
                gone += keys
            elif result is None:
                moved |= dict.fromkeys(keys, where_of(places))
            elif content.faces:
                faces = dict(zip(keys, result.faces, strict=True))
                rows += face_rows(content, faces, result.embeddings, places)
        self._faces.upsert(rows)
        for keys in in_batches(moved, _PHOTOS_AT_ONCE):
            held = self._faces.read(keys, (*FACE_COLUMNS, schema.VECTOR), strong=True)
            self._faces.upsert([placed_row(row, moved[key]) for key, row in held.items()])
        self._faces.delete(gone)

    def _write_files(self, contents: Mapping[int, Content]) -> None:
        placer = Placer(self._head(None))
        self._files.upsert(
            [
                file_row(placer.placed(*place), now[0], contents[now[1]])
                for place, now in self._changed.items()
                if now is not None
            ]
        )
