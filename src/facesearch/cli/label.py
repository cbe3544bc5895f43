"""``facesearch label``: says who is on which photo."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from facesearch.addresses import StoreName
from facesearch.cli.stores import existing_store, say_store, store_option
from facesearch.errors import UsageError


@click.command()
@click.argument("file", metavar="[LABELS.csv]", required=False, type=click.Path(path_type=Path))
@store_option
@click.option("--forget", is_flag=True, help="Drop the labels given before.")
@click.option("--wait", is_flag=True, help="Wait while another process writes the store.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as one JSON object.")
def label(
    file: Path | None, store: StoreName | None, forget: bool, wait: bool, as_json: bool
) -> None:
    """Say who is on which photo, for query --person: lines of path,name.

    A path is relative to the folder that was indexed, or a bare file name. Photos without a label
    count as of the person after whom their folder is named.
    """
    from facesearch import labelling
    from facesearch.report import count, escape

    if file is None and not forget:
        raise UsageError("name a file with lines of path,name, or drop labels with --forget")
    path = existing_store(store)
    say_store(path)
    summary = labelling.label(path, file, forget=forget, wait=wait)
    if as_json:
        click.echo(json.dumps({"schema": 1, **asdict(summary)}, indent=2))
        return
    click.echo(f"{count(summary.labels, 'label')} for {count(summary.photos, 'photo')}")
    for key in summary.unknown:
        click.echo(escape(f"no photo in the store: {key}"))
    more = summary.unused - len(summary.unknown)
    if more > 0:
        click.echo(f"and {more:,} more")
