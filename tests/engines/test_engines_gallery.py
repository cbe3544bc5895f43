"""A gallery in Milvus answers as the store does from which it came."""

from __future__ import annotations

import numpy as np
import pytest
from galleries import SEARCHES, answers, rows, write_store

from facesearch import labelling
from facesearch.errors import StoreError, StoreMissingError, UsageError
from facesearch.gallery import Search, Where
from facesearch.gallery import hits as hits_module
from facesearch.gallery.milvus import rows as rows_module
from facesearch.gallery.opening import describe, open_gallery, problems_of
from facesearch.gallery.transfers import TransferOptions
from facesearch.store import Store
from facesearch.transferring import push


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    made = tmp_path_factory.mktemp("stores") / "faces.npz"
    write_store(made)
    labels = made.with_name("labels.csv")
    labels.write_text("path,name\nP0/0/0.jpg,P4\nP1/1/1.jpg,Ann O'Neil\n")
    labelling.label(made, labels)
    return made


@pytest.fixture(scope="module")
def pushed(path, lite_file):
    from facesearch.addresses import parse_store

    address = parse_store(f"milvus+file:{lite_file}#answers")
    push(path, address, TransferOptions())
    return address


@pytest.mark.parametrize("search", SEARCHES, ids=lambda search: str(search.where)[:60])
def test_the_same_answers(path, pushed, search) -> None:
    first = bytes.fromhex(Store.open(path).contents.hash[0].tobytes().hex())
    if search.where.exclude:
        search = Search(search.k, where=Where(exclude=frozenset({first})))
    asked = np.concatenate([rows(1, 1), Store.open(path).embeddings([7])])
    assert answers(pushed, asked, search) == answers(path, asked, search)


def test_filters_of_labels(path, pushed) -> None:
    for name in ("Ann O'Neil", "P4"):
        search = Search(None, where=Where(persons=(name,)))
        found = answers(pushed, rows(1), search)
        assert found == answers(path, rows(1), search)
        assert found[0]


@pytest.mark.parametrize(
    ("where", "told"),
    [
        (Where(under=("nowhere",)), "--under nowhere: the store has no photos there"),
        (Where(persons=("Nobody",)), "--person Nobody: the store has no photos of anybody"),
        (Where(since="2090"), "--since 2090: the store has no photos taken then"),
        (Where(since="yesterday"), "'yesterday' is no time"),
    ],
)
def test_filters_that_leave_nothing(path, pushed, where, told) -> None:
    for name in (path, pushed):
        with pytest.raises(UsageError, match=told):
            open_gallery(name).require(where)


def test_a_photo_in_too_many_folders_and_a_copy_that_only_half_qualifies(
    tmp_path, lite, monkeypatch
) -> None:
    """Where the row cannot name all folders, persons and paths, its files are asked."""
    monkeypatch.setattr("facesearch.gallery.milvus.schema.FOLDERS", 4)
    monkeypatch.setattr("facesearch.gallery.milvus.schema.PERSONS", 2)
    monkeypatch.setattr(rows_module, "_PATHS_BYTES", 30)
    path = tmp_path / "faces.npz"
    write_store(path)
    push(path, lite, TransferOptions())
    for search in SEARCHES[:-1]:
        theirs, ours = answers(lite, rows(1), search), answers(path, rows(1), search)
        assert theirs == ours
    both = Search(None, where=Where(under=("P4",), persons=("P4",)))
    assert answers(lite, rows(1), both) == answers(path, rows(1), both)


def test_more_is_fetched_where_little_is_enough_only_at_first(path, pushed, monkeypatch) -> None:
    monkeypatch.setattr(hits_module, "_SLACK", -9)  # 2 * 5 - 9 = 1
    search = Search(5)
    assert answers(pushed, rows(3, 2), search) == answers(path, rows(3, 2), search)


def test_what_it_says_of_itself(path, pushed) -> None:
    gallery, store = open_gallery(pushed), Store.open(path)
    assert gallery.coverage() == open_gallery(path).coverage()
    assert gallery.options == store.options
    assert gallery.recipe == store.recipe
    assert gallery.summary().path == str(pushed)
    ours, theirs = describe(path), describe(pushed)
    assert [root.photos for root in theirs.roots] == [root.photos for root in ours.roots]
    assert theirs.bytes is None
    assert problems_of(pushed, False) == []
    with pytest.raises(UsageError, match="facesearch pull"):
        gallery.prepare_expansion()
    with pytest.raises(UsageError, match="--deep"):
        problems_of(pushed, True)
    with pytest.raises(UsageError, match="--backend brute: is for store files"):
        open_gallery(pushed, "brute")


def test_damage_is_found(path, lite) -> None:
    from facesearch.gallery.milvus import schema
    from facesearch.gallery.milvus.connection import Connection
    from facesearch.gallery.milvus.tables import Table

    push(path, lite, TransferOptions())
    table = Table(Connection(lite), schema.FACES)
    (batch,) = table.scan((*rows_module.FACE_COLUMNS, schema.VECTOR, "stamp"))
    table.delete([batch[0][schema.KEY]])
    wrong = dict(batch[1])
    wrong[schema.VECTOR] = list(reversed(wrong[schema.VECTOR]))
    table.upsert([wrong])
    found = problems_of(lite, False)
    assert any("is not as it was written" in line for line in found)
    assert any("faces, not" in line for line in found)
    with pytest.raises(StoreError, match="is not as it was sent; the gallery is damaged"):
        push(path, lite, TransferOptions())


def test_no_gallery_there(lite, tmp_path) -> None:
    with pytest.raises(StoreMissingError, match="no gallery here"):
        open_gallery(lite)
    from facesearch.addresses import parse_store

    missing = tmp_path / "none.db"
    with pytest.raises(StoreMissingError, match="no gallery here"):
        open_gallery(parse_store(f"milvus+file:{missing}"))
    assert not missing.exists()
    with pytest.raises(StoreError, match="its folder does not exist"):
        push_to(tmp_path, parse_store(f"milvus+file:{missing}/deeper.db"))


def push_to(folder, address):
    path = folder / "faces.npz"
    write_store(path, 3)
    return push(path, address, TransferOptions())
