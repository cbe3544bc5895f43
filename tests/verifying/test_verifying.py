"""Two photos, a face of each: same or different, at which distance, and what is known of it."""

from __future__ import annotations

import dataclasses
import math

import pytest

from facesearch.calibration import find_calibration
from facesearch.errors import ModelError, UsageError
from facesearch.index_options import recipe_of
from facesearch.records import Bound, Box
from facesearch.verifying import VerifyOptions, bound_of, verify
from small_store import (
    BLUE,
    GREEN,
    MIDDLE,
    RED,
    ColorEmbedder,
    draw,
    recipe,
    small_calibration,
)


@pytest.fixture(autouse=True)
def calibrated(monkeypatch):
    """Distances between colours are calibrated: 1e-4 at 0, 1e-2 at 0.1."""
    monkeypatch.setattr("facesearch.calibration.find_calibration", small_calibration)


@pytest.fixture
def uncalibrated(monkeypatch):
    monkeypatch.setattr("facesearch.calibration.find_calibration", lambda space: None)


@pytest.fixture
def photos(tmp_path):
    """Red, nearly the same red, green, a crowd of green, red (large) and blue, nobody."""
    near = (RED[0], RED[1] + 2, RED[2])
    crowd = {GREEN: (5, 2, 12, 12), RED: (40, 30, 40, 40), BLUE: (90, 80, 14, 14)}
    return {
        "red": str(draw(tmp_path / "red.png", {RED: MIDDLE})),
        "near": str(draw(tmp_path / "near.png", {near: MIDDLE})),
        "green": str(draw(tmp_path / "green.png", {GREEN: MIDDLE})),
        "crowd": str(draw(tmp_path / "crowd.png", crowd)),
        "none": str(draw(tmp_path / "none.png", {})),
        "missing": str(tmp_path / "missing.png"),
    }


def compared(photos, first, second, embedder=None, **options):
    a, b = photos[first], photos[second]
    asked = VerifyOptions(**options)
    return verify(embedder or ColorEmbedder(), recipe(), (a, a), (b, b), asked)


def test_near_is_the_same_person_and_far_is_not(photos):
    near, far = compared(photos, "red", "near"), compared(photos, "red", "green")
    assert near.same is True
    assert far.same is False
    assert 0 < near.distance < near.bound.max_distance < far.distance
    assert near.similarity == pytest.approx(1 - near.distance**2 / 2)
    assert near.probability > 0.95 > far.probability
    assert near.fmr < 1e-3 < far.fmr
    assert [query.face for query in (near.first, near.second)] == [1, 1]
    assert near.first.faces[0].box == Box(*map(float, MIDDLE))
    assert near.notes == ()


def test_the_order_of_the_photos_changes_nothing(photos):
    there, back = compared(photos, "red", "near"), compared(photos, "near", "red")
    assert there.distance == back.distance
    assert (there.first, there.second) == (back.second, back.first)


def test_the_default_rate_is_one_in_a_thousand():
    bound = bound_of(recipe(), VerifyOptions())
    assert bound == Bound(pytest.approx(0.05), 1e-3, pytest.approx(1e-4))
    assert bound.counted
    assert bound_of(recipe(), VerifyOptions(fmr=1e-2)).max_distance == pytest.approx(0.1)


def test_the_limit_itself_is_the_same_person(photos):
    distance = compared(photos, "red", "near").distance
    assert compared(photos, "red", "near", max_distance=distance).same is True
    below = math.nextafter(distance, 0)
    assert compared(photos, "red", "near", max_distance=below).same is False


def test_a_distance_that_is_given_has_the_rate_that_the_table_says(photos):
    verdict = compared(photos, "red", "green", max_distance=0.5)
    assert verdict.bound.max_distance == 0.5
    assert verdict.bound.fmr == pytest.approx(0.1)


def test_without_calibration_a_distance_is_needed_and_no_rate_is_said(photos, uncalibrated):
    with pytest.raises(UsageError, match=r"not calibrated.*--max-distance D"):
        compared(photos, "red", "near")
    verdict = compared(photos, "red", "near", max_distance=0.3)
    assert verdict.same is True
    assert verdict.fmr is verdict.probability is verdict.bound.fmr is None
    assert not verdict.bound.counted


