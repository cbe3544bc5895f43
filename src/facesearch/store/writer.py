"""``StoreWriter``: the one process that changes a store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace as replaced
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from facesearch.errors import (
    RecipeMismatchError,
    StoreError,
    StoreMissingError,
    StoreTooNewError,
)
from facesearch.recipes import Recipe
from facesearch.records import PhotoEntry, PhotoResult
from facesearch.store import compaction
from facesearch.store.archive import key_at, peek_meta
from facesearch.store.background import BackgroundMerge
from facesearch.store.derived import lasting
from facesearch.store.disk import storing
from facesearch.store.hashes import HashIndex
from facesearch.store.head import INLINE, Head, Root, RunMark, SegmentEntry
from facesearch.store.layout import Layout, require_beside
from facesearch.store.lock import StoreLock
from facesearch.store.pending import Pending
from facesearch.store.reader import Store, real_location
from facesearch.store.sealing import Key
from facesearch.store.segments import Segment, segment_members

SINGLE_FILE_BYTES = 1 << 30
"""A finished store is one file while its embeddings take no more than this."""
MERGE_AT_ONCE_BYTES = 32 << 20
"""Segments up to this size together are merged by the commit that makes them too many; larger ones
beside the run."""


def rebuild_path(path: Path) -> Path:
    """Where a new store is built that will take the place of the one at ``path``."""
    location = real_location(path)
    return location.with_name(location.name + ".rebuild")


class StoreWriter:
    """Adds photos to a store, in batches that are kept whole or not at all.

    Rows given since the last ``commit`` are in memory; a commit is on the disk when it returns.
    Content ids stay as they are until ``finish``.
    """

    def __init__(
        self,
        path: Path,
        recipe: Recipe,
        lock: StoreLock,
        single_file_bytes: int,
        key: Key | None = None,
    ) -> None:
        self._lock = lock
        self._single_file_bytes = single_file_bytes
        self._target = path
        self._recipe = recipe
        self._adopt(Store(path, Head(recipe), (), key=key))

    @classmethod
    def open(
        cls,
        path: Path,
        recipe: Recipe,
        *,
        wait: bool = False,
        fresh: bool = False,
        single_file_bytes: int = SINGLE_FILE_BYTES,
        key: Key | None = None,
    ) -> StoreWriter:
        """Take the lock and go on with the store at ``path``, or begin one.

        Args:
            path: the store's file.
            recipe: how the rows to come are made.
            wait: for another writer to end.
            fresh: begin anew beside the store, which stays as it is until ``finish`` puts the new
                one in its place; an interrupted fresh run goes on. Roots and options are kept.
            single_file_bytes: embeddings up to this size end in one file.
            key: what a new store is encrypted with; one that is there stays as it is.

        Raises:
            StoreBusyError: another process writes to it.
            StoreError: the store is damaged or newer, or its folder cannot be written.
            RecipeMismatchError: its rows were made in another way.
        """
        path = Path(path)
        location = real_location(path)
        if not location.parent.is_dir():
            raise StoreError(
                f"{path}: its folder does not exist; create it, or choose another with --store"
            )
        lock = StoreLock(location)
        lock.acquire(wait)
        try:
            writer = cls(path, recipe, lock, single_file_bytes, key)
            with storing(path):
                if fresh:
                    writer._begin_fresh()
                else:
                    writer._begin()
        except BaseException:
            lock.release()
            raise
        return writer

    def _begin(self) -> None:
        # Before it is mapped here: what is mapped keeps its name on Windows.
        self._layout.settle()
        self._drop_spent()
        try:
            store = Store.open(self._target)
        except StoreMissingError:
            store = self.store
        self._require_recipe(store)
        self._adopt(store)
        self._layout.sweep(store.head)

    def _drop_spent(self) -> None:
        """Remove a rebuild that took the store's place while somebody had its files open."""
        path = rebuild_path(self._target)
        if path.exists() and _is_spent(path, self._target):
            Layout(path).discard()

    def _begin_fresh(self) -> None:
        self._drop_spent()
        key = self._store.key
        try:
            target = Store.open(self._target)
            old, key = target.head, target.key
            entered = old.entered
        except StoreMissingError:
            self._begin()
            return
        except StoreError as error:
            # A broken store may be built anew, a file of another kind must stay.
            location = real_location(self._target)
            held = key_at(location)
            foreign = held is None and peek_meta(location) is None
            if foreign or isinstance(error, StoreTooNewError):
                raise
            old, entered, key = Head(self._recipe), None, held or key
        path = rebuild_path(self._target)
        Layout(path).settle()
        try:
            store = Store.open(path)
            self._require_recipe(store)
            if _key_id(store.key) != _key_id(key):
                raise StoreError(f"{path}: not encrypted as the store is")
            if _is_spent(path, self._target):
                raise StoreError(f"{path}: took the store's place and could not be removed")
        except (StoreError, RecipeMismatchError):
            # Nothing there, or what a run of another kind has left: never more than a copy.
            Layout(path).discard()
            head = replaced(old, recipe=self._recipe, indexed_at="", run=None, segments=())
            store = Store(path, replaced(head, derived={}), (), key=key)
        if entered is not None:  # people may have entered something since it was begun
            head = replaced(store.head, entered=entered)
            store = Store(path, head, store.segments, key=store.key)
        self._adopt(store)
        self._layout.sweep(store.head)

    def _require_recipe(self, store: Store) -> None:
        asked, there = self._recipe, store.recipe
        if there.recipe_digest == asked.recipe_digest:
            return
        raise RecipeMismatchError(
            f"{store.path}: made with {there.differences(asked)}; leave the option out, or detect "
            "every photo again with --redetect"
        )

    def __enter__(self) -> StoreWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the lock back. Rows not committed are dropped."""
        self._beside.stop()
        self._lock.release()

    @property
    def store(self) -> Store:
        """The store as of the last commit (of the new one, while a fresh one is built)."""
        return self._store

    @property
    def roots(self) -> tuple[Root, ...]:
        """The roots as last set; other methods take an index into them."""
        return self._head.roots

    def _adopt(self, store: Store) -> None:
        """Start from this snapshot, with nothing pending."""
        self._head = store.head
        self._store = store
        self._layout = Layout(store.path, store.key)
        self._beside = BackgroundMerge(self._layout)
        self._known: HashIndex | None = None
        self._new: dict[bytes, int] = {}
        self._pending = Pending(len(store.contents), self._recipe.extractor.dim)

    def set_roots(self, roots: Sequence[Root]) -> None:
        """Name the roots; files of a root that is left out are dropped with it.

        A root is known again by its ``id``, else by its path, else, when the number of roots stays,
        by its place (it has moved).
        """
        old = self._head.roots
        claimed = {root.id for root in roots if root.id >= 0}
        by_path = {root.path: root.id for root in old if root.id not in claimed}
        found = [root.id if root.id >= 0 else by_path.get(root.path, -1) for root in roots]
        following = max([self._head.next_root, *(number + 1 for number in found)])
        for index, number in enumerate(found):
            if number >= 0:
                continue
            if len(old) == len(roots) and old[index].id not in found:
                found[index] = old[index].id
            else:
                found[index] = following
                following += 1
        if len(set(found)) != len(found):
            raise ValueError("a root is named twice")
        named = tuple(replaced(root, id=number) for root, number in zip(roots, found, strict=True))
        self._head = replaced(self._head, roots=named, next_root=following)

    def set_options(self, options: dict[str, Any]) -> None:
        """Remember what ``index`` was told; anything that JSON can say."""
        self._head = replaced(self._head, options=dict(options))

    def content_id(self, content_hash: bytes) -> int | None:
        """The content with these bytes (SHA-256), committed or not.

        None when it is not known, or failed: then its bytes are worth reading again.
        """
        found = self._new.get(content_hash)
        if found is not None:
            return found
        if self._known is None:  # not before it is needed: what only removes needs none
            self._known = HashIndex(self._store.contents)
        return self._known.find(self._store.contents, content_hash)

    def put(self, file: tuple[int, PhotoEntry], result: PhotoResult) -> int:
        """A file (root index, entry) and what became of it; returns its content's id.

        When the content is known by now, the file is linked to it and the result dropped.

        Raises:
            ValueError: the result's parts do not fit together, or there is no such root.
        """
        root, entry = file
        known = self.content_id(result.content_hash) if result.content_hash else None
        if known is None:
            known = self._pending.add_content(result)
            if result.content_hash and result.failure is None:
                self._new[result.content_hash] = known
        self.link(root, entry, known)
        return known

    def link(self, root: int, entry: PhotoEntry, content_id: int) -> None:
        """A file has a content that the store knows.

        Raises:
            ValueError: there is no such root or content.
        """
        if not 0 <= content_id < self._pending.next_content:
            raise ValueError(f"{content_id} is no content")
        self._pending.set_file(self._root_id(root), entry, content_id)

    def remove(self, root: int, key: str) -> None:
        """A file is gone.

        Raises:
            ValueError: there is no such root.
        """
        self._pending.remove_file(self._root_id(root), key)

    def _root_id(self, index: int) -> int:
        if not 0 <= index < len(self._head.roots):
            raise ValueError(f"{index} is no root")
        return self._head.roots[index].id

    def commit(self, progress: tuple[int, int] | None = None) -> None:
        """Bring everything given so far to the disk.

        Args:
            progress: (done, total) photos of the run, None when none is under way.

        Raises:
            StoreError: it could not be written. The store is as before, the rows are still here.
        """
        with storing(self._store.path):
            entries, segments = self._layout.in_parts(self._store)
            entries, segments = self._beside.take_in(entries, segments)
            later = None
            if self._pending:
                counts, columns = self._pending.counts, self._pending.columns()
                rows = segment_members(columns.__getitem__, counts, self._pending.embeddings)
                entry, segment = self._layout.write_segment(rows, counts, settled=False)
                entries, segments, later = self._merged([*entries, entry], [*segments, segment])
            head = replaced(
                self._head,
                run=RunMark.here(*progress) if progress else None,
                segments=tuple(entries),
            )
            self._layout.write_head(head)
            self._head = head
            self._store = Store(self._store.path, head, segments, key=self._store.key)
            self._pending = Pending(self._pending.next_content, head.recipe.extractor.dim)
            if later is not None:
                self._beside.begin(self._store, later, len(segments))
            self._layout.sweep(head, self._beside.kept)

    def _merged(
        self, entries: list[SegmentEntry], segments: list[Segment]
    ) -> tuple[list[SegmentEntry], list[Segment], int | None]:
        """The same rows with the last segments merged where they are too many; or, where that
        would make the run wait, from which one on to merge them beside it.
        """
        settled = sum(entry.settled for entry in entries)
        left_alone = max(settled, self._beside.end_of(entries))
        sizes = [part.archive.size for part in segments]
        start = compaction.start_of_tier(sizes, left_alone)
        if start == len(segments) - 1:
            return entries, segments, None
        if sum(sizes[start:]) > MERGE_AT_ONCE_BYTES:
            return entries, segments, start if self._beside.wanted else None
        head = replaced(self._head, segments=tuple(entries))
        merge = compaction.side_by_side(
            Store(self._store.path, head, segments), start, len(segments)
        )
        entry, segment = self._layout.write_segment(merge.members(), merge.counts, settled=False)
        return [*entries[:start], entry], [*segments[:start], segment], None

    def finish(self) -> None:
        """End a run: drop what no file needs, put all in order, in one file when it is small.

        Derived data of other faces goes too, but for what can be brought up to date.

        A fresh store takes the old one's place. Content ids are new afterwards.

        Raises:
            StoreError: it could not be written; the last commit stands.
        """
        if self._pending:
            run = self._head.run
            self.commit((run.done, run.total) if run else (0, 0))
        self._beside.stop()  # what it would make is made anew here
        path = self._store.path
        store = Store(path, self._head, self._store.segments, key=self._store.key)
        merge = compaction.canonical(store, self._single_file_bytes)
        head = replaced(self._head, run=None, indexed_at=_now(), derived=lasting(store))
        if merge.start == 0:
            roots = tuple(replaced(root, id=index) for index, root in enumerate(head.roots))
            head = replaced(head, roots=roots, next_root=len(roots))
        with storing(path):
            self._write_finished(store, merge, head)
            self._adopt(Store.open(path))
            self._layout.sweep(self._head)
            if path != self._target:
                self.replace(path)
            else:
                Layout(rebuild_path(path)).discard()

    def _write_finished(self, store: Store, merge: compaction.Merge, head: Head) -> None:
        counts = merge.counts
        if merge.start == 0 and merge.embedding_bytes <= self._single_file_bytes:
            rows = (counts.files, counts.contents, counts.faces)
            entry = SegmentEntry(INLINE, *rows, "", settled=True)
            self._layout.write_head(replaced(head, segments=(entry,)), merge.members())
            return
        entries, _ = self._layout.in_parts(store)
        entries = entries[: merge.start]
        if not merge.empty:
            entries.append(self._layout.write_segment(merge.members(), counts, settled=True)[0])
        self._layout.write_head(replaced(head, segments=tuple(entries)))

    def replace(self, other: Path) -> None:
        """Put a complete store, built beside this one, in this one's place, in one step.

        Raises:
            StoreError: the other is in another folder, not complete or not sound.
        """
        require_beside(self._target, other)
        self._beside.stop()
        new = Store.open(other)
        if new.head.run is not None:
            raise StoreError(f"{other}: its run has not ended; run the same command again")
        with storing(self._target):
            target = Layout(self._target)
            target.take_over(Layout(other), new.head)
            self._recipe = new.recipe
            self._adopt(Store.open(self._target))
            target.sweep(self._head)


def _is_spent(rebuilt: Path, target: Path) -> bool:
    """Whether a rebuild that is complete is the store by now, or the store is newer."""
    try:
        made, now = Store.open(rebuilt), Store.open(target)
    except StoreError:
        return False
    same = made.head_archive().digest == now.head_archive().digest
    return bool(made.indexed_at) and (same or made.indexed_at < now.indexed_at)


def _key_id(key: Key | None) -> bytes:
    return key.id if key else b""


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
