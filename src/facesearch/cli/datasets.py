"""``facesearch datasets``: the data sets that facesearch knows and bringing the sample photos."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from facesearch import weights
from facesearch.cli.transfer import report_line, transfer_bar
from facesearch.datasets import KNOWN, find_dataset, unpack_samples
from facesearch.errors import DatasetError


@click.group()
def datasets() -> None:
    """Photos to try facesearch on: list and pull them."""


@datasets.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def list_command(as_json: bool) -> None:
    """List the data sets that facesearch knows and how to get them."""
    if as_json:
        rows = [asdict(dataset) for dataset in KNOWN]
        click.echo(json.dumps({"schema": 1, "datasets": rows}, indent=2))
        return
    for dataset in KNOWN:
        click.echo(f"{dataset.name:<8} {dataset.photos:>6,} photos, {dataset.people:,} people")
        click.echo(f"         {dataset.what}. To get it: {dataset.how}")


@datasets.command("pull")
@click.argument("name")
@click.option(
    "--to",
    "folder",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="Where to put the photos; else the cache folder.",
)
@click.option(
    "--from",
    "source",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Take them from this archive (.tar.gz), without a network.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def pull_command(name: str, folder: Path | None, source: Path | None, as_json: bool) -> None:
    """Bring a data set here and print its folder."""
    dataset = find_dataset(name)
    if not dataset.pullable:
        raise DatasetError(f"facesearch cannot pull {name}: {dataset.how}")
    archive = weights.pull_samples(source=source, report=report_line, progress=transfer_bar)
    target = unpack_samples(archive, folder or weights.home() / "datasets" / name)
    if as_json:
        shown = {"schema": 1, "name": name, "path": str(target), "photos": dataset.photos}
        click.echo(json.dumps(shown, indent=2))
    else:
        click.echo(str(target))
