"""Mutated stores: an error of one line or the right answer, and never anything else."""

from __future__ import annotations

import dataclasses
import os
import random
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from counting import Piece, pieces

from facesearch.encrypting import encrypt
from facesearch.errors import FacesearchError
from facesearch.gallery import Search, Where, codes
from facesearch.gallery.facts import coverage_of, failures_of, further_pages, roots_of, small_faces
from facesearch.gallery.npz import NpzGallery
from facesearch.gallery.persons import Persons, labels_of
from facesearch.store import Root, Store, check_path
from facesearch.store.entered import change_entered
from facesearch.store.passphrases import Given, Keys, unlocking
from made_mutants import HEAD, Files, Mutant, Stranger, damaged, read_files
from made_photos import DIM, Photos
from sealed_stores import cheap_encryption
from watched import TooLongError, Watch, bounded_memory, bounded_time

HOURS = 3 * 3600
PIECES = 25
SECONDS = 10.0
MEMORY = 1 << 30
BACKENDS = ("sklearn", "brute", "faiss", "faiss-flat", "faiss-rabitq", "auto")
KEYS = ["anna/1.jpg", "anna/2.jpg", "anna/3.jpg", "ben/1.jpg", "ben/ü.jpg", "zoë/4.jpg", "top.jpg"]
LONGEST = 4000  # characters of a message

Step = Callable[[Path], Any]
Answers = dict[str, Any]


