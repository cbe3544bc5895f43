"""The library's front with an embedder of colours: what it takes, returns and raises."""

from __future__ import annotations

import dataclasses
import io
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import facesearch
from facesearch.errors import (
    FacesearchError,
    ModelError,
    NoFaceError,
    PhotoError,
    RecipeMismatchError,
    StoreError,
    StoreMissingError,
    UsageError,
)
from facesearch.records import Box, QueryResult
from sealed_stores import cheap_encryption
from small_store import BLUE, GOLD, GREEN, MIDDLE, RED, ColorEmbedder, draw, enroll, recipe, row_of

PEOPLE = {"red": RED, "green": GREEN, "blue": BLUE}


@pytest.fixture(autouse=True)
def colors(monkeypatch):
    """Colours in place of networks; counts how often they are loaded."""
    loaded = []

    def load(spec):
        loaded.append(spec)
        time.sleep(0.05)
        return ColorEmbedder()

    monkeypatch.setattr("facesearch.processing.Pipeline", load)
    monkeypatch.setattr("facesearch.processing.make_ready", lambda *names: None)
    return loaded


@pytest.fixture
def store(tmp_path) -> Path:
    for name, color in PEOPLE.items():
        draw(tmp_path / "photos" / name / f"{name}.png", {color: MIDDLE})
    enroll(tmp_path / "faces.npz", [tmp_path / "photos"])
    return tmp_path / "faces.npz"


@pytest.fixture
def photo(tmp_path) -> Path:
    return draw(tmp_path / "me.png", {GREEN: MIDDLE}, note=5)


@pytest.fixture
def crowd(tmp_path) -> Path:
    return draw(tmp_path / "crowd.png", {BLUE: (2, 2, 9, 9), RED: (40, 30, 40, 40)})


def nearest(result: QueryResult) -> str:
    return Path(result.neighbors[0].path).stem


def test_every_kind_of_photo(store, photo):
    gallery = facesearch.open(store)
    image = Image.open(photo)
    expected = gallery.query(photo, k=2)
    assert nearest(expected) == "green"
    assert len(expected.neighbors) == 2
    assert expected.query.path == str(photo)
    with photo.open("rb") as file:
        kinds = [str(photo), photo.read_bytes(), file, io.BytesIO(photo.read_bytes()), image]
        for kind in [*kinds, np.asarray(image)]:
            assert gallery.query(kind, k=2).neighbors[0].distance == 0
    (row,) = gallery.embed(photo)
    by_row = gallery.query(row, k=2)
    assert [(near.path, near.rank) for near in by_row.neighbors] == [
        (near.path, near.rank) for near in expected.neighbors
    ]
    assert by_row.query.faces == ()
    longer = gallery.query(row.astype(np.float64) * 7, k=1)
    assert longer.neighbors[0].distance == pytest.approx(0, abs=1e-6)


def test_networks_are_loaded_once_and_late(store, photo, colors):
    gallery = facesearch.open(store)
    assert gallery.coverage.photos == 3
    with pytest.raises(PhotoError):
        gallery.query("nofile.png")
    gallery.query(row_of(RED))
    assert colors == []
    gallery.query(photo)
    gallery.embed(photo)
    assert len(colors) == 1


def test_options(store, crowd, photo, tmp_path):
    gallery = facesearch.open(store)
    several = gallery.query(crowd, k=1)
    assert several.query.face == 2
    assert several.notes
    assert nearest(gallery.query(crowd, face=1)) == "blue"
    assert [nearest(result) for result in gallery.query_faces(crowd, k=1)] == ["blue", "red"]
    assert nearest(gallery.query(crowd, box=(2, 2, 9, 9))) == "blue"
    assert nearest(gallery.query(crowd, box=Box(2, 2, 9, 9))) == "blue"
    assert len(gallery.query(photo, k=None).neighbors) == 3
    assert len(gallery.query(photo, max_distance=0.1).neighbors) == 1
    for under in ("red", ["red"], tmp_path / "photos" / "red", [tmp_path / "photos" / "red"]):
        assert [Path(n.path).stem for n in gallery.query(photo, under=under).neighbors] == ["red"]
    own = tmp_path / "photos" / "green" / "green.png"
    assert nearest(gallery.query(own, exclude_self=True)) != "green"
    assert nearest(gallery.query(own.read_bytes(), exclude_self=True)) != "green"


