"""A store's faces after neighbour averaging, as something to search."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from facesearch.errors import StoreError, UsageError
from facesearch.gallery.expansion import Expansion
from facesearch.gallery.graph import NAME, NeighborGraph, Update, current, update
from facesearch.gallery.hits import Hit, certain_up_to
from facesearch.gallery.nearest import Ints, NeighborLists, Queries, add_neighbors
from facesearch.records import Embeddings
from facesearch.search import SearchBackend, load_backend
from facesearch.search.distances import euclidean
from facesearch.search.shapes import require_unit
from facesearch.store import FaceKeys, Store, face_keys, load_derived, save_derived

MANY_FACES = 1_000_000
"""Comparing more faces with each other than this is asked about first."""

_SAMPLE = 512, 8192
_log = logging.getLogger(__name__)

Confirm = Callable[[str], bool]
"""Shown a sentence that says what long work will cost; whether to go on."""


class ExpandedFaces:
    """The live faces of a snapshot, each averaged with its neighbours.

    Their neighbour graph is taken from beside the store, or made, or brought up to date, and then
    kept there unless another process holds the store.

    Attributes:
        ids: (n,) the faces' ids in the snapshot.
        expansion: their rows, in the order of ``ids``.
    """

    def __init__(self, store: Store, backend: str, confirm: Confirm | None) -> None:
        """Make everything ready to search.

        Raises:
            UsageError: the store holds no faces of unit length; or there are very many to compare
                and ``confirm`` says no, or is None.
            StoreError: the rows are damaged.
        """
        _require_faces(store)
        self._store = store
        keys = face_keys(store)
        rows = store.embeddings(keys.ids)
        require_unit(rows)
        graph = _kept_graph(store, keys)
        if graph is None:
            due = update(keys, load_derived(store, NAME))
            if len(keys.ids) > MANY_FACES and due.pairs:
                _ask(store, due, confirm)
            graph = due.done(rows)
            _keep(store, graph)
        self.ids = keys.ids
        self.expansion = Expansion(rows, graph.lists)
        self._backend_name = backend

    def query(self, embeddings: Embeddings, own: frozenset[bytes]) -> ExpandedQuery:
        """Rows to look for, averaged in their turn.

        Args:
            embeddings: (n, dim) unit rows.
            own: hashes of the contents that they come from, whose faces support nobody.
        """
        left_out = self._numbers(own)
        probes = [self.expansion.probe(row, left_out) for row in embeddings]
        changed, rows = self.expansion.without(left_out)
        return ExpandedQuery(
            np.stack(probes),
            self._backend,
            self.expansion.rows,
            self.ids,
            np.concatenate([changed, left_out]),
            np.concatenate([rows, self.expansion.itself(left_out)]),
        )

    def _numbers(self, own: frozenset[bytes]) -> Ints:
        """The numbers of the faces of some contents."""
        contents, ids = self._store.contents, []
        for wanted in sorted(own):
            same = (contents.hash == np.frombuffer(wanted, np.uint8)).all(axis=1)
            for row in np.flatnonzero(same).tolist():
                ids.append(np.arange(contents.face_start(row), contents.face_stop(row)))
        numbers = self._number_of[np.concatenate(ids)] if ids else np.zeros(0, np.int64)
        return np.sort(numbers[numbers >= 0])

    @cached_property
    def _backend(self) -> SearchBackend:
        return load_backend(self._backend_name, self.expansion.rows)

    @cached_property
    def _number_of(self) -> Ints:
        """(faces,) the number of each face id, -1 where its photo is gone."""
        numbers = np.full(len(self._store.faces), -1, np.int64)
        numbers[self.ids] = np.arange(len(self.ids))
        return numbers


@dataclass(frozen=True, slots=True, eq=False)
class ExpandedQuery:
    """One query: its ``probes`` (n, dim) and the ``rows`` (m, dim) that ``backend`` searches, whose
    face ids are ``ids``; but for the rows ``changed``, in whose place ``changed_rows`` stand, since
    the query's own photo supports nobody.
    """

    probes: Embeddings
    backend: SearchBackend
    rows: Embeddings
    ids: Ints
    changed: Ints
    changed_rows: Embeddings

    def nearest(self, fetch: int, allowed: NDArray[np.bool_] | None) -> tuple[list[Hit], float]:
        """Allowed faces (None: all) among the ``fetch`` nearest of each probe, and the distance up
        to which none is missing (infinite when all were fetched).
        """
        hits: list[Hit] = []
        certain = math.inf
        fetch = min(fetch + len(self.changed), len(self.rows))
        found = self.backend.search(self.probes, fetch)
        for example, numbers in enumerate(found):
            probe = self.probes[example]
            distances = euclidean(probe, self.rows[numbers])
            if fetch < len(self.rows):
                certain = min(certain, certain_up_to(float(distances.max()), 1.0))
            same = ~np.isin(numbers, self.changed)
            faces = self.ids[np.concatenate([numbers[same], self.changed])]
            distances = np.concatenate([distances[same], euclidean(probe, self.changed_rows)])
            hits.extend(
                Hit(int(face), float(distance), example)
                for face, distance in zip(faces, distances, strict=True)
                if allowed is None or allowed[face]
            )
        return hits, certain


def _require_faces(store: Store) -> None:
    if store.recipe.subject != "face" or not store.recipe.extractor.unit:
        raise UsageError(
            f"{store.path}: --expand averages faces, and this store compares whole photos; leave "
            "it out"
        )


def _kept_graph(store: Store, keys: FaceKeys) -> NeighborGraph | None:
    arrays = load_derived(store, NAME, keys.digest)
    return None if arrays is None else current(keys, arrays)


def _keep(store: Store, graph: NeighborGraph) -> None:
    """Save the graph for the next query, which computes it again where that cannot be."""
    try:
        kept = save_derived(store.path, NAME, graph.arrays(), graph.keys.digest, grows=True)
        reason = "another process writes the store"
    except StoreError as error:
        kept, reason = False, str(error)
    if not kept:
        _log.info("%s: the neighbour graph is not kept: %s", store.path, reason)


def _ask(store: Store, due: Update, confirm: Confirm | None) -> None:
    """Say what a large graph costs, and go on only with consent.

    Raises:
        UsageError: there is none.
    """
    cost = _cost(store, due)
    if confirm is None:
        raise UsageError(
            f"{cost}; say --yes (from Python: confirm) to go on, or leave out --expand"
        )
    if not confirm(cost):
        raise UsageError(f"{store.path}: nothing was compared; leave out --expand")


def _cost(store: Store, due: Update) -> str:
    faces = len(due.keys.ids)
    seconds = due.pairs * _seconds_a_pair(store, due.keys.ids)
    memory = faces * (2 * store.dim * 4 + due.lists.k * 8) / 1e9
    disk = faces * (due.lists.k * 8 + 4) / 1e9
    return (
        f"{store.path}: --expand compares {due.pairs:,} pairs of {faces:,} faces: "
        f"{_duration(seconds)}, {memory:.1f} GB of memory and {disk:.1f} GB of disk; later queries "
        "take what is kept"
    )


def _seconds_a_pair(store: Store, ids: Ints) -> float:
    """Measured on a sample of the store."""
    queries, rows = (store.embeddings(ids[:count]) for count in _SAMPLE)
    lists = NeighborLists.empty(len(queries), 8)
    start = time.perf_counter()
    add_neighbors(lists, Queries(queries, np.arange(len(queries))), rows)
    return (time.perf_counter() - start) / (len(queries) * len(rows))


def _duration(seconds: float) -> str:
    if seconds < 60:
        return "less than a minute"
    if seconds < 5400:
        return f"about {math.ceil(seconds / 60)} minutes"
    return f"about {seconds / 3600:.1f} hours"
