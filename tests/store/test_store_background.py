"""Segments merged beside a run: nothing waits for it, nothing is lost by it."""

import errno
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from facesearch.store import Root, Store, check_store
from facesearch.store.layout import MERGED

KEYS = [f"{number:03}" for number in range(40)]


@pytest.fixture(autouse=True)
def _all_beside(monkeypatch):
    monkeypatch.setattr("facesearch.store.writer.MERGE_AT_ONCE_BYTES", 0)


class Gate:
    """Lets a merge go on when it is told to."""

    def __init__(self, monkeypatch, error: BaseException | None = None) -> None:
        from facesearch.store import compaction

        self.open = threading.Event()
        self.begun = 0
        real = compaction.side_by_side

        def side_by_side(*arguments):
            self.begun += 1
            assert self.open.wait(60)
            if error is not None:
                raise error
            return real(*arguments)

        monkeypatch.setattr(compaction, "side_by_side", side_by_side)


def joined(writer) -> None:
    thread = writer._beside._thread
    if thread is not None:
        thread.join()


def begin(photos, path, **options):
    writer = photos.open(path, **options)
    writer.set_roots([Root("/photos", "photos")])
    return writer


def one_by_one(photos, writer, keys) -> None:
    for number, key in enumerate(keys):
        photos.fill(writer, [key])
        writer.commit((number, len(keys)))


def test_commits_go_on_while_segments_are_merged(photos, tmp_path, monkeypatch):
    gate = Gate(monkeypatch)
    path = tmp_path / "s.npz"
    with begin(photos, path) as writer:
        one_by_one(photos, writer, KEYS[:12])
        assert gate.begun == 1  # one at a time
        assert len(writer.store.segments) == 12
        assert list(Store.open(path).files.paths()) == KEYS[:12]
        gate.open.set()
        joined(writer)
        one_by_one(photos, writer, KEYS[12:13])
        # The first two became one; what came meanwhile stayed.
        assert len(writer.store.segments) == 12
        for key in KEYS[13:]:
            joined(writer)
            one_by_one(photos, writer, [key])
        assert len(writer.store.segments) < 12
        assert check_store(writer.store) == []
        assert list(writer.store.files.paths()) == KEYS
        for key in KEYS:
            content = writer.content_id(photos.result(key).content_hash)
            assert writer.store.contents.hash[content].tobytes() == photos.result(key).content_hash
        writer.finish()
    alone = photos.build(tmp_path / "t.npz", KEYS)
    assert Store.open(path).content_digest() == alone.content_digest()
    assert {file.name for file in tmp_path.iterdir()} == {
        f"{name}.npz{end}" for name in "st" for end in ("", ".lock")
    }


def test_what_is_merged_may_change_meanwhile(photos, tmp_path, monkeypatch, arrays):
    gate = Gate(monkeypatch)
    with begin(photos, tmp_path / "s.npz") as writer:
        one_by_one(photos, writer, KEYS[:3])
        writer.remove(0, KEYS[0])
        writer.put((0, photos.entry(KEYS[1], "other")), photos.result("other"))
        writer.commit((3, 3))
        gate.open.set()
        joined(writer)
        writer.commit((3, 3))
        assert list(writer.store.files.paths()) == KEYS[1:3]
        assert check_store(Store.open(tmp_path / "s.npz")) == []
        writer.finish()
    with begin(photos, tmp_path / "t.npz") as writer:
        writer.put((0, photos.entry(KEYS[1], "other")), photos.result("other"))
        photos.fill(writer, [KEYS[2]])
        writer.finish()
    assert arrays(tmp_path / "s.npz") == arrays(tmp_path / "t.npz")


