"""All faces of a store, one row each, a few thousand at a time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from facesearch.gallery.persons import labels_of, person_of
from facesearch.gallery.places import Place, Places
from facesearch.records import Box, FaceRow
from facesearch.store import Store

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
    places = Places(store)
    labels = labels_of(store.head.entered)
    contents = store.contents
    for start in range(0, len(contents), CONTENTS_AT_ONCE):
        stop = min(start + CONTENTS_AT_ONCE, len(contents))
        found: list[FaceRow] = []
        for content in range(start, stop):
            if contents.live[content] and contents.face_start(content) < contents.face_stop(
                content
            ):
                found += _rows_of(store, content, places.of_content(content), labels)
        if found:
            yield _with_embeddings(store, found, start, stop) if embeddings else found


def _rows_of(
    store: Store, content: int, places: list[Place], labels: dict[str, str]
) -> Iterator[FaceRow]:
    facts, faces = store.contents.facts(content), store.faces
    ids = np.arange(store.contents.face_start(content), store.contents.face_stop(content))
    columns = (
        faces.table.take(name, ids).tolist() for name in ("box", "landmarks", "score", "sharpness")
    )
    whole = store.recipe.subject == "photo"
    place, *others = places
    person = person_of(place.root, place.key, labels)
    camera = store.contents.camera(content)
    for face, box, landmarks, score, sharpness in zip(ids.tolist(), *columns, strict=True):
        number = faces.number(face)
        yield FaceRow(
            id=f"{facts.hash.hex()[:16]}-{number}",
            path=place.path,
            root=place.root,
            relative_path=place.key,
            also=tuple(other.path for other in others),
            person=person,
            content=facts.hash.hex(),
            face=None if whole else number,
            box=None if whole else Box(*box),
            landmarks=_known(landmarks),
            score=score,
            sharpness=sharpness,
            width=facts.width,
            height=facts.height,
            taken=facts.taken,
            camera=camera,
        )


def _known(landmarks: list[list[float]]) -> tuple[tuple[float, float], ...]:
    points = tuple((x, y) for x, y in landmarks)
    return points if np.isfinite(points).all() else ()


def _with_embeddings(store: Store, rows: list[FaceRow], start: int, stop: int) -> list[FaceRow]:
    from dataclasses import replace

    contents = store.contents
    ids: list[NDArray[np.int64]] = [
        np.arange(contents.face_start(content), contents.face_stop(content))
        for content in range(start, stop)
        if contents.live[content]
    ]
    embeddings = store.embeddings(np.concatenate(ids))
    return [replace(row, embedding=each) for row, each in zip(rows, embeddings, strict=True)]
