"""Copies of the photos that were found, and links to them."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

import pytest

from small_store import MIDDLE, RED, draw, enroll


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def twins(folder) -> Path:
    """A store of two different photos of one name, and one whose name differs in case alone."""
    for number, name in enumerate(("a/me.png", "b/me.png", "c/ME.png")):
        near = (RED[0] - number, 0, 0)
        draw(folder / "twins" / name, {near: MIDDLE}, note=number)
    enroll(folder / "faces.npz", [folder / "twins"])
    return folder / "twins"


@pytest.mark.parametrize("how", ["--copy-to", "--link-to"])
def test_names_that_collide_are_kept_apart(program, twins, calibrated, red, how):
    done = program("query", red, how, "found", "--beyond-cut")
    assert done.code == 0
    found = content(Path("found"))
    assert sorted(name.casefold() for name in found) == ["me-2.png", "me-3.png", "me.png"]
    assert sorted(found.values()) == sorted(path.read_bytes() for path in twins.rglob("*.png"))
    assert done.err.count("another photo has that name") == 2
    verb = "copied" if how == "--copy-to" else "linked"
    assert f"3 photos {verb} to found" in done.err
    assert all(path.is_symlink() == (how == "--link-to") for path in Path("found").iterdir())


@pytest.mark.parametrize("how", ["--copy-to", "--link-to"])
def test_the_same_command_again_changes_nothing(program, twins, calibrated, red, how):
    command = ("query", red, how, "found", "--beyond-cut")
    program(*command)
    before = {path.name: path.lstat() for path in Path("found").iterdir()}
    done = program(*command)
    assert "0 photos" in done.err
    assert "3 there already" in done.err
    after = {path.name: path.lstat() for path in Path("found").iterdir()}
    assert {name: each.st_ino for name, each in before.items()} == {
        name: each.st_ino for name, each in after.items()
    }


def test_what_lies_there_is_never_replaced(program, twins, calibrated, red):
    Path("found").mkdir()
    Path("found/me.png").write_bytes(b"mine")
    Path("found/me-2.png").symlink_to("nowhere")
    program("query", red, "--copy-to", "found", "--beyond-cut")
    assert Path("found/me.png").read_bytes() == b"mine"
    assert Path("found/me-2.png").readlink() == Path("nowhere")
    assert not Path("nowhere").exists()
    assert len(list(Path("found").iterdir())) == 5


def test_a_dry_run_says_everything_and_does_nothing(program, twins, calibrated, red):
    done = program("query", red, "--copy-to", "found", "--beyond-cut", "--dry-run")
    assert done.code == 0
    assert not Path("found").exists()
    targets = [line.rpartition(" -> ")[2] for line in done.err.splitlines() if "would copy" in line]
    wanted = ["found/me-2.png", "found/me-3.png", "found/me.png"]
    assert sorted(target.casefold() for target in targets) == wanted
    assert "3 photos would be copied to found" in done.err


def test_unlikely_rows_are_left_out_unless_told(program, store, calibrated, red):
    done = program("query", red, "-k", "all", "--copy-to", "found")
    bands = program("query", red, "-k", "all", "--json").json["results"][0]["neighbors"]
    near = {Path(each["path"]).name for each in bands if each["band"] != "unlikely"}
    assert 0 < len(near) < len(bands)
    assert set(content(Path("found"))) == near
    assert f"{len(bands) - len(near)} unlikely left out (--beyond-cut takes them)" in done.err
    program("query", red, "-k", "all", "--copy-to", "all", "--beyond-cut")
    assert len(content(Path("all"))) == len(bands)


def test_without_calibration_something_must_say_how_far(program, store, red):
    done = program("query", red, "--copy-to", "found")
    assert done.code == 2
    assert done.raw == b""
    assert "not calibrated" in done.err
    assert "--max-distance" in done.err
    assert program("query", red, "--copy-to", "found", "--max-distance", 0.05).code == 0
    assert len(content(Path("found"))) == 3
    assert program("query", red, "-k", 2, "--copy-to", "two", "--beyond-cut").code == 0
    assert len(content(Path("two"))) == 2


def test_a_photo_that_several_faces_find_is_taken_once(program, store, crowd):
    program("query", crowd, "--face", "all", "-k", "all", "--copy-to", "found", "--beyond-cut")
    assert len(content(Path("found"))) == 9


def test_a_copy_keeps_its_time_and_a_moved_photo_is_found_elsewhere(program, photos, folder, red):
    first, second = photos / "red" / "red1.png", photos / "red" / "same.png"
    shutil.copy(first, second)
    os.utime(second, (1_000_000, 1_000_000))
    enroll(folder / "faces.npz", [photos])
    first.unlink()
    done = program("query", red, "-k", 1, "--copy-to", "found", "--beyond-cut")
    assert done.code == 0
    assert int(Path("found/same.png").stat().st_mtime) == 1_000_000


def test_a_photo_that_is_gone_is_named_and_the_others_taken(program, store, photos, red):
    (photos / "red" / "red1.png").unlink()
    done = program("query", red, "-k", 3, "--copy-to", "found", "--beyond-cut")
    assert done.code == 1
    assert "red1.png" in done.err
    assert "2 photos copied to found, 1 not taken" in done.err


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs here")
def test_a_pipe_in_a_photo_s_place_is_not_waited_for(program, store, photos, red):
    (photos / "red" / "red1.png").unlink()
    os.mkfifo(photos / "red" / "red1.png")
    done = program("query", red, "-k", 1, "--copy-to", "found", "--beyond-cut")
    assert done.code == 1
    assert content(Path("found")) == {}


def test_a_name_as_long_as_can_be(program, folder, red):
    for place in ("a", "b"):
        path = folder / "long" / place / ("é" * 125 + ".png")
        draw(path, {(200, ord(place) - 97, 0): MIDDLE})
    enroll(folder / "faces.npz", [folder / "long"])
    assert program("query", red, "--copy-to", "found", "--beyond-cut").code == 0
    assert len(content(Path("found"))) == 2


def test_a_folder_of_its_own_is_for_its_owner_alone(program, store, red):
    program("query", red, "-k", 1, "--copy-to", "new/found", "--beyond-cut")
    assert stat.S_IMODE(Path("new/found").stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--copy-to", "me.png"], "me.png: there is a file of that name; name a folder"),
        (["--copy-to", "me.png/in"], "me.png/in: cannot be written"),
        (["--copy-to", "a", "--link-to", "b"], "exclude each other"),
        (["--dry-run"], "--dry-run goes with --copy-to"),
        (["--beyond-cut"], "--beyond-cut goes with --copy-to"),
    ],
)
def test_targets_that_cannot_be_meant(program, store, red, arguments, told):
    done = program("query", red, *arguments)
    assert done.code in (1, 2)
    assert done.raw == b""
    assert told in done.err
    assert sum("facesearch:" in line for line in done.err.splitlines()) == 1
    assert "Traceback" not in done.err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written(program, store, red, folder):
    (folder / "locked").mkdir(mode=0o500)
    done = program("query", red, "--copy-to", "locked", "--beyond-cut")
    assert done.code == 1
    assert "locked: cannot be written (Permission denied)" in done.err


def test_a_full_disk_ends_it_in_one_line(program, store, red, monkeypatch):
    def full(source, target, length=0):
        target.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("facesearch.collecting.shutil.copyfileobj", full)
    done = program("query", red, "-k", 2, "--copy-to", "found", "--beyond-cut")
    assert done.code == 1
    assert done.raw
    assert "No space left on device" in done.err
    assert list(Path("found").iterdir()) == []
