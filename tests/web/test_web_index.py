"""Indexing while others search: shown live, cancelled, only where it is allowed."""

from __future__ import annotations

import os
import threading
import time

import pytest
from asking import code_of, events_of, photo_of

from facesearch import api, indexing, planning
from facesearch.encrypting import encrypt
from facesearch.store.passphrases import Given, Keys, unlocking
from facesearch.web.runs import Runs
from small_store import GREEN, MIDDLE, RED, ColorEmbedder, draw, enroll, row_of


class ColorFactory:
    """Makes the embedder of colours in a worker."""

    def __call__(self) -> ColorEmbedder:
        return ColorEmbedder()


@pytest.fixture
def indexed(monkeypatch):
    """Runs use colours in their workers; ``step`` is called at each step of a run."""
    steps = []
    true = indexing.index

    def index(paths, store, options, hooks):
        def progress(state):
            hooks.on_progress(state)
            for step in steps:
                step(state)

        colors = indexing.IndexHooks(progress, factory=lambda spec: ColorFactory())
        return true(paths, store, options, colors)

    monkeypatch.setattr(Runs, "__init__", _with(Runs.__init__, index))
    return steps


def _with(init, index):
    return lambda self, store: init(self, store, index)


def reds(client) -> int:
    """How many photos of red there are."""
    asked = {"embedding": row_of(RED).tolist(), "max_distance": 0.1, "k": 100}
    answer = client.post("/api/search", json=asked)
    assert answer.status_code == 200
    return len(answer.json()["neighbors"])


def test_a_run_is_shown_live_and_its_photos_are_found_at_once(indexed, serving, photos):
    client = serving()
    before = reds(client)
    draw(photos / "new" / "three.png", {RED: MIDDLE}, note=30)
    answer = client.post("/api/index", json={"folder": None})
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = events_of(answer.text)
    assert {name for name, _ in events[:-1]} == {"progress"}
    name, summary = events[-1]
    assert (name, summary["new"], summary["failed"]) == ("done", 1, 1)
    assert events[-2][1]["done"] <= events[-2][1]["total"] == 12
    assert reds(client) == before + 1
    state = client.get("/api/index").json()
    assert (state["running"], state["outcome"]["new"]) == (False, 1)


def test_searches_answer_while_a_run_goes_and_nobody_begins_another(indexed, serving, photos):
    going, go_on = threading.Event(), threading.Event()

    def wait(state) -> None:
        going.set()
        assert go_on.wait(20)

    indexed.append(wait)
    client = serving()
    before = reds(client)
    draw(photos / "new" / "three.png", {RED: MIDDLE}, note=31)
    runs = client.app.state.room.runs
    runs.begin(None)
    try:
        assert going.wait(20)
        assert reds(client) == before
        assert client.get("/api/store").json()["indexing"]["running"]
        second = client.post("/api/index", json={})
        assert (second.status_code, code_of(second)) == (409, "index-running")
        assert client.get("/api/index").json()["running"]
    finally:
        go_on.set()
    until(lambda: not runs.state().running)
    assert reds(client) == before + 1


def test_a_run_is_cancelled_and_keeps_what_it_has(indexed, serving, photos):
    client = serving()
    indexed.append(lambda state: client.app.state.room.runs.cancel())
    for number in range(40):
        draw(photos / "more" / f"{number}.png", {RED: MIDDLE}, note=40 + number)
    events = events_of(client.post("/api/index", json={}).text)
    assert events[-1][0] == "error"
    assert events[-1][1]["code"] == "cancelled"
    assert client.delete("/api/index").json() == {"cancelled": False}
    indexed.clear()
    assert events_of(client.post("/api/index", json={}).text)[-1][0] == "done"
    assert reds(client) == 43


def test_a_run_is_cancelled_while_it_looks_for_photos(serving, photos, monkeypatch):
    client = serving()
    before = client.get("/api/store").json()["photos"]
    looked_at = []

    def cancelled_at_the_second(plan, *found):
        looked_at.append(found)
        if len(looked_at) == 2:
            client.app.state.room.runs.cancel()

    monkeypatch.setattr(planning, "_compare", cancelled_at_the_second)
    name, error = events_of(client.post("/api/index", json={}).text)[-1]
    assert (name, error["code"]) == ("error", "cancelled")
    assert "nothing has changed" in error["message"]
    assert len(looked_at) == 2
    assert client.get("/api/store").json()["photos"] == before


