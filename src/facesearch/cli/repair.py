"""``facesearch repair``: a damaged store becomes a sound one, and what is gone is said."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING

import click

from facesearch.addresses import StoreName
from facesearch.cli.stores import named_path, remember, say, say_store, store_name, store_option
from facesearch.errors import EXIT_FAILED, UsageError

if TYPE_CHECKING:
    from facesearch.store.repair import LostPhoto, RepairSummary

_SHOWN = 10


@click.command()
@click.argument("path", metavar="[STORE]", required=False, type=store_name)
@store_option
@click.option("--dry-run", is_flag=True, help="Say what is gone and what is kept, write nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--wait", is_flag=True, help="Wait while another process writes the store.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as one JSON object.")
def repair(
    path: StoreName | None,
    store: StoreName | None,
    dry_run: bool,
    yes: bool,
    wait: bool,
    as_json: bool,
) -> int:
    """Keep what is sound of a damaged store, and say what is gone.

    The damaged store stays beside the new one, under another name. A photo of which anything is
    gone leaves the store whole: the next index reads it again.
    """
    from facesearch.store import repair as repairing

    chosen = named_path(path, store)
    say_store(chosen)
    options = repairing.RepairOptions(dry_run, wait)
    summary = repairing.repair(chosen, options, partial(_agreed, yes, as_json))
    if summary is None:
        say("nothing was changed")
        return EXIT_FAILED
    if not dry_run:
        remember(chosen)
    if as_json:
        facts = {"schema": 1, "dry_run": dry_run, "sound": summary.sound, **asdict(summary)}
        click.echo(json.dumps(facts, indent=2))
        return 0
    from facesearch.report import escape

    for line in _lines(summary, dry_run):
        click.echo(escape(line))
    return 0


def _agreed(yes: bool, as_json: bool, summary: RepairSummary) -> bool:
    """Whether to go on; shows what is lost when it asks."""
    if yes:
        return True
    if not sys.stdin.isatty():
        raise UsageError("nobody is there to ask; say --yes to repair, or --dry-run to see what")
    for line in _lines(summary, dry_run=True):
        say(line)
    return click.confirm("Repair it so?", err=True)


def _lines(summary: RepairSummary, dry_run: bool) -> Iterator[str]:
    from facesearch.report import count

    held = f"{count(summary.photos, 'photo')} with {count(summary.faces, 'face')}"
    if summary.sound:
        yield f"{summary.store}: sound, with {held}; nothing was changed"
        return
    yield from _first(summary.problems)
    yield from _first([_line(photo) for photo in summary.lost])
    if summary.unnamed:
        faces = count(summary.unnamed_faces, "face")
        are, names = ("is", "its name") if summary.unnamed == 1 else ("are", "their names")
        yield f"{count(summary.unnamed, 'photo')} with {faces} {are} gone, and {names} too"
    for name in summary.again:
        yield f"{name}: damaged or gone; it is computed again when it is needed"
    yield from summary.notes
    gone = len(summary.lost) + summary.unnamed
    again = f"{count(gone, 'photo')} to be read again" if gone else "no photo lost"
    yield f"{summary.store}: {held} {'would be kept' if dry_run else 'kept'}, {again}"
    if gone:
        them = "it" if gone == 1 else "them"
        yield f"run facesearch index on the same folders: it reads {them} again"
    elif summary.notes:
        yield "run facesearch index on the same folders: it puts right what is out of date"
    if summary.damaged:
        yield (
            f"the damaged store is kept as {summary.damaged}; delete it, and the folders beside "
            "it of that name, when you need it no more"
        )


def _first(lines: Sequence[str]) -> Iterator[str]:
    """Lines of which there may be very many."""
    yield from lines[:_SHOWN]
    if len(lines) > _SHOWN:
        yield f"and {len(lines) - _SHOWN:,} more; --json names all of them"


def _line(photo: LostPhoto) -> str:
    if not photo.lost:
        return f"{photo.path}: to be read again, for what was known of it is damaged"
    numbers = ", ".join(map(str, photo.lost))
    what, are = ("face", "is") if len(photo.lost) == 1 else ("faces", "are")
    return f"{photo.path}: to be read again, for {what} {numbers} of {photo.faces} {are} damaged"
