"""Where what is mapped can be neither replaced nor removed: numbered heads, and what is left."""

import shutil
import subprocess
import sys

import numpy as np
import pytest

from facesearch.errors import StoreError, StoreTooNewError
from facesearch.store import Root, Store, check_path, check_store, rebuild_path
from facesearch.store.entered import change_entered
from facesearch.store.heads import head_numbers, numbered_head
from mapped_files import Windows

KEYS = [f"{number:02}" for number in range(9)]


def paths(path):
    return list(Store.open(path).files.paths())


def plain(path, folder):
    """What the plain name holds, for one who knows nothing of numbered heads."""
    copy = folder / "alone" / path.name
    copy.parent.mkdir()
    shutil.copy(path, copy)
    if (parts := path.with_name(path.name + ".parts")).exists():
        shutil.copytree(parts, copy.with_name(parts.name))
    return copy


def test_a_commit_while_the_store_is_mapped(photos, tmp_path, windows):
    path = tmp_path / "s.npz"
    photos.build(path, KEYS)
    before = Store.open(path)
    with photos.open(path) as writer:
        photos.fill(writer, ["new"])
        writer.commit((1, 1))
        assert head_numbers(path) == [1]
        assert paths(path) == [*KEYS, "new"]
        writer.finish()
        assert head_numbers(path)
        assert paths(path) == [*KEYS, "new"]
        assert check_path(path) == []
    assert windows.refused
    # The plain name is an earlier commit, and a whole store.
    assert list(Store.open(plain(path, tmp_path)).files.paths()) == KEYS
    assert list(before.files.paths()) == KEYS
    with np.load(path) as archive:
        assert len(archive["files.size"]) == len(KEYS)


def test_the_next_writer_puts_all_in_order(photos, tmp_path, windows):
    path = tmp_path / "s.npz"
    photos.build(path, KEYS)
    reader = Store.open(path)
    with photos.open(path) as writer:
        photos.fill(writer, ["new"])
        writer.finish()
        digest = writer.store.content_digest()
    assert head_numbers(path)
    del reader, writer
    with photos.open(path) as writer:
        assert head_numbers(path) == []
        assert writer.store.content_digest() == digest
        assert writer.store.head.inline
    left = {file.name for file in tmp_path.iterdir()}
    assert left == {"s.npz", "s.npz.lock"}
    assert check_path(path) == []


def test_the_highest_stays_as_long_as_a_lower_one_is_open(photos, tmp_path, windows):
    path = tmp_path / "s.npz"
    photos.build(path, KEYS)
    held = [Store.open(path)]
    with photos.open(path) as writer:
        for number in range(4):
            photos.fill(writer, [f"new {number}"])
            writer.commit((1, 9))
            held.append(Store.open(path))
            assert paths(path) == [*KEYS, *(f"new {n}" for n in range(number + 1))]
        assert head_numbers(path) == [1, 2, 3, 4]
        del held[1:3]
        photos.fill(writer, ["new 4"])
        writer.commit((1, 9))
        assert head_numbers(path) == [3, 4, 5]
        writer.close()
    del held[:1], writer
    # The plain name is free now, head 3 is not: 5 must stay, or 3 would count again.
    change_entered(path, lambda store: {"labels": {"a": "b"}}, wait=False)
    assert head_numbers(path)[0] == 3
    assert len(paths(path)) == len(KEYS) + 5
    assert Store.open(path).head.entered == {"labels": {"a": "b"}}


def test_a_damaged_head_gives_way_to_the_one_before(photos, tmp_path, windows):
    path = tmp_path / "s.npz"
    photos.build(path, KEYS)
    reader = Store.open(path)
    with photos.open(path) as writer:
        photos.fill(writer, ["new"])
        writer.commit((1, 1))
    (number,) = head_numbers(path)
    raw = numbered_head(path, number).read_bytes()
    numbered_head(path, number + 1).write_bytes(raw[:-90])
    numbered_head(path, number + 2).write_bytes(b"")
    assert paths(path) == [*KEYS, "new"]
    assert any(f"{number + 1:09}" in problem for problem in check_path(path))
    with photos.open(path) as writer:
        assert list(writer.store.files.paths()) == [*KEYS, "new"]
        photos.fill(writer, ["more"])
        writer.commit((1, 1))
        assert paths(path) == [*KEYS, "more", "new"]
    assert len(reader.files) == len(KEYS)


def test_a_newer_numbered_head_is_refused(photos, tmp_path, windows):
    path = tmp_path / "s.npz"
    photos.build(path, KEYS)
    raw = path.read_bytes()
    numbered_head(path, 1).parent.mkdir()
    numbered_head(path, 1).write_bytes(raw.replace(b'"version":1', b'"version":9'))
    with pytest.raises(StoreTooNewError):
        Store.open(path)
    with pytest.raises(StoreTooNewError):
        photos.open(path)
    assert head_numbers(path) == [1]


