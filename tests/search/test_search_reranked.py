"""Back ends that compare rounded rows: what they claim to know holds, and nothing is lost."""

from __future__ import annotations

import sys
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facesearch.errors import RecipeMismatchError, StoreError, UsageError
from facesearch.search import BACKENDS, load_backend, reranking, threads
from facesearch.search.auto import MANY, choose
from facesearch.search.codes import held
from facesearch.search.distances import euclidean
from facesearch.search.eight_bit import EIGHT_BIT, EightBitBackend
from facesearch.search.flat import FlatBackend
from facesearch.search.rabitq import RABITQ
from facesearch.search.tensorflow import TensorflowBackend
from facesearch.search.trusted import PlainRows

MADE = {
    "faiss": EIGHT_BIT.over,
    "faiss-flat": FlatBackend,
    "tensorflow": TensorflowBackend,
}
KINDS = ["unit", "whole", "long", "one apart", "zero", "tiny", "vanishing", "bright"]


def rows_of(kind, seed, count, dim):
    """Rows as they come: of faces, of whole photos, and as nobody wants them."""
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((count, dim))
    if kind == "unit":
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    elif kind == "whole":
        rows = rng.integers(-2, 3, (count, dim)) / 4  # ties of every kind
    elif kind == "long":
        rows *= 10.0 ** rng.integers(-3, 4, (count, 1))
    elif kind == "one apart":
        rows[rng.integers(count)] *= 1e4  # one row that makes all steps coarse
    elif kind == "zero":
        rows[:] = 0
    elif kind == "tiny":
        rows *= 1e-25
    elif kind == "vanishing":
        rows *= 1e-20  # whose squares keep few digits in float32
    else:
        rows = np.maximum(rows, 0) * 1e6
    return rows.astype(np.float32)


CASES = {
    "kind": st.sampled_from(KINDS),
    "seed": st.integers(0, 2**32 - 1),
    "count": st.integers(1, 400),
    "dim": st.sampled_from([1, 3, 16, 32, 128]),
    "k": st.integers(1, 40),
    "twice": st.booleans(),
}


