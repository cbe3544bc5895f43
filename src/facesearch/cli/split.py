"""``facesearch split``: a part of a store becomes a store of its own, or all of it several."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from facesearch.addresses import StoreName
from facesearch.cli.stores import choose_store, named_store, say_store, store_name, store_option
from facesearch.errors import UsageError

if TYPE_CHECKING:
    from facesearch.splitting import SplitSummary


@click.command()
@click.argument("path", metavar="[STORE]", required=False, type=store_name)
@store_option
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    required=True,
    type=store_name,
    help="The store to write; of several, NAME-1.npz, NAME-2.npz and so on.",
)
@click.option("--under", metavar="FOLDER", multiple=True, help="Only photos below this folder.")
@click.option("--remove", is_flag=True, help="With --under, take those out of the old store.")
@click.option("--parts", metavar="N", type=click.IntRange(1), help="So many stores of all photos.")
@click.option("--faces", metavar="N", type=click.IntRange(1), help="Stores of about N faces each.")
@click.option("--dry-run", is_flag=True, help="Say what they would hold, write nothing.")
@click.option("--wait", is_flag=True, help="Wait while another process writes the store.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as one JSON object.")
def split(
    path: StoreName | None,
    store: StoreName | None,
    output: StoreName,
    under: tuple[str, ...],
    remove: bool,
    parts: int | None,
    faces: int | None,
    dry_run: bool,
    wait: bool,
    as_json: bool,
) -> None:
    """Write the photos below a folder, or equal parts of all, into stores of their own."""
    from facesearch import splitting

    if sum([bool(under), parts is not None, faces is not None]) != 1:
        raise UsageError("say how to split: --under FOLDER, --parts N or --faces N")
    if remove and not under:
        raise UsageError("--remove goes with --under; equal parts leave the store as it is")
    chosen = named_store(path, store)
    say_store(chosen)
    options = splitting.SplitOptions(remove, dry_run, wait)
    target = choose_store(output)
    if under:
        summary = splitting.split_under(chosen, under, target, options)
    else:
        number = parts or splitting.parts_of(chosen, faces or 1)
        summary = splitting.split_evenly(chosen, number, target, options)
    if as_json:
        click.echo(json.dumps({"schema": 1, "dry_run": dry_run, **asdict(summary)}, indent=2))
        return
    _tell(summary, dry_run)


def _tell(summary: SplitSummary, dry_run: bool) -> None:
    from facesearch.report import count, escape

    would = "would have " if dry_run else ""
    for part in summary.parts:
        held = f"{count(part.photos, 'photo')}, {count(part.faces, 'face')}"
        click.echo(escape(f"{part.store}: {would}{held}"))
    if summary.removed:
        click.echo(escape(f"{summary.store}: {count(summary.removed, 'photo')} taken out"))
