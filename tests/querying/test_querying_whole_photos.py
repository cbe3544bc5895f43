"""The query job on a store of whole photos, and with a false match rate."""

from __future__ import annotations

from pathlib import Path

import pytest

from facesearch.errors import UsageError
from facesearch.gallery.npz import NpzGallery
from facesearch.querying import QueryOptions, check_options, query, settle
from facesearch.records import Box
from small_store import (
    BLUE,
    GREEN,
    MIDDLE,
    RED,
    ColorEmbedder,
    WholePhotoEmbedder,
    draw,
    enroll,
    small_calibration,
    whole_recipe,
)


@pytest.fixture
def photos(tmp_path) -> Path:
    for name, color in {"red": RED, "green": GREEN, "blue": BLUE}.items():
        draw(tmp_path / "photos" / f"{name}.png", {color: MIDDLE}, note=1)
    draw(tmp_path / "photos" / "sky.png", {})
    return tmp_path / "photos"


@pytest.fixture
def whole(photos, tmp_path) -> NpzGallery:
    return NpzGallery(enroll(tmp_path / "whole.npz", [photos], recipe_=whole_recipe(unit=False)))


def ask(gallery, *paths, embedder=None, drawn=None, **options):
    pairs = [(str(path), str(path)) for path in paths]
    made = embedder or WholePhotoEmbedder(unit=False)
    return query(gallery, made, pairs, QueryOptions(**options), drawn).results


def names(result):
    return [Path(near.path).stem for near in result.neighbors]


def test_the_photo_is_what_is_searched_for(whole, tmp_path):
    """Also one with several faces, of which none is chosen and none is pictured."""
    photo = draw(tmp_path / "q.png", {GREEN: MIDDLE, BLUE: (5, 5, 4, 4)})

    def never(*arguments):
        raise AssertionError("there is no face to picture")

    (result,) = ask(whole, photo, drawn=never, k=2)
    assert names(result)[0] == "green"
    assert result.query.face is None
    assert result.query.faces == ()
    assert result.query.examples == ((str(photo), None),)
    assert (result.query.width, result.query.height) == (120, 100)
    assert (result.notes, result.error, result.searched) == ((), None, 4)


def test_a_photo_without_faces_is_a_photo(whole, tmp_path):
    (result,) = ask(whole, draw(tmp_path / "q.png", {}, note=9), k=1)
    assert names(result) == ["sky"]


def test_examples_of_one_person(whole, tmp_path):
    pair = [
        draw(tmp_path / "a.png", {RED: MIDDLE}, note=2),
        draw(tmp_path / "b.png", {BLUE: MIDDLE}, note=3),
    ]
    (result,) = ask(whole, *pair, same_person=True, k=2)
    assert sorted(names(result)) == ["blue", "red"]
    assert result.query.examples == tuple((str(path), None) for path in pair)
    assert {Path(near.path).stem: Path(near.example).stem for near in result.neighbors} == {
        "red": "a",
        "blue": "b",
    }


def test_own_content_can_be_left_out(whole, photos):
    (result,) = ask(whole, photos / "red.png", exclude_self=True)
    assert "red" not in names(result)
    assert (len(result.neighbors), result.searched) == (3, 3)


@pytest.mark.parametrize(
    "options", [{"face": 1}, {"face": "all"}, {"box": Box(0.0, 0.0, 50.0, 50.0)}]
)
def test_a_face_cannot_be_asked_for(whole, photos, options):
    embedder = WholePhotoEmbedder(unit=False)
    with pytest.raises(UsageError, match=r"whole\.npz: this store compares whole photos"):
        ask(whole, photos / "red.png", embedder=embedder, **options)
    assert embedder.detected == 0


@pytest.mark.parametrize("rate", [0.0, 1.0, -0.1, 2.0, float("nan")])
def test_a_rate_is_above_0_and_below_1(rate):
    with pytest.raises(UsageError, match="--fmr"):
        check_options(QueryOptions(fmr=rate), 1)


def test_a_rate_becomes_a_distance(photos, tmp_path, monkeypatch):
    gallery = NpzGallery(enroll(tmp_path / "faces.npz", [photos]))
    monkeypatch.setattr("facesearch.calibration.find_calibration", small_calibration)
    settled = settle(gallery, QueryOptions(fmr=1e-2, k=7))
    assert settled == QueryOptions(max_distance=settled.max_distance, k=7)
    assert settled.max_distance == pytest.approx(0.1)
    photo = draw(tmp_path / "q.png", {RED: MIDDLE}, note=9)
    (near,) = ask(gallery, photo, embedder=ColorEmbedder(), fmr=1e-2)
    assert names(near) == ["red"]
    (far,) = ask(gallery, photo, embedder=ColorEmbedder(), fmr=0.9999)
    assert len(far.neighbors) == 3
    with pytest.raises(UsageError, match="exclude each other"):
        ask(gallery, photo, embedder=ColorEmbedder(), fmr=1e-2, max_distance=0.4)


def test_a_rate_where_distances_are_not_calibrated(whole, photos):
    with pytest.raises(UsageError, match=r"not calibrated.*--max-distance"):
        ask(whole, photos / "red.png", fmr=1e-3)
