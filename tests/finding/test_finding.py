"""The faces on photos, one after the other, whatever becomes of each."""

from __future__ import annotations

import hashlib

import pytest

from facesearch.errors import ModelError, UsageError
from facesearch.finding import find_faces, finder_for
from facesearch.index_options import IndexOptions, looking_spec
from facesearch.processing import FaceFinder, PhotoTask
from facesearch.records import Box, Face
from facesearch.runtimes import Fetch
from small_store import GREEN, MIDDLE, RED, draw


class Colors:
    """A detector of coloured rectangles on white; ``failing`` it fails."""

    def __init__(self, failing: bool = False) -> None:
        self.failing = failing

    def detect(self, pixels, min_face):
        if self.failing:
            raise ModelError("out of memory")
        found = []
        for color in (RED, GREEN):
            ys, xs = (pixels == color).all(axis=2).nonzero()
            if len(xs):
                sides = (xs[0], ys[0], xs[-1] - xs[0] + 1, ys[-1] - ys[0] + 1)
                found.append(Face(Box(*map(float, sides)), (), 0.9))
        return found


@pytest.fixture
def loaded(monkeypatch):
    """The detectors that were loaded, and the networks that were brought."""
    calls: dict[str, list] = {"detectors": [], "brought": []}

    def load(options, runtime):
        calls["detectors"].append(options)
        return Colors(failing=options.min_face == 99)

    monkeypatch.setattr("facesearch.processing.load_detector", load)
    monkeypatch.setattr(
        "facesearch.processing.make_ready", lambda names, *_: calls["brought"].append(names)
    )
    return calls


def finder(**options) -> FaceFinder:
    return finder_for(IndexOptions(**options), Fetch(offline=True))


def test_all_that_is_known_of_each_face(loaded, tmp_path):
    photo = draw(tmp_path / "two.png", {RED: MIDDLE, GREEN: (80, 60, 20, 30)})
    (found,) = find_faces(finder(), [(str(photo), str(photo))])
    assert [face.box for face in found.faces] == [Box(30, 20, 40, 40), Box(80, 60, 20, 30)]
    assert (found.width, found.height) == (120, 100)
    assert found.content == hashlib.sha256(photo.read_bytes()).hexdigest()
    assert all(face.sharpness > 0 for face in found.faces)
    assert found.error is None


def test_only_the_detector_is_brought_and_loaded_once(loaded, tmp_path):
    photo = str(draw(tmp_path / "one.png", {RED: MIDDLE}))
    ours = finder()
    assert loaded == {"detectors": [], "brought": []}
    assert len(list(find_faces(ours, [(photo, photo)] * 3))) == 3
    assert loaded["brought"] == [("mtcnn-pnet", "mtcnn-rnet", "mtcnn-onet")]
    assert len(loaded["detectors"]) == 1


def test_a_bad_photo_stops_nothing(loaded, tmp_path):
    good, bad = draw(tmp_path / "good.png", {RED: MIDDLE}), tmp_path / "bad.jpg"
    bad.write_bytes(b"\xff\xd8\xffnothing")
    names = [str(bad), str(tmp_path / "gone.png"), str(good)]
    seen: list[str] = []
    found = list(
        find_faces(finder(), [(n, n) for n in names], lambda _, each: seen.append(each.path))
    )
    assert [each.path for each in found] == names
    assert [len(each.faces) for each in found] == [0, 0, 1]
    assert found[0].error.code in ("truncated", "damaged")
    assert found[1].error.code == "vanished"
    assert seen == [str(good)]


def test_a_network_that_fails_is_no_photo_without_a_face(loaded, tmp_path):
    photo = str(draw(tmp_path / "one.png", {RED: MIDDLE}))
    (found,) = find_faces(finder(min_face=99), [(photo, photo)])
    assert found.error.code == "model-error"
    assert photo in found.error.message


def test_a_system_without_a_detector_is_refused(loaded):
    with pytest.raises(UsageError, match="vgg16-l2 takes whole photos"):
        finder(system="vgg16-l2")


@pytest.mark.weights
def test_the_same_faces_and_sharpness_as_index(samples):
    photos = sorted((samples / "val" / "madonna").iterdir())
    pipeline = looking_spec(IndexOptions())()
    tasks = [PhotoTask(number, str(photo)) for number, photo in enumerate(photos)]
    indexed = [result.faces for result in pipeline.process(tasks)]
    ours = finder_for(IndexOptions(offline=True), Fetch(offline=True))
    found = [
        each.faces for each in find_faces(ours, [(str(photo), str(photo)) for photo in photos])
    ]
    assert found == indexed
    assert all(len(face.landmarks) == 5 for faces in found for face in faces)
    assert sum(map(len, found)) >= len(photos)
