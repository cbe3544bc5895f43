"""Segments: few of them, nothing rewritten that need not be, and the same however often stopped."""

import random
from pathlib import Path

import numpy as np
import pytest

from facesearch.store import Root, Store, check_store
from facesearch.store.compaction import start_of_tier

pytestmark = pytest.mark.usefixtures("heads")

KEYS = [f"{number:03}" for number in range(60)]


def parts(path: Path) -> set[str]:
    folder = path.with_name(path.name + ".parts")
    return {part.name for part in folder.iterdir()} if folder.exists() else set()


def test_a_finished_small_store_is_one_file(photos, tmp_path):
    store = photos.build(tmp_path / "s.npz", KEYS)
    left = {path.name for path in tmp_path.iterdir()}
    assert left - {"s.npz.lock"} == {"s.npz"}
    assert len(store.rows) == 1


def test_segments_of_a_run_stay_few(photos, tmp_path):
    path = tmp_path / "s.npz"
    most = 0
    with photos.open(path) as writer:
        writer.set_roots([Root("/photos", "photos")])
        ids = {}
        for number in range(200):
            key = f"{number:03}"
            ids[key] = writer.put((0, photos.entry(key)), photos.result(key, faces=1))
            writer.commit((number, 200))
            most = max(most, len(writer.store.segments))
            assert parts(path) == {entry.name for entry in writer.store.head.segments}
        assert most <= 9
        # Ids given out before stay right through all merges.
        hashes = writer.store.contents.hash
        for key, content in ids.items():
            assert hashes[content].tobytes() == photos.result(key).content_hash
            assert writer.content_id(photos.result(key).content_hash) == content
        assert check_store(writer.store) == []


def test_a_growing_store_rewrites_each_row_a_few_times_only():
    for settled in (0, 3):
        sizes = [1 << 20] * settled
        written = 0
        for _ in range(1000):
            sizes.append(10)
            start = start_of_tier(sizes, settled)
            if start < len(sizes) - 1:
                written += sum(sizes[start:])
                sizes[start:] = [sum(sizes[start:])]
            assert len(sizes) - settled <= 11
        assert written <= 10 * 1000 * 12
        assert sizes[:settled] == [1 << 20] * settled


def test_an_append_leaves_the_large_file_alone(photos, tmp_path):
    path = tmp_path / "s.npz"
    photos.build(path, KEYS)
    inode = path.stat().st_ino
    with photos.open(path) as writer:
        photos.fill(writer, ["new"])
        writer.commit((1, 1))
        assert inode in {part.stat().st_ino for part in (tmp_path / "s.npz.parts").iterdir()}
        assert len(Store.open(path).files) == len(KEYS) + 1


