"""What a walk finds, in which order, and what it says of the rest."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facesearch.records import Failure
from facesearch.sources import FolderSource, root_state
from odd_photos import encoded, lopsided_picture, write_odd_photos


def touch(root: Path, *keys: str) -> None:
    for key in keys:
        path = root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def keys(root: Path, exclude: tuple[str, ...] = (), under: str = "") -> list[str]:
    return [entry.key for entry in FolderSource(root, exclude, under).entries()]


def test_order_is_that_of_the_paths_bytes(tmp_path: Path) -> None:
    names = [
        "b.jpg",
        "a/x.jpg",
        "a.jpg",
        "a-b.jpg",
        "a/y/z.jpg",
        "a b/x.jpg",
        "Z.jpg",
        "é.jpg",
        "a0",
    ]
    touch(tmp_path, *names)
    assert keys(tmp_path) == sorted(names, key=os.fsencode)


@settings(max_examples=60, derandomize=True, deadline=None)
@given(
    st.sets(
        st.lists(st.text("ab.-0 é", min_size=1, max_size=3), min_size=1, max_size=4).map("/".join),
        max_size=12,
    )
)
def test_any_tree_is_listed_whole_and_sorted(
    tmp_path_factory: pytest.TempPathFactory, names: set[str]
) -> None:
    root = tmp_path_factory.mktemp("tree")
    for name in names:
        if any(part in {".", ".."} for part in name.split("/")):
            continue
        try:
            touch(root, name)
        except (FileExistsError, NotADirectoryError, IsADirectoryError):
            continue
    files = [p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file()]
    seen = [f for f in files if not any(part.startswith(".") for part in f.split("/"))]
    assert keys(root) == sorted(seen, key=os.fsencode)


def test_entries_tell_size_and_time_and_open_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path, "a.jpg")
    os.utime(tmp_path / "a.jpg", ns=(5, 1_234_567_891_000_000_789))
    monkeypatch.setattr(os, "open", lambda *_: pytest.fail("opened"))
    (entry,) = FolderSource(tmp_path).entries()
    status = (tmp_path / "a.jpg").stat()
    assert (entry.key, entry.size, entry.mtime_ns) == ("a.jpg", 1, status.st_mtime_ns)


def test_a_root_that_is_a_file(tmp_path: Path) -> None:
    touch(tmp_path, ".hidden.jpg")
    source = FolderSource(tmp_path / ".hidden.jpg", exclude=("*.jpg",))
    (entry,) = source.entries()
    assert entry.key == ""
    assert source.path(entry.key) == tmp_path / ".hidden.jpg"
    assert root_state(source.root) == "there"


def test_hidden_bins_thumbnails_and_own_parts_are_skipped(tmp_path: Path) -> None:
    skipped = [
        ".a.jpg",
        "._a.jpg",
        ".thumbnails/a.jpg",
        ".Trash-1000/a.jpg",
        "x/@eaDir/a.jpg",
        "$RECYCLE.BIN/a.jpg",
        "$Recycle.Bin2/.a.jpg",
        "@Recycle/a.jpg",
        "#recycle/a.jpg",
        "System Volume Information/a.jpg",
        "lost+found/a.jpg",
        "faces.npz.parts/a.jpg",
    ]
    touch(tmp_path, *skipped, "x/a.jpg", "Thumbs.db")
    assert keys(tmp_path) == ["Thumbs.db", "x/a.jpg"]
    source = FolderSource(tmp_path)
    assert not any(source.covers(key) for key in skipped)
    assert source.covers("x/a.jpg")


def test_a_hidden_folder_that_is_named_is_walked(tmp_path: Path) -> None:
    touch(tmp_path, ".mine/a.jpg")
    assert keys(tmp_path / ".mine") == ["a.jpg"]


@pytest.mark.parametrize(
    ("pattern", "left"),
    [
        ("*.gif", ["2019/raw/a.jpg", "2019/raw2/a.jpg", "raw/b.jpg", "raw.jpg"]),
        ("raw", ["2019/raw2/a.jpg", "2019/x.gif", "raw.jpg"]),
        ("raw/", ["2019/raw2/a.jpg", "2019/x.gif", "raw.jpg"]),
        ("raw.jpg/", ["2019/raw/a.jpg", "2019/raw2/a.jpg", "2019/x.gif", "raw/b.jpg", "raw.jpg"]),
        ("2019/raw", ["2019/raw2/a.jpg", "2019/x.gif", "raw/b.jpg", "raw.jpg"]),
        ("./2019/raw/", ["2019/raw2/a.jpg", "2019/x.gif", "raw/b.jpg", "raw.jpg"]),
        ("/raw", ["2019/raw/a.jpg", "2019/raw2/a.jpg", "2019/x.gif", "raw.jpg"]),
        ("2019/*", ["raw/b.jpg", "raw.jpg"]),
        ("*/a.jpg", ["2019/x.gif", "raw/b.jpg", "raw.jpg"]),
        ("RAW", ["2019/raw/a.jpg", "2019/raw2/a.jpg", "2019/x.gif", "raw/b.jpg", "raw.jpg"]),
        ("r?w*", ["2019/x.gif"]),
        ("", ["2019/raw/a.jpg", "2019/raw2/a.jpg", "2019/x.gif", "raw/b.jpg", "raw.jpg"]),
    ],
)
def test_exclude(tmp_path: Path, pattern: str, left: list[str]) -> None:
    everything = ["2019/raw/a.jpg", "2019/raw2/a.jpg", "2019/x.gif", "raw/b.jpg", "raw.jpg"]
    touch(tmp_path, *everything)
    expected = sorted(left, key=os.fsencode)
    assert keys(tmp_path, (pattern,)) == expected
    source = FolderSource(tmp_path, (pattern,))
    assert sorted(filter(source.covers, everything), key=os.fsencode) == expected


def test_under_lists_a_part_with_the_same_keys(tmp_path: Path) -> None:
    touch(tmp_path, "a/b/c.jpg", "a/d.jpg", "a.jpg", "e/.f/g.jpg")
    assert keys(tmp_path, under="a") == ["a/b/c.jpg", "a/d.jpg"]
    assert keys(tmp_path, under="a/b/") == ["a/b/c.jpg"]
    assert keys(tmp_path, under="a/d.jpg") == ["a/d.jpg"]
    assert keys(tmp_path, under="e/.f") == []
    assert keys(tmp_path, exclude=("b",), under="a/b") == []
    source = FolderSource(tmp_path, under="gone")
    assert list(source.entries()) == []
    assert source.hides("gone")
    assert source.hides("gone/x.jpg")
    assert not source.hides("a.jpg")


def test_odd_names_survive(tmp_path: Path) -> None:
    names = ["new\nline.jpg", "esc\x1b[31m.jpg", "quote'\".jpg", "-k", "*", "a\\b.jpg"]
    if sys.platform == "linux":
        names.append(os.fsdecode(b"\xff\xfe/\xe9.jpg"))
    touch(tmp_path, *names)
    source = FolderSource(tmp_path)
    found = list(source.entries())
    assert [entry.key for entry in found] == sorted(names, key=os.fsencode)
    assert all(source.path(entry.key).is_file() for entry in found)


def test_links_are_followed_once_and_circles_end(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    touch(root, "a/x.jpg", "z/y.jpg")
    touch(outside, "o.jpg", "sub/p.jpg", ".hidden/q.jpg")
    (root / "a" / "up").symlink_to(root)
    (root / "a" / "self").symlink_to(".")
    (root / "a" / "again").symlink_to(root / "z")
    (root / "b").symlink_to(outside)
    (root / "c").symlink_to(outside)
    (root / "d").symlink_to(outside / "sub")
    (root / "e.jpg").symlink_to(outside / "o.jpg")
    (outside / "back").symlink_to(root)
    (outside / "sub" / "circle").symlink_to(outside)
    (outside / "world").symlink_to(tmp_path)
    found = keys(root)
    assert found[:3] == ["a/x.jpg", "b/o.jpg", "b/sub/p.jpg"]
    assert found[3:] == ["e.jpg", "z/y.jpg"]
    assert keys(root) == found


def test_a_link_to_a_hidden_or_excluded_folder_of_the_root_is_followed(tmp_path: Path) -> None:
    touch(tmp_path, ".data/a.jpg", "raw/b.jpg")
    (tmp_path / "photos").symlink_to(".data")
    (tmp_path / "other").symlink_to("raw")
    assert keys(tmp_path) == ["photos/a.jpg", "raw/b.jpg"]
    assert keys(tmp_path, exclude=("raw",)) == ["other/b.jpg", "photos/a.jpg"]


def test_a_root_that_is_a_link(tmp_path: Path) -> None:
    touch(tmp_path / "real", "a.jpg", "b/c.jpg")
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "real" / "back").symlink_to("../link")
    assert keys(tmp_path / "link") == ["a.jpg", "b/c.jpg"]


def test_circles_end_where_the_disk_has_no_file_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from facesearch.sources import folder

    touch(tmp_path / "root", "a.jpg")
    touch(tmp_path / "out", "b.jpg", "c/d.jpg")
    (tmp_path / "root" / "l").symlink_to(tmp_path / "out")
    (tmp_path / "out" / "c" / "up").symlink_to(tmp_path / "out")
    (tmp_path / "out" / "c" / "root").symlink_to(tmp_path / "root")
    monkeypatch.setattr(folder, "_number_of", lambda status: 0)
    assert keys(tmp_path / "root") == ["a.jpg", "l/b.jpg", "l/c/d.jpg"]


@pytest.fixture
def deep_tree(tmp_path: Path) -> Iterator[Path]:
    """A photo 1,500 levels down, and one at 2,100, beyond the system's longest path."""
    start = Path.cwd()
    root = tmp_path / "deep"
    root.mkdir()
    try:
        os.chdir(root)
        for level in range(1, 2101):
            Path("d").mkdir()
            os.chdir("d")
            if level in {1500, 2100}:
                Path("a.jpg").write_bytes(b"x")
        os.chdir(start)
        yield root
    finally:
        os.chdir(start)
        subprocess.run(["rm", "-rf", root], check=True)  # shutil.rmtree recurses


