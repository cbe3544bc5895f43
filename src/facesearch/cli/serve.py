"""``facesearch serve``: a page and an HTTP interface for a store, on this machine."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from contextvars import copy_context
from pathlib import Path
from typing import TYPE_CHECKING

import click

from facesearch.addresses import StoreName
from facesearch.cli.runtimes import runtime_choices
from facesearch.cli.stores import named_store, remember, say, say_store, store_name, store_option
from facesearch.errors import UsageError

if TYPE_CHECKING:
    from fastapi import FastAPI

_PAGE_SECONDS = 1.0  # loading networks would slow down the page, which is opened first


@click.command()
@click.argument("named", metavar="[STORE]", required=False, type=store_name)
@store_option
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8480,
    show_default=True,
    help="Where to listen; 0 takes any port that is free.",
)
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    metavar="ADDRESS",
    help="Listen there too where others can ask; the traffic is not encrypted.",
)
@click.option(
    "--key-file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The key is this file's first line; else one is made and printed.",
)
@click.option(
    "--allow-index",
    type=click.Path(file_okay=False, path_type=Path),
    multiple=True,
    metavar="DIR",
    help="Folders in it may be indexed from the page too; repeatable.",
)
@click.option(
    "--allow-write", is_flag=True, help="Photos may be added and removed under keys, by HTTP."
)
@click.option("--open", "open_", is_flag=True, help="Open the page in the browser.")
@runtime_choices
@click.option("--offline", is_flag=True, help="Never use the network for weights.")
def serve(
    named: StoreName | None,
    store: StoreName | None,
    port: int,
    host: str,
    key_file: Path | None,
    allow_index: tuple[Path, ...],
    allow_write: bool,
    open_: bool,
    device: str,
    runtime: str,
    precision: str,
    offline: bool,
) -> int:
    """Search STORE in the browser, and from programs by HTTP, until Ctrl-C.

    It listens on this machine alone unless --host says otherwise, and answers only who has the key.
    """
    _require_extra()
    from facesearch import api
    from facesearch.web import server
    from facesearch.web.app import make_app
    from facesearch.web.guard import is_loopback
    from facesearch.web.options import ServeOptions

    path = named_store(named, store)
    say_store(path)
    key = server.make_key() if key_file is None else server.read_key(key_file)
    if key_file is not None and _is_shared(key_file):
        say(f"{key_file}: others may read this key; run chmod 600 on it")
    options = ServeOptions(
        key,
        host,
        allow_index=tuple(map(_folder, allow_index)),
        allow_write=allow_write,
    )
    gallery = api.open(path, device=device, runtime=runtime, precision=precision, offline=offline)
    listening = server.listen(host, port)
    app = make_app(options, gallery)
    remember(path)
    address = server.address_of(listening, host)
    _tell(address, key, key_file)
    if not is_loopback(host):
        say(f"{host}: others can reach this; what they send and see is not encrypted on the way")
    # In this context, for the passphrases are in it.
    threading.Thread(target=copy_context().run, args=(_warm_up, app), daemon=True).start()
    if open_:
        # Others of this machine can see the browser's arguments, so the key is not among them.
        click.launch(f"{address}?once={app.state.tickets.make()}")
    server.run(app, listening)
    return 0


def _require_extra() -> None:
    try:
        import fastapi  # noqa: F401
        import python_multipart  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise UsageError(
            f"facesearch serve needs {error.name}, which is not installed; run: pip install "
            "fastapi uvicorn python-multipart"
        ) from None


def _tell(address: str, key: str, key_file: Path | None) -> None:
    """Where the page is, for people and for programs that read standard output."""
    click.echo(f"{address}?key={key}" if key_file is None else address)
    sys.stdout.flush()
    if key_file is not None:
        say(f"open it as {address}?key=KEY with the key of {key_file}")
    say("Ctrl-C ends it")


def _is_shared(file: Path) -> bool:
    return os.name != "nt" and file.is_file() and bool(file.stat().st_mode & 0o077)


def _folder(named: Path) -> Path:
    if not named.is_dir():
        raise UsageError(f"--allow-index {named}: no folder there")
    return Path(os.path.abspath(named))


def _warm_up(app: FastAPI) -> None:
    """Loads the networks while nobody asks yet; what goes wrong is told to the first who does."""
    time.sleep(_PAGE_SECONDS)
    try:
        app.state.room.service.warm_up()
    except Exception as error:
        logging.getLogger(__name__).info("not ready yet: %s", error)
