"""A folder of people in plain colours, and a training that takes no network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from facesearch.runtimes import small_cnn
from facesearch.runtimes.small_cnn import BatchDone, EpochDone, TrainingSpec

COUNTS = {"ann": 2, "bob": 6, "cid": 3, "dan": 6, "eve": 1}
"""People and how many photos each has."""
GIGABYTE = 1_000_000_000


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch) -> Path:
    folder = tmp_path / "home"
    monkeypatch.setenv("FACESEARCH_HOME", str(folder))
    return folder


@pytest.fixture
def people(tmp_path) -> Path:
    """``people/NAME/NAME_0001.png``; the red of a photo is its person's number times 50."""
    folder = tmp_path / "people"
    for number, (name, count) in enumerate(COUNTS.items()):
        (folder / name).mkdir(parents=True)
        for photo in range(1, count + 1):
            colour = (number * 50, photo, 0)
            Image.new("RGB", (250, 250), colour).save(folder / name / f"{name}_{photo:04d}.png")
    return folder


@pytest.fixture
def machine(monkeypatch) -> Callable[..., None]:
    """Sets the memory and the disk that there are, in bytes."""

    def has(memory: float = 100 * GIGABYTE, disk: float = 100 * GIGABYTE) -> None:
        monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=int(memory)))
        monkeypatch.setattr("shutil.disk_usage", lambda _path: SimpleNamespace(free=int(disk)))

    has()
    return has


class FakeNetwork:
    """Stands in for ``small_cnn.train``: reads all photos, writes what it would write.

    ``stop_in`` is the epoch in which it raises ``error``.
    """

    def __init__(self) -> None:
        self.specs: list[TrainingSpec] = []
        self.seen: list[Any] = []
        self.stop_in = 0
        self.error: BaseException = KeyboardInterrupt()

    def __call__(self, spec: TrainingSpec, photos: Any, folder: Path, listener: Any) -> Path:
        import h5py

        self.specs.append(spec)
        batches = -(-len(photos) // spec.batch)
        for epoch in range(small_cnn.epochs_done(folder) + 1, spec.epochs + 1):
            for batch in range(batches):
                numbers = np.arange(len(photos))[batch * spec.batch :][: spec.batch]
                self.seen.append(photos.load(numbers))
                listener.batch_done(BatchDone(epoch, batch + 1, batches, 0.5, 1 / epoch))
                if epoch == self.stop_in:
                    raise self.error
            listener.epoch_done(EpochDone(epoch, 0.5 + epoch / 100, 1 / epoch, 2.0))
            for older in folder.glob("epoch-*"):
                older.rmdir()
            (folder / f"epoch-{epoch:04d}").mkdir()
        with h5py.File(folder / "embedding.h5", "w") as file:
            file["weights"] = np.zeros(3)
        return folder / "embedding.h5"


@pytest.fixture
def network(monkeypatch, machine) -> FakeNetwork:
    fake = FakeNetwork()
    monkeypatch.setattr("facesearch.runtimes.small_cnn.train", fake)
    return fake
