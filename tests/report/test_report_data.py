"""JSON, NDJSON, CSV and paths: what programs read."""

import csv
import io
import json
import math
import os
from dataclasses import replace
from typing import get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from facesearch.records import Box, Progress
from facesearch.report import FORMATS, Format, escape, render_query
from facesearch.report.paths import left_out
from facesearch.report.spreadsheet import COLUMNS

# As os.listdir gives them on Linux: any bytes but "/" and NUL.
NAMES = st.binary(min_size=1, max_size=40).map(
    lambda raw: os.fsdecode(raw.replace(b"\0", b"_").replace(b"/", b"_"))
)
any_name = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def loaded(report, format="json"):
    return json.loads(render_query(report, format))


def rows_of(report):
    text = render_query(report, "csv").decode()
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_the_whole_document(report_of, found, failed, coverage):
    coverage = replace(coverage, progress=Progress(3, 9))
    report = report_of(
        replace(found(), notes=("two faces",), searched=15767), failed, coverage=coverage
    )
    assert loaded(report) == {
        "schema": 1,
        "store": {
            "path": "/photos/faces.npz",
            "recipe": "facenet",
            "recipe_digest": "aa" * 32,
            "space_digest": "bb" * 32,
            "dim": 128,
        },
        "coverage": {
            "subject": "face",
            "faces": 15769,
            "photos": 13232,
            "without_face": 1,
            "failed": 0,
            "roots_away": 0,
            "indexed_at": "2026-05-04T00:00:00Z",
            "progress": {"done": 3, "total": 9, "running": True},
        },
        "results": [
            {
                "query": {
                    "path": "me.jpg",
                    "face": 1,
                    "faces": [
                        {"number": 1, "box": [5, 6, 50, 60], "score": 0.98},
                        {"number": 2, "box": [100, 6, 20, 30], "score": 0.97},
                    ],
                    "width": 800,
                    "height": 600,
                    "examples": [{"path": "me.jpg", "face": 1}],
                },
                "neighbors": [
                    {
                        "rank": 1,
                        "id": "00112233445566ff-2",
                        "path": "/photos/a.jpg",
                        "root": "/photos",
                        "relative_path": "a.jpg",
                        "also": [],
                        "face": 2,
                        "distance": 0.612346,
                        "similarity": 0.812516,
                        "probability": None,
                        "expected_false_matches": None,
                        "band": None,
                        "box": [10.12, 20, 30, 40.5],
                        "width": 640,
                        "height": 480,
                        "taken": "2019-07-01T12:30:00",
                        "score": 0.9999,
                        "example": "me.jpg",
                        "similar": [],
                    }
                ],
                "searched": 15767,
                "notes": ["two faces"],
            },
            {
                "query": {
                    "path": "blank.jpg",
                    "face": None,
                    "faces": [],
                    "width": 0,
                    "height": 0,
                    "examples": [],
                },
                "error": {
                    "code": "no-face",
                    "message": "no face found in blank.jpg: lower --min-score or give --box",
                },
                "notes": [],
            },
        ],
    }


def test_the_shape_is_the_same_with_nothing_to_tell(report_of):
    document = loaded(report_of())
    assert list(document) == ["schema", "store", "coverage", "results"]
    assert document["results"] == []
    assert document["coverage"]["progress"] is None


def test_numbers_that_json_lacks_become_null(report_of, found, neighbor):
    odd = neighbor(distance=math.nan, similarity=math.inf, box=Box(math.nan, 1, 2, 3))
    entry = loaded(report_of(found(odd)))["results"][0]["neighbors"][0]
    assert (entry["distance"], entry["similarity"], entry["box"]) == (None, None, [None, 1, 2, 3])
    assert loaded(report_of(found(neighbor(box=None))))["results"][0]["neighbors"][0]["box"] is None


@any_name
@given(name=NAMES)
def test_json_carries_any_name(report_of, found, neighbor, name):
    result = found(neighbor(path=name, also=(name,)), path=name)
    text = render_query(report_of(result), "json")
    text.decode("ascii")
    result = json.loads(text)["results"][0]
    assert os.fsencode(result["query"]["path"]) == os.fsencode(name)
    assert os.fsencode(result["neighbors"][0]["path"]) == os.fsencode(name)
    assert os.fsencode(result["neighbors"][0]["also"][0]) == os.fsencode(name)


def test_ndjson_lines_hold_what_the_document_holds(report_of, found, failed):
    report = report_of(found(), failed, found(path="you\u2028.jpg"))
    document = loaded(report)
    results = document.pop("results")
    lines = render_query(report, "ndjson").decode().split("\n")
    assert lines.pop() == ""
    assert [json.loads(line) for line in lines] == [document | result for result in results]


