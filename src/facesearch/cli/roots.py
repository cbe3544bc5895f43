"""``facesearch roots``: the folders that a store was made from."""

from __future__ import annotations

import json

import click

from facesearch.addresses import StoreName
from facesearch.cli.stores import (
    existing_store,
    remember,
    say_store,
    store_option,
    warn_of_plain_output,
)
from facesearch.locations import Location, as_location, whole


class _ListFirst(click.Group):
    """Takes options without a command for those of ``list``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if ctx.resilient_parsing and not args:  # a shell asks what may follow
            return super().parse_args(ctx, args)
        if not args or (args[0].startswith("-") and args[0] not in ctx.help_option_names):
            args = ["list", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_ListFirst)
def roots() -> None:
    """List the folders of a store, move one that lies elsewhere now, or drop one."""


@roots.command("list")
@store_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def list_command(store: StoreName | None, as_json: bool) -> None:
    """List the folders, whether they are there, and their photos."""
    from dataclasses import asdict

    from facesearch.gallery.facts import roots_of
    from facesearch.report import count, escape
    from facesearch.store import Store

    path = existing_store(store)
    found = list(roots_of(Store.open(path), ask=True))
    remember(path)
    warn_of_plain_output(path)
    if as_json:
        rows = [asdict(root) for root in found]
        click.echo(json.dumps({"schema": 1, "store": str(path), "roots": rows}, indent=2))
        return
    say_store(path)
    for root in found:
        away = "" if root.there else ", away"
        click.echo(escape(f"{root.path}  {count(root.photos, 'photo')}{away}"))


@roots.command("move")
@click.argument("old", type=as_location)
@click.argument("new", type=as_location)
@store_option
@click.option("--wait", is_flag=True, help="Wait while another process writes the store.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def move_command(
    old: Location, new: Location, store: StoreName | None, wait: bool, as_json: bool
) -> None:
    """Say that the folder OLD lies at NEW now; nothing is read again."""
    from facesearch.report import count, escape
    from facesearch.rooting import move_root

    path = existing_store(store)
    say_store(path)
    there, now = whole(old), whole(new)
    photos = move_root(path, there, now, wait)
    if as_json:
        facts = {"store": str(path), "moved": str(there), "to": str(now), "photos": photos}
        click.echo(json.dumps({"schema": 1, **facts}, indent=2))
        return
    click.echo(escape(f"{now}: {count(photos, 'photo')}, formerly at {there}"))


@roots.command("drop")
@click.argument("root", type=as_location)
@store_option
@click.option("--wait", is_flag=True, help="Wait while another process writes the store.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def drop_command(root: Location, store: StoreName | None, wait: bool, as_json: bool) -> None:
    """Forget the folder ROOT and all its photos; the photo files stay."""
    from facesearch.report import count, escape
    from facesearch.rooting import drop_root

    path = existing_store(store)
    say_store(path)
    folder = whole(root)
    photos = drop_root(path, folder, wait)
    if as_json:
        facts = {"store": str(path), "dropped": str(folder), "photos": photos}
        click.echo(json.dumps({"schema": 1, **facts}, indent=2))
        return
    click.echo(escape(f"{folder}: dropped, {count(photos, 'photo')} forgotten"))
