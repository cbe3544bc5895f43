"""Forgetting in a search engine: the same photos and faces go as from a file, and stay out."""

import shutil
from dataclasses import replace

import pytest

from facesearch.errors import StoreMissingError, UsageError
from facesearch.forgetting import ForgetOptions, Targets, allow, forget, memory_of, traces_left
from facesearch.gallery import Search
from facesearch.gallery.milvus.connection import Connection
from facesearch.gallery.milvus.head import totals_of
from facesearch.gallery.opening import describe, open_gallery, problems_of
from facesearch.gallery.transfers import TransferOptions
from facesearch.store import Store
from facesearch.transferring import pull, push
from forgetting_calls import forget_now, rows_with
from photo_library import Library, paths_of


@pytest.fixture
def library(people_library: Library) -> Library:
    return people_library


def answers(name, row):
    found = open_gallery(name).search(row[None], ["q"], Search(None, by="face"))
    return {near.id: (near.path, near.face) for near in found}


def assert_same(lite, library: Library) -> None:
    assert problems_of(lite, deep=False) == []
    assert traces_left(lite) == []
    row = library.store.embeddings([0])[0]
    assert answers(lite, row) == answers(library.path, row)
    theirs, ours = describe(lite), describe(library.path)
    assert replace(theirs.coverage, indexed_at="") == replace(ours.coverage, indexed_at="")
    assert theirs.forgotten == ours.forgotten


def test_as_from_a_file(lite, library: Library) -> None:
    push(library.path, lite, TransferOptions())
    store = library.store
    one, two = (paths_of(store)[row] for row in rows_with(store, 2)[:2])
    for arguments, options in (((one,), {}), ((two,), {"face": 1})):
        theirs = forget_now(lite, *arguments, **options)
        ours = forget_now(library.path, *arguments, **options)
        assert theirs is not None
        assert ours is not None
        assert theirs.photos == ours.photos
        assert [(face.id, face.paths) for face in theirs.faces] == [
            (face.id, face.paths) for face in ours.faces
        ]
        assert_same(lite, library)
    summary = library.run((), lite)
    assert (summary.forgotten, summary.unchanged, summary.new) == (1, 23, 0)
    library.refresh()
    assert_same(lite, library)
    assert library.run((), lite, verify_content=True).forgotten == 1
    assert_same(lite, library)
    (photo_id,) = {face.id[:16] for face in ours.faces}
    forget_now(lite, ids=[f"{photo_id}-2"])
    forget_now(library.path, ids=[f"{photo_id}-2"])
    assert_same(lite, library)


def test_a_whole_folder_and_without_memory(lite, library: Library) -> None:
    push(library.path, lite, TransferOptions())
    before = forget_now(lite, library.photos / "people", dry_run=True)
    assert before is not None
    assert len(before.photos) == 24
    assert describe(lite).coverage.faces == before.embeddings
    forget_now(lite, library.photos / "people", remember=False)
    assert describe(lite).coverage.faces == 0
    assert not memory_of(lite)
    assert library.run((library.photos,), lite).new == 24


def test_allowed_again(lite, library: Library) -> None:
    push(library.path, lite, TransferOptions())
    path = paths_of(library.store)[rows_with(library.store, 2)[0]]
    forget_now(lite, path)
    assert allow(lite, [path]) == 1
    assert library.run((), lite).new == 1
    assert_same(lite, library)


def test_rows_are_counted_once_and_not_for_nothing(lite, library: Library, monkeypatch) -> None:
    push(library.path, lite, TransferOptions())
    one, two = (paths_of(library.store)[row] for row in rows_with(library.store, 2)[:2])
    counted = []

    def count(files):
        counted.append(files)
        return totals_of(files)

    monkeypatch.setattr("facesearch.gallery.milvus.writer.totals_of", count)
    for path, options in ((one, {}), (two, {"face": 1})):
        forget_now(lite, path, **options)
        forget_now(library.path, path, **options)
        assert len(counted) == 1
        counted.clear()
    assert allow(lite, [one]) == 1
    assert counted == []
    assert allow(library.path, [one]) == 1
    assert_same(lite, library)


def test_single_faces_allowed_again(lite, library: Library) -> None:
    push(library.path, lite, TransferOptions())
    before = library.store.content_digest()
    path = paths_of(library.store)[rows_with(library.store, 2)[0]]
    for name in (lite, library.path):
        forget_now(name, path, face=1)
        assert allow(name, [path]) == 1
    assert_same(lite, library)
    assert library.run((), lite).new == library.refresh().new == 1
    assert_same(lite, library)
    assert library.store.content_digest() == before


def test_transfers_bring_nothing_back(lite, library: Library, tmp_path) -> None:
    push(library.path, lite, TransferOptions())
    store = library.store
    old = library.home / "old.npz"
    shutil.copy(library.path, old)
    whole, partly = (paths_of(store)[row] for row in rows_with(store, 2)[:2])
    forget_now(lite, whole)
    with pytest.raises(UsageError, match=r"has 1 photos or faces that .* has forgotten"):
        push(old, lite, TransferOptions())
    forget_now(library.path, whole)
    forget_now(library.path, partly, face=1)
    with pytest.raises(UsageError, match="has forgotten"):
        pull(lite, library.path, TransferOptions())
    push(library.path, lite, TransferOptions())
    assert_same(lite, library)
    pulled = library.home / "pulled.npz"
    pull(lite, pulled, TransferOptions())
    assert Store.open(pulled).content_digest() == library.store.content_digest()
    assert traces_left(pulled) == []
    pull(lite, old, TransferOptions(prune=True))
    assert Store.open(old).content_digest() == library.store.content_digest()
    assert traces_left(old) == []


def test_what_was_cut_off_goes_on(lite, library: Library, monkeypatch) -> None:
    class Stopped(BaseException):
        pass

    store = library.store
    whole, partly = (paths_of(store)[row] for row in rows_with(store, 2)[:2])
    call = Connection.call
    for steps in range(1, 12):
        push(library.path, lite, TransferOptions())
        left = [steps]

        def counted(self, name, *arguments, left=left, **options):
            if name in ("upsert", "delete", "flush", "compact"):
                if not left[0]:
                    raise Stopped
                left[0] -= 1
            return call(self, name, *arguments, **options)

        name = store.contents.hash_of(int(store.files.content[rows_with(store, 2)[1]])).hex()[:16]
        targets = Targets((whole,), None, (f"{name}-1",))
        with monkeypatch.context() as patch:
            patch.setattr(Connection, "call", counted)
            try:
                forget(lite, targets, ForgetOptions(), lambda summary: True)
                break
            except Stopped:
                pass
        try:
            forget(lite, targets, ForgetOptions(), lambda summary: True)
        except UsageError:  # part of it is gone: the rest by itself
            for each in (Targets((whole,)), Targets((), None, (f"{name}-1",))):
                try:
                    forget(lite, each, ForgetOptions(), lambda summary: True)
                except UsageError:
                    continue
        assert traces_left(lite) == [], steps
        assert problems_of(lite, deep=False) == [], steps
        allow(lite, [whole, partly])
    assert steps > 4


def test_no_gallery(lite) -> None:
    with pytest.raises(StoreMissingError):
        forget_now(lite, "x.jpg")
