"""Repair: what is sound stays, what is gone is said, and the damaged store is kept."""

from __future__ import annotations

import os
import random
import stat
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from facesearch.errors import StoreBusyError, StoreError, StoreMissingError, StoreTooNewError
from facesearch.store import Root, Store, check_path, schema
from facesearch.store.archive import Archive, Member, write_archive
from facesearch.store.entered import change_entered
from facesearch.store.lock import StoreLock
from facesearch.store.mending import one_byte_mended
from facesearch.store.repair import LostPhoto, RepairOptions, RepairSummary, repair
from facesearch.store.salvage import find_arrays
from made_mutants import read_files
from made_photos import DIM, Photos

KEYS = ["anna/1.jpg", "anna/2.jpg", "ben/1.jpg", "ben/ü.jpg", "top.jpg", "zoë/4.jpg"]


def repaired(path: Path, **options: bool) -> RepairSummary:
    found = repair(path, RepairOptions(**options), lambda summary: True)
    assert found is not None
    if not options.get("dry_run"):
        assert check_path(path) == []
        assert not list(path.parent.glob("*.repair*"))
    return found


def member(path: Path, name: str) -> slice:
    """Where the numbers of an array lie in a file."""
    archive = Archive.open(path)
    placed = archive._arrays[name]
    return slice(placed.offset, placed.placed.end)


def zeroed(path: Path, *places: slice) -> bytes:
    raw = bytearray(path.read_bytes())
    for place in places:
        raw[place] = bytes(len(raw[place]))
    path.write_bytes(raw)
    return bytes(raw)


def indexed_again(photos: Photos, path: Path, keys: list[str]) -> str:
    """The content digest after a run over the same photos."""
    with photos.open(path) as writer:
        writer.set_roots([Root("/photos", "photos")])
        photos.fill(writer, keys)
        writer.finish()
        return writer.store.content_digest()


def with_failed(photos: Photos, path: Path) -> Store:
    with photos.open(path) as writer:
        writer.set_roots([Root("/photos", "photos")])
        photos.fill(writer, KEYS)
        writer.put((0, photos.entry("broken.jpg")), photos.result("broken", reason="corrupt"))
        writer.finish()
        return writer.store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "faces.npz"


def test_a_sound_store_stays_as_it_is(photos, path):
    store = photos.build(path, KEYS)
    before = read_files(path.parent)
    found = repaired(path)
    assert found.sound
    assert (found.photos, found.faces) == (len(KEYS), len(store.faces))
    assert read_files(path.parent) == before


def test_any_wrong_byte_is_put_right(photos, path):
    with_failed(photos, path)
    raw = path.read_bytes()
    source = random.Random(1)
    places = [source.randrange(len(raw)) for _ in range(60)] + [0, 70, len(raw) - 1]
    for at in places:
        wrong = bytearray(raw)
        wrong[at] ^= source.randrange(1, 256)
        path.write_bytes(wrong)
        found = repaired(path)
        assert found.problems, at
        assert found.complete, (at, found)
        assert path.read_bytes() == raw, at
        assert Path(found.damaged).read_bytes() == wrong
        Path(found.damaged).unlink()


def test_damaged_headers_lose_nothing(photos, path):
    photos.build(path, KEYS)
    raw = path.read_bytes()
    first = raw.index(b"files.root.npy")
    spoiled = [
        raw[:-400],  # the end and part of the directory
        raw.replace(b"\x93NUMPY", bytes(6)),
        raw.replace(b"'descr'", b"'DESCR'"),
        raw.replace(b"PK\1\2", b"pk\1\2"),
        raw.replace(b"PK\3\4", b"pk\3\4"),
        raw[: first - 30] + bytes(60) + raw[first + 30 :],
        raw + b"more",
        raw[: first - 30] + b"between" + raw[first - 30 :],
    ]
    for number, left in enumerate(spoiled):
        path.write_bytes(left)
        found = repaired(path)
        assert found.complete, (number, found)
        assert path.read_bytes() == raw, number


