"""Codes kept beside the store: the same answers, made once, and never believed blindly."""

from __future__ import annotations

import dataclasses
import shutil
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facesearch.errors import StoreError
from facesearch.gallery import Search, Where, codes, npz
from facesearch.gallery.npz import NpzGallery
from facesearch.search import CODERS, PLAIN_BACKENDS, QUERY_BACKENDS, choose, reranking
from facesearch.store import Store, check_store
from facesearch.store.archive import Member
from facesearch.store.attached import load_attached, save_attached
from facesearch.store.lock import StoreLock
from facesearch.store.reader import derived_folder, real_location
from small_store import store_of_rows

DIM = 16


def unit(seed, count):
    rows = np.random.default_rng(seed).standard_normal((count, DIM))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(autouse=True)
def worth_it(monkeypatch):
    """Codes for however few rows, and few of them looked at."""
    monkeypatch.setattr(reranking, "_SPARE", 4)
    for name, coder in [*CODERS.items()]:
        always = dataclasses.replace(coder, fits=lambda count, dim: count > 0)
        monkeypatch.setitem(CODERS, name, always)


@pytest.fixture
def made(monkeypatch):
    """How many rows were encoded, each time."""
    counts = []

    def watched(arrays):
        def watch(rows):
            counts.append(len(rows))
            return arrays(rows)

        return watch

    for name, coder in [*CODERS.items()]:
        monkeypatch.setitem(CODERS, name, dataclasses.replace(coder, arrays=watched(coder.arrays)))
    return counts


def enroll(path, count=300, seed=0, **options):
    rows = unit(seed, count)
    photos = [(f"{seed}/{n:04}", rows[n : n + 1]) for n in range(count)]
    return store_of_rows(path, photos, **options)


def asked(store, backend, k=5, where=None, queries=None):
    queries = unit(99, 2) if queries is None else queries
    found = NpzGallery(store, backend).search(
        queries, ["q"] * len(queries), Search(k, where=where or Where())
    )
    return [(near.relative_path, near.distance, near.example) for near in found]


def kept(path):
    return sorted(Store.open(path).head.derived)


