"""What happens to folders, clocks, disks and processes while photos are read."""

from __future__ import annotations

import os
import random
import signal
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from facesearch.photos import hash_file, read_header
from facesearch.processing import PhotoTask, ProcessSpec
from facesearch.records import IndexSummary, PhotoResult
from facesearch.store import check_store
from photo_library import Library

DEADLY = {
    "exit": "deadly",
    "SIGSEGV": f"signal {int(signal.SIGSEGV)}",
    "SIGKILL": f"signal {int(signal.SIGKILL)}",
    "SIGABRT": f"signal {int(signal.SIGABRT)}",
    "MemoryError": "hungry",
}


def reasons_of(library: Library, summary: IndexSummary) -> dict[str, str]:
    return {library.name(failure.path): failure.reason for failure in summary.failures}


class Disturbed:
    """Networks before whose every batch something happens."""

    def __init__(self, library: Library, happens: Callable[[], None]) -> None:
        self._networks = library.networks
        self._happens = happens

    def __call__(self, spec: ProcessSpec) -> Callable[[], Disturbed]:
        self._inner = self._networks(spec)
        return lambda: self

    def describe(self) -> str:
        return self._inner.describe()

    def process(self, batch: Sequence[PhotoTask]) -> list[PhotoResult]:
        self._happens()
        return self._inner.process(batch)


