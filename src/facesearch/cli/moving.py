"""What ``push`` and ``pull`` have in common: options, a bar, the summary."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TypeVar

import click

from facesearch.addresses import EngineAddress, StoreName
from facesearch.cli.progress import CountingBar
from facesearch.cli.stores import remember, say
from facesearch.errors import UsageError

if TYPE_CHECKING:
    from facesearch.gallery.transfers import TransferSummary, Watch

Command = TypeVar("Command", bound=Callable[..., Any])


def transfer_options(command: Command) -> Command:
    """Adds the options to a command."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print one JSON object."),
        click.option("--wait", is_flag=True, help="Wait while another process writes there."),
        click.option(
            "--prune", is_flag=True, help="Remove what is gone, even more than a tenth of all."
        ),
        click.option("--keep", is_flag=True, help="Keep photos that the source has not."),
    ):
        command = option(command)
    return command


def require_address(named: StoreName) -> EngineAddress:
    """The address of a gallery.

    Raises:
        UsageError: it is a file.
    """
    if isinstance(named, EngineAddress):
        return named
    raise UsageError(
        f"{named}: is no address; write milvus+http://HOST/COLLECTION, milvus+https://... or "
        "milvus+file:PATH"
    )


def run_transfer(
    work: Callable[[Watch], TransferSummary], target: StoreName, as_json: bool
) -> None:
    """Moves a gallery and prints what came of it."""
    from facesearch.report import count, escape

    say(f"to: {target}")
    with CountingBar("row") as bar:
        summary = work(bar.show)
    remember(target)
    if as_json:
        click.echo(json.dumps({"schema": 1, **asdict(summary)}, indent=2))
        return
    held = f"{count(summary.photos, 'photo')}, {count(summary.faces, 'face')}"
    click.echo(escape(f"{summary.target}: {held}"))
    click.echo(
        f"{count(summary.written, 'row')} written, {summary.unchanged:,} there already, "
        f"{count(summary.removed, 'photo')} removed, {summary.kept:,} kept"
    )
    click.echo(f"{count(summary.compared, 'face')} read back and found equal")
