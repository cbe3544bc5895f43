"""docs/http.md names every call and every status that the server has."""

from __future__ import annotations

import re

from documents import ROOT

from facesearch import api
from facesearch.web.app import make_app
from facesearch.web.options import Limits, ServeOptions
from small_store import GREEN, MIDDLE, draw, enroll

TEXT = (ROOT / "docs" / "http.md").read_text(encoding="utf-8")


def test_every_call_and_status_is_described(tmp_path):
    draw(tmp_path / "photos" / "green.png", {GREEN: MIDDLE})
    enroll(tmp_path / "faces.npz", [tmp_path / "photos"])
    app = make_app(ServeOptions("x" * 20), api.open(tmp_path / "faces.npz"))
    paths = app.openapi()["paths"]
    calls = {f"{method.upper()} {path}" for path, each in paths.items() for method in each}
    assert set(re.findall(r"^\| `([A-Z]+ /\S+)` \|", TEXT, re.MULTILINE)) == calls
    answers = paths["/api/search"]["post"]["responses"]
    described = set(re.findall(r"^\| (\d{3}) \|", TEXT, re.MULTILINE))
    assert described | {"405"} == set(answers) - {"200"}


def test_the_limits_are_those_of_the_server():
    limits = Limits()
    assert f"{limits.photo_bytes >> 20} MiB" in TEXT
    assert f"{limits.photo_pixels // 1_000_000} million pixels" in TEXT
    assert f"when {limits.waiting} wait" in TEXT
    assert limits.upload_bytes == 1 << 29
