"""Taking photos and faces out of a store: what is left is written anew, nothing is only marked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from facesearch.store.assembly import LeftOut, Source, assemble, must_not_be, write_store
from facesearch.store.disk import storing
from facesearch.store.head import Root
from facesearch.store.layout import Layout
from facesearch.store.lock import locked
from facesearch.store.reader import Store, real_location
from facesearch.store.writer import SINGLE_FILE_BYTES, rebuild_path


def rewrite(
    path: Path,
    left_out: LeftOut,
    entered: dict[str, Any],
    single_file_bytes: int,
    *,
    roots_stay: bool = False,
) -> None:
    """Writes the store anew without what is left out; its lock must be held.

    In one step the new one takes the old one's place; what was computed from the old one goes. A
    rebuild that has not ended goes before: it would bring back what is left out.

    Args:
        path: the store's file.
        left_out: what goes, by numbers of the store as it is.
        entered: what people entered, from now on.
        single_file_bytes: embeddings up to this size end in one file.
        roots_stay: also those that are one photo which goes, so that it is read again.

    Raises:
        StoreError: it could not be written; then nothing else has changed.
    """
    with storing(path):
        Layout(rebuild_path(path)).discard()
    _write(path, left_out, entered, (single_file_bytes, roots_stay))
    clear(path)  # when the old one is not mapped here any more


def _write(
    path: Path, left_out: LeftOut, entered: dict[str, Any], settings: tuple[int, bool]
) -> None:
    single_file_bytes, roots_stay = settings
    store = Store.open(path)
    kept, numbers = _roots(store, set() if roots_stay else _spent(store, left_out))
    head = replace(store.head, roots=kept, next_root=len(kept), derived={}, entered=entered)
    merge = assemble([Source(store, numbers)], lambda contents: left_out)
    write_store(path, head, merge, single_file_bytes, store.key)


def _spent(store: Store, left_out: LeftOut) -> set[int]:
    """The roots that are a photo which goes: such a root's name is that of the photo."""
    files = store.files
    return {
        int(files.root[row])
        for content in left_out.contents.tolist()
        for row in files.of_content(content).tolist()
        if not files.path(row)
    }


def _roots(store: Store, spent: set[int]) -> tuple[tuple[Root, ...], list[int]]:
    """The roots that stay, and the new id of each of those before."""
    kept = [index for index in range(len(store.roots)) if index not in spent]
    numbers = {index: number for number, index in enumerate(kept)}
    roots = tuple(replace(store.roots[index], id=number) for index, number in numbers.items())
    return roots, [numbers.get(index, -1) for index in range(len(store.roots))]


def keep_out(path: Path, wait: bool, single_file_bytes: int = SINGLE_FILE_BYTES) -> None:
    """Takes out what a store has forgotten and holds nevertheless.

    Raises:
        StoreBusyError: another process writes to it.
        StoreError: it could not be written; then nothing has changed.
    """
    with locked(real_location(path), wait):
        store = Store.open(path)
        left, entered = must_not_be(store.contents, store.forgotten), store.head.entered
        del store  # Windows keeps what is mapped
        if left:
            rewrite(path, left, entered, single_file_bytes)


def clear(path: Path) -> None:
    """Removes what writers have left beside a store: earlier heads, parts. Its lock must be held.

    Raises:
        StoreError: some of it cannot be removed.
    """
    with storing(path):
        layout = Layout(path)
        layout.settle()
        layout.sweep(Store.open(path).head)
