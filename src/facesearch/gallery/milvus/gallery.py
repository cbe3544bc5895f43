"""The gallery in Milvus: the engine filters and finds, distances are computed here."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facesearch.addresses import EngineAddress
from facesearch.errors import RecipeMismatchError, UsageError
from facesearch.gallery import Look, Search, Where
from facesearch.gallery.facts import summary_of
from facesearch.gallery.hits import (
    Hit,
    certain_up_to,
    cosine_of,
    enough_hits,
    first_fetch,
    nearest_hits,
)
from facesearch.gallery.milvus import filters, schema
from facesearch.gallery.milvus.connection import Connection
from facesearch.gallery.milvus.filters import Filter, Placer
from facesearch.gallery.milvus.head import GalleryHead, read_head
from facesearch.gallery.milvus.rows import (
    Placed,
    face_in,
    split_file_key,
    split_key,
    unspelled,
)
from facesearch.gallery.milvus.tables import MOST, Row, Table, within
from facesearch.gallery.places import is_away
from facesearch.gallery.sureness import Sureness
from facesearch.locations import join
from facesearch.recipes import Recipe
from facesearch.records import Coverage, Embeddings, Neighbor, StoreSummary
from facesearch.search.distances import euclidean

_COLUMNS = ("facts",)

Distances = NDArray[np.float64]


class MilvusGallery:
    """A collection as it is: all that was acknowledged before it was opened, and what comes
    meanwhile after a few seconds. Safe in threads.
    """

    def __init__(self, address: EngineAddress) -> None:
        """Connects.

        Raises:
            StoreMissingError: there is no gallery.
            StoreError: the server is away, refuses or is too slow; or it is something else.
        """
        self._address = address
        self._connection = Connection(address)
        schema.require_collections(self._connection)
        self._faces = Table(self._connection, schema.FACES)
        self._files = Table(self._connection, schema.FILES)
        self._head_table = Table(self._connection, schema.HEAD)
        self._recipe = read_head(self._head_table).recipe
        self._sureness = Sureness(self._recipe, str(address))

    def _head(self) -> GalleryHead:
        """What the gallery says now.

        Raises:
            RecipeMismatchError: it is another one under the same name since this was opened.
        """
        head = read_head(self._head_table)
        if head.recipe.space_digest != self._recipe.space_digest:
            raise RecipeMismatchError(
                f"{self._address}: made anew since it was opened, with "
                f"{self._recipe.differences(head.recipe)}; open it again"
            )
        return head

    @property
    def recipe(self) -> Recipe:
        """How its rows were made."""
        return self._recipe

    @property
    def options(self) -> dict[str, Any]:
        """What ``index`` remembers."""
        return self._head().options

    def summary(self) -> StoreSummary:
        """Which store this is."""
        return summary_of(str(self._address), self.recipe)

    def coverage(self) -> Coverage:
        """What a search looks through."""
        return coverage_of(self._head())

    def require(self, where: Where) -> None:
        """Makes sure that there is something to search; see ``Gallery.require``."""
        filters.require(where, self._head(), self._files)

    def undated(self) -> int:
        """Photos without a capture time; see ``Gallery.undated``."""
        return filters.undated(self._files)

    def warm_up(self) -> None:
        """Nothing: the server is ready."""

    def size(self, where: Where) -> int:
        """How many faces a search looks through; see ``Gallery.size``."""
        head = self._head()
        asked = filters.filter_of(where, head)
        return self._size(_Found(head, asked, self._files, Placer(head)))

    def distance_at(self, fmr: float) -> float:
        """The distance for a false match rate; see ``Gallery.distance_at``."""
        return self._sureness.distance_at(fmr)

    def looks(self, neighbors: Sequence[Neighbor]) -> list[Look]:
        """How answers look, which an engine does not tell.

        Raises:
            UsageError: always.
        """
        raise UsageError(
            f"{self.summary().path}: --group similar needs a store file; "
            f"facesearch pull {self.summary().path} FILE, then query that"
        )

    def prepare_expansion(self) -> None:
        """Refuses: averages need every row here.

        Raises:
            UsageError: always.
        """
        raise UsageError(
            f"{self._address}: --expand needs all faces in a store file; facesearch pull "
            f"{self._address} faces.npz, then query that"
        )

    def search(
        self, embeddings: Embeddings, examples: Sequence[str], search: Search
    ) -> tuple[Neighbor, ...]:
        """The nearest faces, closest first; see ``Gallery.search``."""
        if search.expand:
            self.prepare_expansion()
        head = self._head()
        asked = filters.filter_of(search.where, head)
        found = _Found(head, asked, self._files, Placer(head))
        hits = enough_hits(
            search,
            MOST + 1 if search.k is None else first_fetch(search.k),
            lambda fetch: self._nearest(embeddings, fetch, found),
            lambda hits: found.contents(),
        )
        hits = nearest_hits(hits, search.k)
        # Without a place: its folder left the gallery since the head was read.
        placed = [(hit, places) for hit in hits if (places := found.places(hit.face))]
        placed.sort(key=lambda each: (each[0].distance, each[1][0].path, found.number(each[0])))
        neighbors = [
            self._neighbor(rank, hit, examples[hit.example], found)
            for rank, (hit, _) in enumerate(placed[: search.k], start=1)
        ]
        return self._sureness.told(neighbors, self._size(found) * len(embeddings))

    def _size(self, found: _Found) -> int:
        """How many faces qualify. Of very many it is what the engine says, which cannot tell which
        of a photo's folders and persons go together.
        """
        asked = found.filter
        engine = self._faces.count(asked.faces)
        if not asked.by_file or engine > MOST:
            return engine
        if not asked.is_doubtful and not self._faces.count(filters.MANY_OF_ONE):
            return engine
        rows = self._faces.select(asked.faces, _COLUMNS)
        return sum(found.passes(row) for row in rows)

    def _nearest(
        self, embeddings: Embeddings, fetch: int, found: _Found
    ) -> tuple[list[Hit], float]:
        """The ``fetch`` nearest of each row (all, where that is more than the engine gives at
        once), and the distance up to which none is missing (infinite when all were fetched).
        """
        found.clear()
        where = found.filter.faces
        if fetch > MOST:
            every = self._faces.scan((*_COLUMNS, schema.VECTOR), where)
            return [hit for rows in every for hit in found.hits(rows, embeddings)], math.inf
        hits: list[Hit] = []
        certain = math.inf
        nearest = self._faces.nearest(embeddings, fetch, where, _COLUMNS)
        for example, rows in enumerate(nearest):
            embedding = embeddings[example]
            here = found.hits(rows, embedding[None], example)
            if len(rows) >= fetch:
                farthest = float(found.distances(rows, embedding).max())
                length = float(np.linalg.norm(embedding.astype(np.float64)))
                certain = min(certain, certain_up_to(farthest, length))
            hits += here
        return hits, certain

    def _neighbor(self, rank: int, hit: Hit, example: str, found: _Found) -> Neighbor:
        row = found.rows[hit.face]
        content, number = split_key(row[schema.KEY])
        place, *others = found.places(hit.face)
        facts, face = row["facts"], face_in(row)
        whole = self.recipe.subject == "photo"
        return Neighbor(
            rank=rank,
            id=f"{content[:16]}-{number}",
            path=place.path,
            root=place.root,
            relative_path=place.key,
            also=tuple(other.path for other in others),
            face=None if whole else number,
            distance=hit.distance,
            similarity=cosine_of(hit, self.recipe),
            box=None if whole else face.box,
            width=int(facts["width"]),
            height=int(facts["height"]),
            taken=str(facts["taken"]),
            score=face.score,
            example=example,
        )


def coverage_of(head: GalleryHead) -> Coverage:
    """What a gallery holds, as its head counts it."""
    return Coverage(
        **head.totals._asdict(),
        roots_away=sum(is_away(path) for _, path in head.roots),
        indexed_at=head.indexed_at,
        progress=None if head.run is None else head.run.progress(),
        subject=head.recipe.subject,
    )


@dataclass(frozen=True, slots=True)
class _At:
    """A file of an answer."""

    path: str
    root: str
    key: str


@dataclass(slots=True)
class _Found:
    """The rows that one search has fetched, and where their photos lie."""

    head: GalleryHead
    filter: Filter
    files: Table
    placer: Placer
    rows: list[Row] = field(default_factory=list)
    _known: dict[str, int] = field(default_factory=dict)
    _places: dict[str, list[_At]] = field(default_factory=dict)

    def clear(self) -> None:
        """Forgets the rows, before more are fetched."""
        self.rows.clear()
        self._known.clear()

    def hits(self, rows: Sequence[Row], embeddings: Embeddings, example: int = 0) -> list[Hit]:
        """Each of the rows that qualify with each of the embeddings, numbered from ``example``."""
        faces = [self._number_of(row) for row in rows]
        kept = [self.qualifies(face) for face in faces]
        return [
            Hit(face, distance, number)
            for number, embedding in enumerate(embeddings, start=example)
            for face, distance, keep in zip(
                faces, self.distances(rows, embedding).tolist(), kept, strict=True
            )
            if keep
        ]

    def distances(self, rows: Sequence[Row], embedding: NDArray[np.float32]) -> Distances:
        """(rows,) float64: how far each row is from the embedding."""
        vectors = np.array([row[schema.VECTOR] for row in rows], np.float32)
        return euclidean(embedding, vectors.reshape(len(rows), -1))

    def _number_of(self, row: Row) -> int:
        known = self._known.setdefault(row[schema.KEY], len(self.rows))
        if known == len(self.rows):
            self.rows.append({name: row[name] for name in (schema.KEY, *_COLUMNS)})
        return known

    def qualifies(self, face: int) -> bool:
        """Whether one of its photo's files passes: the engine knows folders and persons of a photo,
        and not which of them go together.
        """
        return self.passes(self.rows[face])

    def passes(self, row: Row) -> bool:
        """The same for a row that was fetched."""
        if not self.filter.by_file:
            return True
        return any(self.filter.passes(place) for place in self._files_of(row))

    def contents(self) -> NDArray[np.int64]:
        """(rows,) a number for the photo of each row."""
        numbers: dict[str, int] = {}
        return np.array(
            [numbers.setdefault(split_key(row[schema.KEY])[0], len(numbers)) for row in self.rows],
            np.int64,
        )

    def number(self, hit: Hit) -> int:
        """The face's number within its photo."""
        return split_key(self.rows[hit.face][schema.KEY])[1]

    def places(self, face: int) -> list[_At]:
        """All files of the face's photo, the one to show first."""
        row = self.rows[face]
        content = split_key(row[schema.KEY])[0]
        if content not in self._places:
            roots = [number for number, _ in self.head.roots]
            paths = dict(self.head.roots)
            away = {number: is_away(path) for number, path in self.head.roots}

            def rank(place: Placed) -> tuple[bool, bool, int, bytes]:
                wanted = not self.filter.by_file or self.filter.passes(place)
                return (
                    not wanted,
                    away[place.root],
                    roots.index(place.root),
                    os.fsencode(place.key),
                )

            files = [place for place in self._files_of(row) if place.root in paths]
            self._places[content] = [
                _At(join(paths[place.root], place.key), paths[place.root], place.key)
                for place in sorted(files, key=rank)
            ]
        return self._places[content]

    def _files_of(self, row: Row) -> Iterator[Placed]:
        paths = row["facts"]["paths"]
        if paths is None:  # too many for the row
            content = split_key(row[schema.KEY])[0]
            found = self.files.select(within("content", [content]), ())
            pairs = [split_file_key(each[schema.KEY]) for each in found]
        else:
            pairs = [(int(root), unspelled(key)) for root, key in paths]
        return (self.placer.placed(root, key) for root, key in pairs)