def test_a_store_left_by_windows_goes_on_elsewhere(photos, tmp_path, monkeypatch):
    path = tmp_path / "s.npz"
    photos.build(path, KEYS, single_file_bytes=64)
    with monkeypatch.context() as patch:
        Windows(patch)
        reader = Store.open(path)
        held = photos.open(path)
        photos.fill(held, ["new"])
        held.commit((1, 1))
        held.close()
    assert len(reader.files) == len(KEYS)
    with monkeypatch.context() as patch:
        Windows(patch)
        reader = Store.open(path)  # maps the numbered head too
        change_entered(path, lambda store: {"a": {"b": "c"}}, wait=False)
    change_entered(path, lambda store: store.head.entered | {"d": {}}, wait=False)
    assert head_numbers(path) == []
    assert not path.with_name("s.npz.heads").exists()
    assert Store.open(path).head.entered == {"a": {"b": "c"}, "d": {}}
    assert paths(path) == [*KEYS, "new"]
    assert check_path(path) == []
    del reader


@pytest.mark.parametrize("single", [64, 1 << 30])
def test_a_rebuild_while_the_old_store_is_mapped(photos, tmp_path, windows, single):
    path = tmp_path / "s.npz"
    photos.build(path, KEYS, single_file_bytes=single)
    reader = Store.open(path)
    for keys in (["a", "b"], ["c"]):
        with photos.open(path, fresh=True, single_file_bytes=single) as writer:
            writer.set_roots([Root("/photos", "photos")])
            assert len(writer.store.files) == 0  # what is left of the last rebuild does not count
            photos.fill(writer, keys)
            writer.commit((1, 2))
            writer.finish()
            assert writer.store.path == path
        assert paths(path) == keys
        assert check_path(path) == []
    assert list(reader.files.paths()) == KEYS
    del reader, writer
    with photos.open(path, single_file_bytes=single) as writer:
        writer.finish()
    del writer
    photos.open(path).close()
    assert head_numbers(path) == []
    assert not rebuild_path(path).exists()


READ = """
import sys, time
sys.path[:0] = {path!r}
from pathlib import Path
from facesearch.store import Store, check_store
last, opened, stores = 0, 0, []
print("ready", flush=True)
while not Path(sys.argv[2]).exists():
    store = Store.open(Path(sys.argv[1]))
    assert len(store.files) >= last, (len(store.files), last)
    last = len(store.files)
    assert not check_store(store)
    stores = [*stores[-2:], store]
    opened += 1
print(opened, last)
"""


def test_readers_in_another_process_see_each_commit_and_never_go_back(photos, tmp_path, windows):
    path = tmp_path / "s.npz"
    photos.build(path, ["first"])
    code = READ.format(path=sys.path)
    reader = subprocess.Popen(
        [sys.executable, "-c", code, str(path), str(tmp_path / "end")],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert reader.stdout.readline() == "ready\n"
    windows.others.append(reader.pid)
    for number in range(6):
        with photos.open(path, single_file_bytes=64 if number % 2 else 1 << 30) as writer:
            for each in range(4):
                photos.fill(writer, [f"{number:03} {each}"])
                writer.commit((1, 2))
            writer.finish()
    windows.others.clear()
    (tmp_path / "end").touch()
    output, _ = reader.communicate(timeout=60)
    assert reader.returncode == 0
    assert int(output.split()[0]) > 3
    assert len(paths(path)) == 25


@pytest.mark.parametrize("stride", [41, pytest.param(3, marks=pytest.mark.full)])
def test_killed_at_any_step_while_the_store_is_mapped(
    photos, tmp_path, arrays, monkeypatch, windows, stride
):
    from test_store_faults import FIRST, Stopped, Stopper, second_run

    expected_path = tmp_path / "expected.npz"
    photos.build(expected_path, FIRST)
    second_run(photos, expected_path)
    expected = arrays(expected_path)
    steps, finished = 0, False
    while not finished:
        path = tmp_path / f"{steps}.npz"
        photos.build(path, FIRST)
        reader = Store.open(path)
        with monkeypatch.context() as patch:
            Stopper(patch, steps)
            try:
                second_run(photos, path)
                finished = True
            except Stopped:
                pass
        assert check_store(Store.open(path)) == [], steps
        assert check_store(reader) == []
        second_run(photos, path)
        assert arrays(path) == expected, steps
        del reader
        steps += stride
    assert steps > 80


def test_a_head_that_cannot_be_listed(photos, tmp_path, monkeypatch):
    path = tmp_path / "s.npz"
    photos.build(path, KEYS)
    path.with_name("s.npz.heads").mkdir()

    def refuse(self):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.iterdir", refuse)
    with pytest.raises(StoreError, match=r"heads: cannot be read \(Permission denied\)"):
        Store.open(path)
