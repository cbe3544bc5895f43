"""Moving and dropping the folders that a store was made from; nothing is read."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from facesearch.errors import UsageError
from facesearch.gallery.facts import roots_of
from facesearch.store import Root, Store, StoreWriter


def move_root(store: Path, old: Path, new: Path, wait: bool = False) -> int:
    """Says that the root ``old`` lies at ``new`` now; returns its number of photos.

    Raises:
        UsageError: ``old`` is no root, ``new`` is one already, or is not there.
        StoreBusyError: another process writes the store.
    """
    if not new.exists():
        raise UsageError(f"{new}: no such folder; plug it in or check the path")
    held = Store.open(store)
    number = _number(held, old)
    if any(Path(root.path) == new for root in held.roots):
        raise UsageError(f"{new}: is a root already; drop one of them with facesearch roots drop")
    roots = list(held.roots)
    roots[number] = dataclasses.replace(Root.at(new, held.folder), id=roots[number].id)
    _write(held, roots, wait)
    return list(roots_of(held))[number].photos


def drop_root(store: Path, folder: Path, wait: bool = False) -> int:
    """Forgets a root and its photos; returns how many.

    Raises:
        UsageError: it is no root.
        StoreBusyError: another process writes the store.
    """
    held = Store.open(store)
    number = _number(held, folder)
    _write(held, [root for index, root in enumerate(held.roots) if index != number], wait)
    return list(roots_of(held))[number].photos


def _number(held: Store, folder: Path) -> int:
    for number, root in enumerate(held.roots):
        if folder in (Path(root.path), root.resolve(held.folder)):
            return number
    known = ", ".join(root.path for root in held.roots) or "none"
    raise UsageError(f"{folder}: is no root of {held.path}; its roots: {known}")


def _write(held: Store, roots: list[Root], wait: bool) -> None:
    with StoreWriter.open(held.path, held.recipe, wait=wait) as writer:
        writer.set_roots(roots)
        writer.finish()
