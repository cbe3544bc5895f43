"""Each system's own search finds the neighbours that its measures are counted from."""

import numpy as np
import pytest

from facesearch.evaluation.scoring import CosineScorer, EuclideanScorer
from facesearch.search import load_backend
from facesearch.search.pca import fit_pca
from facesearch.systems import SYSTEMS


@pytest.mark.parametrize("unit", [True, False])
@pytest.mark.parametrize("backend", sorted({system.search.backend for system in SYSTEMS.values()}))
def test_first_neighbours_are_those_of_the_scorer(backend, unit):
    draws = np.random.default_rng(3)
    rows = (draws.standard_normal((300, 24)) * 7).astype(np.float32)
    if unit:
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    if backend == "pca":
        fit = fit_pca(rows, 10)
        scorer = CosineScorer(fit.project(rows))
        search = load_backend("pca", rows, 10)
    else:
        scorer = EuclideanScorer([rows])
        search = load_backend(backend, rows)
    found = search.search(rows[:40], 25)
    order = np.argsort(scorer.distances(np.arange(40)), axis=1, kind="stable")[:, :25]
    assert (found == order).all()
