"""All faces of a store, one row each, a few thousand at a time."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facesearch.gallery.persons import labels_of, person_of
from facesearch.gallery.places import Places
from facesearch.records import Box, FaceRow
from facesearch.store import Store
from facesearch.store.columns import take_ranges

CONTENTS_AT_ONCE = 2048


def face_rows(store: Store, embeddings: bool) -> Iterator[list[FaceRow]]:
    """The faces of all photos that are there, in the order in which the store keeps them.

    A photo that lies at several paths is there once; ``also`` has the others. Memory does not grow
    with the number of faces, but for what says which file has which content.

    Args:
        store: what is exported.
        embeddings: whether rows have them.

    Raises:
        StoreError: the store is damaged.
    """
    reading = _Reading(store)
    for start in range(0, len(store.contents), CONTENTS_AT_ONCE):
        stop = min(start + CONTENTS_AT_ONCE, len(store.contents))
        batch = reading.batch(np.arange(start, stop), embeddings)
        if batch:
            yield batch


class _Reading:
    """What is looked up for every face."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._places = Places(store)
        self._labels = labels_of(store.head.entered)
        self._whole = store.recipe.subject == "photo"

    def batch(self, contents: NDArray[np.int64], embeddings: bool) -> list[FaceRow]:
        """The faces of some photos."""
        store = self._store
        table = store.contents.table
        counts = table.lengths("face", contents)
        kept = store.contents.live[contents] & (counts > 0)
        contents, counts = contents[kept], counts[kept]
        starts = store.contents.first_faces(contents)
        ids = take_ranges(starts, counts)
        rows = store.embeddings(ids) if embeddings else None
        faces = iter(self._faces(ids, rows))
        found: list[FaceRow] = []
        widths, heights = (table.take(side, contents).tolist() for side in ("width", "height"))
        for place, content in enumerate(contents.tolist()):
            known = self._photo(content) | {"width": widths[place], "height": heights[place]}
            forgotten = store.forgotten.faces and store.forgotten.numbers(
                bytes.fromhex(known["content"]), int(counts[place])
            )
            numbers = forgotten or range(1, int(counts[place]) + 1)
            for number in numbers:
                identity = f"{known['content'][:16]}-{number}"
                face = None if self._whole else number
                found.append(FaceRow(id=identity, face=face, **known, **next(faces)))
        return found

    def _faces(
        self, ids: NDArray[np.int64], rows: NDArray[np.float32] | None
    ) -> Iterator[dict[str, Any]]:
        names = ("box", "landmarks", "score", "sharpness")
        columns = (self._store.faces.table.take(name, ids).tolist() for name in names)
        for at, (box, landmarks, score, sharpness) in enumerate(zip(*columns, strict=True)):
            points = tuple((x, y) for x, y in landmarks)
            yield {
                "box": None if self._whole else Box(*box),
                "landmarks": points if all(map(math.isfinite, sum(points, ()))) else (),
                "score": score,
                "sharpness": sharpness,
                "embedding": None if rows is None else rows[at],
            }

    def _photo(self, content: int) -> dict[str, Any]:
        contents = self._store.contents
        place, *others = self._places.of_content(content)
        return {
            "path": place.path,
            "root": place.root,
            "relative_path": place.key,
            "also": tuple(other.path for other in others),
            "person": person_of(place.root, place.key, self._labels),
            "content": contents.hash_of(content).hex(),
            "taken": contents.taken(content),
            "camera": contents.camera(content),
        }