def test_without_hard_links_it_is_copied(photos, tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(1, "no hard links here")

    monkeypatch.setattr("os.link", refuse)
    path = tmp_path / "s.npz"
    photos.build(path, KEYS[:9])
    with photos.open(path) as writer:
        photos.fill(writer, ["new"])
        writer.commit((1, 1))
        assert check_store(Store.open(path)) == []
        writer.finish()
    assert len(Store.open(path).files) == 10


def big(photos, path: Path):
    return photos.open(path, single_file_bytes=64)


def test_a_large_store_keeps_naming_segments(photos, tmp_path):
    path = tmp_path / "s.npz"
    photos.build(path, KEYS, single_file_bytes=64)
    first = {entry.name for entry in Store.open(path).head.segments}
    assert len(first) == 1
    assert parts(path) == first
    with big(photos, path) as writer:
        photos.fill(writer, ["zzz"])
        writer.remove(0, KEYS[0])
        writer.finish()
    store = Store.open(path)
    assert first < {entry.name for entry in store.head.segments} == parts(path)
    assert len(store.segments) == 2
    assert list(store.files.paths()) == [*KEYS[1:], "zzz"]
    assert check_store(store) == []
    # The photo that is gone is still in the first segment, and known to be dead.
    assert store.contents.live.tolist() == [False] + [True] * len(KEYS)


def test_many_small_runs_of_a_large_store_leave_few_segments(photos, tmp_path):
    path = tmp_path / "s.npz"
    photos.build(path, KEYS, single_file_bytes=64)
    for number in range(40):
        with big(photos, path) as writer:
            writer.link(0, photos.entry(f"copy {number:02}"), number)
            writer.finish()
    store = Store.open(path)
    assert len(store.segments) <= 8
    assert len(store.files) == len(KEYS) + 40


def test_a_large_store_that_is_mostly_dead_is_rewritten(photos, tmp_path):
    path = tmp_path / "s.npz"
    photos.build(path, KEYS, single_file_bytes=64)
    with big(photos, path) as writer:
        for key in KEYS[:40]:
            writer.remove(0, key)
        writer.finish()
    store = Store.open(path)
    assert store.contents.live.all()
    assert len(store.contents) == 20
    assert check_store(store) == []


def test_a_small_store_grows_into_segments_and_back(photos, tmp_path):
    path = tmp_path / "s.npz"
    photos.build(path, KEYS[:3])
    with big(photos, path) as writer:
        photos.fill(writer, KEYS[3:])
        writer.finish()
        assert not writer.store.head.inline
    with photos.open(path) as writer:
        writer.finish()
        assert writer.store.head.inline
    assert parts(path) == set()
    assert (
        Store.open(path).content_digest() == photos.build(tmp_path / "t.npz", KEYS).content_digest()
    )


def test_nothing_new_in_a_large_store_leaves_its_segments(photos, tmp_path):
    path = tmp_path / "s.npz"
    photos.build(path, KEYS, single_file_bytes=64)
    before = Store.open(path).head.segments
    with big(photos, path) as writer:
        writer.finish()
    assert Store.open(path).head.segments == before
    photos.build(tmp_path / "small.npz", KEYS)
    with big(photos, tmp_path / "small.npz") as writer:
        writer.finish()
    assert check_store(Store.open(tmp_path / "small.npz")) == []


@pytest.mark.parametrize("single", [64, 1 << 30])
def test_stopping_anywhere_changes_nothing(photos, tmp_path, arrays, single):
    """Two runs, the second with changed, copied, moved and removed files, in random batches."""

    def second(writer, order):
        for key in order:
            kind = int(key) % 7
            if kind == 0:
                writer.remove(0, key)
            elif kind == 1:
                result = photos.result(f"new {key}")
                known = writer.content_id(result.content_hash)
                if known is None:
                    writer.put((0, photos.entry(key, "new")), result)
                else:
                    writer.link(0, photos.entry(key, "new"), known)
            elif kind == 2:
                content = writer.content_id(photos.result(KEYS[3]).content_hash)
                writer.link(0, photos.entry(f"copy of {key}"), content)
            yield

    def run(path: Path, random: random.Random | None) -> None:
        photos.build(path, KEYS[:50], batch=50 if random is None else 4, single_file_bytes=single)
        writer = photos.open(path, single_file_bytes=single)
        for _ in second(writer, KEYS):
            if random and random.random() < 0.2:
                writer.commit((0, 0))
            if random and random.random() < 0.1:
                writer.close()  # what was not committed is lost, and done again
                writer = photos.open(path, single_file_bytes=single)
                for _ in second(writer, KEYS):
                    pass
        writer.finish()
        writer.close()

    run(tmp_path / "whole.npz", None)
    expected = arrays(tmp_path / "whole.npz")
    assert check_store(Store.open(tmp_path / "whole.npz")) == []
    for seed in range(4):
        path = tmp_path / f"{seed}.npz"
        run(path, random.Random(seed))
        assert arrays(path) == expected


def test_canonical_order(photos, tmp_path):
    path = tmp_path / "s.npz"
    with photos.open(path) as writer:
        writer.set_roots([Root("/b", "b"), Root("/a", "a")])
        for root, key, text in [(1, "a", "X"), (0, "z", "Y"), (0, "b", "Z"), (0, "a", "Y")]:
            writer.put((root, photos.entry(key)), photos.result(text, faces=2))
            writer.commit((0, 4))
        writer.finish()
        store = writer.store
    assert list(store.files.paths()) == ["a", "b", "z", "a"]
    assert store.files.content.tolist() == [0, 1, 0, 2]
    expected = np.concatenate([photos.result(text, faces=2).embeddings for text in "YZX"])
    assert np.array_equal(store.embeddings(range(6)), expected)


def test_the_writer_holds_no_embeddings_after_a_commit(photos, tmp_path):
    with photos.open(tmp_path / "s.npz") as writer:
        writer.set_roots([Root("/photos", "photos")])
        photos.fill(writer, KEYS)
        writer.commit((1, 1))
        assert not writer._pending
        assert all(not rows.flags.owndata for rows in writer.store.rows)
