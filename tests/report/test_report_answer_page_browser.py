"""The page of an answer in a real browser: slider, photos, keyboard, copying, on any screen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from browsing import FAINT_TEXTS
from facesearch.records import (
    Box,
    Coverage,
    Neighbor,
    Query,
    QueryFace,
    QueryReport,
    QueryResult,
    Shown,
    StoreSummary,
)
from facesearch.report.answer_page import Example, render

WIDTHS = (1280, 390)
HOSTILE = "/photos/<img src=x onerror=alert(1)>\u202e\n_Ms'\"&.jpg"
LONG = f"/photos/{'Verylongname' * 15}.jpg"


class Colors:
    def of_example(self, result, path, face):
        view = np.full((300, 400, 3), 90, np.uint8)
        return Example(Shown(view[:99, :99], view), result.query.faces, face, 800, 600)

    def of_neighbor(self, neighbor):
        if neighbor.rank == 5:
            return "vanished"
        view = np.full((240, 320, 3), 20 * neighbor.rank, np.uint8)
        return Shown(view[:100, :100], view)


def made_report():
    paths = ["/photos/a b.jpg", HOSTILE, LONG, "/photos/four.jpg", "/photos/gone.jpg", "/p/six.jpg"]
    bands = ["likely", "likely", "possible", "unlikely", "unlikely", "unlikely"]
    near = tuple(
        Neighbor(
            rank=n,
            id=f"{n:016x}-1",
            path=path,
            root="/photos",
            relative_path=path[8:],
            also=("/photos/copy.jpg",) if n == 1 else (),
            face=1,
            distance=0.5 + n / 10,
            similarity=1 - (0.5 + n / 10) ** 2 / 2,
            box=Box(100, 50, 200, 300),
            width=800,
            height=600,
            taken="2019-05-04T12:00:00" if n < 3 else "",
            score=0.99,
            example="me.jpg",
            probability=0.5,
            expected_false_matches=0.02,
            band=band,
        )
        for n, (path, band) in enumerate(zip(paths, bands, strict=True), start=1)
    )
    near = (replace(near[0], similar=near[3:5]), *near[1:])
    faces = (QueryFace(1, Box(50, 60, 200, 220), 0.9), QueryFace(2, Box(500, 60, 90, 99), 0.9))
    asked = Query("me.jpg", 1, faces, 800, 600, (("me.jpg", 1),))
    return QueryReport(
        StoreSummary("/photos/faces.npz", "facenet", "a" * 64, "b" * 64, 128),
        Coverage(100, 90, 1, 0, 0, "2026-05-04T00:00:00Z"),
        (QueryResult(asked, near, notes=("a note",), searched=100),),
    )


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    from datetime import UTC, datetime

    target = tmp_path_factory.mktemp("page") / "answer.html"
    page = render(made_report(), Colors(), datetime(2026, 5, 4, tzinfo=UTC))
    target.write_text(page, encoding="utf-8")
    return target.as_uri()


@pytest.fixture
def opened(browser, address):
    """A function that opens the page; it gives the page, what it fetched, and what it said."""
    contexts = []

    def open_page(width=1280, scheme="light"):
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True
        )
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        contexts.append(context)
        page = context.new_page()
        requests, said = [], []
        page.on("request", lambda request: requests.append(request.url))
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("dialog", lambda dialog: said.append(dialog.message))
        page.goto(address)
        return page, requests, said

    yield open_page
    for context in contexts:
        context.close()


def shown(page):
    return page.locator(".card:visible .rank").all_inner_texts()


def slide(page, value):
    page.locator("#threshold").evaluate(
        f"one => {{ one.value = {value}; one.dispatchEvent(new Event('input')); }}"
    )


def is_open(page):
    return page.evaluate("document.getElementById('photo').open")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_opens_whole_without_a_request(opened, address, width, scheme):
    page, requests, said = opened(width, scheme)
    page.locator(".open").first.click()
    fetched = [url for url in requests if not url.startswith("data:")]
    assert fetched == [address]
    assert said == []
    broken = "[...document.images].filter(one => one.src && !one.naturalWidth).map(one => one.alt)"
    assert page.evaluate(broken) == []
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_the_policy_lets_nothing_else_in(opened):
    page, _, said = opened()
    with page.expect_console_message():
        page.evaluate("new Image().src = 'https://example.org/x.png'")
    assert any("Content Security Policy" in text for text in said)
    page.evaluate("document.body.append(Object.assign(document.createElement('script'), "
                  "{textContent: 'window.broken = 1'}))")  # fmt: skip
    assert page.evaluate("window.broken") is None


def test_the_slider_hides_what_lies_beyond(opened):
    page, _, _ = opened()
    assert shown(page) == list("123456")
    assert page.locator("#reached").inner_text() == "similarity 0.39 or more: 6 of 6"
    slide(page, 0.75)
    assert shown(page) == ["1", "2"]
    assert page.locator("#reached").inner_text().endswith("2 of 6")
    assert page.locator("#threshold").get_attribute("aria-valuetext").endswith("2 of 6")
    slide(page, 1.1)
    assert shown(page) == list("123456")


def test_the_slider_by_keyboard(opened):
    page, _, _ = opened()
    page.locator("#threshold").focus()
    page.keyboard.press("ArrowLeft")
    assert shown(page) == list("12345")
    page.keyboard.press("Home")
    assert shown(page) == ["1"]
    page.keyboard.press("End")
    assert shown(page) == list("123456")


def test_bands_at_a_click(opened):
    page, _, _ = opened()
    for name, ranks in (("likely", "12"), ("likely and possible", "123"), ("all", "123456")):
        page.get_by_role("button", name=name, exact=True).click()
        assert shown(page) == list(ranks)
        pressed = page.locator(".cut[aria-pressed=true]").all_inner_texts()
        assert pressed == [name]


@pytest.mark.parametrize("width", WIDTHS)
def test_a_photo_opens_whole_with_the_box_where_the_face_is(opened, width):
    page, _, _ = opened(width)
    page.locator(".open").nth(3).click()
    assert page.locator("#photo-title").inner_text() == "4 · similarity 0.595 · unlikely"
    image = page.locator("#view").bounding_box()
    box = page.locator("#overlay .chosen").bounding_box()
    assert image["width"] / image["height"] == pytest.approx(4 / 3, rel=0.02)
    for side, size, start, length in (("x", "width", 100, 200), ("y", "height", 50, 300)):
        scale = image[size] / (800 if side == "x" else 600)
        assert box[side] - image[side] == pytest.approx(start * scale, abs=3)
        assert box[size] == pytest.approx(length * scale, abs=6)
    # All of it can be seen at once.
    window = page.viewport_size
    assert image["x"] >= 0
    assert image["x"] + image["width"] <= window["width"]
    assert image["y"] + image["height"] <= window["height"]
    assert page.locator("#path").inner_text() == "/photos/four.jpg"
    assert page.locator("#view").get_attribute("alt") == "four.jpg, with the face boxed"


def test_the_photo_by_keyboard(opened):
    page, _, _ = opened()
    page.locator(".open").first.focus()
    page.keyboard.press("Enter")
    assert is_open(page)
    assert page.locator("#previous").is_disabled()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert page.locator("#photo-title").inner_text().startswith("3 ")
    page.keyboard.press("ArrowLeft")
    assert page.locator("#photo-title").inner_text().startswith("2 ")
    page.keyboard.press("Escape")
    assert not is_open(page)
    # Where one was when it closed.
    page.locator("[data-card='1']:focus").wait_for(timeout=5000)


def test_the_grid_by_keyboard(opened):
    page, _, _ = opened()
    page.locator(".open").first.focus()
    for key, card in (("ArrowRight", "1"), ("End", "5"), ("ArrowLeft", "4"), ("Home", "0")):
        page.keyboard.press(key)
        assert page.evaluate("document.activeElement.dataset.card") == card, key


def test_hidden_photos_are_skipped(opened):
    page, _, _ = opened()
    slide(page, 0.75)
    page.locator(".open").nth(1).click()
    assert page.locator("#next").is_disabled()
    page.keyboard.press("ArrowRight")
    assert page.locator("#photo-title").inner_text().startswith("2 ")


def _said(page, words):
    """Waits for them; not through a function, which the page's own rules forbid to be made."""
    page.locator("#said", has_text=words).wait_for(state="attached")


