"""Draws docs/rooms.svg from the layers that import-linter holds (pyproject.toml).

Run it when a room is added or moved: python scripts/draw_rooms.py
"""

import textwrap
import tomllib
from pathlib import Path
from xml.sax.saxutils import escape

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "docs" / "rooms.svg"

PURPOSES = {
    "cli": "one file a command: parse, call one function, print",
    "web": "the page and the HTTP interface of a store",
    "api": "index, open, verify: what a Python program calls",
    "evaluation": "systems side by side: protocols, measures, costs",
    "training": "the small network of the second course report",
    "indexing": "folders to store, from top to bottom",
    "adding": "one photo under the caller's own key",
    "querying": "photo to neighbours, from top to bottom",
    "verifying": "two photos: one person or not",
    "finding": "the faces on photos, not embedded",
    "diagnosis": "what works on this machine",
    "predicting": "how long a run would take",
    "index_target": "the store that a run writes, held for it",
    "index_options": "what a run is asked, the recipe that follows",
    "encrypting": "a store under a passphrase",
    "rooting": "folders of a store moved or dropped",
    "overlaps": "photos that two stores have in folders inside each other",
    "transferring": "stores to search engines and back",
    "merging": "several stores become one",
    "splitting": "one store becomes several",
    "labelling": "who is on which photo, as people say",
    "forgetting": "photos and faces leave for good",
    "tiles": "crops and small views of photos",
    "collecting": "photos of an answer, copied or linked",
    "exporting": "a store's faces, one row each",
    "planning": "folder against store: new, moved, gone",
    "scoping": "which folders a run looks at",
    "processing": "a batch of photos to faces and rows, pure",
    "gallery": "a store that can be searched, with its recipe",
    "calibration": "what a distance means",
    "store": "the .npz file and its segments",
    "search": "rows to the nearest; distances",
    "faces": "detection and crops",
    "extractors": "crops to embeddings",
    "workers": "processes; one may die, none is missed",
    "clusters": "photos read on many machines, by Ray",
    "runtimes": "how a network runs: spec to callable",
    "weights": "manifest, pull, verify, cache",
    "sources": "where photos come from",
    "lfw": "fetching LFW, what is missing of it",
    "photos": "a file to upright pixels",
    "datasets": "layouts, labels, sample photos",
    "systems": "named systems as plain data",
    "buckets": "object storage: listing, reading",
    "locations": "paths and addresses of photos",
    "addresses": "what a store is called",
    "recipes": "photo to rows as data, two digests",
    "results": "what an evaluation found, frozen",
    "records": "the facts that travel, frozen",
    "errors": "one tree, with exit codes",
    "cores": "how many processor cores there are",
    "private": "files that only their owner may read",
    "text_files": "a person's text files, read whole",
}
REPORT = "results to table, JSON, CSV, pictures; knows records alone"

LEFT, TOP, WIDTH, ROW, GAP, BOX = 20, 20, 800, 82, 14, 60
SIDE, SIDE_WIDTH = 850, 150
LETTER = 6.6
"""Width of a letter of a purpose in pixels, on the generous side."""


def layers() -> list[list[str]]:
    """The rooms, upper layers first, as import-linter reads them."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    layered = next(contract for contract in contracts if contract["type"] == "layers")
    return [
        [room.strip().removeprefix("facesearch.") for room in layer.split("|")]
        for layer in layered["layers"]
    ]


def draw() -> str:
    """The whole picture as SVG."""
    rows = layers()
    height = TOP + len(rows) * ROW + 24
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {SIDE + SIDE_WIDTH + 20} {height}" '
        'font-family="Helvetica, Arial, sans-serif" role="img" aria-labelledby="title">',
        '<title id="title">The rooms of facesearch; each may import only what is below it</title>',
        '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" '
        'markerHeight="8" orient="auto"><path d="M0,0 L8,4 L0,8 z" fill="#5a6b7b"/></marker>'
        "</defs>",
        f'<rect width="{SIDE + SIDE_WIDTH + 20}" height="{height}" rx="10" fill="#ffffff"/>',
    ]
    for index, rooms in enumerate(rows):
        y = TOP + index * ROW
        width = (WIDTH - GAP * (len(rooms) - 1)) / len(rooms)
        for place, room in enumerate(rooms):
            parts += _box(LEFT + place * (width + GAP), y, width, (room, PURPOSES[room]))
        if index + 1 < len(rows):
            parts.append(_arrow(LEFT + WIDTH / 2, y + BOX + 4, LEFT + WIDTH / 2, y + ROW - 4))
    parts += _report(rows)
    parts.append(
        f'<text x="{LEFT}" y="{height - 12}" font-size="12" fill="#44525f">A row may import every '
        "row below it and none above. Rooms side by side do not import each other.</text></svg>\n"
    )
    return "\n".join(parts)


def _report(rows: list[list[str]]) -> list[str]:
    """The box beside the layers: called from the top, knowing one room near the bottom."""
    records = next(index for index, rooms in enumerate(rows) if "records" in rooms)
    y = TOP + ROW * (records // 2)
    middle = SIDE + SIDE_WIDTH / 2
    top, bottom = TOP + BOX / 2, TOP + records * ROW + BOX / 2
    return [
        f'<path d="M{LEFT + WIDTH} {top} H{middle} V{y - 10}" {_LINE}/>',
        *_box(SIDE, y - 6, SIDE_WIDTH, ("report", REPORT), height=BOX + 40),
        f'<path d="M{middle} {y + BOX + 38} V{bottom} H{LEFT + WIDTH + 5}" {_LINE}/>',
    ]


_LINE = 'fill="none" stroke="#5a6b7b" stroke-width="1.5" marker-end="url(#head)"'


def _arrow(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<path d="M{x1} {y1} L{x2} {y2}" {_LINE}/>'


def _box(
    x: float, y: float, width: float, text: tuple[str, str], *, height: int = BOX
) -> list[str]:
    name, purpose = text
    lines = textwrap.wrap(purpose, int((width - 16) / LETTER))
    middle = x + width / 2
    first = y + height / 2 - 8 * len(lines) + 6
    return [
        f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height}" rx="6" fill="#eef4fa" '
        'stroke="#7d97b0"/>',
        f'<text x="{middle:g}" y="{first:g}" text-anchor="middle" font-size="14" '
        f'font-weight="600" fill="#16324d">{escape(name)}</text>',
        *(
            f'<text x="{middle:g}" y="{first + 16 * number:g}" text-anchor="middle" '
            f'font-size="12" fill="#33414e">{escape(line)}</text>'
            for number, line in enumerate(lines, start=1)
        ),
    ]


if __name__ == "__main__":
    PICTURE.write_text(draw(), encoding="utf-8")
    print(PICTURE)