@pytest.mark.parametrize(
    "options",
    [
        {"k": 0},
        {"face": "all"},
        {"face": 0},
        {"face": 1, "box": (0, 0, 5, 5)},
        {"box": (500, 0, 5, 5)},
        {"max_distance": -1},
        {"under": "nowhere"},
    ],
)
def test_options_that_cannot_be_meant(store, photo, options):
    with pytest.raises(UsageError):
        facesearch.open(store).query(photo, **options)


def test_back_ends_give_the_same_answers(store, photo):
    plain, brute = facesearch.open(store, backend="sklearn"), facesearch.open(store)
    assert brute.query(photo) == plain.query(photo)
    assert brute.query(row_of(BLUE)) == plain.query(row_of(BLUE))
    assert brute.query(photo, expand=True) == plain.query(photo, expand=True)


@pytest.mark.parametrize("backend", ["pca", "annoy", ""])
def test_back_ends_that_no_query_runs_on(store, backend):
    with pytest.raises(UsageError, match=r"choose one of: auto, sklearn, brute, "):
        facesearch.open(store, backend=backend)


@pytest.mark.parametrize("options", [{"face": 1}, {"box": (0, 0, 5, 5)}, {"exclude_self": True}])
def test_an_embedding_is_no_photo(store, options):
    with pytest.raises(UsageError, match="an embedding is no photo"):
        facesearch.open(store).query(row_of(RED), **options)


@pytest.mark.parametrize(
    "row", [np.zeros(128), np.full(128, np.nan), np.ones(64), np.full(128, np.inf), np.ones(0)]
)
def test_an_embedding_that_is_none(store, row):
    with pytest.raises(UsageError, match="128 finite numbers"):
        facesearch.open(store).query(row)


def test_pixels_have_no_content_to_exclude(store, photo):
    gallery = facesearch.open(store)
    for pixels in (Image.open(photo), np.asarray(Image.open(photo))):
        with pytest.raises(UsageError, match="exclude_self compares files"):
            gallery.query(pixels, exclude_self=True)


@pytest.mark.parametrize("thing", [7, None, ["me.png"], np.zeros((4, 4, 4, 4), np.uint8)])
def test_what_is_no_photo_at_all(store, thing):
    with pytest.raises(UsageError):
        facesearch.open(store).query(thing)


def test_errors(store, tmp_path, monkeypatch):
    gallery = facesearch.open(store)
    with pytest.raises(NoFaceError, match=r"sky\.png: no face found"):
        gallery.query(draw(tmp_path / "sky.png", {}))
    with pytest.raises(NoFaceError, match="the photo: no face found"):
        gallery.query((tmp_path / "sky.png").read_bytes())
    with pytest.raises(NoFaceError, match="no face 4"):
        gallery.query(tmp_path / "photos" / "red" / "red.png", face=4)
    with pytest.raises(PhotoError) as caught:
        gallery.query(tmp_path / "none.png")
    assert caught.value.reason == "vanished"
    assert str(caught.value) == f"{tmp_path / 'none.png'}: no such file; check the path"
    with pytest.raises(PhotoError, match="the photo: "):
        gallery.query(b"junk")

    def fail(self, photo):
        raise ModelError("the network failed")

    monkeypatch.setattr(ColorEmbedder, "detect", fail)
    with pytest.raises(ModelError, match="the network failed"):
        gallery.query(tmp_path / "photos" / "red" / "red.png")


def test_stores_that_cannot_be_opened(store, tmp_path):
    with pytest.raises(StoreMissingError):
        facesearch.open(tmp_path / "none.npz")
    (tmp_path / "text.npz").write_text("text")
    with pytest.raises(StoreError, match="not a facesearch store"):
        facesearch.open(tmp_path / "text.npz")
    other = dataclasses.replace(recipe().extractor, weights="ab" * 32)
    foreign = dataclasses.replace(recipe(), extractor=other)
    enroll(tmp_path / "foreign.npz", [tmp_path / "photos"], recipe_=foreign)
    with pytest.raises(RecipeMismatchError, match="abababab"):
        facesearch.open(tmp_path / "foreign.npz")
    assert issubclass(RecipeMismatchError, facesearch.FacesearchError)
    assert facesearch.FacesearchError is FacesearchError


def test_a_newer_store_is_picked_up(store, photo, tmp_path, colors):
    gallery = facesearch.open(store)
    gallery.query(photo)
    draw(tmp_path / "photos" / "gold.png", {GOLD: MIDDLE})
    gold = draw(tmp_path / "g.png", {GOLD: MIDDLE}, note=8)
    assert nearest(gallery.query(gold)) != "gold"
    enroll(store, [tmp_path / "photos"])
    assert nearest(gallery.query(gold)) == "gold"
    assert gallery.coverage.photos == 4
    assert len(colors) == 1