def test_lost_embeddings_take_their_photos_with_them(photos, path, monkeypatch):
    monkeypatch.setattr(schema, "BLOCK_ROWS", 4)
    keys = [f"{n:02}.jpg" for n in range(12)]
    store = photos.build(path, keys)
    whole = store.content_digest()
    offsets = store.contents.face_offsets.tolist()
    rows = member(path, "faces.embedding")
    zeroed(path, slice(rows.start + 5 * DIM * 4, rows.start + 5 * DIM * 4 + 8))  # face 5, block 1
    found = repaired(path)
    expected = [
        LostPhoto(
            f"/photos/{key}",
            last - first,
            tuple(face - first + 1 for face in range(max(first, 4), min(last, 8))),
        )
        for key, first, last in zip(keys, offsets[:-1], offsets[1:], strict=True)
        if last > first and first < 8 and last > 4
    ]
    assert 0 < len(expected) < len(keys)
    assert list(found.lost) == expected
    assert found.photos == len(keys) - len(expected)
    assert found.problems == (f"{path}: faces.embedding is damaged",)
    assert indexed_again(photos, path, keys) == whole


def test_lost_facts_take_those_photos_that_had_some(photos, path):
    whole = with_failed(photos, path).content_digest()
    raw = path.read_bytes()
    zeroed(path, member(path, "contents.message_blob"))
    found = repaired(path)
    assert found.lost == (LostPhoto("/photos/broken.jpg", 0, ()),)
    assert found.photos == len(KEYS)
    path.write_bytes(raw)
    zeroed(path, member(path, "contents.width"))
    assert len(repaired(path).lost) == len(KEYS) + 1
    with photos.open(path) as writer:
        photos.fill(writer, KEYS)
        writer.put((0, photos.entry("broken.jpg")), photos.result("broken", reason="corrupt"))
        writer.finish()
        assert writer.store.content_digest() == whole


def test_lost_names_are_counted(photos, path):
    store = photos.build(path, KEYS)
    whole, faces = store.content_digest(), len(store.faces)
    zeroed(path, member(path, "files.path_blob"))
    found = repaired(path)
    assert (found.unnamed, found.unnamed_faces, found.photos) == (len(KEYS), faces, 0)
    assert indexed_again(photos, path, KEYS) == whole


def test_cut_anywhere_what_was_whole_is_kept(photos, path):
    whole = photos.build(path, KEYS).content_digest()
    raw = path.read_bytes()
    placed = {name: member(path, name) for name in Archive.open(path).names}
    bare = [key for key in KEYS if not len(photos.result(key).faces)]
    assert bare, "a photo without faces needs no embeddings"
    for name in ("files.root", "contents.hash", "faces.box", "faces.embedding", "faces.checksum"):
        path.write_bytes(raw[: placed[name].start])
        found = repaired(path)
        kept = {"faces.box": len(bare), "faces.embedding": len(bare), "faces.checksum": len(KEYS)}
        assert found.photos == kept.get(name, 0), name
        assert found.photos + len(found.lost) + found.unnamed in (len(KEYS), len(KEYS)), name
        assert indexed_again(photos, path, KEYS) == whole


@pytest.fixture
def in_parts(photos, path) -> list[Path]:
    """A finished store with three runs after it that did not end, each a part."""
    photos.build(path, KEYS[:3])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("facesearch.store.compaction.TIER", 0)
        with photos.open(path) as writer:
            for key in KEYS[3:]:
                photos.fill(writer, [key])
                writer.commit((1, 3))
            names = [entry.name for entry in writer.store.head.segments]
    return [path.with_name("faces.npz.parts") / name for name in names]


def test_a_part_that_is_gone(photos, path, in_parts):
    whole = photos.build(path.with_name("other.npz"), KEYS).content_digest()
    assert len(in_parts) == 4
    in_parts[1].unlink()
    found = repaired(path)
    assert found.problems == (f"{in_parts[1]}: is gone",)
    assert (found.photos, found.unnamed) == (5, 1)
    assert found.unnamed_faces == len(photos.result(KEYS[3]).faces)
    assert "index puts that right" in found.notes[0]
    assert indexed_again(photos, path, KEYS) == whole


def test_a_part_whose_contents_are_gone_names_the_photos(photos, path, in_parts):
    zeroed(in_parts[2], member(in_parts[2], "contents.hash"))
    found = repaired(path)
    assert found.lost == (LostPhoto(f"/photos/{KEYS[4]}"),)
    assert sorted(Store.open(path).files.paths()) == sorted({*KEYS} - {KEYS[4]})


def test_parts_that_changed_places_are_found(photos, path, in_parts):
    digest = Store.open(path).content_digest()
    first, second = in_parts[1].read_bytes(), in_parts[2].read_bytes()
    in_parts[1].write_bytes(second)
    in_parts[2].write_bytes(first)
    found = repaired(path)
    assert found.complete
    assert Store.open(path).content_digest() == digest


