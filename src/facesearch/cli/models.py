"""``facesearch models``: which weights there are, bringing them here, checking them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import click

from facesearch import weights
from facesearch.cli.transfer import report_line, transfer_bar
from facesearch.errors import UsageError, WeightsError
from facesearch.runtimes import Fetch
from facesearch.runtimes.graph_files import draw_missing, graphs_of, state_of

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
    longest = {key: max(len(row[key]) for row in rows) for key in ("name", "licence")}
    for row in rows:
        size = f"{row['size'] / 1e6:.2f} MB" if row["size"] else "-"
        dim = row["dim"] or "-"
        mark = "" if row["untrained_seed"] is None else "  (random numbers, not trained)"
        click.echo(
            f"{row['name']:<{longest['name']}}  {row['state']:<8} {size:>9}  dim {dim:<6} "
            f"{row['licence']:<{longest['licence']}}  {row['path']}{mark}"
        )
        _print_graphs(row)


@models.command("pull")
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option(
    "--from",
    "source",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Take it from this archive (.tar.gz) or bare file (.h5), without a network.",
)
@click.option(
    "--sha256",
    metavar="HEX",
    help="With --from: the hash that FILE must have, for a network that Keras brings.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def pull_command(
    names: tuple[str, ...], source: Path | None, sha256: str | None, as_json: bool
) -> None:
    """Bring weights into the cache folder, and draw their graphs.

    Where none is named, those of facenet-128.
    """
    if source is not None and len(names) > 1:
        raise UsageError("--from FILE brings one model; name one, or none")
    if sha256 is not None:
        _check_sha256(sha256, names, source)
    if not names:
        names = (DEFAULT if source is None else weights.recognise(source),)
    wanted = list(dict.fromkeys(names))
    for name in wanted:
        _pull(name, source, sha256)
    _draw(wanted)
    rows = [_row(weights.verify(name), hashed=True) for name in wanted]
    if as_json:
        _print_json(rows)
    else:
        for row in rows:
            click.echo(f"{row['name']} {row['path']}")


@models.command("verify")
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def verify_command(names: tuple[str, ...], as_json: bool) -> None:
    """Check the SHA-256 of what is here, or of what is named."""
    wanted = names or weights.load_manifest()
    rows = [_row(weights.verify(name), hashed=True) for name in wanted]
    if as_json:
        _print_json(rows)
    else:
        for row in rows:
            click.echo(f"{row['name']:<12} {row['state']:<8} {row['path']}")
            _print_graphs(row)
    _require_right(rows, {"damaged", "missing"} if names else {"damaged"})


def _require_right(rows: list[dict[str, Any]], wrong: set[str]) -> None:
    """Weights in one of the states ``wrong`` are an error, and graphs that are damaged: a missing
    one is drawn when it is needed.
    """
    found, remedies = [], []
    for row in rows:
        if row["state"] in wrong:
            found.append(f"{row['name']} is {row['state']} ({row['path']})")
            remedies.append(weights.remedy(row["name"]))
        for graph in row["graphs"]:
            if graph["state"] == "damaged":
                what = f"the {graph['precision']} graph of {row['name']}"
                found.append(f"{what} is damaged ({graph['path']})")
                remedies.append(f"facesearch models pull {row['name']}")
    if found:
        commands = " && ".join(dict.fromkeys(remedies))
        raise WeightsError(f"{', '.join(found)}; run: {commands}")


def _draw(names: list[str]) -> None:
    """The graphs of ``names`` and, for those who embed faces, of the networks that find faces."""
    from facesearch.faces import networks_of
    from facesearch.recipes import DetectorOptions

    if any(graphs_of(name) for name in names):
        names = list(dict.fromkeys([*names, *networks_of(DetectorOptions())]))
    drawn = draw_missing(names, Fetch(offline=True, report=report_line))
    if drawn:
        made = ", ".join(f"{graph.name} ({graph.precision})" for graph in drawn)
        report_line(f"made for ONNX Runtime: {made}")


def _print_graphs(row: dict[str, Any]) -> None:
    for graph in row["graphs"]:
        click.echo(f"  {graph['precision']:<8} {graph['state']:<8} {graph['path']}")


def _pull(name: str, source: Path | None, sha256: str | None) -> None:
    if source is not None and sha256 is not None:
        weights.bring(name, source, sha256, progress=transfer_bar, report=report_line)
    elif source is None and weights.find(name).kind == "keras":
        _let_keras_download(name)
    else:
        weights.pull(name, source=source, report=report_line, progress=transfer_bar)


def _let_keras_download(name: str) -> None:
    """The right file that is here stays; random numbers in its place are no such file."""
    held = weights.kept(name)
    if held and held.untrained_seed is None and weights.verify(name).state == "present":
        return
    from facesearch.runtimes.keras_applications import download

    report_line(f"Keras downloads {name} into its own cache folder")
    path = download(name)
    weights.keep(name, path, {"origin": "keras"}, transfer_bar, report=report_line)


def _check_sha256(sha256: str, names: tuple[str, ...], source: Path | None) -> None:
    if source is None or not names:
        raise UsageError("--sha256 says which bytes FILE holds: name the model, and --from FILE")
    if not re.fullmatch(r"[0-9a-fA-F]{64}", sha256):
        raise UsageError(f"--sha256 {sha256}: a SHA-256 is 64 hexadecimal digits")


def _row(state: weights.WeightState, hashed: bool = False) -> dict[str, Any]:
    model, held = weights.find(state.name), weights.kept(state.name)
    return {
        "name": state.name,
        "state": state.state,
        "path": str(state.path),
        "source": model.source,
        "member": model.member,
        "size": held.size if held else model.size,
        "sha256": held.sha256 if held else model.sha256 or None,
        "licence": model.licence,
        "dim": model.dim,
        "origin": held.origin if held else None,
        "untrained_seed": held.untrained_seed if held else None,
        "graphs": [
            {
                "precision": graph.precision,
                "path": str(graph.path),
                "state": state_of(graph, hashed=hashed),
                "sha256": graph.sha256 or None,
            }
            for graph in graphs_of(state.name)
        ],
    }


def _print_json(rows: list[dict[str, Any]]) -> None:
    click.echo(json.dumps({"schema": 1, "home": str(weights.home()), "models": rows}, indent=2))
