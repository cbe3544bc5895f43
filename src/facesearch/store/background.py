"""Segments are merged on a thread beside a run, which goes on committing meanwhile."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from numpy.typing import NDArray

from facesearch.errors import StoreError
from facesearch.store import compaction
from facesearch.store.archive import Member
from facesearch.store.head import SegmentEntry
from facesearch.store.layout import MERGED, Layout
from facesearch.store.reader import Store
from facesearch.store.schema import Counts
from facesearch.store.segments import Segment

_log = logging.getLogger(__name__)


class _StoppedError(Exception):
    """The merge is not wanted any more."""


@dataclass(frozen=True, slots=True)
class _Written:
    """A merged segment that is on the disk, without its name."""

    digest: str
    counts: Counts


class BackgroundMerge:
    """At most one merge at a time. What it makes counts when a commit takes it in; until then the
    segments it is made of stay as they are, so one that fails or is stopped loses nothing.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        self._sources: tuple[str, ...] = ()
        self._written: _Written | None = None
        self._failed = False

    @property
    def wanted(self) -> bool:
        """Whether to begin another: none is under way and none has failed in this run."""
        return self._thread is None and not self._failed

    @property
    def kept(self) -> tuple[str, ...]:
        """Files among the parts that no head names and that must stay."""
        return (MERGED,) if self._thread is not None else ()

    def end_of(self, entries: list[SegmentEntry]) -> int:
        """How many of the segments, from the first one on, are to be left alone: up to the last one
        that is being merged; 0 where none is.
        """
        names = [entry.name for entry in entries]
        return names.index(self._sources[-1]) + 1 if self._thread is not None else 0

    def begin(self, store: Store, start: int, stop: int) -> None:
        """Merge the segments of a commit from ``start`` to ``stop``; nothing may be under way."""
        self._sources = tuple(entry.name for entry in store.head.segments[start:stop])
        self._written = None
        self._stopping.clear()
        self._thread = threading.Thread(
            target=self._merge, args=(store, start, stop), name="facesearch-merge", daemon=True
        )
        self._thread.start()

    def _merge(self, store: Store, start: int, stop: int) -> None:
        try:
            merge = compaction.side_by_side(store, start, stop)
            members = self._stoppable(merge.members())
            digest = self._layout.prepare_segment(members, merge.counts, MERGED)
            self._written = _Written(digest, merge.counts)
        except _StoppedError:
            pass
        except BaseException as error:
            # The segments are all there, and the end of the run merges them.
            self._failed = True
            _log.warning("%s: segments not merged: %s", store.path, error)

    def _stoppable(self, members: Iterator[Member]) -> Iterator[Member]:
        for member in members:
            yield replace(member, chunks=self._checked(member))

    def _checked(self, member: Member) -> Iterator[NDArray[Any]]:
        for chunk in member.chunks:
            if self._stopping.is_set():
                raise _StoppedError
            yield chunk

    def take_in(
        self, entries: list[SegmentEntry], segments: list[Segment]
    ) -> tuple[list[SegmentEntry], list[Segment]]:
        """The same rows with what was merged by now in place of what it was made of; without, where
        it could not be given its name.
        """
        thread = self._thread
        if thread is None or thread.is_alive():
            return entries, segments
        self._thread = None
        written, self._written = self._written, None
        if written is None:
            return entries, segments
        try:
            entry, segment = self._layout.name_segment(
                MERGED, written.digest, written.counts, settled=False
            )
        except (OSError, StoreError) as error:
            # It was to save time later; what it was made of is all there.
            self._failed = True
            _log.warning("%s: segments not merged: %s", self._layout.head, error)
            return entries, segments
        start = [held.name for held in entries].index(self._sources[0])
        stop = start + len(self._sources)
        return (
            [*entries[:start], entry, *entries[stop:]],
            [*segments[:start], segment, *segments[stop:]],
        )

    def stop(self) -> None:
        """End what is under way and drop what it made."""
        if self._thread is None:
            return
        self._stopping.set()
        self._thread.join()
        self._thread = None
        self._written = None
        with contextlib.suppress(OSError):  # the next writer removes what is left
            (self._layout.parts / MERGED).unlink(missing_ok=True)
