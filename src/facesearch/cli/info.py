"""``facesearch info``: what a store holds."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from facesearch.addresses import StoreName
from facesearch.cli.stores import (
    named_gallery,
    remember,
    store_name,
    store_option,
    warn_of_plain_output,
)

if TYPE_CHECKING:
    from facesearch.gallery.opening import Description


@click.command()
@click.argument("path", metavar="[STORE]", required=False, type=store_name)
@store_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def info(path: StoreName | None, store: StoreName | None, as_json: bool) -> None:
    """Say what a store holds, how it was made and where its photos lie."""
    from facesearch.cli.forget import memory_text
    from facesearch.gallery.opening import describe
    from facesearch.report import count, escape, size

    chosen = named_gallery(path, store)
    held = describe(chosen)
    facts = _facts(chosen, held)
    remember(chosen)
    warn_of_plain_output(chosen)
    if as_json:
        click.echo(json.dumps({"schema": 1, **facts}, indent=2))
        return
    coverage = facts["coverage"]
    bytes_ = "" if facts["bytes"] is None else f", {size(facts['bytes'])}"
    sealed = ", encrypted" if held.encrypted else ""
    rows = {
        "store": f"{facts['path']} (format {facts['version']}{bytes_}{sealed})",
        **_counts(coverage),
        "indexed": facts["indexed_at"] or "not finished yet",
        "recipe": _recipe_line(facts["recipe"]),
        "digests": f"recipe {facts['recipe_digest'][:16]}, space {facts['space_digest'][:16]}",
    }
    for root in facts["roots"]:
        away = "" if root["there"] else " (away)"
        rows[f"root {root['number']}"] = f"{root['path']}{away}, {count(root['photos'], 'photo')}"
    if coverage["progress"]:
        done, total = coverage["progress"]["done"], coverage["progress"]["total"]
        state = "under way" if coverage["progress"]["running"] else "interrupted"
        rows["run"] = f"index {state}: {done:,} of {total:,}"
    if held.forgotten:
        rows["left out"] = f"{memory_text(held.forgotten)}, forgotten for good"
    for name, text in rows.items():
        click.echo(escape(f"{name:<8} {text}"))


def _counts(coverage: dict[str, Any]) -> dict[str, str]:
    from facesearch.report import count

    failed = f"{coverage['failed']:,} failed"
    if coverage["subject"] == "photo":
        return {"photos": f"{coverage['photos']:,}, each compared as a whole; {failed}"}
    return {
        "faces": f"{coverage['faces']:,} in {count(coverage['photos'], 'photo')}",
        "photos": f"{coverage['without_face']:,} without a face, {failed}",
    }


def _recipe_line(recipe: dict[str, Any]) -> str:
    detector, extractor = recipe["detector"], recipe["extractor"]
    found = f"{detector['name']}, smallest face {detector['min_face']} px"
    if detector["name"] == "none":
        found = "the whole photo"
    return f"{recipe['name']}: {found}, {extractor['model']} ({extractor['dim']}-d)"


def _facts(chosen: StoreName, held: Description) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "path": str(chosen),
        "version": held.version,
        "bytes": held.bytes,
        "encrypted": held.encrypted,
        "recipe": held.recipe.as_dict(),
        "recipe_digest": held.recipe.recipe_digest,
        "space_digest": held.recipe.space_digest,
        "indexed_at": held.coverage.indexed_at,
        "options": held.options,
        "coverage": asdict(held.coverage),
        "roots": [asdict(root) for root in held.roots],
        "forgotten": {
            "photos": len(held.forgotten.photos),
            "faces": held.forgotten.single_faces,
        },
    }