def test_a_tree_of_1500_levels(deep_tree: Path) -> None:
    source = FolderSource(deep_tree)
    assert [entry.key for entry in source.entries()] == ["d/" * 1500 + "a.jpg"]
    assert [failure.reason for failure in source.unreadable] == ["io-error"]
    assert source.hides("d/" * 2100 + "a.jpg")
    assert not source.hides("d/" * 1500 + "b.jpg")


def test_only_regular_files_and_the_rest_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path, "a.jpg")
    os.mkfifo(tmp_path / "p.jpg")
    (tmp_path / "gone.jpg").symlink_to("nowhere")
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    (tmp_path / "zero.jpg").symlink_to(os.devnull)
    monkeypatch.chdir(tmp_path)  # the path of a socket is at most 100 bytes long
    source = FolderSource(tmp_path)
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind("s.jpg")
        assert [entry.key for entry in source.entries()] == ["a.jpg"]
    expected = {"fifo": 1, "broken link": 2, "device": 1, "socket": 1}
    assert source.not_read == expected
    assert source.unreadable == []
    list(source.entries())
    assert source.not_read == expected, "a second walk begins anew"


def refuse(monkeypatch: pytest.MonkeyPatch, folder: Path, error: OSError) -> None:
    """Let the listing of one folder fail (file modes mean nothing to the superuser)."""
    really = os.scandir

    def scandir(path: str | os.PathLike[str]) -> object:
        if Path(path) == folder:
            raise error
        return really(path)

    monkeypatch.setattr(os, "scandir", scandir)


