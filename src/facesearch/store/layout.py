"""Where the files of a store lie, and how they come to be there and go."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from facesearch.errors import StoreError
from facesearch.store import schema
from facesearch.store.archive import Archive, Member, write_archive
from facesearch.store.disk import link_or_copy, put_in_place, sync_folder, write_temporary
from facesearch.store.head import INLINE, DerivedEntry, Head, SegmentEntry, derived_file
from facesearch.store.heads import (
    head_numbers,
    heads_folder,
    heads_on_disk,
    newest_number,
    numbered_head,
    open_head,
)
from facesearch.store.reader import Store, derived_folder, parts_folder, real_location
from facesearch.store.sealing import Key
from facesearch.store.segments import (
    Segment,
    derived_meta,
    meta_member,
    open_segment,
    segment_meta,
)

NUMBERED_HEADS = os.name == "nt"
"""Whether a file that is mapped cannot be replaced."""
MERGED = "merge.tmp"
"""What a segment is called that is merged beside a run."""

_NAME_DIGITS = 32
_OWN_PART = re.compile(r"[0-9a-f-]{1,64}\.npz(\.tmp)?|(new|merge)\.tmp")
_OWN_HEAD = re.compile(r"[0-9]{1,18}\.npz(\.tmp)?")
_CUT_OFF_HEAD = re.compile(r"[0-9]{1,18}\.npz\.tmp")
_OWN_DERIVED = re.compile(r"[a-z][a-z0-9-]{0,80}\.npz(\.tmp)?|new\.tmp")


class Layout:
    """The head, ``<name>``, the segments in ``<name>.parts/`` and what was computed from them in
    ``<name>.derived/``, for the one who holds the lock.

    Segments are named after their own digest. Methods raise ``OSError`` when the disk refuses.

    Attributes:
        numbered: whether a commit adds a numbered head in ``<name>.heads/``, see ``heads``.
    """

    def __init__(self, path: Path, key: Key | None = None) -> None:
        """The files of the store at ``path``; what is written there is encrypted with ``key``."""
        self._key = key
        self.numbered = NUMBERED_HEADS
        self.head = real_location(path)
        self.parts = parts_folder(self.head)
        self.derived = derived_folder(self.head)
        self._temporary = self.head.with_name(f".{self.head.name}.tmp")

    def write_segment(
        self, members: Iterable[Member], counts: schema.Counts, settled: bool
    ) -> tuple[SegmentEntry, Segment]:
        """Write a segment (without its ``meta``); it is on the disk, and no head names it yet."""
        digest = self.prepare_segment(members, counts, "new.tmp")
        return self.name_segment("new.tmp", digest, counts, settled)

    def prepare_segment(
        self, members: Iterable[Member], counts: schema.Counts, temporary: str
    ) -> str:
        """Write a segment under a passing name; its digest. It is on the disk then."""
        return self._write_new(self.parts / temporary, segment_meta(counts), members)

    def name_segment(
        self, temporary: str, digest: str, counts: schema.Counts, settled: bool
    ) -> tuple[SegmentEntry, Segment]:
        """Give a segment that was prepared its name; no head names it yet."""
        target = self.parts / _name(digest)
        try:
            put_in_place(self.parts / temporary, target)
        except PermissionError:
            # The same bytes are there already, and somebody has them open.
            if not target.exists():
                raise
        rows = (counts.files, counts.contents, counts.faces)
        entry = SegmentEntry(target.name, *rows, digest, settled)
        return entry, open_segment(target, counts, digest, self._key)

    def _write_new(self, temporary: Path, meta: Member, members: Iterable[Member]) -> str:
        """Write a new file of these arrays, which has not its name yet; its digest."""
        _make_folder(temporary.parent)

        def write(file: BinaryIO) -> str:
            return write_archive(file, _after(meta, members), self._key)

        return write_temporary(temporary, write)

    def write_derived(
        self, name: str, members: Iterable[Member], made_from: str, grows: bool
    ) -> DerivedEntry:
        """Write derived data; it is on the disk, and no head names it yet."""
        new = self.derived / "new.tmp"
        digest = self._write_new(new, derived_meta(name, made_from), members)
        entry = DerivedEntry(derived_file(name, digest), digest, made_from, grows)
        put_in_place(new, self.derived / entry.file)
        return entry

    def write_head(self, head: Head, members: Iterable[Member] = ()) -> None:
        """Commit: from here on, readers see this head."""

        def write(file: BinaryIO) -> str:
            return write_archive(file, _after(meta_member(head.encode()), members), self._key)

        write_temporary(self._temporary, write)
        try:
            if self.numbered:
                put_in_place(self._temporary, self._next_head())
            self.settle()
            if not self.numbered:
                put_in_place(self._temporary, self.head)
        except BaseException:
            self._temporary.unlink(missing_ok=True)
            raise

    def _next_head(self) -> Path:
        folder = heads_folder(self.head)
        _make_folder(folder)
        return numbered_head(self.head, max(head_numbers(self.head), default=0) + 1)

    def settle(self) -> None:
        """Give the newest numbered head the plain name, and remove what that makes needless; as far
        as nobody has it open.
        """
        numbers = head_numbers(self.head)
        if not numbers:
            return
        newest = newest_number(self.head)
        plain = newest is None or self._made_plain(numbered_head(self.head, newest))
        for number in numbers:
            # Ascending, and the newest only when all before it are gone: what is left is right.
            if number == newest and not plain:
                continue
            try:
                numbered_head(self.head, number).unlink(missing_ok=True)
            except PermissionError:
                return
        with contextlib.suppress(OSError):
            heads_folder(self.head).rmdir()

    def _made_plain(self, newest: Path) -> bool:
        """Whether the plain name stands for this head now."""
        try:
            for path in (newest, self.head):
                if path.exists():
                    path.replace(path)  # refused where somebody has it open, before there is a copy
            link_or_copy(newest, self.head)
        except OSError:
            # It is a commit without that, as long as there is something under the plain name.
            if not self.head.exists():
                raise
            return False
        return True

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
            return open_segment(path, segment.counts, digest, self._key)
        except StoreError:
            _make_folder(self.parts)
        source = segment.archive.path
        # What was a numbered head may have got the plain name.
        link_or_copy(source if self._claims(source, digest) else self.head, path)
        return open_segment(path, segment.counts, digest, self._key)

    def _claims(self, path: Path, digest: str) -> bool:
        """Whether there is a store file that says it has this digest."""
        try:
            return Archive.open(path, self._key).digest == digest
        except StoreError:
            return False

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
        self._take_head(other)
        other.discard()

    def _take_head(self, other: Layout) -> None:
        other.settle()
        if self.numbered:
            link_or_copy(open_head(other.head, other.head)[1].path, self._next_head())
        self.settle()
        if not self.numbered:
            put_in_place(other.head, self.head)

    def sweep(self, head: Head, kept: Iterable[str] = ()) -> None:
        """Remove what runs that died have left: parts, but for those ``kept``, and derived data
        that neither this head names nor another one that is still there.
        """
        heads = [head, *(heads_on_disk(self.head) if head_numbers(self.head) else ())]
        parts = {entry.name for each in heads for entry in each.segments}
        _remove(self.parts, _OWN_PART, parts.union(kept))
        derived = {entry.file for each in heads for entry in each.derived.values()}
        _remove(self.derived, _OWN_DERIVED, derived)
        self._remove_temporary()

    def _remove_temporary(self) -> None:
        """Remove a head that was cut off while it was written or copied."""
        for path in (self._temporary, self.head.with_name(self.head.name + ".tmp")):
            # A copy may be a second name of what a reader has open; the next writer will find it.
            with contextlib.suppress(PermissionError):
                path.unlink(missing_ok=True)
        _remove(heads_folder(self.head), _CUT_OFF_HEAD, set())

    def discard(self) -> None:
        """Remove the whole store, but for what Windows keeps because somebody has it open."""
        with contextlib.suppress(PermissionError):
            self.head.unlink(missing_ok=True)
        self._remove_temporary()
        _remove(heads_folder(self.head), _OWN_HEAD, set())
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


def _name(digest: str) -> str:
    return f"{digest[:_NAME_DIGITS]}.npz"


def _after(first: Member, rest: Iterable[Member]) -> Iterable[Member]:
    yield first
    yield from rest


def require_beside(path: Path, other: Path) -> None:
    """Raise unless two stores are in one folder, where one can become the other in one step."""
    if real_location(path).parent != real_location(other).parent:
        raise StoreError(f"{other}: not beside {path.name}; build it in the same folder")
