"""Expanded search of a store: against a naive one, and what is kept of it beside the store."""

import dataclasses
import hashlib
import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facesearch.errors import StoreError, UsageError
from facesearch.gallery import Search, Where, expanded
from facesearch.gallery.npz import NpzGallery
from facesearch.records import PhotoEntry
from facesearch.store import Store, StoreWriter, check_store
from facesearch.store.segments import block_checksum
from made_mutants import written
from small_store import result_of_rows, store_of_rows

DIM = 4


def unit(rows):
    rows = np.asarray(rows, np.float64).reshape(-1, DIM)
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def content(name):
    return hashlib.sha256(name.encode()).digest()


@st.composite
def libraries(draw):
    """[(name, rows)] of a few people's photos, of up to three faces."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    people = rng.normal(size=(3, DIM))
    photos = []
    for number in range(draw(st.integers(1, 25))):
        chosen = people[rng.integers(0, 3, rng.integers(0, 4))]
        rows = chosen + 0.3 * rng.normal(size=chosen.shape)
        photos.append((f"{number:02}", unit(rows) if len(rows) else np.zeros((0, DIM), "f4")))
    return photos


def averaged(row, itself, faces, own):
    """The definition; ``faces`` is [(photo, number, row)]."""
    near = []
    for photo, number, other in faces:
        cosine = np.float32((row.astype(float) * other.astype(float)).sum())
        if cosine > np.float32(0.6) and (photo, number) != itself and photo != own:
            near.append((cosine, content(photo), number, other))
    near.sort(key=lambda one: (-one[0], one[1], one[2]))
    total = row.astype(float)
    for cosine, _, _, other in near[:5]:
        total = total + float(cosine) ** 2 * other
    return total / np.linalg.norm(total)


def naive(photos, probe, own, k):
    """[(distance, photo, face)] by the definition."""
    faces = [(name, n, row) for name, rows in photos for n, row in enumerate(rows, start=1)]
    asked = averaged(probe, None, faces, own)
    best = {}
    for name, number, row in faces:
        away = float(np.linalg.norm(averaged(row, (name, number), faces, own) - asked))
        best[name] = min(best.get(name, (np.inf,)), (away, name, number))
    return sorted(best.values())[:k]


@settings(deadline=None, max_examples=25)
@given(
    photos=libraries(),
    data=st.data(),
    k=st.one_of(st.none(), st.integers(1, 10)),
    finish=st.booleans(),
    small_fetch=st.booleans(),
)
def test_as_a_naive_search(tmp_path_factory, photos, data, k, finish, small_fetch):
    folder = tmp_path_factory.mktemp("property")
    filled = [(name, rows) for name, rows in photos if len(rows)]
    own, probe = "", unit(np.ones(DIM))[0]
    if filled and data.draw(st.booleans()):
        own, rows = data.draw(st.sampled_from(filled))
        probe = rows[data.draw(st.integers(0, len(rows) - 1))]
    store = store_of_rows(folder / "faces.npz", photos, 7, finish)
    search = Search(k, expand=True, own=frozenset([content(own)]))
    with pytest.MonkeyPatch.context() as patch:
        if small_fetch:
            patch.setattr("facesearch.gallery.hits._SLACK", 0)
        found = NpzGallery(store).search(probe[None], ["q"], search)
    expected = naive(photos, probe, own, k)
    assert [near.distance for near in found] == pytest.approx(
        [line[0] for line in expected], abs=2e-6
    )
    distances = {line[1]: line[0] for line in naive(photos, probe, own, None)}
    for near in found:
        assert near.distance == pytest.approx(distances[near.relative_path], abs=2e-6)
    if own:
        assert found[0].distance == 0.0
    shutil.rmtree(folder)


def family(tmp_path, count=12, name="faces.npz"):
    rng = np.random.default_rng(5)
    rows = unit(np.eye(DIM)[np.arange(count) % 2] + 0.3 * rng.normal(size=(count, DIM)))
    photos = [(f"{n:02}", rows[n : n + 1]) for n in range(count)]
    return store_of_rows(tmp_path / name, photos), rows


EXPANDED = Search(None, expand=True)


def search(store, rows, number=0, **options):
    own = frozenset([content(f"{number:02}")])
    asked = dataclasses.replace(EXPANDED, own=own)
    return NpzGallery(store, **options).search(rows[number : number + 1], ["q"], asked)


def test_the_own_photo_supports_nobody_whether_or_not_it_is_an_answer(tmp_path):
    store, rows = family(tmp_path)
    with_own = search(store, rows)
    assert (with_own[0].relative_path, with_own[0].distance) == ("00", 0.0)
    own = frozenset([content("00")])
    without = NpzGallery(store).search(
        rows[:1], ["q"], dataclasses.replace(EXPANDED, own=own, where=Where(exclude=own))
    )
    assert [(near.path, near.distance) for near in without] == [
        (near.path, near.distance) for near in with_own[1:]
    ]
    # The same photo elsewhere in the world: a store that never held it.
    rest, _ = family(tmp_path, name="rest.npz")
    with StoreWriter.open(rest.path, rest.recipe) as writer:
        writer.remove(0, "00")
        writer.finish()
    never = NpzGallery(Store.open(rest.path)).search(rows[:1], ["q"], EXPANDED)
    assert [(near.path, near.distance) for near in without] == [
        (near.path, near.distance) for near in never
    ]


def test_averaging_brings_a_person_together(tmp_path):
    store, rows = family(tmp_path, 40)
    plain = NpzGallery(store).search(rows[:1], ["q"], Search(None))
    found = search(store, rows)
    person = {f"{n:02}" for n in range(2, 40, 2)}

    def spread(near):
        return max(one.distance for one in near if one.relative_path in person)

    assert spread(found) < spread(plain)
    assert found[1].similarity == pytest.approx(1 - found[1].distance ** 2 / 2)
    assert {near.band for near in found} == {""}


def test_the_graph_is_kept_and_taken_again(tmp_path, monkeypatch):
    store, rows = family(tmp_path)
    first = search(store, rows)
    store = Store.open(store.path)
    assert set(store.head.derived) == {"neighbors"}
    assert check_store(store) == []
    monkeypatch.setattr(expanded, "update", None)  # it would be called to make one
    assert search(store, rows) == first


def test_after_a_run_only_new_faces_are_compared(tmp_path, monkeypatch):
    store, rows = family(tmp_path)
    search(store, rows)
    new = unit([1, 0.1, 0, 0])
    with StoreWriter.open(store.path, store.recipe) as writer:
        writer.remove(0, "03")
        writer.put((0, PhotoEntry("new", 1, 1)), result_of_rows("new", new))
        writer.finish()
    dues = []
    update = expanded.update
    monkeypatch.setattr(expanded, "update", lambda *given: dues.append(update(*given)) or dues[-1])
    found = search(Store.open(store.path), rows)
    assert len(dues) == 1 and 0 < dues[0].pairs < 12**2
    photos = [(f"{n:02}", rows[n : n + 1]) for n in range(12) if n != 3] + [("new", new)]
    fresh = store_of_rows(tmp_path / "fresh.npz", photos)
    assert [(near.path, near.distance) for near in search(fresh, rows)] == [
        (near.path, near.distance) for near in found
    ]
    search(Store.open(store.path), rows)
    assert len(dues) == 2  # the second one is that of the fresh store


def test_without_the_lock_it_answers_all_the_same_and_keeps_nothing(tmp_path):
    store, rows = family(tmp_path)
    with StoreWriter.open(store.path, store.recipe):
        found = search(store, rows)
    assert Store.open(store.path).head.derived == {}
    assert found == search(store, rows)


def test_a_damaged_graph_is_made_again(tmp_path):
    store, rows = family(tmp_path)
    expected = search(store, rows)
    (file,) = (tmp_path / "faces.npz.derived").iterdir()
    raw = bytearray(file.read_bytes())
    raw[len(raw) // 2] ^= 1
    file.write_bytes(raw)
    assert search(Store.open(store.path), rows) == expected
    assert check_store(Store.open(store.path)) == []


def test_in_a_folder_that_cannot_be_written_it_answers_all_the_same(tmp_path, monkeypatch):
    store, rows = family(tmp_path)

    def refused(*given):
        raise PermissionError(13, "Permission denied")

    expected = NpzGallery(store).search(rows[:1], ["q"], Search(3, expand=True))
    Store.open(store.path)
    shutil.rmtree(tmp_path / "faces.npz.derived")
    monkeypatch.setattr("facesearch.store.layout.write_temporary", refused)
    found = NpzGallery(store).search(rows[:1], ["q"], Search(3, expand=True))
    assert found == expected
    assert not list((tmp_path / "faces.npz.derived").glob("*.npz"))


def test_very_many_faces_are_asked_about(tmp_path, monkeypatch):
    monkeypatch.setattr(expanded, "MANY_FACES", 11)
    store, rows = family(tmp_path)
    with pytest.raises(UsageError, match=r"144 pairs of 12 faces: less than a minute.*--yes"):
        search(store, rows)
    asked = []
    with pytest.raises(UsageError, match="nothing was compared"):
        search(store, rows, confirm=asked.append)
    assert len(asked) == 1 and "GB of memory" in asked[0]
    assert Store.open(store.path).head.derived == {}
    assert search(store, rows, confirm=lambda cost: True)
    # Nothing is left to compare, so nobody is asked.
    assert search(Store.open(store.path), rows)


def test_only_faces_are_averaged(tmp_path):
    store, _ = family(tmp_path)
    recipe = dataclasses.replace(
        store.recipe, extractor=dataclasses.replace(store.recipe.extractor, unit=False)
    )
    long = Store(store.path, dataclasses.replace(store.head, recipe=recipe), store.segments)
    with pytest.raises(UsageError, match="compares whole photos"):
        NpzGallery(long).prepare_expansion()


def test_a_store_without_faces(tmp_path):
    store = store_of_rows(tmp_path / "f.npz", [("a", np.zeros((0, DIM), np.float32))])
    assert NpzGallery(store).search(unit(np.ones(DIM)), ["q"], Search(5, expand=True)) == ()


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e5])
def test_rows_of_any_length_are_searched_exactly(tmp_path, scale):
    """Plain search of rows as a photo system has them."""
    rng = np.random.default_rng(7)
    rows = (rng.normal(size=(300, DIM)) * scale).astype(np.float32)
    rows[:120] = rows[0]  # more equal rows than are fetched at first
    store = store_of_rows(tmp_path / "f.npz", [(f"{n:03}", rows[n : n + 1]) for n in range(300)])
    found = NpzGallery(store).search(rows[:1], ["q"], Search(5))
    assert [near.relative_path for near in found] == ["000", "001", "002", "003", "004"]
    distances = np.linalg.norm(rows.astype(float) - rows[200], axis=1)
    found = NpzGallery(store).search(rows[200:201], ["q"], Search(30))
    assert [near.relative_path for near in found] == [
        f"{n:03}" for n in np.lexsort((np.arange(300), distances))[:30]
    ]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38, 1e19, 0.0, 1e-45])
def test_rows_that_no_network_made_are_one_line(tmp_path, value):
    rows = unit(np.random.default_rng(5).normal(size=(30, DIM)))
    path = tmp_path / "faces.npz"
    store_of_rows(path, [("a.jpg", rows)])
    with np.load(path) as archive:
        arrays = {name: archive[name] for name in archive.files}
    arrays["faces.embedding"][7] = value
    arrays["faces.checksum"] = np.array([block_checksum(arrays["faces.embedding"])], np.uint32)
    path.write_bytes(written(arrays))
    gallery = NpzGallery(Store.open(path))
    with pytest.raises(StoreError, match=r"cannot be searched .* facesearch check") as told:
        gallery.search(rows[:1], ["q"], Search(3, expand=True))
    assert "\n" not in str(told.value)