def case(kind, seed, count, dim, twice):
    rows = rows_of(kind, seed, count, dim)
    if twice:
        rows = np.concatenate([rows, rows[: count // 2]])
    near = rows[:2] + 0.05 * rows_of(kind, seed + 1, len(rows[:2]), dim)
    return rows, np.concatenate([near, 3 * near[:1], rows[-1:]])


@settings(deadline=None, max_examples=40)
@given(**CASES)
@pytest.mark.parametrize("name", MADE)
def test_as_a_plain_sort_of_all_distances(name, kind, seed, count, dim, k, twice):
    rows, queries = case(kind, seed, count, dim, twice)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reranking, "_SPARE", 0)  # else small galleries are looked at as a whole
        found = MADE[name](rows).search(queries, k)
    assert found.dtype == np.int64
    assert found.shape == (len(queries), min(k, len(rows)))
    for query, numbers in zip(queries, found, strict=True):
        distances = euclidean(query, rows)
        assert distances[numbers].tolist() == np.sort(distances)[:k].tolist()
        assert len(set(numbers.tolist())) == len(numbers)


@settings(deadline=None, max_examples=40)
@given(**CASES)
@pytest.mark.parametrize("name", MADE)
def test_no_other_row_is_nearer_than_they_claim(name, kind, seed, count, dim, k, twice):
    rows, queries = case(kind, seed, count, dim, twice)
    k = min(k, len(rows))
    numbers, beyond = MADE[name](rows).nearest(queries, k)
    for query, near, bound in zip(queries, numbers, beyond, strict=True):
        assert len(set(near.tolist())) == k
        others = np.delete(euclidean(query, rows), near)
        assert not len(others) or bound <= others.min()


@settings(deadline=None, max_examples=40)
@given(**CASES)
def test_no_row_is_farther_from_its_code_than_is_kept(kind, seed, count, dim, k, twice):
    rows, _ = case(kind, seed, count, dim, twice)
    arrays = held(EIGHT_BIT.arrays(rows))
    scale, error = arrays["facts"].astype(np.float64)
    decoded = (arrays["codes"].astype(np.float64) - 128) / scale
    off = np.linalg.norm(rows.astype(np.float64) - decoded, axis=1)
    assert off.max() <= error
    assert error <= 1.001 * off.max() + 1e-4 * np.sqrt(dim) / scale


def test_the_bound_is_worth_something():
    """Or everything would be looked at, always."""
    rows = rows_of("unit", 1, 5000, 128)
    for name, make in MADE.items():
        numbers, beyond = make(rows).nearest(rows[:1], 100)
        farthest = euclidean(rows[0], rows[numbers[0]]).max()
        assert beyond[0] > farthest - 0.05, name


def test_rows_are_taken_few_at_a_time_and_all_where_that_is_no_help():
    class Watched(PlainRows):
        taken = 0

        def take(self, numbers):
            Watched.taken += len(numbers)
            return super().take(numbers)

        def everything(self):
            Watched.taken += self.shape[0]
            return super().everything()

    rows = rows_of("unit", 1, 20_000, 128)
    backend = EightBitBackend(held(EIGHT_BIT.arrays(rows)), Watched(rows))
    backend.search(rows[:1], 20)
    assert 20 <= Watched.taken < 1000
    Watched.taken = 0
    backend.search(rows[:1], 10_000)
    assert Watched.taken == 20_000


@pytest.mark.parametrize("name", ["faiss", "faiss-flat", "faiss-rabitq"])
def test_several_cores_find_what_one_does(monkeypatch, name):
    rows = rows_of("unit", 3, 3000, 32)
    make = {**MADE, "faiss-rabitq": RABITQ.over}[name]
    alone = make(rows).search(rows[:5], 10)
    monkeypatch.setattr(threads, "_ALONE", 0)
    monkeypatch.setattr(threads, "cores", lambda: 3)
    shared = make(rows)
    assert [shared.search(row[None], 10)[0].tolist() for row in rows[:5]] == alone.tolist()


@pytest.mark.parametrize("name", ["faiss", "faiss-flat", "tensorflow"])
def test_several_queries_at_once(monkeypatch, name):
    monkeypatch.setattr(threads, "_ALONE", 0)
    rows = rows_of("unit", 3, 3000, 32)
    backend = MADE[name](rows)
    expected = [backend.search(row[None], 10)[0].tolist() for row in rows[:40]]
    assert backend.search(rows[:40], 10).tolist() == expected
    found = [None] * 8

    def ask(number):
        found[number] = backend.search(rows[5 * number : 5 * number + 5], 10).tolist()

    asking = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    assert [row for rows_ in found for row in rows_] == expected


@given(st.integers(0, 50), st.integers(1, 9))
def test_pieces_cover_all_rows_in_order(count, cores):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threads, "_ALONE", 0)
        patch.setattr(threads, "cores", lambda: cores)
        found = threads.Team().pieces(count, 1)
    assert [row for piece in found for row in range(count)[piece]] == list(range(count))
    assert len(found) == cores


def test_codes_may_lie_in_a_read_only_map(tmp_path):
    rows = rows_of("unit", 1, 2000, 16)
    arrays = held(EIGHT_BIT.arrays(rows))
    path = tmp_path / "codes"
    arrays["codes"].tofile(path)
    mapped = {**arrays, "codes": np.memmap(path, np.uint8, "r", shape=(2000, 16))}
    backend = EightBitBackend(mapped, PlainRows(rows))
    assert np.shares_memory(backend._codes, mapped["codes"])
    assert backend.search(rows[7:9], 1).tolist() == [[7], [8]]


def test_bits_find_nearly_all_of_many():
    rng = np.random.default_rng(0)
    people = rows_of("unit", 5, 2000, 64)
    rows = np.repeat(people, 5, axis=0) + 0.05 * rng.standard_normal((10_000, 64))
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    found = RABITQ.over(rows).search(people[:100], 5)
    assert (found // 5 == np.arange(100)[:, None]).mean() > 0.99


@pytest.mark.parametrize("coder", [EIGHT_BIT, RABITQ])
def test_what_cannot_be_searched_is_told(coder):
    rows = rows_of("unit", 1, 300, 16)
    for wrong in (np.nan, np.inf, -np.inf):
        broken = rows.copy()
        broken[250, 3] = wrong
        with pytest.raises(StoreError, match="facesearch check"):
            coder.over(broken)
    with pytest.raises(RecipeMismatchError, match="16 numbers"):
        coder.over(rows).search(rows[:1, :4], 3)


def test_few_rows_and_very_long_ones_are_not_worth_codes():
    assert EIGHT_BIT.fits(100_000, 128)
    assert not EIGHT_BIT.fits(99_999, 128)
    assert not EIGHT_BIT.fits(100_000, 81_920)  # its squares overflow whole numbers of 32 bits
    small = load_backend("faiss", rows_of("unit", 1, 50, 16))
    assert isinstance(small, FlatBackend)


@pytest.mark.parametrize("name", ["faiss", "faiss-flat", "faiss-rabitq"])
def test_without_faiss_the_extra_is_named(monkeypatch, name):
    monkeypatch.setitem(sys.modules, "faiss", None)
    rows = rows_of("unit", 1, 5, 16)
    with pytest.raises(UsageError, match=r"pip install faiss-cpu$"):
        load_backend(name, rows)


@pytest.mark.parametrize("name", BACKENDS)
def test_a_back_end_that_is_named_is_taken_without_a_word(monkeypatch, name):
    assert choose(name, 10**9) == (name, "")
    monkeypatch.setitem(sys.modules, "faiss", None)
    if name.startswith("faiss"):
        with pytest.raises(UsageError, match=r"pip install faiss-cpu$"):
            choose(name, 10**9)
    else:
        assert choose(name, 10**9) == (name, "")


def test_the_choice_is_told_where_it_matters(monkeypatch):
    monkeypatch.setattr("facesearch.search.auto.has_faiss", lambda: True)
    assert choose("auto", MANY - 1) == ("faiss", "")
    name, note = choose("auto", 1_234_567)
    assert name == "faiss"
    assert note.startswith("searching 1,234,567 faces with faiss: ")
    monkeypatch.setattr("facesearch.search.auto.has_faiss", lambda: False)
    assert choose("auto", MANY - 1) == ("sklearn", "")
    name, note = choose("auto", MANY)
    assert name == "sklearn"
    assert note.endswith("pip install faiss-cpu")
