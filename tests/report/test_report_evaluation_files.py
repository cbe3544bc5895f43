"""A report on disk: tables, figures and page, and what is never replaced."""

from __future__ import annotations

import base64
import csv
import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_evaluation import TRAINED_ON_IT, made_evaluation
from PIL import Image

from facesearch.errors import FacesearchError
from facesearch.report.evaluation import (
    drawing,
    figures,
    latex,
    read_evaluation,
    spreadsheet,
    write_report,
)
from facesearch.report.evaluation.page import render
from facesearch.report.evaluation.thumbnails import Thumbnails
from facesearch.results import Curve, Histogram, Measure

HOSTILE = "<script>alert(1)</script>\" onerror='x' & $x_1$ %\\{}~^#\x07\u202e\u0628 日本 =1"


def picture(path, box):
    if path.endswith("_0003.jpg"):
        return None
    shade = sum(path.encode()) % 200
    return np.full((60, 80, 3), shade, np.uint8)


@pytest.fixture(scope="module")
def made():
    return made_evaluation()


@pytest.fixture(scope="module")
def small(made):
    """Little to draw: one system's pairs."""
    facenet = replace(made.systems[0], identification=(), open_set=None)
    return replace(made, systems=(facenet, *made.systems[3:]), comparisons=())


@pytest.fixture(scope="module")
def report(made, tmp_path_factory):
    folder = tmp_path_factory.mktemp("reports") / "new" / "report"
    return folder, write_report(made, folder, picture)


@pytest.fixture(scope="module")
def page(report):
    return (report[0] / "index.html").read_text(encoding="utf-8")


