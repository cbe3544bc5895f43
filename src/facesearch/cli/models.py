"""``facesearch models``: which weights there are, bringing them here, checking them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from facesearch import weights
from facesearch.cli.transfer import report_line, transfer_bar
from facesearch.errors import UsageError, WeightsError

DEFAULT = "facenet-128"


@click.group()
def models() -> None:
    """The networks' weights: list, pull and verify them."""


@models.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def list_command(as_json: bool) -> None:
    """List the weights that facesearch knows and whether they are here."""
    rows = [_row(weights.status(name)) for name in weights.load_manifest()]
    if as_json:
        _print_json(rows)
        return
    for row in rows:
        size = f"{row['size'] / 1e6:.2f} MB" if row["size"] else "-"
        dim = row["dim"] or "-"
        click.echo(
            f"{row['name']:<12} {row['state']:<8} {size:>8}  dim {dim:<4} "
            f"{row['licence']:<4} {row['path']}"
        )


@models.command("pull")
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option(
    "--from",
    "source",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Take it from this archive (.tar.gz) or bare file (.h5), without a network.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def pull_command(names: tuple[str, ...], source: Path | None, as_json: bool) -> None:
    """Bring weights into the cache folder (facenet-128 where none is named)."""
    if source is not None and len(names) > 1:
        raise UsageError("--from FILE brings one model; name one, or none")
    if not names:
        names = (DEFAULT if source is None else weights.recognise(source),)
    rows = []
    for name in dict.fromkeys(names):
        weights.pull(name, source=source, report=report_line, progress=transfer_bar)
        rows.append(_row(weights.verify(name)))
    if as_json:
        _print_json(rows)
    else:
        for row in rows:
            click.echo(f"{row['name']} {row['path']}")


@models.command("verify")
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def verify_command(names: tuple[str, ...], as_json: bool) -> None:
    """Check the SHA-256 of every file that is here, or of those named."""
    rows = [_row(weights.verify(name)) for name in names or weights.load_manifest()]
    if as_json:
        _print_json(rows)
    else:
        for row in rows:
            click.echo(f"{row['name']:<12} {row['state']:<8} {row['path']}")
    wrong = {"damaged", "missing"} if names else {"damaged"}
    bad = [row for row in rows if row["state"] in wrong]
    if bad:
        found = ", ".join(f"{row['name']} is {row['state']} ({row['path']})" for row in bad)
        remedies = dict.fromkeys(weights.remedy(row["name"]) for row in bad)
        raise WeightsError(f"{found}; run: {' && '.join(remedies)}")


def _row(state: weights.WeightState) -> dict[str, Any]:
    model = weights.find(state.name)
    return {
        "name": state.name,
        "state": state.state,
        "path": str(state.path),
        "source": model.source,
        "member": model.member,
        "size": model.size,
        "sha256": model.sha256,
        "licence": model.licence,
        "dim": model.dim,
    }


def _print_json(rows: list[dict[str, Any]]) -> None:
    click.echo(json.dumps({"schema": 1, "home": str(weights.home()), "models": rows}, indent=2))
