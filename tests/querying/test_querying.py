"""The query job with an embedder that finds coloured rectangles."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facesearch.errors import ModelError, PhotoError, RecipeMismatchError, UsageError
from facesearch.gallery.npz import NpzGallery
from facesearch.photos import PhotoLimits
from facesearch.querying import (
    QueryOptions,
    check_options,
    check_space,
    most_prominent,
    open_photo,
    query,
)
from facesearch.records import Box, QueryFace
from small_store import (
    BLUE,
    GOLD,
    GREEN,
    MIDDLE,
    RED,
    ColorEmbedder,
    draw,
    enroll,
    recipe,
    row_of,
)

PEOPLE = {"red": RED, "green": GREEN, "blue": BLUE, "gold": GOLD}
# As people read: the first row is green, blue; the second red, gold. Red is large and central.
CROWD = {
    RED: (40, 40, 40, 40),
    GREEN: (5, 2, 12, 12),
    BLUE: (90, 4, 14, 14),
    GOLD: (100, 50, 9, 20),
}


@pytest.fixture
def gallery(tmp_path) -> NpzGallery:
    """Each person twice: ``red1.png``, ``red2.png`` and so on."""
    for name, color in PEOPLE.items():
        draw(tmp_path / "photos" / f"{name}1.png", {color: MIDDLE}, note=1)
        near = (color[0], color[1] + 2, color[2])
        draw(tmp_path / "photos" / f"{name}2.png", {near: MIDDLE}, note=2)
    return NpzGallery(enroll(tmp_path / "faces.npz", [tmp_path / "photos"]))


@pytest.fixture
def ask(gallery):
    """Searches for photos given as paths or (name, photo) pairs; the results."""

    def run(*photos, draw=None, embedder=None, **options):
        pairs = [
            photo if isinstance(photo, tuple) else (str(photo), str(photo)) for photo in photos
        ]
        made = embedder or ColorEmbedder()
        return query(gallery, made, pairs, QueryOptions(**options), draw).results

    return run


def names(result):
    return [Path(near.path).stem for near in result.neighbors]


def test_one_face_is_searched(ask, tmp_path):
    (result,) = ask(draw(tmp_path / "q.png", {GREEN: MIDDLE}), k=3)
    assert names(result)[:2] == ["green1", "green2"]
    assert len(result.neighbors) == 3
    assert result.query.path == str(tmp_path / "q.png")
    assert result.query.face == 1
    assert result.query.faces == (QueryFace(1, Box(*map(float, MIDDLE)), 0.99),)
    assert result.query.examples == ((result.query.path, 1),)
    assert (result.query.width, result.query.height) == (120, 100)
    assert result.notes == ()
    assert result.error is None


def test_of_several_faces_the_most_prominent_is_taken_and_said(ask, tmp_path):
    photo = draw(tmp_path / "q.png", CROWD)
    drawn = []

    def picture(opened, asked):
        drawn.append((opened.pixels.shape, asked.face, len(asked.faces)))
        return "see picture.png"

    (result,) = ask(photo, draw=picture, k=1)
    assert names(result) == ["red1"]
    assert result.query.face == 3
    assert [face.number for face in result.query.faces] == [1, 2, 3, 4]
    note, where = result.notes
    assert note.startswith(f"{photo}: 4 faces, searched for face 3, the most prominent")
    assert "--face N" in note
    assert where == "see picture.png"
    assert drawn == [((100, 120, 3), 3, 4)]


def test_faces_are_numbered_as_people_read_and_keep_their_number(ask, tmp_path):
    photo = draw(tmp_path / "q.png", CROWD)
    results = ask(photo, face="all", k=1)
    assert [names(result)[0] for result in results] == ["green1", "blue1", "red1", "gold1"]
    assert [result.query.face for result in results] == [1, 2, 3, 4]
    assert len({result.query.faces for result in results}) == 1
    for number, person in enumerate(["green1", "blue1", "red1", "gold1"], start=1):
        (result,) = ask(photo, face=number, k=1)
        assert names(result) == [person]
        assert result.query.face == number
        assert result.notes == ()
    smaller = {color: place for color, place in CROWD.items() if color != BLUE}
    (result,) = ask(draw(tmp_path / "fewer.png", smaller), k=1)
    assert result.query.face == 2  # stable among those that are there


@pytest.mark.parametrize(
    ("faces", "chosen"),
    [
        ([(50, 40, 20, 20), (5, 5, 21, 21)], 0),  # central against hardly larger
        ([(55, 45, 10, 10), (5, 5, 50, 50)], 1),  # central against much larger
        ([(0, 40, 20, 20), (100, 40, 20, 20)], 0),  # alike: the first as people read
        ([(0, 0, 1, 1)], 0),
    ],
)
def test_most_prominent(faces, chosen):
    boxes = [QueryFace(n, Box(*face), 1.0) for n, face in enumerate(faces, start=1)]
    assert most_prominent(boxes, 120, 100) == chosen


def test_no_face_is_an_error_of_its_photo_with_a_hint(ask, tmp_path):
    (result,) = ask(draw(tmp_path / "q.png", {}))
    assert result.error is not None
    assert result.error.code == "no-face"
    assert str(tmp_path / "q.png") in result.error.message
    assert "--box" in result.error.message
    assert "--min-score" in result.error.message
    assert result.neighbors == ()
    assert result.query.faces == ()
    assert result.query.face is None


def test_a_face_that_is_not_there_is_told_with_those_that_are(ask, tmp_path):
    photo = draw(tmp_path / "q.png", CROWD)
    (result,) = ask(photo, face=5, draw=lambda opened, asked: f"{len(asked.faces)} drawn")
    assert result.error is not None
    assert result.error.code == "no-face"
    assert "no face 5; it has 4 faces, numbered 1 to 4" in result.error.message
    assert result.notes == ("4 drawn",)
    assert len(result.query.faces) == 4
    (alone,) = ask(draw(tmp_path / "one.png", {RED: MIDDLE}), face=2)
    assert alone.error is not None
    assert "it has one face, number 1" in alone.error.message


def test_a_box_stands_for_a_face_that_is_not_found(ask, tmp_path):
    embedder = ColorEmbedder()
    photo = draw(tmp_path / "q.png", {(255, 250, 250): MIDDLE})  # too pale to be found
    assert ask(photo)[0].error.code == "no-face"
    (result,) = ask(photo, box=Box(30, 20, 40, 40), embedder=embedder)
    assert result.error is None
    assert result.query.face == 0
    assert result.query.faces == (QueryFace(0, Box(30, 20, 40, 40), 1.0),)
    assert embedder.detected == 0


def test_a_box_is_cut_to_the_photo(ask, tmp_path):
    (result,) = ask(draw(tmp_path / "q.png", {RED: MIDDLE}), box=Box(-10, -5, 50, 500))
    assert result.query.faces[0].box == Box(0, 0, 40, 100)


@pytest.mark.parametrize("box", [Box(120, 0, 5, 5), Box(-9, 0, 9, 9), Box(10, 100.5, 5, 5)])
def test_a_box_outside_the_photo_names_it_and_its_size(ask, tmp_path, box):
    photo = draw(tmp_path / "q.png", {RED: MIDDLE})
    with pytest.raises(UsageError, match=r"q\.png: --box lies outside .* 120 x 100 pixels"):
        ask(photo, box=box)


def test_several_photos_are_several_queries(ask, tmp_path):
    photos = [draw(tmp_path / f"{name}.png", {PEOPLE[name]: MIDDLE}) for name in ("red", "blue")]
    results = ask(*photos, k=1)
    assert [result.query.path for result in results] == [str(photo) for photo in photos]
    assert [names(result) for result in results] == [["red1"], ["blue1"]]


def test_a_bad_photo_among_good_ones_is_its_own_result(ask, tmp_path):
    good = draw(tmp_path / "good.png", {RED: MIDDLE})
    bad = tmp_path / "bad.jpg"
    bad.write_text("not a photo")
    results = ask(good, bad, tmp_path / "gone.jpg", good, k=1)
    assert [result.error and result.error.code for result in results] == [
        None,
        "not-a-photo",
        "vanished",
        None,
    ]
    assert "gone.jpg: no such file" in results[2].error.message


def test_same_person_takes_the_nearest_example(ask, tmp_path):
    red = draw(tmp_path / "red.png", {RED: MIDDLE})
    blue = draw(tmp_path / "blue.png", {BLUE: MIDDLE})
    none = draw(tmp_path / "none.png", {})
    together, failed = ask(red, none, blue, same_person=True, k=4)
    assert sorted(names(together)) == ["blue1", "blue2", "red1", "red2"]
    for near in together.neighbors:
        assert near.example == str(red if "red" in near.path else blue)
    assert together.query.examples == ((str(red), 1), (str(blue), 1))
    assert together.query.path == str(red)
    assert failed.query.path == str(none)
    assert failed.error.code == "no-face"


def test_same_person_pictures_each_photo_with_a_choice(ask, tmp_path):
    one = draw(tmp_path / "one.png", {RED: MIDDLE})
    crowd = draw(tmp_path / "crowd.png", CROWD)
    (result,) = ask(one, crowd, same_person=True, draw=lambda _, asked: f"drawn {asked.path}")
    assert result.query.examples == ((str(one), 1), (str(crowd), 3))
    assert [note for note in result.notes if "drawn" in note] == [f"drawn {crowd}"]


def test_same_person_without_any_face(ask, tmp_path):
    none = [draw(tmp_path / f"{n}.png", {}) for n in range(2)]
    results = ask(*none, same_person=True)
    assert [result.error.code for result in results] == ["no-face", "no-face"]


def test_exclude_self_leaves_out_the_content_at_all_its_paths(ask, tmp_path):
    own = tmp_path / "photos" / "red1.png"
    (with_own,) = ask(own, k=1)
    assert names(with_own) == ["red1"]
    copy = tmp_path / "elsewhere.png"
    copy.write_bytes(own.read_bytes())
    for asked in (own, copy, ("-", own.read_bytes())):
        (result,) = ask(asked, k=1, exclude_self=True)
        assert names(result) == ["red2"]


def test_exclude_self_of_the_same_person_leaves_out_all_examples(ask, tmp_path):
    photos = [tmp_path / "photos" / name for name in ("red1.png", "blue1.png")]
    (result,) = ask(*photos, k=None, same_person=True, exclude_self=True)
    assert not {"red1", "blue1"} & set(names(result))
    assert len(result.neighbors) == 6


def test_k_counts_after_exclusions_and_filters(ask, tmp_path):
    own = tmp_path / "photos" / "red1.png"
    assert len(ask(own, k=7, exclude_self=True)[0].neighbors) == 7
    assert len(ask(own, k=100)[0].neighbors) == 8
    assert len(ask(own, k=None)[0].neighbors) == 8
    assert names(ask(own, max_distance=0.1)[0]) == ["red1", "red2"]


@pytest.mark.parametrize(
    ("options", "photos", "words"),
    [
        ({"k": 0}, 1, "-k 0"),
        ({"k": -3}, 1, "-k -3"),
        ({"face": 0}, 1, "--face 0"),
        ({"max_distance": -0.5}, 1, "--max-distance"),
        ({"max_distance": float("nan")}, 1, "--max-distance"),
        ({"box": Box(0, 0, 9, 9), "face": 1}, 1, "--box and --face"),
        ({"box": Box(0, 0, 9, 9), "face": "all"}, 1, "--box and --face"),
        ({"box": Box(0, 0, 9, 9)}, 2, "--box belongs to one photo"),
        ({"same_person": True, "face": "all"}, 2, "--same-person"),
    ],
)
def test_options_that_cannot_be_meant(options, photos, words):
    with pytest.raises(UsageError) as caught:
        check_options(QueryOptions(**options), photos)
    assert words in str(caught.value)


def test_an_unknown_folder_is_told_before_anything_is_detected(ask, tmp_path):
    embedder = ColorEmbedder()
    with pytest.raises(UsageError, match="--under nowhere"):
        ask(draw(tmp_path / "q.png", {RED: MIDDLE}), under=("nowhere",), embedder=embedder)
    assert embedder.detected == 0


class Failing(ColorEmbedder):
    """Its network fails on wide photos."""

    def detect(self, photo):
        if photo.facts.width == 200:
            raise ModelError("the network failed: out of memory")
        return super().detect(photo)


def test_a_models_error_is_reported_as_itself_and_for_its_photo_alone(ask, tmp_path):
    wide = draw(tmp_path / "wide.png", {RED: MIDDLE}, size=(200, 100))
    good = draw(tmp_path / "good.png", {RED: MIDDLE})
    failed, fine = ask(wide, good, embedder=Failing())
    assert failed.error.code == "model-error"
    assert failed.error.message == f"{wide}: the network failed: out of memory"
    assert fine.error is None


def test_every_kind_of_photo_is_the_same_query(ask, tmp_path):
    path = draw(tmp_path / "q.png", {GREEN: MIDDLE})
    image = Image.open(path)
    kinds = [path.read_bytes(), io.BytesIO(path.read_bytes()), image, np.asarray(image)]
    (expected,) = ask(path)
    for kind in kinds:
        (result,) = ask(("", kind))
        assert [(near.path, near.distance) for near in result.neighbors] == [
            (near.path, near.distance) for near in expected.neighbors
        ]
        assert result.query.faces == expected.query.faces


def test_pixels_in_memory_are_reduced_as_files_are(tmp_path):
    """A photo must be seen at the scale at which the gallery's were."""
    path = draw(tmp_path / "q.png", {GREEN: MIDDLE}, size=(400, 300))
    limits = PhotoLimits(max_side=100)
    shapes = {
        open_photo(source, limits, "").pixels.shape
        for source in (str(path), path.read_bytes(), Image.open(path), np.asarray(Image.open(path)))
    }
    assert shapes == {(75, 100, 3)}


