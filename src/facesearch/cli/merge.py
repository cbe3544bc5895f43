"""``facesearch merge``: several stores become one."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from facesearch.addresses import StoreName
from facesearch.cli.stores import choose_store, existing_store, remember, say, store_name


@click.command()
@click.argument("stores", metavar="STORE...", nargs=-1, type=store_name)
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    required=True,
    type=store_name,
    help="The store to write: a new file, or one of those to merge.",
)
@click.option("--dry-run", is_flag=True, help="Say what it would hold, write nothing.")
@click.option("--wait", is_flag=True, help="Wait while another process writes the output.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as one JSON object.")
def merge(
    stores: tuple[StoreName, ...], output: StoreName, dry_run: bool, wait: bool, as_json: bool
) -> None:
    """Make one store of several, without reading a photo again.

    Folders that are the same become one, photos with the same bytes are kept once, and of a photo
    file that several have the store indexed last counts.
    """
    from facesearch import merging
    from facesearch.report import count, escape, size

    paths = [existing_store(store) for store in stores]
    target = choose_store(output)
    summary = merging.merge(paths, target, merging.MergeOptions(dry_run, wait))
    if not dry_run:
        remember(target)
    for path in summary.unended:
        say(f"{path}: its run has not ended; what it has committed is in")
    if as_json:
        click.echo(json.dumps({"schema": 1, "dry_run": dry_run, **asdict(summary)}, indent=2))
        return
    held = f"{count(summary.photos, 'photo')}, {count(summary.faces, 'face')}"
    would = "would have " if dry_run else ""
    folders = count(len(summary.roots), "folder")
    click.echo(escape(f"{target}: {would}{held} in {folders}, rows of {size(summary.bytes)}"))
