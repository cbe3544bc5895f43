"""One store out of several, or out of a part of one: its tables, and how it comes to the disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from facesearch.errors import StoreError, StoreMissingError
from facesearch.store.columns import Ints, Joined, bases
from facesearch.store.compaction import (
    Files,
    Merge,
    in_file_order,
    merge_of,
    one_content_a_hash,
    without_faces,
)
from facesearch.store.disk import storing
from facesearch.store.forgotten import Forgotten
from facesearch.store.head import INLINE, Head, SegmentEntry
from facesearch.store.layout import Layout
from facesearch.store.lock import locked
from facesearch.store.ordering import newest_first
from facesearch.store.reader import Store, real_location
from facesearch.store.sealing import Key
from facesearch.store.tables import ContentTable


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """What a new store takes from another.

    ``roots`` has the new id of each of its roots, no two the same; ``rows`` are the files taken,
    ascending, None for all.
    """

    store: Store
    roots: Sequence[int]
    rows: Ints | None = None


@dataclass(frozen=True, slots=True, eq=False)
class LeftOut:
    """What of some tables is not taken: ``contents`` whole and single ``faces`` of others, by their
    numbers, ascending.
    """

    contents: Ints
    faces: Ints

    def __len__(self) -> int:
        return len(self.contents) + len(self.faces)


def assemble(
    sources: Sequence[Source], left_out: Callable[[ContentTable], LeftOut] | None = None
) -> Merge:
    """The files of all sources with their contents and faces, as one segment in canonical order.

    A file that several have is that of the first one; contents with the same hash are one.
    ``left_out`` says what is not taken of the contents of all sources.
    """
    segments = tuple(segment for source in sources for segment in source.store.segments)
    contents = ContentTable(segments)
    first_files = bases(len(source.store.files.table) for source in sources)
    first_contents = bases(len(source.store.contents) for source in sources)
    table = Joined(segments, "files")
    taken = [
        _taken(source, table, int(first_files[index]), int(first_contents[index]))
        for index, source in enumerate(sources)
    ]
    order = newest_first([files.run for files in taken])
    files = Files(
        table,
        np.concatenate([part.numbers for part in taken])[order],
        np.concatenate([part.root for part in taken])[order],
        np.concatenate([part.content for part in taken])[order],
    )
    del taken, order
    faces = np.zeros(0, np.int64)
    if left_out is not None:
        out = left_out(contents)
        files, faces = files.taken(~np.isin(files.content, out.contents)), out.faces
    files = replace(files, content=one_content_a_hash(contents, files.content))
    used, renumbered = in_file_order(files.content, 0, len(contents))
    merge = merge_of(segments, sources[0].store.dim, replace(files, content=renumbered), used)
    return without_faces(merge, faces)


def must_not_be(contents: ContentTable, forgotten: Forgotten) -> LeftOut:
    """What of these contents was forgotten, here or elsewhere, and is there nevertheless."""
    whole = contents.with_hashes(forgotten.photos).tolist()
    faces: list[int] = []
    for row in contents.with_hashes(forgotten.faces).tolist():
        out = forgotten.faces[contents.hash_of(row)]
        start = contents.face_start(row)
        count = contents.face_stop(row) - start
        if count == out.count:
            faces += [start + number - 1 for number in out.numbers]
        elif count != out.left and contents.failure(row) is None:
            whole.append(row)
    return LeftOut(np.array(sorted(whole), np.int64), np.array(sorted(faces), np.int64))


def _taken(source: Source, table: Joined, first_file: int, first_content: int) -> Files:
    files = source.store.files
    rows = np.arange(len(files)) if source.rows is None else source.rows
    root = np.asarray(source.roots, np.int32)[files.root[rows]]
    if np.any(root[1:] < root[:-1]):
        order = np.argsort(root, kind="stable")
        rows, root = rows[order], root[order]
    return Files(table, files.numbers(rows) + first_file, root, files.content[rows] + first_content)


@contextmanager
def held_for_writing(path: Path, wait: bool) -> Iterator[None]:
    """Holds the lock of the store at ``path``, which need not be there yet.

    Raises:
        StoreBusyError: another process writes to it.
        StoreError: its folder is not there or cannot be written.
    """
    location = real_location(path)
    if not location.parent.is_dir():
        raise StoreError(f"{path}: its folder does not exist; create it, or choose another place")
    with locked(location, wait):
        yield


def write_store(
    path: Path, head: Head, merge: Merge, single_file_bytes: int, key: Key | None = None
) -> Store:
    """Writes a whole store, in place of what is there, in one step; its lock must be held. With a
    key it is encrypted.

    Raises:
        StoreError: it could not be written, or what it is made of is damaged; then nothing has
            changed.
    """
    layout = Layout(path, key)
    try:
        kept = Store.open(path).head
    except StoreMissingError:
        kept = replace(head, segments=(), derived={})
    with storing(path):
        try:
            kept = _write(layout, head, merge, single_file_bytes)
        finally:
            layout.sweep(kept)
    return Store.open(path)


def _write(layout: Layout, head: Head, merge: Merge, single_file_bytes: int) -> Head:
    counts = merge.counts
    if merge.embedding_bytes <= single_file_bytes:
        rows = (counts.files, counts.contents, counts.faces)
        head = replace(head, segments=(SegmentEntry(INLINE, *rows, "", settled=True),))
        layout.write_head(head, merge.members())
        return head
    entry, _ = layout.write_segment(merge.members(), counts, settled=True)
    head = replace(head, segments=(entry,))
    layout.write_head(head)
    return head
