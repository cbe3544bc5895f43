"""Stores damaged at one place and repaired: nothing wrong stays, nothing that is lost goes unsaid,
and the next run has what it would have had without.
"""

from __future__ import annotations

import os
import random
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from test_reliability_stores import STORES

from facesearch.errors import FacesearchError, InterruptedRunError
from facesearch.forgetting import ForgetOptions, Targets, forget
from facesearch.store import Store, check_path, face_keys, save_derived
from facesearch.store.passphrases import Given, Keys, unlocking
from facesearch.store.repair import RepairOptions, RepairSummary, repair
from made_mutants import HEAD, Files, Stranger, damaged, read_files
from photo_library import Library
from sealed_stores import cheap_encryption
from watched import TooLongError, bounded_memory, bounded_time

HOURS = 3 * 3600
SECONDS = 20.0
MEMORY = 1 << 30


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    with cheap_encryption(1024), unlocking(Keys(Given("correct horse"))):
        yield


def _one_file(library: Library) -> None:
    library.index()


def _unended(library: Library) -> None:
    """A run over new, changed and removed photos was stopped."""
    library.index()
    library.add("000.jpg", "another")
    (library.photos / "001.jpg").unlink()
    library.add_many(16, "late/")

    def stop(state: object) -> None:
        if getattr(state, "done", 0) >= 12:
            raise KeyboardInterrupt

    library.hooks = {"on_progress": stop}
    with (
        mock.patch("facesearch.indexing.COMMIT_SECONDS", 0),
        mock.patch("facesearch.indexing.BATCH", 4),
        mock.patch("facesearch.store.compaction.TIER", 0),
        pytest.raises(InterruptedRunError),
    ):
        library.index()
    library.hooks = {}


def _numbered(library: Library) -> None:
    with (
        mock.patch("facesearch.store.layout.NUMBERED_HEADS", True),
        mock.patch("facesearch.store.layout.Layout.settle", lambda layout: None),
    ):
        library.index()
        library.add_many(5, "late/")
        library.index()


def _forgetful(library: Library) -> None:
    library.index()
    targets = Targets((str(library.photos / "003.jpg"),))
    assert forget(library.path, targets, ForgetOptions(), lambda summary: True) is not None


def _computed(library: Library) -> None:
    library.index()
    made_from = face_keys(library.store).digest
    save_derived(library.path, "numbers", {"n": np.arange(99, dtype=np.int32)}, made_from)


def _encrypted(library: Library) -> None:
    library.index(encrypt=True)


KINDS: dict[str, Callable[[Library], None]] = {
    "one file": _one_file,
    "a run that was stopped": _unended,
    "numbered heads": _numbered,
    "a photo forgotten": _forgetful,
    "computed data": _computed,
    "encrypted": _encrypted,
}

Rows = dict[bytes, bytes]


def _rows(store: Store) -> Rows:
    """Hash of each photo's bytes -> all that is known of its faces."""
    contents, found = store.contents, {}
    for row in range(len(contents)):
        ids = np.arange(contents.face_start(row), contents.face_stop(row))
        facts = store.embeddings(ids).tobytes() + store.faces.box[ids].tobytes()
        found[contents.hash_of(row)] = facts
    return found


