"""Putting a store that is there under a key, another passphrase, or none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from facesearch.store.archive import read_bytes
from facesearch.store.disk import put_in_place, storing, write_temporary
from facesearch.store.layout import Layout
from facesearch.store.lock import locked
from facesearch.store.reader import Store, derived_folder, parts_folder, real_location
from facesearch.store.sealing import MAGIC, Key, SealedFile
from facesearch.store.writer import rebuild_path


def is_encrypted(path: Path) -> bool:
    """Whether there is an encrypted store at the path; nobody is asked for its passphrase."""
    try:
        with path.open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False  # opening it says what is wrong


def change_key(path: Path, change: Callable[[Key | None], Key | None], wait: bool) -> None:
    """Write every file of a store anew, encrypted in another way; what is in them stays as it is.

    The head comes last. Cut off before, the store opens with the passphrase, or its old one where
    that is changed: every file says how its key follows from it. A rebuild that has not ended is
    dropped.

    Args:
        path: the store's file; a caller has opened it, so that no lock is made beside nothing.
        change: from what it is encrypted with now to the key from now on; None: in plain. A key
            with another id cannot come in place of a key.
        wait: for another writer to end.

    Raises:
        StoreBusyError: another process writes to it.
        StoreLockedError: there is no passphrase for it.
        StoreError: it is missing, damaged, or cannot be written.
    """
    location = real_location(path)
    with locked(location, wait), storing(path):
        Layout(rebuild_path(path)).discard()
        Layout(path).settle()
        store = Store.open(path)
        old, head = store.key, store.head
        files = [parts_folder(location) / each.name for each in head.segments if each.name]
        files += [derived_folder(location) / each.file for each in head.derived.values()]
        del store  # Windows keeps what is mapped
        key = change(old)
        Layout(path, old).sweep(head)
        for file in files:
            if file.exists():
                _write_anew(file, old, key, file.with_name("new.tmp"))
        _write_anew(location, old, key, location.with_name(f".{location.name}.tmp"))


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
