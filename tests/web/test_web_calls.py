"""The calls that read: what the store holds, faces, neighbours, photos."""

from __future__ import annotations

import base64
import io
import json
import os
import zipfile

import pytest
from asking import code_of, photo_of
from PIL import Image

from facesearch import api
from small_store import BLUE, GREEN, MIDDLE, RED, draw, enroll, row_of, whole_recipe


def names(answer) -> list[str]:
    return [neighbor["relative_path"] for neighbor in answer.json()["neighbors"]]


def search(client, **fields):
    return client.post("/api/search", json=fields)


def test_it_says_that_it_is_alive_to_everybody(client):
    answer = client.get("/healthz", headers={"Authorization": ""})
    assert answer.status_code == 200
    assert answer.json()["status"] == "ok"


def test_what_the_store_holds(client, store, photos):
    facts = client.get("/api/store").json()
    assert (facts["name"], facts["photos"], facts["faces"]) == ("faces.npz", 9, 10)
    assert (facts["without_face"], facts["failed"], facts["subject"]) == (1, 1, "face")
    assert facts["roots"] == [{"path": str(photos), "state": "there", "photos": 11}]
    assert facts["may_index"] == [str(photos)]
    assert facts["indexing"] is None
    assert facts["calibrated"]
    assert 0 < facts["cuts"]["likely"] < facts["cuts"]["possible"] < 2


def test_cuts_are_where_the_bands_end(client):
    cuts = client.get("/api/store").json()["cuts"]
    found = search(client, embedding=row_of(RED).tolist(), k=100).json()["neighbors"]
    for neighbor in found:
        far = neighbor["distance"]
        band = "likely" if far <= cuts["likely"] else "possible"
        assert neighbor["band"] == (band if far <= cuts["possible"] else "unlikely")


def test_a_folder_that_is_away_is_said_to_be(client, photos):
    photos.rename(photos.with_name("elsewhere"))
    assert client.get("/api/store").json()["roots"][0]["state"] == "away"


def test_failures_are_told_page_by_page(client, photos):
    page = client.get("/api/failures", params={"limit": 5}).json()
    assert page["total"] == 1
    assert page["items"][0]["path"] == str(photos / "broken.jpg")
    assert page["items"][0]["reason"] == "not-a-photo"
    assert client.get("/api/failures", params={"offset": 1}).json()["items"] == []


def test_the_faces_of_a_photo(client, tmp_path):
    asked = photo_of(tmp_path, RED, BLUE)
    answer = client.post("/api/faces", files={"photo": ("name.png", asked, "image/png")}).json()
    assert (answer["width"], answer["height"]) == (130, 60)
    assert [face["number"] for face in answer["faces"]] == [1, 2]
    assert answer["faces"][1]["box"] == [45, 10, 30, 30]
    assert answer["prominent"] == 2
    assert answer["photo"]


@pytest.mark.parametrize("way", ["raw", "base64", "data address"])
def test_a_photo_may_come_in_several_ways(client, tmp_path, way):
    asked = photo_of(tmp_path, RED)
    if way == "raw":
        answer = client.post("/api/faces", content=asked, headers={"Content-Type": "image/png"})
    else:
        text = base64.b64encode(asked).decode()
        text = f"data:image/png;base64,{text}" if way == "data address" else text
        answer = client.post("/api/faces", json={"photo": text})
    assert len(answer.json()["faces"]) == 1


def test_a_photo_without_a_face_has_none(client, tmp_path):
    answer = client.post("/api/faces", files={"photo": photo_of(tmp_path)}).json()
    assert (answer["faces"], answer["prominent"]) == ([], None)
    refused = search(client, token=answer["photo"])
    assert (refused.status_code, code_of(refused)) == (422, "no-face")


def test_a_search_by_photo_answers_as_the_command_does(client, tmp_path, store):
    asked = photo_of(tmp_path, RED)
    answer = client.post("/api/search", files={"photo": asked}, data={"k": "3"})
    assert names(answer) == ["red/one.png", "both.png", "red/two.png"]
    found, known = answer.json(), api.open(store).query(asked, 3)
    assert found["schema"] == 1
    assert found["store"]["path"] == str(store)
    assert [each["distance"] for each in found["neighbors"]] == [
        round(each.distance, 6) for each in known.neighbors
    ]
    assert [each["id"] for each in found["neighbors"]] == [each.id for each in known.neighbors]
    assert (found["query"]["face"], found["searched"]) == (1, 10)


