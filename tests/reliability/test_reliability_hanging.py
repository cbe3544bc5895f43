"""A network folder that answers nothing any more: a run ends, names it and keeps its photos."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from facesearch.store import Store
from photo_library import Library

TESTS = Path(__file__).resolve().parents[1]
SECONDS = 1.0
NAMESPACE = ("unshare", "-rm")
ANSWERS = ("nothing", "stat")
AWAY = "not answering"

Begin = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def library(tmp_path: Path) -> Library:
    """12 photos, 4 of them in a folder of their own, all in the store."""
    library = Library(tmp_path / "home")
    library.add_many(8)
    library.add_many(4, "nas/")
    library.index()
    return library


@pytest.fixture
def beside() -> Iterator[Begin]:
    """Begins an index run in a namespace where a folder hangs, and ends whatever is left of it."""
    begun: list[subprocess.Popen[str]] = []

    def begin(*arguments: Any, **more: float) -> subprocess.Popen[str]:
        begun.append(_begun(*arguments, **more))
        assert begun[-1].stdout is not None
        assert begun[-1].stdout.readline() == "go\n"
        return begun[-1]

    yield begin
    for process in begun:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def _begun(
    answers: str, hanging: Path, home: Path, *folders: Path, seconds: float = SECONDS
) -> subprocess.Popen[str]:
    if shutil.which("unshare") is None:
        pytest.skip("no program unshare: a mount namespace is not permitted here")
    reliability = TESTS / "reliability"
    program = [*NAMESPACE, sys.executable, str(reliability / "hanging_disk.py"), answers]
    tried = subprocess.run(
        [*program, str(hanging), "true"], capture_output=True, text=True, check=False
    )
    if tried.returncode:
        pytest.skip(f"/dev/fuse is not permitted here: {tried.stderr.strip()[-200:]}")
    run = [sys.executable, str(reliability / "waiting_run.py"), str(home), str(seconds)]
    places = [str(TESTS), str(TESTS.parent / "src")]
    return subprocess.Popen(
        [*program, str(hanging), *run, *map(str, folders)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(places)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        text=True,
    )


def outcome(process: subprocess.Popen[str]) -> dict[str, Any]:
    """What the run says; it ends by itself."""
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    found: dict[str, Any] = json.loads(out)
    return found


@pytest.mark.parametrize("named", [True, False], ids=["named", "known"])
@pytest.mark.parametrize("answers", ANSWERS)
def test_a_root_that_hangs(
    library: Library, beside: Begin, answers: str, named: bool, record
) -> None:
    other = library.home / "other"
    library.add("1.jpg", root=other)
    library.index(other)
    paths = (library.photos, other) if named else ()
    found = outcome(beside(answers, library.photos, library.home, *paths))
    assert found["away"] == [[str(library.photos), AWAY, 12]]
    assert (found["seen"], found["removed"]) == (1, 0)
    assert len(library.names()) == 13
    assert library.refresh().unchanged == 13
    assert library.problems() == []
    what = f"A folder whose disk answers {answers}: {'named' if named else 'known'}"
    record(what, {"named as not answering, its photos kept, the others read": 1})


@pytest.mark.parametrize("answers", ANSWERS)
def test_a_folder_in_a_root_that_hangs(
    library: Library, beside: Begin, answers: str, record
) -> None:
    library.add("new.jpg")
    before = library.names()
    nas = library.photos / "nas"
    found = outcome(beside(answers, nas, library.home, library.photos))
    assert found["failed"] == [[str(nas), "timeout"]]
    assert (found["away"], found["seen"], found["removed"]) == ([], 9, 0)
    assert library.names() == sorted([*before, "new.jpg"])
    assert library.index().unchanged == 13
    what = f"A folder in a root whose disk answers {answers}"
    record(what, {"named, its photos kept, the others read": 1})


def test_only_a_folder_that_hangs(tmp_path: Path, beside: Begin) -> None:
    library = Library(tmp_path / "home")
    found = outcome(beside("nothing", library.photos, library.home, library.photos))
    assert found["error"].startswith(f"{library.photos}: {AWAY}; ")
    assert not library.path.exists()


@pytest.mark.parametrize("answers", ANSWERS)
def test_ctrl_c_is_heard_meanwhile(
    library: Library, beside: Begin, answers: str, how_many, record
) -> None:
    outcomes: Counter[str] = Counter()
    before = Store.open(library.path).content_digest()
    for number in range(how_many(2, 10)):
        process = beside(answers, library.photos, library.home, library.photos, seconds=100.0)
        time.sleep(0.1 * (number + 1))
        (child,) = children_of(process.pid)
        os.kill(child, signal.SIGINT)
        out, err = process.communicate(timeout=60)
        found = json.loads(out)
        assert "stopped" in found["error"], err
        assert Store.open(library.path).content_digest() == before
        outcomes["stopped at once, the store as before"] += 1
    record(f"Ctrl-C while a disk answers {answers}", outcomes)


def children_of(process: int) -> list[int]:
    told = Path(f"/proc/{process}/task/{process}/children").read_text(encoding="utf-8")
    return [int(pid) for pid in told.split()]
