"""``facesearch forget``: photos, or faces on them, leave the store for good."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from operator import itemgetter
from typing import TYPE_CHECKING

import click

from facesearch.addresses import StoreName
from facesearch.cli.numbers import number
from facesearch.cli.stores import (
    existing_gallery,
    say,
    say_store,
    store_option,
    warn_of_plain_output,
)
from facesearch.errors import UsageError

if TYPE_CHECKING:
    from facesearch.forgetting import ForgetSummary, Going
    from facesearch.records import Query, QueryReport
    from facesearch.store.forgotten import Forgotten

_Near = Mapping[str, float]
"""Faces, or whole photos, by their ids, and how far they are from the photo that they are like."""

_SHOWN = 20
_OUT_OF_REACH = (
    "not reached: the photos themselves, other stores and copies of this one, backups, answers, "
    "pictures and reports that were saved, and networks trained on these photos"
)


@click.command()
@click.argument("paths", metavar="[PATH]...", nargs=-1)
@store_option
@click.option("--face", metavar="N", type=click.IntRange(1), help="Only face N of one photo.")
@click.option("--id", "ids", metavar="ID", multiple=True, help="A face or photo by its id.")
@click.option("--like", metavar="PHOTO", help="All faces like the one on this photo.")
@click.option(
    "--max-distance",
    metavar="D",
    type=click.FloatRange(min=0),
    callback=number,
    help="How far they may be, for --like: 0 to 2.",
)
@click.option("--no-memory", is_flag=True, help="Do not even keep hashes; index may bring it back.")
@click.option("--allow", is_flag=True, help="Let these photos be indexed again, forgotten or not.")
@click.option("--dry-run", is_flag=True, help="Say what would go, change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--wait", is_flag=True, help="Wait while another process writes the store.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as one JSON object.")
def forget(
    paths: tuple[str, ...],
    store: StoreName | None,
    face: int | None,
    ids: tuple[str, ...],
    like: str | None,
    max_distance: float | None,
    no_memory: bool,
    allow: bool,
    dry_run: bool,
    yes: bool,
    wait: bool,
    as_json: bool,
) -> int:
    """Take photos, or faces on them, out of the store and all that was computed from it.

    A folder means every photo below it. Later runs leave out what was forgotten: they know it by
    the hash of the photo's bytes, which is all that is kept.
    """
    from facesearch import forgetting

    _check(paths, ids, like, max_distance, allow)
    path = existing_gallery(store)
    say_store(path)
    if allow:
        found = forgetting.allow(path, paths, wait, dry_run)
        had = {0: "none of these photos had", 1: "1 photo had"}.get(found, f"{found:,} photos had")
        them, would = "it" if found == 1 else "them", " would take" if dry_run else " takes"
        then = f"; index{would} {them} in again" if found else ""
        click.echo(f"{had} been forgotten{then}")
        return 0
    near = dict[str, float]()
    if like is not None:
        near = _like(path, like, face, max_distance)
        ids, face = tuple(near), None
    targets = forgetting.Targets(paths, face, ids)
    options = forgetting.ForgetOptions(not no_memory, wait, dry_run)
    summary = forgetting.forget(path, targets, options, partial(_agreed, yes, as_json, near))
    if summary is None:
        say("nothing was forgotten")
        return 1
    if as_json or dry_run:
        warn_of_plain_output(path)  # photos are named
    if as_json:
        facts = {"schema": 1, "dry_run": dry_run, **asdict(summary)}
        click.echo(json.dumps(facts | ({"distances": near} if near else {}), indent=2))
    else:
        _tell(summary, dry_run, near)
    say(_OUT_OF_REACH)
    for kept in summary.set_aside:
        say(f"not reached: {kept}, kept by facesearch repair; delete it when you need it no more")
    return 0


def _check(
    paths: tuple[str, ...],
    ids: tuple[str, ...],
    like: str | None,
    max_distance: float | None,
    allow: bool,
) -> None:
    if allow and (not paths or ids or like is not None):
        raise UsageError("--allow reads the photos it is for; name them by their paths")
    if like is not None and (paths or ids):
        raise UsageError("--like says which faces go; leave out paths and --id")
    if (like is None) != (max_distance is None):
        raise UsageError("--like PHOTO and --max-distance D go together; query shows distances")


def _like(
    path: StoreName, photo: str, face: int | None, max_distance: float | None
) -> dict[str, float]:
    """The ids of all faces up to a distance from one face of a photo, each with its distance."""
    report = _answers(path, photo, face, max_distance)
    near = dict[str, float]()
    for result in report.results:
        if result.error is not None:
            raise UsageError(result.error.message)
        if (taken := _taken(result.query, face is None)) is not None:
            say(taken)
        if not result.neighbors:
            raise UsageError(f"{photo}: no face in the store is within {max_distance:g} of it")
        near |= {neighbor.id: neighbor.distance for neighbor in result.neighbors}
    return near


def _taken(asked: Query, by_itself: bool) -> str | None:
    """Which of several faces was taken, and which others there are."""
    from facesearch.querying import called

    if len(asked.faces) <= 1:
        return None
    places = {
        face.number: f"{face.number} at {face.box.x:.0f},{face.box.y:.0f}" for face in asked.faces
    }
    taken = places.pop(asked.face or 0, "none")
    how = f", the most prominent; --face N takes another: {', '.join(places.values())}"
    return (
        f"{called(asked.path)}: {len(asked.faces)} faces, taken: face {taken}"
        f"{how if by_itself else ''}"
    )


def _answers(
    path: StoreName, photo: str, face: int | None, max_distance: float | None
) -> QueryReport:
    from facesearch import querying
    from facesearch.cli.query import embedder_for
    from facesearch.cores import cores
    from facesearch.gallery.opening import open_gallery
    from facesearch.runtimes import RuntimeOptions

    options = querying.QueryOptions(None, "face", face, max_distance=max_distance)
    querying.check_options(options, 1)
    gallery = open_gallery(path)
    querying.check_space(gallery)
    embedder = embedder_for(gallery, RuntimeOptions(threads=cores()))
    return querying.query(gallery, embedder, [(photo, photo)], options)


def _agreed(yes: bool, as_json: bool, near: _Near, summary: ForgetSummary) -> bool:
    """Shows what will go, and asks."""
    if not as_json:
        for line in _lines(summary, near):
            say(line)
    if yes:
        return True
    if not _is_asked():
        raise UsageError("nobody is there to ask; say --yes to forget, or --dry-run to see what")
    return click.confirm(f"Forget {_counts(summary)}?", err=True)


def _is_asked() -> bool:
    """Whether somebody is there to answer."""
    return sys.stdin.isatty()


def _tell(summary: ForgetSummary, dry_run: bool, near: _Near) -> None:
    from facesearch.report import count, escape

    if dry_run:
        for line in _lines(summary, near):
            click.echo(escape(line))
        click.echo(f"would forget {_counts(summary)}")
        return
    click.echo(f"forgot {_counts(summary)}")
    for cache in summary.caches:
        click.echo(escape(f"also in {cache}"))
    if summary.unread and summary.remembered:
        photos = count(summary.unread, "photo")
        click.echo(f"{photos} could never be read and left no hash: index names them again")
    if not summary.remembered:
        click.echo("no hash was kept: index brings back what is still on the disk")


def _counts(summary: ForgetSummary) -> str:
    from facesearch.report import count

    parts = []
    if summary.photos:
        whole = sum(photo.faces for photo in summary.photos)
        photos = count(len(summary.photos), "photo")
        faces = "" if summary.subject == "photo" else f" with {count(whole, 'face')}"
        parts.append(photos + faces)
    if summary.faces:
        parts.append(count(len(summary.faces), "single face"))
    return " and ".join(parts) or "nothing"


def _lines(summary: ForgetSummary, near: _Near) -> list[str]:
    """A line for each of the first; what is alike is ordered by its distance."""
    going = [(each, _distance(each, near)) for each in (*summary.photos, *summary.faces)]
    going.sort(key=itemgetter(1))
    lines = [
        _line(each, summary.subject) + (f", distance {distance:.3f}" if distance >= 0 else "")
        for each, distance in going[:_SHOWN]
    ]
    more = len(going) - _SHOWN
    if more <= 0:
        return lines
    farthest = f", up to distance {going[-1][1]:.3f}" if near else ""
    return [*lines, f"and {more:,} more{farthest}"]


def _distance(going: Going, near: _Near) -> float:
    """How far it is from the photo that it is like; -1 where it goes for another reason."""
    return near.get(going.id, near.get(f"{going.id}-1", -1.0))


def _line(going: Going, subject: str) -> str:
    from facesearch.report import count

    what = count(going.faces, "face") if going.number is None else f"face {going.number}"
    if subject == "photo":
        what = "the whole photo"
    if going.box is not None:
        what += f" at {going.box.x:.0f},{going.box.y:.0f}"
    further = len(going.paths) - 1
    copies = f" (and {count(further, 'copy', 'copies')})" if further > 0 else ""
    where = going.paths[0] if going.paths else "where no file is any more"
    return f"{going.id or 'without id'}  {where}{copies}: {what}"


def memory_text(forgotten: Forgotten) -> str:
    """How many photos and single faces were forgotten; "" for none."""
    from facesearch.report import count

    counts = {"photo": len(forgotten.photos), "single face": forgotten.single_faces}
    return " and ".join(count(number, noun) for noun, number in counts.items() if number)
