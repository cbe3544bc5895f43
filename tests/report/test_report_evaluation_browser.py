"""The page in a real browser: nothing is fetched, everything shows, on any screen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from made_evaluation import invented, made_evaluation

from browsing import FAINT_TEXTS
from facesearch.report.evaluation import write_report

HOSTILE = "<img src=x onerror=alert(1)>\u202e_Ms_'\"&"
LONG = "Verylongname" * 12
WIDTHS = (1280, 390)


def picture(path, box):
    if path.endswith("_0003.jpg"):
        return None
    size = (250, 250) if box is None else (110, 90)
    return np.random.default_rng(len(path)).integers(0, 255, (*size, 3), np.uint8)


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    photos = invented(people=3)
    people = dict(zip((HOSTILE, LONG, "Person_C"), photos.people.values(), strict=True))
    made = made_evaluation(replace(photos, people=people))
    facenet, _, weak, *others = made.systems
    facenet = replace(facenet, identification=facenet.identification[:1])
    systems = (facenet, weak, *others, replace(others[0], name=LONG, message=HOSTILE))
    folder = tmp_path_factory.mktemp("page")
    write_report(replace(made, systems=systems), folder, picture)
    return (folder / "index.html").as_uri()


@pytest.fixture
def opened(browser, address):
    """A function that opens the page, everything unfolded; it gives the page and what it did."""
    contexts = []

    def open_page(width=1280, scheme="light"):
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True
        )
        contexts.append(context)
        page = context.new_page()
        requests, said = [], []
        page.on("request", lambda request: requests.append(request.url))
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("dialog", lambda dialog: said.append(dialog.message))
        page.goto(address)
        page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")
        page.evaluate("Promise.all([...document.images].map(one => one.decode().catch(() => 0)))")
        return page, [url for url in requests if not url.startswith("data:")], said

    yield open_page
    for context in contexts:
        context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_opens_whole_without_a_request(opened, address, width, scheme):
    page, requests, said = opened(width, scheme)
    assert requests == [address]
    assert said == []
    broken = "[...document.images].filter(one => !one.naturalWidth).map(one => one.alt)"
    assert page.evaluate(broken) == []
    assert page.evaluate("document.images.length") > 200
    # Nothing sticks out, so that the page does not scroll sideways.
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_dark_and_light_differ_in_page_and_figures(opened):
    seen = {}
    for scheme in ("light", "dark"):
        page, _, _ = opened(scheme=scheme)
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        figure = page.evaluate("document.querySelector('figure img').currentSrc")
        seen[scheme] = (sum(map(int, ground[4:-1].split(","))), figure)
    assert seen["light"][0] > 600
    assert seen["dark"][0] < 150
    assert seen["light"][1] != seen["dark"][1]


def test_words_stand_out_from_their_ground(opened):
    """WCAG AA: 4.5 to 1 for text."""
    for scheme in ("light", "dark"):
        page, _, _ = opened(scheme=scheme)
        assert page.evaluate(FAINT_TEXTS) == []


def test_policy_forbids_scripts_and_fetching(opened):
    page, _, said = opened()
    with page.expect_console_message():
        page.evaluate("new Image().src = 'https://example.org/x.png'")
    assert any("Content Security Policy" in text for text in said)


def test_missing_photos_have_a_placeholder_of_the_same_size(opened):
    page, _, _ = opened()
    sizes = page.evaluate(
        "['.tile .gone', '.tile img'].map(which => {"
        " const box = document.querySelector(which).getBoundingClientRect();"
        " return [box.width, box.height] })"
    )
    assert sizes[0] == pytest.approx(sizes[1], abs=1)
    assert page.locator(".gone").first.get_attribute("aria-label")


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_covers_anything_in_a_tile(opened, width):
    page, _, _ = opened(width)
    assert page.evaluate(_STICKING_OUT) == []


@pytest.mark.parametrize("width", WIDTHS)
def test_a_long_name_leaves_room_for_the_figures(opened, width):
    page, _, _ = opened(width)
    assert page.evaluate(_TOO_WIDE) == []


_TOO_WIDE = """() => [...document.querySelectorAll('.scroll tbody th')].filter(name => {
  const box = name.closest('.scroll'), scrolls = box.scrollWidth > box.clientWidth;
  return scrolls && name.offsetWidth > 0.5 * box.clientWidth
    || name.scrollWidth > name.clientWidth + 1;
}).map(name => name.textContent)"""

_STICKING_OUT = """() => [...document.querySelectorAll('.tile')].slice(0, 80).filter(tile => {
  const outer = tile.getBoundingClientRect();
  return [...tile.children].some(child => {
    const inner = child.getBoundingClientRect();
    return inner.right > outer.right + 1 || inner.bottom > outer.bottom + 1;
  });
}).map(tile => tile.textContent)"""
