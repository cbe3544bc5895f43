"""The contact sheet: the query and its neighbours as one picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath

from PIL import Image, ImageDraw, ImageOps

from facesearch.records import Box, Neighbor, Pixels, Tile
from facesearch.report.lettering import Lettering
from facesearch.report.wording import count

MOST_NEIGHBORS = 1000
"""More than these are not drawn; the sheet says so."""
MOST_QUERIES = 12

_PAGE = "#eef1f5"
_BAND = "#10182b"
_ACCENT = "#ffb020"
_MARGIN = 28
_GAP = 14
_TITLE_SIZE = 26
_NARROWEST = 760
_SHAPE = 1.4  # width over height that the grid of neighbours comes near to


@dataclass(frozen=True, slots=True)
class _Style:
    """How a tile looks. ``side`` is that of the two squares for face and photo, in pixels."""

    side: int
    padding: int
    strong_size: int
    plain_size: int
    paper: str = "#ffffff"
    edge: str = "#d9dfe8"
    well: str = "#f3f5f8"
    strong_ink: str = "#10182b"
    plain_ink: str = "#5b6678"

    @property
    def width(self) -> int:
        return 2 * self.side + 3 * self.padding

    def height(self, lines: int) -> int:
        texts = self.line_height(0) + (lines - 1) * self.line_height(1) if lines else 0
        return self.side + 2 * self.padding + texts + (self.padding // 2 if lines else 0)

    def line_height(self, line: int) -> int:
        return round((self.plain_size if line else self.strong_size) * 1.4)


def neighbor_lines(neighbor: Neighbor) -> tuple[str, ...]:
    """The texts of a neighbour's tile: rank and similarity, distance and band, file name. Without a
    similarity the distance stands first.
    """
    name = PurePath(neighbor.path).name
    distance = f"distance {neighbor.distance:.3f}"
    sure = f" · {neighbor.band}" if neighbor.band else ""
    if neighbor.similarity is None:
        return f"{neighbor.rank} · {distance}{sure}", name
    return f"{neighbor.rank} · similarity {neighbor.similarity:.3f}", f"{distance}{sure}", name


def contact_sheet(
    query_tiles: Sequence[Tile],
    neighbor_tiles: Sequence[Tile],
    title: str,
    totals: tuple[int, int] | None = None,
) -> Image.Image:
    """Draw the query on a dark band and its neighbours, nearest first, in a grid below.

    Tiles get smaller in two steps as neighbours grow in number, so that a sheet stays under 30
    megapixels; after ``MOST_NEIGHBORS`` neighbours or ``MOST_QUERIES`` query photos a line says
    how many more there are. A tile's first text is set larger; long texts lose their middle.

    Args:
        query_tiles: the query's photos.
        neighbor_tiles: the neighbours, nearest first.
        title: set above all.
        totals: how many query photos and neighbours there are, where tiles were not made of all.

    Returns:
        An RGB image.
    """
    asked, found = totals or (len(query_tiles), len(neighbor_tiles))
    shown = neighbor_tiles[:MOST_NEIGHBORS]
    style = _neighbor_style(len(shown))
    columns = _columns(len(shown), style, _lines(shown))
    width = max(_NARROWEST, columns * (style.width + _GAP) - _GAP + 2 * _MARGIN)
    letters = Lettering()
    band = _query_band((query_tiles, asked), title, width, letters)
    columns = _columns_in(width, style)
    grid = _Grid(style, columns, _lines(shown))
    remark = _remark(len(shown), found)
    height = band.height + 2 * _MARGIN + grid.height(len(shown)) + (_MARGIN if remark else 0)
    sheet = Image.new("RGB", (width, height), _PAGE)
    sheet.paste(band, (0, 0))
    grid.draw(sheet, (_MARGIN, band.height + _MARGIN), shown, letters)
    if remark:
        canvas = ImageDraw.Draw(sheet)
        letters.draw(canvas, (_MARGIN, height - _MARGIN), remark, 16, style.plain_ink)
    return sheet


def _remark(shown: int, found: int) -> str:
    if not found:
        return "no neighbours"
    return f"the nearest {shown:,} of {found:,}" if shown < found else ""


def _neighbor_style(count: int) -> _Style:
    if count <= 60:
        return _Style(side=148, padding=12, strong_size=17, plain_size=14)
    if count <= 240:
        return _Style(side=104, padding=9, strong_size=14, plain_size=12)
    return _Style(side=72, padding=6, strong_size=12, plain_size=11)


def _query_style(count: int) -> _Style:
    dark = {
        "paper": "#1c2740",
        "edge": "#2c3958",
        "well": "#141d33",
        "strong_ink": "#ffffff",
        "plain_ink": "#aab6cc",
    }
    if count <= 2:
        return _Style(side=190, padding=14, strong_size=18, plain_size=15, **dark)
    return _Style(side=100, padding=9, strong_size=14, plain_size=12, **dark)


def _lines(tiles: Sequence[Tile]) -> int:
    return max((len(tile.lines) for tile in tiles), default=0)


def _columns(count: int, style: _Style, lines: int) -> int:
    across, down = style.width + _GAP, style.height(lines) + _GAP
    ideal = math.sqrt(max(1, count) * _SHAPE * down / across)
    near = range(max(1, round(ideal * 0.8)), max(1, round(ideal * 1.2)) + 1)
    # The fewest empty places in the last row, then the best shape.
    return min(near, key=lambda columns: (-count % columns, abs(columns - ideal)))


def _columns_in(width: int, style: _Style) -> int:
    return max(1, (width - 2 * _MARGIN + _GAP) // (style.width + _GAP))


def _query_band(
    queries: tuple[Sequence[Tile], int], title: str, width: int, letters: Lettering
) -> Image.Image:
    tiles, total = queries
    shown = tiles[:MOST_QUERIES]
    style = _query_style(len(shown))
    grid = _Grid(style, _columns_in(width, style), _lines(shown))
    top = 2 * _MARGIN + _TITLE_SIZE - 6
    more = f"and {count(total - len(shown), 'more photo')}" if total > len(shown) else ""
    height = top + grid.height(len(shown)) + _MARGIN + (_MARGIN if more else 0)
    band = Image.new("RGB", (width, height), _BAND)
    canvas = ImageDraw.Draw(band)
    heading = letters.shorten(title, _TITLE_SIZE, width - 2 * _MARGIN)
    letters.draw(canvas, (_MARGIN, _MARGIN + _TITLE_SIZE - 8), heading, _TITLE_SIZE, "#ffffff")
    grid.draw(band, (_MARGIN, top), shown, letters)
    if more:
        letters.draw(canvas, (_MARGIN, height - _MARGIN), more, 16, style.plain_ink)
    return band


@dataclass(frozen=True, slots=True)
class _Grid:
    """Tiles of one style in rows; ``lines`` is the most texts that one of them has."""

    style: _Style
    columns: int
    lines: int

    def height(self, count: int) -> int:
        rows = math.ceil(count / self.columns)
        return max(0, rows * (self.style.height(self.lines) + _GAP) - _GAP)

    def draw(
        self,
        sheet: Image.Image,
        corner: tuple[int, int],
        tiles: Sequence[Tile],
        letters: Lettering,
    ) -> None:
        across, down = self.style.width + _GAP, self.style.height(self.lines) + _GAP
        for number, tile in enumerate(tiles):
            row, column = divmod(number, self.columns)
            place = corner[0] + column * across, corner[1] + row * down
            _draw_tile(sheet, place, tile, self, letters)


def _draw_tile(
    sheet: Image.Image, corner: tuple[int, int], tile: Tile, grid: _Grid, letters: Lettering
) -> None:
    style = grid.style
    card = Image.new("RGB", (style.width, style.height(grid.lines)), style.paper)
    canvas = ImageDraw.Draw(card)
    _place(card, _face(tile.crop, style.side), (style.padding, style.padding), style)
    view = _photo(tile.view, tile.box, style.side)
    _place(card, view, (style.side + 2 * style.padding, style.padding), style)
    baseline = style.padding + style.side + style.padding // 2
    for number, line in enumerate(tile.lines):
        size, ink = (
            (style.plain_size, style.plain_ink) if number else (style.strong_size, style.strong_ink)
        )
        baseline += style.line_height(number)
        text = letters.shorten(line, size, style.width - 2 * style.padding)
        letters.draw(canvas, (style.padding, baseline - size // 4), text, size, ink)
    radius = style.padding
    sheet.paste(card, corner, _rounded(card.size, radius))
    right, bottom = corner[0] + card.width - 1, corner[1] + card.height - 1
    ImageDraw.Draw(sheet).rounded_rectangle((*corner, right, bottom), radius, outline=style.edge)


def _place(card: Image.Image, picture: Image.Image, corner: tuple[int, int], style: _Style) -> None:
    """Centre a picture on its square."""
    side, radius = style.side, max(3, style.padding // 2)
    well = Image.new("RGB", (side, side), style.well)
    well.paste(picture, ((side - picture.width) // 2, (side - picture.height) // 2))
    card.paste(well, corner, _rounded((side, side), radius))


def _face(pixels: Pixels, side: int) -> Image.Image:
    # Fills its square, at the cost of a rim where the crop is not one.
    return ImageOps.fit(Image.fromarray(pixels), (side, side), Image.Resampling.LANCZOS)


def _photo(pixels: Pixels, box: Box | None, side: int) -> Image.Image:
    picture, scale = _fitted(Image.fromarray(pixels), side)
    if box is None:
        return picture
    outline = (
        box.x * scale,
        box.y * scale,
        (box.x + box.width) * scale,
        (box.y + box.height) * scale,
    )
    canvas = ImageDraw.Draw(picture)
    grown = (outline[0] - 1, outline[1] - 1, outline[2] + 1, outline[3] + 1)
    # Dark outside bright: one of them stands out on any photo.
    canvas.rectangle(grown, outline=_BAND, width=3)
    canvas.rectangle(outline, outline=_ACCENT, width=2)
    return picture


def _fitted(picture: Image.Image, side: int) -> tuple[Image.Image, float]:
    scale = side / max(picture.size)
    size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    return picture.resize(size, Image.Resampling.LANCZOS), scale


def _rounded(size: tuple[int, int], radius: int) -> Image.Image:
    """A mask with smooth round corners."""
    fine = Image.new("L", (size[0] * 4, size[1] * 4), 0)
    box = (0, 0, fine.width - 1, fine.height - 1)
    ImageDraw.Draw(fine).rounded_rectangle(box, radius * 4, fill=255)
    return fine.resize(size, Image.Resampling.BOX)