def test_a_token_stands_for_the_photo_that_was_sent(client, tmp_path):
    asked = photo_of(tmp_path, RED, BLUE)
    token = client.post("/api/faces", files={"photo": asked}).json()["photo"]
    assert names(search(client, token=token, face=1, k=1)) == ["red/one.png"]
    assert names(search(client, token=token, face=2, k=1)) == ["blue/one.png"]
    assert names(search(client, token=token, box=[45, 10, 30, 30], k=1)) == ["blue/one.png"]


def test_a_photo_is_embedded_once_however_many_pages_follow(client, tmp_path, monkeypatch):
    token = client.post("/api/faces", files={"photo": photo_of(tmp_path, RED)}).json()["photo"]
    embedder = client.app.state.room.service.now().opened.embedder
    embed, calls = type(embedder).embed, []
    monkeypatch.setattr(
        type(embedder), "embed", lambda self, *args: calls.append(1) or embed(self, *args)
    )
    for offset in range(5):
        assert search(client, token=token, k=1, offset=offset).status_code == 200
    assert len(calls) == 1


def test_a_photo_that_was_sent_is_shown_by_its_token(client, tmp_path):
    sent = photo_of(tmp_path, RED, GREEN)
    facts = client.post("/api/faces", files={"photo": sent}).json()
    token = facts["photo"]
    again = client.get(f"/api/faces/{token}", headers={"Accept": "application/json"})
    assert again.json() == facts
    answer = client.get(f"/api/faces/{token}", params={"side": 65})
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["cache-control"] == "private, no-store"
    assert Image.open(io.BytesIO(answer.content)).size == (65, 30)
    gone = client.get("/api/faces/another")
    assert (gone.status_code, code_of(gone)) == (404, "photo-gone")


def test_a_token_that_is_gone_is_said_to_be(serving, tmp_path):
    client = serving(kept_bytes=30_000)  # one photo of 90 x 60 takes 20 kB
    first, second = (
        client.post("/api/faces", files={"photo": photo_of(tmp_path, color)}).json()["photo"]
        for color in (RED, BLUE)
    )
    gone = search(client, token=first)
    assert (gone.status_code, code_of(gone)) == (404, "photo-gone")
    assert search(client, token=second).status_code == 200


def test_a_search_by_embedding(client):
    row = (7 * row_of(BLUE)).tolist()  # of any length
    assert names(search(client, embedding=row, k=2)) == ["blue/one.png", "blue/two.png"]


@pytest.mark.parametrize("row", [[1.0], [0.0] * 128, [1e308] * 128])
def test_an_embedding_that_does_not_fit_is_refused(client, row):
    answer = search(client, embedding=row)
    assert (answer.status_code, code_of(answer)) == (400, "bad-request")


def test_a_search_by_a_face_of_the_store(client, photos):
    first = search(client, embedding=row_of(GREEN).tolist(), k=1).json()["neighbors"][0]
    again = search(client, id=first["id"], k=3)
    assert names(again)[0] == first["relative_path"]
    assert again.json()["neighbors"][0]["distance"] == 0
    assert again.json()["query"]["path"] == first["path"]
    assert again.json()["query"]["face"] == first["face"]
    assert search(client, id="0123456789abcdef-1").status_code == 404


def test_pages_together_are_the_whole_answer(client):
    row = row_of(RED).tolist()
    whole = search(client, embedding=row, k=100).json()
    assert (len(whole["neighbors"]), whole["total"], whole["next"]) == (9, 9, None)
    pages, offset = [], 0
    while offset is not None:
        page = search(client, embedding=row, k=2, offset=offset).json()
        assert page["total"] == 9
        pages += page["neighbors"]
        offset = page["next"]
    assert pages == whole["neighbors"]
    beyond = search(client, embedding=row, k=2, offset=50).json()
    assert (beyond["neighbors"], beyond["next"], beyond["total"]) == ([], None, 9)


