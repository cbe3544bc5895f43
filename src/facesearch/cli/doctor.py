"""``facesearch doctor``: what works on this machine."""

from __future__ import annotations

import os
import sys

import click

from facesearch.addresses import StoreName
from facesearch.cli.stores import choose_gallery, store_option
from facesearch.errors import EXIT_FAILED


@click.command()
@store_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def doctor(store: StoreName | None, as_json: bool) -> int:
    """Look at what facesearch needs here: packages, networks, weights, folders, the store.

    Nothing is written and nothing downloaded. Exit code 1 when something needed is broken.

    \b
    facesearch doctor
    facesearch doctor --store family.npz --json
    """  # noqa: D301 - click reads the escape
    from facesearch.diagnosis import diagnose
    from facesearch.report.health import health_json, health_lines

    given = store is not None or bool(os.environ.get("FACESEARCH_STORE"))
    diagnosis = diagnose(choose_gallery(store), given)
    sys.stdout.buffer.write(health_json(diagnosis) if as_json else health_lines(diagnosis))
    sys.stdout.buffer.flush()
    return 0 if diagnosis.healthy else EXIT_FAILED
