"""A look at a whole store, and made-up photos to fill it with."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from facesearch.store import Store
from made_photos import Photos
from mapped_files import Windows


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests commit thousands of times; what ``fsync`` does cannot be seen from here."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> Windows:
    if not Path("/proc/self/maps").exists():
        pytest.skip("only Linux says what is mapped")
    return Windows(monkeypatch)


@pytest.fixture(params=["plain", "numbered"])
def heads(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways to commit."""
    numbered = request.param == "numbered"
    monkeypatch.setattr("facesearch.store.layout.NUMBERED_HEADS", numbered)
    return str(request.param)


@pytest.fixture
def photos() -> Photos:
    return Photos()


@pytest.fixture
def arrays() -> Callable[[Path], dict[str, bytes]]:
    """Every array of a finished store as bytes, segment by segment, without times."""

    def read(path: Path) -> dict[str, bytes]:
        store = Store.open(path)
        found = {}
        for index, segment in enumerate(store.segments):
            with np.load(segment.archive.path, allow_pickle=False) as archive:
                for name in archive.files:
                    if name != "meta":
                        array = archive[name]
                        found[f"{index}/{name}"] = repr(array.shape).encode() + array.tobytes()
        head = store.head
        found["roots"] = repr([(root.id, root.path) for root in head.roots]).encode()
        return found

    return read
