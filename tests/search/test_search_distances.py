"""Distances are exact, and a row's distance is its own affair."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from facesearch.search import distances
from facesearch.search.distances import euclidean, similarity

NUMBERS = st.floats(-2, 2, width=32)


@st.composite
def probe_and_rows(draw):
    dim = draw(st.integers(1, 40))
    probe = draw(hnp.arrays(np.float32, dim, elements=NUMBERS))
    rows = draw(hnp.arrays(np.float32, (draw(st.integers(0, 12)), dim), elements=NUMBERS))
    return probe, rows


@given(probe_and_rows())
def test_equals_the_correctly_rounded_sum(case):
    probe, rows = case
    exact = [math.dist(map(float, probe), map(float, row)) for row in rows]
    found = euclidean(probe, rows)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, np.array(exact), rtol=1e-14, atol=0)


@given(probe_and_rows())
def test_a_row_alone_and_among_others_has_the_same_distance_to_the_bit(case):
    probe, rows = case
    alone = [euclidean(probe, rows[n : n + 1])[0] for n in range(len(rows))]
    assert euclidean(probe, rows).tolist() == alone


def test_small_distances_keep_their_digits():
    row = np.full((1, 128), np.sqrt(1 / 128), dtype=np.float32)
    probe = row[0].copy()
    probe[0] = np.nextafter(probe[0], np.float32(1))
    assert euclidean(probe, row)[0] == float(probe[0]) - float(row[0, 0]) > 0
    assert euclidean(row[0], row)[0] == 0


def test_blocks_join_without_a_seam(monkeypatch):
    rows = np.random.default_rng(0).standard_normal((23, 5)).astype(np.float32)
    whole = euclidean(rows[3], rows)
    monkeypatch.setattr(distances, "_BLOCK_BYTES", 7 * 5 * 8)
    assert euclidean(rows[3], rows).tolist() == whole.tolist()


def test_leaves_its_input_alone():
    rows = np.eye(4, dtype=np.float32)
    rows.setflags(write=False)
    np.testing.assert_allclose(euclidean(rows[0], rows), [0, *[math.sqrt(2)] * 3])


@pytest.mark.parametrize(("distance", "cosine"), [(0, 1), (math.sqrt(2), 0), (2, -1), (1, 0.5)])
def test_similarity_is_the_cosine(distance, cosine):
    assert similarity(np.array([distance]))[0] == pytest.approx(cosine, abs=1e-15)


def test_similarity_agrees_with_the_dot_product():
    rows = np.random.default_rng(0).standard_normal((50, 128))
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    cosine = rows.astype(float) @ rows[0].astype(float)
    np.testing.assert_allclose(similarity(euclidean(rows[0], rows)), cosine, atol=1e-6)
