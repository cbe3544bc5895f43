"""Real small disks, lost rights, and what a power cut may leave: a clear error or the last commit,
and the same store as ever once the cause is gone.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from killed_command import WHAT

from facesearch.errors import InterruptedRunError, StoreError
from facesearch.store import Store, check_store
from photo_library import Library

TESTS = Path(__file__).resolve().parents[1]
NAMESPACE = ("unshare", "-rm")
UNNAMED = f"faces.npz.parts/{'a' * 32}.npz"
BOUND_BY_RIGHTS = ("setpriv", "--bounding-set", "-dac_override,-dac_read_search")


def _small_disks(wrapper: tuple[str, ...], *arguments: object) -> dict[str, int]:
    if wrapper:
        if shutil.which(wrapper[0]) is None:
            pytest.skip(f"no program {wrapper[0]} here")
        tried = subprocess.run([*wrapper, "true"], capture_output=True, text=True, check=False)
        if tried.returncode:
            pytest.skip(f"{' '.join(wrapper)} is not permitted here: {tried.stderr.strip()}")
    places = [str(TESTS), str(TESTS / "reliability"), str(TESTS.parent / "src")]
    done = subprocess.run(
        [*wrapper, sys.executable, str(TESTS / "reliability" / "small_disks.py")]
        + [str(argument) for argument in arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(places)},
        capture_output=True,
        text=True,
        timeout=550,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    outcomes: dict[str, int] = json.loads(done.stdout.splitlines()[-1])
    return outcomes


def test_a_disk_that_is_too_small(tmp_path: Path, how_many, record) -> None:
    step = how_many(45, 4)
    sizes = [f"size={size}k,nr_inodes=1000" for size in range(4, 320, step)]
    outcomes = _small_disks(NAMESPACE, "room", tmp_path, *sizes)
    record("`index` onto a disk with too little room", outcomes)
    assert set(outcomes) == {
        "full: nothing was committed before",
        "full: the last commit can be read",
        "done",
    }
    assert sum(outcomes.values()) == len(sizes)


@pytest.mark.parametrize(
    "kind", ["again", "rebuild", "merge", "forget", "label", "split", "roots", "encrypt", "change"]
)
def test_a_disk_that_is_full_during_other_commands(
    kind: str, tmp_path: Path, how_many, record
) -> None:
    outcomes = _small_disks(NAMESPACE, "full", tmp_path, kind, how_many(64, 4))
    record(f"{WHAT[kind].capitalize()} on a disk with too little room", outcomes)
    assert outcomes["done"] == 1
    assert sum(outcomes.values()) > 1


def test_a_disk_that_takes_no_more_files(tmp_path: Path, how_many, record) -> None:
    sizes = [f"size=16m,nr_inodes={count}" for count in range(2, 26, how_many(5, 1))]
    outcomes = _small_disks(NAMESPACE, "room", tmp_path, *sizes)
    record("`index` onto a disk that takes no more files", outcomes)
    assert outcomes["full: nothing was committed before"]
    assert outcomes["full: the last commit can be read"]


def test_a_disk_that_cannot_be_written(tmp_path: Path, record) -> None:
    outcomes = _small_disks(NAMESPACE, "read-only", tmp_path)
    record("`index` onto a disk that cannot be written", outcomes)
    assert outcomes == {
        "refused: the last commit can be read": 1,
        "refused: nothing was committed before": 1,
    }


def test_a_folder_whose_rights_are_lost_in_the_middle(tmp_path: Path, how_many, record) -> None:
    wrapper = BOUND_BY_RIGHTS if os.geteuid() == 0 else ()  # rights mean nothing to root
    outcomes = _small_disks(wrapper, "taken", tmp_path, how_many(3, 48))
    record("A folder whose rights are lost in the middle of `index`", outcomes)
    assert outcomes.pop("refused: nothing was committed before", 0) >= 0
    assert set(outcomes) == {"refused: the last commit can be read"}


class PowerCut:
    """A run that was stopped, and what its files became."""

    def __init__(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.library = Library(home)
        self.library.add_many(24)
        self.fresh = self.library.digest_of_a_fresh_store()
        monkeypatch.setattr("facesearch.indexing.COMMIT_SECONDS", 0)
        monkeypatch.setattr("facesearch.indexing.BATCH", 4)
        monkeypatch.setattr("facesearch.store.compaction.TIER", 0)
        self.library.hooks = {"on_progress": self._stop}
        with pytest.raises(InterruptedRunError):
            self.library.index()
        self.library.hooks = {}
        self.kept = home / "kept"
        self.parts = home / "faces.npz.parts"
        self.kept.mkdir()
        shutil.copy(self.library.path, self.kept)
        shutil.copytree(self.parts, self.kept / self.parts.name)

    def _stop(self, state: object) -> None:
        if getattr(state, "done", 0) >= 16:
            raise KeyboardInterrupt

    def restore(self) -> None:
        shutil.rmtree(self.parts, ignore_errors=True)
        self.library.path.unlink(missing_ok=True)
        shutil.copy(self.kept / "faces.npz", self.library.path)
        shutil.copytree(self.kept / self.parts.name, self.parts)

    def outcome(self) -> str:
        """What opening and checking say."""
        try:
            problems = check_store(Store.open(self.library.path))
        except StoreError as error:
            assert str(self.library.home) in str(error) and "\n" not in str(error)
            return "an error that names the file"
        return "check names what is damaged" if problems else "the last commit"


@pytest.fixture
def power_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PowerCut:
    return PowerCut(tmp_path, monkeypatch)


def _damages(data: bytes, stride: int) -> dict[str, bytes]:
    """What of a file may not have come to the disk."""
    cuts = range(1, len(data) + 1, stride)
    zeros = {f"{n} zeros": data[: len(data) - n] + bytes(n) for n in cuts}
    return {"all zeros": bytes(len(data)), **zeros} | {f"{n} cut": data[:-n] for n in cuts}


@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("which", ["head", "newest segment", "oldest segment"])
def test_a_file_that_came_to_the_disk_in_part(
    power_cut: PowerCut, which: str, how_many, record
) -> None:
    parts = sorted(power_cut.parts.iterdir(), key=lambda path: path.stat().st_mtime_ns)
    assert len(parts) > 2
    head = power_cut.library.path
    path = {"head": head, "newest segment": parts[-1], "oldest segment": parts[0]}[which]
    data = path.read_bytes()
    outcomes = Counter[str]()
    for what, left in _damages(data, how_many(len(data) // 10, 1)).items():
        path.write_bytes(left)
        outcome = power_cut.outcome()
        # The very end of a file may be zeros already.
        assert outcome != "the last commit" or left == data, (which, what)
        outcomes[outcome] += left != data
    record(f"A power cut leaves the {which} in part", outcomes)
    path.write_bytes(bytes(len(data)))
    if which == "head":  # nothing says that it was a store, so nothing replaces it
        with pytest.raises(StoreError, match="delete it and run facesearch index"):
            power_cut.library.index(rebuild=True)
        path.unlink()
    power_cut.library.index(rebuild=True)
    assert power_cut.library.store.content_digest() == power_cut.fresh
    assert power_cut.library.problems() == []


def test_what_was_never_named_does_no_harm(power_cut: PowerCut, record) -> None:
    """Temporary files and segments of a commit that did not come to its end, in any state."""
    library, parts = power_cut.library, power_cut.parts
    before = library.store.content_digest()
    last = max(parts.iterdir(), key=lambda path: path.stat().st_mtime_ns).read_bytes()
    states = {"nothing in it": b"", "zeros": bytes(len(last)), "half": last[: len(last) // 2]}
    outcomes = Counter[str]()
    for left in states.values():
        for name in (
            ".faces.npz.tmp",
            "faces.npz.parts/new.tmp",
            f"faces.npz.parts/{'a' * 32}.npz",
        ):
            power_cut.restore()
            (library.home / name).write_bytes(left)
            assert power_cut.outcome() == "the last commit"
            assert library.store.content_digest() == before
            library.index()
            assert library.store.content_digest() == power_cut.fresh, name
            assert library.problems() == []
            assert not (library.home / name).exists(), name
            outcomes["the last commit, and going on gives the whole"] += 1
    record("A power cut leaves files of a commit that did not end", outcomes)