def test_a_newer_store_of_another_recipe_has_networks_of_its_own(store, photo, tmp_path, colors):
    gallery = facesearch.open(store)
    gallery.query(photo)
    store.unlink()
    with pytest.raises(StoreMissingError):
        gallery.query(photo)
    smaller = dataclasses.replace(recipe(), max_side=1024)
    enroll(store, [tmp_path / "photos"], recipe_=smaller)
    gallery.query(photo)
    assert [spec.recipe.max_side for spec in colors] == [2048, 1024]
    other = dataclasses.replace(recipe().extractor, weights="ab" * 32)
    store.unlink()
    enroll(store, [tmp_path / "photos"], recipe_=dataclasses.replace(recipe(), extractor=other))
    with pytest.raises(RecipeMismatchError):
        gallery.query(photo)


def test_eight_threads_get_the_same_answers_while_the_store_changes(store, tmp_path, colors):
    photos = [draw(tmp_path / f"q{name}.png", {color: MIDDLE}) for name, color in PEOPLE.items()]
    gallery = facesearch.open(store)
    expected = [facesearch.open(store).query(photo, k=3).neighbors for photo in photos]
    colors.clear()
    copy = tmp_path / "copy.npz"
    shutil.copy(store, copy)

    def ask(n):
        if n % 10 == 0:
            fresh = tmp_path / f"fresh{n}"
            shutil.copy(copy, fresh)
            fresh.replace(store)
        return gallery.query(photos[n % 3], k=3).neighbors

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, range(80)))
    assert answers == [expected[n % 3] for n in range(80)]
    assert len(colors) == 1


def test_nothing_is_printed(store, photo, crowd, capfd):
    gallery = facesearch.open(store)
    gallery.query(crowd)
    gallery.query_faces(crowd)
    gallery.embed(photo)
    facesearch.embed(photo)
    with pytest.raises(PhotoError):
        gallery.query(b"junk")
    assert capfd.readouterr() == ("", "")


def test_embed(store, photo, crowd, tmp_path):
    rows = facesearch.embed(crowd)
    assert rows.shape == (2, 128)
    assert rows.dtype == np.float32
    np.testing.assert_array_equal(rows, facesearch.open(store).embed(crowd))
    np.testing.assert_array_equal(rows[1], row_of(RED))
    np.testing.assert_array_equal(rows, facesearch.embed(crowd.read_bytes()))
    assert facesearch.embed(draw(tmp_path / "sky.png", {})).shape == (0, 128)
    with pytest.raises(PhotoError):
        facesearch.embed("none.png")
    with pytest.raises(UsageError):
        facesearch.embed(photo, model="facenet-9000")


def test_a_download_is_logged(store, photo, monkeypatch, caplog):
    def make_ready(names, options, fetch):
        fetch.report(f"{names[-1]} is missing; downloading it once")

    monkeypatch.setattr("facesearch.processing.make_ready", make_ready)
    with caplog.at_level("INFO", logger="facesearch"):
        facesearch.open(store).query(photo)
    assert "facenet-128 is missing" in caplog.text


def test_the_public_names():
    for name in facesearch.__all__:
        assert getattr(facesearch, name) is not None
    with pytest.raises(AttributeError, match="nonsense"):
        _ = facesearch.nonsense


@pytest.fixture
def _cheap():
    with cheap_encryption():
        yield


@pytest.mark.usefixtures("_cheap")
def test_an_encrypted_store(store, photo):
    from facesearch.encrypting import encrypt
    from facesearch.errors import StoreLockedError
    from facesearch.store.passphrases import Given, Keys, unlocking

    expected = [near.path for near in facesearch.open(store).query(photo).neighbors]
    with unlocking(Keys(Given("correct horse"))):
        encrypt(store)
    gallery = facesearch.open(store, passphrase="correct horse")
    assert [near.path for near in gallery.query(photo).neighbors] == expected
    assert gallery.coverage.faces > 0
    expanded = gallery.query(photo, expand=True)
    assert len(expanded.neighbors) == len(expected)
    with pytest.raises(StoreLockedError, match="encrypted; open it with its passphrase"):
        facesearch.open(store)
    with pytest.raises(StoreLockedError, match="wrong passphrase"):
        facesearch.open(store, passphrase="wrong")
    assert "correct horse" not in repr(facesearch.api.OpenOptions(passphrase="correct horse"))
