"""What a repair leaves beside a store: the damaged one, and a new one that it could not end."""

from __future__ import annotations

import re
from pathlib import Path

from facesearch.store.reader import real_location

_KINDS = r"\.(?:damaged(?:-[0-9]{1,9})?|repair)"
_FOLDERS = r"(?:\.parts|\.heads|\.derived)?"


def set_aside(path: Path) -> list[Path]:
    """Files and folders beside a store that may hold rows of it as it was, by name.

    No command reads or changes them, so that what is forgotten stays in them.

    Raises:
        OSError: the store's folder cannot be read.
    """
    location = real_location(path)
    name = re.escape(location.name)
    own = re.compile(rf"{name}{_KINDS}{_FOLDERS}|\.{name}\.repair\.tmp")
    return sorted(each for each in location.parent.iterdir() if own.fullmatch(each.name))
