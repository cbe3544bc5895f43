"""Options that differ from the store's, and stores that are built anew."""

from __future__ import annotations

import shutil
from pathlib import Path
from unittest import mock

import pytest

from facesearch.errors import (
    FacesearchError,
    InterruptedRunError,
    RecipeMismatchError,
    StoreBusyError,
    StoreError,
    UsageError,
)
from facesearch.store import Store, StoreWriter
from photo_library import Library, arrays_of


def test_other_options_name_both_values(library: Library) -> None:
    library.add_many(3)
    library.index(min_face=40)
    with pytest.raises(RecipeMismatchError, match=r"min-face 40, not 60.*--redetect"):
        library.index(min_face=60)
    with pytest.raises(RecipeMismatchError, match="model facenet-128, not facenet-512"):
        library.index(model="facenet-512")
    assert library.index(min_face=40).unchanged == 3
    assert library.index().unchanged == 3
    assert library.store.recipe.detector.min_face == 40


def test_redetect_reads_everything_anew(library: Library) -> None:
    other = library.home / "other"
    library.add_many(5)
    library.add_many(5, "o", other)
    library.index(library.photos, other)
    library.embedded()
    summary = library.index(library.photos, min_face=60, redetect=True)
    assert (summary.seen, summary.new) == (10, 10)  # all roots, whatever is named
    assert len(library.embedded()) == 10
    assert library.store.recipe.detector.min_face == 60
    assert library.index(redetect=True).unchanged == 5  # nothing differs any more
    assert not list(library.home.glob("*.rebuild*"))


def test_rebuild_keeps_the_old_store_until_the_new_one_is_complete(library: Library) -> None:
    library.add_many(20)
    library.index(exclude=("*9.jpg",))
    library.embedded()
    digest = library.store.content_digest()
    arrays = arrays_of(library.path)
    seen = []

    def look(state) -> None:
        seen.append(library.store.content_digest())

    library.hooks["on_progress"] = look
    summary = library.refresh(rebuild=True)
    assert (summary.seen, summary.new) == (18, 18)
    assert set(seen) == {digest}
    assert len(library.embedded()) == 18
    assert arrays_of(library.path) == arrays
    assert library.store.options["exclude"] == ["*9.jpg"]


def test_a_stopped_rebuild_leaves_the_old_store_and_goes_on(library: Library) -> None:
    library.add_many(20)
    library.index()
    library.embedded()
    digest = library.store.content_digest()

    def stop(state) -> None:
        if state.done == 8:
            raise KeyboardInterrupt

    library.hooks["on_progress"] = stop
    with pytest.raises(InterruptedRunError, match="stopped at 8 of 20 photos"):
        library.refresh(rebuild=True)
    assert library.store.content_digest() == digest
    assert library.store.progress is None
    read = library.embedded()
    library.hooks.clear()
    assert library.refresh(rebuild=True).unchanged == 8
    assert len(library.embedded()) == 12
    assert len(read) >= 8
    assert library.store.content_digest() == digest


def test_a_rebuild_refuses_to_lose_photos_that_are_away(library: Library) -> None:
    usb = library.home / "usb"
    library.add_many(20)
    library.add_many(20, "u", usb)
    library.index(library.photos, usb)
    digest = library.store.content_digest()
    usb.rename(library.home / "unplugged")
    for options in ({"rebuild": True}, {"redetect": True, "min_face": 60}):
        with pytest.raises(FacesearchError, match=r"usb: missing, .* its 20 photos; plug it in"):
            library.refresh(**options)
        with pytest.raises(FacesearchError, match="usb: missing"):
            library.predict(**options)
    assert library.store.content_digest() == digest


def test_a_rebuild_refuses_to_lose_half_a_disk(library: Library) -> None:
    library.add_many(20, "a/")
    library.add_many(20, "b/")
    library.index()
    shutil.rmtree(library.photos / "b")
    with pytest.raises(FacesearchError, match=r"20 of its photos cannot be found.*--prune"):
        library.refresh(rebuild=True)
    assert library.refresh(rebuild=True, prune=True).seen == 20
    assert len(library.names()) == 20


