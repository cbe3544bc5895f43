"""Folders whose disk gives no answer, and photos in them that cannot be read."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from facesearch.errors import FacesearchError
from facesearch.records import Failure
from facesearch.sources import FolderSource, OutageWatch, is_folder, is_gone, root_state
from facesearch.sources import folder as folders

SECONDS = 0.2


class Silent:
    """``os`` as the folder's source uses it; some places never answer."""

    def __init__(self, *places: Path) -> None:
        self.over = threading.Event()
        self.asked: list[str] = []
        self._places = {os.fspath(place) for place in places}

    def __getattr__(self, name: str) -> Any:
        inner = getattr(os, name)
        if name not in ("stat", "scandir"):
            return inner

        def ask(path: Any) -> Any:
            if os.fspath(path) in self._places:
                self.asked.append(f"{name} {Path(path).name}")
                self.over.wait(30)
            return inner(path)

        return ask


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for name in ("a/1.jpg", "a/2.jpg", "b/3.jpg", "4.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"\xff\xd8\xff\xe0")
    return tmp_path


@pytest.fixture
def silent(photos: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    made: list[Silent] = []

    def fall(*places: Path) -> Silent:
        made.append(Silent(*places))
        monkeypatch.setattr(folders, "os", made[-1])
        return made[-1]

    yield fall
    for each in made:
        each.over.set()


def keys(source: FolderSource) -> list[str]:
    return [entry.key for entry in source.entries()]


def test_a_folder_that_is_not_listed_hides_what_is_in_it(photos: Path, silent: Any) -> None:
    silent(photos / "a")
    source = FolderSource(photos, patience=SECONDS)
    assert keys(source) == ["4.jpg", "b/3.jpg"]
    assert [(each.path, each.reason) for each in source.unreadable] == [
        (str(photos / "a"), "timeout")
    ]
    assert source.hides("a/1.jpg")
    assert not source.hides("b/3.jpg")


def test_a_root_that_stops_answering_ends_the_walk(photos: Path, silent: Any) -> None:
    disk = silent(photos / "a", photos)
    disk._places.remove(str(photos))
    source = FolderSource(photos, patience=SECONDS)
    walk = source.entries()
    assert next(walk).key == "4.jpg"
    disk._places.add(str(photos))
    assert list(walk) == []
    assert source.hides("b/3.jpg")
    assert "timeout" in {each.reason for each in source.unreadable if each.path == str(photos)}


def test_what_a_root_is(photos: Path, silent: Any) -> None:
    disk = silent(photos)
    assert not is_gone(photos / "b")
    assert root_state(photos, SECONDS) == "not answering"
    assert not is_folder(photos / "b")  # nor is it waited for
    assert disk.asked == ["scandir " + photos.name]


def test_readers_that_wait_in_vain_end_the_run(photos: Path, monkeypatch) -> None:
    state = {"now": "there"}
    monkeypatch.setattr("facesearch.sources.outage.root_state", lambda *_: state["now"])
    watch = OutageWatch(SECONDS)
    path = str(photos / "a" / "1.jpg")
    failure = Failure(path, "timeout", "no answer")
    for _ in range(6):
        watch.see(path, failure)
    state["now"] = "not answering"
    watch.see(path, failure)
    watch.see(path, None)
    watch.see(path, failure)
    with pytest.raises(FacesearchError, match=r"a: its disk gave no answer any more .* run again"):
        watch.see(path, failure)