def test_faces_are_counted_where_that_is_asked(client):
    row = row_of(RED).tolist()
    page = search(client, embedding=row, k=4, by="face").json()
    assert (page["total"], page["next"]) == (10, 4)


def test_nothing_comes_from_beyond_the_largest_distance(client):
    row = row_of(RED).tolist()
    answer = search(client, embedding=row, max_distance=0.1).json()
    assert {each["relative_path"] for each in answer["neighbors"]} == {
        "both.png",
        "red/one.png",
        "red/two.png",
    }
    assert (answer["total"], answer["next"]) == (3, None)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"token": "x", "id": "0123456789abcdef-1"},
        {"id": "../../etc/passwd"},
        {"embedding": [1.0] * 128, "face": 1},
        {"token": "x", "k": 0},
        {"token": "x", "k": 100_000},
        {"token": "x", "offset": -1},
        {"token": "x", "max_distance": -1},
        {"token": "x", "max_distance": "NaN"},
        {"token": "x", "unknown": 1},
        {"token": "x", "box": [1, 2, 3]},
        {"photo": "no base64!"},
        {"photo": 3},
    ],
)
def test_what_cannot_be_meant_is_refused(client, fields):
    answer = search(client, **fields)
    assert (answer.status_code, code_of(answer)) == (400, "bad-request")


def test_a_box_and_a_face_together_are_refused_and_so_is_a_box_outside(client, tmp_path):
    token = client.post("/api/faces", files={"photo": photo_of(tmp_path, RED)}).json()["photo"]
    both = search(client, token=token, face=1, box=[1, 1, 9, 9])
    outside = search(client, token=token, box=[900, 900, 9, 9])
    assert [both.status_code, outside.status_code] == [400, 400]
    assert search(client, token=token, face=2).status_code == 422


def test_a_box_may_be_written_in_a_form(client, tmp_path):
    asked = photo_of(tmp_path, RED, BLUE)
    for box in ("45,10,30,30", "[45, 10, 30, 30]"):
        answer = client.post("/api/search", files={"photo": asked}, data={"box": box, "k": "1"})
        assert names(answer) == ["blue/one.png"]


def test_two_photos_are_verified(client, tmp_path):
    red, blue = photo_of(tmp_path, RED), photo_of(tmp_path, BLUE)
    same = client.post("/api/verify", files={"a": red, "b": red}).json()
    assert same["same"] and same["distance"] == 0
    other = client.post("/api/verify", files={"a": red, "b": blue}, data={"max_distance": "0.2"})
    assert other.json()["same"] is False
    nobody = client.post("/api/verify", files={"a": red, "b": photo_of(tmp_path)})
    assert (nobody.status_code, code_of(nobody)) == (422, "no-face")
    assert client.post("/api/verify", files={"a": red}).status_code == 400


def photo_id(client, name: str) -> str:
    """The id of a photo of the store by its relative path."""
    found = search(client, embedding=row_of(RED).tolist(), k=100).json()["neighbors"]
    (known,) = (each for each in found if each["relative_path"] == name)
    return known["photo"]


def test_a_photo_is_shown_upright_and_no_larger_than_asked(client, tmp_path, store, photos):
    turned = Image.new("RGB", (400, 200), "white")
    turned.paste(RED, (30, 20, 100, 90))
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010F] = "camera"
    turned.save(photos / "turned.png", exif=exif)
    enroll(store, [photos])
    answer = client.get(f"/api/photos/{photo_id(client, 'turned.png')}", params={"side": 100})
    assert answer.headers["content-type"] == "image/jpeg"
    picture = Image.open(io.BytesIO(answer.content))
    assert picture.size == (50, 100)
    assert not picture.getexif()


def test_the_file_itself_comes_as_an_attachment(client, photos):
    asked = photo_id(client, "both.png")
    answer = client.get(f"/api/photos/{asked}", params={"original": "1"})
    assert answer.content == (photos / "both.png").read_bytes()
    assert answer.headers["content-disposition"] == 'attachment; filename="both.png"'
    assert answer.headers["content-type"] == "image/png"


