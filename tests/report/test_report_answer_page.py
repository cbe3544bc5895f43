"""The page of an answer: complete, small, and harmless whatever files are called."""

from __future__ import annotations

import base64
import io
import json
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from facesearch.errors import UsageError
from facesearch.records import Box, Shown
from facesearch.report.answer_page import (
    FACE_SIDE,
    MARK,
    MOST_NEIGHBORS,
    VIEW_SIDE,
    Example,
    is_answer_page,
    render,
    require_page,
)

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\u202e\n'\"&{{7*7}}.jpg"


class Noise:
    """Pictures that hardly compress, as detailed photos do."""

    def __init__(self, size=(300, 200), why=""):
        self.asked = []
        self._size = size
        self._why = why

    def _pixels(self, width, height, seed):
        coarse = np.random.default_rng(seed).integers(0, 255, (height // 8, width // 8, 3))
        image = Image.fromarray(coarse.astype(np.uint8)).resize((width, height), 3)
        return np.asarray(image)

    def of_example(self, result, path, face):
        shown = Shown(self._pixels(90, 90, 1), self._pixels(*self._size, 2))
        return Example(shown, result.query.faces, face, result.query.width, result.query.height)

    def of_neighbor(self, neighbor):
        self.asked.append(neighbor.id)
        if self._why:
            return self._why
        return Shown(
            self._pixels(FACE_SIDE, FACE_SIDE, neighbor.rank),
            self._pixels(*self._size, neighbor.rank),
        )


def many(neighbor, count, **changes):
    return [
        neighbor(rank=n, id=f"{n:016x}-1", path=f"/p/{n}.jpg", distance=0.5 + n / 100, **changes)
        for n in range(1, count + 1)
    ]


def data_of(page):
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    return json.loads(found[1])


def pictures_of(page):
    for kind, text in re.findall(r"data:(image/\w+);base64,([A-Za-z0-9+/=]+)", page):
        assert kind == "image/webp"
        yield Image.open(io.BytesIO(base64.b64decode(text)))


def test_25_large_photos_are_under_2_mb(report_of, found, neighbor, now):
    pictures = Noise((VIEW_SIDE, 750))
    page = render(report_of(found(*many(neighbor, 25))), pictures, now)
    assert len(page.encode()) < 2_000_000
    views = [Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))
             for uri in data_of(page)["views"].values()]  # fmt: skip
    assert len(views) == 25
    # Downsized, and still a photo.
    assert all(max(view.size) >= 400 for view in views)
    assert all(view.width / view.height == pytest.approx(4 / 3, rel=0.02) for view in views)


def test_nothing_comes_from_elsewhere(report_of, found, neighbor, now):
    page = render(report_of(found(*many(neighbor, 3))), Noise(), now)
    assert not re.search(r"""(src|href|srcset|action)=["'](?!data:)""", page)
    assert "http" not in page.replace("http-equiv", "")
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page)[1]
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert "unsafe" not in policy
    assert " style=" not in page
    assert not re.search(r"\son\w+=", page)


def test_hostile_names_are_text(report_of, found, neighbor, now):
    near = neighbor(path=f"/p/{HOSTILE}", also=(f"/q/{HOSTILE}",), taken="<b>2019</b>")
    near = replace(near, similar=(near,))
    result = replace(found(near, path=HOSTILE), notes=(HOSTILE,))
    page = render(report_of(result), Noise(), now)
    assert page.count("<script") == 2
    assert page.count("<img") == 3  # the query, one face, the dialog's
    assert "alert(1)</script>" not in page
    assert "49.jpg" not in page
    assert "\u202e" not in page
    (card,) = data_of(page)["cards"]
    assert card["copied"] is None
    assert "\\n" in card["path"]
    assert "\n" not in card["path"] + "".join(card["also"] + card["similar"])


def test_a_name_that_is_not_utf_8_shows_its_bytes(report_of, found, neighbor, now):
    page = render(report_of(found(neighbor(path="/p/caf\udce9.jpg"))), Noise(), now)
    assert "caf\\xe9.jpg" in page
    page.encode()


def test_every_picture_has_a_text_and_pixels(report_of, found, neighbor, now):
    page = render(report_of(found(*many(neighbor, 3))), Noise(), now)
    alts = re.findall(r'<img src="data[^>]*alt="([^"]*)"', page)
    assert alts[0] == "me.jpg: 2 faces boxed"
    assert alts[1] == "rank 1, similarity 0.813: 1.jpg"
    assert len(alts) == 4
    assert len(list(pictures_of(page))) == 7


