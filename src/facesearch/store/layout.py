"""Where the files of a store lie, and how they come to be there and go."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from facesearch.errors import StoreError
from facesearch.store import schema
from facesearch.store.archive import Member, write_archive
from facesearch.store.disk import link_or_copy, put_in_place, sync_folder, write_temporary
from facesearch.store.head import INLINE, DerivedEntry, Head, SegmentEntry, derived_file
from facesearch.store.reader import Store, derived_folder, parts_folder, real_location
from facesearch.store.segments import (
    Segment,
    derived_meta,
    meta_member,
    open_segment,
    segment_meta,
)

_NAME_DIGITS = 32
_OWN_PART = re.compile(r"[0-9a-f-]{1,64}\.npz(\.tmp)?|new\.tmp")
_OWN_DERIVED = re.compile(r"[a-z][a-z0-9-]{0,80}\.npz(\.tmp)?|new\.tmp")


class Layout:
    """The head, ``<name>``, the segments in ``<name>.parts/`` and what was computed from them in
    ``<name>.derived/``, for the one who holds the lock.

    Segments are named after their own digest. Methods raise ``OSError`` when the disk refuses.
    """

    def __init__(self, path: Path) -> None:
        self.head = real_location(path)
        self.parts = parts_folder(self.head)
        self.derived = derived_folder(self.head)
        self._temporary = self.head.with_name(f".{self.head.name}.tmp")

    def write_segment(
        self, members: Iterable[Member], counts: schema.Counts, settled: bool
    ) -> tuple[SegmentEntry, Segment]:
        """Write a segment (without its ``meta``); it is on the disk, and no head names it yet."""
        new, digest = _write_new(self.parts, segment_meta(counts), members)
        name = _name(digest)
        put_in_place(new, self.parts / name)
        rows = (counts.files, counts.contents, counts.faces)
        entry = SegmentEntry(name, *rows, digest, settled)
        return entry, open_segment(self.parts / name, counts, digest)

    def write_derived(
        self, name: str, members: Iterable[Member], made_from: str, grows: bool
    ) -> DerivedEntry:
        """Write derived data; it is on the disk, and no head names it yet."""
        new, digest = _write_new(self.derived, derived_meta(name, made_from), members)
        entry = DerivedEntry(derived_file(name, digest), digest, made_from, grows)
        put_in_place(new, self.derived / entry.file)
        return entry

    def write_head(self, head: Head, members: Iterable[Member] = ()) -> None:
        """Commit: from here on, readers see this head."""

        def write(file: BinaryIO) -> str:
            return write_archive(file, _after(meta_member(head.encode()), members))

        write_temporary(self._temporary, write)
        put_in_place(self._temporary, self.head)

    def in_parts(self, store: Store) -> tuple[list[SegmentEntry], list[Segment]]:
        """A store's segments, none of them in the head.

        One that is there gets a second name among the parts, which copies nothing where the disk
        knows hard links; the head must be replaced next.
        """
        entries, segments = list(store.head.segments), list(store.segments)
        if store.head.inline:
            digest = segments[0].archive.digest
            entries[0] = replace(entries[0], name=_name(digest), sha256=digest)
            segments[0] = self._moved(segments[0], self.parts / entries[0].name)
        return entries, segments

    def _moved(self, segment: Segment, path: Path) -> Segment:
        digest = segment.archive.digest
        try:
            # A commit that failed after its last step has moved it already.
            return open_segment(path, segment.counts, digest)
        except StoreError:
            _make_folder(self.parts)
            link_or_copy(self.head, path)
            return open_segment(path, segment.counts, digest)

    def take_over(self, other: Layout, head: Head) -> None:
        """Put another store, of this head, in this one's place; the other is gone then."""
        for entry in head.segments:
            if entry.name != INLINE:
                _make_folder(self.parts)
                link_or_copy(other.parts / entry.name, self.parts / entry.name)
        for derived in head.derived.values():
            _make_folder(self.derived)
            # It may be gone; then it is computed again.
            with contextlib.suppress(FileNotFoundError):
                link_or_copy(other.derived / derived.file, self.derived / derived.file)
        put_in_place(other.head, self.head)
        other.discard()

    def sweep(self, head: Head) -> None:
        """Remove what runs that died have left: parts and derived data that the head does not
        name.
        """
        _remove(self.parts, _OWN_PART, {entry.name for entry in head.segments})
        _remove(self.derived, _OWN_DERIVED, {entry.file for entry in head.derived.values()})
        self._temporary.unlink(missing_ok=True)

    def discard(self) -> None:
        """Remove the whole store."""
        self.head.unlink(missing_ok=True)
        self._temporary.unlink(missing_ok=True)
        _remove(self.parts, _OWN_PART, set())
        _remove(self.derived, _OWN_DERIVED, set())
        for ending in (".lock", ".lock.owner"):
            self.head.with_name(self.head.name + ending).unlink(missing_ok=True)


def _remove(folder: Path, own: re.Pattern[str], kept: set[str]) -> None:
    """Remove a folder's files of the store's ``own`` but for those ``kept``, and the folder when it
    is empty then.
    """
    if not folder.is_dir():
        return
    left = 0
    for part in folder.iterdir():
        if part.name in kept or not own.fullmatch(part.name):
            left += 1
            continue
        # Windows keeps what a reader has open; the next writer will find it.
        with contextlib.suppress(PermissionError):
            part.unlink(missing_ok=True)
    if not left:
        with contextlib.suppress(OSError):
            folder.rmdir()


def _make_folder(folder: Path) -> None:
    if not folder.is_dir():
        folder.mkdir(0o700)
        sync_folder(folder.parent)


def _write_new(folder: Path, meta: Member, members: Iterable[Member]) -> tuple[Path, str]:
    """A new file of these arrays without its name yet, and its digest."""
    _make_folder(folder)
    temporary = folder / "new.tmp"

    def write(file: BinaryIO) -> str:
        return write_archive(file, _after(meta, members))

    return temporary, write_temporary(temporary, write)


def _name(digest: str) -> str:
    return f"{digest[:_NAME_DIGITS]}.npz"


def _after(first: Member, rest: Iterable[Member]) -> Iterable[Member]:
    yield first
    yield from rest


def require_beside(path: Path, other: Path) -> None:
    """Raise unless two stores are in one folder, where one can become the other in one step."""
    if real_location(path).parent != real_location(other).parent:
        raise StoreError(f"{other}: not beside {path.name}; build it in the same folder")