@settings(deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(1, 200),
    copied=st.integers(0, 50),
    k=st.one_of(st.none(), st.integers(1, 12)),
    by=st.sampled_from(["photo", "face"]),
    batch=st.sampled_from([70, 1000]),
    finish=st.booleans(),
    unfaithful=st.booleans(),
)
def test_the_same_answers_as_from_the_rows(
    tmp_path_factory, seed, count, copied, k, by, batch, finish, unfaithful
):
    folder = tmp_path_factory.mktemp("codes")
    rng = np.random.default_rng(seed)
    rows = unit(seed, count)
    if unfaithful:
        rows[rng.integers(count)] *= 1e4  # of whole photos; steps are coarse then
    rows = np.concatenate([rows, rows[:copied]])
    faces = np.split(rows, np.sort(rng.integers(0, len(rows) + 1, len(rows) // 2)))
    photos = [(f"{n:03}", some) for n, some in enumerate(faces)]
    store = store_of_rows(folder / "faces.npz", photos, batch, finish)
    queries = np.concatenate([unit(seed + 1, 1), rows[:1]])
    answers = [
        NpzGallery(store, name).search(queries, ["a", "b"], Search(k, by))
        for name in ("brute", "faiss", "faiss")
    ]
    assert answers[1] == answers[0] == answers[2]
    shutil.rmtree(folder)


@pytest.mark.parametrize("few", [0.0, 1e9])
@pytest.mark.parametrize("backend", [name for name in QUERY_BACKENDS if name != "faiss-rabitq"])
def test_filters(tmp_path, monkeypatch, backend, few):
    monkeypatch.setattr(npz, "_FEW", few)
    photos = [
        (f"{folder}/{n:03}", unit(7 * n, 2))
        for folder, numbers in (("many", range(150)), ("few", range(150, 154)))
        for n in numbers
    ]
    store = store_of_rows(tmp_path / "f.npz", photos, batch=60, finish=False)
    everything = asked(store, "brute", None)
    for folder in ("many", "few"):
        below = Where(under=(f"/photos/{folder}",))
        expected = [near for near in everything if near[0].startswith(folder)]
        for k in (1, 3, None):
            assert asked(store, backend, k, below) == expected[:k]
    nearest = store.contents.hash[0].tobytes()
    name = store.files.path(store.files.of_content(0)[0])
    without = asked(store, backend, 10, Where(exclude=frozenset([nearest])))
    assert without == [near for near in everything if near[0] != name][:10]
    near = Where(max_distance=everything[6][1])
    assert asked(store, backend, 50, near) == everything[:7]


def test_bits_find_most(tmp_path):
    store = enroll(tmp_path / "f.npz", 3000)
    found = asked(store, "faiss-rabitq", 10, queries=unit(0, 1))
    assert found[0][0] == "0/0000"
    assert len(found) == 10
    right = asked(store, "brute", 10, queries=unit(0, 1))
    assert len({*found} & {*right}) >= 9
    assert [key.rpartition("-")[0] for key in kept(store.path)] == ["codes-rabitq"]


def test_made_once_and_mapped_from_then_on(tmp_path, made):
    store = enroll(tmp_path / "f.npz")
    first = asked(store, "faiss")
    assert made == [300]
    assert [key.rpartition("-")[0] for key in kept(store.path)] == ["codes-octets"]
    assert asked(Store.open(store.path), "faiss") == first == asked(store, "brute")
    assert made == [300]
    assert check_store(Store.open(store.path)) == []
    (part,) = codes.parts_of(Store.open(store.path), "faiss")
    with pytest.raises(ValueError, match="read-only"):
        part.backend._codes[0, 0] = 0


def test_only_new_faces_are_encoded(tmp_path, made):
    store = enroll(tmp_path / "f.npz", 300, finish=False)
    asked(store, "faiss")
    store = enroll(tmp_path / "f.npz", 40, seed=5, finish=False)
    assert len(store.segments) == 2
    assert asked(store, "faiss") == asked(store, "brute")
    assert made == [300, 40]
    assert len(kept(store.path)) == 2
    asked(Store.open(store.path), "faiss")
    assert made == [300, 40]


def test_codes_of_segments_that_are_no_more_go(tmp_path, made):
    store = enroll(tmp_path / "f.npz", 100, finish=False)
    asked(store, "faiss")
    old = kept(store.path)
    store = enroll(tmp_path / "f.npz", 100, seed=5, finish=True)
    assert len(store.segments) == 1
    assert asked(store, "faiss") == asked(store, "brute")
    assert made == [100, 200]
    assert len(kept(store.path)) == 1
    assert kept(store.path) != old
    assert len([*derived_folder(real_location(store.path)).iterdir()]) == 1


def test_an_older_snapshot_keeps_its_answers(tmp_path):
    before = enroll(tmp_path / "f.npz", 100)
    gallery = NpzGallery(before, "faiss")
    enroll(tmp_path / "f.npz", 100, seed=5)
    found = gallery.search(unit(99, 1), ["q"], Search(3))
    assert found == NpzGallery(before, "brute").search(unit(99, 1), ["q"], Search(3))


def test_nothing_is_kept_while_another_process_writes(tmp_path, made):
    store = enroll(tmp_path / "f.npz")
    lock = StoreLock(real_location(store.path))
    lock.acquire(wait=False)
    try:
        assert asked(store, "faiss") == asked(store, "brute")
    finally:
        lock.release()
    assert kept(store.path) == []
    asked(store, "faiss")
    assert len(kept(store.path)) == 1


def test_nothing_is_kept_where_nobody_may_write(tmp_path):
    store = enroll(tmp_path / "f.npz")
    refused = PermissionError(13, "Permission denied")
    with mock.patch("facesearch.store.layout.Layout.write_derived", side_effect=refused):
        assert asked(store, "faiss") == asked(store, "brute")
    assert kept(store.path) == []


@pytest.mark.parametrize("backend", ["faiss", "faiss-rabitq"])
def test_damaged_codes_are_made_again(tmp_path, made, backend):
    store = enroll(tmp_path / "f.npz")
    expected = asked(store, backend)
    (file,) = derived_folder(real_location(store.path)).iterdir()
    whole = file.read_bytes()
    for spot in (0.1, 0.5, 0.9):
        raw = bytearray(whole)
        raw[int(spot * len(raw))] ^= 0x55
        file.write_bytes(raw)
        assert asked(Store.open(store.path), backend) == expected
    assert made == [300] * 4
    file.unlink()
    assert asked(Store.open(store.path), backend) == expected
    assert made == [300] * 5


@pytest.mark.parametrize(
    ("backend", "name"),
    [
        ("faiss", "codes"),
        ("faiss", "checksum"),
        ("faiss", "facts"),
        ("faiss-rabitq", "codes"),
        ("faiss-rabitq", "center"),
    ],
)
@pytest.mark.parametrize("how", ["fewer", "narrower", "another kind", "gone"])
def test_codes_that_a_stranger_made_too_short_are_made_again(tmp_path, made, backend, name, how):
    store = enroll(tmp_path / "f.npz")
    expected = asked(store, backend)
    store = Store.open(store.path)
    (segment,) = store.segments
    coder = CODERS[backend]
    arrays = dict(load_attached(store, segment, coder.name))
    array = arrays.pop(name)
    other = {
        "fewer": array[:1],
        "narrower": array.reshape(len(array), -1)[:, :1],
        "another kind": array.astype("<i8"),
    }
    if how in other:
        arrays[name] = other[how]
    members = [Member(key, held.dtype.str, held.shape, (held,)) for key, held in arrays.items()]
    assert save_attached(store, segment, coder.name, members)
    assert asked(Store.open(store.path), backend) == expected
    assert made == [300] * 2


@pytest.mark.parametrize("facts", [(0, 1), (-1, 1), (np.nan, 1), (np.inf, 1), (1, np.nan), (1, -1)])
def test_codes_that_make_no_sense_are_told(tmp_path, facts):
    store = enroll(tmp_path / "f.npz")
    asked(store, "faiss")
    store = Store.open(store.path)
    (segment,) = store.segments
    arrays = dict(load_attached(store, segment, "codes-octets"))
    arrays["facts"] = np.array(facts, np.float32)
    members = [Member(key, held.dtype.str, held.shape, (held,)) for key, held in arrays.items()]
    assert save_attached(store, segment, "codes-octets", members)
    with pytest.raises(StoreError, match="make no sense"):
        asked(Store.open(store.path), "faiss")


def test_a_damaged_row_is_told_when_it_is_compared_and_pushes_none_out(tmp_path):
    store = enroll(tmp_path / "f.npz", 5000)
    rows = unit(0, 5000)
    far = int(np.argmin(rows @ rows[0]))
    expected = asked(store, "faiss", 1, queries=rows[:1])
    raw = bytearray(store.path.read_bytes())
    row = raw.index(rows[far].tobytes())
    raw[row : row + 4 * DIM] = rows[0].tobytes()  # as near to the query as its own row
    store.path.write_bytes(raw)
    store = Store.open(store.path)
    assert asked(store, "faiss", 1, queries=rows[:1]) == expected
    with pytest.raises(StoreError, match=rf"damaged \(embedding {far} is not as written\)"):
        asked(store, "faiss", 1, queries=rows[far : far + 1])
    with pytest.raises(StoreError, match="damaged"):
        asked(store, "faiss", None)


def test_no_codes_of_damaged_rows(tmp_path):
    store = enroll(tmp_path / "f.npz")
    raw = bytearray(store.path.read_bytes())
    raw[raw.index(unit(0, 300)[200].tobytes())] ^= 0x55
    store.path.write_bytes(raw)
    with pytest.raises(StoreError, match=r"damaged .*embeddings"):
        asked(Store.open(store.path), "faiss")
    assert kept(store.path) == []


@pytest.mark.parametrize("backend", PLAIN_BACKENDS)
def test_a_store_without_faces(tmp_path, backend):
    store = store_of_rows(tmp_path / "f.npz", [("a", np.zeros((0, DIM), np.float32))])
    assert asked(store, backend) == []


def test_what_a_query_hears_of_the_choice(tmp_path, monkeypatch):
    store = enroll(tmp_path / "f.npz", 20)
    assert NpzGallery(store, "auto").note == ""
    monkeypatch.setattr("facesearch.search.auto.MANY", 20)
    assert NpzGallery(store, "auto").note == choose("auto", 20).note != ""
    assert npz.note_of(NpzGallery(store, "auto")) == choose("auto", 20).note
    assert NpzGallery(store, "faiss").note == npz.note_of(object()) == ""
