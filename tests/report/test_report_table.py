"""The table: what a person reads."""

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from facesearch.records import Box, Coverage, Progress, QueryFace
from facesearch.report import render_query
from facesearch.report.table import coverage_line
from facesearch.report.terminal import display_width, escape, shorten


def lines_of(report, now):
    return render_query(report, "table", now).decode().splitlines()


def test_the_whole_table(report_of, found, neighbor, failed, now):
    report = report_of(
        found(
            neighbor(),
            neighbor(rank=2, path="/photos/b.jpg", taken="", also=("/photos/copy of b.jpg",)),
        ),
        failed,
    )
    assert lines_of(report, now) == [
        "me.jpg: face 1 of 2 (also: 2 at 100,6)",
        "rank  similarity  distance  face  taken       path",
        "   1       0.813     0.612     2  2019-07-01  /photos/a.jpg",
        "   2       0.813     0.612     2              /photos/b.jpg",
        "                                              also /photos/copy of b.jpg",
        "",
        "no face found in blank.jpg: lower --min-score or give --box",
        "",
        "15,769 faces in 13,232 photos; 1 without a face, 0 failed, 0 roots away, indexed today",
    ]


def test_a_calibrated_store(report_of, found, neighbor, now):
    rows = [
        (0.2, 0.004, "likely"),
        (0.4, 0.1, "possible"),
        (0.5, 0.2, "possible"),
        (0.9, 3.0, "unlikely"),
        (1.0, 1234.5, "unlikely"),
    ]
    near = [
        neighbor(rank=rank, distance=distance, expected_false_matches=strangers, band=band)
        for rank, (distance, strangers, band) in enumerate(rows, start=1)
    ]
    lines = lines_of(report_of(replace(found(*near), searched=4_140_000)), now)
    assert lines[1].startswith("rank  similarity  distance  band      face  taken ")
    assert [line.split()[0] for line in lines[2:9]] == ["1", "--", "2", "3", "--", "4", "5"]
    assert lines[2].split()[3] == "likely"
    assert lines[3] == (
        "-- beyond here about 0.1 false matches are to be expected among 4.1 million faces --"
    )
    assert lines[6] == (
        "-- beyond here about 1 false match is to be expected among 4.1 million faces --"
    )
    assert lines[9] == "about 1,200 false matches among 4.1 million faces at this distance"


def test_both_passed_at_once_are_one_line(report_of, found, neighbor, now):
    near = [neighbor(expected_false_matches=7.0, band="unlikely")]
    lines = lines_of(report_of(replace(found(*near), searched=1)), now)
    assert lines[2] == "-- beyond here about 1 false match is to be expected among 1 face --"
    assert len([line for line in lines if line.startswith("--")]) == 1


@pytest.mark.parametrize(
    ("expected", "said"),
    [
        (1e-9, "fewer than 0.01 false matches"),
        (0.0349, "about 0.035 false matches"),
        (0.996, "about 1 false match"),
        (2.64, "about 2.6 false matches"),
        (31.4, "about 31 false matches"),
        (5_120_000, "about 5.1 million false matches"),
    ],
)
def test_how_many_false_matches_the_last_row_brings(
    report_of, found, neighbor, now, expected, said
):
    near = neighbor(expected_false_matches=expected, band="unlikely")
    lines = lines_of(report_of(replace(found(near), searched=15_769)), now)
    assert f"{said} among 15,769 faces at this distance" in lines


def test_without_a_calibration_nothing_is_said_of_it(report_of, found, now):
    text = "\n".join(lines_of(report_of(replace(found(), searched=15_769)), now))
    assert "band" not in text
    assert "false match" not in text


def test_whole_photos_have_no_faces_to_tell_of(report_of, found, neighbor, coverage, now):
    near = neighbor(face=None, box=None, similarity=None, distance=1234.5, taken="")
    asked = found(near, face=None, faces=(), examples=(("me.jpg", None),))
    report = report_of(asked, coverage=replace(coverage, subject="photo", without_face=0))
    assert lines_of(report, now) == [
        "me.jpg",
        "rank  distance  path",
        "   1  1234.500  /photos/a.jpg",
        "",
        "13,232 photos; 0 failed, 0 roots away, indexed today",
    ]


