"""``facesearch check``: whether a store is sound."""

from __future__ import annotations

import json
from pathlib import Path

import click

from facesearch.cli.stores import existing_store, store_option
from facesearch.errors import EXIT_FAILED


@click.command()
@click.argument("path", metavar="[STORE]", required=False, type=click.Path(path_type=Path))
@store_option
@click.option("--deep", is_flag=True, help="Also read every photo again and compare its hash.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def check(path: Path | None, store: Path | None, deep: bool, as_json: bool) -> int:
    """Look for damage: every byte's checksum, shapes, ranges, unit length; exit 1 if there is any."""
    from facesearch.store import Store

    chosen = existing_store(path or store)
    problems = Store.open(chosen).check(deep=deep)
    if as_json:
        click.echo(json.dumps({"schema": 1, "store": str(chosen), "problems": problems}, indent=2))
    else:
        for problem in problems:
            click.echo(problem)
        click.echo(f"{chosen}: {'sound' if not problems else f'{len(problems)} problems'}")
    return EXIT_FAILED if problems else 0