class Busy:
    """Somebody who works on the photos meanwhile; every step is another one."""

    def __init__(self, library: Library, seed: int) -> None:
        self.done: Counter[str] = Counter()
        self._library = library
        self._random = random.Random(seed)
        self._steps = 0

    def __call__(self) -> None:
        there = sorted(self._library.photos.rglob("*.jpg"))
        what = self._random.choice(["changes", "grows", "shrinks", "vanishes", "comes", "moves"])
        if not there:
            return
        path = self._random.choice(there)
        self._steps += 1
        self.done[what] += 1
        if what == "vanishes":
            path.unlink()
        elif what == "moves":
            path.rename(path.with_name(f"moved {self._steps}.jpg"))
        elif what == "comes":
            self._library.add(f"new {self._steps}.jpg")
        else:
            data = path.read_bytes()
            path.write_bytes(
                {
                    "changes": data[:-1] + b"%d" % (self._steps % 10),
                    "grows": data + b" more",
                    "shrinks": data[: len(data) // 2 + 2],
                }[what]
            )
            self._library.touch(path)


def test_files_that_change_while_they_are_read(tmp_path: Path, how_many, record) -> None:
    outcomes: Counter[str] = Counter()
    for seed in range(how_many(8, 150)):
        library = Library(tmp_path / str(seed))
        library.add_many(24)
        for number in range(6):
            library.add(f"copy {number}.jpg", "the same bytes")
        busy = Busy(library, seed)
        library.hooks["factory"] = Disturbed(library, busy)
        failed = reasons_of(library, library.index())
        assert set(failed.values()) <= {"vanished", "not-a-photo"}, seed
        assert busy.done
        assert check_store(library.store) == []
        library.hooks.clear()
        after = reasons_of(library, library.index(prune=True))
        assert set(after.values()) <= {"not-a-photo"}, seed
        assert library.problems() == []
        assert library.store.content_digest() == library.digest_of_a_fresh_store(), seed
        outcomes["the next run has all as it is"] += 1
    record("Files that change, grow, shrink, move or vanish while a run reads them", outcomes)


def _renamed(library: Library) -> None:
    library.photos.rename(library.home / "away")


def _emptied(library: Library) -> None:
    away = library.home / "away"
    away.mkdir()
    for path in sorted(library.photos.iterdir()):
        path.rename(away / path.name)


def _back(library: Library) -> None:
    if library.photos.is_dir():
        library.photos.rmdir()
    (library.home / "away").rename(library.photos)


@pytest.mark.parametrize("leave", [_renamed, _emptied])
def test_a_disk_that_goes_away_in_the_middle(tmp_path: Path, leave, how_many, record) -> None:
    outcomes: Counter[str] = Counter()
    for seed in range(how_many(4, 40)):
        chance = random.Random(seed)
        library = Library(tmp_path / str(seed))
        library.add_many(30)
        known = chance.random() < 0.5
        if known:
            library.index()
            for number in range(30, 60):
                library.add(f"{number:03}.jpg")
        steps, last = Counter[str](), chance.randrange(8)

        def goes(library: Library = library, steps: Any = steps, last: int = last) -> None:
            steps["done"] += 1
            if steps["done"] == last + 1:
                leave(library)

        library.hooks["factory"] = Disturbed(library, goes)
        summary = library.index()
        assert set(reasons_of(library, summary).values()) == {"vanished"}, seed
        (away,) = summary.roots_away
        assert away.why.endswith("since this run began")
        assert (summary.removed, summary.gone_kept) == (0, 0)
        assert len(library.names()) >= (30 if known else 0) + last
        library.hooks.clear()
        _back(library)
        assert library.index().failures == ()
        assert library.store.content_digest() == library.digest_of_a_fresh_store(), seed
        outcomes["nothing is lost, and the next run goes on"] += 1
    record(f"A disk that goes away in the middle of a run ({leave.__name__.strip('_')})", outcomes)


def test_a_named_pipe_is_no_photo(library: Library) -> None:
    library.add_many(3)
    os.mkfifo(library.photos / "pipe.jpg")
    summary = library.index(item_timeout=5.0)
    assert (summary.seen, summary.failures, summary.not_read) == (3, (), {"fifo": 1})


def test_a_named_pipe_that_takes_a_photos_place(library: Library) -> None:
    library.add_many(3)
    for name in ("y.jpg", "z.jpg"):  # of one size, so that they are hashed before they are read
        library.add(name)

    def replaced() -> None:
        (library.photos / "z.jpg").unlink(missing_ok=True)
        os.mkfifo(library.photos / "z.jpg")
        library.hooks.clear()

    library.hooks["on_progress"] = lambda state: library.hooks and replaced()
    summary = library.index(item_timeout=5.0)
    assert reasons_of(library, summary) == {"z.jpg": "not-a-photo"}


class Hangs:
    """A function that never comes back for the files of one name."""

    def __init__(self, inner: Callable[[str], Any], name: str) -> None:
        self.asked = 0
        self.over = False
        self._inner = inner
        self._name = name
        self._never = threading.Event()

    def __call__(self, path: str | os.PathLike[str]) -> Any:
        if Path(path).name == self._name:
            self.asked += 1
            self._never.wait(60)
            self.over = True
        return self._inner(os.fspath(path))

    def end(self) -> None:
        self._never.set()


@pytest.mark.parametrize(
    ("place", "inner"),
    [
        ("facesearch.sources.folder.read_header", read_header),
        ("facesearch.indexing.hash_file", hash_file),
    ],
)
def test_a_file_that_hangs_holds_no_run(
    library: Library, monkeypatch: pytest.MonkeyPatch, place: str, inner: Callable[[str], Any]
) -> None:
    """Where the program itself reads: listing looks into new files, possible copies are hashed."""
    library.add_many(5)
    library.add("y.jpg")
    library.add("z.jpg")
    hangs = Hangs(inner, "y.jpg")
    monkeypatch.setattr(place, hangs)
    summary = library.index(item_timeout=0.5)
    assert not hangs.over
    assert hangs.asked == 1
    # Whoever reads it says what is wrong with it; here it can be read after all.
    assert (summary.failures, summary.usable) == ((), 7)
    hangs.end()


def test_a_file_that_hangs_everywhere_is_named(
    busy_library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy_library.add_many(5)
    busy_library.add("hangs.jpg", "hanging")
    hangs = Hangs(read_header, "hangs.jpg")
    monkeypatch.setattr("facesearch.sources.folder.read_header", hangs)
    summary = busy_library.index(item_timeout=0.5)
    hangs.end()
    assert reasons_of(busy_library, summary) == {"hangs.jpg": "timeout"}
    assert summary.usable == 5


def test_whatever_the_clock_said(library: Library, how_many, record) -> None:
    """Years from 1901 to 2446, as far as the disk keeps them."""
    chance = random.Random(1)
    odd = [-(2 * 10**9), -1, 0, 1, 2**31, 2**32, 9_223_372_036, 9_223_372_037, 15_000_000_000]
    times = [*odd, *(chance.randrange(-(2 * 10**9), 15 * 10**9) for _ in range(how_many(20, 500)))]
    for number, seconds in enumerate(times):
        path = library.add(f"{number:03}.jpg", f"{number} {'x' * number}")
        os.utime(path, (seconds, seconds))
    assert library.index().new == len(times)
    assert library.index().unchanged == len(times)
    assert library.problems() == []
    for path in library.photos.iterdir():  # edited, with a clock that was set back
        before = path.stat().st_mtime
        path.write_bytes(path.read_bytes().replace(b" ", b"-"))
        os.utime(path, (before - 86_400, before - 86_400))
    summary = library.index()
    beyond = sum(seconds - 86_400 > 9_223_372_036 for seconds in times)
    assert summary.changed == len(times) - beyond
    assert library.index(verify_content=True).changed == beyond
    assert library.store.content_digest() == library.digest_of_a_fresh_store()
    found = {"edit found": summary.changed, "edit found with --verify-content": beyond}
    record("Photos of all years, edited with a clock that was set back", found)


def test_photos_that_end_their_process(busy_library: Library, how_many, record) -> None:
    every, outcomes = how_many(1, 8), Counter[str]()
    busy_library.add_many(60)
    deadly = {
        f"{at:03} {how}.jpg": f"{at} {text}"
        for copy in range(every)
        for at, (how, text) in enumerate(DEADLY.items(), start=copy * 7)
    }
    for name, text in deadly.items():
        busy_library.add(name, text)
    summary = busy_library.index()
    named = reasons_of(busy_library, summary)
    assert named == dict.fromkeys(deadly, "worker-died")
    assert (summary.seen, summary.usable) == (60 + len(deadly), 60)
    busy_library.embedded()
    again = busy_library.index()
    assert reasons_of(busy_library, again) == named
    assert busy_library.embedded() == []
    outcomes["named, and left alone by the next run"] = len(named)
    outcomes["others that came out unharmed"] = summary.usable
    record("Photos whose worker exits, is killed, crashes or has no memory left", outcomes)
