"""A store under a passphrase: put there, under another one, and taken out again."""

from __future__ import annotations

from pathlib import Path

from facesearch.errors import UsageError
from facesearch.store import Store
from facesearch.store.encrypting import change_key
from facesearch.store.passphrases import changed_key, key_written, new_key
from facesearch.store.sealing import Key


def encrypt(path: Path, wait: bool = False) -> tuple[Path, ...]:
    """Encrypts a store that is plain, with all that belongs to it.

    The passphrase comes from whoever ``unlocking`` names. The blocks of the disk that held the
    plain files are free then, not overwritten.

    Args:
        path: the store's file.
        wait: for another writer to end.

    Returns:
        What was computed from the store, was damaged and is gone now; it is computed again.

    Raises:
        UsageError: it is encrypted already.
        StoreLockedError: nobody gives a passphrase.
        StoreError: it is missing, damaged or cannot be written.
    """
    if Store.open(path).key is not None:
        raise UsageError(f"{path}: is encrypted already; --change gives it another passphrase")
    key = new_key(path)  # before anything is held: a person may think about it

    def change(old: Key | None) -> tuple[Key]:
        if old is not None:
            raise UsageError(f"{path}: another process has encrypted it meanwhile")
        return (key,)

    damaged = change_key(path, change, wait)
    key_written(key)
    return damaged


def change_passphrase(path: Path, wait: bool = False) -> tuple[Path, ...]:
    """Puts an encrypted store under another passphrase and a new key: who has an older copy and its
    passphrase can still open that, and nothing that is written from now on.

    Returns as ``encrypt``.

    Raises:
        UsageError: it is not encrypted.
        StoreLockedError: the old passphrase is missing or wrong, or nobody gives a new one.
        StoreError: as ``encrypt``.
    """
    before = _key_of(path)
    keys = changed_key(before, path)

    def change(old: Key | None) -> tuple[Key, Key]:
        if old is None or old.id != before.id:
            raise UsageError(f"{path}: another process has changed that meanwhile; run it again")
        return keys

    damaged = change_key(path, change, wait)
    key_written(keys[-1])
    return damaged


def decrypt(path: Path, wait: bool = False) -> tuple[Path, ...]:
    """Writes an encrypted store in plain again; returns as ``encrypt``.

    Raises:
        UsageError: it is not encrypted.
        StoreLockedError: the passphrase is missing or wrong.
        StoreError: as ``encrypt``.
    """
    _key_of(path)
    return change_key(path, lambda old: (None,), wait)


def _key_of(path: Path) -> Key:
    key = Store.open(path).key
    if key is None:
        raise UsageError(f"{path}: is not encrypted")
    return key
