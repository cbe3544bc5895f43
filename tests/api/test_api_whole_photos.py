"""The library's front on a store of whole photos, and with a false match rate."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import facesearch
from facesearch.errors import UsageError
from small_store import (
    BLUE,
    GREEN,
    MIDDLE,
    RED,
    draw,
    embedder_of,
    enroll,
    small_calibration,
    whole_recipe,
)


@pytest.fixture(autouse=True)
def colors(monkeypatch):
    monkeypatch.setattr("facesearch.processing.Pipeline", embedder_of)
    monkeypatch.setattr("facesearch.processing.make_ready", lambda *names: None)


@pytest.fixture
def photos(tmp_path) -> Path:
    for name, color in {"red": RED, "green": GREEN, "blue": BLUE}.items():
        draw(tmp_path / "photos" / f"{name}.png", {color: MIDDLE})
    return tmp_path / "photos"


@pytest.mark.parametrize("unit", [True, False])
def test_whole_photos(photos, tmp_path, unit):
    enroll(tmp_path / "whole.npz", [photos], recipe_=whole_recipe(unit))
    gallery = facesearch.open(tmp_path / "whole.npz")
    found = gallery.query(photos / "green.png", k=2)
    assert Path(found.neighbors[0].path).stem == "green"
    assert found.query.face is None
    rows = gallery.embed(photos / "green.png")
    assert rows.shape == (1, 128)
    by_row = gallery.query(rows[0], k=2)
    # A row that is not of unit length is taken as it is.
    assert [near.distance for near in by_row.neighbors] == pytest.approx(
        [near.distance for near in found.neighbors], abs=1e-5
    )
    assert by_row.searched == found.searched == 3
    for options in ({"face": 1}, {"box": (1, 2, 3, 4)}):
        with pytest.raises(UsageError, match="compares whole photos"):
            gallery.query(photos / "green.png", **options)
    with pytest.raises(UsageError, match="compares whole photos"):
        gallery.query_faces(photos / "green.png")
    with pytest.raises(UsageError, match="not all zero"):
        gallery.query(np.zeros(128))


def test_a_false_match_rate(photos, tmp_path, monkeypatch):
    enroll(tmp_path / "faces.npz", [photos])
    monkeypatch.setattr("facesearch.calibration.find_calibration", small_calibration)
    gallery = facesearch.open(tmp_path / "faces.npz")
    (near,) = gallery.query(photos / "red.png", fmr=1e-2).neighbors
    assert (near.band, near.expected_false_matches) == ("likely", pytest.approx(3e-4))
    by_row = gallery.query(gallery.embed(photos / "red.png")[0], fmr=1e-2)
    assert [found.path for found in by_row.neighbors] == [near.path]
    with pytest.raises(UsageError, match="exclude each other"):
        gallery.query(photos / "red.png", fmr=1e-2, max_distance=1.0)
