"""Searching a store: against a naive search, over segments, with every filter."""

from __future__ import annotations

import hashlib
import math
import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facesearch.errors import StoreError, UsageError
from facesearch.gallery import Search, Where
from facesearch.gallery.npz import NpzGallery
from facesearch.records import PhotoEntry
from facesearch.store import Store, StoreWriter
from small_store import result_of_rows, store_of_rows

DIM = 4


def unit(rows):
    rows = np.asarray(rows, np.float64).reshape(-1, DIM)
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def ring(count, step=0.1):
    """``count`` rows, each ``step`` radians farther from the first."""
    angles = np.arange(count) * step
    return unit(np.stack([np.cos(angles), np.sin(angles), 0 * angles, 0 * angles], axis=1))


def naive(photos, queries, k, by, max_distance=None, under=""):
    """[(distance, path, face, example)] by the definition."""
    contents = {}
    for key, rows in sorted(photos):
        if key.startswith(under):
            contents.setdefault(key.rpartition("=")[2], (key, rows))
    found = []
    for key, rows in contents.values():
        faces = []
        for number, row in enumerate(rows, start=1):
            distances = [
                float(np.sqrt(np.square(row.astype(np.float64) - query).sum())) for query in queries
            ]
            nearest = min(range(len(queries)), key=lambda n: (distances[n], n))
            faces.append((distances[nearest], f"/photos/{key}", number, nearest))
        if by == "photo" and faces:
            faces = [min(faces)]
        found += faces
    limit = math.inf if max_distance is None else max_distance
    return sorted(face for face in found if face[0] <= limit)[:k]


def seen(neighbors):
    return [(near.distance, near.path, near.face, int(near.example)) for near in neighbors]


# Few values, so that many rows are equal and many distances are ties.
ROWS = st.lists(st.tuples(*[st.sampled_from([-1.0, 0.5, 1.0])] * DIM), max_size=3).map(
    lambda rows: unit(rows) if rows else np.zeros((0, DIM), np.float32)
)
CONTENTS = st.lists(ROWS, min_size=1, max_size=25)
QUERIES = st.lists(
    st.tuples(*[st.sampled_from([-1.0, 0.5, 0.7, 1.0])] * DIM), min_size=1, max_size=3
)


@settings(deadline=None, max_examples=40)
@given(
    contents=CONTENTS,
    queries=QUERIES.map(unit),
    k=st.one_of(st.none(), st.integers(1, 30)),
    by=st.sampled_from(["photo", "face"]),
    limit=st.one_of(st.none(), st.floats(0, 2)),
    copies=st.booleans(),
    batch=st.sampled_from([2, 7, 1000]),
    finish=st.booleans(),
    under=st.sampled_from(["", "b/"]),
)
def test_as_a_naive_search(
    tmp_path_factory, contents, queries, k, by, limit, copies, batch, finish, under
):
    folder = tmp_path_factory.mktemp("property")
    photos = [(f"{'ab'[n % 2]}/{n:02}={n}", rows) for n, rows in enumerate(contents)]
    if copies:
        photos += [(f"{'ba'[n % 2]}/copy{n:02}={n}", rows) for n, rows in enumerate(contents)]
    store = store_of_rows(folder / "faces.npz", photos, batch, finish)
    where = Where(under=(under,) if under and len(photos) > 1 else (), max_distance=limit)
    found = NpzGallery(store).search(queries, [*"012"[: len(queries)]], Search(k, by, where))
    expected = naive(photos, queries, k, by, limit, under if where.under else "")
    assert [line[1:] for line in seen(found)] == [line[1:] for line in expected]
    assert [near.distance for near in found] == pytest.approx(
        [line[0] for line in expected], abs=1e-12
    )
    assert [near.rank for near in found] == list(range(1, len(found) + 1))
    shutil.rmtree(folder)


def test_ties_go_by_path_and_face_however_many(tmp_path):
    row = unit([1, 0, 0, 0])
    photos = [(f"p{n:03}", np.repeat(row, 2, axis=0)) for n in reversed(range(200))]
    store = store_of_rows(tmp_path / "faces.npz", photos, batch=30, finish=False)
    assert len(store.segments) == 7
    found = NpzGallery(store).search(row, ["q"], Search(3))
    assert [(near.path, near.face) for near in found] == [
        ("/photos/p000", 1),
        ("/photos/p001", 1),
        ("/photos/p002", 1),
    ]
    faces = NpzGallery(store).search(row, ["q"], Search(3, "face"))
    assert [(near.path[-4:], near.face) for near in faces] == [
        ("p000", 1),
        ("p000", 2),
        ("p001", 1),
    ]


def test_distances_are_in_float64(tmp_path):
    rows = unit([[1, 0, 0, 0], [1, 1e-5, 0, 0]])
    store = store_of_rows(tmp_path / "faces.npz", [("a", rows[:1]), ("b", rows[1:])])
    same, near = NpzGallery(store).search(rows[:1], ["q"], Search())
    assert same.distance == 0.0
    assert same.similarity == 1.0
    # By dot products in float32 this distance is 0.
    assert near.distance == pytest.approx(1e-5, rel=1e-6)


