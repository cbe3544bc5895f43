"""``facesearch check``: whether a store is sound."""

from __future__ import annotations

import json

import click

from facesearch.addresses import StoreName
from facesearch.cli.stores import named_gallery, remember, store_name, store_option
from facesearch.errors import EXIT_FAILED


@click.command()
@click.argument("path", metavar="[STORE]", required=False, type=store_name)
@store_option
@click.option("--deep", is_flag=True, help="Also read every photo again and compare its hash.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def check(path: StoreName | None, store: StoreName | None, deep: bool, as_json: bool) -> int:
    """Look for damage: checksums, shapes, ranges, lengths of rows; exit 1 if there is any."""
    from facesearch.gallery.opening import problems_of
    from facesearch.report import count, escape

    chosen = named_gallery(path, store)
    problems = problems_of(chosen, deep)
    if not problems:
        remember(chosen)
    if as_json:
        click.echo(json.dumps({"schema": 1, "store": str(chosen), "problems": problems}, indent=2))
        return EXIT_FAILED if problems else 0
    for problem in problems:
        click.echo(escape(problem))
    found = count(len(problems), "problem") if problems else "sound"
    click.echo(escape(f"{chosen}: {found}"))
    return EXIT_FAILED if problems else 0