def test_a_run_that_fails_says_why(indexed, serving, photos):
    client = serving()

    def broken(state):
        raise RuntimeError("secret of the inside")

    indexed.append(broken)
    draw(photos / "new.png", {RED: MIDDLE}, note=32)
    name, error = events_of(client.post("/api/index", json={}).text)[-1]
    assert (name, error["code"]) == ("error", "internal-error")
    assert "secret" not in str(error)


def test_only_the_folders_of_the_store_and_those_allowed_are_indexed(
    indexed, serving, photos, tmp_path
):
    allowed, other = tmp_path / "allowed", tmp_path / "other"
    draw(allowed / "in" / "a.png", {RED: MIDDLE}, note=50)
    draw(other / "b.png", {RED: MIDDLE}, note=51)
    client = serving(allow_index=(allowed,))
    refused = [
        str(other),
        "/etc",
        "/",
        str(photos / ".." / "other"),
        str(allowed) + "/../other",
        str(photos.parent),
    ]
    for folder in refused:
        answer = client.post("/api/index", json={"folder": folder})
        assert (answer.status_code, code_of(answer)) == (403, "outside-roots"), folder
    for folder in ("photos", "~", "file:///etc/../x", "s3://bucket/x", "x\0y", "ftp://a/b"):
        assert client.post("/api/index", json={"folder": folder}).status_code in (400, 403), folder
    for folder in (photos / "red", allowed / "in"):
        events = events_of(client.post("/api/index", json={"folder": str(folder)}).text)
        assert events[-1][0] == "done"
    assert reds(client) == 4


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_a_link_to_another_folder_is_not_indexed(indexed, serving, photos, tmp_path):
    draw(tmp_path / "other" / "b.png", {RED: MIDDLE}, note=52)
    (photos / "link").symlink_to(tmp_path / "other")
    client = serving()
    answer = client.post("/api/index", json={"folder": str(photos / "link")})
    assert (answer.status_code, code_of(answer)) == (403, "outside-roots")


def test_a_store_that_others_write_is_picked_up(serving, photos, store):
    client = serving()
    before = reds(client)
    draw(photos / "zz.png", {RED: MIDDLE}, note=33)
    enroll(store, [photos])
    assert reds(client) == before + 1


def test_a_store_that_is_gone_is_said_to_be_and_comes_back(serving, store):
    client = serving()
    before = reds(client)
    away = store.with_name("away.npz")
    store.rename(away)
    answer = client.get("/api/store")
    assert (answer.status_code, code_of(answer)) == (503, "store-missing")
    away.rename(store)
    assert reds(client) == before


@pytest.mark.parametrize("given", ["to open", "around"])
def test_an_encrypted_store_is_served_and_indexed(indexed, serving, photos, store, given):
    with unlocking(Keys(Given("sesame"))):
        encrypt(store)
    if given == "to open":
        client = serving(api.open(store, passphrase="sesame"))
    else:
        with unlocking(Keys(Given("sesame"))):
            client = serving(api.open(store))
    before = reds(client)
    shown = client.post("/api/search", json={"embedding": row_of(RED).tolist(), "k": 1}).json()
    face = client.get(f"/api/photos/{shown['neighbors'][0]['photo']}/faces/1")
    assert face.headers["cache-control"] == "private, no-store"  # nothing in plain on the disk
    draw(photos / "zz.png", {RED: MIDDLE}, note=34)
    if given == "around":
        assert events_of(client.post("/api/index", json={}).text)[-1][0] == "done"
    else:
        with unlocking(Keys(Given("sesame"))):
            enroll(store, [photos])
    assert reds(client) == before + 1


def test_a_photo_sent_before_the_store_changed_is_still_known(serving, photos, store, tmp_path):
    client = serving()
    asked = photo_of(tmp_path, RED, GREEN)
    token = client.post("/api/faces", files={"photo": asked}).json()["photo"]
    draw(photos / "zz.png", {RED: MIDDLE}, note=35)
    enroll(store, [photos])
    answer = client.post("/api/search", json={"token": token, "face": 1, "max_distance": 0.1})
    assert len(answer.json()["neighbors"]) == 4


def until(done, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end
        time.sleep(0.02)
