"""The store as of one commit, with what is asked of it again and again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from facesearch.api import Opened
from facesearch.errors import StoreError
from facesearch.gallery.facts import RootFacts, roots_of
from facesearch.gallery.places import Places
from facesearch.records import Coverage
from facesearch.store import Store

T = TypeVar("T")
_SECONDS = 3.0
"""How long an answer about the disk counts: whether a folder is there changes without a commit."""


class Snapshot:
    """A gallery and its store; safe in threads."""

    def __init__(self, opened: Opened) -> None:
        """Take a gallery of a store file.

        Raises:
            StoreError: it is not one.
        """
        store = getattr(opened.gallery, "store", None)
        if not isinstance(store, Store):
            raise StoreError("only a store file can be served")
        self.opened = opened
        self.store = store
        self._lock = threading.Lock()
        self._held: dict[str, tuple[float, Any]] = {}

    def coverage(self) -> Coverage:
        """What a search looks through."""
        return self._lately("coverage", self.opened.gallery.coverage)

    def places(self) -> Places:
        """Where photos lie."""
        return self._lately("places", lambda: Places(self.store))

    def roots(self) -> tuple[RootFacts, ...]:
        """The folders that were indexed."""
        return self._lately("roots", lambda: tuple(roots_of(self.store)))

    def photos_with_faces(self) -> int:
        """How many photos a search can find."""
        contents = self.store.contents
        return self._lately(
            "photos", lambda: int(np.count_nonzero((contents.face_counts > 0) & contents.live))
        )

    def _lately(self, name: str, ask: Callable[[], T]) -> T:
        with self._lock:
            when, held = self._held.get(name, (0.0, None))
        if when and time.monotonic() - when < _SECONDS:
            known: T = held
            return known
        found = ask()
        with self._lock:
            self._held[name] = (time.monotonic(), found)
        return found
