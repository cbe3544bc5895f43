"""A store of whole photos: every command copes with items that have no face and no box."""

from __future__ import annotations

import csv
import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facesearch.store import Store
from small_store import BLUE, MIDDLE, draw


@pytest.fixture
def unit(whole_store) -> bool:
    return Store.open(whole_store).recipe.extractor.unit


def test_query(program, whole_store, unit, red):
    done = program("query", red, "-k", 2)
    assert done.code == 0
    head, titles, first, _, blank, last = done.lines
    assert head == str(red)
    similarity = ["similarity"] if unit else []
    assert titles.split() == ["rank", *similarity, "distance", "path"]
    assert first.endswith("red1.png")
    assert blank == ""
    assert last == "10 photos; 0 failed, 0 roots away, indexed today"
    assert "face" not in done.out
    assert done.err == f"store: {whole_store}\n"


def test_json_and_csv(program, whole_store, unit, red):
    found = program("query", red, "-k", "all", "--json").json
    assert found["coverage"]["subject"] == "photo"
    assert found["coverage"]["without_face"] == 0
    (result,) = found["results"]
    assert (result["query"]["face"], result["query"]["faces"]) == (None, [])
    assert result["query"]["examples"] == [{"path": str(red), "face": None}]
    assert (result["searched"], len(result["neighbors"])) == (10, 10)
    for near in result["neighbors"]:
        assert (near["face"], near["box"]) == (None, None)
        assert (near["similarity"] is None) != unit
        assert near["id"].endswith("-1")
        assert (near["probability"], near["band"]) == (None, None)
    text = program("query", red, "--format", "csv").out
    rows = list(csv.DictReader(io.StringIO(text)))
    assert {row["face"] for row in rows} == {row["box_x"] for row in rows} == {""}
    lines = program("query", red, "--format", "ndjson", "-k", 1).lines
    assert len(lines) == 1


def test_rows_that_are_not_of_unit_length_lie_farther_than_2_apart(program, whole_store, unit, red):
    near = program("query", red, "-k", "all", "--json").json["results"][0]["neighbors"]
    distances = [line["distance"] for line in near]
    assert distances == sorted(distances)
    assert (distances[-1] > 2) != unit
    middle = (distances[4] + distances[5]) / 2
    nearer = program("query", red, "--max-distance", middle, "--format", "paths")
    assert nearer.code == 0
    assert len(nearer.lines) == 5


@pytest.mark.parametrize(
    "arguments",
    [["--face", "1"], ["--face", "all"], ["--box", "1,2,30,40"], ["--min-score", "0.5"]],
)
def test_what_belongs_to_faces_is_refused(program, whole_store, red, arguments):
    done = program("query", red, *arguments)
    assert done.code == 2
    assert done.raw == b""
    assert done.err.startswith(f"store: {whole_store}\n")
    assert "whole photos" in done.err
    assert arguments[0] in done.err


def test_the_filters_work_as_ever(program, whole_store, photos, folder):
    own = photos / "red" / "red1.png"
    shutil.copy(own, folder / "copy.png")
    paths = ("--format", "paths")
    first = program("query", "copy.png", *paths, "-k", 1).lines
    assert first == [str(own)]
    others = program("query", "copy.png", "--exclude-self", *paths).lines
    assert str(own) not in others
    assert len(others) == 9
    green = program("query", own, "--under", photos / "green", *paths).lines
    assert sorted(Path(path).stem for path in green) == ["green1", "green2"]
    by_face = program("query", own, "--by", "face", *paths, "-k", "all").lines
    assert by_face == program("query", own, *paths, "-k", "all").lines
    assert len(by_face) == 10


def test_several_photos_of_one_person(program, whole_store, red, folder):
    draw(folder / "blue.png", {BLUE: MIDDLE}, note=7)
    done = program("query", red, "blue.png", "--same-person", "-k", 4)
    assert done.lines[0] == f"one person in 2 photos: {red}, blue.png"
    near = {line.split()[-1]: line for line in done.lines[2:6]}
    assert all(("blue.png" if "blue" in path else "me.png") in line for path, line in near.items())
    sheet = program("query", red, "blue.png", "--same-person", "--contact-sheet", "two.png")
    assert sheet.code == 0


def test_a_photo_without_a_face_has_an_answer(program, whole_store, photos, folder):
    draw(folder / "sky.png", {}, note=3)
    done = program("query", "sky.png", "-k", 1, "--format", "paths")
    assert (done.code, done.lines) == (0, [str(photos / "none.png")])


def test_the_contact_sheet_shows_photos_without_boxes(program, whole_store, red, folder):
    assert program("query", red, "-k", 2, "--contact-sheet", "sheet.png").code == 0
    pixels = np.asarray(Image.open(folder / "sheet.png").convert("RGB")).astype(int)
    amber = np.abs(pixels - (255, 176, 32)).max(axis=2) < 12
    assert not amber.any()
    red_share = (np.abs(pixels - (200, 0, 0)).max(axis=2) < 12).mean()
    assert red_share > 0.01


def test_info(program, whole_store, photos):
    text = program("info").out
    assert "photos   10, each compared as a whole; 0 failed\n" in text
    assert "recipe   whole: the whole photo, facenet-128 (128-d)\n" in text
    assert "without a face" not in text
    assert program("info", "--json").json["coverage"]["subject"] == "photo"


def test_check(program, whole_store):
    assert program("check", "--deep").lines == [f"{whole_store}: sound"]
