"""One photo under the caller's own key, by HTTP and from Python."""

from __future__ import annotations

import pytest
from asking import code_of, photo_of

from facesearch import adding, api
from facesearch.encrypting import encrypt
from facesearch.errors import PhotoError, StoreBusyError, UsageError
from facesearch.store import Store, StoreWriter
from facesearch.store.passphrases import Given, Keys, unlocking
from small_store import BLUE, RED, enroll, recipe, row_of

PURPLE = (120, 0, 120)


def nearest(gallery, color) -> str:
    return gallery.query(row_of(color), 1).neighbors[0].relative_path


def test_a_photo_is_added_found_replaced_and_removed(store, tmp_path):
    gallery = api.open(store)
    added = gallery.add(photo_of(tmp_path, PURPLE), key="anna/first.png")
    assert (added.key, added.faces) == ("anna/first.png", 1)
    assert nearest(gallery, PURPLE) == "anna/first.png"
    assert gallery.query(row_of(PURPLE), 1).neighbors[0].id == f"{added.id}-1"
    gallery.add(photo_of(tmp_path, BLUE, name="b.png"), key="anna/first.png")
    assert nearest(gallery, PURPLE) != "anna/first.png"
    assert gallery.remove("anna/first.png")
    assert not gallery.remove("anna/first.png")
    assert not (adding.folder_of(store) / "anna/first.png").exists()
    found = gallery.query(row_of(BLUE), None).neighbors
    assert "anna/first.png" not in {each.relative_path for each in found}


def test_later_runs_keep_it(store, photos, tmp_path):
    gallery = api.open(store)
    gallery.add(photo_of(tmp_path, PURPLE), key="mine")
    enroll(store, [photos, adding.folder_of(store)])
    assert nearest(gallery, PURPLE) == "mine"


def test_its_folder_is_no_second_root_where_it_lies_in_one(photos, tmp_path):
    inner = photos / "faces.npz"
    enroll(inner, [photos / ".."])
    gallery = api.open(inner)
    gallery.add(photo_of(tmp_path, PURPLE), key="mine")
    assert len(Store.open(inner).roots) == 1
    assert nearest(gallery, PURPLE).endswith("faces.npz.photos/mine")


@pytest.mark.parametrize(
    "key",
    ["", "/etc/passwd", "../x", "a/../b", "a//b", ".hidden", "a/.hidden", "a\\b", "a\0b", "a b",
     "x" * 65, "a/" * 9 + "b", "ä", "-x", "a/", "C:x"],
)  # fmt: skip
def test_keys_that_could_lead_elsewhere_are_refused(store, tmp_path, key):
    gallery = api.open(store)
    with pytest.raises(UsageError):
        gallery.add(photo_of(tmp_path, RED), key=key)
    with pytest.raises(UsageError):
        gallery.remove(key)
    assert not adding.folder_of(store).exists()


@pytest.mark.parametrize(("link", "key"), [("", "x.png"), ("out", "out/x.png"), ("a/b", "a/b/c/x")])
def test_a_link_among_them_leads_nowhere(store, tmp_path, link, key):
    elsewhere = tmp_path / "elsewhere"
    there = elsewhere / key.removeprefix(link).lstrip("/")
    there.parent.mkdir(parents=True)
    there.write_bytes(b"precious")
    place = adding.folder_of(store) / link
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(elsewhere)
    gallery = api.open(store)
    with pytest.raises(UsageError, match="link"):
        gallery.add(photo_of(tmp_path, PURPLE), key=key)
    with pytest.raises(UsageError, match="link"):
        gallery.remove(key)
    assert there.read_bytes() == b"precious"
    assert [path for path in elsewhere.rglob("*") if path.is_file()] == [there]


def test_what_is_no_photo_leaves_nothing_behind(store, tmp_path):
    gallery = api.open(store)
    gallery.add(photo_of(tmp_path, PURPLE), key="mine")
    with pytest.raises(PhotoError) as told:
        gallery.add(b"no photo", key="mine")
    assert told.value.reason == "not-a-photo"
    assert "incoming" not in str(told.value)
    assert [path.name for path in adding.folder_of(store).iterdir()] == ["mine"]
    assert nearest(gallery, PURPLE) == "mine"


def test_a_key_cannot_be_a_photo_and_a_folder(store, tmp_path):
    gallery = api.open(store)
    gallery.add(photo_of(tmp_path, PURPLE), key="anna")
    with pytest.raises(UsageError, match="choose another"):
        gallery.add(photo_of(tmp_path, RED), key="anna/first")
    gallery.add(photo_of(tmp_path, RED), key="bob/first")
    with pytest.raises(UsageError, match="choose another"):
        gallery.add(photo_of(tmp_path, RED), key="bob")


def test_another_writer_is_not_disturbed(store, tmp_path):
    gallery = api.open(store)
    with StoreWriter.open(store, recipe()), pytest.raises(StoreBusyError):
        gallery.add(photo_of(tmp_path, RED), key="mine")
    assert not (adding.folder_of(store) / "mine").exists()


def test_beside_an_encrypted_store_nothing_lies_in_plain(store, tmp_path):
    with unlocking(Keys(Given("sesame"))):
        encrypt(store)
    gallery = api.open(store, passphrase="sesame")
    with pytest.raises(UsageError, match="in plain"):
        gallery.add(photo_of(tmp_path, RED), key="mine")
    assert not adding.folder_of(store).exists()


def test_by_http_only_where_it_is_allowed(serving, tmp_path):
    client = serving()
    asked = photo_of(tmp_path, PURPLE)
    for answer in (
        client.put("/api/photos/mine", files={"photo": asked}),
        client.delete("/api/photos/mine"),
    ):
        assert (answer.status_code, code_of(answer)) == (403, "read-only")


def test_by_http(serving, store, tmp_path):
    client = serving(allow_write=True)
    asked = photo_of(tmp_path, PURPLE)
    put = client.put("/api/photos/anna/1.png", content=asked, headers={"Content-Type": "image/png"})
    assert (put.status_code, put.json()["faces"]) == (200, 1)
    found = client.post("/api/search", json={"embedding": row_of(PURPLE).tolist(), "k": 1}).json()
    assert found["neighbors"][0]["relative_path"] == "anna/1.png"
    assert found["neighbors"][0]["photo"] == put.json()["photo"]
    shown = client.get(f"/api/photos/{put.json()['photo']}", params={"original": "1"})
    assert shown.content == asked
    assert client.delete("/api/photos/anna/1.png").json()["removed"]
    assert client.delete("/api/photos/anna/1.png").status_code == 404
    for key in ("..%2f..%2fx", "%2e%2e/x", ".x", "a%00"):
        answer = client.put(f"/api/photos/{key}", files={"photo": asked})
        assert 400 <= answer.status_code < 500, key
    bad = client.put("/api/photos/bad", files={"photo": b"no photo"})
    assert (bad.status_code, code_of(bad)) == (422, "not-a-photo")
    with StoreWriter.open(store, recipe()):
        busy = client.put("/api/photos/mine", files={"photo": asked})
    assert (busy.status_code, code_of(busy)) == (503, "busy")
    assert busy.headers["retry-after"]
