"""A part of a store becomes a store of its own, or all of it several that merge again."""

import itertools
import os
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_merging_stores import BROKEN, FILES, ROOTS, fill, held

from facesearch.errors import StoreBusyError, StoreError, UsageError
from facesearch.merging import merge
from facesearch.splitting import SplitOptions, parts_of, split_evenly, split_under
from facesearch.store import Root, Store, check_path
from made_photos import Photos

KEYS = [f"{folder}/{number}" for folder in ("a", "ab", "b") for number in range(5)]


@settings(max_examples=40, deadline=None)
@given(FILES, st.integers(1, 5), st.sampled_from([64, 1 << 30]))
def test_split_then_merged_is_the_same_store(files, parts, single):
    photos = Photos()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "s.npz")
        whole = fill(photos, path, ROOTS, files, single_file_bytes=single)
        parts = min(parts, max(1, len(files)))
        options = SplitOptions(single_file_bytes=single)
        summary = split_evenly(path, parts, Path(folder, "part.npz"), options)
        assert [Path(part.store).name for part in summary.parts] == [
            f"part-{number}.npz" for number in range(1, parts + 1)
        ]
        stores = [Store.open(Path(part.store)) for part in summary.parts]
        assert sum(len(store.files) for store in stores) == len(files)
        for store in stores:
            assert check_path(store.path) == []
            assert store.contents.all_live
            assert store.head.indexed_at == whole.head.indexed_at
        merge([store.path for store in reversed(stores)], Path(folder, "merged.npz"))
        merged = Store.open(Path(folder, "merged.npz"))
        assert merged.content_digest() == whole.content_digest()
        assert held(merged) == held(whole)
        assert {root.path for root in merged.roots} == {root.path for root in whole.roots}


def test_parts_have_about_as_many_faces(photos, tmp_path):
    with photos.open(tmp_path / "s.npz") as writer:
        writer.set_roots([Root("/p", "p")])
        for number in range(60):
            key = f"{number:02}"
            faces = 9 if number < 10 else 1
            writer.put((0, photos.entry(key)), photos.result(key, faces=faces))
        writer.finish()
    parts = split_evenly(tmp_path / "s.npz", 4, tmp_path / "p.npz").parts
    assert sum(part.faces for part in parts) == 140
    assert all(25 <= part.faces <= 45 for part in parts)
    assert parts_of(tmp_path / "s.npz", 35) == 4
    assert parts_of(tmp_path / "s.npz", 1000) == 1
    paths = [list(Store.open(Path(part.store)).files.paths()) for part in parts]
    assert list(itertools.chain(*paths)) == [f"{number:02}" for number in range(60)]


def test_names_of_many_parts_sort_in_order(photos, tmp_path):
    fill(photos, tmp_path / "s.npz", ["/p"], {(0, key): key for key in KEYS})
    parts = split_evenly(tmp_path / "s.npz", 11, tmp_path / "p.npz").parts
    assert [Path(part.store).name for part in parts][::10] == ["p-01.npz", "p-11.npz"]


@pytest.fixture
def store(photos, tmp_path):
    """Three folders and a root that holds nothing."""
    files = {(0, key): key for key in KEYS} | {(0, "copy"): KEYS[0], (0, "bad"): next(iter(BROKEN))}
    return fill(photos, tmp_path / "s.npz", ["/p", "/empty"], files, single_file_bytes=64).path


@pytest.mark.parametrize("remove", [False, True])
def test_the_photos_below_a_folder(store, tmp_path, remove):
    before = held(Store.open(store))
    options = SplitOptions(remove=remove, single_file_bytes=64)
    summary = split_under(store, ["/p/a", "b"], tmp_path / "out.npz", options)
    taken = {place: found for place, found in before.items() if place[1][:2] in ("a/", "b/")}
    assert len(taken) == 10
    assert held(Store.open(tmp_path / "out.npz")) == taken
    rest = {place: found for place, found in before.items() if place not in taken}
    assert held(Store.open(store)) == (rest if remove else before)
    assert summary.removed == (10 if remove else 0)
    assert [root.path for root in Store.open(tmp_path / "out.npz").roots] == ["/p"]
    for path in (store, tmp_path / "out.npz"):
        assert check_path(path) == []
    if remove:
        merge([store, tmp_path / "out.npz"], tmp_path / "again.npz")
        assert held(Store.open(tmp_path / "again.npz")) == before


def test_roots_as_a_store_elsewhere_sees_them(photos, tmp_path):
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
    roots = [Root("/gone/photos", "photos"), Root("s3://bucket/x", "s3://bucket/x")]
    fill(photos, tmp_path / "here" / "s.npz", roots, {(0, "a"): "a", (1, "b"): "b"})
    split_evenly(tmp_path / "here" / "s.npz", 1, tmp_path / "there" / "t.npz")
    found = Store.open(tmp_path / "there" / "t-1.npz").roots
    assert [(root.path, root.relative) for root in found] == [
        ("/gone/photos", "../here/photos"),
        ("s3://bucket/x", "s3://bucket/x"),
    ]


def test_what_cannot_be_split(photos, store, tmp_path):
    out = tmp_path / "out.npz"
    with pytest.raises(UsageError, match="--under /p/none: the store has no photos there"):
        split_under(store, ["/p/none"], out)
    with pytest.raises(UsageError, match=r"17 photos cannot be cut into 99 stores"):
        split_evenly(store, 99, out)
    (tmp_path / "out-2.npz").touch()
    with pytest.raises(UsageError, match=r"out-2\.npz: is there already"):
        split_evenly(store, 3, out)
    with pytest.raises(UsageError, match=r"s\.npz: is there already"):
        split_under(store, ["/p/a"], store)
    with photos.open(store), pytest.raises(StoreBusyError):
        split_under(store, ["/p/a"], out, SplitOptions(remove=True))
    assert not list(tmp_path.glob("out-[13].npz"))
    assert not out.exists()


def test_a_dry_run_writes_nothing(store, tmp_path):
    before = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*")}
    dry = SplitOptions(dry_run=True, remove=True)
    under = split_under(store, ["/p/a"], tmp_path / "out.npz", dry)
    even = split_evenly(store, 2, tmp_path / "out.npz", SplitOptions(dry_run=True))
    assert {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*")} == before
    assert (under.parts[0].photos, under.removed) == (5, 0)
    assert sum(part.photos for part in even.parts) == 17


def test_parts_go_when_a_later_one_fails(store, tmp_path, monkeypatch):
    real = os.replace

    def full(source, target):
        if "out-3" in str(target):
            raise OSError(28, "No space left on device")
        return real(source, target)

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(StoreError, match=r"out-3\.npz: the disk is full"):
        split_evenly(store, 3, tmp_path / "out.npz")
    assert not list(tmp_path.glob("out-*.npz"))
    assert check_path(store) == []


def test_a_removal_that_fails_leaves_both_whole(store, tmp_path, monkeypatch):
    before = held(Store.open(store))

    def full(*_):
        raise StoreError("s.npz: the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr("facesearch.store.StoreWriter.finish", full)
        with pytest.raises(StoreError, match="full"):
            split_under(store, ["/p/a"], tmp_path / "out.npz", SplitOptions(remove=True))
    assert held(Store.open(store)) == before
    assert np.isin(
        list(held(Store.open(tmp_path / "out.npz")).values()), list(before.values())
    ).all()
