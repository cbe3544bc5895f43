"""Any order of puts, links, removals, commits and restarts leaves what a simple model says."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from facesearch.records import PhotoEntry
from facesearch.store import Root, Store, StoreWriter, check_store
from made_photos import Photos
from mapped_files import Windows

KEYS = st.sampled_from(["a", "b", "b/c", "b.d", "é", "\udcff", ""])
TEXTS = st.sampled_from([f"photo {number}" for number in range(9)])
ROOTS = ("/one", "/two", "/three")
BROKEN = {"photo 7": "truncated", "photo 8": "unreadable"}


class StoreMachine(RuleBasedStateMachine):
    """The model is a dict: (root path, key) -> (size, mtime, text of the photo)."""

    single_file_bytes = 1 << 30

    @initialize()
    def begin(self) -> None:
        self.photos = Photos()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "faces.npz"
        self.held: dict[tuple[str, str], tuple[int, int, str]] = {}
        self.kept = dict(self.held)
        self.roots: list[str] = list(ROOTS[:2])
        self.kept_roots: list[str] = []
        self.clock = 0
        self.open()
        self.writer.set_roots([Root(path, path[1:]) for path in self.roots])

    def open(self) -> None:
        self.writer = StoreWriter.open(
            self.path, self.photos.recipe, single_file_bytes=self.single_file_bytes
        )

    def entry(self, key: str) -> PhotoEntry:
        self.clock += 1
        return PhotoEntry(key, self.clock, -self.clock)

    @rule(root=st.integers(0, 2), key=KEYS, text=TEXTS)
    def put(self, root: int, key: str, text: str) -> None:
        if root < len(self.roots):
            entry = self.entry(key)
            result = self.photos.result(text, reason=BROKEN.get(text, ""))
            known = self.writer.content_id(result.content_hash)
            content = self.writer.put((root, entry), result)
            assert known is None or content == known
            again = self.writer.content_id(result.content_hash)
            assert again == (None if text in BROKEN else content)
            self.held[self.roots[root], key] = (entry.size, entry.mtime_ns, text)

    @rule(root=st.integers(0, 2), key=KEYS, text=TEXTS)
    def link(self, root: int, key: str, text: str) -> None:
        content = self.writer.content_id(self.photos.result(text).content_hash)
        if content is not None and root < len(self.roots):
            entry = self.entry(key)
            self.writer.link(root, entry, content)
            self.held[self.roots[root], key] = (entry.size, entry.mtime_ns, text)

    @rule(root=st.integers(0, 2), key=KEYS)
    def remove(self, root: int, key: str) -> None:
        if root < len(self.roots):
            self.writer.remove(root, key)
            self.held.pop((self.roots[root], key), None)

    @rule()
    def add_root(self) -> None:
        more = [path for path in ROOTS if path not in self.roots]
        if more:
            self.roots.append(more[0])
            self.writer.set_roots([*self.writer.roots, Root(more[0], more[0][1:])])

    @precondition(lambda self: len(self.roots) > 1)
    @rule(index=st.integers(0, 1))
    def drop_root(self, index: int) -> None:
        gone = self.roots.pop(index)
        self.writer.set_roots([root for root in self.writer.roots if root.path != gone])
        self.held = {key: value for key, value in self.held.items() if key[0] != gone}

    @rule()
    def turn_roots(self) -> None:
        self.roots.reverse()
        self.writer.set_roots(self.writer.roots[::-1])

    @rule()
    def commit(self) -> None:
        self.writer.commit((1, 2))
        self.keep()

    @rule()
    def finish(self) -> None:
        self.writer.finish()
        self.keep()
        store = Store.open(self.path)
        assert store.progress is None
        assert list(self.path.parent.glob("*.rebuild*")) == []
        if len(store.segments) == 1:
            assert store.contents.live.all()

    @rule()
    def stop_and_go_on(self) -> None:
        self.writer.close()
        self.held, self.roots = dict(self.kept), list(self.kept_roots)
        self.open()
        if not self.roots:
            self.roots = list(ROOTS[:2])
            self.writer.set_roots([Root(path, path[1:]) for path in self.roots])

    def keep(self) -> None:
        self.kept, self.kept_roots = dict(self.held), list(self.roots)

    @invariant()
    def readers_see_the_last_commit(self) -> None:
        if not self.path.exists():
            return
        store = Store.open(self.path)
        assert check_store(store) == []
        assert [root.path for root in store.roots] == self.kept_roots
        files = store.files
        order = [(int(files.root[row]), files.path_bytes(row)) for row in range(len(files))]
        assert order == sorted(order)
        found = {}
        for row, key in enumerate(files.paths()):
            text = self.text_of(store, int(files.content[row]))
            place = store.roots[files.root[row]].path, key
            found[place] = (int(files.size[row]), int(files.mtime_ns[row]), text)
        assert found == self.kept

    def text_of(self, store: Store, content: int) -> str:
        """Which photo a content is, after everything of it was compared."""
        failure = store.contents.failure(content)
        if failure is not None:
            return failure[1].partition(":")[0]
        given = store.contents.hash[content].tobytes()
        (text,) = (
            f"photo {number}"
            for number in range(9)
            if self.photos.result(f"photo {number}").content_hash == given
        )
        result = self.photos.result(text)
        ids = range(store.contents.face_start(content), store.contents.face_stop(content))
        assert np.array_equal(store.embeddings(ids), result.embeddings)
        assert [store.faces.box[face].tolist() for face in ids] == [
            [face.box.x, face.box.y, face.box.width, face.box.height] for face in result.faces
        ]
        assert store.faces.content[list(ids)].tolist() == [content] * len(ids)
        return text

    def teardown(self) -> None:
        self.writer.close()
        self.folder.cleanup()


class TieredMachine(StoreMachine):
    """The same for a store that is past the size of one file at once."""

    single_file_bytes = 100


class BesideMachine(TieredMachine):
    """The same where every merge of segments is left to the thread beside the run."""

    @initialize()
    def begin(self) -> None:
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr("facesearch.store.writer.MERGE_AT_ONCE_BYTES", 0)
        super().begin()

    @rule()
    def wait(self) -> None:
        thread = self.writer._beside._thread
        if thread is not None:
            thread.join()

    def teardown(self) -> None:
        super().teardown()
        self.patch.undo()


class NumberedMachine(StoreMachine):
    """The same with numbered heads, while earlier snapshots keep their files open."""

    @initialize()
    def begin(self) -> None:
        self.patch = pytest.MonkeyPatch()
        Windows(self.patch)
        self.snapshots: list[tuple[Store, list[str]]] = []
        super().begin()

    @precondition(lambda self: self.path.exists())
    @rule()
    def keep_open(self) -> None:
        store = Store.open(self.path)
        self.snapshots.append((store, list(store.files.paths())))

    @precondition(lambda self: self.snapshots)
    @rule(number=st.integers(0, 9))
    def let_go(self, number: int) -> None:
        store, paths = self.snapshots.pop(number % len(self.snapshots))
        assert list(store.files.paths()) == paths

    @rule()
    def finish(self) -> None:
        self.writer.finish()
        self.keep()
        assert Store.open(self.path).progress is None

    def teardown(self) -> None:
        self.patch.undo()
        super().teardown()


WIDE = settings(
    max_examples=25, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
TestOneFile = StoreMachine.TestCase
TestOneFile.settings = WIDE
TestTiers = TieredMachine.TestCase
TestTiers.settings = WIDE
TestBeside = BesideMachine.TestCase
TestBeside.settings = settings(WIDE, max_examples=15)
TestNumbered = NumberedMachine.TestCase
TestNumbered.settings = settings(WIDE, max_examples=8)


@pytest.mark.full
class TestOneFileLong(StoreMachine.TestCase):
    settings = settings(WIDE, max_examples=300, stateful_step_count=60)


@pytest.mark.full
class TestTiersLong(TieredMachine.TestCase):
    settings = settings(WIDE, max_examples=300, stateful_step_count=60)


@pytest.mark.full
class TestBesideLong(BesideMachine.TestCase):
    settings = settings(WIDE, max_examples=200, stateful_step_count=60)


@pytest.mark.full
class TestNumberedLong(NumberedMachine.TestCase):
    settings = settings(WIDE, max_examples=100, stateful_step_count=60)
