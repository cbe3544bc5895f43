"""Push and pull: the same store comes back, only what differs is moved, nothing goes by mistake."""

from __future__ import annotations

import dataclasses
import hashlib
import json

import numpy as np
import psutil
import pytest
from galleries import rows, write_store

from facesearch.errors import (
    FacesearchError,
    RecipeMismatchError,
    StoreBusyError,
    StoreError,
    StoreTooNewError,
)
from facesearch.gallery.milvus import pulling, pushing, schema
from facesearch.gallery.milvus.connection import Connection
from facesearch.gallery.milvus.head import read_head, write_head
from facesearch.gallery.milvus.tables import Table
from facesearch.gallery.opening import open_gallery, problems_of
from facesearch.gallery.transfers import TransferOptions
from facesearch.labelling import label
from facesearch.records import PhotoEntry
from facesearch.store import Root, Store, StoreWriter, check_path
from facesearch.store.head import RunMark
from facesearch.transferring import pull, push
from small_store import recipe, result_of_rows, store_of_rows

PLAIN = TransferOptions()


def test_there_and_back(tmp_path, lite) -> None:
    path, back = tmp_path / "faces.npz", tmp_path / "back.npz"
    store = write_store(path)
    labels = tmp_path / "labels.csv"
    labels.write_text("path,name\nP0/0/0.jpg,Ann\n")
    label(path, labels)
    seen: list[tuple[int, int]] = []
    done = push(path, lite, PLAIN, lambda *at: seen.append(at))
    assert (done.source, done.target) == (str(path), str(lite))
    assert done.photos == len(store.files)
    assert (done.written, done.unchanged) == (done.photos + done.faces, 0)
    assert seen[-1] == (done.written, done.written)
    assert done.compared > 0
    came = pull(lite, back, PLAIN)
    assert (came.photos, came.faces, came.written) == (done.photos, done.faces, done.photos)
    theirs = Store.open(back)
    assert theirs.content_digest() == store.content_digest()
    assert theirs.options == store.options
    assert theirs.head.entered == Store.open(path).head.entered != {}
    assert [root.path for root in theirs.roots] == [root.path for root in store.roots]
    assert check_path(back) == []
    for again in (push(path, lite, PLAIN), push(back, lite, PLAIN), pull(lite, back, PLAIN)):
        assert (again.written, again.removed) == (0, 0)
        assert again.unchanged > 0
    assert Store.open(back).content_digest() == store.content_digest()


def test_a_newer_store_takes_away_what_is_gone(tmp_path, lite) -> None:
    old, new, back = (tmp_path / name for name in ("old.npz", "new.npz", "back.npz"))
    write_store(old, 60)
    write_store(new, 63, skip=3)
    push(old, lite, PLAIN)
    pull(lite, back, PLAIN)
    kept = push(new, lite, TransferOptions(keep=True))
    assert (kept.removed, kept.kept) == (0, 3)
    assert problems_of(lite, False) == []
    done = push(new, lite, PLAIN)
    assert (done.removed, done.kept, done.written) == (3, 0, 0)
    assert problems_of(lite, False) == []
    assert open_gallery(lite).coverage() == open_gallery(new).coverage()
    kept = pull(lite, back, TransferOptions(keep=True))
    assert (kept.removed, kept.kept) == (0, 3)
    came = pull(lite, back, PLAIN)
    assert (came.removed, came.written) == (3, 0)
    assert Store.open(back).content_digest() == Store.open(new).content_digest()
    assert check_path(back) == []


def test_many_photos_do_not_go_by_mistake(tmp_path, lite) -> None:
    large, small = tmp_path / "large.npz", tmp_path / "small.npz"
    write_store(large, 60)
    write_store(small, 60, skip=30)
    push(large, lite, PLAIN)
    with pytest.raises(FacesearchError, match=r"of its 68 photos are not in the source"):
        push(small, lite, PLAIN)
    assert open_gallery(lite).coverage() == open_gallery(large).coverage()
    push(small, lite, TransferOptions(prune=True))
    assert open_gallery(lite).coverage() == open_gallery(small).coverage()
    digest = Store.open(large).content_digest()
    with pytest.raises(FacesearchError, match="would go; is it the right one"):
        pull(lite, large, PLAIN)
    assert Store.open(large).content_digest() == digest
    pull(lite, large, TransferOptions(prune=True))
    assert Store.open(large).content_digest() == Store.open(small).content_digest()


