"""``facesearch doctor``: what works on this machine."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from facesearch.addresses import StoreName
from facesearch.cli.stores import choose_gallery, store_option
from facesearch.errors import EXIT_FAILED

if TYPE_CHECKING:
    from facesearch.records import Finding


@click.command()
@store_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def doctor(store: StoreName | None, as_json: bool) -> int:
    """Look at what facesearch needs here: packages, networks, weights, folders, the store.

    Nothing is written and nothing downloaded.
    """
    from facesearch.diagnosis import diagnose
    from facesearch.report.health import health_json, health_lines

    given = store is not None or bool(os.environ.get("FACESEARCH_STORE"))
    diagnosis = diagnose(choose_gallery(store), given)
    diagnosis = replace(diagnosis, findings=(*diagnosis.findings, *_settings()))
    sys.stdout.buffer.write(health_json(diagnosis) if as_json else health_lines(diagnosis))
    sys.stdout.buffer.flush()
    return 0 if diagnosis.healthy else EXIT_FAILED


def _settings() -> Iterator[Finding]:
    """The settings files in force, the one that counts most first."""
    from facesearch.cli.settings import files_in_force, own_file
    from facesearch.records import Finding

    if click.get_current_context().find_root().params.get("no_settings"):
        yield Finding("settings", "ok", "none: --no-settings")
        return
    files = files_in_force()
    for file in files:
        whose = "yours" if file.own else "of this folder"
        yield Finding("settings", "ok", f"{file.path} ({whose})")
    if not files:
        yield Finding("settings", "ok", f"none, neither here nor as {own_file()}")
