"""A gallery in Milvus becomes a store file: what is there already is not fetched again."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from facesearch.addresses import EngineAddress
from facesearch.errors import RecipeMismatchError, StoreError, StoreMissingError
from facesearch.gallery.milvus import schema
from facesearch.gallery.milvus.connection import Connection
from facesearch.gallery.milvus.forgetting import rows_of
from facesearch.gallery.milvus.head import read_head
from facesearch.gallery.milvus.rows import (
    FILE_COLUMNS,
    content_in,
    entry_of,
    face_in,
    faces_at,
    result_of,
    split_file_key,
)
from facesearch.gallery.milvus.sweeping import Wanted
from facesearch.gallery.milvus.tables import Row, Table
from facesearch.gallery.persons import ENTERED
from facesearch.gallery.transfers import (
    SAMPLE,
    TransferOptions,
    TransferSummary,
    Watch,
    refuse_losses,
    refuse_return,
)
from facesearch.locations import as_location
from facesearch.store import Root, Store, StoreWriter
from facesearch.store.assembly import must_not_be
from facesearch.store.entered import change_entered
from facesearch.store.forgetting import keep_out
from facesearch.store.forgotten import Forgotten

_COMMIT_SECONDS = 5.0
_LIKE = ("facts", schema.VECTOR)


class _Held(NamedTuple):
    """A file as the target has it."""

    size: int
    mtime_ns: int
    content: str
    reason: str


_Place = tuple[str, str]
"""A root's path, and the path of a file below it."""


