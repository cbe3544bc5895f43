"""Where a store's photos lie now: full paths, and which of them are below a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from facesearch.errors import UsageError
from facesearch.locations import Location, as_location, is_address, join, key_below, whole
from facesearch.store import Store


class Place(NamedTuple):
    """One file of a content: its full path, its root's, and the way from the root to it."""

    path: str
    root: str
    key: str


class Places:
    """The disk as it is when this is made; roots that have moved with the store are found."""

    def __init__(self, store: Store) -> None:
        self._store = store
        # A relative root goes through ".."; what leads nowhere else is taken out.
        self._folders = [str(whole(root.resolve(store.folder))) for root in store.roots]
        self._away = [is_away(folder) for folder in self._folders]

    def of_content(self, content: int, wanted: NDArray[np.bool_] | None = None) -> list[Place]:
        """All files of a content: ``wanted`` ones first, then those of roots that are there, then
        by root and path.
        """
        files = self._store.files

        def rank(row: int) -> tuple[bool, bool]:
            return wanted is not None and not wanted[row], self._away[files.root[row]]

        rows = sorted((int(row) for row in files.of_content(content)), key=rank)
        return [self._place(int(files.root[row]), files.path(row)) for row in rows]

    def below(self, folders: Sequence[str]) -> NDArray[np.bool_] | None:
        """(files,) bool: which files are at or below any of the folders; None for no folders.

        A relative folder counts from the current one and from every root.

        Raises:
            UsageError: below one of them there is no photo of the store.
        """
        if not folders:
            return None
        below = np.zeros(len(self._store.files), np.bool_)
        for folder in folders:
            here = self.files_at(folder)
            if not here.any():
                raise UsageError(
                    f"--under {folder}: the store has no photos there; "
                    "facesearch roots lists its folders"
                )
            below |= here
        return below

    def files_at(self, folder: str) -> NDArray[np.bool_]:
        """(files,) bool: which files are this one, or below this folder. A relative path counts
        from the current folder and from every root.
        """
        files = self._store.files
        below = np.zeros(len(files), np.bool_)
        for root, start in enumerate(self._folders):
            for prefix in prefixes(folder, start):
                for rows in files.below(root, prefix):
                    below[rows] = True
        return below

    def _place(self, root: int, key: str) -> Place:
        folder = self._folders[root]
        return Place(join(folder, key), folder, key)


def is_away(root: str) -> bool:
    """Whether a root is not to be found now. Object storage counts as there: no query should wait
    for a network.
    """
    return not is_address(root) and not os.path.lexists(root)


def prefixes(folder: str, root: str) -> Iterator[bytes]:
    """What the keys of a root begin with in photos below ``folder``; "" where all of them are."""
    if is_address(root) or is_address(folder):
        yield from _prefixes_at(as_location(folder), as_location(root))
        return
    # Also by real paths, for people come to the same folder through links.
    for start, asked in ((root, os.path.abspath(folder)), _real(root, folder)):
        if Path(start).is_relative_to(asked):
            yield b""
        elif Path(asked).is_relative_to(start):
            yield os.fsencode(Path(asked).relative_to(start).as_posix())
    inside = Path(os.path.normpath(folder))
    if not inside.is_absolute() and inside.parts and inside.parts[0] != "..":
        yield os.fsencode(inside.as_posix())


def _prefixes_at(folder: Location, root: Location) -> Iterator[bytes]:
    if key_below(folder, root) is not None:
        yield b""
    elif key := key_below(root, folder):
        yield os.fsencode(key)
    elif isinstance(folder, Path) and not folder.is_absolute():
        inside = os.path.normpath(folder)
        if inside != "." and not inside.startswith(".."):
            yield os.fsencode(Path(inside).as_posix())


def _real(*paths: str) -> tuple[str, ...]:
    return tuple(os.path.realpath(path) for path in paths)
