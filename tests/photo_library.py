"""A folder of fake photos and a store of it, with what is done to folders in the course of time."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from facesearch.index_options import IndexOptions
from facesearch.indexing import IndexHooks, index
from facesearch.locations import join, whole
from facesearch.processing import PhotoTask, ProcessSpec
from facesearch.records import IndexPrediction, IndexSummary, PhotoResult
from facesearch.store import Store, check_store
from facesearch.workers import PoolOptions
from fake_networks import START, FakeNetworks


class PoolInHere:
    """A pool whose worker is this very process."""

    def __init__(self, factory: Any, options: PoolOptions) -> None:
        self._factory = factory
        self.description = ""

    def __enter__(self) -> PoolInHere:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def run(self, batches: Iterator[list[PhotoTask]]) -> Iterator[tuple[PhotoTask, PhotoResult]]:
        worker = self._factory()
        self.description = worker.describe()
        for batch in batches:
            yield from zip(batch, worker.process(batch), strict=True)


class Library:
    """``photos`` is the folder, ``path`` the store; more folders lie beside them."""

    def __init__(self, home: Path, processes: bool = False) -> None:
        self.home = home
        self.photos = home / "photos"
        self.photos.mkdir(parents=True, exist_ok=True)
        self.path = home / "faces.npz"
        self.switch = home / "switch"
        self.seconds = 0.0
        self.hooks: dict[str, Any] = {}
        self._log = home / "log"
        self._processes = processes
        self._clock = 1_600_000_000

    def add(self, name: str, text: str = "", root: Path | None = None) -> Path:
        """Writes a photo, later than all before; the text is its name unless it is given."""
        path = (root or self.photos) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(START + (text or name).encode())
        self.touch(path)
        return path

    def add_many(self, count: int, folder: str = "", root: Path | None = None) -> list[Path]:
        """Writes so many photos of different sizes."""
        names = (f"{folder}{number:03}.jpg" for number in range(count))
        return [self.add(name, f"{name} {'x' * int(name[-7:-4])}", root) for name in names]

    def touch(self, path: Path) -> None:
        """A new modification time."""
        self._clock += 10
        os.utime(path, (self._clock, self._clock))

    def index(self, *paths: Path, store: Path | None = None, **options: Any) -> IndexSummary:
        """Runs the index job; the photos unless others are named. ``None`` is: no path at all."""
        return self.run(paths or (self.photos,), store, **options)

    def refresh(self, **options: Any) -> IndexSummary:
        """Runs the index job on all known roots."""
        return self.run((), None, **options)

    def run(self, paths: Sequence[Path], store: Path | None = None, **options: Any) -> IndexSummary:
        with self.pool():
            asked = IndexOptions(**{"jobs": 2, **options})
            return index(list(paths), store or self.path, asked, self.index_hooks())

    def predict(self, *paths: Path, **options: Any) -> IndexPrediction:
        from facesearch.predicting import predict

        with self.pool():
            asked = IndexOptions(**{"jobs": 1, **options})
            return predict(list(paths), self.path, asked, self.index_hooks())

    def pool(self) -> Any:
        if self._processes:
            return mock.patch("facesearch.indexing.BATCH", 16)
        return mock.patch("facesearch.indexing.WorkerPool", PoolInHere)

    def index_hooks(self) -> IndexHooks:
        return IndexHooks(**{"factory": self.networks, **self.hooks})

    def networks(self, spec: ProcessSpec) -> FakeNetworks:
        return FakeNetworks(spec, str(self._log), str(self.switch), self.seconds)

    def embedded(self) -> list[str]:
        """Names of the photos that were embedded since this was last asked, in order."""
        if not self._log.exists():
            return []
        names = [self.name(json.loads(line)) for line in self._log.read_text().splitlines()]
        self._log.unlink()
        return sorted(names)

    def name(self, path: str | Path) -> str:
        """The path from the photos' folder, or from the one above it."""
        path = Path(path)
        return str(path.relative_to(self.photos if self.photos in path.parents else self.home))

    @property
    def store(self) -> Store:
        return Store.open(self.path)

    def names(self) -> list[str]:
        """All files of the store, sorted."""
        return sorted(self.name(path) for path in paths_of(self.store))

    def problems(self) -> list[str]:
        """What is wrong with the store, its files on the disk included."""
        return check_store(self.store, deep=True)

    def digest_of_a_fresh_store(self, *paths: Path, **options: Any) -> str:
        """What the store must be equal to."""
        fresh = self.home / "fresh.npz"
        self.index(*paths, store=fresh, **options)
        digest = Store.open(fresh).content_digest()
        fresh.unlink()
        return digest


def say(word: str) -> None:
    """Tells whoever began this process how far it is."""
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


def paths_of(store: Store) -> list[str]:
    """Full path of every file of a store."""
    folders = [whole(root.resolve(store.folder)) for root in store.roots]
    rows = zip(store.files.root.tolist(), store.files.paths(), strict=True)
    return [join(folders[root], key) for root, key in rows]


def arrays_of(path: Path) -> dict[str, bytes]:
    """Every array of a finished store, as bytes, without what says when it was made."""
    with np.load(path, allow_pickle=False) as archive:
        return {
            name: repr((archive[name].dtype, archive[name].shape)).encode()
            + archive[name].tobytes()
            for name in archive.files
            if name != "meta"
        }
