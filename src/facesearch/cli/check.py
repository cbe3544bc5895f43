"""``facesearch check``: whether a store is sound."""

from __future__ import annotations

import json
from pathlib import Path

import click

from facesearch.cli.stores import named_store, remember, store_option
from facesearch.errors import EXIT_FAILED


@click.command()
@click.argument("path", metavar="[STORE]", required=False, type=click.Path(path_type=Path))
@store_option
@click.option("--deep", is_flag=True, help="Also read every photo again and compare its hash.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def check(path: Path | None, store: Path | None, deep: bool, as_json: bool) -> int:
    """Look for damage: checksums, shapes, ranges, lengths of rows; exit 1 if there is any."""
    from facesearch.report import count, escape
    from facesearch.store import check_path

    chosen = named_store(path, store)
    problems = check_path(chosen, deep)
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
