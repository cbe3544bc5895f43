"""The exact back end against a naive search, and that it copies nothing."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from facesearch.errors import RecipeMismatchError, StoreError, UsageError
from facesearch.search import BACKENDS, PLAIN_BACKENDS, load_backend
from facesearch.search.distances import euclidean


def unit_rows(seed, count, dim=16):
    rows = np.random.default_rng(seed).standard_normal((count, dim)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(1, 60),
    queries=st.integers(1, 4),
    k=st.integers(1, 80),
)
@pytest.mark.parametrize("name", PLAIN_BACKENDS)
def test_nearest_rows_are_those_of_a_naive_search(name, seed, count, queries, k):
    rows, probes = unit_rows(seed, count), unit_rows(seed + 1, queries)
    found = load_backend(name, rows).search(probes, k)
    assert found.dtype == np.int64
    assert found.shape == (queries, min(k, count))
    for probe, indices in zip(probes, found, strict=True):
        naive = np.sort(np.linalg.norm(rows.astype(float) - probe.astype(float), axis=1))
        np.testing.assert_allclose(euclidean(probe, rows[indices]), naive[:k], atol=1e-6)
        assert len(set(indices.tolist())) == len(indices)


@settings(deadline=None, max_examples=60)
@given(
    rows=hnp.arrays(
        np.float32, st.tuples(st.integers(1, 30), st.just(3)), elements=st.sampled_from([0, 1])
    ),
    k=st.integers(1, 30),
)
@pytest.mark.parametrize("name", PLAIN_BACKENDS)
def test_ties_return_the_right_distances_and_no_row_twice(name, rows, k):
    probe = np.array([[0, 1, 0]], dtype=np.float32)
    indices = load_backend(name, rows).search(probe, k)[0]
    naive = np.sort(np.sqrt(((rows - probe[0]) ** 2).sum(axis=1)))
    np.testing.assert_allclose(euclidean(probe[0], rows[indices]), naive[:k], atol=1e-12)
    assert len(set(indices.tolist())) == min(k, len(rows))


def fitted_on(backend):
    return backend._index._fit_X


def test_fitted_on_the_callers_own_memory():
    rows = unit_rows(1, 50)
    assert np.shares_memory(fitted_on(load_backend("sklearn", rows)), rows)


def test_fitted_on_a_read_only_memory_map_without_a_copy(tmp_path):
    path = tmp_path / "rows.bin"
    unit_rows(1, 50).tofile(path)
    rows = np.memmap(path, dtype=np.float32, mode="r", shape=(50, 16))
    backend = load_backend("sklearn", rows)
    assert np.shares_memory(fitted_on(backend), rows)
    assert backend.search(np.asarray(rows[7:8]), 1).tolist() == [[7]]


@pytest.mark.parametrize(("queries", "k", "shape"), [(3, 5, (3, 0)), (0, 5, (0, 0))])
@pytest.mark.parametrize("name", BACKENDS)
def test_an_empty_gallery_answers_with_nothing(name, queries, k, shape):
    backend = load_backend(name, np.empty((0, 16), dtype=np.float32))
    assert backend.search(unit_rows(1, queries), k).shape == shape


@pytest.mark.parametrize(("queries", "k", "shape"), [(0, 5, (0, 5)), (2, 0, (2, 0))])
@pytest.mark.parametrize("name", BACKENDS)
def test_no_query_or_no_k_answers_with_nothing(name, queries, k, shape):
    assert load_backend(name, unit_rows(2, 9)).search(unit_rows(1, queries), k).shape == shape


@pytest.mark.parametrize("name", BACKENDS)
@pytest.mark.parametrize("count", [0, 9])
def test_another_dimension_is_refused(name, count):
    with pytest.raises(RecipeMismatchError, match="16 numbers"):
        load_backend(name, unit_rows(2, count)).search(unit_rows(1, 1, dim=4), 3)


@pytest.mark.parametrize("name", BACKENDS)
def test_rows_that_are_not_finite_name_the_check(name):
    rows = unit_rows(1, 5)
    rows[2, 3] = np.nan
    with pytest.raises(StoreError, match="facesearch check"):
        load_backend(name, rows)


def test_an_unknown_back_end_names_the_known_ones():
    with pytest.raises(UsageError, match=r"'fast'.*sklearn"):
        load_backend("fast", unit_rows(1, 5))


def test_scikit_learn_is_imported_late():
    code = "import sys, facesearch.search; sys.exit('sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
