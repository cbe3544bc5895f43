"""Photos come, change, move and go, are indexed, searched and forgotten, in any order: the store
holds what a simple model says after every step, and nothing of what was forgotten.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections import Counter
from pathlib import Path
from typing import ClassVar
from unittest import mock

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from facesearch.errors import UsageError
from facesearch.forgetting import ForgetOptions, Targets, allow, forget, traces_left
from facesearch.gallery import Search
from facesearch.gallery.npz import NpzGallery
from facesearch.processing import PhotoTask, ProcessSpec
from facesearch.runtimes import RuntimeOptions
from facesearch.store import Store, check_store
from fake_networks import START
from photo_library import Library, paths_of

PLACES = st.sampled_from(["1.jpg", "2.jpg", "a/1.jpg", "a/2.jpg", "a/b/3.jpg", "c/4.jpg"])
PICTURES = [f"picture {number}" for number in range(24)]
TEXTS = st.sampled_from([*PICTURES, "broken 1", "broken 2"])
WHICH = st.integers(0, 99)
STEPS = 20


def hash_of(text: str) -> bytes:
    return hashlib.sha256(START + text.encode()).digest()


def faces_of(text: str) -> int:
    """How many the fake networks find."""
    return 0 if text.startswith("broken") else hash_of(text)[0] % 3


class SoakMachine(RuleBasedStateMachine):
    """``disk`` is what lies where; ``held`` what the store has of it; ``left`` which faces (from 1)
    it has of each text. ``gone`` are texts forgotten whole; ``out`` says of others how many faces
    they had when one was forgotten first, and the numbers of those forgotten.
    """

    outcomes: ClassVar[Counter[str]] = Counter()

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        cache = str(Path(self.folder.name) / "cache")
        self.patch = mock.patch.dict(os.environ, {"FACESEARCH_HOME": cache})
        self.patch.start()
        self.library = Library(Path(self.folder.name) / "home")
        self.disk: dict[Path, str] = {}
        self.held: dict[Path, str] = {}
        self.left: dict[str, list[int]] = {}
        self.gone: set[str] = set()
        self.out: dict[str, tuple[int, set[int]]] = {}
        self.write(self.library.photos / "anchor.jpg", "anchor")
        for number, text in enumerate(PICTURES[:12]):
            self.write(self.library.photos / f"at first/{number}.jpg", text)
        self.library.index()
        self.read_again(rebuilt=True)

    def teardown(self) -> None:
        if hasattr(self, "patch"):
            self.patch.stop()
            self.folder.cleanup()

    def write(self, path: Path, text: str) -> None:
        self.library.add(str(path.relative_to(self.library.photos)), text)
        self.disk[path] = text

    def pick(self, places: dict[Path, str], which: int) -> Path:
        """One of the places, but for the anchor while there are others."""
        names = sorted(path for path in places if path.name != "anchor.jpg")
        return names[which % len(names)] if names else self.library.photos / "nothing.jpg"

    def count(self, what: str) -> None:
        self.outcomes[what] += 1

    @rule(place=PLACES, text=TEXTS)
    def add_or_change(self, place: str, text: str) -> None:
        path = self.library.photos / place
        self.count("changed" if path in self.disk else "added")
        self.write(path, text)

    @rule(which=WHICH, end=PLACES)
    def move(self, which: int, end: str) -> None:
        source, to = self.pick(self.disk, which), self.library.photos / end
        if source in self.disk and source != to:
            to.parent.mkdir(parents=True, exist_ok=True)
            source.replace(to)
            self.disk[to] = self.disk.pop(source)
        self.count("moved")

    @rule(which=WHICH)
    def delete(self, which: int) -> None:
        path = self.pick(self.disk, which)
        if self.disk.pop(path, None):
            path.unlink()
        self.count("deleted")

    @rule(rebuild=st.sampled_from([False, False, False, True]))
    def refresh(self, rebuild: bool) -> None:
        summary = self.library.refresh(prune=True, rebuild=rebuild)
        stays_out = self.read_again(rebuild)
        assert summary.forgotten == stays_out
        self.count("built anew" if rebuild else "refreshed")

    def read_again(self, rebuilt: bool) -> int:
        """What an index run makes of the disk; how many files it leaves out."""
        known = {} if rebuilt else self.left
        self.held, self.left, stays_out = {}, {}, 0
        for path, text in self.disk.items():
            count, numbers = self.out.get(text, (faces_of(text), set()))
            muddled = text not in known and count != faces_of(text)
            if text in self.gone or muddled:
                stays_out += 1
                continue
            self.held[path] = text
            every = [face for face in range(1, faces_of(text) + 1) if face not in numbers]
            self.left[text] = known.get(text, every)
        return stays_out

    @rule(which=WHICH, held=st.sampled_from([True, True, True, False]), remember=st.booleans())
    def forget_photo(self, which: int, held: bool, remember: bool) -> None:
        path = self.pick(self.held if held else self.disk, which)
        text = self.held.get(path)
        if text is None:
            with pytest.raises(UsageError, match="has no photo there"):
                self.go(Targets((str(path),)), remember)
            self.count("forget: nothing there")
            return
        summary = self.go(Targets((str(path),)), remember)
        where = sorted(str(each) for each, other in self.held.items() if other == text)
        assert sorted(each for photo in summary.photos for each in photo.paths) == where
        assert summary.embeddings == len(self.left.pop(text))
        self.held = {each: other for each, other in self.held.items() if other != text}
        self.out.pop(text, None)
        if remember:
            self.gone.add(text)
        self.count("photo forgotten" if remember else "photo forgotten without memory")

    @rule(which=WHICH, remember=st.booleans())
    def forget_face(self, which: int, remember: bool) -> None:
        some = {path: text for path, text in self.held.items() if self.left[text]}
        text = self.held.get(self.pick(some, which))
        if text is None:
            self.count("forget: nobody there")
            return
        place = which % len(self.left[text])
        number = self.numbers(text)[place]
        count, numbers = self.out.get(text, (len(self.left[text]), set()))
        face = f"{hash_of(text).hex()[:16]}-{number}"
        summary = self.go(Targets(ids=(face,)), remember)
        assert [each.id for each in summary.faces] == [face]
        del self.left[text][place]
        if remember or text in self.out:
            self.out[text] = (count, {*numbers, number})
        self.count("face forgotten" if remember else "face forgotten without memory")

    @rule(which=WHICH)
    def allow_again(self, which: int) -> None:
        path = self.pick(self.disk, which)
        if path in self.disk:
            text = self.disk[path]
            assert allow(self.library.path, [str(path)]) == (text in self.gone or text in self.out)
            self.gone.discard(text)
            if self.out.pop(text, None):  # it leaves, so that the next run reads all of it
                self.left.pop(text, None)
                self.held = {place: held for place, held in self.held.items() if held != text}
        self.count("allowed again")

    def go(self, targets: Targets, remember: bool):
        return forget(self.library.path, targets, ForgetOptions(remember), lambda _: True)

    def numbers(self, text: str) -> list[int]:
        """The numbers in the ids of the faces that are left."""
        count, numbers = self.out.get(text, (len(self.left[text]), set()))
        return [number for number in range(1, count + 1) if number not in numbers]

    def rows(self, text: str) -> np.ndarray:
        """The embeddings of the faces that are left."""
        spec = ProcessSpec(self.library.store.recipe, 1 << 30, RuntimeOptions())
        path = Path(self.folder.name) / "asked.jpg"
        path.write_bytes(START + text.encode())
        (result,) = self.library.networks(spec).process([PhotoTask(0, str(path))])
        return result.embeddings[[face - 1 for face in self.left[text]]]

    @rule()
    def query(self) -> None:
        store = self.library.store
        expected = {f"{hash_of(t).hex()[:16]}-{n}" for t in self.left for n in self.numbers(t)}
        for text in self.left:
            for row, number in zip(self.rows(text), self.numbers(text), strict=True):
                found = NpzGallery(store).search(row[None], ["q"], Search(None, by="face"))
                assert {near.id for near in found} == expected
                assert found[0].id == f"{hash_of(text).hex()[:16]}-{number}"
        self.count("searched")

    @invariant()
    def the_store_is_as_the_model_says(self) -> None:
        if not hasattr(self, "library"):
            return
        store = self.library.store
        texts = {hash_of(text): text for text in self.held.values()}
        hashes = [store.contents.hash_of(row) for row in store.files.content.tolist()]
        found = dict(
            zip(map(Path, paths_of(store)), (texts.get(key) for key in hashes), strict=True)
        )
        assert found == self.held
        for content in np.flatnonzero(store.contents.live).tolist():
            start, stop = store.contents.face_start(content), store.contents.face_stop(content)
            text = texts[store.contents.hash_of(content)]
            assert np.array_equal(store.embeddings(np.arange(start, stop)), self.rows(text))
        assert set(store.forgotten.photos) == {hash_of(text) for text in self.gone}
        assert set(store.forgotten.faces) == {hash_of(text) for text in self.out}
        assert check_store(store) == []
        assert traces_left(self.library.path) == []
        self.nothing_else_is_kept(store)

    def nothing_else_is_kept(self, store: Store) -> None:
        """No file beside the store, and in it no path or hash but of what it holds."""
        raw = self.library.path.read_bytes()
        kept = {path.name for path in self.library.home.iterdir()}
        assert kept <= {"faces.npz", "faces.npz.lock", "photos", "log"}
        there = set(self.held.values())
        for text in {*self.gone, *self.disk.values()} - there:
            assert hash_of(text) not in raw


@pytest.mark.timeout(900)
def test_a_library_in_the_course_of_time(how_many, record) -> None:
    SoakMachine.outcomes = Counter()
    steps = how_many(60, 1_000)
    plan = settings(
        max_examples=steps // STEPS + steps // 100 + 1,  # some end early
        stateful_step_count=STEPS,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(SoakMachine, settings=plan)
    assert sum(SoakMachine.outcomes.values()) >= how_many(30, 1_000)
    record("Steps of a soak, store as the model says after each", SoakMachine.outcomes)
