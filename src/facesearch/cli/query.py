"""``facesearch query``: a person's photos, nearest first."""

from __future__ import annotations

import dataclasses
import math
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from facesearch.cli.stores import existing_store, say_store, store_option
from facesearch.errors import EXIT_FAILED, EXIT_NO_FACE, UsageError
from facesearch.records import Box, QueryReport, QueryResult

if TYPE_CHECKING:
    from facesearch.querying import Embedder, PhotoLike
    from facesearch.recipes import Recipe

_PICTURED = 8  # queries with several faces of which a numbered picture is made


def _count(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> int | Literal["all"] | None:
    if value is None or value == "all":
        return value  # type: ignore[return-value]
    try:
        return int(value)
    except ValueError as error:
        raise click.BadParameter(f"{value!r} is neither a number nor 'all'") from error


def _box(context: click.Context, parameter: click.Parameter, value: str | None) -> Box | None:
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
    callback=_box,
    metavar="X,Y,W,H",
    help="Where the face is, in pixels of the upright photo, when none is found.",
)
@click.option(
    "--same-person", is_flag=True, help="All photos show one person: the nearest example wins."
)
@click.option(
    "--max-distance",
    type=click.FloatRange(min=0),
    metavar="D",
    help="Nothing farther than this (0 to 2).",
)
@click.option("--exclude-self", is_flag=True, help="Leave out photos with the query's own content.")
@click.option(
    "--under", metavar="FOLDER", multiple=True, help="Only photos below this folder; repeatable."
)
@click.option(
    "--min-score", type=click.FloatRange(0, 1), help="Lowest detection score in the query photo."
)
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
@click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "gpu"]),
    default="auto",
    show_default=True,
    help="What the networks run on.",
)
@click.option("--offline", is_flag=True, help="Never use the network.")
def query(
    photos: tuple[str, ...],
    store: Path | None,
    k: int | Literal["all"],
    min_score: float | None,
    format_: str,
    as_json: bool,
    contact_sheet: Path | None,
    device: str,
    offline: bool,
    under: tuple[str, ...],
    **settings: Any,
) -> int:
    """Find the photos nearest to the face in PHOTO ("-" reads it from standard input).

    A folder means every photo in it, each a query of its own.
    """
    from facesearch import querying
    from facesearch.gallery.npz import NpzGallery
    from facesearch.report import render_query
    from facesearch.store import Store

    path = existing_store(store)
    say_store(path)
    options = querying.QueryOptions(k=None if k == "all" else k, under=_folders(under), **settings)
    gallery = NpzGallery(Store.open(path))
    querying.check_space(gallery.recipe)
    sources = list(_sources(photos))
    querying.check_options(options, len(sources))
    embedder = _embedder(gallery.recipe, min_score, device, offline)
    report = querying.query(gallery, embedder, sources, options)
    report = _with_pictures(report, dict(sources), embedder)
    format_ = "json" if as_json else format_
    if contact_sheet is not None:
        _draw_sheets(report, dict(sources), embedder, contact_sheet)
    if format_ in ("csv", "paths", "paths0"):
        for result in report.results:
            _tell(result)
    sys.stdout.buffer.write(render_query(report, format_))  # type: ignore[arg-type]
    return _exit_code(report.results)


def _folders(under: Sequence[str]) -> tuple[str, ...]:
    """Each folder as it was typed, which may be relative to a root, and in full."""
    return tuple(form for folder in under for form in (folder, os.path.abspath(folder)))


def _sources(photos: Sequence[str]) -> Iterator[tuple[str, PhotoLike]]:
    from facesearch.sources import FolderSource

    for name in photos:
        if name == "-":
            yield name, sys.stdin.buffer.read()
        elif Path(name).is_dir():
            source = FolderSource(Path(name))
            found = [entry.key for entry in source.entries() if source.probe(entry) != "not-read"]
            if not found:
                raise UsageError(f"{name}: no photos in this folder; name a photo")
            yield from ((full, full) for key in found for full in [os.path.join(name, key)])
        else:
            yield name, name


def _embedder(recipe: Recipe, min_score: float | None, device: str, offline: bool) -> Embedder:
    from facesearch import weights
    from facesearch.cli.transfer import report_line
    from facesearch.index_options import DEFAULT_MAX_PIXELS, cores
    from facesearch.processing import ProcessSpec
    from facesearch.runtimes import RuntimeOptions

    weights.ensure(recipe.extractor.model, offline=offline, report=report_line)
    if min_score is not None:
        recipe = dataclasses.replace(recipe, detector=recipe.detector.with_min_score(min_score))
    runtime = RuntimeOptions(device=device, threads=cores())
    return ProcessSpec(recipe, DEFAULT_MAX_PIXELS, runtime)()


def _with_pictures(
    report: QueryReport, sources: dict[str, PhotoLike], embedder: Embedder
) -> QueryReport:
    """Draws the numbered faces of each query that has a choice, and notes where."""
    pictured: dict[str, str] = {}
    results = []
    for result in report.results:
        name = result.query.path
        if result.notes and name not in pictured and len(pictured) < _PICTURED:
            pictured[name] = _numbered_picture(result, sources[name], embedder)
        note = (f"faces numbered in {pictured[name]}",) if result.notes and name in pictured else ()
        results.append(dataclasses.replace(result, notes=result.notes + note))
    return dataclasses.replace(report, results=tuple(results))


def _numbered_picture(result: QueryResult, source: PhotoLike, embedder: Embedder) -> str:
    from facesearch.querying import open_photo
    from facesearch.report import numbered_faces, write_png

    photo = open_photo(source, embedder.limits)
    folder = Path(tempfile.mkdtemp(prefix="facesearch-"))
    target = folder / f"{Path(result.query.path).stem.strip('-') or 'query'}-faces.png"
    drawn = numbered_faces(photo.pixels, result.query.faces, photo.facts.scale, result.query.face)
    write_png(drawn, target)
    return str(target)


def _draw_sheets(
    report: QueryReport, sources: dict[str, PhotoLike], embedder: Embedder, target: Path
) -> None:
    """One sheet for each answer; from the second on the file's name is numbered."""
    from facesearch.querying import open_photo
    from facesearch.report import contact_sheet, neighbor_lines, write_png
    from facesearch.tiles import neighbor_tile, query_tile

    answered = [result for result in report.results if result.error is None]
    for number, result in enumerate(answered, start=1):
        path = target if number == 1 else target.with_stem(f"{target.stem}-{number}")
        asked = [
            query_tile(open_photo(sources[name], embedder.limits), result.query, name, face)
            for name, face in result.query.examples
        ]
        tiles = [
            neighbor_tile(neighbor, neighbor_lines(neighbor), embedder.limits)
            for neighbor in result.neighbors
        ]
        title = f"{len(tiles)} nearest photos"
        write_png(contact_sheet(asked, tiles, title), path)
        click.echo(f"contact sheet: {path.absolute()}", err=True)


def _tell(result: QueryResult) -> None:
    for note in result.notes:
        click.echo(note, err=True)
    if result.error is not None:
        click.echo(f"facesearch: {result.error.message}", err=True)


def _exit_code(results: Sequence[QueryResult]) -> int:
    errors = [result.error.code for result in results if result.error is not None]
    if len(errors) < len(results):
        return 0
    return EXIT_NO_FACE if "no-face" in errors else EXIT_FAILED
