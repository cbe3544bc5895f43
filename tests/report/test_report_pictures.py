"""Contact sheet, numbered faces and their file."""

import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from facesearch.errors import FacesearchError
from facesearch.records import Box, QueryFace, Tile
from facesearch.report import lettering as lettering_module
from facesearch.report.contact_sheet import contact_sheet, neighbor_lines
from facesearch.report.lettering import Lettering
from facesearch.report.numbered_faces import numbered_faces
from facesearch.report.picture_file import write_png
from facesearch.report.terminal import escape

AMBER = (255, 176, 32)
BOX = Box(10, 10, 20, 20)


def tile(color=(0, 160, 0), box=BOX, lines=("1", "far", "name.jpg")):
    crop = np.full((40, 40, 3), color, dtype=np.uint8)
    view = np.full((60, 90, 3), 90, dtype=np.uint8)
    return Tile(crop, view, box, lines)


def count(image, color):
    return int((np.asarray(image) == color).all(axis=2).sum())


def test_every_face_and_box_is_on_the_sheet():
    colors = [(200, 0, 10 * n) for n in range(1, 8)]
    sheet = contact_sheet([tile((0, 0, 250))], [tile(color) for color in colors], "title")
    assert count(sheet, (0, 0, 250)) > 10_000
    assert all(count(sheet, color) > 10_000 for color in colors)
    boxless = contact_sheet([tile(box=None)], [tile(color, None) for color in colors], "title")
    assert count(boxless, AMBER) == 0 < count(sheet, AMBER)