def test_a_broken_store_is_built_anew_from_the_folders_named(library: Library) -> None:
    library.add_many(20)
    library.index()
    digest = library.store.content_digest()
    whole = library.path.read_bytes()
    library.path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(StoreError, match="cut short or its end is damaged; run facesearch repair"):
        library.index()
    with pytest.raises(UsageError, match="no folder given"):
        library.refresh(rebuild=True)
    assert library.index(rebuild=True).new == 20
    assert library.store.content_digest() == digest
    # Its description can be read, its tables cannot.
    place = whole.index(b"017.jpg")
    library.path.write_bytes(whole[:place] + b"?" + whole[place + 1 :])
    with pytest.raises(StoreError):
        library.refresh()
    assert library.refresh(rebuild=True).new == 20
    assert library.store.content_digest() == digest


def test_a_file_that_is_no_store_is_never_replaced(library: Library) -> None:
    library.add_many(2)
    library.path.write_text("my thesis")
    for options in ({}, {"rebuild": True}):
        with pytest.raises(StoreError):
            library.index(**options)
    assert library.path.read_text() == "my thesis"


def test_a_limit_that_a_stopped_run_was_given_is_still_new(library: Library) -> None:
    """Else photos that were too large for the old one would never be read."""
    for number in range(10):
        library.add(f"{number}.jpg", f"large {'x' * number} {300_000_000 + number}")
    library.index()

    def stop(state) -> None:
        if state.done == 4:
            raise KeyboardInterrupt

    library.hooks["on_progress"] = stop
    with pytest.raises(InterruptedRunError):
        library.index(max_pixels=400_000_000)
    library.hooks.clear()
    assert library.index(max_pixels=400_000_000).failures == ()


def test_excludes_of_a_stopped_first_run_are_kept(library: Library) -> None:
    library.add_many(10)
    library.add_many(5, "thumbs/")

    def stop(state) -> None:
        if state.done == 4:
            raise KeyboardInterrupt

    library.hooks["on_progress"] = stop
    with pytest.raises(InterruptedRunError):
        library.index(exclude=("thumbs",))
    library.hooks.clear()
    assert library.refresh().seen == 10


def test_two_writers(library: Library) -> None:
    library.add_many(3)
    library.index()
    with StoreWriter.open(library.path, library.store.recipe):
        with pytest.raises(StoreBusyError, match=r"held by process \d+ .*--wait"):
            library.index()
        assert library.predict().photos == 3
    assert library.index().unchanged == 3


@pytest.mark.parametrize("options", [{}, {"min_face": 50}])
def test_what_another_process_wrote_while_this_one_waited_counts(
    library: Library, options: dict[str, int]
) -> None:
    """There was no store when it began; then there is one with a recipe and patterns."""
    library.add_many(10)
    library.add_many(5, "thumbs/")
    from facesearch.store.lock import StoreLock

    name, real = "facesearch.store.writer.StoreLock.acquire", StoreLock.acquire

    def late(lock: StoreLock, wait: bool) -> None:
        with mock.patch(name, real):
            if not library.path.exists():
                library.index(exclude=("thumbs",), **options)
        real(lock, wait)

    with mock.patch(name, late):
        summary = library.index(wait=True)
    assert (summary.seen, summary.unchanged) == (10, 10)
    assert library.store.options["exclude"] == ["thumbs"]
    assert library.store.recipe.detector.min_face == options.get("min_face", 20)


def test_a_store_behind_a_link(library: Library, tmp_path: Path) -> None:
    library.add_many(4)
    real = tmp_path / "elsewhere"
    real.mkdir()
    library.path.symlink_to(real / "faces.npz")
    library.index()
    assert library.path.is_symlink()
    assert library.refresh().unchanged == 4
    assert len(Store.open(real / "faces.npz").files) == 4