def test_what_is_known_of_a_photo(client, photos):
    asked = photo_id(client, "both.png")
    facts = client.get(f"/api/photos/{asked}", headers={"Accept": "application/json"}).json()
    assert facts["paths"] == [str(photos / "both.png")]
    assert (facts["width"], facts["height"]) == (120, 100)
    assert [face["box"] for face in facts["faces"]] == [[5, 5, 30, 30], [60, 5, 30, 30]]
    assert facts["faces"][1]["id"] == f"{asked}-2"


def test_a_face_is_cut_out_and_not_sent_twice(client):
    address = f"/api/photos/{photo_id(client, 'both.png')}/faces/2"
    first = client.get(address, params={"side": 32})
    picture = Image.open(io.BytesIO(first.content))
    assert picture.size == (32, 32)
    red, green, _ = picture.getpixel((16, 16))
    assert red > 150 > green
    again = client.get(
        address, params={"side": 32}, headers={"If-None-Match": first.headers["etag"]}
    )
    assert (again.status_code, again.content) == (304, b"")
    assert first.headers["cache-control"] == "private, no-cache"
    whole = client.get(address.partition("/faces")[0])
    assert whole.headers["cache-control"] == "private, no-store"
    other = client.get(
        address, params={"side": 64}, headers={"If-None-Match": first.headers["etag"]}
    )
    assert other.status_code == 200
    assert client.get(address.replace("faces/2", "faces/3")).status_code == 404


def test_several_photos_come_in_one_archive_whatever_their_names(client, photos):
    wanted = ["red/one.png", "blue/one.png", "both.png"]
    (photos / "both.png").unlink()
    asked = [photo_id(client, name) for name in wanted]
    answer = client.post("/api/zip", json={"photos": [*asked, asked[0]]})
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    assert archive.testzip() is None
    assert archive.namelist() == ["one.png", "one (2).png", "not included.txt"]
    assert archive.read("one.png") == (photos / "red/one.png").read_bytes()
    assert archive.read("one (2).png") == (photos / "blue/one.png").read_bytes()
    assert b"both.png" in archive.read("not included.txt")
    missing = client.post("/api/zip", json={"photos": ["0123456789abcdef"]})
    assert missing.status_code == 404


@pytest.mark.skipif(os.name == "nt", reason="names are text there")
def test_names_that_are_no_text_are_told(client, photos, store):
    draw(photos / "red" / os.fsdecode(b"odd\xff.png"), {RED: MIDDLE}, note=9)
    enroll(store, [photos])
    answer = search(client, embedding=row_of(RED).tolist())
    assert any("\udcff" in each["path"] for each in answer.json()["neighbors"])


def test_a_store_of_whole_photos_is_searched_by_whole_photos(serving, photos, tmp_path):
    other = tmp_path / "whole.npz"
    enroll(other, [photos], recipe_=whole_recipe())
    client = serving(api.open(other))
    asked = (photos / "red" / "one.png").read_bytes()
    answer = client.post("/api/search", files={"photo": asked}, data={"k": "1"})
    assert names(answer) == ["red/one.png"]
    first = answer.json()["neighbors"][0]
    assert client.get(f"/api/photos/{first['photo']}/faces/1").status_code == 200
    assert search(client, id=first["id"], k=1).json()["neighbors"][0]["distance"] == 0
    refused = client.post("/api/search", files={"photo": asked}, data={"face": "1"})
    assert refused.status_code == 400


def test_the_interface_describes_itself_with_nothing_from_elsewhere(client):
    described = client.get("/openapi.json").json()
    assert {"/api/search", "/api/faces", "/api/photos/{photo_id}"} <= set(described["paths"])
    page = client.get("/docs")
    assert "/api/search" in page.text and "max_distance" in page.text
    assert "list of number" in page.text and "a file" in page.text and "base64 text" in page.text
    assert "list of list" not in page.text and "anything" not in page.text
    for text in (page.text, client.get("/").text, json.dumps(described)):
        assert "http://" not in text.replace("http://json-schema.org", "")
        assert "https://" not in text
