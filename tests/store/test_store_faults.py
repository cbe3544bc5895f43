"""Stopped at any step, out of space, two at once: nothing that was there is lost."""

import dataclasses
import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from facesearch.errors import StoreBusyError, StoreError
from facesearch.store import Root, Store, check_store, rebuild_path

pytestmark = pytest.mark.usefixtures("heads")

FIRST = [f"{number:02}" for number in range(8)]
SECOND = [*FIRST[2:], "new 1", "new 2", "new 3"]
CALLS = ("replace", "fsync", "link", "unlink", "open", "mkdir", "rmdir")
NEED_ROOM = ("replace", "fsync", "link", "open", "mkdir")


class Stopped(BaseException):
    """Stands for kill -9: nobody catches it."""


class Stopper:
    """Lets so many calls to the operating system pass, then refuses all.

    With an error, only those that need room on the disk.
    """

    def __init__(self, monkeypatch, allowed: int, error: OSError | None = None) -> None:
        self.left = allowed
        self.error = error
        for name in CALLS if error is None else NEED_ROOM:
            monkeypatch.setattr(os, name, self.wrapped(getattr(os, name)))

    def wrapped(self, function):
        def call(*args, **kwargs):
            reads = function.__name__ == "open" and not args[1] & os.O_CREAT
            if self.error is None or not reads:
                if self.left <= 0:
                    raise self.error or Stopped
                self.left -= 1
            return function(*args, **kwargs)

        return call


def second_run(photos, path: Path, **options) -> None:
    """Files gone, changed and new, with commits on the way."""
    with photos.open(path, **options) as writer:
        writer.set_roots([Root("/photos", "photos")])
        for key in FIRST[:2]:
            writer.remove(0, key)
        writer.commit((0, 9))
        for key in SECOND:
            if key not in FIRST:
                writer.put((0, photos.entry(key, key)), photos.result(key))
                writer.commit((1, 9))
        writer.put((0, photos.entry(FIRST[3], "changed")), photos.result("changed"))
        writer.finish()


def rebuild(photos, path: Path, **options) -> None:
    with photos.open(path, fresh=True, **options) as writer:
        writer.set_roots([Root("/photos", "photos")])
        for key in SECOND:
            writer.put((0, photos.entry(key, key)), photos.result(key))
            writer.commit((1, 9))
        writer.put((0, photos.entry(FIRST[3], "changed")), photos.result("changed"))
        writer.finish()


@pytest.mark.parametrize("stride", [23, pytest.param(1, marks=pytest.mark.full)])
@pytest.mark.parametrize("single", [64, 1 << 30])
@pytest.mark.parametrize("run", [second_run, rebuild])
def test_killed_at_any_step(photos, tmp_path, arrays, monkeypatch, run, single, stride):
    expected_path = tmp_path / "expected.npz"
    photos.build(expected_path, FIRST, single_file_bytes=single)
    run(photos, expected_path, single_file_bytes=single)
    expected = arrays(expected_path)
    digest = Store.open(expected_path).content_digest()
    old = photos.build(tmp_path / "old.npz", FIRST, single_file_bytes=single).content_digest()
    steps = 0
    finished = False
    while not finished:
        path = tmp_path / f"{steps}.npz"
        photos.build(path, FIRST, single_file_bytes=single)
        with monkeypatch.context() as patch:
            Stopper(patch, steps)
            try:
                run(photos, path, single_file_bytes=single)
                finished = True
            except Stopped:
                pass
        store = Store.open(path)
        assert check_store(store) == [], steps
        if run is rebuild:
            assert store.content_digest() in (old, digest)
            assert store.progress is None
        run(photos, path, single_file_bytes=single)
        assert arrays(path) == expected, steps
        named = {entry.name for entry in Store.open(path).head.segments if entry.name}
        folder = tmp_path / f"{steps}.npz.parts"
        assert ({part.name for part in folder.iterdir()} if folder.exists() else set()) == named
        left = {file.name for file in tmp_path.glob(f"{steps}.npz*")} - {folder.name}
        assert left == {f"{steps}.npz", f"{steps}.npz.lock"}
        assert not list(tmp_path.glob(".*.tmp"))
        steps += stride
    assert steps > 80


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_at_every_step(photos, tmp_path, monkeypatch, code):
    done = False
    steps = 0
    while not done:
        path = tmp_path / f"{steps}.npz"
        photos.build(path, FIRST)
        with photos.open(path) as writer:
            photos.fill(writer, ["new"])
            with monkeypatch.context() as patch:
                full = OSError(code, os.strerror(code))
                Stopper(patch, steps, full)
                try:
                    writer.finish()
                    done = True
                except StoreError as error:
                    assert "disk is full" in str(error)
                    assert str(path) in str(error)
                    assert "\n" not in str(error)
            assert not list(tmp_path.rglob("*.tmp"))
            files = set(Store.open(path).files.paths())
            assert files in ({*FIRST}, {*FIRST, "new"})
            writer.finish()
        assert set(Store.open(path).files.paths()) == {*FIRST, "new"}
        assert check_store(Store.open(path)) == []
        steps += 1
    assert steps > 5


