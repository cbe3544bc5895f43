"""Reading ahead: in order, so many at a time, and only where it saves waiting."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from facesearch.errors import PhotoError
from facesearch.photos import PhotoBytes, photo_error, read_ahead, read_bytes
from facesearch.photos.ahead import AHEAD


class Reader:
    """Gives each path's own name as its content; addresses wait until so many are asked for."""

    def __init__(self, together: int = 1) -> None:
        self.begun: list[str] = []
        self.threads: set[int] = set()
        self.most = 0
        self._now = 0
        self._lock = threading.Lock()
        self._barrier = threading.Barrier(together)

    def __call__(self, path: str) -> PhotoBytes:
        with self._lock:
            self.begun.append(path)
            self.threads.add(threading.get_ident())
            self._now += 1
            self.most = max(self.most, self._now)
        try:
            self._barrier.wait(30)
            if "gone" in path:
                raise photo_error("vanished", path)
            return PhotoBytes(path, path.encode(), b"")
        finally:
            with self._lock:
                self._now -= 1


def names(found: list[PhotoBytes | PhotoError]) -> list[str]:
    return [each.reason if isinstance(each, PhotoError) else each.name for each in found]


@pytest.mark.parametrize("count", [0, 1, 2, 3, AHEAD, AHEAD + 1, 16])
def test_order_and_errors(count: int) -> None:
    paths = [f"s3://bucket/{number}.jpg" for number in range(count)]
    if count > 2:
        paths[1] = "s3://bucket/gone.jpg"
    expected = [path if "gone" not in path else "vanished" for path in paths]
    reader = Reader()
    assert names(list(read_ahead(reader, paths))) == expected
    assert sorted(reader.begun) == sorted(paths)
    assert reader.most <= AHEAD


def test_objects_are_fetched_side_by_side() -> None:
    """Each waits until as many are under way: one after another they would wait for ever."""
    paths = [f"s3://bucket/{number}.jpg" for number in range(4 * AHEAD)]
    assert names(list(read_ahead(Reader(together=AHEAD), paths))) == paths


def test_no_more_are_held_than_were_asked_for() -> None:
    reader = Reader()
    found = read_ahead(reader, [f"s3://bucket/{number}.jpg" for number in range(100)])
    for taken in range(1, 20):
        next(found)
        assert len(reader.begun) <= taken + AHEAD
    found.close()  # type: ignore[attr-defined]
    assert len(reader.begun) <= 19 + AHEAD


def test_files_are_read_by_the_thread_itself_when_their_turn_comes(tmp_path: Path) -> None:
    paths = [f"/photos/{number}.jpg" for number in range(5)]
    reader = Reader()
    found = read_ahead(reader, paths)
    next(found)
    assert reader.begun == paths[:1]
    assert names(list(found)) == paths[1:]
    assert reader.threads == {threading.get_ident()}


def test_with_the_real_reader(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"a")
    paths = [str(tmp_path / "a.jpg"), str(tmp_path / "b.jpg")]
    assert names(list(read_ahead(read_bytes, paths))) == [paths[0], "vanished"]
