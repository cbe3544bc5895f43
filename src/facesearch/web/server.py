"""The server around the application: its socket, its key, its end."""

from __future__ import annotations

import logging
import os
import secrets
import socket
from asyncio import CancelledError
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from facesearch.errors import FacesearchError, UsageError

if TYPE_CHECKING:
    from fastapi import FastAPI
    from uvicorn import Config

_BACKLOG = 256
_KEEP_ALIVE_SECONDS = 20
_END_SECONDS = 3
_CONNECTIONS = 1024


def make_key() -> str:
    """A key that nobody guesses."""
    return secrets.token_urlsafe(24)


def read_key(file: Path) -> str:
    """The key in the first line of a file.

    Raises:
        UsageError: it cannot be read.
    """
    try:
        with file.open("rb") as held:
            return held.readline(4096).decode("ascii").strip()
    except OSError as error:
        raise UsageError(
            f"{file}: the key cannot be read ({error.strerror}); write one there, or leave "
            "--key-file out to have one made"
        ) from error
    except UnicodeDecodeError:
        raise UsageError(f"{file}: the key is no ASCII text; write another") from None


def listen(host: str, port: int) -> socket.socket:
    """The socket that is served; port 0 takes any that is free.

    Raises:
        FacesearchError: there is no such address, or somebody else has it.
    """
    try:
        (family, kind, _, _, address), *_ = socket.getaddrinfo(
            host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        # Said to be TCP, or asyncio leaves Nagle's algorithm on, and every answer takes 40 ms more.
        listening = socket.socket(family, kind, socket.IPPROTO_TCP)
        if os.name != "nt":
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(_BACKLOG)
    except (OSError, OverflowError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise FacesearchError(
            f"{host}:{port}: cannot be listened on ({why}); choose another --port or --host"
        ) from error
    return listening


def address_of(listening: socket.socket, host: str) -> str:
    """What people open."""
    port = listening.getsockname()[1]
    if host.strip("[]") in ("0.0.0.0", "::"):  # all addresses are none to open
        host = socket.gethostname()
    name = f"[{host}]" if ":" in host.strip("[]") and not host.startswith("[") else host
    return f"http://{name}:{port}/"


def config_of(app: FastAPI) -> Config:
    """How uvicorn serves it. What is asked, with its key, is written to no log."""
    from uvicorn import Config

    return Config(
        app,
        http="h11",  # the other parser takes headers of any length, from people without the key too
        access_log=False,
        log_level="warning",
        log_config=None,
        server_header=False,
        proxy_headers=False,
        ws="none",
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=_END_SECONDS,
        limit_concurrency=_CONNECTIONS,
    )


def _is_no_end(record: logging.LogRecord) -> bool:
    """Leaves out that requests were cut off when the server ended: whoever ended it knows."""
    kind = record.exc_info[0] if record.exc_info else None
    return kind is not CancelledError and "graceful shutdown exceeded" not in str(record.msg)


def run(app: FastAPI, listening: socket.socket) -> None:
    """Serves until Ctrl-C or SIGTERM."""
    from uvicorn import Server

    logging.getLogger("uvicorn.error").addFilter(_is_no_end)
    with suppress(KeyboardInterrupt):  # uvicorn raises it again when all has ended well
        Server(config_of(app)).run([listening])
