"""``facesearch query``: a person's photos, nearest first."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from facesearch.addresses import StoreName
from facesearch.cli.answer_page import Page, PagePictures, page_options
from facesearch.cli.numbers import number
from facesearch.cli.pictures import NoPictures, NumberedPictures, draw_sheets, require_sheet
from facesearch.cli.preview import preview_option, previewer_for
from facesearch.cli.runtimes import detail_choice, runtime_choices
from facesearch.cli.stores import (
    existing_gallery,
    go_on,
    lies_encrypted,
    remember,
    say,
    say_store,
    store_option,
    warn_of_plain,
    warn_of_plain_output,
)
from facesearch.cli.taking import Taking, prepare, take, taking_options
from facesearch.cli.transfer import report_line, transfer_bar
from facesearch.errors import EXIT_FAILED, EXIT_NO_FACE, PhotoError, UsageError
from facesearch.locations import Address, as_location, is_address, join
from facesearch.records import Box, QueryReport, QueryResult
from facesearch.search import AUTO, QUERY_BACKENDS

if TYPE_CHECKING:
    from facesearch.collecting import Chosen, CollectOptions
    from facesearch.gallery import Gallery
    from facesearch.index_options import IndexOptions
    from facesearch.querying import Asked, Embedder
    from facesearch.report import Format
    from facesearch.runtimes import RuntimeOptions


def _count(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> int | Literal["all"] | None:
    if value is None or value == "all":
        return value  # type: ignore[return-value]
    try:
        return int(value)
    except ValueError as error:
        raise click.BadParameter(f"{value!r} is neither a number nor 'all'") from error


def box_option(context: click.Context, parameter: click.Parameter, value: str | None) -> Box | None:
    """A box as people write it."""
    if value is None:
        return None
    try:
        x, y, width, height = (float(part) for part in value.split(","))
    except ValueError as error:
        raise click.BadParameter(f"{value!r} is not four numbers X,Y,W,H") from error
    if not all(math.isfinite(part) for part in (x, y)) or not (
        0 < width < math.inf and 0 < height < math.inf
    ):
        raise click.BadParameter(f"{value!r} has no area")
    return Box(x, y, width, height)


@click.command()
@click.argument("photos", metavar="PHOTO|FOLDER|-...", nargs=-1, required=True)
@store_option
@click.option(
    "-k",
    callback=_count,
    default="25",
    metavar="N|all",
    show_default=True,
    help="How many photos (or faces); or all.",
)
@click.option(
    "--by",
    type=click.Choice(["photo", "face"]),
    default="photo",
    show_default=True,
    help="Count photos, each by its nearest face, or faces.",
)
@click.option(
    "--face",
    callback=_count,
    metavar="N|all",
    help="Which face, by its number in reading order; or all.",
)
@click.option(
    "--box",
    callback=box_option,
    metavar="X,Y,W,H",
    help="Where the face is, in pixels of the upright photo, when none is found.",
)
@click.option(
    "--same-person", is_flag=True, help="All photos show one person: the nearest example wins."
)
@click.option(
    "--max-distance",
    type=click.FloatRange(min=0),
    callback=number,
    metavar="D",
    help="Nothing farther than this (0 to 2; more in some stores of whole photos).",
)
@click.option(
    "--fmr",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    callback=number,
    metavar="RATE",
    help="Nothing farther than where this share of other people's faces lie, e.g. 1e-4.",
)
@click.option("--exclude-self", is_flag=True, help="Leave out photos with the query's own content.")
@click.option(
    "--under", metavar="FOLDER", multiple=True, help="Only photos below this folder; repeatable."
)
@click.option(
    "--since", metavar="TIME", default="", help="Only photos taken then or later: 2019-05."
)
@click.option(
    "--until",
    metavar="TIME",
    default="",
    help="Only photos taken then or before: 2019, 2019-05-04.",
)
@click.option(
    "--person",
    "persons",
    metavar="NAME",
    multiple=True,
    help="Only photos of this person, by label or name of the folder; repeatable.",
)
@click.option(
    "--group",
    type=click.Choice(["similar"]),
    help="similar: copies and photos of one moment become one row (+11).",
)
@click.option(
    "--sort",
    type=click.Choice(["distance", "date"]),
    default="distance",
    show_default=True,
    help="Order of the rows: nearest first, or by capture time.",
)
@click.option(
    "--expand", is_flag=True, help="Average every face with its nearest in the store first."
)
@click.option("--yes", is_flag=True, help="Do not ask before --expand compares very many faces.")
@click.option(
    "--min-score",
    type=click.FloatRange(0, 1),
    callback=number,
    help="Lowest detection score in the query photo, 0 to 1.",
)
@detail_choice
@click.option(
    "--format",
    "format_",
    type=click.Choice(["table", "json", "ndjson", "csv", "paths", "paths0"]),
    default="table",
    show_default=True,
    help="How to print; paths0 ends each path with NUL.",
)
@click.option("--json", "as_json", is_flag=True, help="Short for --format json.")
@click.option(
    "--contact-sheet",
    type=click.Path(path_type=Path),
    metavar="FILE.png",
    help="Draw the query and its neighbours.",
)
@page_options
@preview_option
@taking_options
@click.option(
    "--backend",
    type=click.Choice(QUERY_BACKENDS),
    default=AUTO,
    show_default=True,
    help="What searches; auto: faiss where it is installed, else scikit-learn.",
)
@runtime_choices
@click.option("--offline", is_flag=True, help="Never use the network.")
def query(
    photos: tuple[str, ...],
    store: StoreName | None,
    k: int | Literal["all"],
    min_score: float | None,
    detail: str | None,
    format_: Format,
    as_json: bool,
    contact_sheet: Path | None,
    page: Page | None,
    preview: bool,
    taking: Taking | None,
    backend: str,
    device: str,
    runtime: str,
    precision: str,
    offline: bool,
    yes: bool,
    **settings: Any,
) -> int:
    """Find the photos nearest to the face in PHOTO ("-" reads it from standard input).

    A folder means every photo in it, each a query of its own. A store that was indexed with a
    --system for whole photos compares PHOTO as a whole.
    """
    from facesearch import querying
    from facesearch.cores import cores
    from facesearch.gallery.npz import note_of
    from facesearch.gallery.opening import open_gallery
    from facesearch.index_options import IndexOptions
    from facesearch.runtimes import RuntimeOptions

    format_ = _one_format(format_, as_json)
    path = existing_gallery(store)
    say_store(path)
    options = querying.QueryOptions(k=None if k == "all" else k, **settings)
    querying.check_options(options, len(photos))
    gallery = open_gallery(path, backend, partial(go_on, yes))
    remember(path)
    if note := note_of(gallery):
        say(note)
    querying.check_space(gallery)
    asked = dict(asked_photos(photos, offline))
    warn_of_plain_output(path)
    outputs = Outputs(contact_sheet, page, None if taking is None else taking(offline))
    outputs.require(path)
    previewer = previewer_for(format_) if preview else None
    on = RuntimeOptions(runtime, device, cores(), precision)
    looked = IndexOptions(min_score=min_score, detail=detail)
    embedder = embedder_for(gallery, on, looked, offline)
    report = querying.query(gallery, embedder, [*asked.items()], options, _pictures(path))
    chosen = outputs.choose(report, options.max_distance is not None)
    _tell(report, format_)
    if previewer is None:
        _print(report, format_)
    else:
        previewer(report, embedder.limits, offline)
    failed = outputs.make(report, PagePictures(asked, embedder, offline), chosen)
    return failed or _exit_code(report.results)


@dataclass(frozen=True, slots=True)
class Outputs:
    """What a query leaves beside what it prints."""

    sheet: Path | None
    page: Page | None
    taking: CollectOptions | None

    def require(self, store: StoreName) -> None:
        """Refuses what cannot be written, before anything is done for it.

        Raises:
            FacesearchError: it cannot be.
        """
        if self.sheet is not None:
            require_sheet(self.sheet)
            warn_of_plain(store, self.sheet)
        if self.page is not None:
            self.page.require(store)
        if self.taking is not None:
            prepare(store, self.taking)

    def choose(self, report: QueryReport, bounded: bool) -> Chosen | None:
        """Which photos are taken; ``bounded``: the search was told how far to look.

        Raises:
            UsageError: that is not clear.
        """
        from facesearch import collecting

        return None if self.taking is None else collecting.choose(report, self.taking, bounded)

    def make(self, report: QueryReport, pictures: PagePictures, chosen: Chosen | None) -> int:
        """Makes all of it; the exit code.

        Raises:
            FacesearchError: something cannot be written.
        """
        if self.sheet is not None:
            sources, embedder = pictures.sources, pictures.embedder
            draw_sheets(report, sources, embedder, self.sheet, pictures.offline)
        if self.page is not None:
            self.page.write(report, pictures)
        return 0 if self.taking is None or chosen is None else take(chosen, self.taking)


def _print(report: QueryReport, format_: Format) -> None:
    from facesearch.report import escape_lines, render_query

    rendered = render_query(report, format_)
    if format_ != "paths0" and _is_read():  # programs get names as they are, people not
        rendered = escape_lines(rendered)
    sys.stdout.buffer.write(rendered)
    sys.stdout.buffer.flush()


def _pictures(store: StoreName) -> NumberedPictures | NoPictures | None:
    """Who draws the faces of a photo that has several, for a person to choose one; beside an
    encrypted store nobody.
    """
    if lies_encrypted(store):
        return NoPictures("the store is encrypted")
    return NumberedPictures() if _is_read() else None


def _is_read() -> bool:
    """Whether a person reads the answer, and no program."""
    return sys.stdout.isatty()


def _one_format(format_: Format, as_json: bool) -> Format:
    if as_json and format_ not in ("table", "json"):
        raise UsageError(f"--json and --format {format_} exclude each other")
    return "json" if as_json else format_


def asked_photos(photos: Sequence[str], offline: bool) -> Iterator[Asked]:
    """What was named; folders become their photos, standard input is read once.

    Raises:
        UsageError: an object in storage, offline.
    """
    for name in dict.fromkeys(photos):
        if offline and isinstance(as_location(name), Address):
            raise UsageError(f"--offline: {name} lies on the network; leave the option out")
        if name == "-":
            yield name, standard_input()
        elif _is_folder(name):
            yield from _in_folder(name)
        else:
            yield name, name


def _is_folder(name: str) -> bool:
    if not is_address(name):
        return os.path.isdir(name)  # noqa: PTH112 - Path.is_dir raises where it may not look
    from facesearch.photos import promises_photo
    from facesearch.sources import is_folder

    # To ask whether a photo is a folder would cost a request.
    return not promises_photo(name) and is_folder(as_location(name))


def standard_input() -> bytes | PhotoError:
    """All of it, or why it cannot be read."""
    from facesearch.photos import read_bytes

    try:
        return read_bytes(sys.stdin.buffer, "standard input").data
    except PhotoError as error:
        return error


def _in_folder(folder: str) -> Iterator[Asked]:
    from facesearch.sources import open_source

    place = as_location(folder)
    source = open_source(place)
    start = str(place) if is_address(folder) else folder
    found = 0
    for entry in source.entries():
        if source.probe(entry) != "not-read":
            found += 1
            path = join(start, entry.key)
            yield path, path
    for failure in source.unreadable:
        yield failure.path, PhotoError(failure.reason, failure.message)
    if not found and not source.unreadable:
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in source.not_read.most_common(5))
        others = f" (not read: {kinds})" if kinds else ""
        message = f"{folder}: no photos in this folder{others}; name a photo"
        yield folder, PhotoError("not-a-photo", message)


def embedder_for(
    gallery: Gallery,
    runtime: RuntimeOptions,
    looked: IndexOptions | None = None,
    offline: bool = False,
) -> Embedder:
    """Finds and embeds faces as a gallery's were, but where ``looked`` says otherwise."""
    from facesearch.index_options import query_spec
    from facesearch.processing import LazyPipeline
    from facesearch.runtimes import Fetch

    spec = query_spec(gallery, runtime, looked)
    fetch = Fetch(offline, report_line, transfer_bar)
    return LazyPipeline(spec, partial(spec.make_ready, fetch))


def _tell(report: QueryReport, format_: Format) -> None:
    """What the format has no place for goes to standard error, and what failed in any case."""
    if format_ == "table":
        return
    bare = format_ in ("csv", "paths", "paths0")
    for result in report.results:
        if result.error is not None:
            say(f"facesearch: {result.error.message}")
        for note in result.notes if bare else ():
            say(note)
    if bare:
        from facesearch.report import count, coverage_line
        from facesearch.report.paths import left_out

        if format_ == "paths" and (odd := left_out(report)):
            names = count(len(odd), "photo")
            say(f"left out {names} with a line break in the name; --format paths0 has them")
        say(coverage_line(report.coverage))


def _exit_code(results: Sequence[QueryResult]) -> int:
    errors = [result.error.code for result in results if result.error is not None]
    if len(errors) < len(results):
        return 0
    return EXIT_NO_FACE if "no-face" in errors else EXIT_FAILED
