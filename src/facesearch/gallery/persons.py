"""Who is on a photo, as far as people have said: by a label, else by the name of its folder."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facesearch.datasets import Label, identity
from facesearch.store import Store

ENTERED = "labels"
"""Under which name labels are kept among what people entered."""


def person_of(root: str, key: str, labels: Mapping[str, Label]) -> str:
    """Whom the photo ``key`` (its path below ``root``) shows: its label, else the name of its
    folder.
    """
    label = identity(key, labels) if labels else None
    if label is not None:
        return label.name
    folder, _, _ = key.rpartition("/")
    if not folder:  # beside no folder of the root's own: the root itself, or what holds the file
        folder = root if key else root.rpartition("/")[0]
    return folder.rstrip("/").rpartition("/")[2]


def labels_of(entered: Mapping[str, Any]) -> dict[str, Label]:
    """The labels among what people entered."""
    held = entered.get(ENTERED)
    pairs = held.items() if isinstance(held, dict) else ()
    return {str(key): Label(str(name)) for key, name in pairs}


class Persons:
    """The people of a snapshot, by the photos' files; worked out when first asked for."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def files_of(self, name: str) -> NDArray[np.bool_]:
        """(files,) bool: which files show the person."""
        numbers, of_file = self._known
        return np.asarray(of_file == numbers.get(name, -1))

    def names(self) -> Collection[str]:
        """Everybody."""
        return self._known[0].keys()

    @cached_property
    def _known(self) -> tuple[dict[str, int], NDArray[np.int32]]:
        """A number for each name, and (files,) the number of each file's person."""
        files, labels = self._store.files, labels_of(self._store.head.entered)
        roots = [root.path for root in self._store.roots]
        numbers: dict[str, int] = {}
        of_file = np.empty(len(files), np.int32)
        for row, (root, key) in enumerate(zip(files.root.tolist(), files.paths(), strict=True)):
            name = person_of(roots[root], key, labels)
            of_file[row] = numbers.setdefault(name, len(numbers))
        return numbers, of_file
