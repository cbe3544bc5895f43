"""Finding out whether a store is sound, down to the last byte, and whether it tells of the disk."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facesearch.buckets import sha256
from facesearch.errors import StoreError, StoreLockedError, StoreMissingError
from facesearch.locations import Address, Location, join
from facesearch.sources import root_state
from facesearch.store import schema
from facesearch.store.archive import META, Archive
from facesearch.store.columns import Ints
from facesearch.store.derived import open_derived
from facesearch.store.head import Root
from facesearch.store.heads import damaged_heads, earlier_heads
from facesearch.store.ordering import SegmentRun, first_disorder
from facesearch.store.reader import Store, parts_folder, real_location
from facesearch.store.segments import Segment

_UNIT_TOLERANCE = 1e-3
_VALUES_AT_ONCE = 1 << 22  # of embeddings, so that a block of long rows needs no second copy


def check_path(
    path: Path, deep: bool = False, resolve: Callable[[Root], Location] | None = None
) -> list[str]:
    """As ``check_store``, for a store that may not even open; that is then the problem.

    Raises:
        StoreMissingError: there is nothing at the path.
        StoreLockedError: it is encrypted, and there is no passphrase for it.
    """
    try:
        store = Store.open(path)
    except (StoreMissingError, StoreLockedError):
        raise
    except StoreError as error:
        return [str(error)]
    return check_store(store, deep, resolve)


def check_store(
    store: Store, deep: bool = False, resolve: Callable[[Root], Location] | None = None
) -> list[str]:
    """All that is wrong with the store, one line each; nothing when it is sound.

    Args:
        store: a snapshot.
        deep: also hash the photo files and compare.
        resolve: where a root is now; by default ``Root.resolve`` from the store's folder.
    """
    problems = _check_files_of(store, store.head_archive())
    if deep and not problems:
        problems += _check_photos(store, resolve or (lambda root: root.resolve(store.folder)))
    return problems


def _check_files_of(store: Store, head: Archive) -> list[str]:
    """What is wrong with the store's own files; ``head`` is the one it came from."""
    problems = _check_bytes(store, head)
    for step in (_check_arrays, _check_tables, _check_derived):
        # More would read arrays that are known to be wrong.
        if not problems:
            try:
                problems += step(store)
            except StoreError as error:
                problems.append(str(error))
    return problems


def _check_bytes(store: Store, head: Archive) -> list[str]:
    """Digests of whole files: every byte, headers and padding too."""
    archives = [head, *(segment.archive for segment in store.segments)]
    location = real_location(store.path)
    problems = damaged_heads(location)
    archives += _earlier_archives(location, problems)
    for archive in {archive.path: archive for archive in archives}.values():
        if archive.actual_digest() != archive.digest:
            problems.append(f"{archive.path}: the file's digest is wrong")
        problems += [
            f"{archive.path}: {name} has a wrong checksum"
            for name in archive.names
            if not archive.sound(name)
        ]
    if not problems and head.array(META).tobytes() != store.head.encode():
        problems.append(f"{store.path}: its description is not in the exact form")
    return problems


def _earlier_archives(location: Path, problems: list[str]) -> Iterator[Archive]:
    """The files of the commits before the last one, which lie there where heads are numbered; of
    those that cannot be opened it adds to ``problems``.
    """
    for head, archive in earlier_heads(location):
        yield archive
        for entry in () if head.inline else head.segments:
            try:
                yield Archive.open(parts_folder(location) / entry.name, archive.key)
            except StoreMissingError:
                continue
            except StoreError as error:
                problems.append(str(error))


def _check_arrays(store: Store) -> Iterator[str]:
    for segment in store.segments:
        found = (
            *_check_embeddings(segment, store.recipe.extractor.unit),
            *_check_values(segment),
            *_check_boxes(segment, store.recipe.subject),
        )
        for problem in found:
            yield f"{segment.archive.path}: {problem}"


def _check_embeddings(segment: Segment, unit: bool) -> Iterator[str]:
    for block in range(segment.counts.rows("blocks")):
        first = block * schema.BLOCK_ROWS
        rows = segment.rows[first : first + schema.BLOCK_ROWS]
        if not segment.block_sound(block):
            yield f"embeddings {first} to {first + len(rows) - 1} have a wrong checksum"
            continue
        lengths = _lengths(rows)
        right = np.abs(lengths - 1) <= _UNIT_TOLERANCE if unit else np.isfinite(lengths)
        bad = np.flatnonzero(~right)
        if len(bad):
            what = "not of unit length" if unit else "not finite"
            yield f"{len(bad)} embeddings are {what}, the first is {first + bad[0]}"