@pytest.mark.parametrize("left", [None, 0, 1, 4096])
def test_a_lost_head_is_that_of_the_last_finished_run(photos, path, in_parts, left):
    whole = photos.build(path.with_name("other.npz"), KEYS).content_digest()
    if left is None:
        path.unlink()
    else:
        path.write_bytes(bytes(left))
    found = repaired(path)
    assert found.problems == (f"{path}: its description is lost",)
    assert "what was forgotten, since then may be missing" in found.notes[0]
    assert list(Store.open(path).files.paths()) == KEYS[:3]
    assert indexed_again(photos, path, KEYS) == whole


@pytest.mark.parametrize("raw", [b"", bytes(5000)])
def test_without_a_description_nothing_is_changed(photos, path, raw):
    photos.build(path, KEYS)
    path.write_bytes(raw)
    with pytest.raises(StoreError, match="; delete it and run facesearch index"):
        Store.open(path)
    before = read_files(path.parent)
    with pytest.raises(StoreError, match=r"its description is lost.* run facesearch index"):
        repaired(path)
    assert read_files(path.parent) == before


def test_the_damaged_ones_are_kept_apart_and_private(photos, path, in_parts):
    for number, name in enumerate(("faces.npz.damaged", "faces.npz.damaged-2"), 1):
        with photos.open(path) as writer:
            photos.fill(writer, [f"new/{number}.jpg"])
            writer.commit((1, 2))
        (part, *_) = path.with_name("faces.npz.parts").iterdir()
        path.chmod(0o644)
        zeroed(part, slice(-40, None))
        left = {key: raw for key, raw in read_files(path.parent).items() if "damaged" not in key}
        found = repaired(path)
        assert found.damaged == str(path.with_name(name))
        kept = read_files(path.parent)
        assert {
            key.removeprefix(name): raw
            for key, raw in kept.items()
            if key.partition("/")[0] in (name, f"{name}.parts")
        } == {key.removeprefix("faces.npz"): raw for key, raw in left.items()}
    for file in path.parent.rglob("*damaged*"):
        assert stat.S_IMODE(file.stat().st_mode) == (0o700 if file.is_dir() else 0o600)
    assert check_path(path.with_name("faces.npz.damaged")) != []


def test_a_dry_run_and_a_no_change_nothing(photos, path):
    photos.build(path, KEYS)
    zeroed(path, member(path, "faces.score"))
    before = sorted(path.parent.rglob("*"))
    dry = repaired(path, dry_run=True)
    assert dry.lost
    assert not dry.damaged
    assert sorted(path.parent.rglob("*")) == before
    left = path.read_bytes()
    assert repair(path, RepairOptions(), lambda summary: False) is None
    assert path.read_bytes() == left
    assert replace(repaired(path), damaged="") == dry


def test_labels_and_what_was_forgotten_stay(photos, path):
    photos.build(path, KEYS)
    entered = {"labels": {"top.jpg": "Zoë"}, "forgotten": {"photos": {"ab" * 32: 7}, "faces": {}}}
    change_entered(path, lambda held: entered, wait=False)
    zeroed(path, member(path, "faces.box"))
    repaired(path)
    assert Store.open(path).head.entered == entered


@pytest.mark.parametrize("face", [False, True])
def test_what_a_lost_head_forgot_does_not_come_back(photos, path, monkeypatch, face):
    monkeypatch.setattr("facesearch.store.layout.NUMBERED_HEADS", True)
    key = next(key for key in KEYS if len(photos.result(key).faces) > 1)
    digest = photos.result(key).content_hash.hex()
    photos.build(path, KEYS)
    count = len(photos.result(key).faces)
    out = {"recipe": photos.recipe.recipe_digest, "count": count, "numbers": [1]}
    forgotten = {"photos": {}, "faces": {digest: out}} if face else {"photos": {digest: 9}}
    monkeypatch.setattr("facesearch.store.layout.Layout.settle", lambda layout: None)
    change_entered(path, lambda held: {"forgotten": forgotten}, wait=False)
    newest = max(path.with_name("faces.npz.heads").iterdir())
    zeroed(newest, slice(member(newest, "meta").start, member(newest, "meta").start + 20))
    assert key in list(Store.open(path).files.paths()), "the head before has it"
    monkeypatch.undo()
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    found = repaired(path)
    assert found.problems == (f"{newest}: its description is lost",)
    store = Store.open(path)
    assert bytes.fromhex(digest) in (store.forgotten.faces if face else store.forgotten.photos)
    assert (key in list(store.files.paths())) == face
    if face:
        (row,) = store.contents.with_hash(bytes.fromhex(digest))
        assert store.contents.face_counts[row] == count - 1


