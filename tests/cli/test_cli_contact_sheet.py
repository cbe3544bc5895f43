"""``--contact-sheet``: what is drawn, where, and what it never overwrites."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facesearch import tiles
from facesearch.gallery import Search
from facesearch.gallery.npz import NpzGallery
from facesearch.photos import PhotoLimits, read_photo
from facesearch.records import Box
from facesearch.store import Store
from small_store import BLUE, GOLD, GREEN, MIDDLE, RED, draw, enroll, row_of


def share(path, color) -> float:
    """How much of a picture is near a colour."""
    pixels = np.asarray(Image.open(path).convert("RGB")).astype(int)
    return float((np.abs(pixels - color).max(axis=2) < 12).mean())


def test_query_and_neighbours(program, store, red, folder):
    done = program("query", "me.png", "-k", 3, "--contact-sheet", "sheet.png")
    assert done.code == 0
    assert f"contact sheet: {folder / 'sheet.png'}" in done.err
    assert done.lines[0] == "me.png: face 1"
    with Image.open(folder / "sheet.png") as sheet:
        assert sheet.format == "PNG"
        assert sheet.width > 500
    assert share(folder / "sheet.png", RED) > 0.05
    again = program("query", "me.png", "-k", 3, "--contact-sheet", "sheet.png")
    assert again.code == 0


def test_several_answers_have_numbered_sheets(program, store, red, crowd, folder):
    done = program("query", "crowd.png", "me.png", "--face", "all", "--contact-sheet", "s.png")
    assert done.code == 0
    assert sorted(path.name for path in folder.glob("s*.png")) == [
        "s-2.png",
        "s-3.png",
        "s-4.png",
        "s.png",
    ]
    assert share(folder / "s.png", GREEN) > share(folder / "s-2.png", GREEN)
    assert share(folder / "s-3.png", BLUE) > share(folder / "s.png", BLUE)


def test_a_failed_query_has_no_sheet(program, store, folder):
    draw(folder / "sky.png", {})
    assert program("query", "sky.png", "--contact-sheet", "s.png").code == 3
    assert not (folder / "s.png").exists()


def test_examples_of_one_person_are_all_shown(program, store, red, folder):
    draw(folder / "gold.png", {GOLD: MIDDLE, (90, 90, 90): (0, 0, 8, 8)})
    one = program("query", "me.png", "-k", 1, "--contact-sheet", "one.png")
    two = program(
        "query", "me.png", "gold.png", "--same-person", "-k", 1, "--contact-sheet", "2.png"
    )
    assert (one.code, two.code) == (0, 0)
    assert share(folder / "2.png", GOLD) > 0.02 > share(folder / "one.png", GOLD)


def test_a_neighbour_that_is_gone_is_said_on_its_tile(program, store, red, photos, folder):
    (photos / "red" / "red1.png").unlink()
    done = program("query", "me.png", "-k", 2, "--contact-sheet", "sheet.png")
    assert done.code == 0
    assert (folder / "sheet.png").is_file()


@pytest.fixture
def near(store, photos):
    gallery = NpzGallery(Store.open(store))
    return gallery.search(row_of(RED)[None], ["q"], Search(1))[0]


def test_tiles_of_neighbours(near, photos):
    tile = tiles.neighbor_tile(near, ("1", "far"), PhotoLimits())
    assert tile.lines == ("1", "far")
    assert tile.view.shape == (100, 120, 3)
    assert tile.box == Box(30, 20, 40, 40)
    assert tile.crop.shape[0] > 40
    assert (tile.crop == RED).all(axis=2).mean() > 0.3
    draw(photos / "red" / "red1.png", {BLUE: MIDDLE})
    changed = tiles.neighbor_tile(near, ("1",), PhotoLimits())
    assert changed.lines == ("1", "not shown: changed since it was indexed")
    assert changed.box is None
    (photos / "red" / "red1.png").unlink()
    assert tiles.neighbor_tile(near, ("1",), PhotoLimits()).lines == ("1", "not shown: vanished")


def test_a_copy_stands_in_for_a_neighbour_that_is_gone(photos, folder):
    shutil.copy(photos / "red" / "red1.png", photos / "zz.png")
    gallery = NpzGallery(enroll(folder / "faces.npz", [photos]))
    (near,) = gallery.search(row_of(RED)[None], ["q"], Search(1))
    Path(near.path).unlink()
    tile = tiles.neighbor_tile(near, ("1",), PhotoLimits())
    assert tile.lines == ("1",)
    assert (tile.crop == RED).any()


def test_a_tile_of_a_photo_decoded_small(folder):
    path = draw(folder / "big.png", {RED: (400, 300, 200, 200)}, size=(1200, 1000))
    photo = read_photo(path, PhotoLimits(max_side=300))
    tile = tiles.query_tile(photo, [Box(400, 300, 200, 200)], 0, ("big.png",))
    assert max(tile.view.shape) == tiles.SIDE
    scale = tiles.SIDE / 1200
    assert tile.box is not None
    assert tile.box.x == pytest.approx(400 * scale)
    assert tile.box.width == pytest.approx(200 * scale)
    assert (np.abs(tile.crop.astype(int) - RED).max(axis=2) < 30).mean() > 0.25
    several = tiles.query_tile(photo, [Box(0, 0, 9, 9), Box(400, 300, 200, 200)], 1, ("big.png",))
    assert several.lines == ("big.png", "face 2 of 2")


def test_photos_are_never_overwritten(program, store, photos, folder):
    own = draw(folder / "own.png", {RED: MIDDLE})
    before = own.read_bytes()
    done = program("query", "own.png", "--contact-sheet", "own.png")
    assert done.code == 2
    assert "own.png: there is a file already, no contact sheet" in done.err
    os.link(own, folder / "other.png")
    assert program("query", "own.png", "--contact-sheet", "other.png").code == 2
    assert own.read_bytes() == before
    sheet = folder / "sheet.png"
    assert program("query", "own.png", "--contact-sheet", "sheet.png").code == 0
    drawn = sheet.stat().st_ino
    assert program("query", "own.png", "--contact-sheet", "sheet.png").code == 0
    assert sheet.stat().st_ino != drawn  # an earlier sheet is replaced
    enrolled = photos / "red" / "red1.png"
    before = enrolled.read_bytes()
    done = program("query", "own.png", "--contact-sheet", enrolled)
    assert done.code == 2
    assert enrolled.read_bytes() == before


def test_a_sheet_that_cannot_be_written(program, store, red, folder, monkeypatch):
    loaded = []
    monkeypatch.setattr("facesearch.processing.Pipeline", loaded.append)
    done = program("query", "me.png", "--contact-sheet", "no/such/sheet.png")
    assert done.code == 1
    assert "its folder does not exist" in done.err
    assert not loaded


def test_what_was_found_is_printed_before_the_sheet_fails(program, store, red, monkeypatch):
    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("facesearch.private.writing", full)
    done = program("query", "me.png", "-k", 1, "--contact-sheet", "sheet.png")
    assert done.code == 1
    assert done.lines[2].endswith("red1.png")
    assert "sheet.png: the picture cannot be written" in done.err


def test_many_neighbours_do_not_take_all_memory(program, store, red, monkeypatch):
    monkeypatch.setattr("facesearch.report.contact_sheet.MOST_NEIGHBORS", 3)
    made = []
    before = tiles.neighbor_tile
    monkeypatch.setattr(tiles, "neighbor_tile", lambda *a: made.append(a) or before(*a))
    assert program("query", "me.png", "-k", "all", "--contact-sheet", "s.png").code == 0
    assert len(made) == 3


def test_photos_of_any_name_are_drawn_within_their_tiles(program, folder, red):
    names = [
        *(b"a\x1b[2J\x07", b"line\nbreak", b"\xff\xfe" * 60, b"n" * 250, b"<script>alert(1)", b" "),
        *("\u202egpj", "\U0001f469\u200d\U0001f467" * 20, "a" + "\u0301" * 100, "\u05ea\u05de"),
    ]
    for number, name in enumerate(names):
        raw = name if isinstance(name, bytes) else name.encode()
        draw(folder / "photos" / os.fsdecode(raw + b".png"), {RED: MIDDLE}, note=number)
    enroll(folder / "faces.npz", [folder / "photos"])
    done = program("query", "me.png", "-k", "all", "--contact-sheet", "odd.png")
    assert done.code == 0, done.err
    with Image.open(folder / "odd.png") as sheet:
        assert sheet.format == "PNG"
    assert share(folder / "odd.png", RED) > 0.05
