"""The gallery of a store file: its rows, a search back end for each segment, and its photos."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from facesearch.gallery import Search, Where
from facesearch.gallery.beside import beside
from facesearch.gallery.facts import coverage_of
from facesearch.gallery.filters import Filters
from facesearch.gallery.hits import Hit, best_hits, certain_up_to, nearest_hits
from facesearch.gallery.places import Place, Places
from facesearch.gallery.sureness import Sureness
from facesearch.recipes import Recipe
from facesearch.records import Box, Coverage, Embeddings, Neighbor, StoreSummary
from facesearch.search import SearchBackend, load_backend
from facesearch.search.distances import euclidean, similarity
from facesearch.store import Store

if TYPE_CHECKING:
    from concurrent.futures import Future

    from facesearch.gallery.expanded import Confirm, ExpandedFaces

_SLACK = 32  # faces fetched beyond k at first, for photos with several faces and left-out ones


_Nearest = Callable[[int, NDArray[np.bool_]], tuple[list[Hit], float]]


class NpzGallery:
    """A snapshot of a store file; safe to search from several threads."""

    def __init__(
        self, store: Store, backend: str = "sklearn", confirm: Confirm | None = None
    ) -> None:
        """Search ``store`` by a back end; ``confirm`` is asked before an expanded search compares
        more than a million faces with each other, and without it that is refused.
        """
        self.store = store
        self._backend = backend
        self._beginning = threading.Lock()
        self._fitting: Future[list[SearchBackend]] | None = None
        self._confirm = confirm
        self._expanding = threading.Lock()
        self._averaged: ExpandedFaces | None = None
        self._sureness = Sureness(store.recipe, store.path)
        self._filters = Filters(store)

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

    def require(self, where: Where) -> None:
        """Makes sure that ``where`` can be meant; see ``Gallery.require``."""
        self._filters.allowed(where)

    def undated(self) -> int:
        """Photos without a capture time; see ``Gallery.undated``."""
        return self._filters.undated()

    def warm_up(self) -> None:
        """Begins to check the rows and to fit the back end; see ``Gallery.warm_up``."""
        self._begun()

    def size(self, where: Where) -> int:
        """How many faces a search looks through; see ``Gallery.size``."""
        return self._count(self._filters.allowed(where).faces)

    def prepare_expansion(self) -> None:
        """Makes expanded searches ready; see ``Gallery.prepare_expansion``."""
        self._expanded()

    def distance_at(self, fmr: float) -> float:
        """The distance for a false match rate; see ``Gallery.distance_at``."""
        return self._sureness.distance_at(fmr)

    def search(
        self, embeddings: Embeddings, examples: Sequence[str], search: Search
    ) -> tuple[Neighbor, ...]:
        """The nearest faces, closest first; see ``Gallery.search``."""
        places = Places(self.store)
        passing = self._filters.allowed(search.where)
        below = passing.files
        allowed = (
            np.ones(len(self.store.faces), np.bool_) if passing.faces is None else passing.faces
        )
        if search.expand:
            nearest = self._expanded().query(embeddings, search.own).nearest
        else:
            nearest = partial(self._nearest, embeddings)
        content = self.store.faces.content
        found = [
            (hit, places.of_content(int(content[hit.face]), below))
            for hit in nearest_hits(self._hits(nearest, search, allowed), search.k)
        ]
        found.sort(key=lambda each: (each[0].distance, each[1][0].path, each[0].face))
        neighbors = [
            self._neighbor(rank, hit, examples[hit.example], files)
            for rank, (hit, files) in enumerate(found[: search.k], start=1)
        ]
        if search.expand:  # what is calibrated are distances between plain rows
            return tuple(neighbors)
        return self._sureness.told(neighbors, self._count(passing.faces) * len(embeddings))

    def _hits(self, nearest: _Nearest, search: Search, allowed: NDArray[np.bool_]) -> list[Hit]:
        """The hits that can be among the answers, one for each photo or face."""
        limit = math.inf if search.where.max_distance is None else search.where.max_distance
        by = self.store.faces.content if search.by == "photo" else None
        fetch = len(self.store.faces) if search.k is None else 2 * search.k + _SLACK
        while True:
            hits, certain = nearest(fetch, allowed)
            best = [hit for hit in best_hits(hits, by) if hit.distance <= limit]
            sure = [hit for hit in best if hit.distance < certain]
            if search.k is not None and len(sure) >= search.k:
                return sure
            if certain > limit or math.isinf(certain):
                return best
            fetch *= 4

    def _nearest(
        self, embeddings: Embeddings, fetch: int, allowed: NDArray[np.bool_]
    ) -> tuple[list[Hit], float]:
        """Allowed faces among the ``fetch`` nearest of each row and segment, and the distance up
        to which none is missing (infinite when all were fetched).
        """
        hits: list[Hit] = []
        certain = math.inf
        start = 0
        for backend, rows in zip(self._backends(), self.store.rows, strict=True):
            found = backend.search(embeddings, min(fetch, len(rows)))
            for example, indices in enumerate(found):
                faces = start + indices
                distances = euclidean(embeddings[example], self.store.embeddings(faces))
                if fetch < len(rows):
                    far = certain_up_to(float(distances.max()), _length(embeddings[example]))
                    certain = min(certain, far)
                kept = allowed[faces]
                pairs = zip(faces[kept].tolist(), distances[kept].tolist(), strict=True)
                hits.extend(Hit(face, distance, example) for face, distance in pairs)
            start += len(rows)
        return hits, certain

    def _backends(self) -> list[SearchBackend]:
        fitting = self._begun()
        try:
            return fitting.result()
        except Exception:
            with self._beginning:
                if self._fitting is fitting:
                    self._fitting = None  # a later search tries again
            raise

    def _begun(self) -> Future[list[SearchBackend]]:
        with self._beginning:
            if self._fitting is None:
                self._fitting = beside(self._fit)
            return self._fitting

    def _fit(self) -> list[SearchBackend]:
        # A back end looks at every row, so a damaged one could push the right one out.
        self.store.verify_rows()
        return [load_backend(self._backend, rows) for rows in self.store.rows]

    def _expanded(self) -> ExpandedFaces:
        with self._expanding:
            if self._averaged is None:
                from facesearch.gallery.expanded import ExpandedFaces

                self._averaged = ExpandedFaces(self.store, self._backend, self._confirm)
            return self._averaged

    def _count(self, faces: NDArray[np.bool_] | None) -> int:
        """How many faces pass."""
        return len(self.store.faces) if faces is None else int(np.count_nonzero(faces))

    def _neighbor(self, rank: int, hit: Hit, example: str, files: Sequence[Place]) -> Neighbor:
        """The answer that a hit is; ``files`` are those of its photo, the one to show first."""
        contents, faces = self.store.contents, self.store.faces
        content = int(faces.content[hit.face])
        place, *others = files
        number = faces.number(hit.face)
        box = None
        if self.recipe.subject == "face":
            box = Box(*(float(value) for value in faces.box[hit.face]))
        return Neighbor(
            rank=rank,
            id=f"{contents.hash[content].tobytes().hex()[:16]}-{number}",
            path=place.path,
            root=place.root,
            relative_path=place.key,
            also=tuple(other.path for other in others),
            face=None if box is None else number,
            distance=hit.distance,
            similarity=self._similarity(hit.distance),
            box=box,
            width=int(contents.width[content]),
            height=int(contents.height[content]),
            taken=contents.taken(content),
            score=float(faces.score[hit.face]),
            example=example,
        )

    def _similarity(self, distance: float) -> float | None:
        """The cosine, which only rows of unit length tell by their distance."""
        if not self.recipe.extractor.unit:
            return None
        return float(similarity(np.array([distance]))[0])


def _length(row: NDArray[np.float32]) -> float:
    return float(np.linalg.norm(row.astype(np.float64)))
