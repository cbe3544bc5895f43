"""A store file goes into Milvus: what is there already is not sent again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property, partial
from typing import TypeVar

import numpy as np

from facesearch.addresses import EngineAddress
from facesearch.errors import RecipeMismatchError, StoreError
from facesearch.gallery.beside import beside
from facesearch.gallery.facts import coverage_of
from facesearch.gallery.milvus import schema
from facesearch.gallery.milvus.connection import Connection
from facesearch.gallery.milvus.filters import Placer
from facesearch.gallery.milvus.forgetting import rows_of
from facesearch.gallery.milvus.head import GalleryHead, totals_of, write_head
from facesearch.gallery.milvus.holding import held_head
from facesearch.gallery.milvus.rows import (
    content_at,
    face_rows,
    faces_at,
    file_key,
    file_row,
    split_file_key,
)
from facesearch.gallery.milvus.sweeping import Wanted, sweep_faces
from facesearch.gallery.milvus.tables import Row, Table, in_batches
from facesearch.gallery.transfers import (
    SAMPLE,
    TransferOptions,
    TransferSummary,
    Watch,
    refuse_losses,
    refuse_return,
)
from facesearch.locations import whole
from facesearch.records import PhotoEntry
from facesearch.store import Store
from facesearch.store.assembly import must_not_be
from facesearch.store.forgotten import Forgotten
from facesearch.store.head import RunMark

_AT_ONCE = 1_000  # photos or files

Item = TypeVar("Item")


class Push:
    """One store on its way."""

    def __init__(self, store: Store, address: EngineAddress, options: TransferOptions) -> None:
        """Connects, and looks at what is there.

        Raises:
            RecipeMismatchError: the gallery's rows were made in another way.
            StoreBusyError: another process of this machine writes the gallery.
            StoreError: the server is away, refuses or is too slow; or it is something else.
        """
        self._store = store
        self._address = address
        self._options = options
        self._connection = Connection(address, create=True)
        self._faces = Table(self._connection, schema.FACES)
        self._files = Table(self._connection, schema.FILES)
        self._head_table = Table(self._connection, schema.HEAD)
        before = held_head(self._connection, options.wait)
        if before is not None and before.recipe.recipe_digest != store.recipe.recipe_digest:
            raise RecipeMismatchError(
                f"{address}: made with {before.recipe.differences(store.recipe)} of {store.path}; "
                "push to another collection"
            )
        held = Forgotten() if before is None else Forgotten.of(before.entered)
        left = must_not_be(store.contents, held)
        refuse_return(address, store.path, len(left))
        self._forgotten = store.forgotten.plus(held)
        self._before = before
        self._written = self._unchanged = 0

    def go(self, watch: Watch) -> TransferSummary:
        """Sends what is new, removes what is gone, compares.

        Raises:
            FacesearchError: too many photos would go.
            StoreError: the server is away, refuses or is too slow: run it again, it goes on.
        """
        store = self._store
        schema.make_collections(self._connection, store.dim)
        there = self._files.count()
        gone = list(self._gone_files()) if there else []
        refuse_losses(self._address, len(gone), there, self._options)
        kept = len(gone) if self._options.keep else 0
        total = self._wanted.count + len(store.files)
        write_head(self._head_table, replace(self._head, run=RunMark.here(0, total)))
        if not kept:
            self._files.delete(gone)
        for table, made in ((self._faces, self._face_rows()), (self._files, self._file_rows())):
            new = not table.count()  # nothing can be there already
            for rows in ahead(made):
                self._send(table, rows, new)
                watch(self._written + self._unchanged, total)
        if not kept:
            sweep_faces(self._faces, self._wanted)
        faces, files = rows_of(self._faces, self._files, self._forgotten) if there else ([], [])
        self._faces.delete(faces)
        self._files.delete(files)
        write_head(self._head_table, self._last_head(kept))
        self._require_counts(kept)
        return TransferSummary(
            source=str(store.path),
            target=str(self._address),
            photos=len(store.files),
            faces=self._wanted.count,
            written=self._written,
            unchanged=self._unchanged,
            removed=0 if kept else len(gone),
            kept=kept,
            compared=self._compare(),
        )

    @cached_property
    def _wanted(self) -> Wanted:
        return Wanted(self._store)

    @cached_property
    def _roots(self) -> list[tuple[int, str]]:
        """The number and place of each of the store's roots; a number means one place for ever."""
        numbers = {path: number for number, path in self._before.roots} if self._before else {}
        following = max(numbers.values(), default=-1) + 1
        roots = []
        for root in self._store.roots:
            path = str(whole(root.resolve(self._store.folder)))
            if path not in numbers:
                numbers[path] = following
                following += 1
            roots.append((numbers[path], path))
        return roots

    @cached_property
    def _head(self) -> GalleryHead:
        """The head while rows of before are still there."""
        store = self._store
        before = self._before.roots if self._before else ()
        return GalleryHead(
            store.recipe,
            tuple(dict.fromkeys((*before, *self._roots))),
            store.options,
            self._forgotten.into(store.head.entered),
            store.indexed_at,
        ).counted(coverage_of(store))

    def _last_head(self, kept: int) -> GalleryHead:
        if kept:
            return replace(self._head, totals=totals_of(self._files))
        return replace(self._head, roots=tuple(self._roots))

    def _face_rows(self) -> Iterator[list[Row]]:
        """The faces of some photos at a time."""
        store, placer = self._store, Placer(self._head)
        contents, faces, files = store.contents, store.faces, store.files
        for some in in_batches(np.flatnonzero(contents.live).tolist(), _AT_ONCE):
            rows: list[Row] = []
            for number in some:
                ids = range(contents.face_start(number), contents.face_stop(number))
                if not ids:
                    continue
                places = [
                    placer.placed(self._roots[int(files.root[row])][0], files.path(row))
                    for row in files.of_content(number).tolist()
                ]
                content = content_at(contents, number)
                keys = content.keys(store.forgotten)
                named = dict(zip(keys, faces_at(faces, ids), strict=True))
                rows += face_rows(content, named, store.embeddings(ids), places)
            yield rows

    def _file_rows(self) -> Iterator[list[Row]]:
        store, placer = self._store, Placer(self._head)
        contents, files = store.contents, store.files
        for some in in_batches(range(len(files)), _AT_ONCE):
            rows = []
            for row in some:
                place = placer.placed(self._roots[int(files.root[row])][0], files.path(row))
                entry = PhotoEntry(place.key, int(files.size[row]), int(files.mtime_ns[row]))
                rows.append(file_row(place, entry, content_at(contents, int(files.content[row]))))
            yield rows

    def _send(self, table: Table, rows: Sequence[Row], new_table: bool) -> None:
        keys = () if new_table else [row[schema.KEY] for row in rows]
        held = table.read(keys, ("stamp",))
        new = [
            row for row in rows if held.get(row[schema.KEY], {"stamp": ""})["stamp"] != row["stamp"]
        ]
        table.upsert(new)
        self._written += len(new)
        self._unchanged += len(rows) - len(new)

    def _gone_files(self) -> Iterator[str]:
        """The keys of files that the store has not."""
        numbers = {number: index for index, (number, _) in enumerate(self._roots)}
        files = self._store.files
        held = {
            file_key(self._roots[root][0], path)
            for root, path in zip(files.root.tolist(), files.paths(), strict=True)
        }
        for rows in self._files.scan(()):
            for row in rows:
                key = row[schema.KEY]
                if split_file_key(key)[0] not in numbers or key not in held:
                    yield key

    def _require_counts(self, kept: int) -> None:
        for table, wanted, what in (
            (self._faces, self._wanted.count, "faces"),
            (self._files, len(self._store.files), "photos"),
        ):
            there = table.count(strong=True)
            if there < wanted or (there > wanted and not kept):
                raise StoreError(
                    f"{self._address}: has {there:,} {what}, not {wanted:,}; run the same command "
                    "again"
                )

    def _compare(self) -> int:
        """Reads a sample back; how many faces.

        Raises:
            StoreError: one is not as it was sent.
        """
        store = self._store
        contents = store.contents
        with_faces = np.flatnonzero(contents.live & (np.asarray(contents.face_counts) > 0))
        chosen = np.random.default_rng(self._options.seed).permutation(with_faces)[:SAMPLE]
        compared = 0
        for some in in_batches(sorted(chosen.tolist()), 50):
            keys: list[str] = []
            ids: list[int] = []
            for number in some:
                keys += content_at(contents, number).keys(self._store.forgotten)
                ids += range(contents.face_start(number), contents.face_stop(number))
            held = self._faces.read(keys, (schema.VECTOR,), strong=True)
            for key, row in zip(keys, store.embeddings(ids), strict=True):
                there = held.get(key, {schema.VECTOR: ()})[schema.VECTOR]
                if not np.array_equal(np.asarray(there, np.float32), row):
                    raise StoreError(
                        f"{self._address}: face {key} is not as it was sent; the gallery is "
                        "damaged, push into another collection"
                    )
            compared += len(ids)
        return compared


def ahead(items: Iterator[Item]) -> Iterator[Item]:
    """The items, each made while the one before is at work."""
    coming = beside(partial(next, items, None))
    while (item := coming.result()) is not None:
        coming = beside(partial(next, items, None))
        yield item