def test_a_rate_below_what_was_counted_is_said_to_be_fitted(photos, monkeypatch):
    partly = dataclasses.replace(small_calibration(), counted_from=0.1)
    monkeypatch.setattr("facesearch.calibration.find_calibration", lambda space: partly)
    verdict = compared(photos, "red", "near", fmr=1e-3)
    assert not verdict.bound.counted
    assert verdict.bound.least_counted == pytest.approx(1e-2)
    assert "below 1.0e-02 are a line fitted" in verdict.notes[0]
    counted = compared(photos, "red", "near", fmr=1e-2)
    assert counted.bound.counted
    assert counted.notes == ()


def test_a_rate_that_the_table_does_not_reach_is_refused(photos):
    with pytest.raises(UsageError, match=r"--fmr 1e-05: nothing is known.*least is 1\.0e-04"):
        compared(photos, "red", "near", fmr=1e-5)


def test_the_most_prominent_face_is_taken_and_another_can_be_chosen(photos):
    taken = compared(photos, "crowd", "red")
    assert taken.first.face == 2
    assert taken.same is True
    assert "3 faces, compared face 2, the most prominent; --face-a N" in taken.notes[0]
    chosen = compared(photos, "green", "crowd", faces=(None, 1))
    assert chosen.second.face == 1
    assert chosen.same is True
    assert chosen.notes == ()
    assert len(chosen.second.faces) == 3


def test_a_box_stands_in_for_detection(photos):
    verdict = compared(photos, "none", "red", boxes=(Box(10, 10, 20, 20), None))
    assert verdict.error is None
    assert verdict.first.face == 0
    with pytest.raises(UsageError, match="outside the photo"):
        compared(photos, "none", "red", boxes=(Box(500, 500, 20, 20), None))


def test_no_face_and_no_photo_are_the_verdict_s_error(photos):
    first, second = compared(photos, "none", "red"), compared(photos, "red", "none")
    assert first.error.code == second.error.code == "no-face"
    assert "none.png: no face found; say where it is with --box-a" in first.error.message
    assert "--box-b" in second.error.message
    assert first.same is first.distance is None
    assert compared(photos, "red", "missing").error.code == "vanished"
    beyond = compared(photos, "crowd", "red", faces=(4, None))
    assert beyond.error.code == "no-face"
    assert "there is no face 4; it has 3 faces, numbered 1 to 3" in beyond.error.message


def test_a_network_that_fails_is_no_photo_without_a_face(photos, monkeypatch):
    def fail(self, photo, faces):
        raise ModelError("out of memory")

    monkeypatch.setattr(ColorEmbedder, "embed", fail)
    assert compared(photos, "red", "near").error.code == "model-error"


def test_equal_bytes_are_told(photos):
    assert compared(photos, "red", "red").notes == ("both photos have the same bytes",)


@pytest.mark.parametrize(
    "options",
    [
        {"fmr": 1e-3, "max_distance": 0.5},
        {"fmr": 0.0},
        {"fmr": 1.0},
        {"fmr": math.nan},
        {"max_distance": -0.1},
        {"max_distance": math.nan},
        {"faces": (0, None)},
        {"faces": (None, -1)},
        {"faces": (1, None), "boxes": (Box(0, 0, 9, 9), None)},
    ],
)
def test_what_cannot_be_meant_is_refused(options):
    with pytest.raises(UsageError):
        VerifyOptions(**options)


@pytest.mark.parametrize("system", ["facenet", "facenet-best", "mtcnn-facenet"])
def test_the_real_tables_have_the_default_rate_counted(system, monkeypatch):
    monkeypatch.setattr("facesearch.calibration.find_calibration", find_calibration)
    bound = bound_of(recipe_of(system), VerifyOptions())
    assert bound.counted
    assert bound.least_counted < 5e-5
    assert bound.max_distance == pytest.approx(1.0, abs=0.01)
    assert not bound_of(recipe_of(system), VerifyOptions(fmr=1e-6)).counted
