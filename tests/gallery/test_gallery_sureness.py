"""What a gallery says of its distances: probability, strangers to expect, and whole photos."""

from __future__ import annotations

import numpy as np
import pytest

from facesearch.errors import UsageError
from facesearch.gallery import Search, Where
from facesearch.gallery.facts import coverage_of, small_faces
from facesearch.gallery.npz import NpzGallery
from facesearch.records import PhotoEntry, PhotoFacts, PhotoResult
from facesearch.store import Root, StoreWriter
from small_store import (
    BLUE,
    MIDDLE,
    RED,
    ColorEmbedder,
    WholePhotoEmbedder,
    draw,
    enroll,
    recipe,
    row_of,
    small_calibration,
    whole_recipe,
)


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    for name, color in {"red": RED, "blue": BLUE}.items():
        for note in range(3):
            draw(folder / name / f"{note}.png", {color: MIDDLE}, note=note)
    draw(folder / "copy.png", {RED: MIDDLE}, note=0)
    return folder


@pytest.fixture
def asked(monkeypatch):
    """The spaces that a calibration was asked for, all of them calibrated."""
    spaces = []

    def find(space):
        spaces.append(space)
        return small_calibration(space)

    monkeypatch.setattr("facesearch.calibration.find_calibration", find)
    return spaces


def test_every_neighbour_of_a_calibrated_space_says_how_sure_it_is(photos, tmp_path, asked):
    gallery = NpzGallery(enroll(tmp_path / "faces.npz", [photos]))
    near = gallery.search(row_of(RED)[None], ["q"], Search(None))
    known = small_calibration()
    assert len(near) == 6
    for line in near:
        distance = np.array(line.distance)
        assert line.probability == pytest.approx(float(known.probability(distance)))
        # Six faces: a copy is no further one.
        expected = float(known.expected_false_matches(distance, 6))
        assert line.expected_false_matches == pytest.approx(expected)
        assert line.band == known.band(line.probability, line.expected_false_matches)
    assert [near[0].band, near[-1].band] == ["likely", "unlikely"]
    assert gallery.distance_at(1e-2) == pytest.approx(0.1)
    assert asked == [recipe().space_digest]  # looked up once


def test_only_faces_that_may_be_answers_are_strangers_to_expect(photos, tmp_path, asked):
    gallery = NpzGallery(enroll(tmp_path / "faces.npz", [photos]))
    content = ColorEmbedder().result(photos / "red" / "1.png").content_hash
    for where, faces in (
        (Where(), 6),
        (Where(under=("red",)), 3),
        (Where(exclude=frozenset([content])), 5),
        (Where(max_distance=0.1), 6),
    ):
        assert gallery.size(where) == faces
        first, *_ = gallery.search(row_of(RED)[None], ["q"], Search(1, where=where))
        assert first.expected_false_matches == pytest.approx(1e-4 * faces)
    two = gallery.search(np.stack([row_of(RED), row_of(BLUE)]), ["a", "b"], Search(1))
    assert two[0].expected_false_matches == pytest.approx(1e-4 * 6 * 2)
    assert gallery.search(row_of(RED)[None], ["q"], Search(1, where=Where(max_distance=0.0)))
    with pytest.raises(UsageError, match="--under nowhere"):
        gallery.size(Where(under=("nowhere",)))


def test_without_a_calibration_there_is_nothing_to_say(photos, tmp_path, monkeypatch):
    monkeypatch.setattr("facesearch.calibration.find_calibration", lambda space: None)
    gallery = NpzGallery(enroll(tmp_path / "faces.npz", [photos]))
    (near,) = gallery.search(row_of(RED)[None], ["q"], Search(1))
    assert (near.probability, near.expected_false_matches, near.band) == (None, None, "")
    with pytest.raises(
        UsageError, match=r"faces\.npz: the distances of facenet are not calibrated"
    ):
        gallery.distance_at(1e-3)


def test_the_tool_s_own_recipe_is_calibrated():
    from facesearch.calibration import find_calibration

    known = find_calibration(recipe().space_digest)
    assert known is not None
    assert find_calibration(whole_recipe().space_digest) is None


@pytest.mark.parametrize("unit", [True, False])
def test_whole_photos(photos, tmp_path, unit):
    store = enroll(tmp_path / "faces.npz", [photos], recipe_=whole_recipe(unit))
    gallery = NpzGallery(store)
    coverage = coverage_of(store)
    assert (coverage.subject, coverage.faces, coverage.photos) == ("photo", 7, 7)
    assert coverage.without_face == 0
    row = WholePhotoEmbedder(unit).result(photos / "blue" / "2.png").embeddings
    near = gallery.search(row, ["q"], Search(None))
    assert len(near) == 6
    assert (near[0].relative_path, near[0].distance) == ("blue/2.png", 0.0)
    assert {line.face for line in near} == {line.box for line in near} == {None}
    assert all(line.id.endswith("-1") for line in near)
    similarities = [line.similarity for line in near]
    assert similarities[0] == (1.0 if unit else None)
    assert (None in similarities) != unit
    assert [line.also for line in near if "red" in line.path and line.also] == []
    both = [line for line in near if line.also]
    assert [line.relative_path for line in both] == ["copy.png"]
    by_face = gallery.search(row, ["q"], Search(None, "face"))
    assert by_face == near


def test_long_rows_are_found_as_by_definition(tmp_path):
    """Squares of distances are in the tens of millions here, and some differ by very little."""
    random = np.random.default_rng(3)
    rows = (random.normal(size=(300, 128)) * 500 + 3000).astype(np.float32)
    rows[100:140] = rows[7] + random.normal(size=(40, 128)).astype(np.float32) * 1e-3
    made = whole_recipe(unit=False)
    with StoreWriter.open(tmp_path / "faces.npz", made) as writer:
        writer.set_roots([Root("/photos", "photos")])
        for number, row in enumerate(rows):
            digest = number.to_bytes(2, "big") * 16
            facts = PhotoFacts(digest, digest[:16], 100, 80, 1.0)
            (item,) = WholePhotoEmbedder(False).detect(None)
            result = PhotoResult(digest, facts, (item,), row[None])
            writer.put((0, PhotoEntry(f"{number:03}", 1, 1)), result)
        writer.finish()
        store = writer.store
    gallery = NpzGallery(store)
    for k in (1, 5, 30, None):
        near = gallery.search(rows[7][None], ["q"], Search(k))
        true = np.sqrt(np.square(rows.astype(np.float64) - rows[7]).sum(axis=1))
        order = sorted(range(300), key=lambda row: (true[row], f"{row:03}"))[:k]
        assert [int(line.relative_path) for line in near] == order
    far = float(np.median(true))
    within = gallery.search(rows[7][None], ["q"], Search(None, where=Where(max_distance=far)))
    assert len(within) == int((true <= far).sum())


@pytest.mark.parametrize(("made", "said"), [(recipe(), ((40, 1),)), (whole_recipe(), ())])
def test_small_faces_are_told_of_where_faces_are_looked_for(tmp_path, made, said):
    with StoreWriter.open(tmp_path / "faces.npz", made) as writer:
        writer.set_roots([Root("/photos", "photos")])
        facts = PhotoFacts(b"a" * 32, b"a" * 16, 8000, 4000, 0.25)
        none = np.zeros((0, 128), np.float32)
        writer.put((0, PhotoEntry("a", 1, 1)), PhotoResult(b"a" * 32, facts, (), none))
        writer.finish()
        store = writer.store
    assert small_faces(store, (40, 4000)) == said
