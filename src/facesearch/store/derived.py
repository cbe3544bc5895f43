"""Data computed from a store: kept beside it, and believed only while it is of the same faces."""

from __future__ import annotations

import hashlib
import logging
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facesearch.errors import StoreBusyError, StoreError
from facesearch.store.archive import META, Archive, Member
from facesearch.store.columns import Ints, take_ranges
from facesearch.store.disk import storing
from facesearch.store.head import DerivedEntry
from facesearch.store.layout import Layout
from facesearch.store.lock import locked
from facesearch.store.reader import Store, derived_folder, real_location

_VALUES_AT_ONCE = 1 << 22  # of embeddings
_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class FaceKeys:
    """The live faces of a store in an order that no compaction changes: by hash of the content,
    then by number.

    Attributes:
        ids: (m,) int64, the faces' ids in this snapshot.
        hash: (c, 32) uint8, hashes of the contents that have faces, ascending.
        counts: (c,) int64, faces of each.
        checksum: (m,) uint32, CRC-32 of each face's embedding.
    """

    ids: Ints
    hash: NDArray[np.uint8]
    counts: Ints
    checksum: NDArray[np.uint32]

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) that two snapshots share when they have the same faces and rows."""
        digest = hashlib.sha256()
        for array, kind in ((self.hash, "|u1"), (self.counts, "<i8"), (self.checksum, "<u4")):
            digest.update(np.ascontiguousarray(array, kind).tobytes())
        return digest.hexdigest()


def face_keys(store: Store) -> FaceKeys:
    """Look at every live face; each row is verified.

    Raises:
        StoreError: the rows are damaged.
    """
    contents = store.contents
    rows = np.flatnonzero(np.asarray(contents.live) & (contents.face_counts > 0))
    # Of equal hashes, which only a broken store has, the first one counts.
    _, first = np.unique(sortable(contents.hash[rows]), return_index=True)
    rows = rows[first]
    counts = contents.face_counts[rows]
    ids = take_ranges(contents.face_offsets[:-1][rows], counts)
    checksum = np.fromiter(_checksums(store, ids), np.uint32, len(ids))
    return FaceKeys(ids, contents.hash[rows], counts, checksum)


def sortable(hashes: NDArray[np.uint8]) -> NDArray[np.bytes_]:
    """(n, 32) bytes as (n,) values that numpy sorts and compares as wholes."""
    return np.ascontiguousarray(hashes).view(f"S{hashes.shape[1]}").reshape(-1)


def _checksums(store: Store, ids: Ints) -> Iterator[int]:
    step = max(1, _VALUES_AT_ONCE // store.dim)
    for start in range(0, len(ids), step):
        for row in store.embeddings(ids[start : start + step]):
            yield zlib.crc32(row.astype("<f4", copy=False).data)


def load_derived(
    store: Store, name: str, made_from: str | None = None
) -> dict[str, NDArray[Any]] | None:
    """The arrays saved under a name, read-only, every byte verified.

    Args:
        store: a snapshot.
        name: what they were saved as.
        made_from: the faces that they must be of, as ``FaceKeys.digest`` says; None: of whichever,
            for data that is brought up to date.

    Returns:
        None when there are none, or they are of other faces, gone or damaged.
    """
    entry = store.head.derived.get(name)
    if entry is None or made_from not in (None, entry.made_from):
        return None
    try:
        archive = open_derived(store, entry)
    except StoreError as error:
        _log.info("%s: %s is computed again (%s)", store.path, name, error)
        return None
    return {key: archive.array(key) for key in archive.names if key != META}


def open_derived(store: Store, entry: DerivedEntry) -> Archive:
    """The file of derived data.

    Raises:
        StoreMissingError: it is gone.
        StoreError: it is not the one that the head names, to the last byte.
    """
    archive = Archive.open(derived_folder(real_location(store.path)) / entry.file, store.key)
    if archive.digest != entry.sha256 or archive.actual_digest() != entry.sha256:
        raise StoreError(f"{archive.path}: damaged; it is computed again when it is needed")
    return archive


def save_derived(
    path: Path, name: str, arrays: Mapping[str, NDArray[Any]], made_from: str, grows: bool = False
) -> bool:
    """Keep arrays beside a store and name them in its head, if nobody writes to it just now.

    Args:
        path: the store's file.
        name: lower-case letters, digits and "-"; what it held before is replaced.
        arrays: float32, int32, int64, uint32 or uint8; names of lower-case letters, "_" and ".".
        made_from: ``FaceKeys.digest`` of the faces that they were computed from.
        grows: whether they can be brought up to date; then they are kept when the faces change.

    Returns:
        False when another process holds the store, or its faces are others by now; nothing was
        written then.

    Raises:
        StoreError: the store is gone or damaged, or cannot be written.
    """
    try:
        with locked(real_location(path), wait=False):
            store = Store.open(path)
            if face_keys(store).digest != made_from:
                return False
            with storing(path):
                _save(store, name, arrays, made_from, grows)
    except StoreBusyError:
        return False
    return True


def _save(
    store: Store, name: str, arrays: Mapping[str, NDArray[Any]], made_from: str, grows: bool
) -> None:
    layout = Layout(store.path, store.key)
    members = (
        Member(key, array.dtype.newbyteorder("<").str, array.shape, (array,))
        for key, array in arrays.items()
    )
    entry = layout.write_derived(name, members, made_from, grows)
    head = replace(store.head, derived={**store.head.derived, name: entry})
    layout.write_head(head, inline_members(store))
    layout.sweep(head)


def inline_members(store: Store) -> Iterator[Member]:
    """The arrays that lie in the head itself, to be written again as they are."""
    if store.head.inline:
        archive = store.segments[0].archive
        for name in archive.names:
            if name != META:
                array = archive.verified(name)
                yield Member(name, archive.dtype(name), array.shape, (array,))


def lasting(store: Store) -> dict[str, DerivedEntry]:
    """What of a store's derived data to keep: that which grows or is of the faces it has now.

    Raises:
        StoreError: the rows are damaged.
    """
    held = store.head.derived
    if all(entry.grows for entry in held.values()):
        return held
    now = face_keys(store).digest
    return {name: entry for name, entry in held.items() if entry.grows or entry.made_from == now}
