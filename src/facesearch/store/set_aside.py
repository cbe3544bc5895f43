"""What a repair leaves beside a store: the damaged one, and a new one that it could not end."""

from __future__ import annotations

import re
from pathlib import Path

from facesearch.store.reader import real_location

_KINDS = r"\.(?:damaged(?:-[0-9]{1,9})?|repair)"
_ENDS = r"(?:\.parts|\.heads|\.derived|\.tmp)?"


def set_aside(path: Path) -> list[Path]:
    """Files and folders beside a store that may hold rows of it as it was, by name.

    No command reads or changes them, so that what is forgotten stays in them.

    Raises:
        OSError: the store's folder cannot be read.
    """
    return sorted(each for group in groups(path).values() for each in group)


def groups(path: Path) -> dict[Path, list[Path]]:
    """``set_aside`` by the store that they are, with what belongs to it; raises the same."""
    location = real_location(path)
    own = re.compile(rf"\.?({re.escape(location.name)}{_KINDS}){_ENDS}")
    found: dict[Path, list[Path]] = {}
    for each in sorted(location.parent.iterdir()):
        match = own.fullmatch(each.name)
        if match is not None:
            found.setdefault(location.with_name(match[1]), []).append(each)
    return found