@pytest.mark.parametrize("end", ["finish", "close"])
def test_a_run_that_ends_does_not_wait_for_a_merge(photos, tmp_path, monkeypatch, end):
    started = threading.Event()
    path = tmp_path / "s.npz"
    writer = begin(photos, path)
    one_by_one(photos, writer, KEYS[:1])

    real = writer._beside._checked

    def slow(member):
        for chunk in real(member):
            started.set()
            yield chunk
            writer._beside._stopping.wait(60)

    monkeypatch.setattr(writer._beside, "_checked", slow)
    one_by_one(photos, writer, KEYS[1:2])
    assert started.wait(60)
    getattr(writer, end)()
    writer.close()
    assert list(Store.open(path).files.paths()) == KEYS[:2]
    assert not list(tmp_path.rglob("*.tmp"))
    assert check_store(Store.open(path)) == []


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), MemoryError(), SystemExit()]
)
def test_a_merge_that_fails_loses_nothing(photos, tmp_path, monkeypatch, caplog, error):
    gate = Gate(monkeypatch, error)
    gate.open.set()
    path = tmp_path / "s.npz"
    with begin(photos, path) as writer:
        for key in KEYS[:6]:
            one_by_one(photos, writer, [key])
            joined(writer)
        assert gate.begun == 1  # what fails once is left to the end of the run
        assert "segments not merged" in caplog.text
        assert list(Store.open(path).files.paths()) == KEYS[:6]
        writer.finish()
    assert check_store(Store.open(path)) == []
    assert len(Store.open(path).segments) == 1


def test_a_merge_that_cannot_get_its_name_is_dropped(photos, tmp_path, monkeypatch):
    path = tmp_path / "s.npz"
    with begin(photos, path) as writer:
        one_by_one(photos, writer, KEYS[:2])
        joined(writer)
        (path.with_name("s.npz.parts") / MERGED).unlink()
        photos.fill(writer, [KEYS[2]])
        writer.commit((3, 3))
        assert list(Store.open(path).files.paths()) == KEYS[:3]
        assert check_store(Store.open(path)) == []


RUN = """
import sys
sys.path[:0] = {path!r}
from pathlib import Path
from made_photos import Photos
from facesearch.store import Root, writer as writing
writing.MERGE_AT_ONCE_BYTES = 0
photos = Photos()
with photos.open(Path(sys.argv[1]), single_file_bytes=int(sys.argv[2])) as writer:
    writer.set_roots([Root("/photos", "photos")])
    done = set(writer.store.files.paths())
    print("begun", flush=True)
    for number in range(150):
        key = f"{{number:03}}"
        if key not in done:
            photos.fill(writer, [key])
            writer.commit((number, 150))
    writer.finish()
"""


@pytest.mark.parametrize("single", [64, 1 << 30])
def test_killed_with_merges_under_way(photos, tmp_path, single):
    path = tmp_path / "s.npz"
    code = RUN.format(path=sys.path)
    pause = random.Random(single)
    last, kills = 0, 0
    for _ in range(60):
        run = subprocess.Popen(
            [sys.executable, "-c", code, str(path), str(single)], stdout=subprocess.PIPE, text=True
        )
        run.stdout.readline()
        time.sleep(0.05 + pause.random() * 0.25)
        run.send_signal(signal.SIGKILL)
        kills += run.wait() != 0
        run.stdout.close()
        if path.exists():
            store = Store.open(path)
            assert check_store(store) == []
            held = list(store.files.paths())
            assert held == [f"{number:03}" for number in range(len(held))]
            assert len(held) >= last
            last = len(held)
        if run.returncode == 0 or kills >= 3:
            break
    subprocess.run([sys.executable, "-c", code, str(path), str(single)], check=True, timeout=120)
    assert kills
    store = Store.open(path)
    keys = [f"{number:03}" for number in range(150)]
    alone = photos.build(tmp_path / "t.npz", keys, batch=150, single_file_bytes=single)
    assert store.content_digest() == alone.content_digest()
    assert check_store(store) == []
    parts = path.with_name("s.npz.parts")
    named = {entry.name for entry in store.head.segments if entry.name}
    assert {part.name for part in parts.iterdir()} == named if parts.exists() else not named
    assert Path(f"{path}.lock").exists()
