"""Neighbour averaging against its definition, written out pair by pair."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facesearch.gallery import nearest
from facesearch.gallery.expansion import Expansion
from facesearch.gallery.nearest import MIN_COSINE, NONE, lists_of

DIM = 5
USED = 5


def unit(rows):
    rows = np.asarray(rows, np.float64).reshape(-1, DIM)
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@st.composite
def galleries(draw, most=40):
    """People with several photos each, so that lists are full, empty, and full of equal rows."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    count = draw(st.integers(0, most))
    people = rng.normal(size=(draw(st.integers(1, 4)), DIM))
    noise = draw(st.sampled_from([0.0, 0.1, 0.5]))
    return unit(people[rng.integers(0, len(people), count)] + noise * rng.normal(size=(count, DIM)))


def cosine(one, other):
    return np.float32((one.astype(np.float64) * other.astype(np.float64)).sum())


def neighbors(row, rows, but):
    """[(cosine, number)] above 0.6, nearest first, by the definition."""
    pairs = [(cosine(row, other), n) for n, other in enumerate(rows) if n not in but]
    return sorted((pair for pair in pairs if pair[0] > MIN_COSINE), key=lambda p: (-p[0], p[1]))


def averaged(row, rows, but):
    total = row.astype(np.float64)
    for weight, number in neighbors(row, rows, but)[:USED]:
        total = total + float(weight) ** 2 * rows[number].astype(np.float64)
    return (total / np.linalg.norm(total)).astype(np.float32)


def small_blocks(patch):
    patch.setattr(nearest, "_QUERIES_AT_ONCE", 7)
    patch.setattr(nearest, "_ROWS_AT_ONCE", 5)
    patch.setattr(nearest, "_PAIR_VALUES_AT_ONCE", 3 * DIM)
    patch.setattr(nearest, "_CROWDED", 1)


@settings(deadline=None, max_examples=60)
@given(rows=galleries(), k=st.integers(1, 9), cut=st.booleans())
def test_lists_are_those_of_the_definition_however_they_are_cut(rows, k, cut):
    with pytest.MonkeyPatch.context() as patch:
        if cut:
            small_blocks(patch)
        lists = lists_of(rows, k)
    assert lists.index.shape == lists.cosine.shape == (len(rows), k)
    for number, row in enumerate(rows):
        expected = neighbors(row, rows, {number})[:k]
        empty = [(0, NONE)] * (k - len(expected))
        found = list(zip(lists.cosine[number], lists.index[number], strict=True))
        assert found == expected + empty


@settings(deadline=None, max_examples=60)
@given(galleries())
def test_each_row_is_averaged_with_its_five_nearest(rows):
    expansion = Expansion(rows)
    assert expansion.rows.dtype == np.float32
    for number, row in enumerate(rows):
        assert expansion.rows[number] == pytest.approx(averaged(row, rows, {number}), abs=1e-6)


@settings(deadline=None, max_examples=60)
@given(rows=galleries(), data=st.data())
def test_leaving_faces_out_is_as_if_they_had_never_been_there(rows, data):
    left_out = data.draw(
        st.lists(st.integers(0, len(rows) - 1), max_size=12) if len(rows) else st.just([])
    )
    rest = np.setdiff1d(np.arange(len(rows)), left_out)
    expansion = Expansion(rows)
    ids, changed = expansion.without(left_out)
    assert not set(ids.tolist()) & set(left_out)
    corrected = expansion.rows.copy()
    corrected[ids] = changed
    # To the bit: no trace of them is left.
    np.testing.assert_array_equal(corrected[rest], Expansion(rows[rest]).rows)
    for probe in unit(data.draw(st.sampled_from([np.ones(DIM), np.arange(DIM) - 1.0]))):
        found = expansion.probe(probe, left_out)
        np.testing.assert_array_equal(found, Expansion(rows[rest]).probe(probe))
        assert found == pytest.approx(averaged(probe, rows, set(left_out)), abs=1e-6)
    for number, row in zip(left_out, expansion.itself(left_out), strict=True):
        assert row == pytest.approx(averaged(rows[number], rows, set(left_out)), abs=1e-6)


def test_what_does_not_change_is_not_named():
    rows = unit([[1, 0, 0, 0, 0], [1, 0.1, 0, 0, 0], [0, 0, 1, 0, 0], [0, 0, 1, 0.1, 0]])
    ids, changed = Expansion(rows).without([0])
    assert ids.tolist() == [1]
    np.testing.assert_array_equal(changed, rows[1:2])  # it had no other support
    assert Expansion(rows).without([])[0].tolist() == []


def test_the_probes_own_row_would_pull_it_towards_its_photo():
    rows = unit(np.eye(DIM)[[0, 0, 1]] + 0.2 * np.eye(DIM)[[2, 3, 4]])
    expansion = Expansion(rows)
    probe = rows[0]
    with_itself, without = expansion.probe(probe), expansion.probe(probe, [0])
    assert cosine(with_itself, probe) > cosine(without, probe)
    np.testing.assert_allclose(without, averaged(probe, rows, {0}), atol=1e-6)


def test_lengths_are_one_and_the_rows_given_stay():
    rows = unit(np.random.default_rng(1).normal(size=(50, DIM)))
    rows.setflags(write=False)
    before = rows.copy()
    np.testing.assert_allclose(np.linalg.norm(Expansion(rows).rows, axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(rows, before)


def test_of_a_crowd_of_equal_faces_the_first_ones_count():
    rows = np.repeat(unit([1, 2, 3, 4, 5]), 1500, axis=0)
    lists = lists_of(rows, 8)
    assert lists.index[0].tolist() == [1, 2, 3, 4, 5, 6, 7, 8]
    assert lists.index[-1].tolist() == [0, 1, 2, 3, 4, 5, 6, 7]