class Reader(HTMLParser):
    """Gathers tags with their attributes and the text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data


def below(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_everything_is_written_and_named(report, made):
    folder, written = report
    assert written[0] == folder / "index.html"
    assert set(written) == {folder / name for name in below(folder)}
    names = {path.name for path in written}
    assert names >= {
        "results.json", "table.csv", "table.tex", "pairs-roc.svg", "pairs-roc.png",
        "open-set-det.svg", "pois-cmc.png", "pois-persons.svg", "pois-distances-facenet.svg",
        "pois-distances-facenet-expand.png", "pairs-distances-small-cnn.svg",
        "accuracy-and-time.svg",
    }  # fmt: skip
    assert not any("inception" in name for name in names)
    assert read_evaluation(folder / "results.json") == made


def test_only_the_owner_may_read(report):
    assert {path.stat().st_mode & 0o777 for path in report[1]} == {0o600}


def test_drawn_again_it_is_the_same(small, tmp_path):
    write_report(small, tmp_path, picture)
    first = below(tmp_path)
    write_report(read_evaluation(tmp_path / "results.json"), tmp_path, picture)
    assert below(tmp_path) == first


def test_figures_are_whole(report):
    for path in report[1]:
        if path.suffix == ".svg":
            root = ET.fromstring(path.read_bytes())
            assert root.tag.endswith("svg")
            assert not list(root.iter("{http://www.w3.org/2000/svg}text"))  # outlines: no font
        elif path.suffix == ".png":
            with Image.open(path) as image:
                image.load()
                assert image.width > 900
                assert len(image.convert("L").getcolors()) > 20


@pytest.mark.parametrize(
    "name", ["index.html", "results.json", "table.csv", "table.tex", "figures/pairs-roc.svg"]
)
def test_foreign_files_are_never_replaced(small, tmp_path, name):
    foreign = tmp_path / name
    foreign.parent.mkdir(exist_ok=True)
    foreign.write_text("mine")
    with pytest.raises(FacesearchError) as refused:
        write_report(small, tmp_path, picture)
    assert str(foreign) in str(refused.value)
    assert "\n" not in str(refused.value)
    assert below(tmp_path) == {name: b"mine"}


def test_a_picture_of_somebody_else_is_foreign(small, tmp_path):
    (tmp_path / "figures").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "figures" / "pairs-roc.png")
    with pytest.raises(FacesearchError, match=r"pairs-roc\.png"):
        write_report(small, tmp_path, picture)


def test_links_that_lead_nowhere_are_foreign(small, tmp_path):
    (tmp_path / "index.html").symlink_to(tmp_path / "gone")
    with pytest.raises(FacesearchError, match=r"index\.html"):
        write_report(small, tmp_path, picture)


@pytest.mark.parametrize("name", ["", "figures"])
def test_a_file_in_the_place_of_a_folder(small, tmp_path, name):
    target = tmp_path / "report"
    place = target / name if name else target
    place.parent.mkdir(exist_ok=True)
    place.write_text("mine")
    with pytest.raises(FacesearchError, match="not a folder"):
        write_report(small, target, picture)
    assert place.read_text() == "mine"


def test_a_folder_that_cannot_be_made(small):
    with pytest.raises(FacesearchError, match="cannot be written"):
        write_report(small, Path("/proc/report"), picture)


def test_old_figures_go_and_other_files_stay(small, tmp_path):
    write_report(small, tmp_path, picture)
    notes = {tmp_path / "notes.txt", tmp_path / "figures" / "mine.svg"}
    for note in notes:
        note.write_text("mine")
    renamed = replace(small, systems=(replace(small.systems[0], name="another"),))
    written = write_report(renamed, tmp_path, picture)
    assert {tmp_path / name for name in below(tmp_path)} == {*written, *notes}
    assert all(note.read_text() == "mine" for note in notes)


def test_spreadsheet_has_every_measure(made):
    rows = list(csv.DictReader(io.StringIO(spreadsheet.render(made))))
    assert [row["way"] for row in rows] == [
        "facenet", "facenet +expand", "facenet-best", "small-cnn", "vgg16-l2", "efficientnet-v2l",
        "inception-resnet-v2",
    ]  # fmt: skip
    facenet, expanded = rows[0], rows[1]
    pairs = made.systems[0].verification
    assert float(facenet["pairs.accuracy"]) == pairs.accuracy.value
    assert float(facenet["pairs.tar_at_far_0.001.low"]) == pairs.tar_at_far["0.001"].low
    assert float(facenet["pois.recall_at_19"]) > 0
    assert float(facenet["pois.same_in_first_25"]) == 6.0
    assert float(facenet["open-set.fnir_at_fpir_0.01"]) > 0
    assert int(facenet["store_bytes"]) == 9_400_000
    assert expanded["pairs.accuracy"] == ""
    assert expanded["pois.map"] != ""
    leading = {"system", "way", "title", "source", "state", "message", "remedy"}
    for row in rows[4:]:
        assert not any(value for name, value in row.items() if name not in leading)


def test_spreadsheet_runs_no_formula(made):
    bad = replace(made.systems[3], name="=1+1", message="@x\n", remedy="+x", title='a"b,c')
    row = list(csv.reader(io.StringIO(spreadsheet.render(replace(made, systems=(bad,))))))[1]
    assert row == ["'=1+1", "'=1+1", 'a"b,c', "first course report", "weights missing", "'@x\\n",
                   "'+x"]  # fmt: skip


def test_latex_is_a_plain_tabular(made):
    text = latex.render(made)
    assert text.isascii()
    body = re.search(r"\\begin\{tabular\}\{(l r*|l?r*)\}\n(.*)\\end\{tabular\}", text, re.DOTALL)
    columns, lines = len(body[1]), body[2].splitlines()
    rows = [line for line in lines if line != r"\hline"]
    assert len(rows) == 5  # heads and four
    for row in rows:
        assert row.endswith(r" \\")
        assert len(re.findall(r"(?<!\\)&", row)) == columns - 1
    assert r"\textbf{99.50}" in text
    assert latex.latex(TRAINED_ON_IT) in text
    assert r"vgg16{-}l2: weights missing" in text
    assert text.count("$") == 2 * len(re.findall(r"\$\^\{\d\}\$", text))


@given(st.text(st.characters(exclude_categories=[]), max_size=40))
def test_latex_gets_no_command_from_a_name(text):
    escaped = latex.latex(text)
    assert escaped.isascii()
    assert "\n" not in escaped
    # What remains after our own commands and escapes has no special character.
    known = r"\\textbackslash\{\}|\\text\w+\{\}|\\[{}$&#%_]|\{-\}"
    rest = re.sub(known, "", escaped)
    assert not set(rest) & set('\\{}$&#%_~^<>|"')


def test_page_asks_for_nothing(page, report):
    reader = Reader(page)
    for tag, attributes in reader.tags:
        assert tag not in {"script", "iframe", "object", "embed", "form", "base", "video"}
        assert not any(name.startswith("on") or name == "style" for name in attributes)
        for name in ("src", "srcset"):
            assert attributes.get(name, "data:").startswith("data:")
        if tag == "link":
            assert attributes["href"] == "data:,"
        if tag == "a":
            href = attributes["href"]
            assert href.startswith("#") or (report[0] / href).exists()
    assert not re.search(r"url\(|@import|https?:", page)
    anchors = {attributes.get("id") for _, attributes in reader.tags}
    links = {attributes["href"][1:] for tag, attributes in reader.tags
             if tag == "a" and attributes["href"].startswith("#")}  # fmt: skip
    assert links <= anchors


def test_every_picture_has_words(page):
    images = [attributes for tag, attributes in Reader(page).tags if tag == "img"]
    assert len(images) > 300
    assert all(attributes["alt"].strip() for attributes in images)


def test_page_holds_what_was_found(page, made):
    text = " ".join(Reader(page).text.split())
    for words in (
        "64 photos", "14 files in 7 groups", made.command, "facesearch models pull vgg16",
        "weights missing", "untrained", "failed", TRAINED_ON_IT, "numpy 2.4.6", "6a" * 32,
        "no difference shown", "The hardest probes", "Contact sheets", "Person by person",
        "99.20, 99.80", "36.7", "9.4 MB", "1.9 GB", "photo gone",
    ):  # fmt: skip
        assert words in text, words


def test_untrained_figures_are_not_on_the_page(page):
    rows = re.findall(r"<tr>.*?</tr>", page, re.DOTALL)
    named = [row for row in rows if "inception-resnet-v2" in row]
    assert len(named) == 1
    assert "untrained" in named[0]


def test_contact_sheet_shows_probe_mates_and_who_came_between(page):
    sheet = next(
        part for part in page.split('<details class="sheet">') if "Person C</bdi>" in part[:200]
    )
    strip = sheet.split('<ol class="tiles">')[4]  # the weakest system's
    kinds = re.findall(r'<li class="tile (\w+)">', strip)
    assert kinds[0] == "probe"
    assert len(kinds) == 26
    assert set(kinds[1:]) <= {"mate", "wrong", "rest"}
    mates = [place for place, kind in enumerate(kinds) if kind == "mate"]
    if len(mates) == 5:
        assert "rest" not in kinds[: mates[-1]]
        assert "wrong" not in kinds[mates[-1] :]
    else:
        assert "rest" not in kinds


def test_names_are_text_on_the_page(made, tmp_path):
    facenet = made.systems[0]
    base = facenet.identification[0]
    answer = replace(base.sheets[0], person=HOSTILE)
    answer = replace(answer, photos=tuple(replace(one, person=HOSTILE) for one in answer.photos))
    person = replace(base.per_person[0], person=HOSTILE)
    base = replace(base, sheets=(answer,), hardest=(answer,), per_person=(person,))
    system = replace(facenet, name=HOSTILE, title=HOSTILE, notes=(HOSTILE,), recipe=HOSTILE,
                     weights={HOSTILE: HOSTILE}, identification=(base,), open_set=None)  # fmt: skip
    bad = replace(made.systems[3], name=HOSTILE, message=HOSTILE, remedy=HOSTILE)
    dataset = replace(made.dataset, folder=HOSTILE, identical=((HOSTILE, HOSTILE),))
    found = replace(made, dataset=dataset, systems=(system, bad), command=HOSTILE,
                    versions={HOSTILE: HOSTILE}, made_at=HOSTILE)  # fmt: skip
    written = write_report(found, tmp_path, picture)
    page = written[0].read_text(encoding="utf-8")
    reader = Reader(page)
    assert "script" not in {tag for tag, _ in reader.tags}
    assert not any("onerror" in attributes for _, attributes in reader.tags)
    assert "\x07" not in page
    assert "\u202e" not in page
    assert "<script>alert(1)</script>" in reader.text  # as words
    assert read_evaluation(tmp_path / "results.json") == found
    assert all(re.fullmatch(r"[a-z0-9_.-]+", path.name) for path in written)


def test_systems_whose_names_look_alike_have_figures_of_their_own(small):
    alike = replace(small, systems=tuple(
        replace(small.systems[0], name=name) for name in ("a b", "a-b", "A_b")
    ))  # fmt: skip
    names = [one.name for topic in figures.all_pictures(alike).values() for one in topic]
    assert len(names) == len(set(names)) > 3


def test_a_persons_own_matplotlib_settings_change_nothing(small):
    import matplotlib

    one = figures.all_pictures(small)["pairs"][0]
    before = drawing.svg(one, drawing.LIGHT)
    with matplotlib.rc_context({"font.size": 30, "axes.grid": False, "savefig.transparent": True}):
        assert drawing.svg(one, drawing.LIGHT) == before
        assert matplotlib.rcParams["font.size"] == 30
    assert drawing.svg(one, drawing.DARK) != before


def test_letters_that_the_font_lacks_are_escapes():
    assert drawing.lettering("Zoë $x$ 日\x1b") == "Zoë $x$ \\u65e5\\x1b"


@pytest.mark.parametrize(("expected", "side"), [(10, 84), (8_000, 72), (50_000, 56)])
def test_many_pictures_are_smaller(expected, side):
    asked = []

    def count(path, box):
        asked.append(path)
        return np.zeros((40, 120, 3), np.uint8)

    thumbnails = Thumbnails(count, expected)
    sizes = set()
    for box in ((0.0, 0.0, 10.0, 10.0), None):
        uri = thumbnails.uri("a.jpg", box)
        assert thumbnails.uri("a.jpg", box) == uri
        with Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))) as image:
            sizes.add(image.size)
    assert sizes == {(side, side), (side, round(side / 3))}
    assert len(asked) == 2


def test_many_people_are_cut_and_the_rest_is_counted(made):
    base = made.systems[0].identification[0]
    names = [f"Person_{place:03d}" for place in range(260)]
    many = replace(
        base,
        per_person=tuple(replace(base.per_person[0], person=name, map=0.5) for name in names),
        sheets=tuple(replace(base.sheets[0], person=name, photos=()) for name in names[:110]),
    )
    found = replace(made, systems=(replace(made.systems[0], identification=(many,)),))
    persons = next(one for one in figures.all_pictures(found)["pois"] if "persons" in one.name)
    assert "60 found worst" in persons.title
    page = render(found, {}, picture)
    assert page.count('<details class="sheet">') == 100
    text = Reader(page).text
    assert "10 more people in results.json alone." in text
    assert "the 200 found worst of 260" in text


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_perfect_and_hopeless_systems_can_be_drawn(made, value):
    curve, one = Curve((0.0, 1.0), (value, value)), Measure(value)
    system = made.systems[0]
    base = system.identification[0]
    person = replace(base.per_person[0], map=value)
    base = replace(base, rank_1=one, map=one, cmc=(value,), per_person=(person,),
                   distances=Histogram((0.0, 1.0), (0,), (0,)))  # fmt: skip
    pairs = replace(system.verification, auc=one, roc=curve, thresholds=(float("inf"),))
    stranger = replace(system.open_set, det=Curve((0.0,), (value,)), stranger_probes=0)
    system = replace(system, identification=(base,), verification=pairs, open_set=stranger)
    both = replace(made, systems=(system, replace(system, name="twin")))
    drawn = [picture for topic in figures.all_pictures(both).values() for picture in topic]
    assert {"pairs-roc", "open-set-det", "pois-cmc", "pois-persons"} <= {one.name for one in drawn}
    for one in drawn:
        assert drawing.MARK.encode() in drawing.svg(one, drawing.LIGHT)


@pytest.mark.parametrize(
    "odd", [Histogram(), Histogram((0.0, 1.0), (), ()), Histogram((0.0, 1.0), (1,), (1, 2))]
)
def test_distances_that_do_not_fit_their_edges_are_not_drawn(small, odd):
    pairs = replace(small.systems[0].verification, distances=odd)
    found = replace(small, systems=(replace(small.systems[0], verification=pairs),))
    assert [one.name for one in figures.all_pictures(found)["pairs"]] == ["pairs-roc"]
