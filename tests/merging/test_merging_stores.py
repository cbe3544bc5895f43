"""Several stores become one: as one index run over all their folders would have made it."""

import dataclasses
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facesearch.errors import RecipeMismatchError, StoreBusyError, StoreError, UsageError
from facesearch.merging import MergeOptions, join_roots, merge
from facesearch.records import PhotoEntry
from facesearch.store import Root, Store, check_path
from facesearch.store.heads import head_numbers
from made_photos import Photos

KEYS = [f"{number:02}" for number in range(12)]
BROKEN = {"photo 5": "truncated", "photo 6": "unreadable"}


def fill(photos, path, roots, files, when="2026-01-01T00:00:00Z", **options):
    """A store of these roots and files, (root, key) -> text, indexed at a time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("facesearch.store.writer._now", lambda: when)
        with photos.open(path, **options) as writer:
            writer.set_roots(
                [root if isinstance(root, Root) else Root(root, root) for root in roots]
            )
            for number, ((root, key), text) in enumerate(files.items()):
                entry = PhotoEntry(key, len(text), number)
                writer.put((root, entry), photos.result(text, reason=BROKEN.get(text, "")))
                if number % 3 == 2:
                    writer.commit((number, len(files)))
            writer.finish()
    return Store.open(path)


def held(store):
    """(root path, key) -> hash of the content."""
    files, contents = store.files, store.contents
    return {
        (store.roots[files.root[row]].path, key): contents.hash[files.content[row]].tobytes()
        for row, key in enumerate(files.paths())
    }


ROOTS = ["/one", "/two", "/three"]
FILES = st.dictionaries(
    st.tuples(st.integers(0, 2), st.sampled_from(["", "a", "a/b", "a.b", "ü", "\udcff", "z"])),
    st.sampled_from([f"photo {number}" for number in range(8)]),
    max_size=14,
)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(FILES, st.permutations(ROOTS)), min_size=1, max_size=3),
    st.permutations(range(3)),
    st.sampled_from([64, 1 << 30]),
)
def test_as_one_run_over_all_would_have_made_it(stores, days, single):
    photos = Photos()
    with tempfile.TemporaryDirectory() as folder:
        paths, newest = [], {}
        for number, (files, roots) in enumerate(stores):
            path = Path(folder, f"{number}.npz")
            fill(photos, path, roots, files, f"2026-01-0{days[number] + 1}T00:00:00Z")
            paths.append(path)
            for (root, key), text in files.items():
                known = newest.get((roots[root], key))
                if known is None or known[0] < days[number]:
                    newest[roots[root], key] = (days[number], text)
        output = Path(folder, "merged.npz")
        summary = merge(paths, output, MergeOptions(single_file_bytes=single))
        store = Store.open(output)
        files = {(ROOTS.index(root), key): text for (root, key), (_, text) in newest.items()}
        whole = fill(photos, Path(folder, "whole.npz"), ROOTS, files)
        assert held(store) == held(whole)
        assert store.content_digest() == whole.content_digest()
        assert check_path(output) == []
        assert summary.photos == len(store.files) == len(newest)
        assert summary.faces == len(store.faces)
        assert summary.contents == len(store.contents)
        assert summary.copies == sum(len(files) for files, _ in stores) - len(newest)
        # A run that finds nothing new changes nothing.
        with photos.open(output, single_file_bytes=single) as writer:
            writer.finish()
            assert writer.store.content_digest() == whole.content_digest()


def test_the_same_files_in_any_order_give_the_same_arrays(photos, tmp_path):
    halves = KEYS[::2], KEYS[1::2]
    for number, keys in enumerate(halves):
        fill(photos, tmp_path / f"{number}.npz", ["/p"], {(0, key): key for key in keys})
    fill(photos, tmp_path / "whole.npz", ["/p"], {(0, key): key for key in KEYS})
    for order in ([0, 1], [1, 0]):
        output = tmp_path / f"out-{order[0]}.npz"
        merge([tmp_path / f"{number}.npz" for number in order], output)
        with np.load(output) as merged, np.load(tmp_path / "whole.npz") as whole:
            for name in whole.files:
                if name not in ("meta", "files.mtime_ns"):
                    assert np.array_equal(merged[name], whole[name], equal_nan="faces" in name)


def test_segments_with_dead_rows_and_files_that_are_gone(photos, tmp_path):
    fill(photos, tmp_path / "a.npz", ["/p"], {(0, key): key for key in KEYS}, single_file_bytes=64)
    with photos.open(tmp_path / "a.npz", single_file_bytes=64) as writer:
        writer.remove(0, KEYS[0])
        photos.fill(writer, ["later"])
        writer.finish()
        assert not writer.store.contents.all_live
    fill(photos, tmp_path / "b.npz", ["/q"], {(0, KEYS[0]): KEYS[0]}, "2025-01-01T00:00:00Z")
    merge([tmp_path / "a.npz", tmp_path / "b.npz"], tmp_path / "c.npz")
    store = Store.open(tmp_path / "c.npz")
    assert store.contents.all_live
    paths = [(root, key) for root, key in held(store)]
    assert paths == [*(("/p", key) for key in [*KEYS[1:], "later"]), ("/q", KEYS[0])]


def test_a_failure_gives_way_to_the_photo_that_was_read(photos, tmp_path):
    with photos.open(tmp_path / "a.npz") as writer:
        writer.set_roots([Root("/p", "p")])
        writer.put((0, photos.entry("x")), photos.result("text", reason="too-large"))
        writer.finish()
    fill(photos, tmp_path / "b.npz", ["/q"], {(0, "y"): "text"}, "2020-01-01T00:00:00Z")
    merge([tmp_path / "a.npz", tmp_path / "b.npz"], tmp_path / "c.npz")
    store = Store.open(tmp_path / "c.npz")
    assert len(store.contents) == 1
    assert store.contents.failure(0) is None
    assert len(store.files) == 2


def test_into_one_of_them(photos, tmp_path):
    a, b = tmp_path / "a.npz", tmp_path / "b.npz"
    for path, keys in ((a, KEYS[:6]), (b, KEYS[6:])):
        fill(photos, path, ["/p"], {(0, key): key for key in keys}, single_file_bytes=64)
    (tmp_path / "link.npz").symlink_to(a)
    merge([a, b, a], tmp_path / "link.npz")
    assert (tmp_path / "link.npz").is_symlink()
    assert list(Store.open(a).files.paths()) == KEYS
    assert check_path(a) == []
    assert not (tmp_path / "a.npz.parts").exists()
    assert list(Store.open(b).files.paths()) == KEYS[6:]


def test_what_is_there_is_not_replaced(photos, tmp_path):
    fill(photos, tmp_path / "a.npz", ["/p"], {(0, "x"): "x"})
    other = tmp_path / "other.npz"
    other.write_bytes(b"mine")
    with pytest.raises(UsageError, match=r"other\.npz: is there already; choose another name"):
        merge([tmp_path / "a.npz"], other)
    assert other.read_bytes() == b"mine"
    with pytest.raises(UsageError, match="name the stores"):
        merge([], tmp_path / "new.npz")
    with pytest.raises(StoreError, match="its folder does not exist"):
        merge([tmp_path / "a.npz"], tmp_path / "nowhere" / "new.npz")
    with photos.open(tmp_path / "a.npz"), pytest.raises(StoreBusyError):
        merge([tmp_path / "a.npz"], tmp_path / "a.npz")


def test_stores_of_two_recipes(photos, tmp_path):
    other = Photos()
    other.recipe = dataclasses.replace(
        photos.recipe, detector=dataclasses.replace(photos.recipe.detector, min_face=30)
    )
    fill(photos, tmp_path / "a.npz", ["/p"], {(0, "x"): "x"})
    fill(other, tmp_path / "b.npz", ["/p"], {(0, "x"): "x"})
    with pytest.raises(
        RecipeMismatchError,
        match=r"a\.npz and \S+b\.npz: made in different ways \(min-face 20, not 30",
    ):
        merge([tmp_path / "a.npz", tmp_path / "b.npz"], tmp_path / "c.npz")
    assert not (tmp_path / "c.npz").exists()


@pytest.mark.parametrize("single", [64, 1 << 30])
def test_damage_is_found_and_leaves_nothing(photos, tmp_path, single):
    for name in "ab":
        fill(photos, tmp_path / f"{name}.npz", ["/" + name], {(0, key): key for key in KEYS})
    store = Store.open(tmp_path / "b.npz")
    place = store.segments[0].archive._arrays["faces.embedding"].offset
    raw = bytearray((tmp_path / "b.npz").read_bytes())
    raw[place + 5] ^= 1
    (tmp_path / "b.npz").write_bytes(raw)
    paths = [tmp_path / "b.npz", tmp_path / "a.npz"]
    with pytest.raises(StoreError, match=r"b\.npz: the store is damaged \(embeddings 0 to"):
        merge(paths, tmp_path / "c.npz", MergeOptions(single_file_bytes=single))
    left = {file.name for file in tmp_path.iterdir() if file.name[0] not in "ab"}
    assert left == {"c.npz.lock"}
    with pytest.raises(StoreError, match="embeddings"):
        merge(paths, tmp_path / "a.npz", MergeOptions(single_file_bytes=single))
    assert check_path(tmp_path / "a.npz") == []
    assert list(Store.open(tmp_path / "a.npz").files.paths()) == KEYS


class Stopped(BaseException):
    """Stands for kill -9."""


@pytest.mark.parametrize("numbered", [False, True])
@pytest.mark.parametrize("single", [64, 1 << 30])
@pytest.mark.parametrize("into", ["a.npz", "new.npz"])
def test_killed_at_any_step(photos, tmp_path, monkeypatch, single, into, numbered):
    monkeypatch.setattr("facesearch.store.layout.NUMBERED_HEADS", numbered)
    for name, keys in (("a", KEYS[:7]), ("b", KEYS[5:])):
        fill(photos, tmp_path / f"{name}.npz", ["/p"], {(0, key): key for key in keys})
    whole = fill(photos, tmp_path / "whole.npz", ["/p"], {(0, key): key for key in KEYS})
    steps, done = 0, False
    while not done:
        folder = tmp_path / str(steps)
        folder.mkdir()
        for name in "ab":
            shutil.copy(tmp_path / f"{name}.npz", folder)
        paths = [folder / "a.npz", folder / "b.npz"]
        with monkeypatch.context() as patch:
            left = steps

            def counted(function):
                def call(*args, **kwargs):
                    nonlocal left
                    if left <= 0:
                        raise Stopped
                    left -= 1
                    return function(*args, **kwargs)

                return call

            for name in ("replace", "unlink", "open", "mkdir", "rmdir", "link"):
                patch.setattr(os, name, counted(getattr(os, name)))
            try:
                merge(paths, folder / into, MergeOptions(single_file_bytes=single))
                done = True
            except Stopped:
                pass
        if (folder / into).exists():
            assert check_path(folder / into) == []
            count = len(Store.open(folder / into).files)
            assert count in ((7, 12) if into == "a.npz" else (12,))
        merge(
            [*paths, *([folder / into] if (folder / into).exists() else [])],
            folder / into,
            MergeOptions(single_file_bytes=single),
        )
        store = Store.open(folder / into)
        assert store.content_digest() == whole.content_digest()
        assert head_numbers(folder / into) == []
        assert not list(folder.rglob("*.tmp"))
        shutil.rmtree(folder)
        steps += 1
    assert steps > 8


def test_a_dry_run_writes_nothing(photos, tmp_path):
    for name in "ab":
        fill(photos, tmp_path / f"{name}.npz", ["/" + name], {(0, key): key for key in KEYS})
    before = {file: file.read_bytes() for file in tmp_path.iterdir()}
    paths = [tmp_path / "a.npz", tmp_path / "b.npz"]
    told = merge(paths, tmp_path / "c.npz", MergeOptions(dry_run=True))
    assert {file: file.read_bytes() for file in tmp_path.iterdir()} == before
    assert told == merge(paths, tmp_path / "c.npz")
    assert (told.photos, told.contents, told.roots) == (24, 12, ("/a", "/b"))


def test_what_people_chose_and_entered(photos, tmp_path):
    from facesearch.store.entered import change_entered

    options = {
        "a": {"exclude": ["x", "y", "z"], "max_pixels": 1},
        "b": {"exclude": ["z", "y"], "max_pixels": 2},
    }
    entered = {
        "a": {"labels": {"1": "Ann", "2": "Bob"}, "other": [1]},
        "b": {"labels": {"2": "Bea", "3": "Cy"}},
    }
    for name, day in (("a", 1), ("b", 2)):
        path = tmp_path / f"{name}.npz"
        fill(photos, path, ["/" + name], {(0, "k"): name}, f"2026-01-0{day}T00:00:00Z")
        with pytest.MonkeyPatch.context() as patch, photos.open(path) as writer:
            patch.setattr("facesearch.store.writer._now", lambda day=day: f"2026-01-0{day}")
            writer.set_options(options[name])
            writer.finish()
        change_entered(path, lambda store, name=name: entered[name], wait=False)
    merge([tmp_path / "a.npz", tmp_path / "b.npz"], tmp_path / "c.npz")
    head = Store.open(tmp_path / "c.npz").head
    assert head.options == {"exclude": ["z", "y"], "max_pixels": 2}
    assert head.entered == {"labels": {"1": "Ann", "2": "Bea", "3": "Cy"}, "other": [1]}
    assert head.indexed_at == "2026-01-02"
    assert head.derived == {}


def test_a_run_that_has_not_ended_is_told(photos, tmp_path):
    with photos.open(tmp_path / "a.npz") as writer:
        writer.set_roots([Root("/p", "p")])
        photos.fill(writer, KEYS[:2])
        writer.commit((2, 9))
    summary = merge([tmp_path / "a.npz"], tmp_path / "b.npz")
    assert summary.unended == (str(tmp_path / "a.npz"),)
    assert Store.open(tmp_path / "b.npz").progress is None
    assert list(Store.open(tmp_path / "b.npz").files.paths()) == KEYS[:2]


def roots_of(*stores: Path, home: Path):
    roots, known_as = join_roots([Store.open(path) for path in stores], home)
    return [(root.path, root.relative) for root in roots], known_as


def test_which_roots_are_one(photos, tmp_path):
    for name in ("x", "y", "z"):
        (tmp_path / name).mkdir()
    there = tmp_path / "x" / "photos"
    there.mkdir()
    (tmp_path / "alias").symlink_to(there)
    stores = {
        "x/a.npz": [Root(str(there), "photos"), Root("/gone/one", "../one")],
        "y/b.npz": [Root(str(tmp_path / "alias"), "../alias"), Root("/gone/two", "../one")],
        "z/c.npz": [Root("/gone/one", "elsewhere"), Root("/gone/three", "../x/photos")],
        "y/d.npz": [Root("/lost/photos", "photos"), Root("/lost/up", "..")],
        "z/e.npz": [Root("/left/photos", "photos"), Root("/left/up", "../..")],
    }
    for name, roots in stores.items():
        fill(photos, tmp_path / name, roots, {(0, "k"): name, (1, "k"): name})
    roots, known_as = roots_of(*(tmp_path / name for name in stores), home=tmp_path)
    # b's first is a's by a link, its second lies in a's place; c's first has a's path, its second
    # leads to a's first. d's and e's are of one name, and nobody knows where; ".." is there.
    assert roots == [
        (str(there), "x/photos"),
        ("/gone/one", "one"),
        ("/lost/photos", "y/photos"),
        (str(tmp_path), "."),
        (str(tmp_path.parent), ".."),
    ]
    assert known_as == [[0, 1], [0, 1], [1, 0], [2, 3], [2, 4]]


def test_folders_that_are_there_stay_apart(photos, tmp_path):
    for name in ("x", "y"):
        (tmp_path / name / "photos").mkdir(parents=True)
        root = Root("/old/photos", "photos")  # moved together with the store, twice
        fill(photos, tmp_path / name / "a.npz", [root], {(0, "k"): name})
    merge([tmp_path / "x" / "a.npz", tmp_path / "y" / "a.npz"], tmp_path / "c.npz")
    store = Store.open(tmp_path / "c.npz")
    assert [root.path for root in store.roots] == [str(tmp_path / n / "photos") for n in "xy"]
    assert len(store.files) == 2


def test_two_roots_of_one_store_stay_apart(photos, tmp_path):
    fill(photos, tmp_path / "a.npz", [Root("/p", "p"), Root("/q", "p")], {(0, "k"): "x"})
    fill(photos, tmp_path / "b.npz", [Root("/r", "p")], {(0, "k"): "y"})
    roots, known_as = roots_of(tmp_path / "a.npz", tmp_path / "b.npz", home=tmp_path)
    assert known_as == [[0, 1], [0]]
    assert len(roots) == 2


def test_roots_in_object_storage(photos, tmp_path):
    address = Root("s3://bucket/a", "s3://bucket/a")
    for name in "ab":
        fill(photos, tmp_path / f"{name}.npz", [address], {(0, name): name})
    merge([tmp_path / "a.npz", tmp_path / "b.npz"], tmp_path / "c.npz")
    store = Store.open(tmp_path / "c.npz")
    assert [(root.path, root.relative) for root in store.roots] == [("s3://bucket/a",) * 2]
    assert list(store.files.paths()) == ["a", "b"]


@pytest.mark.parametrize("days", [(1, 2), (2, 1)])
@pytest.mark.parametrize("outer", ["/ph", "s3://bucket/ph"])
def test_a_folder_inside_another_ones(photos, tmp_path, days, outer):
    """A file that both have is there once, as the store indexed last has it."""
    whole = {(0, key): f"old {key}" for key in ("anna/1", "anna/2", "anna.jpg", "bob/1")}
    inner = {(0, "1"): "new 1", (0, "3"): "new 3"}
    names = [tmp_path / "whole.npz", tmp_path / "inner.npz"]
    for name, root, files, day in zip(
        names, (outer, f"{outer}/anna"), (whole, inner), days, strict=True
    ):
        fill(photos, name, [root], files, f"2026-01-0{day}T00:00:00Z")
    summary = merge(names, tmp_path / "both.npz")
    store = Store.open(tmp_path / "both.npz")
    found = {f"{root}/{key}": content for (root, key), content in held(store).items()}
    texts = {f"{outer}/{key}": text for (_, key), text in whole.items()}
    texts |= {f"{outer}/anna/3": "new 3"}
    if days[1] > days[0]:
        texts |= {f"{outer}/anna/1": "new 1"}
    expected = {path: photos.result(text).content_hash for path, text in texts.items()}
    assert found == expected
    assert len(store.files) == len(expected)
    assert summary.copies == 1
    assert check_path(tmp_path / "both.npz") == []
