"""Two who write one store at once, and a store that lies on another file system than its name."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import pytest

from facesearch.merging import merge
from facesearch.store import Store, check_store
from photo_library import Library

TESTS = Path(__file__).resolve().parents[1]
WRITERS = 3


@pytest.mark.timeout(900)
def test_writers_at_once(tmp_path: Path, how_many, record) -> None:
    outcomes: Counter[str] = Counter()
    for number in range(how_many(1, 20)):
        library = Library(tmp_path / str(number))
        folders = [library.home / f"folder {each}" for each in range(WRITERS)]
        for folder in folders:
            library.add_many(20, f"{folder.name} ", root=folder)
        for found in together(library.home, folders):
            error = found.get("error", "")
            # Just begun, the other has not yet written down who it is.
            whose = r"[^\n]+: held by (process .+|another process); wait with --wait"
            assert not error or re.fullmatch(whose, error)
            outcomes["refused, for another process writes" if error else "done"] += 1
        assert check_store(library.store) == []
        library.index(*folders)
        assert library.store.content_digest() == library.digest_of_a_fresh_store(*folders)
    assert outcomes["done"]
    record(f"{WRITERS} runs that begin at once to write one store", outcomes)


def together(home: Path, folders: list[Path]) -> list[dict[str, str]]:
    """A run for each folder, all into one store."""
    script = str(TESTS / "reliability" / "waiting_run.py")
    places = [str(TESTS), str(TESTS.parent / "src")]
    processes = [
        subprocess.Popen(
            [sys.executable, script, str(home), "60", str(folder)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(places)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for folder in folders
    ]
    said = [process.communicate(timeout=120)[0].splitlines()[-1] for process in processes]
    return [json.loads(line) for line in said]


def test_a_store_whose_name_is_a_link_to_another_disk(
    tmp_path: Path, quick_disk: Path, record
) -> None:
    """``os.replace`` works within one disk only."""
    other = Path(tempfile.mkdtemp(dir=quick_disk))
    if other.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("no second file system here")
    library = Library(tmp_path / "home")
    library.path.symlink_to(other / "faces.npz")
    library.add_many(12)
    library.index()
    library.add_many(12, "more/")
    library.index()
    library.index(rebuild=True)
    library.add_many(5, "second ", root=library.home / "second")
    library.index(library.home / "second", store=library.home / "second.npz")
    merge([library.path, library.home / "second.npz"], library.path)
    assert library.path.is_symlink()
    assert check_store(Store.open(library.path)) == []
    folders = (library.photos, library.home / "second")
    assert library.store.content_digest() == library.digest_of_a_fresh_store(*folders)
    assert {path.name for path in other.iterdir()} <= {"faces.npz", "faces.npz.lock"}
    assert not [path.name for path in library.home.iterdir() if path.name.endswith(".tmp")]
    record("Commands on a store whose name is a link to another disk", {"done": 4})
