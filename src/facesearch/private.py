"""Files and folders that only their owner may read, whatever the rights that are usual here."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


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
    with writing(path) as file:
        file.write(content)


@contextmanager
def writing(path: Path) -> Iterator[BinaryIO]:
    """``write_file`` for who writes piece by piece: what the block wrote when it ends.

    Raises:
        OSError: it cannot be written; nothing new is left beside it.
    """
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:80]}.", suffix=".tmp")
    with _named(handle, Path(name), path) as file:
        yield file


def write_locked_file(path: Path, content: bytes) -> None:
    """``write_file`` for whoever holds a lock on it: what a killed one left is used up.

    Raises:
        OSError: it cannot be written; nothing new is left beside it.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.unlink(missing_ok=True)
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with _named(handle, temporary, path) as file:
        file.write(content)


@contextmanager
def _named(handle: int, temporary: Path, path: Path) -> Iterator[BinaryIO]:
    """A stream into an open temporary file, which gets its name when the block ends."""
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
