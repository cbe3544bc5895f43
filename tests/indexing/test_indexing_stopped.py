"""However and whenever a run is stopped, the next one ends with the store of an undisturbed one."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from facesearch import indexing
from facesearch.errors import InterruptedRunError
from facesearch.indexing import RunState
from facesearch.store import Store, StoreWriter, check_store
from photo_library import Library, arrays_of

SCRIPT = Path(__file__).with_name("killed_run.py")
KILLS = 10  # of each kind of run


def stop_at(done: int) -> Callable[[RunState], None]:
    def stop(state: RunState) -> None:
        if state.done == done:
            raise KeyboardInterrupt

    return stop


def test_ctrl_c_keeps_what_was_done(library: Library) -> None:
    library.add_many(30)
    library.hooks["on_progress"] = stop_at(12)
    with pytest.raises(InterruptedRunError, match="stopped at 12 of 30 photos; they are kept") as e:
        library.index()
    assert e.value.exit_code == 130
    progress = library.store.progress
    assert progress is not None
    assert (progress.done, progress.total, progress.running) == (12, 30, False)
    assert len(library.store.files) == 12
    library.hooks.clear()
    library.embedded()
    summary = library.index()
    assert (summary.new, summary.unchanged) == (18, 12)
    assert library.store.progress is None
    assert library.store.content_digest() == library.digest_of_a_fresh_store()


def test_while_a_run_goes_on_the_store_says_so(library: Library, monkeypatch) -> None:
    monkeypatch.setattr(indexing, "COMMIT_SECONDS", 0.0)
    library.add_many(10)
    seen = []

    def look(state: RunState) -> None:
        if state.done:
            progress = library.store.progress
            assert progress is not None
            seen.append((progress.done, progress.total, progress.running, len(library.names())))

    library.hooks["on_progress"] = look
    library.index()
    assert seen == [(done, 10, True, done) for done in range(1, 11)]


def test_ctrl_c_before_anything_was_read(library: Library, monkeypatch) -> None:
    library.add_many(5)

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    for name in ("facesearch.indexing.make_plan", "facesearch.index_target.choose_recipe"):
        with monkeypatch.context() as patch:
            patch.setattr(name, interrupted)
            with pytest.raises(InterruptedRunError, match="nothing has changed"):
                library.index()
    assert not library.path.exists()


def test_ctrl_c_during_the_last_step_comes_too_late(library: Library, monkeypatch) -> None:
    library.add_many(5)
    finish = StoreWriter.finish

    def late(writer: StoreWriter) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        finish(writer)

    monkeypatch.setattr(StoreWriter, "finish", late)
    assert library.index().new == 5
    assert library.store.progress is None


def test_handlers_of_signals_are_put_back(library: Library) -> None:
    library.add_many(5)
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    library.index()
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_a_run_in_another_thread(library: Library) -> None:
    library.add_many(5)
    found = []
    thread = threading.Thread(target=lambda: found.append(library.index()))
    thread.start()
    thread.join()
    assert found[0].new == 5


def test_no_worker_is_left_after_ctrl_c(busy_library: Library) -> None:
    busy_library.add_many(40)
    busy_library.seconds = 0.01
    busy_library.hooks["on_progress"] = stop_at(7)
    with pytest.raises(InterruptedRunError):
        busy_library.index()
    assert not [
        child
        for child in psutil.Process().children(recursive=True)
        if "spawn_main" in " ".join(child.cmdline())
    ]


def furnish(library: Library) -> None:
    """Photos of all kinds: copies, broken ones, empty ones, and what is none."""
    library.add_many(90)
    library.add_many(30, "more/")
    for number in range(4):
        library.add(f"copies/{number}.jpg", "the same bytes")
        library.add(f"broken/{number}.jpg", f"broken {number % 2}")
        (library.photos / f"empty{number}.jpg").touch()
    (library.photos / "film.mov").write_bytes(b"\0" * 99)


def rearrange(library: Library) -> None:
    """What happens to a folder between two runs."""
    (library.photos / "more").rename(library.photos / "moved")
    for number in range(0, 90, 3):
        library.add(f"{number:03}.jpg", f"edited {'x' * number}")
    for number in range(1, 30, 3):
        (library.photos / f"{number:03}.jpg").unlink()
    library.add_many(40, "new/")
    shutil.copy(library.photos / "005.jpg", library.photos / "zz copy.jpg")
    library.add("broken/1.jpg", "mended")


class Template:
    """A library as it was when this was made, to start from again and again, at the same place."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._kept = library.home.with_name("template")
        shutil.copytree(library.home, self._kept)

    def restore(self) -> None:
        shutil.rmtree(self._library.home)
        shutil.copytree(self._kept, self._library.home)


