"""``facesearch check``: whether a store is sound."""

from __future__ import annotations

import json
from pathlib import Path

import click

from facesearch.addresses import StoreName
from facesearch.cli.stores import (
    lies_encrypted,
    named_gallery,
    remember,
    say_plain_beside,
    store_name,
    store_option,
    warn_of_plain_output,
)
from facesearch.errors import EXIT_FAILED


@click.command()
@click.argument("path", metavar="[STORE]", required=False, type=store_name)
@store_option
@click.option("--deep", is_flag=True, help="Also read every photo again and compare its hash.")
@click.option(
    "--forgotten", is_flag=True, help="Also look everywhere for traces of what was forgotten."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def check(
    path: StoreName | None, store: StoreName | None, deep: bool, forgotten: bool, as_json: bool
) -> int:
    """Look for damage: checksums, shapes, ranges, lengths of rows; exit 1 if there is any."""
    from facesearch.gallery.opening import problems_of
    from facesearch.report import count, escape

    chosen = named_gallery(path, store)
    problems = problems_of(chosen, deep)
    if forgotten and not problems:
        problems = _traces(chosen)
    if not problems:
        remember(chosen)
    if isinstance(chosen, Path) and lies_encrypted(chosen):
        say_plain_beside(chosen)
    if problems:
        warn_of_plain_output(chosen)  # they may name photos
    if as_json:
        click.echo(json.dumps({"schema": 1, "store": str(chosen), "problems": problems}, indent=2))
        return EXIT_FAILED if problems else 0
    for problem in problems:
        click.echo(escape(problem))
    found = count(len(problems), "problem") if problems else "sound"
    if forgotten and not problems:
        found += f"; nothing is left of {_memory(chosen)}"
    click.echo(escape(f"{chosen}: {found}"))
    return EXIT_FAILED if problems else 0


def _traces(chosen: StoreName) -> list[str]:
    from facesearch.forgetting import traces_left

    return traces_left(chosen)


def _memory(chosen: StoreName) -> str:
    """How much the store knows to have forgotten."""
    from facesearch.cli.forget import memory_text
    from facesearch.forgetting import memory_of

    memory = memory_of(chosen)
    were = "was" if len(memory.photos) + memory.single_faces == 1 else "were"
    return f"{memory_text(memory) or '0 photos'} that {were} forgotten"
