"""``query --html`` and ``--open``."""

from __future__ import annotations

import json
import re
import stat
from pathlib import Path

import pytest

from facesearch.report.answer_page import MARK
from small_store import BLUE, draw


def data_of(page):
    text = Path(page).read_text(encoding="utf-8")
    return json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL)[1])


def test_a_page_beside_what_is_printed(program, store, red):
    done = program("query", red, "-k", 4, "--html", "answer.html")
    assert done.code == 0
    assert done.raw == program("query", red, "-k", 4).raw
    assert f"page: {Path('answer.html').absolute()}" in done.err
    page = Path("answer.html")
    assert MARK in page.read_text()[:1024]
    assert stat.S_IMODE(page.stat().st_mode) == 0o600
    asked = program("query", red, "-k", 4, "--json").json["results"][0]["neighbors"]
    cards = data_of(page)["cards"]
    assert [card["path"] for card in cards] == [each["path"] for each in asked]
    assert [card["distance"] for card in cards] == [each["distance"] for each in asked]
    assert [card["box"] for card in cards] == [each["box"] for each in asked]
    assert len(data_of(page)["views"]) == 4


def test_every_face_and_every_photo_has_its_answer(program, store, crowd, red):
    program("query", crowd, red, "--face", "all", "-k", 2, "--html", "answer.html")
    page = Path("answer.html").read_text()
    assert page.count('class="answer"') == 4
    assert page.count("<svg viewBox") == 2  # each photo with its boxes once


def test_one_person_on_two_photos(program, store, red, folder):
    draw(folder / "blue.png", {BLUE: (30, 20, 40, 40)})
    program("query", red, "blue.png", "--same-person", "-k", 2, "--html", "answer.html")
    page = Path("answer.html").read_text()
    assert "one person in 2 photos" in page
    assert page.count('class="one"') == 2


def test_a_query_without_a_face(program, store, folder):
    draw(folder / "sky.png", {})
    done = program("query", "sky.png", "--html", "answer.html")
    assert done.code == 3
    assert "no face found" in Path("answer.html").read_text()


def test_standard_input_and_a_drawn_box(program, store, red):
    done = program("query", "-", "-k", 1, "--html", "a.html", stdin=red.read_bytes())
    assert done.code == 0
    assert "standard input" in Path("a.html").read_text()
    done = program("query", red, "--box", "30,20,40,40", "-k", 1, "--html", "a.html")
    assert "the given box on me.png" in Path("a.html").read_text()


def test_whole_photos(program, whole_store, red):
    assert program("query", red, "-k", 2, "--html", "answer.html").code == 0
    assert [card["box"] for card in data_of("answer.html")["cards"]] == [None, None]


def test_a_photo_that_is_gone_or_another_now(program, store, photos, red):
    (photos / "red" / "red1.png").unlink()
    draw(photos / "red" / "red2.png", {BLUE: (30, 20, 40, 40)})
    program("query", red, "-k", 3, "--html", "answer.html")
    why = {Path(card["path"]).name: card["why"] for card in data_of("answer.html")["cards"]}
    assert why == {
        "red1.png": "vanished",
        "red2.png": "changed since it was indexed",
        "both.png": "",
    }


def test_only_an_earlier_page_is_replaced(program, store, red):
    assert program("query", red, "-k", 1, "--html", "answer.html").code == 0
    assert program("query", red, "-k", 2, "--html", "answer.html").code == 0
    assert len(data_of("answer.html")["cards"]) == 2
    Path("mine.html").write_text("mine")
    done = program("query", red, "--html", "mine.html")
    assert done.code == 2
    assert done.raw == b""
    assert "mine.html: there is a file already, no page" in done.err
    assert Path("mine.html").read_text() == "mine"


@pytest.mark.parametrize(
    ("name", "told"),
    [("answer.pdf", "ends in .html"), ("nowhere/answer.html", "its folder does not exist")],
)
def test_names_that_cannot_be_meant(program, store, red, name, told):
    done = program("query", red, "--html", name)
    assert done.code == 2
    assert done.raw == b""
    assert told in done.err


def test_a_full_disk(program, store, red, monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("facesearch.private.write_file", full)
    done = program("query", red, "--html", "answer.html")
    assert done.code == 1
    assert "answer.html: the page cannot be written (No space left on device)" in done.err


def test_open(program, store, red, monkeypatch):
    opened = []
    monkeypatch.setattr("webbrowser.open", lambda address: opened.append(address) or True)
    assert program("query", red, "-k", 1, "--html", "answer.html", "--open").code == 0
    assert opened == [Path("answer.html").absolute().as_uri()]


def test_open_alone_writes_where_nobody_else_looks(program, store, red, monkeypatch, tmp_path):
    monkeypatch.setattr("webbrowser.open", lambda address: False)
    done = program("query", red, "-k", 1, "--open")
    assert done.code == 0
    (page,) = tmp_path.glob("facesearch-*/answer.html")
    assert stat.S_IMODE(page.parent.stat().st_mode) == 0o700
    assert f"no browser could be started; open {page} yourself" in done.err


def test_of_an_encrypted_store_it_is_told(program, store, red, tmp_path, monkeypatch):
    pytest.importorskip("cryptography")
    secret = tmp_path / "secret"
    secret.write_text("correct horse battery staple\n")
    secret.chmod(0o600)
    assert program("encrypt", "--passphrase-file", secret).code == 0
    given = ("--passphrase-file", secret, "-k", 1)
    plain = f"{store} is encrypted, what is written to "
    assert (
        f"{plain}answer.html is not" in program("query", red, "--html", "answer.html", *given).err
    )
    monkeypatch.setattr("webbrowser.open", lambda address: True)
    assert f"{plain}a page in the temporary folder is not" in (
        program("query", red, "--open", *given).err
    )
    taken = program("query", red, "--copy-to", "found", "--beyond-cut", *given)
    assert f"{plain}found is not" in taken.err
    assert f"{plain}x.csv is not" in program("export", "--csv", "-o", "x.csv", *given[:2]).err
