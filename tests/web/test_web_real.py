"""The interface with real weights and real photos."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from asking import HEADERS, HOME, KEY, code_of, events_of
from PIL import Image
from starlette.testclient import TestClient

from facesearch import api
from facesearch.web.app import make_app
from facesearch.web.options import ServeOptions

pytestmark = pytest.mark.weights


@pytest.fixture(scope="module")
def real(samples, tmp_path_factory):
    """Serves the sample photos of people, which it indexes itself."""
    store = tmp_path_factory.mktemp("real") / "faces.npz"
    api.index([samples / "train"], store)
    app = make_app(ServeOptions(KEY, allow_write=True), api.open(store, offline=True))
    with TestClient(app, base_url=HOME, headers=HEADERS) as client:
        yield client


def asked(samples: Path) -> list[Path]:
    photos = sorted((samples / "val").rglob("*.jpg"))
    assert len(photos) == 25
    return photos


def test_every_person_is_found_first(real, samples):
    for photo in asked(samples):
        answer = real.post("/api/search", files={"photo": photo.read_bytes()}, data={"k": "3"})
        first = answer.json()["neighbors"][0]
        assert Path(first["path"]).parent.name == photo.parent.name
        assert first["band"] in ("likely", "possible")


def test_a_phones_photo_lying_on_its_side(real, samples):
    """Of 12 megapixels, turned by its EXIF: boxes are those of the upright photo."""
    face = Image.open(asked(samples)[0]).convert("RGB")
    large = Image.new("RGB", (3024, 4032), "grey")
    large.paste(face.resize((1200, 1200 * face.height // face.width)), (900, 1400))
    turned = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    large.rotate(90, expand=True).save(turned, "JPEG", exif=exif, quality=90)
    answer = real.post("/api/faces", files={"photo": turned.getvalue()}).json()
    assert (answer["width"], answer["height"]) == (3024, 4032)
    x, y, width, height = answer["faces"][answer["prominent"] - 1]["box"]
    assert 900 < x + width / 2 < 2100 and 1400 < y + height / 2 < 2600
    found = real.post("/api/search", json={"token": answer["photo"], "k": 1}).json()
    assert Path(found["neighbors"][0]["path"]).parent.name == asked(samples)[0].parent.name


def test_two_photos_of_one_person_and_of_two(real, samples):
    photos = asked(samples)
    first, second, other = photos[0], photos[1], photos[-1]
    files = {"a": first.read_bytes(), "b": second.read_bytes()}
    assert real.post("/api/verify", files=files).json()["same"]
    assert not real.post("/api/verify", files=files | {"b": other.read_bytes()}).json()["same"]


def test_a_photo_under_a_key_is_the_same_face_again(real, samples):
    photo = asked(samples)[3].read_bytes()
    added = real.put("/api/photos/mine.jpg", content=photo, headers={"Content-Type": "image/jpeg"})
    assert added.json()["faces"] == 1
    found = real.post("/api/search", files={"photo": photo}, data={"k": "1"}).json()
    assert found["neighbors"][0]["photo"] == added.json()["photo"]
    assert found["neighbors"][0]["distance"] < 0.01
    crop = real.get(f"/api/photos/{added.json()['photo']}/faces/1")
    assert max(Image.open(io.BytesIO(crop.content)).size) <= 160
    assert real.delete("/api/photos/mine.jpg").json()["removed"]


def test_a_run_with_real_workers(real, samples):
    events = events_of(real.post("/api/index", json={}).text)
    assert events[-1][0] == "done"
    assert events[-1][1]["new"] == 0


def test_no_face_is_said_to_be_none(real):
    blank = io.BytesIO()
    Image.new("RGB", (600, 400), "white").save(blank, "JPEG")
    answer = real.post("/api/search", files={"photo": blank.getvalue()})
    assert (answer.status_code, code_of(answer)) == (422, "no-face")
