"""``--preview``: the table with the faces in it, on terminals that show pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from PIL import Image, ImageOps

from facesearch.errors import UsageError
from facesearch.records import Neighbor, Pixels, QueryReport
from facesearch.report.table import closing, coverage_line, headline, similar_cell
from facesearch.report.terminal import escape

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

INSTALL = "pip install textual-image"
MOST = 200
"""So many neighbours are shown with a picture; the others without."""
_COLUMNS, _LINES = 10, 5  # of a picture, in letters; a letter is about twice as high as wide
_SIDE = 200

Crop = Callable[[Neighbor], Pixels | None]
"""The face's pixels, None where there is no picture of it."""


def picture_class() -> Any:
    """What draws a picture on this terminal; None where the terminal shows none. The terminal is
    asked, which takes a moment.

    Raises:
        UsageError: the library for it is not installed.
    """
    try:
        from textual_image import renderable
    except ImportError as error:
        if error.name is None or error.name.partition(".")[0] not in ("textual_image", "rich"):
            raise
        raise UsageError(f"--preview needs textual-image; install it: {INSTALL}") from error
    found = renderable.Image
    # Blocks and letters in place of pixels show no face.
    return found if found in (renderable.SixelImage, renderable.TGPImage) else None


def show(report: QueryReport, picture: Any, crop: Crop, now: datetime) -> None:
    """Prints the answer as ``--format table`` does, each row with its face.

    Args:
        report: the answer.
        picture: what ``picture_class`` gives.
        crop: gives the faces.
        now: the moment that "indexed today" is judged by.
    """
    from rich.console import Console

    console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
    for result in report.results:
        _print_lines(console, headline(result))
        for neighbor in result.neighbors[:MOST]:
            _print_row(console, _drawn(picture, crop(neighbor)), _lines(neighbor))
            _print_lines(console, [escape(neighbor.path)])  # whole, so that it can be copied
        for neighbor in result.neighbors[MOST:]:
            _print_lines(console, ["  ".join([*_lines(neighbor), escape(neighbor.path)])])
        _print_lines(console, [*closing(result), ""])
    _print_lines(console, [coverage_line(report.coverage, now)])


def _drawn(picture: Any, pixels: Pixels | None) -> RenderableType:
    if pixels is None:
        return "(no photo)"
    image = ImageOps.fit(Image.fromarray(pixels), (_SIDE, _SIDE))
    drawn: RenderableType = picture(image, width=_COLUMNS, height=_LINES)
    return drawn


def _print_row(console: Console, picture: RenderableType, lines: Iterable[str]) -> None:
    from rich.table import Table
    from rich.text import Text

    row = Table.grid(padding=(0, 2))
    row.add_column(width=_COLUMNS)
    row.add_column(overflow="fold")
    row.add_row(picture, Text("\n".join(lines)))
    console.print(row, soft_wrap=False)


def _print_lines(console: Console, lines: Iterable[str]) -> None:
    for line in lines:
        console.print(line)


def _lines(neighbor: Neighbor) -> list[str]:
    nearness = f"distance {neighbor.distance:.3f}"
    if neighbor.similarity is not None:
        nearness = f"similarity {neighbor.similarity:.3f}  {nearness}"
    first = [str(neighbor.rank), nearness, neighbor.band, similar_cell(neighbor)]
    second = [neighbor.taken[:10], f"face {neighbor.face}" if neighbor.face else ""]
    return [
        "  ".join(filter(None, map(escape, first))),
        *filter(None, ["  ".join(filter(None, map(escape, second)))]),
    ]
