"""The gallery of a store file: its rows, a search back end for each segment, and its photos."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facesearch.gallery import Search, Where
from facesearch.gallery.facts import coverage_of
from facesearch.recipes import Recipe
from facesearch.records import Box, Coverage, Embeddings, Neighbor, StoreSummary
from facesearch.search import SearchBackend, load_backend
from facesearch.search.distances import euclidean, similarity
from facesearch.store import Store

_SLACK = 32  # faces fetched beyond k at first, for photos with several faces and left-out ones
_TIE = 1e-6  # float32 back ends may order distances closer than this either way


@dataclass(frozen=True, slots=True)
class _Hit:
    face: int
    distance: float
    example: int


class NpzGallery:
    """A snapshot of a store file; safe to search from several threads."""

    def __init__(self, store: Store, backend: str = "sklearn") -> None:
        self.store = store
        self._backend = backend
        self._fitting = threading.Lock()
        self._fitted: list[SearchBackend] | None = None

    @property
    def recipe(self) -> Recipe:
        """How its rows were made."""
        return self.store.recipe

    def summary(self) -> StoreSummary:
        """Which store this is."""
        recipe = self.recipe
        return StoreSummary(
            path=str(self.store.path),
            recipe=recipe.name,
            recipe_digest=recipe.recipe_digest,
            space_digest=recipe.space_digest,
            dim=recipe.extractor.dim,
        )

    def coverage(self) -> Coverage:
        """What a search looks through."""
        return coverage_of(self.store)

    def search(
        self, embeddings: Embeddings, examples: Sequence[str], search: Search
    ) -> tuple[Neighbor, ...]:
        """The nearest faces, closest first; see ``Gallery.search``."""
        allowed = self._allowed(search.where)
        fetch = len(self.store.faces) if search.k is None else 2 * search.k + _SLACK
        while True:
            hits, certain = self._nearest(embeddings, fetch, allowed)
            best = _best(hits, self.store.faces.content if search.by == "photo" else None)
            if search.where.max_distance is not None:
                best = [hit for hit in best if hit.distance <= search.where.max_distance]
            sure = sum(hit.distance < certain - _TIE for hit in best)
            limit = search.where.max_distance
            beyond = limit is not None and certain - _TIE > limit
            if certain == np.inf or beyond or (search.k is not None and sure >= search.k):
                break
            fetch *= 4
        neighbors = sorted(
            (self._neighbor(hit, examples) for hit in best),
            key=lambda found: (found.distance, found.path, found.face),
        )
        return tuple(
            replace(found, rank=rank) for rank, found in enumerate(neighbors[: search.k], start=1)
        )

    def _nearest(
        self, embeddings: Embeddings, fetch: int, allowed: NDArray[np.bool_]
    ) -> tuple[list[_Hit], float]:
        """Allowed faces among the ``fetch`` nearest of each row and segment, and the distance up
        to which none is missing (infinite when all were fetched).
        """
        hits: list[_Hit] = []
        certain = np.inf
        start = 0
        for backend, rows in zip(self._backends(), self.store.rows, strict=True):
            found = backend.search(embeddings, min(fetch, len(rows)))
            for example, indices in enumerate(found):
                faces = start + indices
                distances = euclidean(embeddings[example], self.store.embeddings(faces))
                if fetch < len(rows):
                    certain = min(certain, float(distances.max()))
                hits.extend(
                    _Hit(int(face), float(distance), example)
                    for face, distance in zip(faces, distances, strict=True)
                    if allowed[face]
                )
            start += len(rows)
        return hits, certain

    def _backends(self) -> list[SearchBackend]:
        with self._fitting:
            if self._fitted is None:
                self._fitted = [load_backend(self._backend, rows) for rows in self.store.rows]
            return self._fitted

    def _allowed(self, where: Where) -> NDArray[np.bool_]:
        """Which faces may be answers: those of live contents that pass the filters."""
        contents = self.store.contents
        allowed = np.asarray(contents.live).copy()
        for left_out in where.exclude:
            allowed &= (contents.hash != np.frombuffer(left_out, np.uint8)).any(axis=1)
        if where.under:
            below = np.zeros(len(allowed), bool)
            for root, key, content in self._files():
                if _is_under(self._full_path(root, key), key, where.under):
                    below[content] = True
            allowed &= below
        return allowed[np.asarray(self.store.faces.content)]

    def _files(self) -> Iterator[tuple[int, str, int]]:
        files = self.store.files
        for root, key, content in zip(files.root, files.paths(), files.content, strict=True):
            yield int(root), key, int(content)

    @cached_property
    def _folders(self) -> list[Path]:
        return [root.resolve(self.store.folder) for root in self.store.roots]

    def _places(self, content: int) -> list[tuple[int, str]]:
        """The (root, relative path)s of a content, in the store's order."""
        files = self.store.files
        return [(int(files.root[row]), files.path(int(row))) for row in files.of_content(content)]

    def _full_path(self, root: int, key: str) -> str:
        folder = self._folders[root]
        return os.path.join(folder, key) if key else str(folder)

    def _neighbor(self, hit: _Hit, examples: Sequence[str]) -> Neighbor:
        store, content = self.store, int(self.store.faces.content[hit.face])
        contents, faces = store.contents, store.faces
        (root, key), *others = self._places(content)
        number = faces.number(hit.face)
        x, y, width, height = (float(value) for value in faces.box[hit.face])
        return Neighbor(
            rank=0,
            id=f"{contents.hash[content].tobytes().hex()[:16]}-{number}",
            path=self._full_path(root, key),
            root=str(self._folders[root]),
            relative_path=key,
            also=tuple(self._full_path(*place) for place in others),
            face=number,
            distance=hit.distance,
            similarity=float(similarity(np.array([hit.distance]))[0]),
            box=Box(x, y, width, height),
            width=int(contents.width[content]),
            height=int(contents.height[content]),
            taken=contents.taken(content),
            score=float(faces.score[hit.face]),
            example=examples[hit.example],
        )


def _best(hits: list[_Hit], content: NDArray[np.int64] | None) -> list[_Hit]:
    """The nearest hit of each photo (``content`` says which face is whose), or of each face."""
    best: dict[int, _Hit] = {}
    for hit in sorted(hits, key=lambda hit: (hit.distance, hit.face)):
        best.setdefault(hit.face if content is None else int(content[hit.face]), hit)
    return list(best.values())


def _is_under(path: str, key: str, folders: tuple[str, ...]) -> bool:
    """Whether the photo lies below a folder, given in full or relative to the photo's root."""
    return any(
        path == folder
        or path.startswith(folder.rstrip("/") + "/")
        or key.startswith(folder.strip("/") + "/")
        for folder in folders
    )