def test_what_was_computed_stays_where_it_is_sound(photos, path):
    from facesearch.store import face_keys, load_derived, save_derived

    keys = face_keys(photos.build(path, KEYS)).digest
    for name in ("first", "second"):
        save_derived(path, name, {"numbers": np.arange(50, dtype=np.int32)}, keys)
    (file,) = path.with_name("faces.npz.derived").glob("second*")
    zeroed(file, slice(100, 120))
    zeroed(path, slice(-30, None))
    found = repaired(path)
    assert found.again == ("second",)
    assert found.complete
    assert load_derived(Store.open(path), "first", keys) is not None


def test_what_is_no_store_of_ours_is_left_alone(photos, path, monkeypatch):
    with pytest.raises(StoreMissingError, match="no store there"):
        repaired(path)
    path.write_bytes(b"\xff\xd8" * 500)
    with pytest.raises(StoreError, match="not a facesearch store"):
        repaired(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(StoreError, match="name another"):
        repaired(path)
    path.rmdir()
    monkeypatch.setattr(schema, "VERSION", 2)
    photos.build(path, KEYS)
    monkeypatch.undo()
    zeroed(path, slice(-200, None))
    with pytest.raises(StoreTooNewError, match="update facesearch"):
        repaired(path)


def test_another_writer_is_not_disturbed(photos, path):
    photos.build(path, KEYS)
    zeroed(path, slice(-30, None))
    lock = StoreLock(path)
    lock.acquire(wait=False)
    try:
        with pytest.raises(StoreBusyError):
            repaired(path)
    finally:
        lock.release()


def test_a_failure_leaves_the_damaged_store_in_its_place(photos, path, in_parts, monkeypatch):
    zeroed(in_parts[1], slice(-30, None))
    before = read_files(path.parent)

    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    for stage in ("repair.link_or_copy", "layout.put_in_place", "layout.Layout.take_over"):
        with monkeypatch.context() as patch:
            patch.setattr(f"facesearch.store.{stage}", full)
            with pytest.raises(StoreError, match="the disk is full"):
                repair(path, RepairOptions(), lambda summary: True)
        left = read_files(path.parent)
        assert {name: left[name] for name in before} == before, stage
    repaired(path)


def test_what_lies_inside_an_array_is_no_array(tmp_path):
    """A photo may have any text in it."""
    inner, outer = tmp_path / "inner.npz", tmp_path / "outer.npz"
    score = np.ones(4, np.float32)
    with inner.open("w+b") as file:
        write_archive(file, [Member("faces.score", "<f4", score.shape, (score,))])
    fake = np.frombuffer(inner.read_bytes(), np.uint8)
    other = score * 2
    with outer.open("w+b") as file:
        members = [
            Member("files.path_blob", "|u1", fake.shape, (fake,)),
            Member("faces.score", "<f4", other.shape, (other,)),
        ]
        write_archive(file, members)
    raw = bytearray(outer.read_bytes())
    assert np.array_equal(find_arrays(outer).arrays["faces.score"], other)
    at = raw.rindex(other.tobytes())
    raw[at : at + 4] = b"abcd"
    outer.write_bytes(raw)
    assert list(find_arrays(outer).arrays) == ["files.path_blob"]


def test_the_directory_may_end_anywhere(photos, path):
    photos.build(path, KEYS)
    raw = path.read_bytes()
    start = raw.index(b"PK\1\2")
    for end in range(start, len(raw), 23):
        for gap in (0, 700):  # bytes that are missing before it move all that it says
            path.write_bytes(raw[: start - 1200] + raw[start - 1200 + gap : end])
            found = find_arrays(path)
            assert len(found.arrays) == len(schema.NAMES) + 1 or gap, end


def test_one_wrong_byte_is_found_from_the_checksum():
    source = random.Random(3)
    for length in (1, 2, 3, 64, 5000):
        raw = source.randbytes(length)
        wrong = bytearray(raw)
        wrong[source.randrange(length)] ^= source.randrange(1, 256)
        assert list(one_byte_mended(memoryview(wrong), zlib.crc32(raw))) == [raw]
        wrong[0] ^= 255
        wrong[-1] ^= 254
        found = list(one_byte_mended(memoryview(wrong), zlib.crc32(raw)))
        assert all(zlib.crc32(each) == zlib.crc32(raw) for each in found)
