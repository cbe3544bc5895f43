"""What any source leaves out: hidden names, recycle bins, thumbnails, patterns; and what it says of
files that are no photos.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable
from pathlib import PurePosixPath

_SKIPPED = frozenset(
    {
        "$recycle.bin",
        "recycler",
        "recycled",
        "@recycle",
        "#recycle",
        "system volume information",
        "lost+found",
        "@eadir",
    }
)
"""Recycle bins, file system folders and thumbnails, in lower case; dotted names are hidden."""
_MAX_EXTENSION = 12


class Patterns:
    """What ``--exclude`` leaves out."""

    def __init__(self, patterns: Iterable[str]) -> None:
        self._rules = [
            (
                re.compile(fnmatch.translate(pattern.removeprefix("./").strip("/"))),
                "/" in pattern.removeprefix("./").rstrip("/"),
                pattern.endswith("/"),
            )
            for pattern in patterns
            if pattern.strip("/.")
        ]

    def match(self, path: str, name: str, folder: bool) -> bool:
        """Whether a file or folder is left out; ``path`` from the root, ``name`` its last part."""
        return any(
            rule.match(path if whole else name) is not None and (folder or not folders_only)
            for rule, whole, folders_only in self._rules
        )

    def cover(self, key: str, folder: bool) -> bool:
        """Whether a walk comes to this key: nothing on the way is skipped or left out."""
        parts = key.split("/") if key else []
        paths = ["/".join(parts[: end + 1]) for end in range(len(parts))]
        return not any(
            is_skipped(name) or self.match(path, name, folder or path != key)
            for path, name in zip(paths, parts, strict=True)
        )


def is_skipped(name: str) -> bool:
    """Whether a name is passed over wherever it stands."""
    return name.startswith(".") or name.lower() in _SKIPPED or name.endswith(".npz.parts")


def hidden_by(prefixes: Iterable[str], key: str) -> bool:
    """Whether a key lies at or below one of the prefixes; "" is the root."""
    parts = (prefix.rstrip("/") for prefix in prefixes)
    return any(not part or key == part or key.startswith(f"{part}/") for part in parts)


def kind_of_name(name: str) -> str:
    """What a file that is no photo is counted as."""
    extension = PurePosixPath(name).suffix.lower()
    if not extension:
        return "no extension"
    plain = len(extension) <= _MAX_EXTENSION and extension[1:].isalnum()
    return extension if plain else "other"
