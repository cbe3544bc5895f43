"""What a search looks through, counted by photo file."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from facesearch.gallery.facts import coverage_of, failures_of, roots_of
from facesearch.records import PhotoEntry, Progress
from facesearch.store import Root, Store, StoreWriter
from small_store import BLUE, GREEN, MIDDLE, RED, ColorEmbedder, draw, enroll, enrolling, recipe


@pytest.fixture
def photos(tmp_path) -> Path:
    folder = tmp_path / "photos"
    draw(folder / "two.png", {RED: (5, 5, 20, 20), GREEN: (50, 5, 20, 20)})
    draw(folder / "copy of two.png", {RED: (5, 5, 20, 20), GREEN: (50, 5, 20, 20)})
    draw(folder / "one.png", {BLUE: MIDDLE})
    draw(folder / "none.png", {})
    (folder / "broken.png").write_bytes((folder / "one.png").read_bytes()[:60])
    return folder


def test_coverage_counts_a_copy_at_each_path(photos, tmp_path):
    coverage = coverage_of(enroll(tmp_path / "faces.npz", [photos]))
    counts = (coverage.faces, coverage.photos, coverage.without_face, coverage.failed)
    assert counts == (5, 3, 1, 1)
    assert coverage.roots_away == 0
    assert coverage.progress is None
    assert coverage.indexed_at.endswith("Z")


def test_coverage_of_a_run_under_way_and_of_one_that_was_stopped(photos, tmp_path):
    path = tmp_path / "faces.npz"
    with enrolling(path, [photos], batch=2, progress=(4, 50)):
        assert coverage_of(Store.open(path)).progress == Progress(4, 50, running=True)
    assert coverage_of(Store.open(path)).progress == Progress(4, 50, running=False)


def test_roots_away_are_missing_ones_and_empty_mount_points(photos, tmp_path):
    for name in ("usb", "disk", "there"):
        shutil.copytree(photos, tmp_path / name)
    roots = [tmp_path / name for name in ("usb", "disk", "there")]
    store = enroll(tmp_path / "faces.npz", roots)
    shutil.rmtree(roots[0])
    shutil.rmtree(roots[1])
    roots[1].mkdir()
    facts = list(roots_of(store))
    assert [(root.number, root.there, root.photos) for root in facts] == [
        (1, False, 5),
        (2, False, 5),
        (3, True, 5),
    ]
    assert coverage_of(store).roots_away == 2


def test_an_empty_root_without_photos_is_not_away(tmp_path):
    (tmp_path / "empty").mkdir()
    assert coverage_of(enroll(tmp_path / "faces.npz", [tmp_path / "empty"])).roots_away == 0


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_root_below_a_folder_that_may_not_be_read_is_away(photos, tmp_path):
    inner = tmp_path / "locked" / "photos"
    shutil.copytree(photos, inner)
    store = enroll(tmp_path / "faces.npz", [inner])
    inner.parent.chmod(0)
    try:
        assert coverage_of(store).roots_away == 1
    finally:
        inner.parent.chmod(0o700)


def test_failures_with_path_and_reason(photos, tmp_path):
    (failure,) = failures_of(enroll(tmp_path / "faces.npz", [photos]))
    assert failure.path == str(photos / "broken.png")
    assert failure.reason == "truncated"
    assert failure.path in failure.message


def test_a_file_that_is_a_root_of_its_own(tmp_path):
    path = tmp_path / "broken.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n")
    with StoreWriter.open(tmp_path / "faces.npz", recipe()) as writer:
        writer.set_roots([Root.at(path, tmp_path)])
        writer.put((0, PhotoEntry("", 8, 1)), ColorEmbedder().result(path))
        writer.finish()
    (failure,) = failures_of(Store.open(tmp_path / "faces.npz"))
    assert failure.path == str(path)


def test_files_are_counted_a_piece_at_a_time(photos, tmp_path, monkeypatch):
    store = enroll(tmp_path / "faces.npz", [photos])
    whole = coverage_of(store)
    for size in (1, 2, 3):
        monkeypatch.setattr("facesearch.gallery.facts._FILES_AT_ONCE", size)
        assert coverage_of(Store.open(store.path)) == whole
    assert whole.photos + whole.without_face + whole.failed == len(store.files)
