"""How a store is named: the path of a file, or the address of a gallery in a search engine."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from facesearch.errors import UsageError

ENGINES = {
    "milvus": "facesearch.gallery.milvus",
}
"""Search engines by the first part of their addresses, each with the module that knows it."""

_ADDRESS = re.compile(r"([a-z][a-z0-9]*)\+([a-z][a-z0-9]*):(.*)", re.DOTALL)
_FOREIGN = re.compile(r"[a-z][a-z0-9+.-]*://")
_COLLECTION = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,199}")
_DEFAULT_COLLECTION = "faces"


@dataclass(frozen=True, slots=True)
class EngineAddress:
    """A gallery in a search engine.

    ``engine`` is a key of ``ENGINES``. With a server ``host`` and ``port`` say where (None for the
    engine's own port), ``database`` is "" for its default one, and ``tls`` whether the way there
    is encrypted; an engine that runs in this process has its data at ``file``. Credentials are
    never part of it, so it may be shown.
    """

    engine: str
    collection: str
    host: str = ""
    port: int | None = None
    database: str = ""
    tls: bool = False
    file: Path | None = None

    def __str__(self) -> str:
        if self.file is not None:
            return f"{self.engine}+file:{self.file}#{self.collection}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        server = host if self.port is None else f"{host}:{self.port}"
        where = "/".join(part for part in (server, self.database, self.collection) if part)
        return f"{self.engine}+{'https' if self.tls else 'http'}://{where}"


StoreName = Path | EngineAddress
"""What ``--store`` names."""


def parse_store(named: str | os.PathLike[str] | EngineAddress) -> StoreName:
    """What a store's name means; a path is made absolute.

    Raises:
        UsageError: it looks like an address and is none, or has credentials in it.
    """
    if isinstance(named, EngineAddress):
        return named
    text = os.fspath(named)
    match = _ADDRESS.fullmatch(text)
    # Another name with "+" and ":" in it may be a file's.
    if match is not None and (match[1] in ENGINES or match[3].startswith("//")):
        return _address(text, *match.groups())
    if _FOREIGN.match(text):
        raise UsageError(f"{_bare(text)}: a store is a file here or {_forms()}; write one of these")
    return Path(text).absolute()


def _address(text: str, engine: str, kind: str, rest: str) -> EngineAddress:
    if engine not in ENGINES:
        known = ", ".join(ENGINES)
        raise UsageError(f"{_bare(text)}: there is no search engine {engine!r}; known: {known}")
    if kind == "file":
        return _in_file(text, engine, rest)
    if kind in ("http", "https") and rest.startswith("//"):
        return _at_server(text, engine, kind)
    raise UsageError(f"{_bare(text)}: no such kind of address; write {_forms(engine)}")


def _in_file(text: str, engine: str, rest: str) -> EngineAddress:
    path, _, collection = rest.rpartition("#")
    if not _COLLECTION.fullmatch(collection) or not path:
        path, collection = rest, ""
    if not path.removeprefix("//"):
        raise UsageError(f"{text}: names no file; write {engine}+file:PATH#COLLECTION")
    # Written as file URLs are, the path is absolute behind the two slashes.
    path = path[2:] if path.startswith("///") else path
    return EngineAddress(
        engine, _collection(text, collection or _DEFAULT_COLLECTION), file=Path(path).absolute()
    )


def _at_server(text: str, engine: str, kind: str) -> EngineAddress:
    if "@" in text or "?" in text or "#" in text:
        raise UsageError(
            f"{_bare(text)}: an address is shown and remembered, so no credentials or options "
            f"belong into it; user, password or token come from the environment ({_said(engine)})"
        )
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:  # its words repeat what may be secret
        raise UsageError(
            f"{_bare(text)}: its host or port makes no sense; write {_forms(engine)}"
        ) from None
    names = [name for name in parts.path.split("/") if name]
    if not host or not 1 <= len(names) <= 2:
        raise UsageError(f"{_bare(text)}: not complete; write {_forms(engine)}")
    *database, collection = names
    for name in database:
        _collection(text, name)
    return EngineAddress(
        engine,
        _collection(text, collection),
        host,
        port,
        database[0] if database else "",
        kind == "https",
    )


def _collection(text: str, name: str) -> str:
    if not _COLLECTION.fullmatch(name):
        raise UsageError(
            f"{_bare(text)}: {name!r} can be no collection; its name has letters, digits and _, "
            "and begins with no digit"
        )
    return name


def _bare(text: str) -> str:
    """An address without whatever may be secret in it."""
    text = re.sub(r"//.*@", "//", text, flags=re.DOTALL)
    return re.split(r"[?#]", text, maxsplit=1)[0]


def _forms(engine: str = "milvus") -> str:
    return f"{engine}+http://HOST/COLLECTION, {engine}+https://... or {engine}+file:PATH"


def _said(engine: str) -> str:
    prefix = f"FACESEARCH_{engine.upper()}"
    return (
        f"{prefix}_USER, {prefix}_PASSWORD, {prefix}_TOKEN, or a file named by {prefix}_CREDENTIALS"
    )
