"""Putting a store that is there under a key, another passphrase, or none."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from facesearch.errors import StoreError, StoreLockedError, StoreMissingError
from facesearch.store.archive import read_bytes
from facesearch.store.derived import open_derived
from facesearch.store.disk import first_bytes, put_in_place, storing, write_temporary
from facesearch.store.head import DerivedEntry
from facesearch.store.heads import head_files, head_numbers, heads_folder
from facesearch.store.layout import Layout
from facesearch.store.lock import locked
from facesearch.store.reader import Store, derived_folder, parts_folder, real_location
from facesearch.store.sealing import HEADER, MAGIC, Key, SealedFile
from facesearch.store.set_aside import groups
from facesearch.store.unsealing import was_sealed
from facesearch.store.writer import rebuild_path


def is_encrypted(path: Path) -> bool:
    """Whether there is an encrypted store at the path, a numbered head of one too; nobody is asked
    for its passphrase, and nothing that is no plain file is waited for.
    """
    location = real_location(path)
    try:
        files = head_files(location)
    except StoreError:  # opening it says what is wrong, here and below
        files = [location]
    return any(_begins_sealed(file) for file in files)


def _begins_sealed(file: Path) -> bool:
    try:
        return first_bytes(file, len(MAGIC)) == MAGIC
    except OSError:
        return False


@dataclass(frozen=True, slots=True)
class PlainBeside:
    """A copy of an encrypted store, or of a part of it, that lies in plain beside it.

    ``path`` names it, ``files`` are how many, ``bytes`` how long they are together.
    """

    path: Path
    files: int
    bytes: int


def plain_beside(path: Path) -> list[PlainBeside]:
    """What repairs have kept beside an encrypted store, or heads that nobody could replace, and
    anybody can read; by name. No file is opened but to see how it begins.
    """
    heads = heads_folder(real_location(path))
    try:
        beside = groups(path)
    except OSError:  # opening the store says what is wrong
        return []
    found = []
    for place, entries in sorted({**beside, heads: [heads]}.items()):
        sizes = [size for entry in entries for size in _plain_sizes(entry)]
        if sizes:
            found.append(PlainBeside(place, len(sizes), sum(sizes)))
    return found


def _plain_sizes(entry: Path) -> Iterator[int]:
    """The lengths of the files in plain that this is, or holds."""
    files = [entry]
    with contextlib.suppress(OSError):
        files = sorted(entry.iterdir())
    for file in files:
        try:
            raw = memoryview(first_bytes(file, HEADER))
            size = file.stat().st_size
        except OSError:
            continue  # nobody can say what is in it
        if raw and not was_sealed(raw):
            yield size


def change_key(
    path: Path, change: Callable[[Key | None], Sequence[Key | None]], wait: bool
) -> tuple[Path, ...]:
    """Write every file of a store anew, encrypted in another way; what is in them stays as it is.

    The head comes after all others. Cut off before, the store opens with the passphrase that it
    had, for every file says how its key follows from one. A rebuild that has not ended is dropped.

    Args:
        path: the store's file; a caller has opened it, so that no lock is made beside nothing.
        change: from what it is encrypted with now to the key from now on; None: in plain. In place
            of a key come two with one secret: the first opens with the passphrase of before, and
            files have it until the head has the second.
        wait: for another writer to end.

    Returns:
        What was computed from the store and is damaged: it is removed, and computed again when it
        is needed.

    Raises:
        StoreBusyError: another process writes to it.
        StoreLockedError: there is no passphrase for it.
        StoreError: it is missing, damaged, or cannot be written.
    """
    location = real_location(path)
    with locked(location, wait), storing(path):
        Layout(rebuild_path(path)).discard()
        Layout(path).settle()
        if head_numbers(location):
            raise StoreError(
                f"{heads_folder(location)}: cannot be put in the store's place while another "
                "program has it open; close that and try again"
            )
        store = Store.open(path)
        old, head = store.key, store.head
        files = [parts_folder(location) / each.name for each in head.segments if each.name]
        derived, computed = derived_folder(location), head.derived.values()
        damaged = tuple(derived / each.file for each in computed if _is_damaged(store, each))
        files += [derived / each.file for each in computed if derived / each.file not in damaged]
        del store  # Windows keeps what is mapped
        first, *later = change(old)
        Layout(path, old).sweep(head)
        for file in damaged:
            file.unlink(missing_ok=True)
        files = [file for file in files if file.exists()]
        for file in files:
            _write_anew(file, old, first, file.with_name("new.tmp"))
        last = later[-1] if later else first
        _write_anew(location, old, last, location.with_name(f".{location.name}.tmp"))
        for file in files if later else ():
            _write_anew(file, first, last, file.with_name("new.tmp"))
    return damaged


def _is_damaged(store: Store, entry: DerivedEntry) -> bool:
    """Whether a file of computed data is there and not as it was written.

    Raises:
        StoreLockedError: nobody has its passphrase.
    """
    try:
        open_derived(store, entry)
    except StoreMissingError:
        return False
    except StoreLockedError:
        raise
    except StoreError:
        return True
    return False


def _write_anew(file: Path, old: Key | None, new: Key | None, temporary: Path) -> None:
    def write(target: BinaryIO) -> str:
        plain = read_bytes(file, old).plain
        if new is None:
            target.write(plain)
        else:
            sealed = SealedFile(target, new)
            sealed.write(plain)
            sealed.close()
        return ""

    write_temporary(temporary, write)
    put_in_place(temporary, file)
