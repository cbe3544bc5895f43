"""How each system compares the faces of its store: plainly, projected, or expanded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from facesearch.evaluation.enrolment import Enrolled, Ints
from facesearch.evaluation.scoring import CosineScorer, EuclideanScorer, Floats, Scorer
from facesearch.gallery import Search
from facesearch.gallery.expanded import Confirm, ExpandedFaces
from facesearch.gallery.expansion import Expansion
from facesearch.gallery.npz import NpzGallery
from facesearch.gallery.projection import pca_of
from facesearch.records import Embeddings
from facesearch.search.pca import PcaBackend, fit_pca
from facesearch.store import Store, face_keys
from facesearch.systems import System


@dataclass(frozen=True, slots=True)
class SystemSearch:
    """A system's way to compare. ``find`` looks for the neighbours of (1, dim) rows as the system
    does; ``made_of`` maps what was fitted for it to its SHA-256; ``notes`` are for people.
    """

    scorer: Scorer
    find: Callable[[Embeddings], object]
    made_of: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def search_of(
    system: System, store: Store, enrolled: Enrolled, components: int | None
) -> SystemSearch:
    """Distances as the system's own search has them.

    Args:
        system: whose search setting counts.
        store: its store.
        enrolled: the photos searched.
        components: principal components in place of the system's own number.
    """
    store.verify_rows()
    if system.search.backend == "pca":
        return _projected(store, enrolled, components or system.search.components, system.search.k)
    gallery = NpzGallery(store, system.search.backend)
    asked = Search(k=system.search.k)
    return SystemSearch(EuclideanScorer(store.rows), lambda rows: gallery.search(rows, [""], asked))


def _projected(store: Store, enrolled: Enrolled, components: int, k: int) -> SystemSearch:
    """Cosine distance of projections by a PCA of the photos searched."""
    whole = _holds_no_more(store, enrolled.faces)
    # Of all that the store holds it is kept beside it; of a part it is made for this once.
    fit = (
        pca_of(store, components)
        if whole
        else fit_pca(store.embeddings(enrolled.faces), components)
    )
    rows = np.concatenate(store.rows)
    backend = PcaBackend(rows, components, fit)
    return SystemSearch(
        CosineScorer(fit.project(rows)),
        lambda asked: backend.search(asked, k),
        {f"PCA of {backend.components} components": fit.sha256},
        (backend.note,) if backend.note else (),
    )


def _expansion_of(store: Store, faces: Ints, confirm: Confirm) -> tuple[Ints, Expansion]:
    """Face ids, and the expansion of their rows in that order."""
    whole = ExpandedFaces(store, "sklearn", confirm) if _holds_no_more(store, faces) else None
    if whole is not None:
        return whole.ids, whole.expansion
    return faces, Expansion(store.embeddings(faces))


def _holds_no_more(store: Store, faces: Ints) -> bool:
    return np.array_equal(faces, np.sort(face_keys(store).ids))


class ExpandedScorer:
    """Compares embeddings averaged with their neighbours among the photos searched.

    A probe's own photo lends support neither to it nor to the gallery: the probe is expanded by,
    and compared with, the gallery as it would be without that photo.
    """

    def __init__(self, store: Store, enrolled: Enrolled, confirm: Confirm) -> None:
        """Expand the faces of the enrolled photos, by the graph kept beside the store where they
        are all it has.

        Raises:
            UsageError: there are more than a million, and ``confirm`` says no.
        """
        self._plain = EuclideanScorer(store.rows)
        self._faces, self._expansion = _expansion_of(store, enrolled.faces, confirm)
        place = np.full(len(store.faces), -1, np.int64)
        place[self._faces] = np.arange(len(self._faces))
        self._rows = EuclideanScorer([self._expansion.rows])
        self._own = {
            int(face): place[first:last]
            for face, first, last in zip(
                enrolled.central, enrolled.first, enrolled.last, strict=True
            )
            if face >= 0
        }

    @property
    def probe_bytes(self) -> int:
        """See ``Scorer.probe_bytes``."""
        return 2 * self._plain.probe_bytes

    def distances(self, probes: Ints) -> Floats:
        """See ``Scorer.distances``; probes are central faces of enrolled photos."""
        own = [self._own[int(probe)] for probe in probes]
        plain = self._plain.rows(probes).astype(np.float32)
        points = (
            np.array(
                [self._expansion.probe(row, left) for row, left in zip(plain, own, strict=True)]
            )
            .reshape(len(probes), -1)
            .astype(np.float64)
        )
        among = self._rows.from_rows(points)
        for number, left_out in enumerate(own):
            changed, rows = self._expansion.without(left_out)
            if len(changed):
                among[number, changed] = EuclideanScorer([rows]).from_rows(points[[number]])[0]
        found = np.full((len(probes), self._plain.faces), np.inf)
        found[:, self._faces] = among
        return found

    def between(self, first: Ints, second: Ints) -> Floats:
        """See ``Scorer.between``; two photos alone have no neighbours, so nothing is expanded."""
        return self._plain.between(first, second)
