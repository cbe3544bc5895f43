"""The documentation as a site: it builds, holds all it should, and needs nothing from elsewhere."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest
from documents import ROOT
from test_docs import cli_commands, options_of

from browsing import started_browser

KINDS = ("index", "start", "family-photos", "how-it-works", "options", "PRIVACY", "models/index")
"""A page of each kind."""


def build(checkout: Path, site: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--site-dir", site],
        cwd=checkout,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = build(ROOT, folder)
    assert done.returncode == 0, done.stderr
    return folder


class Loads(HTMLParser):
    """What a page fetches when it is opened."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = ["src", "srcset", "poster", "data"] + (["href"] if tag in {"link", "base"} else [])
        self.found += [value or "" for name, value in attrs if name in names]


def test_no_page_fetches_anything_from_elsewhere(site):
    pages = list(site.rglob("*.html"))
    assert len(pages) > 30
    for page in pages:
        loads = Loads()
        loads.feed(page.read_text(encoding="utf-8"))
        assert any("bundle" in each for each in loads.found), page
        assert not [each for each in loads.found if re.match(r"\w+:|//", each)], page
    for style in site.rglob("*.css"):
        text = style.read_text(encoding="utf-8")
        assert not re.search(r"""(url\(|@import)\s*["']?(\w+:)?//""", text), style


def test_pages_need_no_server_and_search_works_from_the_disk(site):
    with started_browser() as browser:
        page = browser.new_page()
        asked: list[str] = []
        wrong: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
        for width in (1280, 390):
            page.set_viewport_size({"width": width, "height": 800})
            for name in KINDS:
                page.goto((site / f"{name}.html").as_uri())
                wide = page.evaluate("document.documentElement.scrollWidth")
                assert wide <= width, (name, wide)
        page.set_viewport_size({"width": 1280, "height": 800})
        page.goto((site / "start.html").as_uri())
        page.click(".md-search__input")
        page.keyboard.type("passphrase")
        page.wait_for_selector(".md-search-result__link >> nth=0", timeout=20_000)
        found = page.eval_on_selector_all(
            ".md-search-result__link", "links => links.map(link => link.href)"
        )
        assert any("/reporters-archive.html" in link for link in found)
        assert wrong == []
        assert not [url for url in asked if not url.startswith(("file:", "data:", "blob:"))]


def test_every_command_and_option_is_on_the_page_of_options(site):
    page = (site / "options.html").read_text(encoding="utf-8")
    parts = re.split(r"<h[23] id=[^>]*>", page)[1:]
    sections = {unescape(part.partition("<")[0]): part for part in parts}
    commands = cli_commands()
    assert set(sections) == set(commands)
    for name, body in sections.items():
        spelled = " ".join(re.findall(r"<td><code>([^<]*)</code>", body))
        described = {each for each in spelled.replace(",", " ").split() if each.startswith("-")}
        assert described >= options_of(commands[name]), name
        assert len(re.findall(r"<td><code>", body)) >= len(options_of(commands[name])), name


def test_signs_of_the_help_are_shown_as_they_are(site):
    page = (site / "options.html").read_text(encoding="utf-8")
    text = unescape(re.sub(r"<[^>]*>", "", page))
    assert "Lowest detection score, 0 to 1.  [0<=x<=1]" in text
    assert "FILE | ADDRESS" in text
    commands = (site / "commands.html").read_text(encoding="utf-8")
    assert "<code>--store FILE|ADDRESS</code>" in commands


def test_privacy_is_the_one_text_that_there_is(site):
    page = (site / "PRIVACY.html").read_text(encoding="utf-8")
    shown = " ".join(unescape(re.sub(r"<[^>]*>", "", page)).split())
    text = (ROOT / "PRIVACY.md").read_text(encoding="utf-8")
    plain = [part for part in text.split("\n\n") if not re.search(r"[`|\[*]|^#|^- ", part)]
    assert len(plain) > 3
    assert all(" ".join(part.split()) in shown for part in plain)
    assert not (ROOT / "docs" / "PRIVACY.md").exists()


def test_a_link_that_leads_nowhere_stops_the_build(tmp_path):
    checkout = tmp_path / "checkout"
    pages = [*ROOT.glob("*.md"), *ROOT.glob("*/README.md"), *ROOT.glob("models/*.md")]
    for page in [ROOT / "mkdocs.yml", *pages]:
        copy = checkout / page.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(page, copy)
    for folder in ("docs", "scripts"):
        shutil.copytree(ROOT / folder, checkout / folder)
    with (checkout / "docs" / "start.md").open("a", encoding="utf-8") as start:
        start.write("\n[a](gone.md) [b](commands.md#gone) [c](../gone.md)\n")
    done = build(checkout, tmp_path / "site")
    assert done.returncode != 0
    for target in ("'gone.md'", "#gone", "'../gone.md'"):
        assert target in done.stderr


def test_drawn_pictures_are_up_to_date():
    path = ROOT / "scripts" / "draw_ways.py"
    spec = importlib.util.spec_from_file_location("draw_ways", path)
    assert spec is not None
    assert spec.loader is not None
    drawing = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(drawing)
    for name, picture in drawing.pictures().items():
        kept = (drawing.PICTURES / name).read_text(encoding="utf-8")
        assert kept == picture, "run: python scripts/draw_ways.py"
