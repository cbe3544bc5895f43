"""Measures the page of `facesearch serve` in a real browser, which must find in time.

    python scripts/measure_page.py STORE PHOTO [--times 10] [--offline]

It starts the server on STORE and prints how long it takes until the page can be used, how long
after PHOTO was dropped its neighbours are shown (once the server is warm; a photo of one face), and
how long a frame takes while the neighbours are scrolled through. It ends with 1 where the page
needs more than 2 s or the neighbours more than 0.3 s.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

KEY = "key-of-a-measurement-on-loopback"
PAGE_SECONDS = 2.0
NEIGHBORS_SECONDS = 0.3
READY = "document.querySelector('#start-store').textContent !== ''"
DROP = """(file) => new Promise((shown) => {
  const data = new DataTransfer();
  data.items.add(document.querySelector(file).files[0]);
  document.querySelector(".card")?.remove();
  const begin = performance.now();
  const watch = () => {
    const picture = document.querySelector(".search.found .card img");
    if (picture && picture.complete && picture.naturalWidth) shown(performance.now() - begin);
    else requestAnimationFrame(watch);
  };
  document.body.dispatchEvent(new DragEvent("drop",
    { dataTransfer: data, bubbles: true, cancelable: true }));
  requestAnimationFrame(watch);
})"""
SCROLL = """async (seconds) => {
  const times = [];
  let last = performance.now();
  const end = last + 1000 * seconds;
  while (last < end) {
    scrollBy(0, 160);
    await new Promise(requestAnimationFrame);
    times.push(performance.now() - last);
    last = performance.now();
  }
  const cards = [...document.querySelectorAll(".card")].map((one) => Number(one.dataset.index));
  return [times, Math.max(...cards), cards.length];
}"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("store", type=Path)
    parser.add_argument("photo", type=Path, help="a photo of one face")
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--offline", action="store_true")
    asked = parser.parse_args()
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium") or shutil.which("chrome")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        key = Path(folder) / "key"
        key.write_text(KEY)
        key.chmod(0o600)
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        begin = time.monotonic()
        server, address = started(asked, key)
        try:
            page.goto(f"{address}?key={KEY}")
            until(page, READY)
            ready = time.monotonic() - begin
            return report(ready, dropped(page, asked), page.evaluate(SCROLL, 5))
        finally:
            server.terminate()
            server.wait(30)
            browser.close()


def started(asked: argparse.Namespace, key: Path) -> tuple[subprocess.Popen[str], str]:
    command = ["serve", str(asked.store), "--port", "0", "--key-file", str(key)]
    server = subprocess.Popen(
        [sys.executable, "-m", "facesearch", *command, *(["--offline"] * asked.offline)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    return server, server.stdout.readline().strip()


def dropped(page: Any, asked: argparse.Namespace) -> list[float]:
    """Seconds from the drop to the first neighbour's picture; the first time is no measurement."""
    # What is dropped has to come from somewhere: an input that the page does not look at.
    page.evaluate(
        "() => { const one = document.createElement('input'); one.type = 'file';"
        " one.id = 'mine'; document.body.append(one); }"
    )
    page.set_input_files("#mine", asked.photo)
    taken = []
    for _ in range(asked.times + 1):
        page.evaluate("document.querySelector('#to-search').click()")
        until(page, "!document.querySelector('#start').hidden")
        taken.append(page.evaluate(DROP, "#mine") / 1000)
    return taken[1:]


def until(page: Any, asked: str) -> None:
    """The page's policy forbids what playwright does for that."""
    while not page.evaluate(asked):
        time.sleep(0.005)


def report(ready: float, taken: list[float], scrolled: tuple[list[float], int, int]) -> int:
    frames, last, cards = scrolled
    frames = sorted(frames)
    middle = statistics.median(taken)
    print(f"from the command to a page that can be used: {ready:.2f} s")
    print(f"from the drop to neighbours: median {middle:.3f} s, longest {max(taken):.3f} s")
    late = frames[len(frames) * 95 // 100]
    print(f"scrolling to neighbour {last + 1:,}: a frame takes {statistics.median(frames):.0f} ms,")
    print(f"95 % within {late:.0f} ms; {cards} cards are in the page")
    return 1 if ready > PAGE_SECONDS or middle > NEIGHBORS_SECONDS else 0


if __name__ == "__main__":
    sys.exit(main())