def test_without_capture_times_there_is_no_column_for_them(report_of, found, neighbor, now):
    assert "taken" not in lines_of(report_of(found(neighbor(taken=""))), now)[1]


def test_same_person_shows_which_example_was_nearest(report_of, found, neighbor, now):
    examples = (("x/one.jpg", 1), ("x/two.jpg", 1))
    lines = lines_of(report_of(found(neighbor(example="x/two.jpg"), examples=examples)), now)
    assert lines[0] == "one person in 2 photos: x/one.jpg, x/two.jpg"
    assert "nearest to" in lines[1]
    assert "two.jpg" in lines[2]


@pytest.mark.parametrize(
    ("changes", "headline"),
    [
        ({"faces": (QueryFace(1, Box(0, 0, 1, 1), 1),)}, "me.jpg: face 1"),
        ({"face": None}, "me.jpg"),
        ({"face": 0}, "me.jpg: the given box"),
        ({"path": "-"}, "standard input: face 1 of 2 (also: 2 at 100,6)"),
        (
            {"faces": tuple(QueryFace(n, Box(n, 0, 1, 1), 1) for n in range(1, 11)), "face": 3},
            "me.jpg: face 3 of 10 (also: 1 at 1,0; 2 at 2,0; 4 at 4,0; 5 at 5,0; 6 at 6,0; "
            "7 at 7,0; 3 more)",
        ),
        (
            {"examples": tuple((f"{n}.jpg", 1) for n in range(7))},
            "one person in 7 photos: 0.jpg, 1.jpg, 2.jpg, 3.jpg, 4.jpg, 2 more",
        ),
    ],
)
def test_headlines(report_of, found, now, changes, headline):
    assert lines_of(report_of(found(**changes)), now)[0] == headline


def test_many_copies_are_counted(report_of, found, neighbor, now):
    lines = lines_of(report_of(found(neighbor(also=tuple("abcdef")))), now)
    assert [line.strip() for line in lines[3:7]] == ["also a", "also b", "also c", "also 3 more"]


def test_notes_and_no_neighbours(report_of, found, now):
    result = replace(found(), neighbors=(), notes=("all nearer than\x1b --max-distance",))
    expected = ["note: all nearer than\\x1b --max-distance", "no neighbours"]
    assert lines_of(report_of(result), now)[1:3] == expected


def test_an_error_that_does_not_name_its_path_gets_it(report_of, failed, now):
    error = replace(failed.error, message="damaged")
    lines = lines_of(report_of(replace(failed, error=error)), now)
    assert lines[0] == "blank.jpg: damaged"


def test_wide_names_keep_the_columns_in_line(report_of, found, neighbor, now):
    examples = (("漢字.jpg", 1), ("e.jpg", 1))
    result = found(
        neighbor(example="漢字.jpg", path="P"),
        neighbor(example="e.jpg", path="P"),
        examples=examples,
    )
    header, *rows = lines_of(report_of(result), now)[1:4]
    columns = {display_width(line[: line.index("P")]) for line in rows}
    assert columns == {header.index("path")}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.text(st.characters(codec=None), min_size=1))
def test_any_name_stays_on_its_line_and_cannot_steer_the_terminal(
    report_of, found, neighbor, now, name
):
    plain = render_query(report_of(found(neighbor())), "table", now).decode()
    result = found(neighbor(path=name, example=name), path=name)
    text = render_query(report_of(result), "table", now).decode()
    assert text.count("\n") == plain.count("\n") == len(text.splitlines())
    assert not {"\x1b", "\x9b", "\x7f", "\u202e", "\u2066", "\u2028", "\r"} & set(text)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Zoë 漢字 😀 نام.jpg", "Zoë 漢字 😀 نام.jpg"),
        ("a\nb\tc\rd", "a\\nb\\tc\\rd"),
        ("\x1b[31m\x7f", "\\x1b[31m\\x7f"),
        ("\x9b2J", "\\u009b2J"),
        ("gpj.\u202egnp", "gpj.\\u202egnp"),
        ("\udcff\udc80", "\\xff\\x80"),
        ("\u2028\ufeff\U000e0041", "\\u2028\\ufeff\\U000e0041"),
        ("می\u200cخواهم 👩\u200d🚀", "می\u200cخواهم 👩\u200d🚀"),
    ],
)
def test_escapes(name, shown):
    assert escape(name) == shown


