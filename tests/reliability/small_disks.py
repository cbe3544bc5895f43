"""A program of its own: commands run into disks that are too small, read-only or taken away.

``small_disks.py room HOME SIZES``, ``full HOME KIND STEP`` and ``read-only HOME`` need a mount
namespace of their own, ``taken HOME RUNS`` a process that rights hold for. Each prints one JSON
object: outcome -> count.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from unittest import mock

from killed_command import KINDS, PASSPHRASE, digest, prepare, run_again

from facesearch.errors import StoreError
from facesearch.indexing import RunState
from facesearch.store import Store, check_path, check_store
from facesearch.store.passphrases import Keys, unlocking
from photo_library import Library

PHOTOS = 48
BALLAST = "ballast"
ROOMY = "size=16m,nr_inodes=1000"


def room(home: Path, sizes: list[str]) -> Counter[str]:
    """``sizes`` are tmpfs's own options, a disk each."""
    disk, library = home / "disk", _library(home)
    disk.mkdir()
    store = disk / "faces.npz"
    _mount(disk, ROOMY)
    library.index(store=store)
    expected = Store.open(store).content_digest()
    _unmount(disk)
    outcomes = Counter[str]()
    for size in sizes:
        _mount(disk, size)
        outcome = _tried(library, store)
        assert not list(disk.rglob("*.tmp")), size
        assert "read-only" not in outcome, outcome
        _mount(disk, f"remount,{ROOMY}")
        library.index(store=store)
        assert Store.open(store).content_digest() == expected, size
        assert check_store(Store.open(store)) == [], size
        assert {path.name for path in disk.iterdir()} == {"faces.npz", "faces.npz.lock"}, size
        _unmount(disk)
        outcomes[outcome] += 1
    return outcomes


def full(home: Path, kind: str, step: int) -> Counter[str]:
    """A command of ``killed_command.KINDS`` on a disk with 0, ``step``, 2 ``step``, ... KiB left,
    until it has enough.
    """
    disk, saved = home / "disk", home / "saved"
    disk.mkdir()
    _mount(disk, ROOMY)
    prepare(kind, disk)
    shutil.copytree(disk, saved)
    before = digest(kind, Library(disk))
    KINDS[kind](Library(disk))
    expected = digest(kind, Library(disk))
    outcomes = Counter[str]()
    for left in itertools.count(0, step):
        for path in disk.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        shutil.copytree(saved, disk, dirs_exist_ok=True)
        _leave(disk, 1024 * left)
        library = Library(disk)
        outcome = _ended(kind, library)
        assert not list(disk.rglob("*.tmp")), left
        now = digest(kind, library)
        (disk / BALLAST).unlink()
        if outcome == "done":
            assert now == expected
            return outcomes + Counter(["done"])
        if library.path.exists():
            assert check_path(library.path) == [], left
        run_again(kind, library)
        assert digest(kind, library) == expected, left
        assert check_path(library.path) == [], left
        outcomes["full: " + ("as before" if now == before else "a part is done")] += 1
    raise AssertionError


def _leave(disk: Path, size: int) -> None:
    """Fills all but so many bytes of a disk."""
    free = os.statvfs(disk)
    with (disk / BALLAST).open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(1, free.f_bavail * free.f_frsize - size))


def _ended(kind: str, library: Library) -> str:
    try:
        KINDS[kind](library)
    except StoreError as error:
        said = str(error)
        assert said.startswith(str(library.home)) and "\n" not in said, said
        assert "the disk is full; free some space and run the command again" in said, said
        return "full"
    return "done"


def read_only(home: Path) -> Counter[str]:
    """A store, and none, on a disk that cannot be written."""
    disk, library = home / "disk", _library(home)
    disk.mkdir()
    _mount(disk, ROOMY)
    library.index(store=disk / "there.npz")
    before = {path: path.read_bytes() for path in disk.iterdir()}
    library.add("new.jpg")
    _mount(disk, "remount,ro")
    outcomes = Counter(_tried(library, disk / name) for name in ("there.npz", "new.npz"))
    assert {path: path.read_bytes() for path in disk.iterdir()} == before
    _unmount(disk)
    return outcomes


def taken(home: Path, runs: int) -> Counter[str]:
    """The folder's rights are lost when a run has read so many photos."""
    folder, library = home / "folder", _library(home)
    store = folder / "faces.npz"
    folder.mkdir()
    library.index(store=store)
    expected = Store.open(store).content_digest()
    outcomes = Counter[str]()
    for after in range(0, PHOTOS, -(-PHOTOS // runs)):
        for path in (store, folder / "faces.npz.lock"):
            path.unlink()

        def lose(state: RunState, after: int = after) -> None:
            if state.done >= after:
                for place in (folder / "faces.npz.parts", folder):
                    if place.exists():
                        place.chmod(0o500)

        library.hooks = {"on_progress": lose}
        outcomes[_tried(library, store)] += 1
        library.hooks = {}
        for place in (folder, folder / "faces.npz.parts"):
            if place.exists():
                place.chmod(0o700)
        library.index(store=store)
        assert Store.open(store).content_digest() == expected, after
        assert check_store(Store.open(store)) == [], after
    return outcomes


def _library(home: Path) -> Library:
    library = Library(home)
    library.add_many(PHOTOS)
    return library


def _tried(library: Library, store: Path) -> str:
    """How a run came out; whatever it says, what can be read is sound."""
    try:
        library.index(store=store)
    except StoreError as error:
        said = str(error)
        assert said.startswith(str(store)) and "\n" not in said, said
        full = "the disk is full; free some space and run the command again" in said
        refused = "make its folder writable, or choose another place" in said
        assert full or refused, said
        return ("full: " if full else "refused: ") + _kept(library, store)
    return "done"


def _kept(library: Library, store: Path) -> str:
    if not store.exists():
        return "nothing was committed before"
    held = Store.open(store)
    assert check_store(held) == []
    assert set(held.files.paths()) <= {path.name for path in library.photos.iterdir()}
    return "the last commit can be read"


def _mount(folder: Path, options: str) -> None:
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    subprocess.run(command, check=True)


def _unmount(folder: Path) -> None:
    subprocess.run(["umount", str(folder)], check=True)


if __name__ == "__main__":
    what, where, *rest = sys.argv[1:]
    with (
        mock.patch("facesearch.indexing.COMMIT_SECONDS", 0),
        mock.patch("facesearch.indexing.BATCH", 4),
    ):
        if what == "room":
            found = room(Path(where), rest)
        elif what == "full":
            with unlocking(Keys(PASSPHRASE)):
                found = full(Path(where), rest[0], int(rest[1]))
        elif what == "read-only":
            found = read_only(Path(where))
        else:
            found = taken(Path(where), int(rest[0]))
    sys.stdout.write(json.dumps(found) + "\n")
