"""Filters: by time, by person, together, and what they say when nothing is left."""

from __future__ import annotations

import dataclasses
from datetime import datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facesearch.errors import UsageError
from facesearch.gallery import Search, Where
from facesearch.gallery.filters import first_moment, last_moment
from facesearch.gallery.npz import NpzGallery
from facesearch.gallery.persons import Persons, person_of
from facesearch.labelling import label
from facesearch.records import PhotoEntry
from facesearch.store import Root, Store, StoreWriter, check_path
from small_store import recipe, result_of_rows

ROWS = np.eye(128, dtype=np.float32)
PHOTOS = {
    "Ann/1.jpg": "2019-05-04T12:33:11",
    "Ann/2.jpg": "2020-01-01T00:00:00",
    "Bob/1.jpg": "2020-12-31T23:59:59",
    "Bob/2.jpg": "",
    "loose.jpg": "2021-06-01T08:00:00",
    "trip/Ann/3=Bob/1.jpg": "2020-12-31T23:59:59",
}


@pytest.fixture
def path(tmp_path):
    with StoreWriter.open(tmp_path / "faces.npz", recipe()) as writer:
        writer.set_roots([Root("/photos/People", "People")])
        for number, (key, taken) in enumerate(PHOTOS.items()):
            name = key.replace("3=Bob/1.jpg", "3.jpg")
            result = result_of_rows(key.rpartition("=")[2], ROWS[number % 5][None])
            facts = dataclasses.replace(result.facts, taken=taken)
            writer.put((0, PhotoEntry(name, 1, 1)), dataclasses.replace(result, facts=facts))
            writer.commit()
        writer.finish()
    return tmp_path / "faces.npz"


def found(path, **where):
    gallery = NpzGallery(Store.open(path), "brute")
    where = Where(**where)
    gallery.require(where)
    neighbors = gallery.search(ROWS[:1], [""], Search(None, where=where))
    assert gallery.size(where) == len(neighbors)
    return {near.relative_path for near in neighbors}


@pytest.mark.parametrize(
    ("since", "until", "expected"),
    [
        ("2020", "", {"Ann/2.jpg", "Bob/1.jpg", "loose.jpg"}),
        ("2019-05-04", "2019-05-04", {"Ann/1.jpg"}),
        ("", "2020", {"Ann/1.jpg", "Ann/2.jpg", "Bob/1.jpg"}),
        ("2020-12-31T23:59:59", "2020-12", {"Bob/1.jpg"}),
        ("2019-05-04 12:34", "2020-01-01T00", {"Ann/2.jpg"}),
    ],
)
def test_by_capture_time_both_ends_included(path, since, until, expected):
    assert found(path, since=since, until=until) == expected
    assert NpzGallery(Store.open(path)).undated() == 1


@given(
    st.datetimes(datetime(1970, 1, 1), datetime(2999, 1, 1)), st.sampled_from([4, 7, 10, 16, 19])
)
def test_bounds_are_the_ends_of_what_is_written(moment, length):
    text = moment.isoformat(timespec="seconds")[:length]
    own = int(moment.strftime("%Y%m%d%H%M%S"))
    assert first_moment(text) <= own <= last_moment(text)
    later = (moment + timedelta(days=366)).strftime("%Y%m%d%H%M%S")
    assert last_moment(text) < int(later)
    assert str(first_moment(text)).startswith("".join(c for c in text if c.isdigit()))


@pytest.mark.parametrize(
    "text", ["", "soon", "20", "2020-13", "2020-00", "2020-1-1", "2020-01-01T25"]
)
def test_what_is_no_time_is_refused(text):
    with pytest.raises(UsageError, match="is no time; write it as"):
        first_moment(text)


def test_by_person_their_folder_or_the_root(path):
    assert found(path, persons=("Ann",)) == {"Ann/1.jpg", "Ann/2.jpg", "trip/Ann/3.jpg"}
    assert found(path, persons=("Ann", "Bob")) == set(PHOTOS) - {
        "loose.jpg", "trip/Ann/3=Bob/1.jpg",
    }  # fmt: skip
    assert found(path, persons=("People",)) == {"loose.jpg"}


def test_a_copy_shows_the_path_that_was_asked_for(path):
    (both,) = found(path, persons=("Ann",), since="2020-12")
    assert both == "trip/Ann/3.jpg"


def test_filters_hold_together(path):
    assert found(path, persons=("Ann",), since="2020", until="2020-06") == {"Ann/2.jpg"}
    assert found(path, under=("trip",), persons=("Ann",)) == {"trip/Ann/3.jpg"}
    assert found(path, under=("trip",), persons=("Bob",)) == set()


def test_nobody_is_said_with_who_may_be_meant(path):
    with pytest.raises(UsageError, match=r"no photos of anybody of that name.*mean 'Bob'"):
        found(path, persons=("Bobb",))
    with pytest.raises(
        UsageError, match=r"no photos taken then; .*time of 1 of its 6 photos is not"
    ):
        found(path, since="2030")


def test_labels_come_before_folders_and_change_nothing_else(path, tmp_path):
    before = Store.open(path)
    file = tmp_path / "labels.csv"
    file.write_text("path,name\nloose.jpg,Ann\nBob/2,Cleo;Ann\nnowhere.jpg,Dora\n")
    summary = label(path, file)
    assert (summary.labels, summary.photos, summary.unused) == (3, 2, 1)
    assert summary.unknown == ("nowhere.jpg",)
    assert found(path, persons=("Cleo",)) == {"Bob/2.jpg"}
    assert "loose.jpg" in found(path, persons=("Ann",))
    after = Store.open(path)
    assert after.content_digest() == before.content_digest()
    assert after.indexed_at == before.indexed_at
    assert not check_path(path)
    file.write_text("Bob/2.jpg,Dora\n")
    assert label(path, file, forget=True).labels == 1
    assert found(path, persons=("Dora",)) == {"Bob/2.jpg"}
    assert label(path, None, forget=True).labels == 0
    assert found(path, persons=("Bob",)) >= {"Bob/2.jpg"}


@given(
    st.lists(
        st.lists(st.sampled_from(["a", "b", "ab", "é"]), max_size=4).map("/".join), unique=True
    ),
    st.sampled_from(["a", "b", "ab", "é", "aé", "photos", "one", ""]),
)
def test_folders_are_read_as_one_by_one(tmp_path_factory, keys, name):
    folder = tmp_path_factory.mktemp("people")
    with StoreWriter.open(folder / "faces.npz", recipe()) as writer:
        writer.set_roots([Root("/photos/one", "one"), Root("/photos/b/file.jpg", "file.jpg")])
        for number, key in enumerate([*keys, ""]):
            result = result_of_rows(f"{number}", ROWS[:1])
            writer.put((int(not key), PhotoEntry(key, 1, 1)), result)
        writer.finish()
    store = Store.open(folder / "faces.npz")
    roots = [root.path for root in store.roots]
    each = [
        person_of(roots[root], key, {}) == name
        for root, key in zip(store.files.root, store.files.paths(), strict=True)
    ]
    assert Persons(store).files_of(name).tolist() == each
