"""Files and folders that only their owner may read, whatever the rights that are usual here."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def make_folder(folder: Path) -> None:
    """Makes a folder and those above it that are missing; those that are there stay as they are.

    Raises:
        OSError: it cannot be made, or is a file.
    """
    if not folder.parent.exists():
        make_folder(folder.parent)
    folder.mkdir(0o700, exist_ok=True)  # the mode of mkdir(parents=True) is for the last one alone


def write_file(path: Path, content: bytes) -> None:
    """Writes a file whole or not at all; what was there is replaced, never written through.

    Raises:
        OSError: it cannot be written; nothing new is left beside it.
    """
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:80]}.", suffix=".tmp")
    _fill_and_name(handle, Path(name), path, content)


def write_locked_file(path: Path, content: bytes) -> None:
    """``write_file`` for whoever holds a lock on it: what a killed one left is used up.

    Raises:
        OSError: it cannot be written; nothing new is left beside it.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.unlink(missing_ok=True)
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    _fill_and_name(handle, temporary, path, content)


def _fill_and_name(handle: int, temporary: Path, path: Path, content: bytes) -> None:
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