def test_k_counts_photos_by_their_nearest_face_after_exclusions(tmp_path):
    rows = ring(100, 0.02)
    # The nearest faces, more than are looked at first, are all in one photo.
    photos = [
        ("crowd", rows[:70][::-1]),
        ("own", rows[70:71]),
        ("x", rows[71:72]),
        ("y", rows[72:]),
    ]
    gallery = NpzGallery(store_of_rows(tmp_path / "faces.npz", photos))
    own = frozenset([hashlib.sha256(b"own").digest()])
    found = gallery.search(rows[:1], ["q"], Search(2, where=Where(exclude=own)))
    assert [(near.relative_path, near.face) for near in found] == [("crowd", 70), ("x", 1)]
    faces = gallery.search(rows[:1], ["q"], Search(2, "face", Where(exclude=own)))
    assert [(near.relative_path, near.face) for near in faces] == [("crowd", 70), ("crowd", 69)]
    assert len(gallery.search(rows[:1], ["q"], Search(25))) == 4
    assert len(gallery.search(rows[:1], ["q"], Search(None, "face"))) == 100


def test_a_copy_is_one_answer_with_every_path(tmp_path):
    row = ring(2)
    photos = [("b=1", row[:1]), ("a=1", row[:1]), ("c=2", row[1:])]
    first, second = NpzGallery(store_of_rows(tmp_path / "faces.npz", photos)).search(
        row[:1], ["q"], Search()
    )
    assert (first.path, first.also) == ("/photos/a=1", ("/photos/b=1",))
    assert (second.path, second.also) == ("/photos/c=2", ())
    assert first.id == f"{hashlib.sha256(b'1').hexdigest()[:16]}-1"
    assert (first.root, first.relative_path) == ("/photos", "a=1")


def test_the_nearest_example_wins_and_is_named(tmp_path):
    rows = ring(20)
    photos = [(f"{n:02}", rows[n : n + 1]) for n in range(20)]
    found = NpzGallery(store_of_rows(tmp_path / "faces.npz", photos)).search(
        rows[[2, 17]], ["two", "seventeen"], Search(4)
    )
    assert [(near.relative_path, near.example) for near in found[:2]] == [
        ("02", "two"),
        ("17", "seventeen"),
    ]
    beside = {("01", "two"), ("03", "two"), ("16", "seventeen"), ("18", "seventeen")}
    assert {(near.relative_path, near.example) for near in found[2:]} < beside
    assert len(found) == 4


def test_dead_contents_are_never_returned(tmp_path):
    rows = ring(6)
    path = tmp_path / "faces.npz"
    store_of_rows(path, [(f"{n}", rows[n : n + 1]) for n in range(5)])
    with StoreWriter.open(path, Store.open(path).recipe) as writer:
        writer.remove(0, "0")
        writer.put((0, PhotoEntry("1", 2, 2)), result_of_rows("changed", rows[5:]))
        writer.commit((1, 5))
        found = NpzGallery(Store.open(path)).search(rows[:1], ["q"], Search(2))
        assert [near.relative_path for near in found] == ["2", "3"]
        everything = NpzGallery(Store.open(path)).search(rows[:1], ["q"], Search(None))
        assert [near.relative_path for near in everything] == ["2", "3", "4", "1"]


def test_a_store_without_faces(tmp_path):
    store = store_of_rows(tmp_path / "faces.npz", [("a", np.zeros((0, DIM), np.float32))])
    assert NpzGallery(store).search(ring(1), ["q"], Search(5)) == ()
    assert NpzGallery(store).search(ring(1), ["q"], Search(None)) == ()


def test_max_distance_is_inclusive(tmp_path):
    rows = ring(10)
    gallery = NpzGallery(
        store_of_rows(tmp_path / "f.npz", [(f"{n}", rows[n : n + 1]) for n in range(10)])
    )
    third = gallery.search(rows[:1], ["q"], Search(None))[2].distance
    for k in (None, 5):
        near = gallery.search(rows[:1], ["q"], Search(k, where=Where(max_distance=third)))
        assert [found.relative_path for found in near] == ["0", "1", "2"]


def test_the_same_from_eight_threads(tmp_path):
    from concurrent.futures import ThreadPoolExecutor

    rng = np.random.default_rng(1)
    rows = unit(rng.normal(size=(300, DIM)))
    photos = [(f"{n:03}", rows[n : n + 1]) for n in range(300)]
    store = store_of_rows(tmp_path / "f.npz", photos, batch=40, finish=False)
    gallery = NpzGallery(store)
    expected = [NpzGallery(store).search(row[None], ["q"], Search(5)) for row in rows[:40]]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda row: gallery.search(row[None], ["q"], Search(5)), rows[:40]))
    assert found == expected


@pytest.mark.parametrize("where", ["searched", "far away"])
def test_flipped_bytes_are_an_error_and_never_a_wrong_neighbour(tmp_path, where):
    path = tmp_path / "f.npz"
    rows = ring(9000, 0.0003)  # three blocks with a checksum each
    store = store_of_rows(path, [("many", rows)])
    row = 0 if where == "searched" else 8500
    raw = bytearray(path.read_bytes())
    at = raw.index(store.rows[0][row].tobytes())
    del store
    raw[at + 2] ^= 0x55
    path.write_bytes(raw)
    gallery = NpzGallery(Store.open(path))
    with pytest.raises(StoreError, match=r"damaged .*embeddings"):
        gallery.search(rows[:1], ["q"], Search(1, "face"))


def test_under_a_folder_without_photos_is_said_before_any_work(tmp_path):
    store = store_of_rows(tmp_path / "f.npz", [("a/x", ring(1))])
    with pytest.raises(UsageError, match="--under holidays: the store has no photos there"):
        NpzGallery(store).require(Where(under=("a", "holidays")))


def test_what_it_says_of_itself(tmp_path):
    store = store_of_rows(tmp_path / "f.npz", [("a/x", ring(1))])
    gallery = NpzGallery(store)
    assert gallery.summary().path == str(tmp_path / "f.npz")
    assert gallery.summary().dim == DIM
    assert gallery.recipe == store.recipe