def test_tiles_come_in_reading_order():
    colors = [(200, 0, 10 * n) for n in range(1, 8)]
    sheet = np.asarray(contact_sheet([tile()], [tile(color) for color in colors], "title"))
    corners = [np.argwhere((sheet == color).all(axis=2))[0] for color in colors]
    rows = [(int(y) // 50, int(x)) for y, x in corners]
    assert rows == sorted(rows)
    assert len({row for row, _ in rows}) > 1


def test_the_photos_shape_and_the_place_of_the_box_are_kept():
    sheet = np.asarray(contact_sheet([], [tile(box=Box(0, 0, 45, 60))], "t")).astype(int)
    ys, xs = np.nonzero((sheet == AMBER).all(axis=2))
    assert (np.ptp(xs) + 1) / (np.ptp(ys) + 1) == pytest.approx(45 / 60, abs=0.03)


@pytest.mark.parametrize(("neighbors", "queries"), [(0, 1), (1, 1), (25, 3), (61, 1), (1001, 40)])
def test_size_is_bounded(neighbors, queries):
    sheet = contact_sheet([tile()] * queries, [tile()] * neighbors, "title " * 60)
    assert sheet.mode == "RGB"
    assert sheet.width * sheet.height < 32_000_000
    assert 0.4 < sheet.width / sheet.height < 2.5


def test_what_is_left_out_is_said():
    whole = contact_sheet([tile()], [tile()] * 1000, "t")
    cut = contact_sheet([tile()], [tile()] * 1001, "t")
    assert cut.height > whole.height
    remark = np.asarray(cut)[whole.height :]
    assert len(np.unique(remark.reshape(-1, 3), axis=0)) > 3


@pytest.mark.parametrize(
    ("changes", "lines"),
    [
        ({"band": "possible"}, ("similarity 0.813", "distance 0.612 · possible")),
        ({"similarity": None}, ("distance 0.612",)),
        ({"similarity": None, "band": "likely"}, ("distance 0.612 · likely",)),
    ],
)
def test_neighbor_lines_say_what_is_known(neighbor, changes, lines):
    first, *rest = neighbor_lines(neighbor(path="/photos/x/a.jpg", **changes))
    assert (first, *rest) == (f"1 · {lines[0]}", *lines[1:], "a.jpg")


def test_neighbor_lines(neighbor):
    lines = neighbor_lines(neighbor(path="/photos/x/a.jpg"))
    assert lines == ("1 · similarity 0.813", "distance 0.612", "a.jpg")


@settings(deadline=None, max_examples=40)
@given(text=st.text(st.characters(codec=None), max_size=60), width=st.integers(40, 300))
def test_any_text_is_shortened_to_its_width(text, width):
    letters = Lettering()
    short = letters.shorten(text, 13, width)
    assert letters.width(short, 13) <= width
    assert escape(short) == short


def test_a_long_name_keeps_its_beginning_and_end():
    short = Lettering().shorten("holiday-" * 20 + "0042.jpeg", 13, 200)
    assert short.startswith("holiday")
    assert short.endswith("0042.jpeg")
    assert "…" in short


def test_letters_without_a_font_are_escaped(monkeypatch):
    monkeypatch.setattr(lettering_module, "_font_folders", list)
    letters = Lettering()
    assert letters.width("字.jpg", 13) == letters.width("\\u5b57.jpg", 13)


def test_broken_fonts_are_passed_over(monkeypatch, tmp_path):
    (tmp_path / "Broken.ttf").write_bytes(b"no font")
    monkeypatch.setattr(lettering_module, "_font_folders", lambda: [tmp_path, tmp_path / "gone"])
    assert Lettering().width("字", 13) == Lettering().width("\\u5b57", 13)


@pytest.mark.parametrize("shape", [(30, 20, 3), (1500, 3000, 3), (2000, 90, 3)])
def test_numbered_faces_are_legible_at_any_size(shape):
    photo = np.zeros(shape, dtype=np.uint8)
    height, width = shape[0] * 2, shape[1] * 2  # decoded at half size
    faces = [
        QueryFace(1, Box(0, 0, width / 4, height / 4), 0.9),
        QueryFace(2, Box(width / 2, height / 2, width / 4, height / 4), 0.9),
    ]
    picture = numbered_faces(photo, faces, 0.5, chosen=2)
    assert 900 <= max(picture.size) <= 2400
    ys, xs = np.nonzero((np.asarray(picture) == AMBER).all(axis=2))
    edge = xs[ys == ys.max()]
    assert edge.min() == pytest.approx(picture.width * 0.5, abs=3)
    assert edge.max() == pytest.approx(picture.width * 0.75, abs=3)
    assert ys.max() == pytest.approx(picture.height * 0.75, abs=3)
    assert count(picture, (255, 255, 255)) > 200
    assert count(numbered_faces(photo, faces, 0.5, chosen=None), AMBER) == 0


def test_numbers_differ_from_face_to_face():
    photo = np.zeros((100, 100, 3), dtype=np.uint8)
    box = Box(40, 40, 30, 30)
    first, second = (numbered_faces(photo, [QueryFace(n, box, 1)], 1, None) for n in (1, 2))
    assert first.tobytes() != second.tobytes()


def test_a_drawn_box_has_no_number():
    photo = np.zeros((100, 100, 3), dtype=np.uint8)
    box = Box(40, 40, 30, 30)
    drawn, numbered = (numbered_faces(photo, [QueryFace(n, box, 1)], 1, n) for n in (0, 1))
    assert count(drawn, AMBER) < count(numbered, AMBER)


def test_the_file_is_whole_private_and_alone(tmp_path):
    path = tmp_path / "sheet.png"
    path.write_bytes(b"old")
    write_png(Image.new("RGB", (4, 3), "red"), path)
    assert Image.open(path).size == (4, 3)
    assert [entry.name for entry in tmp_path.iterdir()] == ["sheet.png"]
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_full_disk_leaves_what_was_there(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, os.strerror(28))

    path = tmp_path / "sheet.png"
    path.write_bytes(b"old")
    image = Image.new("RGB", (4, 3))
    monkeypatch.setattr(image, "save", full)
    with pytest.raises(FacesearchError, match=r"sheet\.png: .*No space left"):
        write_png(image, path)
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["sheet.png"]


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FacesearchError, match=r"gone/sheet\.png: .*name a file"):
        write_png(Image.new("RGB", (4, 3)), tmp_path / "gone" / "sheet.png")
