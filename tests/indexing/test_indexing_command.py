"""``facesearch index`` and ``facesearch roots`` as commands: what they print, their exit codes."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from facesearch.indexing import IndexHooks
from photo_library import Library, PoolInHere


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str


@pytest.fixture
def program(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> Callable[..., Done]:
    """Runs a command line in the library's folder, with its networks."""
    from facesearch.cli.main import run

    monkeypatch.chdir(library.home)
    monkeypatch.setenv("FACESEARCH_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("FACESEARCH_STORE", raising=False)
    monkeypatch.setattr("facesearch.indexing.WorkerPool", PoolInHere)

    def hooks(*given: Any) -> IndexHooks:
        return IndexHooks(*given, **{"factory": library.networks, **library.hooks})

    monkeypatch.setattr("facesearch.indexing.IndexHooks", hooks)

    def go(*arguments: object) -> Done:
        capfd.readouterr()
        code = run([str(argument) for argument in arguments])
        return Done(code, *capfd.readouterr())

    return go


def test_a_run_says_what_it_did(library: Library, program: Callable[..., Done]) -> None:
    library.add_many(20)
    library.add("bad.jpg", "broken")
    (library.photos / "film.mov").write_bytes(b"\0" * 99)
    done = program("index", "photos")
    assert done.code == 0
    assert done.err.startswith(f"store: {library.path}\n")
    assert "21/21" in done.err
    assert "failed=1" in done.err
    assert done.out.startswith("21 photos seen: 21 new, 0 unchanged, 0 removed, 1 failed\n")
    assert "not read: 1 .mov\n" in done.out
    assert f"{library.photos}/bad.jpg: the file ends too early (truncated)" in done.out
    assert "photos/s, on no network\n" in done.out
    again = program("index")
    assert again.code == 0
    assert again.out.startswith("21 photos seen: 0 new, 21 unchanged, 0 removed, 1 failed\n")
    assert again.err == f"store: {library.path}\n"


def test_how_long_a_photo_may_take(
    library: Library, program: Callable[..., Done], monkeypatch: pytest.MonkeyPatch
) -> None:
    from facesearch.workers import WorkerPool

    monkeypatch.setattr("facesearch.indexing.WorkerPool", WorkerPool)
    library.add_many(3)
    library.add("slow.jpg", "hanging")
    done = program("index", "photos", "--timeout", "0.5", "--jobs", "1")
    assert done.code == 0
    assert "slow.jpg: gave no result within 0.5 seconds" in done.out
    for wrong in ("0", "-1", "nan"):
        assert program("index", "photos", "--timeout", wrong).code == 2


def test_json_on_standard_output_and_in_a_file(
    library: Library, program: Callable[..., Done]
) -> None:
    library.add_many(4)
    library.add("\udcff.jpg", "broken")
    done = program("index", "photos", "--json", "--log", "run.json", "--store", "other.npz")
    facts = json.loads(done.out)
    assert facts == json.loads((library.home / "run.json").read_bytes())
    assert facts["store"] == str(library.home / "other.npz")
    assert (facts["seen"], facts["new"], facts["failed"]) == (5, 5, 1)
    (failure,) = facts["failures"]
    assert os.fsencode(failure["path"]) == os.fsencode(library.photos) + b"/\xff.jpg"
    assert failure["reason"] == "truncated"


def test_a_log_that_cannot_be_written(library: Library, program: Callable[..., Done]) -> None:
    library.add_many(4)
    done = program("index", "photos", "--log", "no/such/folder.json")
    assert done.code == 1
    assert "folder.json: its folder does not exist" in done.err
    assert not library.path.exists()  # said before hours of work, not after


def test_a_log_replaces_nothing_but_a_log(library: Library, program: Callable[..., Done]) -> None:
    library.add_many(4)
    photo = library.add("photo.jpg", "a photo")
    assert program("index", "photos", "--log", "photos/photo.jpg").code == 2
    assert program("index", "photos", "--log", "faces.npz").code == 2
    assert program("index", "photos", "--log", "run.json").code == 0
    assert program("index", "photos", "--log", "run.json").code == 0
    assert json.loads((library.home / "run.json").read_text())["unchanged"] == 5
    assert photo.read_bytes().endswith(b"a photo")


def test_exit_codes(library: Library, program: Callable[..., Done]) -> None:
    library.add("bad.jpg", "broken")
    (library.home / "none").mkdir()
    assert program("index", "photos").code == 1  # nothing could be read
    library.add_many(4)
    assert program("index", "photos").code == 0
    assert program("index", "photos", "--strict").code == 1
    assert program("index", "none").code == 1
    (library.photos / "bad.jpg").unlink()
    assert program("index", "photos", "--strict", "--prune").code == 0
    for arguments in (["nowhere"], ["--jobs", "0"], ["--store", "new.npz"], ["--model", "x"]):
        assert program("index", *arguments).code == 2
    assert program("index", "none", "--store", "new.npz").code == 1
    assert not list(library.home.glob("new.npz"))


def test_ctrl_c(library: Library, program: Callable[..., Done]) -> None:
    library.add_many(20)

    class Interrupted:
        def __init__(self, spec: Any) -> None:
            self.inner = library.networks(spec)
            self.describe = self.inner.describe

        def process(self, batch: Any) -> Any:
            if batch[0].number >= 8:
                raise KeyboardInterrupt
            return self.inner.process(batch)

    library.hooks["factory"] = lambda spec: lambda: Interrupted(spec)
    done = program("index", "photos")
    assert done.code == 130
    assert "facesearch: stopped at 8 of 20 photos; they are kept" in done.err
    assert done.out == ""
    library.hooks.clear()
    assert "20 photos seen: 12 new, 8 unchanged" in program("index", "photos").out


def test_a_dry_run(library: Library, program: Callable[..., Done]) -> None:
    library.add_many(20)
    done = program("index", "photos", "--dry-run")
    assert done.code == 0
    assert done.out.startswith("20 photos found, 20 to read\nabout ")
    assert json.loads(program("index", "photos", "--dry-run", "--json").out)["to_read"] == 20
    assert not library.path.exists()


def test_a_root_away(library: Library, program: Callable[..., Done]) -> None:
    library.add_many(20)
    program("index", "photos")
    library.photos.rename(library.home / "mnt")
    done = program("index")
    assert done.code == 1
    assert f"root away, 20 photos kept: {library.photos} (missing)\n" in done.out
    assert program("roots").out == f"{library.photos}  20 photos, away\n"
    done = program("roots", "move", "photos", "mnt")
    moved = f"{library.home}/mnt: 20 photos, formerly at {library.photos}\n"
    assert (done.code, done.out) == (0, moved)
    assert "20 photos seen: 0 new, 20 unchanged" in program("index").out
    assert program("roots", "move", "photos", "mnt").code == 2
    dropped = json.loads(program("roots", "drop", "mnt", "--json").out)
    assert (dropped["dropped"], dropped["photos"]) == (f"{library.home}/mnt", 20)
    assert program("roots", "list", "--json").code == 0


def test_more_than_a_tenth_gone(library: Library, program: Callable[..., Done]) -> None:
    for path in library.add_many(20)[:5]:
        program("index", "photos") if path.name == "000.jpg" else None
    for number in range(5):
        (library.photos / f"{number:03}.jpg").unlink()
    assert "5 photos are gone, more than a tenth: kept; facesearch index --prune" in (
        program("index").out
    )
    assert "5 removed" in program("index", "--prune").out


def test_messages_never_get_into_the_json(
    library: Library, program: Callable[..., Done], monkeypatch: pytest.MonkeyPatch
) -> None:
    library.add_many(20)
    pool = PoolInHere.__enter__

    def talks(self: PoolInHere) -> PoolInHere:
        told[0]("weights: come from afar")
        return pool(self)

    told: list[Any] = []
    from facesearch.cli import progress

    def made(self: Any) -> None:
        progress.tqdm = None
        self._bar = None
        told[:] = [self.say]

    monkeypatch.setattr(progress.ProgressBar, "__init__", made)
    monkeypatch.setattr(PoolInHere, "__enter__", talks)
    done = program("index", "photos", "--json")
    assert json.loads(done.out)["seen"] == 20
    assert "weights: come from afar\n" in done.err


def test_a_line_above_the_bar_goes_to_standard_error(capfd: Any) -> None:
    from facesearch.cli.progress import ProgressBar
    from facesearch.indexing import RunState

    with ProgressBar() as bar:
        bar.say("before")
        bar.show(RunState(1, 10, 2, 0))
        bar.say("during")
        bar.show(RunState(10, 10, 25, 3))
    out, err = capfd.readouterr()
    assert out == ""
    assert "before\n" in err
    assert "during\n" in err
    assert "10/10" in err
    assert "faces=25, failed=3" in err
