"""Who is on a photo, as far as people have said: by a label, else by the name of its folder."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facesearch.store import Store

ENTERED = "labels"
"""Under which name labels are kept among what people entered."""

Ints = NDArray[np.int64]

_NAMES_AMONG = 100_000
_REMEMBERED = 8
_DRIVE = re.compile(r"[A-Za-z]:\\|\\\\")  # a folder of Windows


def person_of(root: str, key: str, labels: Mapping[str, str]) -> str:
    """Whom the photo ``key`` (its path below ``root``) shows: its label, else the name of its
    folder.
    """
    if labels:
        from facesearch.datasets import identity  # not above: most stores have no labels

        if (label := identity(key, labels)) is not None:
            return label
    folder, _, _ = key.rpartition("/")
    if not folder:  # directly in the root, or the root is the photo
        folder = root.replace("\\", "/") if _DRIVE.match(root) else root
        folder = folder if key else folder.rpartition("/")[0]
    return folder.rstrip("/").rpartition("/")[2]


def labels_of(entered: Mapping[str, Any]) -> dict[str, str]:
    """The labels among what people entered: names by photo."""
    held = entered.get(ENTERED)
    pairs = held.items() if isinstance(held, dict) else ()
    return {str(key): str(name) for key, name in pairs}


class Persons:
    """The people of a snapshot, by the photos' files."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._labels = labels_of(store.head.entered)
        self._asked: dict[str, NDArray[np.bool_]] = {}

    def files_of(self, name: str) -> NDArray[np.bool_]:
        """(files,) bool: which files show the person; the last few are remembered."""
        if name not in self._asked:
            if len(self._asked) >= _REMEMBERED:
                self._asked.clear()
            self._asked[name] = self._files_of(name)
        return self._asked[name]

    def _files_of(self, name: str) -> NDArray[np.bool_]:
        if self._labels:
            return np.array([each == name for each in self._each()], np.bool_)
        files = self._store.files
        roots = [root.path for root in self._store.roots]
        inside = np.array([person_of(root, "photo", {}) == name for root in roots], np.bool_)
        itself = np.array([person_of(root, "", {}) == name for root in roots], np.bool_)
        found = np.zeros(len(files), np.bool_)
        start = 0
        for lengths, text in files.path_pieces():
            rows = slice(start, start + len(lengths))
            first, last = _folders(lengths, text)
            root = files.root[rows]
            in_root = np.where(lengths > 0, inside[root], itself[root])
            found[rows] = np.where(last < 0, in_root, _spells(text, first, last, name))
            start = rows.stop
        return found

    def names(self) -> set[str]:
        """Everybody; where there are very many photos, who is on the first of them."""
        return set(itertools.islice(self._each(), _NAMES_AMONG))

    def _each(self) -> Iterator[str]:
        files = self._store.files
        roots = [root.path for root in self._store.roots]
        for root, key in zip(files.root.tolist(), files.paths(), strict=True):
            yield person_of(roots[root], key, self._labels)


def _folders(lengths: Ints, text: NDArray[np.uint8]) -> tuple[Ints, Ints]:
    """Where in ``text`` the name of each path's folder starts and ends; -1 for a path of one part.

    Args:
        lengths: of the paths in bytes.
        text: the paths laid end to end.
    """
    ends = np.cumsum(lengths)
    starts = ends - lengths
    slashes = np.concatenate([np.array([-1, -1]), np.flatnonzero(text == ord("/"))])
    at = np.searchsorted(slashes, ends) - 1
    last, before = slashes[at], slashes[np.maximum(at - 1, 0)]
    return np.maximum(before + 1, starts), np.where(last >= starts, last, -1)


def _spells(text: NDArray[np.uint8], first: Ints, last: Ints, name: str) -> NDArray[np.bool_]:
    """(n,) bool: where ``text[first:last]`` is the name."""
    wanted = np.frombuffer(os.fsencode(name), np.uint8)
    found: NDArray[np.bool_] = last - first == len(wanted)
    rows = np.flatnonzero(found)
    letters = text[first[rows][:, None] + np.arange(len(wanted))]
    found[rows] = (letters == wanted).all(axis=1)
    return found