def test_csv_has_a_row_for_each_neighbour_and_each_failure(report_of, found, neighbor, failed):
    second = neighbor(rank=2, box=None, also=("/b", "/c,d"), distance=math.nan)
    rows = rows_of(report_of(found(neighbor(), second), failed))
    assert [row["query"] for row in rows] == ["me.jpg", "me.jpg", "blank.jpg"]
    assert rows[0] == {
        "query": "me.jpg",
        "query_face": "1",
        "rank": "1",
        "id": "00112233445566ff-2",
        "path": "/photos/a.jpg",
        "root": "/photos",
        "relative_path": "a.jpg",
        "also": "",
        "face": "2",
        "distance": "0.612346",
        "similarity": "0.812516",
        "probability": "",
        "expected_false_matches": "",
        "band": "",
        "box_x": "10.12",
        "box_y": "20.0",
        "box_width": "30.0",
        "box_height": "40.5",
        "width": "640",
        "height": "480",
        "taken": "2019-07-01T12:30:00",
        "score": "0.9999",
        "example": "me.jpg",
        "similar": "",
        "error": "",
    }
    assert json.loads(rows[1]["also"]) == ["/b", "/c,d"]
    assert rows[1]["box_x"] == rows[1]["distance"] == ""
    assert rows[2]["error"] == f"no-face: {failed.error.message}"
    assert {row["rank"] for row in rows} == {"1", "2", ""}


def test_csv_without_results_is_its_header(report_of):
    text = render_query(report_of(), "csv").decode()
    assert text == ",".join(f'"{column}"' for column in COLUMNS) + "\n"


@any_name
@given(name=NAMES)
def test_csv_carries_any_name_and_runs_no_formula(report_of, found, neighbor, name):
    report = report_of(found(neighbor(path=name, relative_path=name, example=name), path=name))
    (row,) = rows_of(report)
    for column in ("query", "path", "relative_path", "example"):
        assert row[column].removeprefix("./") == escape(name).removeprefix("./")
        assert row[column] == "-" or row[column][0] not in "=+-@\t\r\n＝＋－＠"


@pytest.mark.parametrize("start", "=+-@\t\r\n＝＋－＠")
def test_csv_defuses_formulas(report_of, found, neighbor, failed, start):
    bad = f"{start}HYPERLINK(1)"
    shown = escape(bad)
    error = replace(failed.error, code=bad)
    first, second = rows_of(
        report_of(found(neighbor(path=bad, taken=bad)), replace(failed, error=error))
    )
    assert first["path"] == f"./{shown}"
    assert first["taken"] == f"'{shown}"
    assert second["error"].startswith(f"'{shown}")


def test_csv_leaves_standard_input_and_negative_numbers_alone(report_of, found, neighbor):
    (row,) = rows_of(report_of(found(neighbor(similarity=-0.5), path="-")))
    assert (row["query"], row["similarity"]) == ("-", "-0.5")


def test_how_sure_a_neighbour_is(report_of, found, neighbor):
    sure = neighbor(probability=0.98765432, expected_false_matches=1.23456e-7, band="likely")
    entry = loaded(report_of(found(sure)))["results"][0]["neighbors"][0]
    assert entry["probability"] == 0.987654
    assert entry["expected_false_matches"] == 1.235e-7
    assert entry["band"] == "likely"
    (row,) = rows_of(report_of(found(sure)))
    assert (row["probability"], row["band"]) == ("0.987654", "likely")
    assert float(row["expected_false_matches"]) == 1.235e-7


def test_a_whole_photo_has_no_face_and_no_box(report_of, found, neighbor, coverage):
    near = neighbor(face=None, box=None, similarity=None, distance=12345.6789)
    result = found(near, face=None, faces=(), examples=(("me.jpg", None),))
    report = report_of(result, coverage=replace(coverage, subject="photo"))
    document = loaded(report)
    assert document["coverage"]["subject"] == "photo"
    query, entry = document["results"][0]["query"], document["results"][0]["neighbors"][0]
    assert (query["face"], query["faces"]) == (None, [])
    assert query["examples"] == [{"path": "me.jpg", "face": None}]
    assert (entry["face"], entry["box"], entry["similarity"]) == (None, None, None)
    (row,) = rows_of(report)
    assert {row[name] for name in ("query_face", "face", "box_x", "similarity")} == {""}
    assert row["distance"] == "12345.6789"


@pytest.mark.parametrize(("format", "end"), [("paths", b"\n"), ("paths0", b"\0")])
def test_paths_are_raw_and_each_is_there_once(report_of, found, neighbor, failed, format, end):
    odd = os.fsdecode(b"/photos/\xff\x1b.jpg")
    report = report_of(
        found(neighbor(path="/b.jpg", also=("/a.jpg",)), neighbor(path=odd)),
        failed,
        found(neighbor(path=odd), neighbor(path="/c.jpg")),
    )
    expected = [b"/b.jpg", b"/photos/\xff\x1b.jpg", b"/c.jpg"]
    assert render_query(report, format) == b"".join(path + end for path in expected)


@pytest.mark.parametrize("breaking", ["\n", "\r", "\r\n"])
def test_a_name_of_two_lines_is_no_line(report_of, found, neighbor, breaking):
    odd = f"/photos/a{breaking}/etc/passwd"
    report = report_of(found(neighbor(path="/b.jpg"), neighbor(path=odd)))
    assert render_query(report, "paths") == b"/b.jpg\n"
    assert render_query(report, "paths0") == f"/b.jpg\0{odd}\0".encode()
    assert left_out(report) == [odd]


def test_every_format_is_registered():
    assert set(FORMATS) == set(get_args(Format))
