"""How each system compares the faces of its store: plainly, projected, or expanded."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from facesearch.evaluation.enrolment import Enrolled, Ints
from facesearch.evaluation.scoring import CosineScorer, EuclideanScorer, Floats, Scorer
from facesearch.gallery.expansion import Expansion
from facesearch.search.pca import PcaFit, fit_pca
from facesearch.store import Store, face_keys, load_derived, save_derived
from facesearch.systems import System


@dataclass(frozen=True, slots=True)
class Search:
    """A system's way to compare. ``made_of`` maps what was fitted for it to its SHA-256, ``notes``
    are sentences for people.
    """

    scorer: Scorer
    made_of: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def search_of(system: System, store: Store, enrolled: Enrolled, components: int | None) -> Search:
    """Distances as the system's own search has them.

    Args:
        system: whose search setting counts.
        store: its store.
        enrolled: the photos searched.
        components: principal components in place of the system's own number.
    """
    store.verify_rows()
    if system.search.backend != "pca":
        return Search(EuclideanScorer(store.rows))
    wanted = components or system.search.components
    fit = _pca_fit(store, enrolled.faces, wanted)
    scorer = CosineScorer(fit.project(np.concatenate(store.rows)))
    kept = len(fit.components)
    notes = (f"{kept} components in place of {wanted}: one less than photos",)
    return Search(scorer, {f"PCA of {kept} components": fit.sha256}, notes if kept < wanted else ())


def _pca_fit(store: Store, faces: Ints, components: int) -> PcaFit:
    """The projection made from these faces; kept beside the store when they are all it has."""
    keys, name = face_keys(store), f"pca-{components}"
    whole = np.array_equal(faces, np.sort(keys.ids))
    arrays = load_derived(store, name, keys.digest) if whole else None
    if arrays is not None:
        return PcaFit.from_arrays(arrays)
    fit = fit_pca(store.embeddings(keys.ids if whole else faces), components)
    if whole:
        save_derived(store.path, name, fit.arrays(), keys.digest)
    return fit


class ExpandedScorer:
    """Compares embeddings averaged with their neighbours among the photos searched.

    A probe's own photo lends support neither to it nor to the gallery: the probe is expanded by,
    and compared with, the gallery as it would be without that photo.
    """

    def __init__(self, store: Store, enrolled: Enrolled) -> None:
        """Expand the faces of the enrolled photos."""
        self._plain = EuclideanScorer(store.rows)
        self._faces = enrolled.faces
        self._expansion = Expansion(store.embeddings(self._faces))
        self._rows = EuclideanScorer([self._expansion.rows])
        self._own = {
            int(face): np.searchsorted(self._faces, np.arange(first, last))
            for face, first, last in zip(
                enrolled.central, enrolled.first, enrolled.last, strict=True
            )
            if face >= 0
        }

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
