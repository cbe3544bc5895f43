"""Data computed from the rows of one segment: kept beside the store as long as that segment is.

Segments never change, so what was computed from one stays true while others come and go; nothing
of it has to be made anew when photos are added.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facesearch.errors import StoreBusyError, StoreError
from facesearch.store.archive import META, Archive, Member
from facesearch.store.derived import inline_members
from facesearch.store.disk import storing
from facesearch.store.head import DerivedEntry
from facesearch.store.layout import Layout
from facesearch.store.lock import locked
from facesearch.store.reader import Store, derived_folder, real_location
from facesearch.store.segments import Segment

_DIGITS = 24
_log = logging.getLogger(__name__)


def rows_digest(segment: Segment) -> str:
    """SHA-256 (hex) that tells the rows of a segment from others, wherever they lie: of their
    number, their length and the checksums that the segment holds of them.
    """
    counts = segment.counts
    digest = hashlib.sha256(f"{counts.faces} x {counts.dim}\n".encode())
    digest.update(np.ascontiguousarray(segment.column("faces.checksum"), "<u4").tobytes())
    return digest.hexdigest()


def load_attached(store: Store, segment: Segment, name: str) -> dict[str, NDArray[Any]] | None:
    """The arrays kept under a name for one segment, mapped, read-only, every byte verified.

    Returns:
        None when there are none, or they are gone or damaged.
    """
    made_from = rows_digest(segment)
    entry = store.head.derived.get(_entry_name(name, made_from))
    if entry is None or entry.made_from != made_from:
        return None
    try:
        archive = _open(store, entry)
        return {key: archive.verified(key) for key in archive.names if key != META}
    except StoreError as error:
        _log.info("%s: %s is computed again (%s)", store.path, name, error)
        return None


def save_attached(store: Store, segment: Segment, name: str, members: Iterable[Member]) -> bool:
    """Keep arrays for one segment, if nobody writes to the store just now.

    What was kept under this name for segments that are no more is removed.

    Args:
        store: a snapshot; the store may have changed since.
        segment: one of its segments.
        name: lower-case letters and "-", 15 at most.
        members: the arrays; made while they are written.

    Returns:
        False when another process holds the store, or the segment is gone; nothing was written.

    Raises:
        StoreError: the store is gone or damaged, or cannot be written.
    """
    try:
        with locked(real_location(store.path), wait=False):
            return _attach(Store.open(store.path), rows_digest(segment), name, members)
    except StoreBusyError:
        return False


def _attach(store: Store, made_from: str, name: str, members: Iterable[Member]) -> bool:
    digests = {rows_digest(each) for each in store.segments}
    if made_from not in digests:
        return False
    with storing(store.path):
        layout = Layout(store.path, store.key)
        entry = layout.write_derived(_entry_name(name, made_from), members, made_from, True)
        kept = dict(_without_stale(store.head.derived, name, digests))
        head = replace(store.head, derived={**kept, _entry_name(name, made_from): entry})
        layout.write_head(head, inline_members(store))
        layout.sweep(head)
    return True


def _entry_name(name: str, made_from: str) -> str:
    return f"{name}-{made_from[:_DIGITS]}"


def _open(store: Store, entry: DerivedEntry) -> Archive:
    archive = Archive.open(derived_folder(real_location(store.path)) / entry.file, store.key)
    if archive.digest != entry.sha256:
        raise StoreError(f"{archive.path}: not the file that the store names")
    return archive


def _without_stale(
    held: dict[str, DerivedEntry], name: str, digests: set[str]
) -> Iterator[tuple[str, DerivedEntry]]:
    ours = re.compile(rf"{re.escape(name)}-[0-9a-f]{{{_DIGITS}}}")
    for key, entry in held.items():
        if entry.made_from in digests or not ours.fullmatch(key):
            yield key, entry