def _lengths(rows: NDArray[np.float32]) -> NDArray[np.float64]:
    """(n,) Euclidean lengths, in float64."""
    step = max(1, _VALUES_AT_ONCE // rows.shape[1])
    lengths = np.empty(len(rows), np.float64)
    for start in range(0, len(rows), step):
        block = rows[start : start + step].astype(np.float64)
        lengths[start : start + step] = np.linalg.norm(block, axis=1)
    return lengths


def _check_values(segment: Segment) -> Iterator[str]:
    for name in schema.NAMES:
        if name not in ("faces.embedding", "faces.checksum"):
            segment.column(name)
    for name in ("faces.score", "faces.sharpness", "contents.scale"):
        if not np.isfinite(segment.column(name)).all():
            yield f"{name} is not finite"
    landmarks = segment.column("faces.landmarks").reshape(-1, 10)
    unknown = np.isnan(landmarks).all(axis=1)
    if not np.isfinite(landmarks[~unknown]).all():
        yield "faces.landmarks is not finite"
    for name in ("files.size", "contents.width", "contents.height", "contents.frames"):
        if np.any(segment.column(name) < 0):
            yield f"{name} is negative"
    for text in schema.TEXTS:
        yield from _check_text(segment, f"contents.{text}")


def _check_boxes(segment: Segment, subject: str) -> Iterator[str]:
    """A face has a box; a whole photo, whose box is NaN, has none."""
    boxes = segment.column("faces.box")
    if subject == "photo" and not np.isnan(boxes).all():
        yield "faces.box is there, though each photo is one item"
    if subject == "face" and not np.isfinite(boxes).all():
        yield "faces.box is not finite"


def _check_text(segment: Segment, name: str) -> Iterator[str]:
    offsets, blob = segment.column(f"{name}_offsets"), segment.column(f"{name}_blob")
    try:
        blob.tobytes().decode("utf-8")
    except UnicodeDecodeError:
        yield f"{name} is not UTF-8"
        return
    # Every text begins a character: none at a continuation byte.
    starts = offsets[:-1][offsets[:-1] < len(blob)]
    if np.any((blob[starts] & 0xC0) == 0x80):
        yield f"{name} is cut inside a character"


def _check_tables(store: Store) -> Iterator[str]:
    """Relations between the tables, over all segments."""
    roots = {root.id for root in store.roots}
    if any(identifier >= store.head.next_root for identifier in roots):
        yield f"{store.path}: a root has a number that is not given yet"
    for segment in store.segments:
        yield from _check_order(segment)
    known, contents = store.files.content, store.contents
    hashed, failed = contents.hash.any(axis=1), contents.failed
    if np.any(~hashed & ~failed):
        yield f"{store.path}: a photo that did not fail has no hash"
    if np.any(failed & (contents.face_counts > 0)):
        yield f"{store.path}: a photo that failed has faces"
    if len(known) and int(known.max()) >= len(contents):
        yield f"{store.path}: a file has a content that is not there"


def _check_order(segment: Segment) -> Iterator[str]:
    row = first_disorder(SegmentRun(segment))
    if row is not None:
        yield f"{segment.archive.path}: its files are out of order at row {row}"


def _check_derived(store: Store) -> Iterator[str]:
    """Computed data that is gone is no damage: it is computed again."""
    for entry in store.head.derived.values():
        try:
            open_derived(store, entry)
        except StoreMissingError:
            continue
        except StoreError as error:
            yield str(error)


def _check_photos(store: Store, resolve: Callable[[Root], Location]) -> list[str]:
    """Where the photo files are not those that were indexed, one line each.

    Nothing is written and only regular files are opened. Photos of a root that is away are one
    problem together; photos that could not be read when they were indexed are left out.
    """
    problems: list[str] = []
    for index, root in enumerate(store.roots):
        rows = np.flatnonzero(store.files.root == index)
        place = resolve(root)
        if len(rows) and _is_away(place):
            problems.append(f"{place}: root away, {len(rows)} photos not checked")
        else:
            problems += _check_root(store, place, rows)
    return problems


def _is_away(place: Location) -> bool:
    if isinstance(place, Address):
        return root_state(place) in ("missing", "unreadable")
    return not os.path.lexists(place)


def _check_root(store: Store, place: Location, rows: Ints) -> Iterator[str]:
    files, contents = store.files, store.contents
    for row in rows.tolist():
        recorded = contents.hash[files.content[row]]
        if not recorded.any():
            continue
        key = files.path(row)
        path = join(place, key)
        try:
            actual = sha256(place.at(key)) if isinstance(place, Address) else _hash_regular(path)
        except OSError as error:
            missing = isinstance(error, FileNotFoundError | NotADirectoryError)
            yield f"{path}: {'missing' if missing else f'cannot be read ({error.strerror})'}"
            continue
        if actual is None:
            yield f"{path}: no longer a file"
        elif actual != recorded.tobytes():
            yield f"{path}: changed since it was indexed"


def _hash_regular(path: str) -> bytes | None:
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    with os.fdopen(os.open(path, flags), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            return None
        return hashlib.file_digest(file, "sha256").digest()