def test_all_faces_of_the_query_are_boxed(report_of, found, now):
    page = render(report_of(found()), Noise(), now)
    assert '<svg viewBox="0 0 800 600"' in page
    boxes = re.findall(r'<rect class="(box[^"]*)" x="(\d+)', page)
    assert boxes == [("box chosen", "5"), ("box", "100")]


def test_a_photo_is_kept_once_however_often_it_is_found(report_of, found, neighbor, now):
    one = neighbor(id="00112233445566ff-1")
    other = neighbor(id="00112233445566ff-2", rank=2)
    pictures = Noise()
    page = render(report_of(found(one, other), found(one, path="b.jpg")), pictures, now)
    assert pictures.asked == [one.id, other.id]
    assert list(data_of(page)["views"]) == ["00112233445566ff"]
    assert len(data_of(page)["cards"]) == 3


def test_photos_that_are_gone_say_why(report_of, found, neighbor, now):
    page = render(report_of(found(neighbor())), Noise(why="vanished"), now)
    assert "not shown: vanished" in page
    assert data_of(page)["views"] == {}
    assert data_of(page)["cards"][0]["why"] == "vanished"


def test_an_answer_without_neighbours_and_one_without_a_face(report_of, found, failed, now):
    page = render(report_of(replace(found(), neighbors=()), failed), Noise(), now)
    assert "No neighbours." in page
    assert "no face found in blank.jpg" in page
    assert 'id="threshold"' not in page


def test_bands_become_buttons(report_of, found, neighbor, now):
    near = many(neighbor, 4)
    banded = [
        replace(each, band=band, probability=0.5, expected_false_matches=0.1)
        for each, band in zip(near, ("likely", "likely", "possible", "unlikely"), strict=True)
    ]
    page = render(report_of(found(*banded)), Noise(), now)
    cuts = re.findall(r'data-cut="([\d.]+)">([a-z ]+)<', page)
    assert [(float(cut), name) for cut, name in cuts] == [
        (0.52, "likely"),
        (0.53, "likely and possible"),
        (0.54, "all"),
    ]


def test_folded_photos_are_counted(report_of, found, neighbor, now):
    folded = replace(neighbor(), similar=tuple(many(neighbor, 11)))
    page = render(report_of(found(folded)), Noise(), now)
    assert ">+11</span>" in page
    assert data_of(page)["cards"][0]["similar"][10] == "/p/11.jpg"


def test_more_than_can_be_shown(report_of, found, neighbor, now):
    near = many(neighbor, MOST_NEIGHBORS + 5)
    page = render(report_of(found(*near)), Noise((9, 9), why="away"), now)
    assert f"the first {MOST_NEIGHBORS:,} of {MOST_NEIGHBORS + 5:,}" in page
    assert len(data_of(page)["cards"]) == MOST_NEIGHBORS


def test_whole_photos_have_no_boxes(report_of, found, neighbor, now):
    whole = neighbor(face=None, box=None, similarity=None, distance=12.5)
    page = render(report_of(found(whole, face=None, faces=())), Noise(), now)
    assert data_of(page)["cards"][0]["box"] is None
    assert '<rect class="box" x' not in page
    assert "distance 12.500" in page


def test_a_box_goes_to_the_page_in_original_pixels(report_of, found, neighbor, now):
    page = render(report_of(found(neighbor(box=Box(1.26, 2, 3, 4)))), Noise(), now)
    (card,) = data_of(page)["cards"]
    assert (card["box"], card["size"]) == ([1.3, 2, 3, 4], [640, 480])


def test_names_for_pages(tmp_path):
    with pytest.raises(UsageError, match=r"ends in \.html"):
        require_page(tmp_path / "page.pdf")
    with pytest.raises(UsageError, match="folder does not exist"):
        require_page(tmp_path / "no" / "page.html")
    other = tmp_path / "mine.html"
    other.write_text("<!doctype html>")
    with pytest.raises(UsageError, match="there is a file already, no page"):
        require_page(other)
    other.write_text(f"<!doctype html>{MARK}")
    require_page(other)
    assert is_answer_page(other)
    assert not is_answer_page(tmp_path)