@given(text=st.text(max_size=60).map(escape), width=st.integers(2, 40))
def test_shortened_text_fits_and_keeps_both_ends(text, width):
    short = shorten(text, width)
    assert display_width(short) <= width
    head, mark, tail = short.partition("…") if short != text else (short, "…", "")
    assert mark
    assert text.startswith(head)
    assert text.endswith(tail)


def test_a_long_example_leaves_room_for_the_path(report_of, found, neighbor, now):
    long = "holiday-" * 10 + "0042.jpg"
    examples = ((long, 1), ("b.jpg", 1))
    lines = lines_of(report_of(found(neighbor(example=long), examples=examples)), now)
    assert "0042.jpg  /photos/a.jpg" in lines[2]
    assert lines[2].index("/photos") < 80


@pytest.mark.parametrize(
    ("indexed_at", "said"),
    [
        ("2026-05-04T00:00:00Z", "indexed today"),
        ("2026-05-03T23:59:59Z", "indexed yesterday"),
        ("2026-05-01T12:00:00Z", "indexed 3 days ago"),
        ("2026-01-31T12:00:00Z", "indexed on 2026-01-31"),
        ("2026-05-06T12:00:00Z", "indexed on 2026-05-06"),
        ("soon\x1b", "indexed at soon\\x1b"),
        ("", "not indexed to the end yet"),
    ],
)
def test_when_it_was_indexed(coverage, now, indexed_at, said):
    assert coverage_line(replace(coverage, indexed_at=indexed_at), now).endswith(f", {said}")


def test_today_is_that_of_the_reader(coverage):
    east = timezone(timedelta(hours=10))
    indexed = replace(coverage, indexed_at="2026-05-03T20:00:00Z")
    assert coverage_line(indexed, datetime(2026, 5, 4, 8, tzinfo=east)).endswith("today")


@pytest.mark.parametrize(
    ("progress", "said"),
    [
        (Progress(12_400, 50_000), "; index under way: 12,400 of 50,000"),
        (
            Progress(12_400, 50_000, running=False),
            "; index interrupted at 12,400 of 50,000: run facesearch index to go on",
        ),
    ],
)
def test_an_unfinished_index_is_said(coverage, now, progress, said):
    assert coverage_line(replace(coverage, progress=progress), now).endswith(said)


def test_one_of_each(now):
    line = coverage_line(Coverage(1, 1, 0, 2, 1, "2026-05-04T00:00:00Z"), now)
    assert line == "1 face in 1 photo; 0 without a face, 2 failed, 1 root away, indexed today"


def test_the_present_is_the_default(report_of, coverage):
    moment = datetime.now().astimezone().isoformat()
    report = report_of(coverage=replace(coverage, indexed_at=moment))
    assert b"indexed today" in render_query(report, "table")


def test_folded_photos_are_a_column(report_of, found, neighbor, now):
    folded = neighbor(similar=(neighbor(),) * 11)
    lines = render_query(report_of(found(folded, neighbor(rank=2))), "table", now).decode()
    head, first, second = lines.splitlines()[1:4]
    assert head.split()[:4] == ["rank", "similarity", "distance", "similar"]
    assert "  +11  " in first
    assert "+" not in second
    assert b"similar " not in render_query(report_of(found(neighbor())), "table", now)


def test_in_order_of_time_no_line_says_where_matches_end(report_of, found, neighbor, now):
    near = [
        neighbor(rank=rank, distance=rank / 10, expected_false_matches=expected, band="possible")
        for rank, expected in ((3, 1.5), (1, 0.01), (2, 0.2))
    ]
    by_date = replace(found(*near), by_date=True)
    text = render_query(report_of(by_date), "table", now).decode()
    assert "beyond here" not in text
    assert "about 1.5 false matches" in text
    assert "beyond here" in render_query(report_of(found(*near)), "table", now).decode()
