"""What people entered by hand: kept in the head, apart from what can be computed again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from facesearch.store.derived import inline_members
from facesearch.store.disk import storing
from facesearch.store.layout import Layout
from facesearch.store.lock import locked
from facesearch.store.reader import Store, real_location


def change_entered(path: Path, change: Callable[[Store], dict[str, Any]], wait: bool) -> Store:
    """Changes what people entered; nothing else of the store does.

    Args:
        path: the store's file.
        change: from the store as it is to what is entered from now on, anything that JSON can say.
        wait: for another writer to end.

    Returns:
        The store as it is then.

    Raises:
        StoreBusyError: another process writes to it.
        StoreError: the store is missing, damaged or cannot be written.
    """
    with locked(real_location(path), wait):
        store = Store.open(path)
        head = replace(store.head, entered=change(store))
        if head != store.head:
            with storing(path):
                Layout(path, store.key).write_head(head, inline_members(store))
        return Store.open(path)
