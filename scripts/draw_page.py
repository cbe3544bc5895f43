"""Draws pictures of the page of `facesearch serve` and of that of `facesearch query --html`.

All photos are blurred: these pictures go where the photos may not.

    python scripts/draw_page.py STORE PHOTO TARGET [--offline]

STORE is searched for the face of PHOTO; page.jpg, page-phone.jpg and page-answer.jpg are written
into the folder TARGET.
"""

from __future__ import annotations

import argparse
import io
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from measure_page import KEY, started
from PIL import Image

SETTLED_MS = 1500
BLUR = """() => {
  for (const img of document.images) {
    img.style.filter = `blur(${Math.max(4, img.clientWidth / 22)}px)`;
  }
}"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("store", type=Path)
    parser.add_argument("photo", type=Path, help="a photo of one face")
    parser.add_argument("target", type=Path)
    parser.add_argument("--offline", action="store_true")
    asked = parser.parse_args()
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium") or shutil.which("chrome")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        key = Path(folder) / "key"
        key.write_text(KEY)
        key.chmod(0o600)
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        server, address = started(asked, key)
        try:
            draw(browser, address, asked)
            draw_answer(browser, Path(folder) / "answer.html", asked)
        finally:
            server.terminate()
            server.wait(30)
            browser.close()
    return 0


def draw(browser: Any, address: str, asked: argparse.Namespace) -> None:
    desk = searched(browser, address, asked.photo, {"width": 1280, "height": 800})
    save(desk, asked.target / "page.jpg")
    phone = searched(browser, address, asked.photo, {"width": 390, "height": 844}, "dark")
    for ticked in (1, 2):
        phone.locator(".pick input").nth(ticked).check(force=True)
    phone.wait_for_timeout(SETTLED_MS)
    save(phone, asked.target / "page-phone.jpg")


def draw_answer(browser: Any, answer: Path, asked: argparse.Namespace) -> None:
    command = ["facesearch", "query", asked.photo, "--store", asked.store, "--html", answer]
    subprocess.run(list(map(str, command)), check=True, stdout=subprocess.DEVNULL)
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.goto(answer.as_uri())
    page.wait_for_timeout(SETTLED_MS)
    save(page, asked.target / "page-answer.jpg")


def searched(
    browser: Any, address: str, photo: Path, size: dict[str, int], scheme: str = "light"
) -> Any:
    page = browser.new_page(viewport=size, color_scheme=scheme)
    page.goto(f"{address}?key={KEY}")
    page.set_input_files("#choose", photo)
    page.wait_for_selector(".card .open")
    page.wait_for_timeout(SETTLED_MS)
    return page


def save(page: Any, target: Path) -> None:
    page.evaluate(BLUR)
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    picture.save(target, quality=82, optimize=True, progressive=True)
    print(target)


if __name__ == "__main__":
    sys.exit(main())
