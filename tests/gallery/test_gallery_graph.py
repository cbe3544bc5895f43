"""The neighbour graph of a store: brought up to date it equals one made from nothing."""

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facesearch.gallery import nearest
from facesearch.gallery.graph import current, update
from facesearch.records import PhotoEntry
from facesearch.store import Store, face_keys, load_derived, save_derived
from facesearch.store.derived import FaceKeys
from small_store import result_of_rows, store_of_rows

DIM = 4
NAMES = [f"photo {number}" for number in range(16)]


def rows_of(name, again):
    """The faces of a photo: of few people, many of them alike; ``again``: as embedded anew."""
    rng = np.random.default_rng(list(hashlib.sha256(name.encode()).digest()))
    people = np.eye(DIM)[rng.integers(0, 3, rng.integers(0, 4))]
    rows = people + rng.choice([0.0, 0.3]) * rng.normal(size=people.shape)
    rows += 1e-3 * again
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def keyed(photos):
    """Keys and rows of photos (name -> whether embedded anew), as a store would have them."""
    hashes = {hashlib.sha256(name.encode()).digest(): name for name in photos}
    named = [hashes[key] for key in sorted(hashes)]
    faces = [rows_of(name, photos[name]) for name in named]
    kept = [(name, rows) for name, rows in zip(named, faces, strict=True) if len(rows)]
    hash_ = [list(hashlib.sha256(name.encode()).digest()) for name, _ in kept]
    rows = np.concatenate([np.zeros((0, DIM), np.float32), *(rows for _, rows in kept)])
    counts = np.array([len(rows) for _, rows in kept], np.int64)
    checksum = np.array([hash(row.tobytes()) & 0xFFFFFFFF for row in rows], np.uint32)
    keys = FaceKeys(
        np.arange(len(rows)), np.array(hash_, np.uint8).reshape(-1, 32), counts, checksum
    )
    return keys, rows


def assert_equal(one, other):
    np.testing.assert_array_equal(one.lists.index, other.lists.index)
    np.testing.assert_array_equal(one.lists.cosine, other.lists.cosine)


@settings(deadline=None, max_examples=80)
@given(
    st.lists(st.dictionaries(st.sampled_from(NAMES), st.booleans()), min_size=2, max_size=5),
    st.booleans(),
)
def test_up_to_date_after_any_changes_it_equals_a_new_one(steps, cut):
    with pytest.MonkeyPatch.context() as patch:
        if cut:
            patch.setattr(nearest, "_QUERIES_AT_ONCE", 3)
            patch.setattr(nearest, "_ROWS_AT_ONCE", 4)
        earlier = None
        for photos in steps:
            keys, rows = keyed(photos)
            graph = update(keys, earlier).done(rows)
            assert_equal(graph, update(keys, None).done(rows))
            earlier = graph.arrays()


def test_only_what_is_new_or_lost_a_neighbour_is_compared():
    keys, rows = keyed(dict.fromkeys(NAMES, False))
    whole = update(keys, None)
    arrays = whole.done(rows).arrays()
    count = len(rows)
    assert whole.pairs == count**2
    assert update(keys, arrays).pairs == 0
    more, _ = keyed(dict.fromkeys([*NAMES, "photo x"], False))
    new = len(more.ids) - count
    assert new > 0
    assert update(more, arrays).pairs == new * (count + new) + count * new
    fewer, _ = keyed(dict.fromkeys(NAMES[:-1], False))
    held = update(fewer, arrays)
    assert not len(held.new)
    assert len(held.anew) < len(fewer.ids) < count


@pytest.mark.parametrize(
    "broken",
    [
        {},
        {"index": np.full((1, 8), 99, np.int32)},
        {"index": np.full((1, 3), -1, np.int32), "cosine": np.zeros((1, 3), np.float32)},
        {"counts": np.array([5])},
        {"counts": np.array([-(1 << 62), 1 << 62])},
        {"hash": np.zeros((2, 7), np.uint8)},
        {"index": np.zeros((1, 8), np.float32)},
        {"cosine": np.full((1, 8), np.nan, np.float32)},
    ],
)
def test_arrays_of_another_kind_are_made_anew(broken):
    keys, rows = keyed({"photo 1": False, "photo 2": False})
    arrays = update(keys, None).done(rows).arrays() | broken
    if not broken:
        arrays.pop("checksum")
    assert current(keys, arrays) is None
    assert update(keys, arrays).pairs == len(rows) ** 2


def test_kept_beside_a_store_it_survives_compaction(tmp_path):
    path = tmp_path / "faces.npz"
    photos = [(name, rows_of(name, False)) for name in NAMES]
    store = store_of_rows(path, photos, batch=3, finish=False)
    keys = face_keys(store)
    graph = update(keys, None).done(store.embeddings(keys.ids))
    assert save_derived(path, "neighbors", graph.arrays(), keys.digest, grows=True)
    from facesearch.store import Root, StoreWriter

    with StoreWriter.open(path, store.recipe) as writer:
        writer.set_roots([Root("/photos", "photos")])
        writer.finish()
    store = Store.open(path)
    later = face_keys(store)
    assert later.ids.tolist() != keys.ids.tolist()
    found = current(later, load_derived(store, "neighbors", later.digest))
    assert_equal(found, update(later, None).done(store.embeddings(later.ids)))
    with StoreWriter.open(path, store.recipe) as writer:
        writer.remove(0, NAMES[3])
        writer.put((0, PhotoEntry("new", 1, 1)), result_of_rows("new", rows_of("new", False)))
        writer.finish()
    store = Store.open(path)
    last = face_keys(store)
    assert load_derived(store, "neighbors", last.digest) is None
    held = update(last, load_derived(store, "neighbors"))
    assert 0 < len(held.anew) < len(last.ids)
    rows = store.embeddings(last.ids)
    assert_equal(held.done(rows), update(last, None).done(rows))
