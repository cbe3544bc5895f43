"""``--preview``: faces in the table, where the terminal can show them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from facesearch.cli.stores import say
from facesearch.errors import UsageError
from facesearch.locations import is_address
from facesearch.records import Neighbor, QueryReport

if TYPE_CHECKING:
    from facesearch.photos import PhotoLimits
    from facesearch.records import Pixels
    from facesearch.report import Format

preview_option = click.option(
    "--preview",
    is_flag=True,
    help="Show the faces in the table, on terminals that can (kitty, iTerm2, those with sixel).",
)

Previewer = Callable[[QueryReport, "PhotoLimits", bool], None]
_SIDE = 200


def previewer_for(format_: Format) -> Previewer | None:
    """What prints an answer with its faces; None, and a word why, where that cannot be.

    Raises:
        UsageError: another format than the table, or the library for it is not installed.
    """
    from facesearch.report.preview import picture_class

    if format_ != "table":
        raise UsageError(f"--preview shows faces in the table; leave out --format {format_}")
    if not (sys.stdout.isatty() and sys.stdin.isatty()):
        say("no preview: this is no terminal")
        return None
    picture = picture_class()
    if picture is None:
        say(
            "no preview: this terminal shows no pictures; --html FILE makes a page, --open opens it"
        )
        return None
    return partial(_show, picture)


def _show(picture: Any, report: QueryReport, limits: PhotoLimits, offline: bool) -> None:
    from datetime import datetime

    from facesearch.report.preview import show

    show(report, picture, partial(_crop, limits, offline), datetime.now().astimezone())


def _crop(limits: PhotoLimits, offline: bool, neighbor: Neighbor) -> Pixels | None:
    from facesearch.tiles import photo_of, shown

    if offline and is_address(neighbor.path):
        return None
    photo = photo_of(neighbor, limits)
    return None if isinstance(photo, str) else shown(photo, neighbor.box, (_SIDE, _SIDE)).crop