def test_paths_are_copied(opened):
    page, _, _ = opened()
    read = "navigator.clipboard.readText()"
    page.locator(".card .copy").first.click()
    assert page.locator(".card .copy").first.inner_text() == "copied"
    assert page.evaluate(read) == "/photos/a b.jpg"
    page.locator(".open").nth(3).focus()
    page.keyboard.press("c")
    _said(page, "four")
    assert page.evaluate(read) == "/photos/four.jpg"
    page.locator(".open").nth(5).click()
    page.locator("#copy").click()
    assert page.evaluate(read) == "/p/six.jpg"


def test_copying_without_the_clipboard_interface(opened):
    page, _, _ = opened()
    page.evaluate(
        "() => { navigator.clipboard.writeText = () => Promise.reject(new Error('no')); }"
    )
    page.locator(".open").nth(3).click()
    page.locator("#copy").click()
    _said(page, "Copied")
    assert page.evaluate("navigator.clipboard.readText()") == "/photos/four.jpg"


def test_a_name_that_could_do_harm_is_shown_and_not_copied(opened):
    page, _, said = opened()
    assert page.locator(".card .copy").nth(1).is_disabled()
    page.locator(".open").nth(1).click()
    assert page.locator("#copy").is_disabled()
    assert "\\u202e\\n_Ms" in page.locator("#path").inner_text()
    page.keyboard.press("c")
    _said(page, "cannot")
    assert said == []
    assert page.locator("img[src=x]").count() == 0