@pytest.fixture(scope="module", autouse=True)
def _small_and_quick() -> Iterator[None]:
    """No waiting for the disk, and codes of few rows too."""
    small = {
        name: dataclasses.replace(coder, fits=lambda count, dim: count > 0)
        for name, coder in codes.CODERS.items()
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        patch.setattr(codes, "CODERS", small)
        with cheap_encryption(1024), unlocking(Keys(Given("correct horse"))):
            yield


@pytest.fixture(scope="module")
def made(quick_disk: Path, _small_and_quick: None) -> Bench:
    folder = Path(tempfile.mkdtemp(dir=quick_disk))
    return Bench(folder, Watch(folder))


# Stores.


def _plain(path: Path) -> None:
    photos = Photos()
    photos.build(path, KEYS)
    with photos.open(path) as writer:
        writer.put((0, photos.entry("broken.jpg")), photos.result("broken", reason="corrupt"))
        writer.put((0, photos.entry("copy.jpg", "a")), photos.result(KEYS[0]))
        writer.finish()


def _parts(path: Path) -> None:
    photos = Photos()
    with photos.open(path) as writer:
        writer.set_roots([Root("/photos", "photos")])
        for first, last in ((0, 4), (4, 6), (6, 7)):  # none is merged with the one before
            photos.fill(writer, KEYS[first:last])
            writer.commit((last, 7))


def _computed(path: Path) -> None:
    _plain(path)
    for backend in ("faiss", "faiss-rabitq"):
        _neighbors(path, backend)
    _neighbors(path, "sklearn", expand=True)


def _numbered(path: Path) -> None:
    photos = Photos()
    photos.build(path, KEYS[:5])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("facesearch.store.layout.NUMBERED_HEADS", True)
        patch.setattr("facesearch.store.layout.Layout.settle", lambda layout: None)
        with photos.open(path) as writer:
            photos.fill(writer, KEYS[5:])
            writer.finish()


def _entered(path: Path) -> None:
    _plain(path)
    store = Store.open(path)
    hashes = [row.tobytes().hex() for row in store.contents.hash]
    counts = store.contents.face_counts.tolist()
    here = {
        digest: {"recipe": store.recipe.recipe_digest, "count": count + 1, "numbers": [1]}
        for digest, count in zip(hashes, counts, strict=True)
        if count
    }
    entered = {
        "labels": {"anna/1.jpg": "=Anna", "top.jpg": "Zoë"},
        "forgotten": {"photos": {"ab" * 32: 77}, "faces": here},
    }
    change_entered(path, lambda held: entered, wait=False)


STORES: dict[str, Callable[[Path], None]] = {
    "one file": _plain,
    "in parts": _parts,
    "with computed data": _computed,
    "with numbered heads": _numbered,
    "with what was entered": _entered,
}


def _encrypted(path: Path) -> None:
    _computed(path)
    encrypt(path)


def _encrypted_parts(path: Path) -> None:
    _parts(path)
    encrypt(path)


ENCRYPTED: dict[str, Callable[[Path], None]] = {
    "encrypted": _encrypted,
    "encrypted, in parts": _encrypted_parts,
}


# What is asked of each.


@cache
def _query() -> np.ndarray:
    rows = np.random.default_rng(7).normal(size=(2, DIM))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def _neighbors(
    path: Path, backend: str, expand: bool = False, where: Where | None = None, k: int = 3
) -> list[Any]:
    search = Search(k=k, by="face", expand=expand, where=where or Where())
    found = NpzGallery(Store.open(path), backend).search(_query(), ["a", "b"], search)
    return [dataclasses.astuple(neighbor) for neighbor in found]


def _facts(path: Path) -> list[Any]:
    """As ``facesearch info`` and ``roots`` ask."""
    store = Store.open(path)
    recipe = store.recipe
    repr((recipe.as_dict(), recipe.recipe_digest, recipe.space_digest, store.options))
    return [store.size, recipe, coverage_of(store), list(roots_of(store, ask=False))]


def _photos(path: Path) -> list[Any]:
    store = Store.open(path)
    return [
        list(store.files.paths()),
        list(failures_of(store)),
        further_pages(store),
        small_faces(store, (20, 40)),
        store.content_digest(),
    ]


def _people(path: Path) -> list[Any]:
    store = Store.open(path)
    labels = labels_of(store.head.entered)
    return [labels, sorted(Persons(store).names()), repr(store.forgotten), bool(store.forgotten)]


def _filtered(path: Path) -> list[Any]:
    where = Where(since="2019", until="2021", persons=("anna",))
    return _neighbors(path, "sklearn", where=where)


ALWAYS: dict[str, Step] = {
    "check": check_path,
    "neighbours": lambda path: _neighbors(path, "sklearn"),
    "facts": _facts,
}
SOMETIMES: dict[str, Step] = {
    "photos": _photos,
    "people": _people,
    "filtered": _filtered,
    "all": lambda path: _neighbors(path, "brute", k=1000),
    "expanded": lambda path: _neighbors(path, "sklearn", expand=True),
    **{name: lambda path, name=name: _neighbors(path, name) for name in BACKENDS},
}
WHOLE_FILES = ("a file lost", "two files exchanged")


class Bench:
    """Lays mutants where the store lay, asks them and judges what they say."""

    def __init__(self, folder: Path, watch: Watch) -> None:
        self.stranger = Stranger(_made(folder / "taken-apart"))
        self.folder = folder / "store"
        self.watch = watch
        self.stores = {name: self._built(build) for name, build in {**STORES, **ENCRYPTED}.items()}
        self.right = {name: self._answers(files) for name, files in self.stores.items()}
        self.earlier = [*self._before(self.stores["with numbered heads"])]
        assert self.earlier

    @property
    def path(self) -> Path:
        return self.folder / HEAD

    def _built(self, build: Callable[[Path], None]) -> Files:
        self._empty()
        build(self.path)
        return read_files(self.folder)

    def _empty(self) -> None:
        """Takes away the files; folders take longer, and empty ones mean nothing."""
        self.folder.mkdir(exist_ok=True)
        for folder, _, names in os.walk(self.folder):
            for name in names:
                Path(folder, name).unlink()

    def _lay(self, files: Files) -> None:
        self._empty()
        for name, raw in files.items():
            target = self.folder / name
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(raw)

    def _before(self, files: Files) -> Iterator[Answers]:
        """What the commits before the last one answer."""
        for newest in sorted(name for name in files if ".heads/" in name)[::-1]:
            files = {name: raw for name, raw in files.items() if name != newest}
            yield self._answers(files)

    def _answers(self, files: Files) -> Answers:
        self._lay(files)
        return {name: step(self.path) for name, step in {**ALWAYS, **SOMETIMES}.items()}

    def judged(self, source: random.Random, mutant: Mutant, name: str) -> str:
        """What became of it.

        Raises:
            AssertionError: nothing that may.
        """
        self._lay(mutant.files)
        steps = {**ALWAYS, **{step: SOMETIMES[step] for step in source.sample([*SOMETIMES], 2)}}
        said: Answers = {}
        with self.watch.watching() as seen:
            for step, ask in steps.items():
                said[step] = self._asked(ask)
        assert not seen, seen
        return self._outcome(mutant, said, name)

    def _asked(self, ask: Step) -> Any:
        try:
            with bounded_time(SECONDS):
                return ask(self.path)
        except FacesearchError as error:
            message = str(error)
            assert "\n" not in message, message
            assert len(message) < LONGEST, f"{len(message)} characters: {message[:300]}"
            return error
        except TooLongError:
            raise AssertionError(f"took more than {SECONDS} s") from None

    def _outcome(self, mutant: Mutant, said: Answers, name: str) -> str:
        wrong = {step for step, answer in said.items() if isinstance(answer, FacesearchError)}
        asked = said.keys() - wrong - {"check"}
        told = "check" in wrong or said["check"] != []
        if mutant.honest:
            # Computed data and earlier commits may be gone, or lie in each other's place.
            assert told or mutant.kind in WHOLE_FILES, "check finds nothing"
            others = {step for step in asked if not self._same(step, said, self.right[name])}
            if others and name == "with numbered heads":
                assert any(
                    all(self._same(step, said, before) for step in others)
                    for before in self.earlier
                ), others
                return "answers as of the commit before"
            assert not others, {step: said[step] for step in others}
        if not asked:
            return "refused with one line"
        if mutant.honest:
            return "right answers to some, refused for the rest" if wrong else "right answers"
        return "its own answers to some, refused for the rest" if wrong else "its own answers"

    def _same(self, step: str, said: Answers, right: Answers) -> bool:
        if step == "facts":  # its size may differ
            return said[step][1:] == right[step][1:]
        return bool(said[step] == right[step])


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


@pytest.fixture
def bench(made: Bench) -> Iterator[Bench]:
    with bounded_memory(MEMORY):
        yield made


def _tried(
    bench: Bench,
    seeds: Iterable[int],
    make: Callable[[random.Random, Files], Mutant],
    stores: Iterable[str] = STORES,
) -> Counter:
    """Outcomes of a mutant for each seed; stops at the first that fails, and says which."""
    outcomes: Counter[str] = Counter()
    names = list(stores)
    for seed in seeds:
        source = random.Random(seed)
        name = names[seed % len(names)]
        mutant = make(source, bench.stores[name])
        try:
            outcome = bench.judged(source, mutant, name)
        except Exception as error:
            raise AssertionError(f"seed {seed}, {name}, {mutant.kind}: {error!r:.2000}") from error
        outcomes[outcome] += 1
    return outcomes


@pytest.mark.parametrize("piece", pieces(PIECES), ids=str)
@pytest.mark.timeout(HOURS, method="thread")  # the other one needs the alarm clock too
def test_a_damaged_store_gives_an_error_or_the_right_answer(bench, piece: Piece, how_many, record):
    outcomes = _tried(bench, piece.of(how_many(400, 50_000)), damaged)
    record("Store files damaged: flipped, cut, zeroed, swapped, lost", outcomes, piece)
    assert outcomes["refused with one line"] > 0


@pytest.mark.parametrize("piece", pieces(4), ids=str)
@pytest.mark.timeout(HOURS, method="thread")
def test_a_damaged_store_that_is_encrypted(bench, piece: Piece, how_many, record):
    outcomes = _tried(bench, piece.of(how_many(100, 5_000)), damaged, ENCRYPTED)
    record("Encrypted store files damaged: flipped, cut, zeroed, swapped, lost", outcomes, piece)
    assert outcomes["refused with one line"] > 0


@pytest.mark.parametrize("piece", pieces(PIECES), ids=str)
@pytest.mark.timeout(HOURS, method="thread")
def test_a_store_from_a_stranger_is_safe_to_open(bench, piece: Piece, how_many, record):
    outcomes = _tried(bench, piece.of(how_many(400, 50_000)), bench.stranger.hostile)
    record("Store files made by a stranger, every digest right", outcomes, piece)
    assert outcomes["refused with one line"] > 0
