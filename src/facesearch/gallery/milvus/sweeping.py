"""What is in a gallery and belongs to nothing any more."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from facesearch.gallery.milvus import schema
from facesearch.gallery.milvus.rows import split_key
from facesearch.gallery.milvus.tables import Table
from facesearch.store import Store
from facesearch.store.hashes import HashIndex


class Wanted:
    """Which faces a store has, by their keys."""

    def __init__(self, store: Store) -> None:
        self._contents = store.contents
        self._known = HashIndex(store.contents)
        self._forgotten = store.forgotten

    @property
    def count(self) -> int:
        """How many."""
        return int(np.asarray(self._contents.face_counts)[self._contents.live].sum())

    def row(self, key: str) -> int | None:
        """The face's content, None where the store has no such face."""
        content, number = split_key(key)
        content_hash = bytes.fromhex(content)
        row = self._known.find(self._contents, content_hash)
        if row is None or not self._contents.live[row]:
            return None
        numbers = self._forgotten.numbers(content_hash, int(self._contents.face_counts[row]))
        return row if number in numbers else None


def sweep_faces(faces: Table, wanted: Wanted) -> int:
    """Removes the faces that are not wanted, where all that are wanted are there; how many."""
    if faces.count(strong=True) == wanted.count:
        return 0
    gone = list(_unwanted(faces, wanted))
    faces.delete(gone)
    return len(gone)


def _unwanted(faces: Table, wanted: Wanted) -> Iterator[str]:
    for rows in faces.scan((), strong=True):
        yield from (row[schema.KEY] for row in rows if wanted.row(row[schema.KEY]) is None)