def test_a_push_that_was_cut_off_goes_on(tmp_path, lite, monkeypatch) -> None:
    path, back = tmp_path / "faces.npz", tmp_path / "back.npz"
    store = write_store(path)
    monkeypatch.setattr(pushing, "_AT_ONCE", 7)
    upsert = Table.upsert
    for calls in (1, 3, 9, 14):
        left = [calls]

        def failing(table, batch, left=left):
            left[0] -= 1
            if left[0] < 0:
                raise StoreError("away")
            upsert(table, batch)

        with monkeypatch.context() as patch:
            patch.setattr(Table, "upsert", failing)
            with pytest.raises(StoreError, match="away"):
                push(path, lite, PLAIN)
        with pytest.raises(StoreError, match="has not ended"):
            pull(lite, back, PLAIN)
    done = push(path, lite, PLAIN)
    assert 0 < done.unchanged < done.unchanged + done.written == done.photos + done.faces
    pull(lite, back, PLAIN)
    assert Store.open(back).content_digest() == store.content_digest()
    assert problems_of(lite, False) == []


def test_a_pull_that_was_cut_off_goes_on(tmp_path, lite, monkeypatch) -> None:
    path, back = tmp_path / "faces.npz", tmp_path / "back.npz"
    store = write_store(path)
    push(path, lite, PLAIN)
    monkeypatch.setattr(pulling, "_COMMIT_SECONDS", 0.0)
    monkeypatch.setattr("facesearch.gallery.milvus.tables._KEYS_AT_ONCE", 5)

    def stop(done: int, total: int) -> None:
        if done >= 30:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pull(lite, back, PLAIN, stop)
    assert 0 < len(Store.open(back).files) <= 30
    done = pull(lite, back, PLAIN)
    assert done.unchanged >= 25
    assert Store.open(back).content_digest() == store.content_digest()
    assert Store.open(back).progress is None


def test_of_another_recipe(tmp_path, lite) -> None:
    path, other = tmp_path / "faces.npz", tmp_path / "other.npz"
    write_store(path, 5)
    store_of_rows(other, [("a.jpg", rows(1)[:, :8])])
    push(path, lite, PLAIN)
    with pytest.raises(RecipeMismatchError, match="push to another collection") as error:
        push(other, lite, PLAIN)
    assert str(lite) in str(error.value)
    assert str(other) in str(error.value)
    with pytest.raises(RecipeMismatchError, match="pull to another file"):
        pull(lite, other, PLAIN)


def test_roots_are_known_by_their_place(tmp_path, lite) -> None:
    """The roots' order in a store, and a root that moved, change no other root's rows."""
    path = tmp_path / "faces.npz"

    def write(*roots: str) -> None:
        path.unlink(missing_ok=True)
        with StoreWriter.open(path, write_store(tmp_path / "any.npz", 1).recipe) as writer:
            writer.set_roots([Root(root, root) for root in roots])
            for number, root in enumerate(roots):
                writer.put((number, PhotoEntry("a.jpg", 1, 1)), result_of_rows(root[2:], rows(1)))
            writer.finish()

    write("/x1", "/x2")
    push(path, lite, PLAIN)
    write("/x2", "/x1")
    assert push(path, lite, PLAIN).written == 0
    write("/x3", "/y2")  # /x2 moved, /x1 was dropped, /x3 is new
    done = push(path, lite, TransferOptions(prune=True))
    assert (done.removed, done.written) == (2, 4)
    assert problems_of(lite, False) == []
    pull(lite, tmp_path / "back.npz", PLAIN)
    assert Store.open(tmp_path / "back.npz").content_digest() == Store.open(path).content_digest()


