"""A second run over folders that have changed: only what is new is read, nothing is lost."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from facesearch import indexing
from facesearch.store import Store, StoreWriter
from photo_library import Library, paths_of


def counts(summary) -> dict[str, int]:
    names = ("seen", "new", "changed", "unchanged", "moved", "copies", "removed", "gone_kept")
    return {name: getattr(summary, name) for name in names if getattr(summary, name)}


def test_a_first_run(library: Library) -> None:
    library.add_many(30)
    summary = library.index()
    assert counts(summary) == {"seen": 30, "new": 30}
    assert summary.usable == 30
    assert summary.failures == ()
    assert summary.store == str(library.path)
    assert summary.faces == len(library.store.faces) > 0
    assert summary.device == "no network"
    assert summary.photos_per_second > 0
    assert len(library.embedded()) == 30
    assert library.problems() == []
    assert library.store.progress is None


def test_with_real_processes_the_same(library: Library, busy_library: Library) -> None:
    busy_library.add_many(60)
    busy_library.index()
    digest = busy_library.store.content_digest()
    assert digest == library.digest_of_a_fresh_store(library.photos)


def test_nothing_has_changed(library: Library) -> None:
    library.add_many(12)
    library.index()
    library.embedded()
    digest = library.store.content_digest()
    for summary in (library.index(), library.refresh()):
        assert counts(summary) == {"seen": 12, "unchanged": 12}
        assert summary.usable == 12
        assert summary.device == ""
    assert library.embedded() == []
    assert library.store.content_digest() == digest


def test_what_reads_no_photo_has_no_rate(library: Library) -> None:
    library.add_many(4)
    library.index()
    assert library.index().photos_per_second == 0
    photo = next(path for path in library.photos.rglob("*") if path.is_file())
    shutil.copy(photo, photo.with_stem("copied"))
    summary = library.index()
    assert counts(summary) == {"seen": 5, "unchanged": 4, "copies": 1}
    assert summary.photos_per_second == 0


@pytest.fixture(scope="module")
def opened() -> list[str]:
    """The names of all files as they are opened."""
    names: list[str] = []

    def note(event: str, arguments: tuple[object, ...]) -> None:
        if event == "open" and isinstance(arguments[0], str):
            names.append(arguments[0])

    sys.addaudithook(note)
    return names


def test_no_photo_is_opened_that_is_as_it_was(library: Library, opened: list[str]) -> None:
    photos = [str(path) for path in library.add_many(12, "holidays/one")]
    opened.clear()
    library.index()
    assert set(photos) <= set(opened)  # so the fixture sees what it should
    opened.clear()
    assert counts(library.index()) == {"seen": 12, "unchanged": 12}
    assert counts(library.refresh()) == {"seen": 12, "unchanged": 12}
    assert opened
    assert not set(photos) & set(opened)


def test_new_and_changed_photos(library: Library) -> None:
    library.add_many(12)
    library.index()
    library.embedded()
    library.add("003.jpg", "another picture")
    library.add("new.jpg")
    summary = library.index()
    assert counts(summary) == {"seen": 13, "new": 1, "changed": 1, "unchanged": 11}
    assert library.embedded() == ["003.jpg", "new.jpg"]
    assert library.store.content_digest() == library.digest_of_a_fresh_store()


def test_a_new_time_alone_changes_nothing(library: Library) -> None:
    library.add_many(5)
    library.index()
    library.embedded()
    library.touch(library.photos / "002.jpg")
    assert counts(library.index()) == {"seen": 5, "unchanged": 5}
    assert library.embedded() == []
    # Nor is it hashed a second time.
    assert counts(library.index()) == {"seen": 5, "unchanged": 5}
    assert library.problems() == []


def test_a_photo_that_is_none_any_more_leaves(library: Library) -> None:
    library.add_many(20)
    library.add("scan", "a photo without an extension")
    library.index()
    (library.photos / "scan").write_text("now it is a text")
    summary = library.index()
    assert counts(summary) == {"seen": 20, "unchanged": 20, "removed": 1}
    assert summary.not_read == {"no extension": 1}
    assert library.store.content_digest() == library.digest_of_a_fresh_store()


def test_moved_within_a_root(library: Library) -> None:
    library.add_many(12)
    library.index()
    library.embedded()
    (library.photos / "later").mkdir()
    for name in ("001.jpg", "007.jpg", "008.jpg", "009.jpg"):  # more than a tenth
        (library.photos / name).rename(library.photos / "later" / f"x{name}")
    summary = library.index()
    assert counts(summary) == {"seen": 12, "unchanged": 8, "moved": 4}
    assert library.embedded() == []
    assert library.store.content_digest() == library.digest_of_a_fresh_store()


def test_a_renamed_folder(library: Library) -> None:
    library.add_many(40, "2019/")
    library.index()
    library.embedded()
    (library.photos / "2019").rename(library.photos / "older")
    assert counts(library.index()) == {"seen": 40, "moved": 40}
    assert library.embedded() == []
    assert library.names() == [f"older/{number:03}.jpg" for number in range(40)]


def test_moved_to_another_root_with_path_size_and_time(library: Library, monkeypatch) -> None:
    library.add_many(12, "holiday/")
    library.index()
    library.embedded()
    other = library.home / "other"
    other.mkdir()
    (library.photos / "holiday").rename(other / "holiday")
    library.add("stays.jpg")
    monkeypatch.setattr("facesearch.indexing.hash_file", None)
    summary = library.index(library.photos, other)
    assert counts(summary) == {"seen": 13, "new": 1, "moved": 12}
    assert library.embedded() == ["stays.jpg"]
    assert library.names() == sorted(
        [*(f"other/holiday/{number:03}.jpg" for number in range(12)), "stays.jpg"]
    )


def test_one_of_two_copies_takes_the_place_of_what_moved(library: Library) -> None:
    """Both have its relative path, size and time; the second is known by its content."""
    library.add_many(3)
    library.index()
    library.embedded()
    for name in ("one", "two"):
        shutil.copytree(library.photos, library.home / name)
    shutil.rmtree(library.photos)
    summary = library.index(library.home / "one", library.home / "two")
    assert counts(summary) == {"seen": 6, "moved": 3, "copies": 3}
    assert library.embedded() == []
    assert len(library.store.roots) == 2
    assert len(library.store.contents) == 3


def test_copies_are_embedded_once_and_keep_every_path(library: Library) -> None:
    for name in ("a", "b", "c"):
        library.add(f"{name}/same.jpg", "the same bytes")
    library.add("z.jpg")
    summary = library.index()
    assert counts(summary) == {"seen": 4, "new": 2, "copies": 2}
    assert len(library.embedded()) == 2
    assert len(library.store.contents) == 2
    assert library.names() == ["a/same.jpg", "b/same.jpg", "c/same.jpg", "z.jpg"]


def test_a_copy_is_embedded_once_however_late_it_comes(library: Library) -> None:
    """When its turn comes the first one has long been read."""
    library.add("000.jpg", "the same bytes")
    library.add_many(200, "between/")
    library.add("zzz.jpg", "the same bytes")
    assert counts(library.index()) == {"seen": 202, "new": 201, "copies": 1}
    assert len(library.embedded()) == 201


def test_a_copy_of_a_known_photo_is_not_read(library: Library) -> None:
    library.add_many(5)
    library.index()
    library.embedded()
    for name in ("x.jpg", "y.jpg", "z.jpg"):
        shutil.copy(library.photos / "003.jpg", library.photos / name)
    assert counts(library.index()) == {"seen": 8, "unchanged": 5, "copies": 3}
    assert library.embedded() == []


def test_many_known_contents_of_one_size(library: Library) -> None:
    """Then the parent looks up which of them a file is, instead of telling a worker all."""
    for number in range(100):
        library.add(f"{number:03}.bmp", f"{number:03} of one size")
    library.index()
    library.embedded()
    shutil.copy(library.photos / "050.bmp", library.photos / "copy.bmp")
    library.add("new.bmp", "200 of one size")
    assert counts(library.index()) == {"seen": 102, "unchanged": 100, "new": 1, "copies": 1}
    assert library.embedded() == ["new.bmp"]


def test_a_photo_replaced_by_another_known_one(library: Library) -> None:
    library.add_many(12)
    library.index()
    library.embedded()
    shutil.copy(library.photos / "004.jpg", library.photos / "007.jpg")
    library.touch(library.photos / "007.jpg")
    assert counts(library.index()) == {"seen": 12, "unchanged": 11, "copies": 1}
    assert library.embedded() == []
    assert library.store.content_digest() == library.digest_of_a_fresh_store()


def test_two_photos_that_changed_places(library: Library) -> None:
    library.add_many(4)
    library.index()
    library.embedded()
    one, two, aside = (library.photos / name for name in ("001.jpg", "002.jpg", "aside"))
    one.rename(aside)
    two.rename(one)
    aside.rename(two)
    assert counts(library.index())["seen"] == 4
    assert library.embedded() == []
    assert library.store.content_digest() == library.digest_of_a_fresh_store()


def test_up_to_a_tenth_gone_is_removed(library: Library) -> None:
    paths = library.add_many(30)
    library.index()
    for path in paths[:3]:
        path.unlink()
    assert counts(library.index()) == {"seen": 27, "unchanged": 27, "removed": 3}
    assert library.store.content_digest() == library.digest_of_a_fresh_store()


def test_more_than_a_tenth_gone_is_kept_until_prune(library: Library) -> None:
    paths = library.add_many(30)
    library.index()
    for path in paths[:4]:
        path.unlink()
    for summary in (library.index(), library.refresh()):
        assert counts(summary) == {"seen": 26, "unchanged": 26, "gone_kept": 4}
        assert len(library.names()) == 30
    library.embedded()
    assert counts(library.index(prune=True)) == {"seen": 26, "unchanged": 26, "removed": 4}
    assert library.store.content_digest() == library.digest_of_a_fresh_store()


def test_gone_photos_that_come_back_are_not_read(library: Library) -> None:
    library.add_many(30)
    library.index()
    (library.photos / "010.jpg").rename(library.home / "aside")
    library.index()
    (library.home / "aside").rename(library.photos / "010.jpg")
    assert counts(library.index()) == {"seen": 30, "unchanged": 29, "new": 1}


def test_what_an_exclude_leaves_out_is_removed_and_stays_out(library: Library) -> None:
    library.add_many(4)
    library.add_many(30, "thumbs/")
    library.index()
    library.embedded()
    summary = library.index(exclude=("thumbs",))
    assert counts(summary) == {"seen": 4, "unchanged": 4, "removed": 30}  # far over a tenth
    assert len(library.names()) == 4
    assert library.store.options["exclude"] == ["thumbs"]
    assert counts(library.refresh()) == {"seen": 4, "unchanged": 4}
    assert counts(library.refresh(exclude=("*3.jpg",))) == {"seen": 3, "unchanged": 3, "removed": 1}
    assert library.store.options["exclude"] == ["thumbs", "*3.jpg"]
    assert counts(library.refresh(forget_excludes=True))["seen"] == 34
    assert library.store.options["exclude"] == []


def test_verify_content_finds_what_kept_size_and_time(library: Library) -> None:
    paths = library.add_many(6)
    library.index()
    library.embedded()
    status = paths[2].stat()
    paths[2].write_bytes(paths[2].read_bytes()[:-1] + b"!")
    os.utime(paths[2], ns=(status.st_atime_ns, status.st_mtime_ns))
    assert counts(library.index()) == {"seen": 6, "unchanged": 6}
    assert library.embedded() == []
    assert len(library.problems()) == 1
    assert counts(library.index(verify_content=True)) == {"seen": 6, "unchanged": 5, "changed": 1}
    assert library.embedded() == ["002.jpg"]
    assert library.problems() == []


def test_names_that_are_no_text(library: Library) -> None:
    names = ["line\nbreak.jpg", "escape\x1b[31m.jpg", "ä 写真 🙂.jpg", "-k.jpg", "\udcff\udce9.jpg"]
    for name in names:
        library.add(name, repr(name))
    assert library.index().new == 5
    assert {Path(path).name for path in paths_of(library.store)} == set(names)
    assert counts(library.index()) == {"seen": 5, "unchanged": 5}


def test_a_dry_run_writes_nothing(library: Library) -> None:
    library.add_many(20)
    (library.photos / "film.mov").write_bytes(b"\0" * 50)
    prediction = library.predict(library.photos)
    assert (prediction.photos, prediction.to_read, prediction.sampled) == (20, 20, 20)
    assert prediction.not_read == {".mov": 1}
    assert prediction.seconds > 0
    assert 20 * 200 < prediction.store_bytes < 100_000
    assert sorted(path.name for path in library.home.iterdir()) == ["log", "photos"]
    library.index()
    before = sorted((path.name, path.stat().st_mtime_ns) for path in library.home.iterdir())
    library.embedded()
    library.add("new.jpg")
    for options in ({}, {"rebuild": True}):
        prediction = library.predict(**options)
        assert prediction.to_read == (21 if options else 1)
        library.embedded()
    after = sorted((path.name, path.stat().st_mtime_ns) for path in library.home.iterdir())
    assert [name for name, _ in after] == [name for name, _ in before if name != "log"]
    assert dict(after)["faces.npz"] == dict(before)["faces.npz"]
    assert len(Store.open(library.path).files) == 20


@pytest.mark.parametrize("count", [1, 65, 300])
def test_a_dry_run_times_a_sample_of_all(library: Library, count: int) -> None:
    library.add_many(count)
    assert library.predict(library.photos).sampled == min(count, 64)


def test_progress_ends_where_all_are_done(library: Library) -> None:
    library.add_many(20)
    library.add("copy.jpg", "same")
    library.add("copy2.jpg", "same")
    library.add("zz.jpg", "broken")
    library.index()
    library.add("020.jpg")
    states = []
    library.hooks["on_progress"] = states.append
    library.index()
    assert (states[0].done, states[0].total) == (23, 24)
    assert (states[-1].done, states[-1].total, states[-1].failed) == (24, 24, 0)
    states.clear()
    library.index(store=library.home / "other.npz")
    assert (states[0].done, states[0].total) == (0, 24)
    assert (states[-1].done, states[-1].total, states[-1].failed) == (24, 24, 1)
    assert states[-1].faces == library.store.row_offsets[-1]
    assert [state.done for state in states] == sorted(state.done for state in states)


def test_photo_files_are_never_written(library: Library) -> None:
    paths = library.add_many(5)
    library.add("bad.jpg", "broken")
    before = [(path.stat().st_mtime_ns, path.stat().st_mode) for path in paths]
    for path in paths:
        path.chmod(0o444)
    library.index()
    assert sorted(path.name for path in library.photos.iterdir()) == sorted(
        [*(path.name for path in paths), "bad.jpg"]
    )
    assert [path.stat().st_mtime_ns for path in paths] == [time for time, _ in before]


def test_the_store_among_the_photos(library: Library) -> None:
    library.add_many(5)
    store = library.photos / "faces.npz"
    library.index(store=store)
    summary = library.index(store=store)
    assert counts(summary) == {"seen": 5, "unchanged": 5}
    assert Path(summary.store) == store


def test_photos_are_handed_out_as_results_come(busy_library: Library, monkeypatch) -> None:
    """However many there are, only some batches are on their way."""
    busy_library.add_many(300)
    handed, ahead = [0], []
    batches = indexing._Run._batches

    def counted(*arguments):
        for batch in batches(*arguments):
            handed[0] += len(batch)
            yield batch

    monkeypatch.setattr(indexing._Run, "_batches", counted)
    busy_library.hooks["on_progress"] = lambda state: ahead.append(handed[0] - state.done)
    busy_library.index()
    assert max(ahead) <= (2 * 2 + 1) * indexing.BATCH


def test_a_commit_leaves_nothing_in_memory(library: Library, monkeypatch) -> None:
    monkeypatch.setattr(indexing, "COMMIT_SECONDS", 0.0)
    library.add_many(40)
    waiting = []
    commit = StoreWriter.commit

    def counted(writer: StoreWriter, *progress):
        waiting.append(writer._pending.counts.contents)
        commit(writer, *progress)
        assert not writer._pending

    monkeypatch.setattr(StoreWriter, "commit", counted)
    library.index()
    assert sum(waiting) == 40
    assert max(waiting) <= 2