def test_folders_that_cannot_be_listed_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path, "a/x.jpg", "ab/y.jpg", "z.jpg")
    refuse(monkeypatch, tmp_path / "a", PermissionError(13, "Permission denied"))
    source = FolderSource(tmp_path)
    assert [entry.key for entry in source.entries()] == ["ab/y.jpg", "z.jpg"]
    (failure,) = source.unreadable
    assert (failure.path, failure.reason) == (str(tmp_path / "a"), "unreadable")
    assert failure.message.startswith(f"{tmp_path / 'a'}: ")
    assert source.unreadable_prefixes == ["a/"]
    assert source.hides("a/x.jpg")
    assert not source.hides("ab/y.jpg")
    refuse(monkeypatch, tmp_path, OSError(5, "Input/output error"))
    assert list(source.entries()) == []
    assert source.unreadable_prefixes == [""]
    assert source.hides("z.jpg")


@pytest.mark.skipif(os.geteuid() == 0, reason="file modes mean nothing to the superuser")
def test_a_folder_without_permission(tmp_path: Path) -> None:
    touch(tmp_path, "a/x.jpg", "b.jpg")
    (tmp_path / "a").chmod(0)
    source = FolderSource(tmp_path)
    assert [entry.key for entry in source.entries()] == ["b.jpg"]
    assert root_state(tmp_path / "a") == "unreadable"
    (tmp_path / "a").chmod(0o700)
    assert [failure.reason for failure in source.unreadable] == ["unreadable"]