def test_what_is_not_ready_or_not_ours(tmp_path, lite) -> None:
    path = tmp_path / "faces.npz"
    write_store(path, 8)
    with StoreWriter.open(tmp_path / "half.npz", Store.open(path).recipe) as writer:
        writer.set_roots([Root("/x", "x")])
        writer.put((0, PhotoEntry("a.jpg", 1, 1)), result_of_rows("a", rows(1)))
        writer.commit((1, 2))
    with pytest.raises(StoreError, match="its index run has not ended"):
        push(tmp_path / "half.npz", lite, PLAIN)
    push(path, lite, PLAIN)
    connection = Connection(lite)
    table = Table(connection, schema.HEAD)
    head = read_head(table)
    ours = RunMark.here(1, 2)
    parent = RunMark(1, 2, 1, ours.host, psutil.Process(1).create_time())
    write_head(table, dataclasses.replace(head, run=parent))
    with pytest.raises(StoreBusyError, match="process 1 of this machine writes it"):
        push(path, lite, PLAIN)
    for text, kind in (
        (json.dumps({"format": "facesearch-gallery", "version": 2}), StoreTooNewError),
        (json.dumps({"format": "something"}), StoreError),
        ("{", StoreError),
    ):
        _write_text(table, text)
        with pytest.raises(kind, match=r"newer facesearch|makes no sense"):
            open_gallery(lite)
    table.delete(["0000"])
    with pytest.raises(StoreError, match="no gallery here"):
        open_gallery(lite)
    Table(connection, schema.FACES)._connection.call("drop_collection", lite.collection)
    _other_collection(connection, lite.collection)
    for work in (lambda: open_gallery(lite), lambda: push(path, lite, PLAIN)):
        with pytest.raises(StoreError, match="is no gallery of facesearch; choose another name"):
            work()


def _write_text(table: Table, text: str) -> None:
    stamp = hashlib.sha256(text.encode()).hexdigest()
    row = {"pk": "0000", "vector": [0.0, 0.0], "text": text, "parts": 1, "stamp": stamp}
    table.upsert([row])


def _other_collection(connection: Connection, name: str) -> None:
    connection.call("create_collection", name, dimension=4)


def test_a_description_of_any_length(tmp_path, lite) -> None:
    """Thousands of single files as roots do not fit into one row."""
    path, back = tmp_path / "faces.npz", tmp_path / "back.npz"
    with StoreWriter.open(path, write_store(tmp_path / "any.npz", 1).recipe) as writer:
        writer.set_roots([Root(f"/photos/{n:0100}", "x" + str(n)) for n in range(1500)])
        for number in range(1500):
            result = result_of_rows("one", np.zeros((0, 128), np.float32))
            writer.put((number, PhotoEntry("", 1, 1)), result)
        writer.finish()
    push(path, lite, PLAIN)
    pull(lite, back, PLAIN)
    assert Store.open(back).content_digest() == Store.open(path).content_digest()
    assert len(Store.open(back).roots) == 1500


@pytest.mark.parametrize("made", [1, 2])
def test_a_push_goes_on_where_the_making_of_collections_was_cut_off(
    tmp_path, lite, monkeypatch, made
) -> None:
    path, back = tmp_path / "faces.npz", tmp_path / "back.npz"
    store = write_store(path, photos=8)
    real, done = schema._make, []

    def cut_off(*arguments: object) -> None:
        if len(done) == made:
            raise KeyboardInterrupt
        done.append(real(*arguments))

    monkeypatch.setattr(schema, "_make", cut_off)
    with pytest.raises(KeyboardInterrupt):
        push(path, lite, PLAIN)
    monkeypatch.setattr(schema, "_make", real)
    push(path, lite, PLAIN)
    pull(lite, back, PLAIN)
    assert Store.open(back).content_digest() == store.content_digest()


def test_labels_that_went_and_folders_of_another_system(tmp_path, lite) -> None:
    path, back = tmp_path / "faces.npz", tmp_path / "back.npz"
    with StoreWriter.open(path, recipe()) as writer:
        writer.set_roots([Root("/photos", "photos")])
        writer.put((0, PhotoEntry("a.jpg", 1, 1)), result_of_rows("a", rows(2)))
        writer.finish()
    labels = tmp_path / "labels.csv"
    labels.write_text("a.jpg,Ann\n")
    label(path, labels)
    push(path, lite, PLAIN)
    table = Table(Connection(lite), schema.HEAD)
    foreign = ((0, "C:\\Users\\me\\Pictures"),)
    write_head(table, dataclasses.replace(read_head(table), roots=foreign))
    pull(lite, back, PLAIN)
    assert [root.path for root in Store.open(back).roots] == [foreign[0][1]]
    assert Store.open(back).head.entered
    label(path, None, forget=True)
    push(path, lite, TransferOptions(prune=True))
    pull(lite, back, TransferOptions(keep=True))
    assert Store.open(back).head.entered
    pull(lite, back, TransferOptions(prune=True))
    assert Store.open(back).head.entered == {}
