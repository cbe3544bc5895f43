"""kill -9 at random moments of every command that writes: afterwards the store is sound, and the
same command ends with what an undisturbed one gives.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from counting import Piece, pieces
from killed_command import KINDS, PASSPHRASE, QUICK, WHAT, digest, prepare, run_again

from facesearch.forgetting import traces_left
from facesearch.store import check_path
from facesearch.store.passphrases import Keys, unlocking
from photo_library import Library

SCRIPT = Path(__file__).with_name("killed_command.py")


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch) -> Iterator[None]:
    monkeypatch.setenv("FACESEARCH_HOME", str(tmp_path / "cache"))
    with unlocking(Keys(PASSPHRASE)):
        yield


def begin(kind: str, home: Path) -> subprocess.Popen[str]:
    """The command under way, with its workers in a group of their own."""
    places = [str(SCRIPT.parents[1]), str(SCRIPT.parents[2] / "src")]
    process = subprocess.Popen(
        [sys.executable, str(SCRIPT), kind, str(home)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(places)},
        start_new_session=True,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "go\n"
    return process


def kill(process: subprocess.Popen[str]) -> str:
    """Ends all of it at once; "complete" when it was at its end by then."""
    os.killpg(process.pid, signal.SIGKILL)
    rest, _ = process.communicate()
    return "complete" if rest else "nothing yet"


def close_engine(library: Library) -> None:
    from milvus_lite.server_manager import server_manager_instance

    server_manager_instance.release_server(str(library.home / "gallery.db"))


@pytest.mark.parametrize("piece", pieces(5), ids=str)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.timeout(3_600)
def test_kill_9_at_random_moments(kind, piece: Piece, tmp_path, how_many, record) -> None:
    home, saved = tmp_path / "home", tmp_path / "saved"
    library = prepare(kind, home)
    home.rename(saved)  # roots are absolute, so every trial is made in the same place
    before, expected, seconds = undisturbed(kind, saved, home)
    assert expected != before or kind in ("rebuild", "change")
    rng = random.Random(f"kill {kind} {piece}")
    outcomes: Counter[str] = Counter()
    for _ in piece.of(how_many(2, 20 if kind in QUICK else 100)):
        shutil.rmtree(home, ignore_errors=True)
        shutil.copytree(saved, home)
        process = begin(kind, home)
        time.sleep(rng.uniform(0, 1.05 * seconds))
        outcome = kill(process)
        if kind != "push" and library.path.exists():
            assert check_path(library.path) == []
            now = digest(kind, library)
            same = "whole" if before == expected else "complete"
            outcome = {before: "as before", expected: same}.get(now, "a part")
        run_again(kind, library)
        assert digest(kind, library) == expected
        assert check_path(library.path) == []
        assert not [path.name for path in home.iterdir() if path.name.endswith(".tmp")]
        if kind == "forget":
            assert traces_left(library.path) == []
        if kind == "push":
            close_engine(library)
            outcome = outcome.replace("nothing yet", "cut off")
        outcomes[outcome] += 1
    record(f"`kill -9` during {WHAT[kind]}", outcomes, piece)


def undisturbed(kind: str, saved: Path, home: Path) -> tuple[str, str, float]:
    """What is there before and after a command that nobody kills, and how long that takes."""
    shutil.copytree(saved, home)
    library = Library(home)
    before = "" if kind == "push" else digest(kind, library)
    process = begin(kind, home)
    started = time.monotonic()
    assert process.stdout is not None
    assert process.stdout.readline() == "done\n"
    seconds = time.monotonic() - started
    process.communicate()
    after = digest(kind, library)
    if kind == "push":
        close_engine(library)
    return before, after, seconds
