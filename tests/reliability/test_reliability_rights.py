"""What the tool writes about people's photos is for their owner alone, whatever the umask."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from facesearch import private
from facesearch.cli import main
from facesearch.records import Face, Photo
from photo_library import PoolInHere
from small_store import BLUE, GOLD, GREEN, MIDDLE, RED, ColorEmbedder, draw, embedder_of

Run = Callable[..., None]
COLORS = {"ann": RED, "bob": GREEN, "cat": BLUE, "dan": GOLD}


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder, with photos in it; nothing is masked from now on."""
    work = tmp_path / "work"
    for name, color in COLORS.items():
        for number in (1, 2, 3):
            shade = tuple(min(255, value + 6 * number) for value in color)
            draw(work / "people" / name / f"{name}_{number:04d}.png", {shade: MIDDLE})
    draw(work / "me.png", {RED: MIDDLE}, note=9)
    (work / "labels.csv").write_text("path,name\nann_0001,Ann\nbob_0001,Bob\n")
    (tmp_path / "tmp").mkdir()
    monkeypatch.chdir(work)
    monkeypatch.setenv("FACESEARCH_HOME", str(tmp_path / "cache" / "home"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.delenv("FACESEARCH_STORE", raising=False)
    before = os.umask(0)
    yield work
    os.umask(before)


@pytest.fixture
def run(work: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command line with an embedder of colours; it ends well."""
    monkeypatch.setattr("facesearch.indexing.WorkerPool", PoolInHere)
    monkeypatch.setattr("facesearch.processing.ProcessSpec.__call__", embedder_of)
    monkeypatch.setattr("facesearch.processing.make_ready", lambda *names: None)
    monkeypatch.setattr("facesearch.evaluation.running.make_ready", lambda *names: None)
    monkeypatch.setattr("facesearch.evaluation.costs.query_spec", lambda *_: ColorEmbedder)
    monkeypatch.setattr("facesearch.processing.Pipeline", embedder_of)

    def run(*arguments: str) -> None:
        code = main.run(list(arguments))
        assert code == 0, (arguments, capsys.readouterr().err)

    return run


def _everything(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


def _open_to_others(paths: set[Path]) -> list[str]:
    wrong = []
    for path in paths:
        rights = stat.S_IMODE(path.lstat().st_mode)
        if rights != (0o700 if path.is_dir() else 0o600):
            wrong.append(f"{path}: {rights:o}")
    return sorted(wrong)


def test_no_file_is_readable_by_others(run: Run, work: Path) -> None:
    home = work.parent
    before = _everything(home)
    run("eval", "people", "--all-identities", "--report", "report")
    run("index", "people", "--log", "run.json")
    run("index", "people/ann", "--store", "ann.npz")
    run("query", "me.png", "-k", "3", "--contact-sheet", "sheet.png")
    run("label", "labels.csv")
    run("merge", "faces.npz", "ann.npz", "-o", "both.npz")
    run("split", "both.npz", "--under", "people/ann", "-o", "part.npz")
    run("check", "--deep")
    made = _everything(home) - before
    own = {work / "report", work / "report" / "figures"}  # folders of somebody's own choice
    names = {path.name for path in made}
    assert {"faces.npz", "faces.npz.lock", "run.json", "sheet.png", "both.npz", "part.npz"} <= names
    assert {"recent-stores.json", "eval", "results"} <= names
    assert any(name.endswith(".cost.json") for name in names)
    assert any(path.parent.name == "results" for path in made)
    assert _open_to_others(made - own) == []
    assert list((home / "tmp").iterdir()) == []


def test_what_an_interrupted_run_leaves_is_private(run: Run, work: Path, monkeypatch) -> None:
    class Interrupted(ColorEmbedder):
        def detect(self, photo: Photo) -> list[Face]:
            if self.detected == 6:
                raise KeyboardInterrupt
            return super().detect(photo)

    before = _everything(work)
    monkeypatch.setattr("facesearch.indexing.BATCH", 2)
    monkeypatch.setattr("facesearch.indexing.COMMIT_SECONDS", 0)
    monkeypatch.setattr("facesearch.processing.ProcessSpec.__call__", Interrupted)
    with pytest.raises(AssertionError, match="interrupted"):
        run("index", "people")
    made = _everything(work) - before
    assert any(path.parent.name == "faces.npz.parts" for path in made)
    assert _open_to_others(made) == []


def test_the_owner_of_a_lock_is_named_in_a_private_file(work: Path) -> None:
    from facesearch.store.lock import locked

    with locked(work / "faces.npz", wait=False):
        made = {work / "faces.npz.lock", work / "faces.npz.lock.owner"}
        assert made <= _everything(work)
        assert _open_to_others(made) == []


def test_a_link_laid_out_as_the_owner_file_is_not_written_through(work: Path) -> None:
    from facesearch.store.lock import locked

    letter = work / "letter.txt"
    letter.write_text("dear")
    (work / "faces.npz.lock.owner").symlink_to(letter)
    (work / ".faces.npz.lock.owner.tmp").symlink_to(letter)
    with locked(work / "faces.npz", wait=False):
        assert letter.read_text() == "dear"
    assert letter.read_text() == "dear"


def test_the_folder_of_a_training_is_private(work: Path) -> None:
    from facesearch.training.unfinished import Unfinished

    before = _everything(work.parent)
    unfinished = Unfinished("small")
    with unfinished.held():
        unfinished.open({"seed": 1}, anew=False)
        made = _everything(work.parent) - before
        assert unfinished.folder in made
        inside = {path for path in made if path.parent == unfinished.folder}
        assert _open_to_others(made - inside) == []


def test_missing_parents_are_private_and_others_stay_as_they_are(work: Path) -> None:
    usual = work / "usual"
    usual.mkdir(0o755)
    private.make_folder(usual / "a" / "b")
    private.make_folder(usual / "a" / "b")
    assert stat.S_IMODE(usual.stat().st_mode) == 0o755
    assert _open_to_others(_everything(usual)) == []
    (work / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        private.make_folder(work / "file")


@pytest.mark.parametrize("write", [private.write_file, private.write_locked_file])
def test_whole_or_not_at_all(work: Path, write, monkeypatch) -> None:
    path = work / "facts.json"
    path.write_bytes(b"before")
    path.chmod(0o644)
    before = _everything(work)

    def refuse(self: Path, target: Path) -> None:
        assert self.parent == target.parent, "a rename across disks is none"
        assert stat.S_IMODE(self.stat().st_mode) == 0o600
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space"):
        patch.setattr(Path, "replace", refuse)
        write(path, b"after")
    assert path.read_bytes() == b"before"
    assert _everything(work) == before
    write(path, b"after")
    assert path.read_bytes() == b"after"
    assert _open_to_others({path}) == []
    assert _everything(work) == before


def test_what_a_killed_one_left_is_used_up(work: Path) -> None:
    (work / ".owner.tmp").write_bytes(b"half")
    private.write_locked_file(work / "owner", b"whole")
    assert (work / "owner").read_bytes() == b"whole"
    assert not (work / ".owner.tmp").exists()
