"""The back ends that queries can choose: ready beside other work, and of one answer."""

from __future__ import annotations

import shutil
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facesearch.errors import StoreError
from facesearch.gallery import Search, Where
from facesearch.gallery.beside import beside
from facesearch.gallery.hits import Hit, nearest_hits
from facesearch.gallery.npz import NpzGallery
from facesearch.search import BACKENDS, PLAIN_BACKENDS
from facesearch.store import Store
from small_store import store_of_rows

DIM = 4


def unit(rows):
    rows = np.asarray(rows, np.float64).reshape(-1, DIM)
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


VALUES = st.sampled_from([-1.0, -0.3, 0.3, 0.30001, 1.0])
ROW = st.tuples(*[VALUES] * DIM)
PHOTOS = st.lists(st.lists(ROW, max_size=3), min_size=1, max_size=40)


@settings(deadline=None, max_examples=60)
@given(
    photos=PHOTOS,
    copied=st.integers(0, 5),
    queries=st.lists(ROW, min_size=1, max_size=2).map(unit),
    k=st.one_of(st.none(), st.integers(1, 30)),
    by=st.sampled_from(["photo", "face"]),
    batch=st.sampled_from([3, 1000]),
    finish=st.booleans(),
)
def test_all_give_the_same_answers(tmp_path_factory, photos, copied, queries, k, by, batch, finish):
    folder = tmp_path_factory.mktemp("backends")
    # Rows of further photos are those of the first ones, to the bit: ties of every kind.
    named = [(f"{n:03}", rows) for n, rows in enumerate([*photos, *photos[:copied]])]
    enrolled = [
        (key, unit(rows) if rows else np.zeros((0, DIM), np.float32)) for key, rows in named
    ]
    store = store_of_rows(folder / "faces.npz", enrolled, batch, finish)
    names = [*"ab"[: len(queries)]]
    answers = [
        NpzGallery(store, backend).search(queries, names, Search(k, by))
        for backend in PLAIN_BACKENDS
    ]
    assert all(found == answers[0] for found in answers)
    order = [(near.distance, near.path, near.face) for near in answers[0]]
    assert order == sorted(order)
    shutil.rmtree(folder)


def test_what_a_query_can_choose_is_registered():
    assert set(PLAIN_BACKENDS) < set(BACKENDS)
    assert PLAIN_BACKENDS[0] == "sklearn"


@given(st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0])), st.one_of(st.none(), st.integers(1, 9)))
def test_the_nearest_hits_with_all_ties_of_the_last(distances, k):
    hits = [Hit(face, distance, 0) for face, distance in enumerate(distances)]
    found = nearest_hits(hits, k)
    if k is None or k >= len(hits):
        assert found == hits
        return
    assert len(found) >= k
    assert {hit.distance for hit in found} == set(sorted(distances)[:k])
    last = max(hit.distance for hit in found)
    assert [hit for hit in hits if hit.distance <= last] == found


def test_a_warm_gallery_is_fitted_once_and_beside(tmp_path, monkeypatch):
    made, go = [], threading.Event()

    def slow(rows, components):
        assert go.wait(20)
        made.append(threading.current_thread())
        return BACKENDS["brute"](rows, components)

    monkeypatch.setitem(BACKENDS, "slow", slow)
    rows = unit(np.eye(DIM))
    store = store_of_rows(tmp_path / "f.npz", [(f"{n}", rows[n : n + 1]) for n in range(DIM)])
    gallery = NpzGallery(store, "slow")
    gallery.warm_up()  # comes back at once, or this test would wait for ever
    gallery.warm_up()
    assert made == []
    go.set()
    assert gallery.search(rows[:1], ["q"], Search(1))[0].relative_path == "0"
    assert gallery.search(rows[2:3], ["q"], Search(1))[0].relative_path == "2"
    assert len(made) == len(store.segments)
    assert threading.current_thread() not in made


@pytest.mark.parametrize("backend", PLAIN_BACKENDS)
def test_a_damaged_row_is_told_by_the_search_and_not_before(tmp_path, backend):
    path, rows = tmp_path / "f.npz", unit(np.eye(DIM))
    store = store_of_rows(path, [(f"{n}", rows[n : n + 1]) for n in range(DIM)])
    raw = bytearray(path.read_bytes())
    raw[raw.index(store.rows[0].tobytes())] ^= 0x55
    path.write_bytes(raw)
    gallery = NpzGallery(Store.open(path), backend)
    gallery.warm_up()
    assert gallery.size(Where()) == DIM
    for _ in range(2):
        with pytest.raises(StoreError, match=r"damaged .*embeddings"):
            gallery.search(rows[:1], ["q"], Search(1))


def test_after_an_error_the_next_search_tries_again(tmp_path, monkeypatch):
    short = [MemoryError("no room")]

    def starved(rows, components):
        if short:
            raise short.pop()
        return BACKENDS["brute"](rows, components)

    monkeypatch.setitem(BACKENDS, "starved", starved)
    rows = unit(np.eye(DIM))
    gallery = NpzGallery(store_of_rows(tmp_path / "f.npz", [("a", rows)]), "starved")
    gallery.warm_up()
    with pytest.raises(MemoryError, match="no room"):
        gallery.search(rows[:1], ["q"], Search(1))
    assert len(gallery.search(rows[:1], ["q"], Search(1))) == 1


def test_work_beside_gives_its_outcome_or_its_error():
    assert beside(lambda: 7).result() == 7
    broken = beside(lambda: {}["nothing"])
    for _ in range(2):
        with pytest.raises(KeyError, match="nothing"):
            broken.result()


def test_ranks_and_fields_do_not_depend_on_what_is_left_out(tmp_path):
    rows = unit(np.random.default_rng(3).normal(size=(60, DIM)))
    photos = [(f"{n:02}", rows[n : n + 1]) for n in range(60)]
    gallery = NpzGallery(store_of_rows(tmp_path / "f.npz", photos))
    everything = gallery.search(rows[:1], ["q"], Search(None))
    assert [near.rank for near in everything] == list(range(1, 61))
    for k in (1, 7, 60):
        assert gallery.search(rows[:1], ["q"], Search(k)) == everything[:k]
