"""Where neighbours lie: full paths, roots away, and the folders that ``--under`` takes."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facesearch.errors import UsageError
from facesearch.gallery import Search, Where
from facesearch.gallery.npz import NpzGallery
from facesearch.gallery.places import Places
from facesearch.records import Failure, PhotoEntry, PhotoResult
from facesearch.store import Root, Store, StoreWriter
from small_store import BLUE, GREEN, MIDDLE, RED, ColorEmbedder, draw, enroll, recipe, row_of


def found(gallery: NpzGallery, *under: str) -> list[str]:
    search = Search(None, where=Where(under=under))
    return [near.path for near in gallery.search(row_of(RED)[None], ["q"], search)]


@pytest.fixture
def photos(tmp_path) -> Path:
    """``trips/rome``, ``trips/rome2`` and ``home`` with a photo each; two contents are the same."""
    draw(tmp_path / "photos" / "trips" / "rome" / "a.png", {RED: MIDDLE})
    draw(tmp_path / "photos" / "trips" / "rome2" / "b.png", {GREEN: MIDDLE})
    draw(tmp_path / "photos" / "home" / "c.png", {BLUE: MIDDLE})
    return tmp_path / "photos"


@pytest.fixture
def gallery(photos, tmp_path) -> NpzGallery:
    return NpzGallery(enroll(tmp_path / "faces.npz", [photos]))


def test_under_a_folder_in_full(gallery, photos):
    rome = str(photos / "trips" / "rome" / "a.png")
    assert found(gallery, str(photos / "trips" / "rome")) == [rome]
    assert found(gallery, f"{photos}/trips/rome/") == [rome]
    assert found(gallery, f"{photos}/home/../trips/rome") == [rome]
    assert found(gallery, rome) == [rome]
    assert len(found(gallery, str(photos))) == 3
    assert len(found(gallery, str(photos.parent))) == 3
    assert len(found(gallery, "/")) == 3
    assert len(found(gallery, str(photos / "home"), str(photos / "trips" / "rome2"))) == 2


def test_under_a_folder_relative_to_the_current_one_or_a_root(gallery, photos, monkeypatch):
    rome = [str(photos / "trips" / "rome" / "a.png")]
    monkeypatch.chdir(photos / "trips")
    assert found(gallery, "rome") == rome
    assert len(found(gallery, "..")) == 3
    assert len(found(gallery, ".")) == 2
    monkeypatch.chdir("/")
    assert found(gallery, "trips/rome") == rome
    assert found(gallery, "./trips/rome/") == rome


@pytest.mark.parametrize("folder", ["rome", "trips/rom", "trips/rome/a", "../trips/rome", "/trips"])
def test_under_a_folder_that_is_none_of_them(gallery, folder, monkeypatch):
    monkeypatch.chdir("/")
    with pytest.raises(UsageError, match="facesearch roots lists"):
        found(gallery, folder)


def test_a_folder_in_full_never_counts_from_a_root(tmp_path):
    """A copy of a disk holds folders of the same names as the disk itself."""
    draw(tmp_path / "backup" / "mnt" / "a.png", {RED: MIDDLE})
    draw(tmp_path / "b.png", {GREEN: MIDDLE})
    gallery = NpzGallery(enroll(tmp_path / "faces.npz", [tmp_path / "backup"]))
    with pytest.raises(UsageError):
        found(gallery, "/mnt")


def test_under_a_folder_reached_through_a_link(gallery, photos, tmp_path):
    (tmp_path / "link").symlink_to(photos / "trips")
    assert len(found(gallery, str(tmp_path / "link"))) == 2
    store = tmp_path / "linked.npz"
    (tmp_path / "pictures").symlink_to(photos)
    linked = NpzGallery(enroll(store, [tmp_path / "pictures"]))
    assert found(linked, str(photos / "home")) == [str(tmp_path / "pictures" / "home" / "c.png")]


def test_a_copy_is_shown_where_it_was_asked_for(photos, tmp_path):
    """Not at its first path, which lies elsewhere."""
    draw(photos / "zoo" / "copy.png", {RED: MIDDLE})
    gallery = NpzGallery(enroll(tmp_path / "faces.npz", [photos]))
    search = Search(where=Where(under=("zoo",)))
    (near,) = gallery.search(row_of(RED)[None], ["q"], search)
    assert near.path == str(photos / "zoo" / "copy.png")
    assert near.relative_path == "zoo/copy.png"
    assert near.also == (str(photos / "trips" / "rome" / "a.png"),)


def test_a_copy_on_a_disk_that_is_there_comes_first(tmp_path):
    for disk in ("disk", "usb"):
        draw(tmp_path / disk / "a.png", {RED: MIDDLE})
    store = enroll(tmp_path / "faces.npz", [tmp_path / "disk", tmp_path / "usb"])
    (tmp_path / "disk").rename(tmp_path / "elsewhere")
    (near,) = NpzGallery(store).search(row_of(RED)[None], ["q"], Search())
    assert near.path == str(tmp_path / "usb" / "a.png")
    assert near.also == (str(tmp_path / "disk" / "a.png"),)


def test_folder_and_store_moved_together(photos, tmp_path):
    (tmp_path / "stores").mkdir()
    enroll(tmp_path / "stores" / "faces.npz", [photos])
    tmp_path.rename(tmp_path.with_name("moved"))
    moved = tmp_path.with_name("moved")
    gallery = NpzGallery(Store.open(moved / "stores" / "faces.npz"))
    paths = found(gallery)
    assert all(Path(path).is_file() and ".." not in path for path in paths)
    assert len(paths) == 3
    assert found(gallery, str(moved / "photos" / "home")) == [str(moved / "photos/home/c.png")]
    assert gallery.coverage().roots_away == 0
    moved.rename(tmp_path)


def test_names_that_are_not_utf8(tmp_path):
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    draw(folder / "x.png", {RED: MIDDLE})
    gallery = NpzGallery(enroll(tmp_path / "faces.npz", [tmp_path]))
    assert found(gallery, str(folder)) == [str(folder / "x.png")]
    assert Path(found(gallery)[0]).is_file()


def test_a_root_that_is_a_file(tmp_path):
    path = draw(tmp_path / "a" / "me.png", {RED: MIDDLE})
    store = tmp_path / "faces.npz"
    with StoreWriter.open(store, recipe()) as writer:
        writer.set_roots([Root.at(path, tmp_path)])
        writer.put((0, PhotoEntry("", 1, 1)), ColorEmbedder().result(path))
        writer.finish()
    gallery = NpzGallery(Store.open(store))
    assert found(gallery) == [str(path)]
    assert found(gallery, str(tmp_path / "a")) == [str(path)]
    assert found(gallery, str(path)) == [str(path)]


KEYS = st.lists(
    st.lists(st.sampled_from(["a", "b", "a.b", "a-", "0", "é", "\udcff"]), max_size=3), max_size=12
)


@settings(max_examples=60, deadline=None)
@given(KEYS, KEYS, st.lists(st.sampled_from(["a", "b", "a.b", "a-", "0", "é"]), max_size=2))
def test_under_takes_whole_parts_of_paths(first, second, under):
    asked = "/".join(under)
    with tempfile.TemporaryDirectory() as folder:
        store = _with_keys(Path(folder), {"/one": first, "/two": second})
        roots = [root.path for root in store.roots]
        expected = [
            root == 0 and (not asked or key == asked or key.startswith(asked + "/"))
            for root, key in zip(store.files.root.tolist(), store.files.paths(), strict=True)
        ]
        places = Places(store)
        assert roots == ["/one", "/two"]
        if any(expected):
            assert places.below([f"/one/{asked}"]).tolist() == expected
        else:
            with pytest.raises(UsageError):
                places.below([f"/one/{asked}"])


def _with_keys(folder: Path, keys: dict[str, list[list[str]]]) -> Store:
    """A store in several segments of photos without a face at these paths."""
    with StoreWriter.open(folder / "s.npz", recipe()) as writer:
        writer.set_roots([Root(root, root[1:]) for root in keys])
        for number, parts in enumerate(keys.values()):
            for key in {"/".join(each) for each in parts}:
                failure = Failure(key, "truncated", "cut short")
                none = np.zeros((0, recipe().extractor.dim), np.float32)
                result = PhotoResult(b"", None, (), none, failure)
                writer.put((number, PhotoEntry(key, 1, 1)), result)
                writer.commit((1, 1))
        writer.commit((1, 1))
        return writer.store
