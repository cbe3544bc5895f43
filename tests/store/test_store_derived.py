"""Computed data beside a store: believed while it is as written and of the same faces."""

import os
import stat
import sys

import numpy as np
import pytest

from facesearch.errors import StoreError
from facesearch.store import (
    Root,
    Store,
    StoreWriter,
    check_store,
    face_keys,
    load_derived,
    rebuild_path,
    save_derived,
)
from facesearch.store.archive import META
from facesearch.store.head import DerivedEntry, decode

KEYS = [f"{number:02}" for number in range(9)]
ARRAYS = {
    "index": np.arange(12, dtype=np.int32).reshape(4, 3),
    "cosine": np.linspace(0, 1, 5, dtype=np.float32),
    "hash": np.zeros((0, 32), np.uint8),
}


@pytest.fixture(params=["one file", "parts"])
def path(request, tmp_path, photos):
    options = {"single_file_bytes": 0} if request.param == "parts" else {}
    path = tmp_path / "faces.npz"
    photos.build(path, KEYS, **options)
    return path


def save(path, name="graph", arrays=ARRAYS, grows=False):
    return save_derived(path, name, arrays, face_keys(Store.open(path)).digest, grows)


def load(path, name="graph"):
    store = Store.open(path)
    return load_derived(store, name, face_keys(store).digest)


def only_file(path):
    (file,) = (path.parent / "faces.npz.derived").iterdir()
    return file


def change(path, photos, **options):
    """A run that removes a photo and adds one."""
    with photos.open(path, **options) as writer:
        writer.set_roots([Root("/photos", "photos")])
        gone = next(key for key in KEYS if photos.result(key).faces)
        writer.remove(0, gone)
        photos.fill(writer, ["new 1", "new 2"])
        writer.finish()


def test_what_was_saved_is_loaded(path):
    before = Store.open(path).content_digest()
    assert load(path) is None
    assert save(path)
    found = load(path)
    assert set(found) == set(ARRAYS)
    for name, array in ARRAYS.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)
        assert not found[name].flags.writeable
    assert Store.open(path).content_digest() == before
    assert check_store(Store.open(path)) == []
    with np.load(only_file(path), allow_pickle=False) as plain:
        np.testing.assert_array_equal(plain["index"], ARRAYS["index"])


@pytest.mark.skipif(sys.platform == "win32", reason="permissions of another kind")
def test_it_is_as_private_as_the_parts(path):
    save(path)
    file = only_file(path)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_saving_anew_replaces_and_names_stand_side_by_side(path):
    save(path)
    save(path, "pca", {"mean": np.ones(3, np.float32)})
    other = {"index": np.zeros(2, np.int64)}
    save(path, arrays=other)
    assert load(path)["index"].tolist() == [0, 0]
    assert load(path, "pca")["mean"].tolist() == [1, 1, 1]
    assert len(list((path.parent / "faces.npz.derived").iterdir())) == 2


def test_of_other_faces_it_is_not_believed(path, photos):
    save(path, grows=True)
    change(path, photos)
    assert load(path) is None
    assert set(load_derived(Store.open(path), "graph")) == set(ARRAYS)


def test_a_run_drops_what_is_of_other_faces_and_keeps_what_grows(path, photos):
    save(path, "grows", grows=True)
    save(path, "fixed")
    with photos.open(path) as writer:
        writer.set_roots([Root("/photos", "photos")])
        writer.finish()
    assert load(path, "fixed") is not None
    change(path, photos)
    assert set(Store.open(path).head.derived) == {"grows"}
    assert only_file(path).name.startswith("grows-")
    assert check_store(Store.open(path)) == []


def test_while_a_run_goes_on_all_stays(path, photos):
    save(path)
    with photos.open(path) as writer:
        writer.set_roots([Root("/photos", "photos")])
        photos.fill(writer, ["new 1", "new 2", "new 3"])
        writer.commit((3, 9))
    assert only_file(path).exists()
    assert load(path) is None


@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 0.8, 1.0])
def test_any_damage_means_that_there_is_none(path, share):
    save(path)
    file = only_file(path)
    raw = bytearray(file.read_bytes())
    raw[round(share * (len(raw) - 1))] ^= 0x40
    file.write_bytes(raw)
    assert load(path) is None
    assert load_derived(Store.open(path), "graph") is None
    (problem,) = check_store(Store.open(path))
    assert str(file) in problem
    assert save(path)
    assert check_store(Store.open(path)) == []


def test_a_sound_file_of_other_arrays_is_not_believed(path):
    save(path, arrays={"index": np.ones(3, np.int32)})
    other = only_file(path).read_bytes()
    save(path)
    only_file(path).write_bytes(other)
    assert load(path) is None


