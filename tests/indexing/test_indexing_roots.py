"""Roots that are away, move, lie inside each other, or are looked at in part."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from unittest import mock

import pytest

from facesearch.errors import FacesearchError, UsageError
from facesearch.records import RootAway
from facesearch.rooting import drop_root, move_root
from facesearch.store import Store
from photo_library import Library, paths_of


def roots_of(library: Library) -> list[str]:
    return [library.name(root.path) for root in library.store.roots]


def unreadable(folder: Path):
    """Makes a folder one that cannot be listed, also for the superuser."""
    real = os.scandir

    def scandir(path):
        if Path(path) == folder:
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    return mock.patch("os.scandir", scandir)


def test_a_root_that_is_missing_is_away_and_kept(library: Library) -> None:
    library.add_many(20)
    library.index()
    library.photos.rename(library.home / "elsewhere")
    for prune in (False, True):
        summary = library.refresh(prune=prune)
        assert summary.roots_away == (RootAway(str(library.photos), "missing", 20),)
        assert (summary.seen, summary.removed, summary.gone_kept, summary.usable) == (0, 0, 0, 0)
        assert len(library.names()) == 20
    assert library.index().roots_away[0].kept == 20  # also when it is named
    (library.home / "elsewhere").rename(library.photos)
    summary = library.refresh()
    assert (summary.unchanged, summary.roots_away) == (20, ())


def test_a_root_that_is_suddenly_empty_is_away_and_kept(library: Library) -> None:
    """As the folder on which a disk is mounted when it is not."""
    paths = library.add_many(20)
    library.index()
    for path in paths:
        path.rename(library.home / path.name)
    (library.photos / ".hidden").touch()
    summary = library.refresh(prune=True)
    assert summary.roots_away == (RootAway(str(library.photos), "empty", 20),)
    assert len(library.names()) == 20


def test_a_root_that_cannot_be_listed_is_away_and_kept(library: Library) -> None:
    library.add_many(20)
    library.index()
    with unreadable(library.photos):
        summary = library.refresh(prune=True)
    assert summary.roots_away == (RootAway(str(library.photos), "unreadable", 20),)
    assert len(library.names()) == 20


def test_a_folder_that_cannot_be_listed_is_named_and_kept(library: Library) -> None:
    library.add_many(3)
    library.add_many(20, "private/")
    library.index()
    with unreadable(library.photos / "private"):
        summary = library.refresh(prune=True)
    assert [failure.path for failure in summary.failures] == [str(library.photos / "private")]
    assert (summary.seen, summary.removed, summary.usable) == (3, 0, 3)
    assert len(library.names()) == 23


def test_half_of_a_disk_is_gone(library: Library) -> None:
    library.add_many(20, "a/")
    library.add_many(20, "b/")
    library.index()
    library.embedded()
    (library.photos / "b").rename(library.home / "b")
    summary = library.refresh()
    assert (summary.gone_kept, summary.removed) == (20, 0)
    (library.home / "b").rename(library.photos / "b")
    assert library.refresh().unchanged == 40
    assert library.embedded() == []


def test_one_root_is_away_and_another_there(library: Library) -> None:
    library.add_many(20)
    usb = library.home / "usb"
    library.add_many(20, "u", usb)
    library.index(library.photos, usb)
    shutil.rmtree(usb)
    library.add("new.jpg")
    summary = library.refresh()
    assert summary.roots_away == (RootAway(str(usb), "missing", 20),)
    assert (summary.new, summary.unchanged) == (1, 20)
    assert len(library.names()) == 41


def test_the_disk_is_mounted_elsewhere_and_the_root_moved(library: Library) -> None:
    library.add_many(20)
    library.index()
    library.embedded()
    moved = library.home / "mnt"
    library.photos.rename(moved)
    assert move_root(library.path, library.photos, moved) == 20
    assert roots_of(library) == ["mnt"]
    summary = library.refresh()
    assert (summary.unchanged, summary.seen) == (20, 20)
    assert library.embedded() == []
    assert library.problems() == []


def test_the_disk_is_mounted_elsewhere_and_simply_indexed(library: Library) -> None:
    """Then the old root has nothing left, and goes."""
    library.add_many(20)
    library.index()
    library.embedded()
    moved = library.home / "mnt"
    library.photos.rename(moved)
    summary = library.index(moved)
    assert (summary.moved, summary.seen) == (20, 20)
    assert roots_of(library) == ["mnt"]
    assert library.refresh().roots_away == ()
    assert library.embedded() == []


def test_a_root_away_that_is_found_only_in_part_stays(library: Library) -> None:
    library.add_many(20)
    library.index()
    moved = library.home / "mnt"
    library.photos.rename(moved)
    (moved / "000.jpg").rename(library.home / "aside.jpg")
    summary = library.index(moved)
    assert summary.moved == 19
    assert roots_of(library) == ["photos", "mnt"]
    assert library.refresh().roots_away == (RootAway(str(library.photos), "missing", 1),)


def test_photos_of_a_disk_that_gives_errors_have_not_moved(library: Library) -> None:
    """Where a place cannot be looked at, nobody knows that it is empty."""
    library.add_many(20)
    library.index()
    other = library.home / "other"
    shutil.copytree(library.photos, other)
    real = Path.stat

    def stat(path: Path, **options: bool) -> os.stat_result:
        if library.photos in (path, *path.parents):
            raise OSError(5, "Input/output error", str(path))
        return real(path, **options)

    with mock.patch.object(Path, "stat", stat):
        summary = library.index(other)
    assert (summary.moved, summary.copies) == (0, 20)
    assert len(library.names()) == 40


def test_store_and_photos_moved_together(library: Library, tmp_path: Path) -> None:
    library.add_many(20)
    library.index()
    library.embedded()
    library.home.rename(tmp_path / "new home")
    there = Library(tmp_path / "new home")
    summary = there.refresh()
    assert (summary.unchanged, summary.seen, summary.roots_away) == (20, 20, ())
    assert there.embedded() == []
    assert [root.path for root in there.store.roots] == [str(there.photos)]
    # Now it knows where it is, and could move again without the store.
    assert there.index(there.photos).unchanged == 20


def test_only_a_named_folder_of_a_root_is_touched(library: Library) -> None:
    library.add_many(30, "a/")
    library.add_many(30, "b/")
    library.index()
    library.embedded()
    library.add("a/new.jpg")
    library.add("b/new.jpg")
    (library.photos / "a/001.jpg").unlink()
    (library.photos / "b/001.jpg").unlink()
    summary = library.index(library.photos / "a")
    assert (summary.seen, summary.new, summary.removed) == (30, 1, 1)
    assert library.embedded() == ["a/new.jpg"]
    assert roots_of(library) == ["photos"]
    assert "b/001.jpg" in library.names()
    assert "b/new.jpg" not in library.names()


def test_a_tenth_is_of_the_part_that_is_looked_at(library: Library) -> None:
    library.add_many(100, "a/")
    library.add_many(10, "b/")
    library.index()
    for number in range(3):
        (library.photos / f"b/{number:03}.jpg").unlink()
    assert library.index(library.photos / "b").gone_kept == 3
    assert library.index(library.photos / "b", prune=True).removed == 3


def test_a_single_file_of_a_root(library: Library) -> None:
    library.add_many(20)
    library.index()
    library.embedded()
    library.add("003.jpg", "edited")
    library.add("004.jpg", "edited too")
    summary = library.index(library.photos / "003.jpg")
    assert (summary.seen, summary.changed) == (1, 1)
    assert library.embedded() == ["003.jpg"]
    assert roots_of(library) == ["photos"]


def test_a_named_folder_that_was_deleted_is_gone(library: Library) -> None:
    library.add_many(20, "a/")
    library.add_many(20, "b/")
    library.index()
    shutil.rmtree(library.photos / "b")
    summary = library.index(library.photos / "b")
    assert (summary.gone_kept, summary.failures, summary.usable) == (20, (), 0)
    assert library.index(library.photos / "b", prune=True).removed == 20
    with pytest.raises(UsageError, match=r"photos/b: no such file or folder"):
        library.index(library.photos / "b")


def test_files_as_roots(library: Library) -> None:
    one, two = library.add("one.jpg"), library.add("two.jpg")
    assert library.index(one, two).new == 2
    assert paths_of(library.store) == [str(one), str(two)]
    assert library.refresh().unchanged == 2
    one.unlink()
    assert library.refresh().roots_away == (RootAway(str(one), "missing", 1),)
    assert library.index(library.photos).seen == 1
    assert paths_of(library.store) == [str(one), str(two)]


def test_an_outer_root_takes_over_an_inner_one(library: Library) -> None:
    library.add_many(30, "2020/")
    library.add_many(5, "2021/")
    library.index(library.photos / "2020")
    library.embedded()
    summary = library.index(library.photos)
    assert (summary.seen, summary.unchanged, summary.moved, summary.new) == (35, 30, 0, 5)
    assert library.embedded() == [f"2021/{number:03}.jpg" for number in range(5)]
    assert roots_of(library) == ["photos"]
    assert len(library.names()) == len(set(library.names())) == 35
    assert library.store.content_digest() == library.digest_of_a_fresh_store()
    assert library.index(library.photos / "2020").unchanged == 30
    assert len(library.names()) == 35


def test_an_outer_root_prunes_what_an_inner_one_has_lost(library: Library) -> None:
    library.add_many(30, "2020/")
    library.index(library.photos / "2020")
    (library.photos / "2020/007.jpg").unlink()
    summary = library.index(library.photos)
    assert (summary.unchanged, summary.removed) == (29, 1)
    assert roots_of(library) == ["photos"]


def test_an_outer_root_leaves_an_inner_one_that_is_away(library: Library) -> None:
    """The outer folder holds the mount point of a disk."""
    library.add_many(20)
    disk = library.photos / "disk"
    library.add_many(20, "disk/")
    library.index(disk)
    shutil.move(disk, library.home / "disk")
    disk.mkdir()
    for _ in range(2):
        summary = library.index(library.photos, prune=True)
        assert summary.roots_away == (RootAway(str(disk), "empty", 20),)
        assert summary.removed == 0
    assert len(library.names()) == 40
    disk.rmdir()
    (library.home / "disk").rename(disk)
    library.embedded()
    assert library.refresh().unchanged == 40
    assert roots_of(library) == ["photos"]
    assert library.embedded() == []


def test_an_inner_root_that_the_outer_one_would_skip_stays_its_own(library: Library) -> None:
    library.add_many(20)
    hidden = library.photos / ".private"
    library.add_many(10, ".private/", library.photos)
    library.add_many(10, "left out/", library.photos)
    library.index(hidden)
    library.index(library.photos / "left out", library.photos, exclude=("left out",))
    assert roots_of(library) == [".private", "photos", "left out"]
    assert len(library.names()) == 40
    library.embedded()
    for _ in range(2):
        summary = library.refresh()
        assert (summary.seen, summary.unchanged, summary.removed) == (40, 40, 0)
    # Named first as a part of the outer root, it is a root as well.
    other = library.home / "other.npz"
    assert library.index(library.photos, store=other).seen == 30
    assert library.index(hidden, store=other).seen == 10
    assert len(Store.open(other).roots) == 2


def test_outer_and_inner_named_at_once(library: Library) -> None:
    library.add_many(20, "a/")
    library.index(library.photos / "a")
    library.embedded()
    summary = library.index(library.photos / "a", library.photos, library.photos / "a/003.jpg")
    assert (summary.seen, summary.unchanged) == (20, 20)
    assert library.embedded() == []
    assert len(library.names()) == 20


def test_a_changed_photo_of_an_inner_root_that_cannot_be_read_now(library: Library) -> None:
    """It stays as it was, where it was, and is tried again."""
    library.add_many(20, "a/")
    library.index(library.photos / "a")
    library.add("a/003.jpg", "flaky picture")
    library.switch.touch()
    summary = library.index(library.photos)
    assert [failure.reason for failure in summary.failures] == ["io-error"]
    assert len(library.names()) == 20
    assert sorted(roots_of(library)) == ["a", "photos"]
    library.switch.unlink()
    assert library.refresh().changed == 1
    assert roots_of(library) == ["photos"]
    assert library.store.content_digest() == library.digest_of_a_fresh_store()


def test_two_roots_that_came_to_hold_the_same_files(library: Library) -> None:
    """A root was moved into another that knew those files already."""
    library.add_many(20, "a/")
    other = library.home / "other"
    shutil.copytree(library.photos / "a", other)
    library.index(library.photos, other)
    move_root(library.path, other, library.photos / "a")
    assert len(library.names()) == 40
    summary = library.refresh()
    assert (summary.seen, summary.unchanged) == (20, 20)
    assert len(library.names()) == 20
    assert roots_of(library) == ["photos"]


def test_without_a_folder_all_roots_are_refreshed(library: Library) -> None:
    other = library.home / "other"
    library.add_many(20)
    library.add_many(20, "o", other)
    library.index()
    library.index(other)
    library.add("new.jpg")
    library.add("new.jpg", "another", other)
    summary = library.refresh()
    assert (summary.seen, summary.new, summary.unchanged) == (42, 2, 40)


def test_no_folder_and_no_store(library: Library) -> None:
    with pytest.raises(UsageError, match="no folder given and none known"):
        library.refresh()
    assert [path.name for path in library.home.iterdir()] == ["photos"]


def test_a_folder_that_is_not_there(library: Library) -> None:
    (library.home / "link").symlink_to("nowhere")
    for name in ("nowhere", "link"):
        with pytest.raises(UsageError, match=f"{name}: no such file or folder"):
            library.index(library.home / name)
    assert not library.path.exists()


def test_no_photos_name_the_kinds_and_leave_no_store(library: Library) -> None:
    for name in ("a.mov", "b.mov", "c.pdf", "notes"):
        (library.photos / name).write_bytes(b"\0" * 30)
    with pytest.raises(FacesearchError, match=r"photos: no photos here \(not read: 2 \.mov, ") as e:
        library.index()
    assert e.value.exit_code == 1
    left = [path.name for path in library.home.iterdir() if path.name.endswith(".npz")]
    assert left == []
    with pytest.raises(FacesearchError, match=r"a\.mov: no photos here \(not read: 1 \.mov\)"):
        library.index(library.photos / "a.mov")


def test_an_empty_folder_and_one_that_cannot_be_listed_leave_no_store(library: Library) -> None:
    with pytest.raises(FacesearchError, match="photos: no photos here; name a folder"):
        library.index()
    with (
        unreadable(library.photos),
        pytest.raises(FacesearchError, match=r"photos: unreadable; .* check its rights"),
    ):
        library.index()
    assert not library.path.exists()


def test_a_folder_without_photos_besides_others(library: Library) -> None:
    library.add_many(5)
    empty = library.home / "empty"
    empty.mkdir()
    note = library.home / "note.txt"
    note.write_text("no photo")
    library.index()
    summary = library.index(empty, note)
    assert (summary.seen, summary.usable, summary.not_read) == (0, 0, {".txt": 1})
    assert roots_of(library) == ["photos", "empty"]  # photos may come; a text stays none


def test_a_disk_that_goes_away_during_the_run(library: Library) -> None:
    library.add_many(20)
    library.index()
    for number in range(0, 20, 2):
        library.add(f"{number:03}.jpg", f"edited {'x' * number}")
    library.add_many(10, "new/")
    states = []

    def unplug(state) -> None:
        states.append(state)
        if state.done == 15:
            library.photos.rename(library.home / "unplugged")

    library.hooks["on_progress"] = unplug
    summary = library.refresh(prune=True)
    library.hooks.clear()
    assert summary.roots_away == (
        RootAway(str(library.photos), "missing since this run began", 20),
    )
    assert {failure.reason for failure in summary.failures} == {"vanished"}
    assert summary.seen == 30
    assert summary.usable == 30 - len(summary.failures)
    assert {f"{number:03}.jpg" for number in range(20)} <= set(library.names())
    (library.home / "unplugged").rename(library.photos)
    library.refresh()
    assert library.store.content_digest() == library.digest_of_a_fresh_store()


def test_photos_that_vanish_during_the_run(library: Library) -> None:
    library.add_many(30)
    library.index()
    library.add("new1.jpg")
    library.add("new2.jpg")
    library.add("003.jpg", "edited")

    def remove(state) -> None:
        for name in ("new2.jpg", "003.jpg"):
            (library.photos / name).unlink(missing_ok=True)

    library.hooks["on_progress"] = remove
    summary = library.index()
    library.hooks.clear()
    assert sorted(library.name(failure.path) for failure in summary.failures) == [
        "003.jpg",
        "new2.jpg",
    ]
    assert (summary.seen, summary.new, summary.unchanged) == (32, 2, 30)
    assert summary.usable == 30
    assert "new2.jpg" not in library.names()
    assert "003.jpg" in library.names()
    assert library.index().removed == 1
    assert library.store.content_digest() == library.digest_of_a_fresh_store()


def test_drop_a_root(library: Library) -> None:
    other = library.home / "other"
    library.add_many(10)
    library.add_many(20, "o", other)
    library.index(library.photos, other)
    assert drop_root(library.path, library.photos) == 10
    assert roots_of(library) == ["other"]
    assert len(library.names()) == 20
    assert library.photos.exists()
    with pytest.raises(UsageError, match=r"photos: is no root of .*; its roots: .*other"):
        drop_root(library.path, library.photos)


def test_move_a_root_only_to_a_folder_that_is_none(library: Library) -> None:
    other = library.home / "other"
    library.add_many(3)
    library.add_many(3, "o", other)
    library.index(library.photos, other)
    for new, why in ((library.home / "nowhere", "no such folder"), (other, "is a root already")):
        with pytest.raises(UsageError, match=why):
            move_root(library.path, library.photos, new)


def test_a_root_is_moved_in_the_store_as_another_process_left_it(library: Library) -> None:
    """While it waits for the lock the other one may have added a root."""
    other = library.home / "other"
    library.add_many(3)
    library.add_many(3, "o", other)
    library.index()
    acquire = "facesearch.store.writer.StoreLock.acquire"
    from facesearch.store.lock import StoreLock

    real = StoreLock.acquire

    def late(lock: StoreLock, wait: bool) -> None:
        with mock.patch(acquire, real):
            library.index(other)
        real(lock, wait)

    moved = library.home / "moved"
    shutil.copytree(library.photos, moved)
    with mock.patch(acquire, late):
        move_root(library.path, library.photos, moved, wait=True)
    assert roots_of(library) == ["moved", "other"]
    assert len(library.names()) == 6
