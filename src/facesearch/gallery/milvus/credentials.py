"""Who one is to a server: from the environment or a file that nobody else may read."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from facesearch.errors import UsageError

_PREFIX = "FACESEARCH_MILVUS_"
_NAMES = ("user", "password", "token")


@dataclass(frozen=True, slots=True)
class Credentials:
    """User and password, or a token; nothing where the server asks for none. ``authority`` is a
    file with the certificates to trust, None for the usual ones.
    """

    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    authority: Path | None = None


def read_credentials(environment: Mapping[str, str] = os.environ) -> Credentials:
    """What the environment says; a single variable goes before the file.

    Raises:
        UsageError: the file is missing, makes no sense or may be read by others; a password has
            no user.
    """
    named = environment.get(f"{_PREFIX}CREDENTIALS")
    held = {} if not named else _from_file(Path(named))
    for name in _NAMES:
        given = environment.get(_PREFIX + name.upper())
        if given is not None:
            held[name] = given
    if bool(held.get("user")) != bool(held.get("password")):
        raise UsageError(
            f"{_PREFIX}USER and {_PREFIX}PASSWORD belong together; set both, or {_PREFIX}TOKEN"
        )
    authority = environment.get(f"{_PREFIX}CA")
    if authority and not Path(authority).is_file():
        raise UsageError(f"{authority}: no such file; {_PREFIX}CA names the certificates to trust")
    return Credentials(**held, authority=Path(authority) if authority else None)


def _from_file(path: Path) -> dict[str, str]:
    try:
        mode = path.stat().st_mode
        if os.name == "posix" and mode & 0o077:
            raise UsageError(f"{path}: others may read it; chmod 600 {path}")
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(
            f"{path}: {error.strerror}; {_PREFIX}CREDENTIALS names the file with user and password"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        data = {"": ""}
    if not all(name in _NAMES and isinstance(value, str) for name, value in data.items()):
        # Not even the line is told: it may be the password.
        raise UsageError(
            f'{path}: makes no sense; write lines such as user = "..." and password = "...", or '
            'token = "..."'
        )
    return data