def test_a_photo_that_is_gone_and_folded_ones(opened):
    page, _, _ = opened()
    page.locator(".open").nth(4).click()
    assert page.locator("#missing").inner_text() == "not shown: vanished"
    assert not page.locator("#view").is_visible()
    page.keyboard.press("Escape")
    assert page.locator(".more").all_inner_texts() == ["+2"]
    page.locator(".open").first.click()
    page.locator("#others summary").click()
    assert page.locator("#others li").all_inner_texts() == [
        "/photos/four.jpg",
        "/photos/gone.jpg",
        "/photos/copy.jpg",
    ]


def test_light_and_dark(opened):
    grounds = {}
    for scheme in ("light", "dark"):
        page, _, _ = opened(scheme=scheme)
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        grounds[scheme] = sum(map(int, ground[4:-1].split(",")))
        page.locator(".open").first.click()
        assert page.evaluate(FAINT_TEXTS) == []
    assert grounds["light"] > 600
    assert grounds["dark"] < 150


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_sticks_out_of_a_card(opened, width):
    page, _, _ = opened(width)
    assert page.evaluate(_STICKING_OUT) == []
    page.locator(".open").nth(2).click()
    dialog = page.locator("#photo")
    assert dialog.evaluate("one => one.scrollWidth <= one.clientWidth")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_accessible_by_axe(opened, width, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    page, _, _ = opened(width, scheme)
    # The page's policy admits no scripts but its own; this way it is put in from outside.
    for state in ("the grid", "a photo"):
        found = axe.Axe().run(page).response["violations"]
        assert [(each["id"], each["nodes"][0]["html"]) for each in found] == [], state
        if state == "the grid":
            page.locator(".open").first.click()


_STICKING_OUT = """() => [...document.querySelectorAll('.card')].filter(card => {
  const outer = card.getBoundingClientRect();
  return [...card.querySelectorAll(':not(bdi)')].some(child => {
    const inner = child.getBoundingClientRect();
    return inner.right > outer.right + 1 || inner.bottom > outer.bottom + 1;
  });
}).map(card => card.textContent)"""