def test_gone_is_no_damage(path):
    save(path)
    only_file(path).unlink()
    assert load(path) is None
    assert check_store(Store.open(path)) == []


def test_nothing_is_saved_while_another_process_writes(path, photos):
    before = path.read_bytes()
    with photos.open(path):
        assert not save(path)
    assert path.read_bytes() == before
    assert load(path) is None


def test_nothing_is_saved_of_faces_that_changed_meanwhile(path, photos):
    made_from = face_keys(Store.open(path)).digest
    change(path, photos)
    assert not save_derived(path, "graph", ARRAYS, made_from)
    assert load(path) is None


def test_a_damaged_store_is_not_written_again_as_if_it_were_sound(tmp_path, photos):
    path = tmp_path / "faces.npz"
    store = photos.build(path, KEYS)
    made_from = face_keys(store).digest
    raw = bytearray(path.read_bytes())
    box = store.faces.box.tobytes()
    raw[raw.index(box) + 3] ^= 0x11
    del store
    path.write_bytes(raw)
    with pytest.raises(StoreError, match="damaged"):
        save_derived(path, "graph", ARRAYS, made_from)
    assert path.read_bytes() == bytes(raw)


def test_it_goes_with_the_store_it_is_of(path, photos):
    save(path, grows=True)
    with photos.open(path, fresh=True) as writer:
        photos.fill(writer, KEYS)
        writer.finish()
    assert Store.open(path).head.derived == {}
    assert not (path.parent / "faces.npz.derived").exists()


def test_it_comes_along_when_a_new_store_takes_the_place(tmp_path, photos):
    path = tmp_path / "faces.npz"
    photos.build(path, KEYS[:3])
    photos.build(rebuild_path(path), KEYS, single_file_bytes=0)
    save(rebuild_path(path))
    with StoreWriter.open(path, photos.recipe) as writer:
        writer.replace(rebuild_path(path))
    assert load(path) is not None
    assert sorted(entry.name for entry in tmp_path.iterdir() if "lock" not in entry.name) == [
        "faces.npz",
        "faces.npz.derived",
        "faces.npz.parts",
    ]


class Stopped(BaseException):
    """Stands for kill -9: nobody catches it."""


@pytest.mark.parametrize("error", [None, OSError(28, "No space left on device")])
def test_stopped_at_any_step_the_store_is_as_it_was(path, monkeypatch, error):
    save(path, arrays={"index": np.ones(3, np.int32)})
    digest = Store.open(path).content_digest()
    for allowed in range(100):
        with monkeypatch.context() as patch:
            left = [allowed]
            for name in ("replace", "fsync"):
                patch.setattr(os, name, _counted(getattr(os, name), left, error or Stopped()))
            try:
                done = save(path)
            except (Stopped, StoreError):
                done = False
        store = Store.open(path)
        assert store.content_digest() == digest
        assert check_store(store) == []
        index = load(path)["index"]
        assert len(index) in (3, 4)
        if done:
            assert len(index) == 4
            assert only_file(path).exists()
            break
    assert 3 < allowed < 99


def _counted(function, left, error):
    def call(*args, **kwargs):
        if not left[0]:
            raise error
        left[0] -= 1
        return function(*args, **kwargs)

    return call


def test_keys_do_not_depend_on_segments_but_on_every_row(tmp_path, photos, monkeypatch):
    monkeypatch.setattr("facesearch.store.compaction.TIER", 0)
    one = face_keys(photos.build(tmp_path / "a.npz", KEYS))
    with photos.open(tmp_path / "b.npz") as writer:
        writer.set_roots([Root("/photos", "photos")])
        for key in [*reversed(KEYS), "gone"]:
            photos.fill(writer, [key])
            writer.commit((1, 9))
        writer.remove(0, "gone")
        writer.commit((1, 9))
        many = face_keys(writer.store)
        assert len(writer.store.segments) > 1
    assert one.digest == many.digest
    assert many.ids.tolist() != one.ids.tolist()
    assert face_keys(photos.build(tmp_path / "c.npz", KEYS[1:])).digest != one.digest
    changed = type(one)(one.ids, one.hash, one.counts, one.checksum ^ np.uint32(1))
    assert changed.digest != one.digest


def test_a_head_that_names_a_file_elsewhere_is_refused(path):
    save(path)
    store = Store.open(path)
    raw = store.head_archive().array(META).tobytes()
    (entry,) = store.head.derived.values()
    assert isinstance(entry, DerivedEntry)
    assert decode(raw, path).derived["graph"] == entry
    with pytest.raises(StoreError, match="makes no sense"):
        decode(raw.replace(entry.file.encode(), b"../" + entry.file.encode()[3:]), path)


def test_its_size_counts(path):
    before = Store.open(path).size
    save(path)
    assert Store.open(path).size > before + only_file(path).stat().st_size - 1
