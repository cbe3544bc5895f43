"""Whatever was done to the folders, and in whichever parts they were indexed: in the end the store
holds what a new one would.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from facesearch.errors import FacesearchError
from fake_networks import START
from photo_library import Library, arrays_of, paths_of

SEEDS = int(os.environ.get("FACESEARCH_SEEDS", "6"))
STEPS = 8


class Hands:
    """Does things to the folders of a library at random."""

    def __init__(self, library: Library, chance: random.Random) -> None:
        self.library = library
        self.chance = chance
        self.roots = [library.photos, library.home / "other"]
        self._number = 0
        for root in self.roots:
            library.add("anchor.jpg", f"anchor of {root.name}", root)
        for _ in range(12):
            self.add()

    def work(self) -> None:
        deeds: list[Callable[[], None]] = [
            self.add, self.add, self.edit, self.break_one, self.mend, self.into_text, self.empty,
            self.move, self.move, self.copy, self.copy_with_time, self.delete, self.touch,
            self.overwrite, self.rename_folder, self.flake,
        ]  # fmt: skip
        for _ in range(self.chance.randint(1, 12)):
            self.chance.choice(deeds)()

    def index(self) -> None:
        """A run over anything, in any way."""
        library, chance = self.library, self.chance
        folders = [path for root in self.roots for path in (root, *root.glob("*/"))]
        if chance.random() < 0.3:
            library.switch.touch()
        if chance.random() < 0.3:
            last = chance.randint(1, 8)
            library.hooks["on_progress"] = _stop_after(last)
        with contextlib.suppress(FacesearchError):  # stopped, or a folder without photos
            library.run(
                chance.choice([(), self.roots, chance.sample(folders, 1), [self.file()]]),
                prune=chance.random() < 0.3,
                verify_content=chance.random() < 0.1,
            )
        library.hooks.clear()
        library.switch.unlink(missing_ok=True)

    def file(self) -> Path:
        files = sorted(path for root in self.roots for path in root.rglob("*") if path.is_file())
        return self.chance.choice([path for path in files if path.name != "anchor.jpg"] or files)

    def place(self) -> Path:
        """Where there may be a file already."""
        folder = self.chance.choice(["", "a/", "b/", "a/c/"])
        name = self.chance.choice(["1.jpg", "2.jpg", "3.png", "scan", "x y.jpg", "\udcff.jpg"])
        path = self.chance.choice(self.roots) / folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def write(self, path: Path, data: bytes) -> None:
        if path.name != "anchor.jpg":
            path.write_bytes(data)
            self.library.touch(path)

    def text(self) -> bytes:
        self._number += 1
        return START + b"picture %d " % (self._number % 7) + b"x" * (self._number % 3)

    def add(self) -> None:
        self.write(self.place(), self.text())

    def edit(self) -> None:
        self.write(self.file(), self.text())

    def break_one(self) -> None:
        self.write(self.file(), START + b"broken %d" % self.chance.randint(0, 2))

    def flake(self) -> None:
        self.write(self.file(), START + b"flaky %d" % self.chance.randint(0, 2))

    def mend(self) -> None:
        self.edit()

    def into_text(self) -> None:
        self.write(self.file(), b"no photo any more")

    def empty(self) -> None:
        self.write(self.file(), b"")

    def touch(self) -> None:
        self.library.touch(self.file())

    def move(self) -> None:
        source = self.file()
        if source.name != "anchor.jpg":
            source.rename(self.place())

    def overwrite(self) -> None:
        source, target = self.file(), self.file()
        if "anchor.jpg" not in (source.name, target.name):
            source.replace(target)

    def copy(self) -> None:
        self.write(self.place(), self.file().read_bytes())

    def copy_with_time(self) -> None:
        source, target = self.file(), self.place()
        if source != target:
            shutil.copy2(source, target)

    def delete(self) -> None:
        path = self.file()
        if path.name != "anchor.jpg":
            path.unlink()

    def rename_folder(self) -> None:
        root = self.chance.choice(self.roots)
        folders = sorted(path for path in root.iterdir() if path.is_dir())
        if folders:
            self._number += 1
            self.chance.choice(folders).rename(root / f"folder {self._number}")


def _stop_after(done: int) -> Callable[[object], None]:
    calls = []

    def stop(state: object) -> None:
        calls.append(state)
        if len(calls) > done:
            raise KeyboardInterrupt

    return stop


@pytest.mark.parametrize("seed", range(SEEDS))
def test_a_store_with_a_past_holds_what_a_new_one_would(library: Library, seed: int) -> None:
    hands = Hands(library, random.Random(seed))
    library.run(hands.roots)
    for _ in range(STEPS):
        hands.work()
        for _ in range(hands.chance.randint(0, 2)):
            hands.index()
        library.run(hands.roots, prune=True)
        fresh = library.home / "fresh.npz"
        library.run(hands.roots, fresh)
        assert library.store.content_digest() == _digest(fresh)
        assert sorted(paths_of(library.store)) == sorted(set(paths_of(library.store)))
        assert library.problems() == []
        assert arrays_of(library.path) == arrays_of(fresh)
        fresh.unlink()


def _digest(path: Path) -> str:
    from facesearch.store import Store

    return Store.open(path).content_digest()
