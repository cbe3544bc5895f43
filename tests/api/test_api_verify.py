"""``facesearch.verify`` and ``facesearch.find_faces`` as a Python program calls them."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

import facesearch
from facesearch.errors import NoFaceError, PhotoError, UsageError
from facesearch.records import Photo, PhotoFacts
from small_store import GREEN, MIDDLE, RED, ColorEmbedder, draw, small_calibration


class Colors:
    def detect(self, pixels, min_face):
        facts = PhotoFacts(b"", b"", pixels.shape[1], pixels.shape[0], 1.0)
        return ColorEmbedder().detect(Photo(pixels, facts))


@pytest.fixture(autouse=True)
def loaded(monkeypatch):
    """Colours in place of networks; the specs that they were loaded from."""
    specs = []

    def load(spec):
        specs.append(spec)
        return ColorEmbedder()

    monkeypatch.setattr("facesearch.processing.Pipeline", load)
    monkeypatch.setattr("facesearch.processing.load_detector", lambda *_: Colors())
    monkeypatch.setattr("facesearch.processing.make_ready", lambda *names: None)
    monkeypatch.setattr("facesearch.calibration.find_calibration", small_calibration)
    return specs


@pytest.fixture
def red(tmp_path):
    return draw(tmp_path / "red.png", {RED: MIDDLE})


@pytest.fixture
def green(tmp_path):
    return draw(tmp_path / "green.png", {GREEN: MIDDLE})


def test_every_kind_of_photo(red, green, capfd):
    image = Image.open(red)
    kinds = [red, str(red), red.read_bytes(), image, np.asarray(image)]
    for kind in kinds:
        assert facesearch.verify(red, kind).same is True
        assert facesearch.verify(kind, green).same is False
        assert len(facesearch.find_faces(kind).faces) == 1
    assert (
        facesearch.verify(io.BytesIO(red.read_bytes()), io.BytesIO(green.read_bytes())).same
        is False
    )
    assert capfd.readouterr() == ("", "")


def test_errors_are_raised(tmp_path, red):
    none = draw(tmp_path / "none.png", {})
    with pytest.raises(NoFaceError):
        facesearch.verify(red, none)
    with pytest.raises(PhotoError) as caught:
        facesearch.verify(tmp_path / "gone.png", red)
    assert caught.value.reason == "vanished"
    with pytest.raises(UsageError):
        facesearch.verify(red, red, fmr=2)
    assert facesearch.find_faces(none).faces == ()
    with pytest.raises(PhotoError):
        facesearch.find_faces(tmp_path / "gone.png")


def test_many_pairs_load_the_networks_once_and_in_threads(red, green, loaded):
    verifier = facesearch.Verifier(facesearch.IndexOptions(precision="float32"))
    assert not loaded
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda photo: verifier.verify(red, photo).same, [red, green] * 4))
    assert found == [True, False] * 4
    assert [spec.runtime.precision for spec in loaded] == ["float32"]


def test_the_system_reaches_the_networks(red, loaded):
    look = facesearch.IndexOptions(system="facenet-best", min_score=0.5)
    verdict = facesearch.verify(red, red, look, fmr=1e-2)
    assert verdict.recipe == "facenet-best"
    assert loaded[0].recipe.name == "facenet-best"
    assert loaded[0].recipe.detector.thresholds[-1] == 0.5
    assert verdict.bound.fmr == 1e-2