@dataclass(frozen=True)
class Case:
    """A store as it was made, what a run over its photos ends with, and all rows that are true."""

    library: Library
    files: Files
    paths: frozenset[str]
    rows: Rows
    ended: str
    forgotten: frozenset[bytes]

    @classmethod
    def made(cls, library: Library, build: Callable[[Library], None]) -> Case:
        library.add_many(24)
        build(library)
        folder = library.home
        files = {name: raw for name, raw in read_files(folder).items() if name.startswith(HEAD)}
        store = library.store
        paths, rows = frozenset(_paths(store)), _rows(store)
        forgotten = frozenset(store.forgotten.photos)
        library.index()
        rows |= _rows(library.store)
        return cls(library, files, paths, rows, library.store.content_digest(), forgotten)

    def lay(self, files: Files) -> None:
        for path in self.library.home.glob(f"{HEAD}*"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        for name, raw in files.items():
            target = self.library.home / name
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(raw)

    def held(self) -> Files:
        found = read_files(self.library.home)
        return {name: raw for name, raw in found.items() if name.startswith(HEAD)}

    def judged(self, files: Files) -> str:
        self.lay(files)
        try:
            found = repair(self.library.path, RepairOptions(), lambda summary: True)
        except FacesearchError as error:
            assert "\n" not in str(error)
            assert self.held() == files
            return "refused, for its description is lost; nothing is changed"
        assert found is not None
        assert check_path(self.library.path) == []
        self._require_truth(found)
        kept = self.held()
        if found.damaged:
            name = Path(found.damaged).name
            originals = {key: raw for key, raw in kept.items() if key.startswith(name)}
            assert {key.replace(name, HEAD, 1): raw for key, raw in originals.items()} == files
        self.library.index()
        assert self.library.store.content_digest() == self.ended
        if found.sound:
            return "sound as it is"
        if found.complete:
            return "repaired, nothing lost"
        return "repaired, what is lost is said, and the next run reads it again"

    def _require_truth(self, found: RepairSummary) -> None:
        store = self.library.store
        rows = _rows(store)
        assert rows == {key: self.rows[key] for key in rows}
        assert not self.forgotten & rows.keys()
        paths = set(_paths(store))
        assert len(paths) == found.photos
        if not found.sound and not found.notes:
            lost = {photo.path for photo in found.lost}
            assert not lost & paths
            assert len(self.paths - paths - lost) <= found.unnamed
            assert lost <= self.paths
            assert paths <= self.paths


def _paths(store: Store) -> Iterator[str]:
    roots = [root.path for root in store.roots]
    for root, path in zip(store.files.root.tolist(), store.files.paths(), strict=True):
        yield f"{roots[root]}/{path}"


@pytest.mark.timeout(HOURS, method="thread")
def test_a_damaged_store_is_repaired(tmp_path: Path, how_many, record) -> None:
    cases = {
        kind: Case.made(Library(tmp_path / str(number)), build)
        for number, (kind, build) in enumerate(KINDS.items())
    }
    outcomes = Counter[str]()
    for seed in range(how_many(40, 1000)):
        source = random.Random(seed)
        kind = list(cases)[seed % len(cases)]
        mutant = damaged(source, cases[kind].files)
        try:
            outcomes[cases[kind].judged(mutant.files)] += 1
        except Exception as error:
            raise AssertionError(f"seed {seed}, {kind}, {mutant.kind}: {error!r:.2000}") from error
    record("Stores damaged at one place, repaired", outcomes)
    assert outcomes["repaired, nothing lost"] > outcomes.total() // 3


@pytest.mark.timeout(HOURS, method="thread")
def test_a_store_from_a_stranger_is_safe_to_repair(tmp_path: Path, how_many, record) -> None:
    (tmp_path / "apart").mkdir()
    stranger = Stranger(tmp_path / "apart")
    stores = {}
    for number, (name, build) in enumerate(STORES.items()):
        folder = tmp_path / str(number)
        folder.mkdir()
        build(folder / HEAD)
        stores[name] = read_files(folder)
    outcomes = Counter[str]()
    for seed in range(how_many(40, 1000)):
        source = random.Random(seed)
        mutant = stranger.hostile(source, stores[list(stores)[seed % len(stores)]])
        files = {name: bytearray(raw) for name, raw in mutant.files.items()}
        name = source.choice([name for name, raw in files.items() if raw])
        files[name][source.randrange(len(files[name]))] ^= 1  # so that there is work to do
        folder = tmp_path / "store"
        shutil.rmtree(folder, ignore_errors=True)
        for name, raw in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(raw)
        outcomes[_outcome(folder / HEAD, f"seed {seed}, {mutant.kind}")] += 1
    record("Store files made by a stranger and damaged, repaired", outcomes)


def _outcome(path: Path, case: str) -> str:
    try:
        with bounded_memory(MEMORY), bounded_time(SECONDS):
            repair(path, RepairOptions(), lambda summary: True)
    except FacesearchError as error:
        assert "\n" not in str(error), case
        return "refused with one line"
    except TooLongError:
        raise AssertionError(f"{case}: took more than {SECONDS} s") from None
    assert check_path(path) == [], case
    return "sound"
