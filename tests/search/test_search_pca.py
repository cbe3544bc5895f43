"""PCA as in the course report: against its definition, never more components than there can be."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facesearch.errors import RecipeMismatchError, StoreError
from facesearch.search import load_backend
from facesearch.search.pca import PcaBackend, PcaFit, fit_pca


def cosine(probe, rows):
    """Cosine distances by their definition; 1 where a row has no direction."""
    long, rows = probe.astype(float), rows.astype(float)
    lengths = np.linalg.norm(long) * np.linalg.norm(rows, axis=1)
    return 1 - np.divide(rows @ long, lengths, out=np.zeros(len(rows)), where=lengths > 0)


def rows_of(seed, count, dim=12):
    return np.random.default_rng(seed).standard_normal((count, dim)).astype(np.float32)


def principal(rows, components):
    """The definition: eigenvectors of the covariance, the largest first, in float64."""
    centred = rows.astype(np.float64) - rows.astype(np.float64).mean(axis=0)
    _, vectors = np.linalg.eigh(centred.T @ centred)
    return centred, vectors[:, ::-1][:, :components]


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(8, 40), components=st.integers(2, 6))
def test_nearest_by_cosine_of_the_principal_components(seed, count, components):
    rows = rows_of(seed, count)
    centred, vectors = principal(rows, components)
    projected = centred @ vectors
    found = load_backend("pca", rows, components).search(rows[:3], 5)
    unit = projected / np.linalg.norm(projected, axis=1, keepdims=True)
    for query, indices in enumerate(found):
        distances = 1 - unit @ unit[query]
        np.testing.assert_allclose(distances[indices], np.sort(distances)[:5], atol=1e-4)
        assert indices[0] == query


@pytest.mark.parametrize(
    ("count", "dim", "asked", "kept"),
    [(30, 500, 0, 29), (500, 40, 400, 40), (500, 40, 7, 7), (2, 9, 400, 1), (1, 9, 5, 0)],
)
def test_never_more_components_than_rows_less_one_and_it_says_so(count, dim, asked, kept):
    backend = load_backend("pca", rows_of(1, count, dim), asked)
    assert backend.components == kept
    asked = asked or 400
    expected = f"PCA keeps {kept} components in place of {asked}: there are {count} rows"
    assert backend.note == (expected if kept < asked else "")


def test_the_same_rows_give_the_same_fit_and_others_another():
    rows = rows_of(1, 900, 600)  # large enough for the randomized solver
    first, again = fit_pca(rows, 20), fit_pca(rows.copy(), 20)
    assert first.sha256 == again.sha256
    assert first.components.tobytes() == again.components.tobytes()
    assert fit_pca(rows[:-1], 20).sha256 != first.sha256
    assert first.components.dtype == first.mean.dtype == np.float32


def test_a_saved_fit_projects_alike():
    rows = rows_of(2, 50)
    fit = fit_pca(rows, 5)
    loaded = PcaFit.from_arrays(fit.arrays())
    assert loaded.sha256 == fit.sha256
    backend = PcaBackend(rows[:20], fit=loaded)
    expected = np.argsort(cosine(fit.project(rows[:1])[0], fit.project(rows[:20])))
    assert backend.search(rows[:1], 20)[0].tolist() == expected.tolist()


def test_a_fit_of_other_rows_is_refused():
    with pytest.raises(RecipeMismatchError, match="12 numbers"):
        PcaBackend(rows_of(1, 5, 9), fit=fit_pca(rows_of(1, 20), 3))
    with pytest.raises(StoreError, match="not those of a PCA"):
        PcaFit.from_arrays({"mean": np.zeros(3, np.float32)})
