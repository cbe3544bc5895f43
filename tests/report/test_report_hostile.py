"""Names that a stranger chose: in no format can they steer a terminal, run a formula or be code."""

import csv
import io
import json
import re
import unicodedata
from dataclasses import replace

import pytest
from made_evaluation import made_evaluation
from PIL import Image, ImageDraw, ImageFont

from facesearch.records import Failure, IndexSummary, QueryError, RootAway
from facesearch.report import escape, escape_lines, render_index_summary, render_query
from facesearch.report.evaluation import latex, spreadsheet, text
from facesearch.report.lettering import Lettering
from facesearch.report.table import coverage_line
from facesearch.report.wording import message_with_path

BIDI = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c"
NAMES = [
    "a\x1b[2J\x1b]0;owned\x07\x9b31m.jpg",
    f"a{BIDI}gpj.exe",
    "line\nbreak\rback\u2028\u2029\x85\x0b\x0c.jpg",
    "zero\x00\x7f\x08\ufeff\u200b.jpg",
    "\udcff\udc80\ud800.jpg",
    "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "\" onmouseover='alert(1)' x=\"&lt;",
    r"\input{/etc/passwd}%$_^&#~{}\end{tabular}",
    "%s%n{0}{name!r}",
    *(
        f"{start}cmd|' /C calc'!A0"
        for start in ("=", "+", "-", "@", "\t=", "\r=", "\n=", "＝", "＠")
    ),
]
UNSAFE = {*map(chr, {*range(32), *range(127, 160)} - {10}), *BIDI, "\u2028", "\u2029", "\ufeff"}
FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")

any_name = pytest.mark.parametrize("name", NAMES, ids=ascii)


@pytest.fixture
def hostile(report_of, found, neighbor, coverage):
    """A function that makes a report of nothing but one name."""

    def make(name):
        near = neighbor(
            path=name, root=name, relative_path=name, also=(name, name), id=name, taken=name,
            example=name, band=name,
        )  # fmt: skip
        good = found(near, path=name, examples=((name, 1), (name, 2)), faces=())
        bad = replace(good, error=QueryError("unreadable", f"{name}: {name}"), neighbors=())
        report = report_of(
            replace(good, notes=(name,)), bad, coverage=replace(coverage, indexed_at=name)
        )
        return replace(report, store=replace(report.store, path=name, recipe=name))

    return make


def safe(shown: str) -> bool:
    return not UNSAFE & set(shown) and not any("\ud800" <= mark <= "\udfff" for mark in shown)


@any_name
@pytest.mark.parametrize("format", ["table", "json", "ndjson", "csv"])
def test_answers_steer_no_terminal(hostile, name, format):
    shown = render_query(hostile(name), format).decode("utf-8")
    assert safe(shown.replace("\x7f", ""))  # which JSON leaves, and no terminal minds
    if format == "json":
        assert json.loads(shown)["results"][0]["neighbors"][0]["path"] == name
    if format == "ndjson":
        assert [json.loads(line)["store"]["path"] for line in shown.splitlines()] == [name] * 2


@any_name
@pytest.mark.parametrize("format", ["table", "json", "ndjson", "csv", "paths"])
def test_at_a_terminal_no_format_steers_it(hostile, name, format):
    if "\ud800" in name:  # no file can be called so, and none is
        name = name.replace("\ud800", "")
    assert safe(escape_lines(render_query(hostile(name), format)).decode("utf-8"))


@any_name
def test_no_cell_of_an_answer_is_a_formula(hostile, name):
    shown = render_query(hostile(name), "csv").decode()
    rows = list(csv.reader(io.StringIO(shown, newline="")))
    assert len(rows) == 3
    assert not [cell for row in rows for cell in row if cell.startswith(FORMULAS)]


@any_name
def test_an_index_run_steers_no_terminal(name):
    summary = IndexSummary(
        store=name,
        failures=(Failure(name, name, f"{name}: {name}"),),
        not_read={name: 3},
        roots_away=(RootAway(name, name, 2),),
        device=name,
    )
    for as_json in (False, True):
        shown = render_index_summary(summary, as_json).decode("utf-8")
        assert safe(shown.replace("\x7f", ""))


