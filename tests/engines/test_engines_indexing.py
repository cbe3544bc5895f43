"""An index run that writes into Milvus comes to the same end as one that writes a file."""

from __future__ import annotations

import shutil

import pytest

from facesearch import indexing
from facesearch.addresses import parse_store
from facesearch.errors import (
    InterruptedRunError,
    RecipeMismatchError,
    StoreError,
    UsageError,
)
from facesearch.gallery.milvus.tables import Table
from facesearch.gallery.opening import open_gallery
from facesearch.gallery.transfers import TransferOptions
from facesearch.indexing import RunState
from facesearch.transferring import push
from photo_library import Library


def test_the_same_store(library, lite) -> None:
    shelf = library(lite)
    shelf.add_many(30)
    shelf.add_many(5, "more/")
    shelf.add("copy.jpg", (shelf.photos / "003.jpg").read_bytes()[3:].decode())
    shelf.add("bad.jpg", "a broken one")
    summary = shelf.index()
    assert (summary.seen, summary.new, summary.copies, summary.failed) == (37, 36, 1, 1)
    assert (summary.store, summary.store_bytes) == (str(lite), 0)
    assert summary.faces > 0
    assert shelf.problems() == []
    assert shelf.store.content_digest() == shelf.digest_of_a_fresh_store()
    file = shelf.home / "file.npz"
    shelf.index(store=file)
    ours, theirs = open_gallery(file).coverage(), open_gallery(lite).coverage()
    assert (ours.faces, ours.photos, ours.without_face, ours.failed) == (
        theirs.faces,
        theirs.photos,
        theirs.without_face,
        theirs.failed,
    )
    assert push(file, lite, TransferOptions()).written <= 1  # a failure's words may differ


def test_everything_that_can_become_of_a_photo(library, lite, monkeypatch) -> None:
    monkeypatch.setattr(indexing, "COMMIT_SECONDS", 0.0)
    shelf = library(lite)
    photos = shelf.add_many(20)
    shelf.index()
    shelf.embedded()
    shelf.touch(photos[0])  # read again, the same
    photos[1].write_bytes(photos[1].read_bytes() + b"changed")
    photos[2].rename(photos[2].with_name("moved.jpg"))
    shutil.copy(photos[3], photos[3].with_name("copied.jpg"))
    photos[4].unlink()
    shelf.add("new.jpg")
    summary = shelf.index()
    assert (summary.new, summary.changed, summary.moved, summary.copies, summary.removed) == (
        1,
        1,
        1,
        1,
        1,
    )
    assert sorted(shelf.embedded()) == ["001.jpg", "new.jpg"]
    assert shelf.problems() == []
    assert shelf.store.content_digest() == shelf.digest_of_a_fresh_store()
    # The copy's original goes: its faces stay, and say where they lie now.
    photos[3].unlink()
    shelf.index()
    assert shelf.problems() == []
    assert shelf.store.content_digest() == shelf.digest_of_a_fresh_store()


def stop_at(done: int):
    def stop(state: RunState) -> None:
        if state.done == done:
            raise KeyboardInterrupt

    return stop


def test_ctrl_c_keeps_what_was_done(library, lite) -> None:
    shelf = library(lite)
    shelf.add_many(30)
    shelf.hooks["on_progress"] = stop_at(12)
    with pytest.raises(InterruptedRunError, match="stopped at 12 of 30 photos; they are kept"):
        shelf.index()
    progress = open_gallery(lite).coverage().progress
    assert (progress.done, progress.total) == (12, 30)
    shelf.hooks.clear()
    shelf.embedded()
    assert (shelf.index().new, len(shelf.embedded())) == (18, 18)
    assert open_gallery(lite).coverage().progress is None
    assert shelf.problems() == []
    assert shelf.store.content_digest() == shelf.digest_of_a_fresh_store()


@pytest.mark.parametrize(
    "writes",
    [
        pytest.param(writes, marks=[] if writes in (2, 5, 8) else pytest.mark.full)
        for writes in range(1, 13)
    ],
)
def test_wherever_a_run_dies_the_next_one_ends_with_the_same(
    library, lite, monkeypatch, writes
) -> None:
    """Some photos are there already; others move, change, go, and come twice; then a write of the
    rows fails and nothing more is written.
    """
    monkeypatch.setattr(indexing, "COMMIT_SECONDS", 0.0)
    shelf = library(lite)
    photos = shelf.add_many(8)
    shelf.index()
    photos[0].rename(photos[0].with_name("moved.jpg"))
    photos[1].write_bytes(photos[1].read_bytes() + b"changed")
    shutil.copy(photos[2], photos[2].with_name("copied.jpg"))
    shelf.add("new.jpg")
    left = [writes]
    real = {name: getattr(Table, name) for name in ("upsert", "delete")}

    def failing(name: str):
        def write(table: Table, rows: object) -> None:
            rows = list(rows)
            left[0] -= bool(rows)
            if left[0] < 0 and rows:
                raise StoreError("away")
            real[name](table, rows)

        return write

    with monkeypatch.context() as patch:
        for name in real:
            patch.setattr(Table, name, failing(name))
        try:
            shelf.index()
        except StoreError:
            pass
        else:
            assert left[0] >= 0
    (shelf.photos / "new.jpg").unlink()  # what it left must go, though nobody names it any more
    shelf.index(prune=True)
    assert shelf.problems() == []
    assert shelf.store.content_digest() == shelf.digest_of_a_fresh_store()


def test_the_server_is_lost_in_the_middle(library, lite, monkeypatch) -> None:
    monkeypatch.setattr(indexing, "COMMIT_SECONDS", 0.0)
    shelf = library(lite)
    shelf.add_many(10)
    left = [6]
    upsert = Table.upsert

    def failing(table: Table, rows: object) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise StoreError(f"{lite}: no server answers there")
        upsert(table, rows)

    with monkeypatch.context() as patch:
        patch.setattr(Table, "upsert", failing)
        with pytest.raises(StoreError, match="no server answers there"):
            shelf.index()
    assert shelf.index().new < 10
    assert shelf.store.content_digest() == shelf.digest_of_a_fresh_store()


def test_what_is_refused(library, lite, tmp_path) -> None:
    shelf = library(lite)
    shelf.add_many(3)
    with pytest.raises(UsageError, match="--rebuild and --redetect make a new store"):
        shelf.index(rebuild=True)
    with pytest.raises(UsageError, match="no such file or folder"):
        shelf.index(shelf.home / "nowhere")
    shelf.index(min_face=30)
    with pytest.raises(RecipeMismatchError, match=r"min-face 30, not 40; .*another collection"):
        shelf.index(min_face=40)
    with pytest.raises(UsageError, match="--dry-run needs a store file"):
        shelf.predict(shelf.photos)
    missing = tmp_path / "new.db"
    with pytest.raises(UsageError, match="no such file or folder"):
        Library.run(shelf, (shelf.home / "nowhere",), parse_store(f"milvus+file:{missing}"))
    assert not missing.exists()
