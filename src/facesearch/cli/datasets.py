"""``facesearch datasets``: the data sets that facesearch knows, bringing and checking them."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from facesearch import weights
from facesearch.cli.transfer import report_line, transfer_bar
from facesearch.datasets import KNOWN, find_dataset, unpack_samples
from facesearch.errors import EXIT_FAILED, UsageError
from facesearch.lfw import FolderCheck, LfwCheck, check_folder, fetch_lfw

NAMED = 10
"""How many missing photos or people a line of text names; JSON names all."""


@click.group()
def datasets() -> None:
    """Photos to try facesearch on: list, pull and check them."""


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
    help="Where to put the photos; else the cache folder (lfw: scikit-learn's data folder).",
)
@click.option(
    "--from",
    "source",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Take the samples from this archive (.tar.gz), without a network.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def pull_command(name: str, folder: Path | None, source: Path | None, as_json: bool) -> None:
    """Bring a data set here and print its folder."""
    dataset = find_dataset(name)
    pairs = None
    if name == "lfw":
        if source is not None:
            raise UsageError("--from belongs to the samples; unpack lfw.tgz where --to says")
        place = fetch_lfw(folder, report_line)
        target, pairs = place.folder, place.pairs
    else:
        archive = weights.pull_samples(source=source, report=report_line, progress=transfer_bar)
        target = unpack_samples(archive, folder or weights.home() / "datasets" / name)
    if as_json:
        shown = {"schema": 1, "name": name, "path": str(target), "photos": dataset.photos}
        click.echo(json.dumps(shown | ({"pairs": str(pairs)} if pairs else {}), indent=2))
        return
    click.echo(str(target))
    if pairs is not None:
        report_line(f"the pairs are in {pairs}")


@datasets.command("check")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--as",
    "kind",
    type=click.Choice(["lfw", "folder"]),
    help="What it should be; else lfw where half of its people are LFW's.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def check_command(context: click.Context, folder: Path, kind: str | None, as_json: bool) -> None:
    """Count photos and people of a folder; say what LFW lacks there."""
    found = check_folder(folder, None if kind is None else kind == "lfw")
    complete = None if found.lfw is None else found.lfw.complete
    if as_json:
        click.echo(json.dumps({"schema": 1, **asdict(found), "complete": complete}, indent=2))
    else:
        from facesearch.report import escape

        for line in _lines(found):
            click.echo(escape(line))
    if complete is False:
        context.exit(EXIT_FAILED)


def _lines(found: FolderCheck) -> list[str]:
    lines = [f"{found.folder}: {found.photos:,} photos of {found.people:,} people"]
    if found.loose:
        lines.append(f"{found.loose:,} photos lie beside the folders of people and are not counted")
    lines += _named("photos are empty files", found.empty)
    if found.lfw is not None:
        lines += _lfw_lines(found.lfw)
    return lines


def _lfw_lines(lfw: LfwCheck) -> list[str]:
    lines = [
        *_named("people of LFW are missing", lfw.missing_people),
        *_named("further photos of LFW are missing", lfw.missing_photos),
        *_named("people are not LFW's", lfw.extra_people),
        *_named("photos of LFW's people are not LFW's", lfw.extra_photos),
    ]
    if lfw.original is False:
        lines.append("these are not the photos as first published; funneled or aligned, perhaps")
    return lines if not lfw.complete else [*lines, "all of LFW is there"]


def _named(what: str, names: tuple[str, ...]) -> list[str]:
    if not names:
        return []
    more = f" and {len(names) - NAMED:,} more (--json)" if len(names) > NAMED else ""
    return [f"{len(names):,} {what}: {', '.join(names[:NAMED])}{more}"]
