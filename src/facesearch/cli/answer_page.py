"""``--html`` and ``--open``: an answer as a page."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from facesearch.addresses import StoreName
from facesearch.cli.stores import say, warn_of_plain
from facesearch.errors import FacesearchError, ModelError, PhotoError
from facesearch.locations import is_address
from facesearch.records import Neighbor, QueryFace, QueryReport, QueryResult, Shown

if TYPE_CHECKING:
    from facesearch.cli.pictures import Sources
    from facesearch.querying import Embedder
    from facesearch.report.answer_page import Example


@dataclass(frozen=True, slots=True)
class Page:
    """The page that was asked for: ``target`` is None where it is only to be opened."""

    target: Path | None
    opened: bool

    def require(self, store: StoreName) -> None:
        """Refuses what cannot be written, before anything is done for it.

        Raises:
            UsageError: see ``require_page``.
        """
        from facesearch.report.answer_page import require_page

        if self.target is not None:
            require_page(self.target)
        warn_of_plain(store, self.target or "a page in the temporary folder")

    def write(self, report: QueryReport, pictures: PagePictures) -> None:
        """Writes the page, readable by its owner alone, and opens it.

        Raises:
            FacesearchError: it cannot be written.
        """
        from datetime import datetime

        from facesearch import private
        from facesearch.report.answer_page import render

        page = render(report, pictures, datetime.now().astimezone())
        target = self.target
        try:
            if target is None:  # a folder that nobody else can look into
                target = Path(tempfile.mkdtemp(prefix="facesearch-")) / "answer.html"
            private.write_file(target, page.encode())
        except OSError as error:
            raise FacesearchError(
                f"{target}: the page cannot be written ({error.strerror or error}); name a file in "
                "a folder that can be written and has room"
            ) from error
        say(f"page: {target.absolute()}")
        if self.opened:
            _open(target.absolute())


def _open(page: Path) -> None:
    import webbrowser

    if not webbrowser.open(page.as_uri()):
        say(f"no browser could be started; open {page} yourself")


_OPTIONS = (
    click.option(
        "--html",
        type=click.Path(path_type=Path),
        metavar="FILE.html",
        help="Write the answer as one page that opens without a network.",
    ),
    click.option(
        "--open",
        "opened",
        is_flag=True,
        help="Open the page in the browser; without --html one in the temporary folder.",
    ),
)


def page_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options to a command, which gets one argument ``page`` for them: a ``Page``, or
    None.
    """

    @wraps(command)
    def wrapped(html: Path | None, opened: bool, **given: Any) -> Any:
        page = Page(html, opened) if html is not None or opened else None
        return command(page=page, **given)

    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    return wrapped


@dataclass(frozen=True, slots=True)
class PagePictures:
    """Shows the photos of an answer; offline those in object storage are left out."""

    sources: Sources
    embedder: Embedder
    offline: bool

    def of_example(self, result: QueryResult, path: str, face: int | None) -> Example | str:
        """A photo of the query; see ``AnswerPictures``."""
        from facesearch.querying import called, numbered, open_photo
        from facesearch.report.answer_page import FACE_SIDE, VIEW_SIDE, Example
        from facesearch.tiles import shown

        try:
            photo = open_photo(self.sources[path], self.embedder.limits, path)
            faces: tuple[QueryFace, ...] = result.query.faces
            if path != result.query.path and face is not None:
                faces = numbered(path, photo, self.embedder.detect(photo), None).faces
        except (PhotoError, ModelError) as error:  # it changed since it was searched for
            return str(error).removeprefix(f"{called(path)}: ")
        boxes = {each.number: each.box for each in faces}
        box = None if face is None else boxes.get(face)
        pictures = shown(photo, box, (FACE_SIDE, VIEW_SIDE))
        return Example(pictures, faces, face, photo.facts.width, photo.facts.height)

    def of_neighbor(self, neighbor: Neighbor) -> Shown | str:
        """A neighbour; see ``AnswerPictures``."""
        from facesearch.report.answer_page import FACE_SIDE, VIEW_SIDE
        from facesearch.tiles import photo_of, shown

        if self.offline and is_address(neighbor.path):
            return "offline"
        photo = photo_of(neighbor, self.embedder.limits)
        if isinstance(photo, str):
            return photo
        return shown(photo, neighbor.box, (FACE_SIDE, VIEW_SIDE))
