"""The gallery of a store file: its rows, a search back end for each segment, and its photos."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from facesearch.gallery import Look, Search, Where
from facesearch.gallery.beside import beside
from facesearch.gallery.codes import Part, parts_of
from facesearch.gallery.facts import coverage_of, summary_of
from facesearch.gallery.filters import Filters
from facesearch.gallery.hits import (
    Hit,
    certain_up_to,
    cosine_of,
    enough_hits,
    first_fetch,
    nearest_hits,
)
from facesearch.gallery.places import Place, Places
from facesearch.gallery.sureness import Sureness
from facesearch.recipes import Recipe
from facesearch.records import Box, Coverage, Embeddings, Neighbor, StoreSummary
from facesearch.search import choose
from facesearch.search.distances import euclidean
from facesearch.store import Store

if TYPE_CHECKING:
    from concurrent.futures import Future

    from facesearch.gallery.expanded import Confirm, ExpandedFaces

_FEW = 16.0
"""Up to so many times the square root of all faces, those that a filter leaves are sooner compared
one by one than found among the nearest of all.
"""

Mask = NDArray[np.bool_]
_Nearest = Callable[[int, Mask | None], tuple[list[Hit], float]]


class NpzGallery:
    """A snapshot of a store file; safe to search from several threads.

    Attributes:
        note: a sentence for people about the back end that was chosen for them, or "".
    """

    def __init__(
        self, store: Store, backend: str = "sklearn", confirm: Confirm | None = None
    ) -> None:
        """Search ``store`` by a back end; ``confirm`` is asked before an expanded search compares
        more than a million faces with each other, and without it that is refused. Back ends are
        those of ``search.QUERY_BACKENDS``.
        """
        self.store = store
        self._backend, self.note = choose(backend, _size(store))
        self._beginning = threading.Lock()
        self._fitting: Future[list[Part]] | None = None
        self._confirm = confirm
        self._expanding = threading.Lock()
        self._averaged: ExpandedFaces | None = None
        self._sureness = Sureness(store.recipe, store.path)
        self._filters = Filters(store)

    @property
    def recipe(self) -> Recipe:
        """How its rows were made."""
        return self.store.recipe

    @property
    def options(self) -> dict[str, Any]:
        """What ``index`` was told and remembers."""
        return self.store.options

    def summary(self) -> StoreSummary:
        """Which store this is."""
        return summary_of(str(self.store.path), self.recipe)

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

    def looks(self, neighbors: Sequence[Neighbor]) -> list[Look]:
        """How answers look; see ``Gallery.looks``."""
        from facesearch.gallery.similar import looks_of

        return looks_of(self.store, neighbors)

    def search(
        self, embeddings: Embeddings, examples: Sequence[str], search: Search
    ) -> tuple[Neighbor, ...]:
        """The nearest faces, closest first; see ``Gallery.search``."""
        places = Places(self.store)
        passing = self._filters.allowed(search.where)
        searched = self._count(passing.faces)
        if search.expand:
            nearest: _Nearest = self._expanded().query(embeddings, search.own).nearest
        elif passing.faces is not None and searched <= _FEW * math.sqrt(_size(self.store)):
            nearest = partial(self._compared, embeddings)
        else:
            nearest = partial(self._nearest, embeddings)
        hits = enough_hits(
            search,
            self._first_fetch(search.k, searched),
            lambda fetch: nearest(fetch, passing.faces),
            self._contents_of,
        )
        hits = nearest_hits(hits, search.k)
        content = self._contents_of(hits)
        found = [(hit, places.of_content(content[hit.face], passing.files)) for hit in hits]
        found.sort(key=lambda each: (each[0].distance, each[1][0].path, each[0].face))
        neighbors = [
            self._neighbor(rank, hit, examples[hit.example], files)
            for rank, (hit, files) in enumerate(found[: search.k], start=1)
        ]
        if search.expand:  # what is calibrated are distances between plain rows
            return tuple(neighbors)
        return self._sureness.told(neighbors, searched * len(embeddings))

    def _first_fetch(self, k: int | None, searched: int) -> int:
        total = _size(self.store)
        if k is None:
            return total
        # Of those fetched a filter leaves its share.
        return math.ceil(first_fetch(k) * total / max(1, searched))

    def _nearest(
        self, embeddings: Embeddings, fetch: int, allowed: Mask | None
    ) -> tuple[list[Hit], float]:
        """Allowed faces among the ``fetch`` nearest of each row and segment, and the distance up
        to which none is missing (infinite when all were fetched).
        """
        hits: list[Hit] = []
        certain = math.inf
        for part in self._parts():
            count = part.rows.shape[0]
            everything = fetch >= count
            numbers = np.arange(count)
            found = None if everything else part.backend.search(embeddings, fetch)
            for example, row in enumerate(embeddings):
                if found is not None:
                    numbers = found[example]
                rows = part.rows.everything() if everything else part.rows.take(numbers)
                distances = euclidean(row, rows)
                if not everything:
                    far = certain_up_to(float(distances.max()), _length(row))
                    certain = min(certain, far)
                hits += _passing(part.start + numbers, distances, example, allowed)
        return hits, certain

    def _compared(
        self, embeddings: Embeddings, fetch: int, allowed: Mask | None
    ) -> tuple[list[Hit], float]:
        """All faces allowed, which are few; no back end looks for them."""
        assert allowed is not None
        hits: list[Hit] = []
        for part in self._parts():
            numbers = np.flatnonzero(allowed[part.start : part.start + part.rows.shape[0]])
            rows = part.rows.take(numbers)
            for example, row in enumerate(embeddings):
                hits += _passing(part.start + numbers, euclidean(row, rows), example, None)
        return hits, math.inf

    def _contents_of(self, hits: Sequence[Hit]) -> dict[int, int]:
        """The photo of each face among hits."""
        faces = [hit.face for hit in hits]
        return dict(zip(faces, self.store.faces.content_of(faces).tolist(), strict=True))

    def _parts(self) -> list[Part]:
        fitting = self._begun()
        try:
            return fitting.result()
        except Exception:
            with self._beginning:
                if self._fitting is fitting:
                    self._fitting = None  # a later search tries again
            raise

    def _begun(self) -> Future[list[Part]]:
        with self._beginning:
            if self._fitting is None:
                self._fitting = beside(partial(parts_of, self.store, self._backend))
            return self._fitting

    def _expanded(self) -> ExpandedFaces:
        with self._expanding:
            if self._averaged is None:
                from facesearch.gallery.expanded import ExpandedFaces

                self._averaged = ExpandedFaces(self.store, self._backend, self._confirm)
            return self._averaged

    def _count(self, faces: Mask | None) -> int:
        """How many faces pass."""
        return _size(self.store) if faces is None else int(np.count_nonzero(faces))

    def _neighbor(self, rank: int, hit: Hit, example: str, files: Sequence[Place]) -> Neighbor:
        """The answer that a hit is; ``files`` are those of its photo, the one to show first."""
        face = self.store.faces.facts(hit.face)
        photo = self.store.contents.facts(face.content)
        place, *others = files
        whole = self.recipe.subject == "photo"
        return Neighbor(
            rank=rank,
            id=f"{photo.hash.hex()[:16]}-{face.number}",
            path=place.path,
            root=place.root,
            relative_path=place.key,
            also=tuple(other.path for other in others),
            face=None if whole else face.number,
            distance=hit.distance,
            similarity=cosine_of(hit, self.recipe),
            box=None if whole else Box(*face.box),
            width=photo.width,
            height=photo.height,
            taken=photo.taken,
            score=face.score,
            example=example,
        )


def _length(row: NDArray[np.float32]) -> float:
    return float(np.linalg.norm(row.astype(np.float64)))


def note_of(gallery: object) -> str:
    """What to say of the back end that was chosen for somebody; "" where nothing is."""
    return gallery.note if isinstance(gallery, NpzGallery) else ""


def _size(store: Store) -> int:
    """How many faces there are, of photos that are gone too; no table is looked at."""
    return int(store.row_offsets[-1])


def _passing(
    faces: NDArray[np.int64], distances: NDArray[np.float64], example: int, allowed: Mask | None
) -> list[Hit]:
    """A hit for each face that is allowed."""
    if allowed is not None:
        kept = allowed[faces]
        faces, distances = faces[kept], distances[kept]
    pairs = zip(faces.tolist(), distances.tolist(), strict=True)
    return [Hit(face, distance, example) for face, distance in pairs]
