"""The file that ``index --log`` writes."""

from __future__ import annotations

import os
from pathlib import Path

from facesearch import private
from facesearch.addresses import StoreName
from facesearch.errors import FacesearchError, UsageError

_START = b'{\n  "schema"'


def require_log(path: Path, store: StoreName) -> None:
    """Refuses a log that cannot be written, or would replace something else, before the run.

    Raises:
        UsageError: the store or any other file that is no log lies there.
        FacesearchError: there is no such folder.
    """
    if not path.absolute().parent.is_dir():
        raise FacesearchError(f"{path}: its folder does not exist; create it, or name another")
    if isinstance(store, Path) and path.absolute() == store.absolute():
        raise UsageError(f"{path}: is the store; name another file for the log")
    if os.path.lexists(path) and not _is_log(path):
        raise UsageError(f"{path}: there is a file already, no log; name another, or delete it")


def write_log(path: Path, text: bytes) -> None:
    """Writes the log, whole or not at all.

    Raises:
        FacesearchError: it cannot be written; the store is complete nevertheless.
    """
    try:
        private.write_file(path, text)
    except OSError as error:
        raise FacesearchError(
            f"{path}: the log cannot be written ({error.strerror}); the store is complete"
        ) from error


def _is_log(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            start = file.read(len(_START))
    except OSError:
        return False
    return start in (b"", _START)
