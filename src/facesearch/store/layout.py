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
from facesearch.store.head import INLINE, Head, SegmentEntry
from facesearch.store.reader import Store, parts_folder, real_location
from facesearch.store.segments import Segment, meta_member, open_segment, segment_meta

_NAME_DIGITS = 32
_OWN_PART = re.compile(r"[0-9a-f-]{1,64}\.npz(\.tmp)?|new\.tmp")


class Layout:
    """The head, ``<name>``, and the segments in ``<name>.parts/``, for the one who holds the lock.

    Segments are named after their own digest. Methods raise ``OSError`` when the disk refuses.
    """

    def __init__(self, path: Path) -> None:
        self.head = real_location(path)
        self.parts = parts_folder(self.head)
        self._temporary = self.head.with_name(f".{self.head.name}.tmp")

    def write_segment(
        self, members: Iterable[Member], counts: schema.Counts, settled: bool
    ) -> tuple[SegmentEntry, Segment]:
        """Write a segment (without its ``meta``); it is on the disk, and no head names it yet."""
        self._make_parts()
        temporary = self.parts / "new.tmp"

        def write(file: BinaryIO) -> str:
            return write_archive(file, _after(segment_meta(counts), members))

        digest = write_temporary(temporary, write)
        name = _name(digest)
        put_in_place(temporary, self.parts / name)
        rows = (counts.files, counts.contents, counts.faces)
        entry = SegmentEntry(name, *rows, digest, settled)
        return entry, open_segment(self.parts / name, counts, digest)

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
            self._make_parts()
            link_or_copy(self.head, path)
            return open_segment(path, segment.counts, digest)

    def take_over(self, other: Layout, head: Head) -> None:
        """Put another store, of this head, in this one's place; the other is gone then."""
        for entry in head.segments:
            if entry.name != INLINE:
                self._make_parts()
                link_or_copy(other.parts / entry.name, self.parts / entry.name)
        put_in_place(other.head, self.head)
        other.discard()

    def sweep(self, head: Head) -> None:
        """Remove what runs that died have left: parts that the head does not name."""
        self._remove({entry.name for entry in head.segments})
        self._temporary.unlink(missing_ok=True)

    def discard(self) -> None:
        """Remove the whole store."""
        self.head.unlink(missing_ok=True)
        self._temporary.unlink(missing_ok=True)
        self._remove(set())
        for ending in (".lock", ".lock.owner"):
            self.head.with_name(self.head.name + ending).unlink(missing_ok=True)

    def _remove(self, kept: set[str]) -> None:
        if not self.parts.is_dir():
            return
        left = 0
        for part in self.parts.iterdir():
            if part.name in kept or not _OWN_PART.fullmatch(part.name):
                left += 1
                continue
            # Windows keeps what a reader has open; the next writer will find it.
            with contextlib.suppress(PermissionError):
                part.unlink(missing_ok=True)
        if not left:
            with contextlib.suppress(OSError):
                self.parts.rmdir()

    def _make_parts(self) -> None:
        if not self.parts.is_dir():
            self.parts.mkdir(0o700)
            sync_folder(self.parts.parent)


def _name(digest: str) -> str:
    return f"{digest[:_NAME_DIGITS]}.npz"


def _after(first: Member, rest: Iterable[Member]) -> Iterable[Member]:
    yield first
    yield from rest


def require_beside(path: Path, other: Path) -> None:
    """Raise unless two stores are in one folder, where one can become the other in one step."""
    if real_location(path).parent != real_location(other).parent:
        raise StoreError(f"{other}: not beside {path.name}; build it in the same folder")