def test_a_disk_that_fills_up_while_a_file_is_written(photos, tmp_path):
    resource = pytest.importorskip("resource")
    path = tmp_path / "s.npz"
    photos.build(path, FIRST)
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with photos.open(path) as writer:
        photos.fill(writer, ["new"])
        for size in (0, 1, 100, 2000, 4096, 6000):
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
            try:
                with pytest.raises(StoreError, match=r"disk is full; free some space"):
                    writer.commit((1, 1))
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            assert path.read_bytes() == before
            assert not list(tmp_path.rglob("*.tmp"))
        writer.commit((1, 1))
    assert len(Store.open(path).files) == len(FIRST) + 1


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS])
def test_a_folder_that_cannot_be_written(photos, tmp_path, monkeypatch, code):
    real = os.open

    def refuse(path, flags, *args, **kwargs):
        if flags & (os.O_WRONLY | os.O_RDWR):
            raise OSError(code, os.strerror(code), str(path))
        return real(path, flags, *args, **kwargs)

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(StoreError, match=r"s\.npz: cannot be written .*; make its folder"):
        photos.open(tmp_path / "s.npz")


def test_a_lock_that_cannot_be_described_is_not_kept(photos, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("facesearch.private.write_locked_file", full)
        with pytest.raises(StoreError, match="disk is full"):
            photos.open(tmp_path / "s.npz")
    photos.open(tmp_path / "s.npz").close()


HOLD = """
import sys, time
sys.path[:0] = {path!r}
from pathlib import Path
from made_photos import Photos
from facesearch.store import Root
import subprocess
with Photos().open(Path(sys.argv[1])) as writer:
    writer.set_roots([Root("/photos", "photos")])
    writer.commit((1, 5))
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], close_fds=False)
    print(child.pid, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the store, with a child of its own."""
    code = HOLD.format(path=[str(Path(__file__).parent), *sys.path])
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "s.npz")], stdout=subprocess.PIPE, text=True
    )
    child = int(process.stdout.readline())
    yield process
    process.kill()
    process.wait()
    os.kill(child, signal.SIGKILL)


def test_the_second_writer_is_told_who_holds_the_store(photos, tmp_path, holder):
    path = tmp_path / "s.npz"
    with pytest.raises(
        StoreBusyError, match=rf"s\.npz: held by process {holder.pid} on \S+ since \d\d:\d\d; wait"
    ):
        photos.open(path)
    # Readers do not wait.
    assert Store.open(path).progress.running
    started = time.monotonic()
    holder.kill()
    with photos.open(path, wait=True) as writer:
        assert not writer.store.progress.running
        writer.finish()
    # The holder's child lives on and has not inherited the lock.
    assert time.monotonic() - started < 20


def test_two_writers_in_one_process(photos, tmp_path):
    busy = pytest.raises(StoreBusyError, match=f"held by process {os.getpid()}")
    with photos.open(tmp_path / "s.npz"), busy:
        photos.open(tmp_path / "s.npz")
    photos.open(tmp_path / "s.npz").close()
    assert not (tmp_path / "s.npz.lock.owner").exists()


READ = """
import sys, time
sys.path[:0] = {path!r}
from pathlib import Path
from facesearch.store import Store, check_store
end = time.monotonic() + float(sys.argv[2])
opened = last = 0
while time.monotonic() < end:
    store = Store.open(Path(sys.argv[1]))
    assert len(store.files) >= last, (len(store.files), last)
    last = len(store.files)
    store.embeddings(range(len(store.faces)))
    assert not check_store(store)
    opened += 1
print(opened, last)
"""


def test_readers_during_commits_and_merges(photos, tmp_path):
    path = tmp_path / "s.npz"
    photos.build(path, ["first"])
    code = READ.format(path=sys.path)
    readers = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(path), "4"], stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    number, end = 0, time.monotonic() + 4.5
    while time.monotonic() < end:
        with photos.open(path, single_file_bytes=64 if number % 2 else 1 << 30) as writer:
            for _ in range(10):
                number += 1
                photos.fill(writer, [f"{number:06}"])
                writer.commit((1, 2))
            writer.finish()
    for reader in readers:
        output, _ = reader.communicate()
        assert reader.returncode == 0
        assert int(output.split()[0]) > 5


def test_a_snapshot_stays_as_it_was(photos, tmp_path):
    path = tmp_path / "s.npz"
    store = photos.build(path, FIRST, single_file_bytes=64)
    digest = store.content_digest()
    rows = store.embeddings(range(len(store.faces)))
    store = Store.open(path)
    with photos.open(path) as writer:
        for key in FIRST:
            writer.remove(0, key)
        writer.finish()
    assert store.content_digest() == digest
    assert (store.embeddings(range(len(rows))) == rows).all()
    assert len(Store.open(path).files) == 0


