"""Every format parses, says the same, and standard output has nothing but data."""

from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path

import pytest

from small_store import BLUE, GREEN, MIDDLE, RED, draw, enroll

COVERAGE = "faces in 9 photos; 1 without a face, 0 failed, 0 roots away, indexed today"


@pytest.fixture
def asked(red, crowd, folder):
    """A photo with a face, one with three, one with none, and one that cannot be read."""
    draw(folder / "sky.png", {})
    (folder / "bad.jpg").write_text("no photo")
    return ["me.png", "crowd.png", "sky.png", "bad.jpg"]


def test_json_has_one_shape(program, store, asked):
    done = program("query", *asked, "-k", 2, "--json")
    assert done.code == 0
    found = done.json
    assert set(found) == {"schema", "store", "coverage", "results"}
    assert found["schema"] == 1
    assert found["store"]["path"] == str(store)
    assert found["store"]["dim"] == 128
    assert found["coverage"]["faces"] == 10
    assert found["coverage"]["without_face"] == 1
    assert found["coverage"]["progress"] is None
    one, three, none, bad = found["results"]
    assert [len(result["query"]["faces"]) for result in (one, three, none, bad)] == [1, 3, 0, 0]
    near = one["neighbors"][0]
    assert set(near) >= {
        *("rank", "id", "path", "root", "relative_path", "also", "face", "distance"),
        *("similarity", "box", "width", "height", "taken", "score"),
    }
    assert near["rank"] == 1
    assert near["box"] == [30, 20, 40, 40]
    assert (near["width"], near["height"]) == (120, 100)
    assert Path(near["root"]) / near["relative_path"] == Path(near["path"])
    assert none["error"]["code"] == "no-face"
    assert bad["error"]["code"] == "not-a-photo"
    assert "neighbors" not in none
    assert three["notes"]
    # A person at the terminal sees what went wrong all the same, and nothing else.
    assert "sky.png: no face found" in done.err
    assert "bad.jpg: " in done.err
    assert len(done.err.splitlines()) == 3


def test_ndjson_is_one_result_a_line(program, store, asked):
    done = program("query", *asked, "-k", 2, "--format", "ndjson")
    rows = [json.loads(line) for line in done.lines]
    assert [row["query"]["path"] for row in rows] == asked
    assert all(row["coverage"]["faces"] == 10 for row in rows)


def test_csv_has_a_query_column(program, store, asked):
    done = program("query", *asked, "-k", 2, "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(done.out)))
    assert [row["query"] for row in rows] == ["me.png"] * 2 + ["crowd.png"] * 2 + asked[2:]
    assert [row["rank"] for row in rows] == ["1", "2", "1", "2", "", ""]
    assert rows[-2]["error"].startswith("no-face: ")
    assert all(Path(row["path"]).is_file() for row in rows[:4])
    # Standard output is data; what else there is to say goes beside it.
    assert COVERAGE in done.err
    assert "searched for face 2" in done.err
    assert "bad.jpg: " in done.err


@pytest.mark.parametrize(("format_", "end"), [("paths", b"\n"), ("paths0", b"\0")])
def test_paths(program, store, asked, format_, end):
    done = program("query", *asked, "-k", 3, "--format", format_)
    paths = done.raw.split(end)
    assert paths.pop() == b""
    assert len(paths) == len(set(paths)) > 2
    assert all(Path(os.fsdecode(path)).is_file() for path in paths)
    assert COVERAGE in done.err
    assert "sky.png: no face found" in done.err


def test_a_path_is_printed_once_when_a_photo_has_several_near_faces(program, photos, folder, red):
    draw(folder / "photos" / "twins.png", {RED: (5, 5, 20, 20), (201, 0, 0): (60, 5, 20, 20)})
    enroll(folder / "faces.npz", [photos])
    done = program("query", "me.png", "--by", "face", "-k", "3", "--format", "paths")
    assert sorted(Path(line).name for line in done.lines) == ["red1.png", "twins.png"]


NAME = os.fsdecode(b"caf\xe9 \xff.png")


def test_names_that_are_not_utf8_survive(program, folder, red):
    draw(folder / "photos" / NAME, {RED: MIDDLE})
    enroll(folder / "faces.npz", [folder / "photos"])
    expected = os.fsencode(folder / "photos" / NAME)
    assert program("query", "me.png", "--format", "paths").raw == expected + b"\n"
    found = program("query", "me.png", "--json").json
    path = found["results"][0]["neighbors"][0]["path"]
    assert os.fsencode(path) == expected
    assert Path(path).is_file()
    table = program("query", "me.png")
    assert table.code == 0
    assert "caf\\xe9 \\xff.png" in table.out
    for format_ in ("csv", "ndjson"):
        assert program("query", "me.png", "--format", format_).code == 0
    # and as the query itself
    asked = program("query", f"photos/{NAME}", "--json")
    assert os.fsencode(asked.json["results"][0]["query"]["path"]) == b"photos/caf\xe9 \xff.png"
    assert program("info").code == 0


def test_a_store_below_a_folder_that_is_not_utf8(program, tmp_path, red):
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/b\xe9/"))
    draw(odd / "photos" / "x.png", {RED: MIDDLE})
    enroll(odd / "faces.npz", [odd / "photos"])
    store = ("--store", odd / "faces.npz")
    for command in (["query", red], ["info"], ["check"], ["check", "--deep"], ["roots"]):
        done = program(*command, *store)
        assert done.code == 0, done.err
        assert "b\\xe9" in done.out + done.err
    (odd / "photos" / "x.png").unlink()
    done = program("check", "--deep", *store)
    assert done.code == 1
    assert "x.png: missing" in done.out
    missing = program("info", "--store", odd / "none.npz")
    assert missing.code == 1


def test_a_name_with_line_breaks_and_escapes_stays_on_its_line(program, folder, red):
    draw(folder / "photos" / "a\nb\x1b[2J.png", {BLUE: MIDDLE})
    enroll(folder / "faces.npz", [folder / "photos"])
    done = program("query", "me.png")
    assert "\x1b" not in done.out
    assert "a\\nb\\x1b[2J.png" in done.out
    zero = program("query", "me.png", "--format", "paths0")
    assert zero.raw == os.fsencode(folder / "photos" / "a\nb\x1b[2J.png") + b"\0"
    lines = program("query", "me.png", "--format", "paths")
    assert (lines.code, lines.raw) == (0, b"")
    assert "left out 1 photo with a line break in the name; --format paths0 has" in lines.err
    (row,) = csv.DictReader(program("query", "me.png", "--format", "csv").lines)
    assert row["relative_path"] == "a\\nb\\x1b[2J.png"
    (folder / "c\x1b[2J.jpg").write_bytes(b"")
    for format_ in ("table", "csv", "paths"):
        failed = program("query", "c\x1b[2J.jpg", "--format", format_)
        assert "\x1b" not in failed.err + (failed.out if format_ == "table" else "")
        assert failed.code == 1


def test_ids_and_numbers_are_stable_over_indexing(program, photos, folder, red):
    enroll(folder / "one.npz", [photos])
    enroll(folder / "two.npz", [photos], batch=3, finish=False)
    results = []
    for name in ("one.npz", "two.npz"):
        found = program("query", "me.png", "-k", "all", "--json", "--store", name).json
        results.append(found["results"])
    assert results[0] == results[1]
    assert len(results[0][0]["neighbors"]) == 9


def test_green_is_green(program, store, folder):
    draw(folder / "g.png", {GREEN: MIDDLE})
    assert program("query", "g.png", "-k", 1, "--format", "paths").lines[0].endswith("green1.png")