@any_name
def test_lines_for_people_steer_no_terminal(name, coverage, now):
    assert safe(escape(name))
    assert safe(message_with_path(name, f"{name}: {name}"))
    assert safe(coverage_line(replace(coverage, indexed_at=name), now))


@any_name
def test_letters_in_pictures_are_those_that_are_read(name):
    pieces = [piece for _, piece in Lettering()._pieces(name)]
    assert safe("".join(pieces))
    assert "\n" not in "".join(pieces)


STACKS = ["\u0301" * 200, "\u0301\u200d" * 200, "\u0489\u0323\ufe0f" * 90]


@pytest.mark.parametrize("marks", STACKS, ids=["one", "joined", "mixed"])
def test_no_pile_of_marks_reaches_other_lines(marks):
    shown = escape(f"a{marks}b{marks}.jpg")
    assert shown.startswith("a" + marks.replace("\u200d", "")[0])
    runs = re.findall("[\u0301\u0489\u0323\ufe0f\u200d]+", shown)
    assert all(len(run.replace("\u200d", "")) <= 4 for run in runs)
    assert shown.endswith(".jpg")
    lettering = Lettering()
    canvas = Image.new("L", (400, 200))
    text = lettering.shorten(f"a{marks}.jpg", 20, 360)
    lettering.draw(ImageDraw.Draw(canvas), (20, 150), text, 20, 255)
    _, top, right, bottom = canvas.getbbox()
    assert top > 150 - 45
    assert bottom < 150 + 25
    assert right < 390


@pytest.mark.parametrize(
    "text",
    [
        "Nguyễn Thị Hồng",
        "e\u0323\u0302",
        "น้ำตก ผู้ใหญ่",
        "שָׁלוֹם",
        "नमस्ते",
        "1\ufe0f\u20e3",
        "👩\u200d👧",
    ],
)
def test_what_people_write_stays(text):
    assert escape(text) == text
    assert escape(unicodedata.normalize("NFD", text)) == unicodedata.normalize("NFD", text)


def test_letters_that_show_nothing_are_named():
    shown = "\\u115f\\u1160\\u3164\\uffa0\\u2800\\u034f"
    assert escape("\u115f\u1160\u3164\uffa0\u2800\u034f") == shown


@pytest.mark.parametrize("mark", "\u3000\u2003\u0e49\u094d\u1ab0\U000e0100", ids=ascii)
def test_no_box_stands_for_a_character_that_no_font_has(mark):
    lettering = Lettering()
    for home, piece in lettering._pieces(f"a{mark}.jpg"):
        if mark in piece:
            font = lettering._font(home, 20).font_variant(layout_engine=ImageFont.Layout.BASIC)
            assert bytes(font.getmask(mark)) != bytes(font.getmask("\U0010ffff"))


@pytest.fixture(scope="module")
def evaluation():
    return made_evaluation()


def renamed(evaluation, name):
    systems = tuple(
        replace(system, name=name, title=name, message=name, remedy=name, notes=(name,))
        for system in evaluation.systems
    )
    dataset = replace(evaluation.dataset, folder=name, identical=((name, name),))
    return replace(
        evaluation, systems=systems, dataset=dataset, comparisons=(), command=name, made_at=name
    )


@any_name
def test_an_evaluation_steers_nothing(evaluation, name):
    found = renamed(evaluation, name.replace("\ud800", ""))
    assert safe(text.render(found))
    table = latex.render(found)
    assert safe(table)
    assert not [line for line in table.splitlines()[1:] if r"\input{" in line]  # after a comment
    assert sum(r"\end{tabular}" in line for line in table.splitlines()[1:]) == 1
    cells = [cell for row in csv.reader(io.StringIO(spreadsheet.render(found))) for cell in row]
    assert safe("".join(cells))
    assert not [
        cell
        for cell in cells
        if cell.startswith(FORMULAS) and not re.fullmatch(r"-?[\d.e-]+", cell)
    ]