def test_a_lost_segment_is_named(photos, tmp_path):
    path = tmp_path / "s.npz"
    photos.build(path, FIRST, single_file_bytes=64)
    (part,) = (tmp_path / "s.npz.parts").iterdir()
    part.unlink()
    with pytest.raises(StoreError, match=f"a part of it is gone: .*{part.name}"):
        Store.open(path)


def test_a_segment_of_another_store_is_refused(photos, tmp_path):
    photos.build(tmp_path / "s.npz", FIRST, single_file_bytes=64)
    photos.build(tmp_path / "t.npz", SECOND, single_file_bytes=64)
    (part,) = (tmp_path / "s.npz.parts").iterdir()
    (other,) = (tmp_path / "t.npz.parts").iterdir()
    other.replace(part)
    with pytest.raises(StoreError, match="not the segment that the store names"):
        Store.open(tmp_path / "s.npz")
    with pytest.raises(StoreError, match="name the store itself"):
        Store.open(part)


def test_a_rebuild_takes_the_place_only_when_it_is_complete(photos, tmp_path):
    path = tmp_path / "s.npz"
    photos.build(path, FIRST)
    with photos.open(path, fresh=True) as writer:
        assert len(writer.store.files) == 0
        assert [root.path for root in writer.roots] == ["/photos"]
        photos.fill(writer, ["only"])
        writer.commit((1, 2))
        assert list(Store.open(path).files.paths()) == FIRST
        with pytest.raises(StoreBusyError):
            photos.open(path)
    assert list(Store.open(path).files.paths()) == FIRST
    with photos.open(path, fresh=True) as writer:
        assert list(writer.store.files.paths()) == ["only"]
        photos.fill(writer, ["more"])
        writer.finish()
        assert writer.store.path == path
    assert list(Store.open(path).files.paths()) == ["more", "only"]
    assert not rebuild_path(path).exists()


def test_a_rebuild_with_another_recipe(photos, tmp_path):
    path = tmp_path / "s.npz"
    photos.build(path, FIRST)
    other = type(photos)()
    other.recipe = dataclasses.replace(photos.recipe, max_side=7)
    with photos.open(path, fresh=True) as writer:
        photos.fill(writer, ["of the first recipe"])
        writer.commit((1, 1))
    with other.open(path, fresh=True) as writer:
        assert len(writer.store.files) == 0
        other.fill(writer, ["x"])
        writer.finish()
    assert Store.open(path).recipe == other.recipe


def test_a_rebuild_of_a_broken_store_but_not_of_another_file(photos, tmp_path):
    path = tmp_path / "s.npz"
    photos.build(path, FIRST)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(StoreError, match="cut short"):
        photos.open(path)
    with photos.open(path, fresh=True) as writer:
        writer.set_roots([Root("/photos", "photos")])
        photos.fill(writer, ["x"])
        writer.finish()
    assert check_store(Store.open(path)) == []
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8" * 500)
    with pytest.raises(StoreError, match="not a facesearch store"):
        photos.open(tmp_path / "photo.jpg", fresh=True)
    assert (tmp_path / "photo.jpg").stat().st_size == 1000


@pytest.mark.parametrize("single", [64, 1 << 30])
def test_replace_by_a_store_built_beside(photos, tmp_path, single):
    path = tmp_path / "s.npz"
    photos.build(path, FIRST, single_file_bytes=single)
    with photos.open(path) as writer:
        photos.build(rebuild_path(path), SECOND, single_file_bytes=single)
        writer.replace(rebuild_path(path))
        assert list(writer.store.files.paths()) == SECOND
    assert check_store(Store.open(path)) == []
    assert {file.name for file in tmp_path.iterdir()} - {"s.npz.parts"} == {"s.npz", "s.npz.lock"}


def test_what_cannot_take_the_place(photos, tmp_path):
    path = tmp_path / "s.npz"
    photos.build(path, FIRST)
    (tmp_path / "other").mkdir()
    photos.build(tmp_path / "other" / "s.npz", SECOND)
    with photos.open(tmp_path / "half.npz") as writer:
        writer.commit((1, 2))
    with photos.open(path) as writer:
        with pytest.raises(StoreError, match="not beside"):
            writer.replace(tmp_path / "other" / "s.npz")
        with pytest.raises(StoreError, match="has not ended"):
            writer.replace(tmp_path / "half.npz")
    assert list(Store.open(path).files.paths()) == FIRST


def test_foreign_files_among_the_parts_are_left(photos, tmp_path):
    path = tmp_path / "s.npz"
    (tmp_path / "s.npz.parts").mkdir()
    (tmp_path / "s.npz.parts" / "notes.txt").write_text("mine")
    (tmp_path / "s.npz.parts" / "0123.npz").write_text("left by a crash")
    photos.build(path, FIRST)
    assert [part.name for part in (tmp_path / "s.npz.parts").iterdir()] == ["notes.txt"]
