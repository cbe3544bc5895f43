"""``facesearch export``: the faces of a store for other programs."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from facesearch.addresses import StoreName
from facesearch.cli.stores import (
    named_store,
    say,
    say_store,
    store_name,
    store_option,
    warn_of_plain,
    warn_of_plain_output,
)
from facesearch.errors import FacesearchError, UsageError

if TYPE_CHECKING:
    from facesearch.report.exported import Batches, Exporter


@click.command()
@click.argument("path", metavar="[STORE]", required=False, type=store_name)
@store_option
@click.option("--csv", "formats", flag_value="csv", multiple=True, help="A header, a face a row.")
@click.option(
    "--ndjson", "formats", flag_value="ndjson", multiple=True, help="A JSON object a line."
)
@click.option(
    "--parquet", "formats", flag_value="parquet", multiple=True, help="For pandas, DuckDB, Spark."
)
@click.option("--embeddings", is_flag=True, help="With each face's embedding.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write to this new file; else to standard output.",
)
def export(
    path: StoreName | None,
    store: StoreName | None,
    formats: tuple[str, ...],
    embeddings: bool,
    output: Path | None,
) -> None:
    """Write one row for each face of a store: where it is, who, when, and its embedding."""
    from facesearch.exporting import face_rows
    from facesearch.report import count
    from facesearch.report.exported import Exporter
    from facesearch.store import Store

    if len(set(formats)) != 1:
        raise UsageError("say one format: --csv, --ndjson or --parquet")
    exporter = Exporter(formats[0], embeddings)  # type: ignore[arg-type]
    exporter.require()
    chosen = named_store(path, store)
    say_store(chosen)
    held = Store.open(chosen)
    if output is None:
        if formats[0] == "parquet" and sys.stdout.isatty():
            raise UsageError("Parquet is not for terminals; name a file with -o FILE")
        warn_of_plain_output(chosen)
        exporter.write(face_rows(held, embeddings), sys.stdout.buffer)
        return
    if os.path.lexists(output):
        raise UsageError(f"{output}: there is a file already; name another, or delete it")
    warn_of_plain(chosen, output)
    written = _write(exporter, face_rows(held, embeddings), output)
    say(f"{count(written, held.recipe.subject)} written to {output}")


def _write(exporter: Exporter, batches: Batches, output: Path) -> int:
    from facesearch import private

    try:
        with private.writing(output) as file:
            return exporter.write(batches, file)
    except OSError as error:
        raise FacesearchError(
            f"{output}: cannot be written ({error.strerror or error}); name a file in a folder "
            "that exists, can be written and has room"
        ) from error