def test_a_missing_root_hides_everything(tmp_path: Path) -> None:
    source = FolderSource(tmp_path / "gone")
    assert list(source.entries()) == []
    assert [failure.reason for failure in source.unreadable] == ["vanished"]
    assert source.hides("any/key.jpg")


def test_root_states(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "a/x.jpg", "hidden/.DS_Store", "hidden/lost+found/x")
    (tmp_path / "empty").mkdir()
    assert root_state(tmp_path / "a") == "there"
    assert root_state(tmp_path / "a" / "x.jpg") == "there"
    assert root_state(tmp_path / "empty") == root_state(tmp_path / "hidden") == "empty"
    assert root_state(tmp_path / "gone") == root_state(tmp_path / "a" / "x.jpg" / "y") == "missing"
    refuse(monkeypatch, tmp_path / "a", OSError(116, "Stale file handle"))
    assert root_state(tmp_path / "a") == "unreadable"


def test_probe_agrees_with_the_odd_folder(tmp_path: Path) -> None:
    outcomes = write_odd_photos(tmp_path)
    source = FolderSource(tmp_path)
    found = {}
    for entry in source.entries():
        probe = source.probe(entry)
        if isinstance(probe, Failure):
            assert probe.path == str(tmp_path / entry.key)
            assert "\n" not in probe.message
        found[entry.key] = probe.reason if isinstance(probe, Failure) else probe
    for name, outcome in outcomes.items():
        # What is broken further down is found when it is decoded.
        as_probed = {"ok": "photo", "truncated": "photo", "damaged": "photo", "too-large": "photo"}
        assert found.get(name, "not-read") == as_probed.get(outcome, outcome), name
    assert set(found) <= set(outcomes)
    kinds = {".txt": 2, ".mov": 1, ".nef": 1, ".db": 1, "fifo": 1, "broken link": 1}
    assert source.not_read == kinds


def test_probe_of_what_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "a.jpg", "b.tmp", "c.JPG", "d.tmp", "e", "f.what ever", "g.~1~")
    source = FolderSource(tmp_path)
    entries = {entry.key: entry for entry in source.entries()}
    for name in ("a.jpg", "b.tmp"):
        (tmp_path / name).unlink()
    gone = source.probe(entries["a.jpg"])
    assert isinstance(gone, Failure)
    assert gone.reason == "vanished"
    assert source.probe(entries["b.tmp"]) == "not-read"
    for name in ("e", "f.what ever", "g.~1~"):
        assert source.probe(entries[name]) == "not-read"
    assert source.not_read == {".tmp": 1, "no extension": 1, "other": 2}

    def refused(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refused)
    for name in ("c.JPG", "d.tmp"):
        probe = source.probe(entries[name])
        assert isinstance(probe, Failure)
        assert probe.reason == "unreadable"


def test_probe_looks_at_content_and_leaves_raw_alone(tmp_path: Path) -> None:
    picture = lopsided_picture((8, 6))
    cr2 = b"II*\0\x10\0\0\0CR\x02\0" + bytes(100)
    cr3 = b"\0\0\0\x18ftypcrx \0\0\0\x01crx isom" + bytes(100)
    contents = {
        "a.dat": (encoded(picture, "AVIF"), "photo"),
        "b": (encoded(picture, "HEIF"), "photo"),
        "c.pdf": (encoded(picture, "BMP"), "photo"),
        "d.webp": (encoded(picture, "TIFF", big_tiff=True), "photo"),
        "e.ARW": (encoded(picture, "TIFF"), "not-read"),
        "f.cr2": (cr2, "not-read"),
        "g": (cr2, "not-read"),
        "h.cr3": (cr3, "not-read"),
        "i.mp4": (b"\0\0\0\x18ftypisom\0\0\0\x01isommp42" + bytes(100), "not-read"),
        "j.txt": (b"BM, RIFF and GIF8 are how files begin" + bytes(20), "not-read"),
        "k.wav": (b"RIFF\x24\0\0\0WAVEfmt " + bytes(30), "not-read"),
    }
    for name, (data, _) in contents.items():
        (tmp_path / name).write_bytes(data)
    source = FolderSource(tmp_path)
    found = {entry.key: source.probe(entry) for entry in source.entries()}
    assert found == {name: outcome for name, (_, outcome) in contents.items()}
