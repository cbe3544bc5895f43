"""Moving and dropping the folders that a store was made from; nothing is read."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from facesearch.errors import UsageError
from facesearch.gallery.facts import roots_of
from facesearch.locations import Address, Location, as_location, whole
from facesearch.photos import printable
from facesearch.sources import is_gone
from facesearch.store import Root, Store, StoreWriter


def move_root(store: Path, old: Location, new: Location, wait: bool = False) -> int:
    """Says that the root ``old`` lies at ``new`` now; returns its number of photos.

    Raises:
        UsageError: ``old`` is no root, ``new`` is one already, or is not there.
        StoreBusyError: another process writes the store.
    """
    if is_gone(new):
        hint = "check the address" if isinstance(new, Address) else "plug it in or check the path"
        raise UsageError(f"{printable(new)}: no such folder; {hint}")
    with _held_for_writing(store, wait) as writer:
        held = writer.store
        number = _number(held, old)
        if any(as_location(root.path) == new for root in held.roots):
            raise UsageError(
                f"{printable(new)}: is a root already; drop one with facesearch roots drop"
            )
        roots = list(held.roots)
        roots[number] = dataclasses.replace(Root.at(new, held.folder), id=roots[number].id)
        return _finish(writer, roots, number)


def drop_root(store: Path, folder: Location, wait: bool = False) -> int:
    """Forgets a root and its photos; returns how many.

    Raises:
        UsageError: it is no root.
        StoreBusyError: another process writes the store.
    """
    with _held_for_writing(store, wait) as writer:
        held = writer.store
        number = _number(held, folder)
        roots = [root for index, root in enumerate(held.roots) if index != number]
        return _finish(writer, roots, number)


def _held_for_writing(store: Path, wait: bool) -> StoreWriter:
    """The store with its lock: what its roots are is decided by whoever wrote it last."""
    return StoreWriter.open(store, Store.open(store).recipe, wait=wait)


def _number(held: Store, folder: Location) -> int:
    for number, root in enumerate(held.roots):
        if folder in (as_location(root.path), whole(root.resolve(held.folder))):
            return number
    known = ", ".join(printable(root.path) for root in held.roots) or "none"
    raise UsageError(f"{printable(folder)}: is no root of {held.path}; its roots: {known}")


def _finish(writer: StoreWriter, roots: list[Root], number: int) -> int:
    photos = list(roots_of(writer.store))[number].photos
    writer.set_roots(roots)
    writer.finish()
    return photos
