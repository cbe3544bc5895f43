"""The pictures that a query leaves: faces with their numbers, and contact sheets."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from facesearch import weights
from facesearch.cli.stores import say
from facesearch.errors import FacesearchError, PhotoError, UsageError
from facesearch.locations import is_address
from facesearch.records import Photo, Query, QueryReport, QueryResult, Tile

if TYPE_CHECKING:
    from facesearch.querying import Embedder, PhotoLike

    Sources = Mapping[str, PhotoLike | PhotoError]

_MOST = 8
"""Of more photos with several faces no numbered picture is made."""


class NumberedPictures:
    """Draws the numbered faces of query photos into a folder that only its owner can read, in place
    of those that the query before has left there.
    """

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._drawn = 0

    def __call__(self, photo: Photo, query: Query) -> str:
        """Pictures one photo; says where, or why not."""
        from facesearch.report.numbered_faces import numbered_faces
        from facesearch.report.picture_file import write_png

        if self._drawn == _MOST:
            return f"faces are pictured for {_MOST} photos, not for more; ask for this one alone"
        try:
            if self._folder is None:
                self._folder = _emptied(weights.home() / "numbered-faces")
            target = self._folder / self._name(query.path)
            drawn = numbered_faces(photo.pixels, query.faces, photo.facts.scale, query.face)
            write_png(drawn, target)
        except (OSError, FacesearchError) as error:
            return f"no picture of the numbered faces: {error}"
        self._drawn += 1
        return f"faces numbered in {target}"

    def _name(self, path: str) -> str:
        """A short plain name that none of the others has."""
        plain = plain_name(path, "query")
        return f"{plain}-faces{f'-{self._drawn + 1}' if self._drawn else ''}.png"


def _emptied(folder: Path) -> Path:
    """The folder, without the pictures that were drawn there before."""
    from facesearch import private
    from facesearch.report.picture_file import is_ours

    private.make_folder(folder)
    folder.chmod(0o700)
    for picture in folder.glob("*.png"):
        if is_ours(picture):
            picture.unlink(missing_ok=True)
    return folder


@dataclass(frozen=True, slots=True)
class NoPictures:
    """Draws nothing, and says why."""

    why: str

    def __call__(self, photo: Photo, query: Query) -> str:
        """See ``NumberedPictures``."""
        return f"no picture of the numbered faces: {self.why}"


def plain_name(path: str, otherwise: str) -> str:
    """A photo's name without its suffix, short and without what a shell would read."""
    return re.sub(r"[^\w.-]+", "_", Path(path).stem).strip("-_.")[:40] or otherwise


def require_sheet(target: Path) -> None:
    """``require_picture`` for a contact sheet."""
    require_picture(target, "contact sheet")


def require_picture(target: Path, what: str) -> None:
    """Refuses a picture's name before anything is done for it; messages call it ``what``.

    Raises:
        UsageError: it is no name for a PNG, or that of a file that facesearch did not draw.
        FacesearchError: there is no such folder.
    """
    if target.suffix.lower() != ".png":
        raise UsageError(f"{target}: a {what} is a PNG; name a file that ends in .png")
    if not target.absolute().parent.is_dir():
        raise FacesearchError(f"{target}: its folder does not exist; create it, or name another")
    refuse_others(target, what)


def draw_sheets(
    report: QueryReport,
    sources: Sources,
    embedder: Embedder,
    target: Path,
    offline: bool = False,
) -> None:
    """One sheet for each answer; from the second on the file's name is numbered. Offline, photos in
    object storage are not shown.

    Raises:
        FacesearchError: a sheet cannot be written, or would replace something else.
    """
    from facesearch.report import count
    from facesearch.report.contact_sheet import contact_sheet
    from facesearch.report.picture_file import write_png

    answered = [result for result in report.results if result.error is None]
    for number, result in enumerate(answered, start=1):
        path = target if number == 1 else target.with_stem(f"{target.stem}-{number}")
        refuse_others(path)
        asked = _query_tiles(result, sources, embedder)
        tiles = _neighbor_tiles(result, embedder, offline)
        totals = len(result.query.examples), len(result.neighbors)
        title = f"{count(totals[1], 'neighbour')}, nearest first"
        write_png(contact_sheet(asked, tiles, title, totals), path)
        say(f"contact sheet: {path.absolute()}")


def refuse_others(target: Path, what: str = "contact sheet") -> None:
    """A picture may replace an earlier one, never a photo or anything else.

    Raises:
        UsageError: it would.
    """
    from facesearch.report.picture_file import is_ours

    if os.path.lexists(target) and not is_ours(target):
        raise UsageError(
            f"{target}: there is a file already, no {what}; name another, or delete it"
        )


def _query_tiles(result: QueryResult, sources: Sources, embedder: Embedder) -> list[Tile]:
    from facesearch.querying import called, open_photo
    from facesearch.report.contact_sheet import MOST_QUERIES
    from facesearch.tiles import query_tile, unread_tile

    tiles = []
    for name, number in result.query.examples[:MOST_QUERIES]:
        lines = (Path(called(name)).name,)
        try:
            photo = open_photo(sources[name], embedder.limits, name)
        except PhotoError as error:
            tiles.append(unread_tile(lines, error.reason))
            continue
        if number is None:  # the whole photo was searched for
            tiles.append(query_tile(photo, [], 0, lines))
            continue
        boxes = [face.box for face in result.query.faces]
        if name != result.query.path:
            boxes = [face.box for face in embedder.detect(photo) if face.box is not None]
        # A box drawn by hand has the number 0.
        tiles.append(query_tile(photo, boxes, max(number - 1, 0), lines))
    return tiles


def _neighbor_tiles(result: QueryResult, embedder: Embedder, offline: bool) -> list[Tile]:
    from facesearch.report.contact_sheet import MOST_NEIGHBORS, neighbor_lines
    from facesearch.tiles import neighbor_tile, unread_tile

    return [
        unread_tile(neighbor_lines(neighbor), "offline")
        if offline and is_address(neighbor.path)
        else neighbor_tile(neighbor, neighbor_lines(neighbor), embedder.limits)
        for neighbor in result.neighbors[:MOST_NEIGHBORS]
    ]