@pytest.mark.parametrize(
    ("name", "source", "message"),
    [
        ("-", b"", "standard input: the file has no bytes"),
        ("", b"", "the photo: the file has no bytes"),
        ("-", b"hello", "standard input: its content is not an image"),
        ("x\ny.jpg", "x\ny.jpg", r"x\\ny.jpg: no such file; check the path"),
        ("given", PhotoError("io-error", "given: bad disk"), "given: bad disk"),
    ],
)
def test_messages_name_the_photo_once(name, source, message):
    with pytest.raises(PhotoError, match=message):
        open_photo(source, PhotoLimits(), name)


def test_a_query_face_is_embedded_from_the_original_scale(ask, tmp_path):
    big = draw(tmp_path / "q.png", {GREEN: (300, 200, 400, 400)}, size=(1200, 1000))
    (result,) = ask(big, k=1)
    assert names(result) == ["green1"]
    assert result.neighbors[0].distance == pytest.approx(0, abs=1e-6)


def test_report_says_which_store_and_what_was_searched(gallery, tmp_path):
    photo = str(draw(tmp_path / "q.png", {GREEN: MIDDLE}))
    report = query(gallery, ColorEmbedder(), [(photo, photo)], QueryOptions())
    assert report.store == gallery.summary()
    assert report.coverage.photos == 8


def test_other_weights_than_the_stores_are_refused_naming_both(gallery):
    check_space(gallery)
    ours = gallery.recipe.extractor.weights
    extractor = dataclasses.replace(gallery.recipe.extractor, weights="ab" * 32)
    gallery.store.head = dataclasses.replace(
        gallery.store.head, recipe=dataclasses.replace(recipe(), extractor=extractor)
    )
    with pytest.raises(RecipeMismatchError) as caught:
        check_space(gallery)
    assert "abababab" in str(caught.value)
    assert ours[:12] in str(caught.value)
    assert str(gallery.store.path) in str(caught.value)
    unknown = dataclasses.replace(extractor, model="facenet-9000")
    gallery.store.head = dataclasses.replace(
        gallery.store.head, recipe=dataclasses.replace(recipe(), extractor=unknown)
    )
    with pytest.raises(RecipeMismatchError, match="facenet-9000"):
        check_space(gallery)


def test_rows_of_colours_are_what_the_tests_take_them_for():
    assert np.linalg.norm(row_of(RED)) == pytest.approx(1)
    assert np.linalg.norm(row_of(RED) - row_of(GREEN)) > 0.5