@pytest.fixture(params=["first", "second"])
def begun(request: pytest.FixtureRequest, library: Library) -> tuple[Library, Template]:
    """A library before its first run, or before one over changed folders."""
    furnish(library)
    if request.param == "second":
        library.index()
        rearrange(library)
    return library, Template(library)


def test_ctrl_c_at_any_moment(begun: tuple[Library, Template], monkeypatch) -> None:
    library, template = begun
    monkeypatch.setattr(indexing, "COMMIT_SECONDS", 0.005)
    started = time.monotonic()
    library.index()
    lasts = time.monotonic() - started
    arrays, digest = arrays_of(library.path), library.store.content_digest()
    chance = random.Random(3)
    stopped = 0
    for _ in range(KILLS):
        template.restore()
        alarm = threading.Timer(chance.uniform(0, lasts), os.kill, (os.getpid(), signal.SIGINT))
        try:
            alarm.start()
            library.index()
            alarm.join()
        except (InterruptedRunError, KeyboardInterrupt):
            stopped += 1
        library.index()
        assert arrays_of(library.path) == arrays
        assert library.store.content_digest() == digest
    assert stopped >= KILLS // 3


@pytest.mark.timeout(180)
def test_kill_of_the_parent_alone_at_any_moment(begun: tuple[Library, Template]) -> None:
    library, template = begun
    lasts = run_and_kill(library)
    arrays, digest = arrays_of(library.path), library.store.content_digest()
    template.restore()
    library.index()
    assert arrays_of(library.path) == arrays  # no matter how many workers
    chance = random.Random(7)
    # Some while folders are listed and workers started, most while photos are read and committed
    # and the store is finished.
    early, late = KILLS // 3, KILLS - KILLS // 3
    moments = [("go", (part + chance.random()) / early) for part in range(early)]
    moments += [("reading", (part + chance.random()) / late) for part in range(late)]
    ended = []
    for stage, share in moments:
        template.restore()
        ended += run_and_kill(library, stage, lasts[stage] * share)
        library.index()
        assert arrays_of(library.path) == arrays
        assert library.store.content_digest() == digest
        assert not list(library.home.glob("*.parts")), "nothing is left of the run that died"
    assert ended.count("done") <= KILLS // 2


@pytest.mark.timeout(120)
def test_kill_during_a_rebuild_leaves_the_old_store(library: Library) -> None:
    furnish(library)
    library.index()
    arrays, digest = arrays_of(library.path), library.store.content_digest()
    for _ in range(2):
        run_and_kill(library, "reading", 0.1, "--rebuild")
        assert arrays_of(library.path) == arrays
        assert check_store(library.store) == []
    library.index(rebuild=True)
    assert library.store.content_digest() == digest
    assert arrays_of(library.path) == arrays
    assert not list(library.home.glob("*.rebuild*"))


def run_and_kill(
    library: Library, stage: str = "", after: float = 0.0, *options: str
) -> dict[str, float]:
    """Runs the index job in a process of its own, which is killed so many seconds after a stage
    ("go" or "reading") has begun; the seconds that each stage took.
    """
    lasted: dict[str, float] = {}
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, SCRIPT, library.home, *options],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        assert process.stdout is not None
        before, since = "start", time.monotonic()
        for line in process.stdout:
            now = time.monotonic()
            lasted[before] = now - since
            before, since = line.strip(), now
            if before == stage:
                time.sleep(after)
                process.kill()
        lasted[before] = 0.0
    return lasted


def test_the_store_opens_at_every_moment_of_a_run(library: Library, monkeypatch) -> None:
    """Readers never wait, and never see half of anything."""
    monkeypatch.setattr(indexing, "COMMIT_SECONDS", 0.01)
    furnish(library)
    library.index()
    rearrange(library)
    stop = threading.Event()
    problems: list[object] = []

    def read() -> None:
        while not stop.is_set():
            problems.extend(check_store(Store.open(library.path)))

    reader = threading.Thread(target=read)
    reader.start()
    try:
        library.index()
    finally:
        stop.set()
        reader.join()
    assert not problems
