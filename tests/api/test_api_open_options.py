"""What a store is opened with reaches the networks that answer its queries."""

from __future__ import annotations

from pathlib import Path

import pytest

import facesearch
from facesearch.errors import UsageError
from facesearch.index_options import cores
from facesearch.runtimes import RuntimeOptions
from small_store import GREEN, MIDDLE, RED, ColorEmbedder, draw, enroll, recipe


@pytest.fixture
def made(monkeypatch):
    """The specs that networks were loaded from."""
    specs = []

    def load(spec):
        specs.append(spec)
        return ColorEmbedder()

    monkeypatch.setattr("facesearch.processing.Pipeline", load)
    return specs


@pytest.fixture
def readied(monkeypatch):
    """What was brought before that: names, options, how it may be fetched."""
    calls = []
    monkeypatch.setattr("facesearch.processing.make_ready", lambda *given: calls.append(given))
    return calls


@pytest.fixture
def store(tmp_path) -> Path:
    for name, color in {"red": RED, "green": GREEN}.items():
        draw(tmp_path / "photos" / f"{name}.png", {color: MIDDLE})
    enroll(tmp_path / "faces.npz", [tmp_path / "photos"])
    return tmp_path / "faces.npz"


@pytest.fixture
def photo(tmp_path) -> Path:
    return draw(tmp_path / "me.png", {GREEN: MIDDLE}, note=5)


@pytest.mark.parametrize(
    ("options", "runtime"),
    [
        ({}, RuntimeOptions("auto", "auto", cores(), "auto")),
        ({"device": "cpu"}, RuntimeOptions("auto", "cpu", cores(), "auto")),
        ({"runtime": "tensorflow"}, RuntimeOptions("tensorflow", "auto", cores(), "auto")),
        ({"precision": "int8"}, RuntimeOptions("auto", "auto", cores(), "int8")),
        (
            {"device": "gpu", "runtime": "onnx", "precision": "float32"},
            RuntimeOptions("onnx", "gpu", cores(), "float32"),
        ),
    ],
)
def test_what_runs_the_networks(store, photo, made, readied, options, runtime):
    gallery = facesearch.open(store, **options)
    assert made == readied == []
    gallery.query(photo)

    (spec,) = made
    assert (spec.runtime, spec.recipe) == (runtime, recipe())
    ((names, asked, _),) = readied
    assert asked == runtime
    assert names == ("mtcnn-pnet", "mtcnn-rnet", "mtcnn-onet", "facenet-128")


@pytest.mark.parametrize("offline", [True, False])
def test_offline_is_how_weights_are_fetched(store, photo, made, readied, offline):
    facesearch.open(store, offline=offline).query(photo)

    ((_, _, fetch),) = readied
    assert fetch.offline is offline


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"backend": "pca"}, r"choose one of: auto, sklearn, brute, "),
        ({"device": "tpu"}, "no device 'tpu'; choose one of auto, cpu, gpu$"),
        ({"runtime": "torch"}, "no runtime 'torch'; choose one of auto, onnx, tensorflow$"),
        ({"precision": "int4"}, "no precision 'int4'; choose one of auto, int8, float32$"),
        ({"runtime": "tensorflow", "precision": "int8"}, "leave out --precision int8"),
    ],
)
def test_what_cannot_be_meant(store, made, options, words):
    with pytest.raises(UsageError, match=words):
        facesearch.OpenOptions(**options)
    with pytest.raises(UsageError, match=words):
        facesearch.open(store, **options)
    assert made == []