class Pull:
    """One gallery on its way."""

    def __init__(self, address: EngineAddress, target: Path, options: TransferOptions) -> None:
        """Connects, and looks at what is there.

        Raises:
            StoreMissingError: there is no gallery.
            RecipeMismatchError: the target's rows were made in another way.
            StoreError: the server is away, refuses or is too slow; the target cannot be read.
        """
        self._address = address
        self._target = target
        self._options = options
        self._connection = Connection(address)
        schema.require_collections(self._connection)
        self._faces = Table(self._connection, schema.FACES)
        self._files = Table(self._connection, schema.FILES)
        self._head = read_head(Table(self._connection, schema.HEAD))
        if self._head.run is not None:
            raise StoreError(
                f"{address}: an index run or a push into it has not ended; end it first"
            )
        before = _store_at(target)
        recipe = self._head.recipe
        if before is not None and before.recipe.recipe_digest != recipe.recipe_digest:
            raise RecipeMismatchError(
                f"{target}: made with {before.recipe.differences(recipe)} of {address}; pull to "
                "another file"
            )
        self._forgotten = Forgotten.of(self._head.entered)
        if before is not None:
            rows = rows_of(self._faces, self._files, before.forgotten)
            refuse_return(target, address, sum(map(len, rows)))
            if options.keep:
                left = must_not_be(before.contents, self._forgotten)
                refuse_return(address, target, len(left))
        self._written = self._unchanged = 0

    def go(self, watch: Watch) -> TransferSummary:
        """Fetches what is new, removes what is gone, compares.

        Raises:
            FacesearchError: too many photos would go.
            StoreBusyError: another process writes the target.
            StoreError: the server is away, refuses or is too slow: run it again, it goes on.
        """
        head, options, target = self._head, self._options, self._target
        total = self._files.count()
        with StoreWriter.open(target, head.recipe, wait=options.wait) as writer:
            held = _held_files(writer.store)
            gone = self._gone(held) if held else []
            refuse_losses(target, len(gone), len(held), options)
            index = self._name_roots(writer)
            self._fetch(writer, index, held, total, watch)
            if not options.keep:
                for root, key in gone:
                    writer.remove(index[root], key)
            writer.commit((total, total))
            if not options.keep:
                writer.set_roots(self._needed(writer))
            writer.set_options(head.options)
            writer.finish()
        change_entered(target, self._entered, options.wait)
        keep_out(target, options.wait)
        store = Store.open(target)
        kept = len(gone) if options.keep else 0
        faces = self._require_counts(store, total, kept)
        return TransferSummary(
            source=str(self._address),
            target=str(target),
            photos=total,
            faces=faces,
            written=self._written,
            unchanged=self._unchanged,
            removed=len(gone) - kept,
            kept=kept,
            compared=self._compare(store),
        )

    def _name_roots(self, writer: StoreWriter) -> dict[str, int]:
        """Adds the gallery's roots to those of the target; where each is among them."""
        home = writer.store.folder
        roots = list(writer.roots)
        known = {root.path for root in roots}
        new = [path for _, path in self._head.roots if path not in known]
        # The path as the gallery has it, though another system may have written it.
        roots += [replace(Root.at(as_location(path), home), path=path) for path in new]
        writer.set_roots(roots)
        return {root.path: place for place, root in enumerate(writer.roots)}

    def _entered(self, store: Store) -> dict[str, Any]:
        """The gallery's labels; with ``keep`` beside those of the store. What either has forgotten
        stays so.
        """
        entered = dict(self._head.entered)
        if self._options.keep:
            held = dict(store.head.entered)
            labels = {**held.get(ENTERED, {}), **entered.get(ENTERED, {})}
            entered = held | entered | ({ENTERED: labels} if labels else {})
        return store.forgotten.plus(self._forgotten).into(entered)

    def _needed(self, writer: StoreWriter) -> list[Root]:
        wanted = {path for _, path in self._head.roots}
        return [root for root in writer.roots if root.path in wanted]

    def _gone(self, held: Mapping[_Place, _Held]) -> list[_Place]:
        """The target's files that the gallery has not."""
        paths = dict(self._head.roots)
        left = dict.fromkeys(held)
        for rows in self._files.scan(()):
            for row in rows:
                number, key = split_file_key(row[schema.KEY])
                left.pop((paths.get(number, ""), key), None)
        return list(left)

    def _fetch(
        self,
        writer: StoreWriter,
        index: Mapping[str, int],
        held: Mapping[_Place, _Held],
        total: int,
        watch: Watch,
    ) -> None:
        committed = time.monotonic()
        paths = dict(self._head.roots)
        for rows in self._files.scan(FILE_COLUMNS):
            new = [row for row in rows if held.get(_place(paths, row)) != _as_held(row)]
            self._unchanged += len(rows) - len(new)
            self._take(writer, index, paths, new)
            done = self._written + self._unchanged
            watch(done, total)
            if time.monotonic() - committed > _COMMIT_SECONDS:
                writer.commit((done, total))
                committed = time.monotonic()

    def _take(
        self,
        writer: StoreWriter,
        index: Mapping[str, int],
        paths: Mapping[int, str],
        rows: Sequence[Row],
    ) -> None:
        contents = {row[schema.KEY]: content_in(row) for row in rows}
        wanted = {
            key
            for content in contents.values()
            if content.faces and writer.content_id(content.facts.content_hash) is None
            for key in content.keys(self._forgotten)
        }
        faces = self._faces.read(sorted(wanted), _LIKE)
        for row in rows:
            root, entry = entry_of(row)
            content = contents[row[schema.KEY]]
            hashed = content.facts.content_hash
            known = writer.content_id(hashed) if hashed else None
            place = index[paths[root]]
            if known is not None:
                writer.link(place, entry, known)
            else:
                keys = content.keys(self._forgotten)
                missing = [key for key in keys if key not in faces]
                if missing:
                    raise StoreError(
                        f"{self._address}: lacks face {missing[0]}; a run into it was cut off, "
                        "index or push into it again"
                    )
                own = [faces[key] for key in keys]
                dim = self._head.recipe.extractor.dim
                writer.put((place, entry), result_of(content, own, dim))
            self._written += 1

    def _require_counts(self, store: Store, total: int, kept: int) -> int:
        """The distinct faces of the gallery."""
        there, files = self._faces.count(), len(store.files)
        faces = Wanted(store).count
        if files != total + kept or (not kept and faces != there):
            raise StoreError(
                f"{store.path}: has {faces:,} faces in {files:,} photos, {self._address} "
                f"{there:,} in {total:,}; it was written meanwhile, run the same command again"
            )
        return there

    def _compare(self, store: Store) -> int:
        """Compares a sample of faces with the gallery's; how many.

        Raises:
            StoreError: one is not as it was sent.
        """
        rng = np.random.default_rng(self._options.seed)
        ids = np.sort(rng.permutation(len(store.faces))[:SAMPLE])
        contents = store.contents
        keys = [
            f"{contents.hash[int(store.faces.content[face])].tobytes().hex()}-"
            f"{store.faces.number(int(face))}"
            for face in ids
        ]
        held = self._faces.read(keys, _LIKE)
        compared = 0
        faces = faces_at(store.faces, ids.tolist())
        for key, face, row in zip(keys, faces, store.embeddings(ids), strict=True):
            there = held.get(key)
            if there is None and self._options.keep:
                continue
            if (
                there is None
                or face_in(there) != face
                or not np.array_equal(np.asarray(there[schema.VECTOR], np.float32), row)
            ):
                raise StoreError(
                    f"{store.path}: face {key} is not as {self._address} has it; run the same "
                    "command again"
                )
            compared += 1
        return compared


def _place(paths: Mapping[int, str], row: Row) -> _Place:
    number, key = split_file_key(row[schema.KEY])
    return paths[number], key


def _as_held(row: Row) -> _Held:
    facts = row["facts"]
    return _Held(facts["size"], facts["mtime_ns"], row["content"], facts["reason"])


def _held_files(store: Store) -> dict[_Place, _Held]:
    files, contents, roots = store.files, store.contents, store.roots
    held: dict[_Place, _Held] = {}
    for row, path in enumerate(files.paths()):
        content = int(files.content[row])
        hashed = contents.hash[content]
        held[roots[int(files.root[row])].path, path] = _Held(
            int(files.size[row]),
            int(files.mtime_ns[row]),
            hashed.tobytes().hex() if hashed.any() else "",
            (contents.failure(content) or ("",))[0],
        )
    return held


def _store_at(path: Path) -> Store | None:
    try:
        return Store.open(path)
    except StoreMissingError:
        return None
