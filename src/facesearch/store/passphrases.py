"""Who is asked for the passphrase of a store, and keys that are open already."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from facesearch.errors import StoreLockedError, UsageError
from facesearch.store.sealing import Header, Key, no_memory, require_library, unlock


class Source(Protocol):
    """Where passphrases come from: a file, a keyring, a person."""

    def of_store(self, path: Path, key_id: bytes, attempt: int) -> str:
        """The passphrase of the store at ``path`` whose key has this id.

        Args:
            path: the store.
            key_id: 16 bytes.
            attempt: 0, then 1 more after each that was wrong.

        Raises:
            StoreLockedError: there is none, or it makes no sense to ask again.
        """

    def for_new(self, path: Path, other: bool) -> str:
        """The passphrase for a store that is to be encrypted.

        Args:
            path: the store.
            other: it is encrypted, and this is to come in place of its passphrase.

        Raises:
            StoreLockedError: there is none.
        """

    def keep(self, key_id: bytes, passphrase: str) -> None:
        """Called with each passphrase that was right, a new one only when something is under it."""


@dataclass(frozen=True, slots=True)
class Given:
    """A passphrase that is known already."""

    passphrase: str = field(repr=False)

    def of_store(self, path: Path, key_id: bytes, attempt: int) -> str:
        """See ``Source``."""
        if attempt:
            raise StoreLockedError(f"{path}: wrong passphrase")
        return self.passphrase

    def for_new(self, path: Path, other: bool) -> str:
        """See ``Source``."""
        return self.passphrase

    def keep(self, key_id: bytes, passphrase: str) -> None:
        """Nothing to do."""


class Keys:
    """The keys that are open, each asked for once."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._open: dict[bytes, Key] = {}
        self._refused: dict[bytes, StoreLockedError] = {}
        self._new: dict[bytes, str] = {}
        self._right: dict[bytes, str] = {}

    def of(self, header: Header, path: Path) -> Key:
        """The key of an encrypted file.

        Raises:
            StoreLockedError: nobody has the passphrase.
            StoreError: the header makes no sense.
        """
        held = self._open.get(header.key_id)
        if held is not None:
            # Not with the slot of this header: nobody has seen a passphrase open that, and what is
            # written would have it too.
            return held
        if header.key_id in self._refused:
            raise self._refused[header.key_id]
        try:
            key = self._asked(header, path)
        except StoreLockedError as error:
            self._refused[header.key_id] = error
            raise
        self._open[key.id] = key
        return key

    def _asked(self, header: Header, path: Path) -> Key:
        require_library()  # before anybody types
        known, attempt = iter(dict.fromkeys(self._right.values())), 0
        while True:
            passphrase = next(known, None)
            if passphrase is None:
                passphrase = normal(self._source.of_store(path, header.key_id, attempt))
                attempt += 1
            try:
                key = unlock(header, passphrase, path)
            except StoreLockedError:
                continue
            self._source.keep(key.id, passphrase)
            self._right[key.id] = passphrase
            return key

    def new(self, path: Path) -> Key:
        """A key for a store that is to be encrypted.

        Raises:
            StoreLockedError: nobody gives a passphrase.
            StoreError: there is no memory to protect it.
        """
        return self._made(path, other=False)

    def changed(self, key: Key, path: Path) -> tuple[Key, Key]:
        """One new key, first under the passphrase of ``key``, then under one that is asked for.

        Raises:
            StoreLockedError: nobody gives one.
            StoreError: there is no memory to protect it.
        """
        new = self._made(path, other=True)
        return new.under(self._right[key.id]), new

    def apart(self, key: Key, path: Path) -> Key:
        """A new key under the passphrase of ``key``: for another store, which may go to others.

        Raises:
            StoreError: there is no memory to protect it.
        """
        return self._under(self._right[key.id], path)

    def _made(self, path: Path, other: bool) -> Key:
        require_library()
        passphrase = normal(self._source.for_new(path, other))
        if not passphrase:
            raise UsageError(f"{path}: an empty passphrase protects nothing; give another")
        return self._under(passphrase, path)

    def _under(self, passphrase: str, path: Path) -> Key:
        try:
            key = Key.new(passphrase)
        except MemoryError:
            raise no_memory(path) from None
        self._open[key.id] = key
        self._new[key.id] = self._right[key.id] = passphrase
        return key

    def written(self, key: Key) -> None:
        """Something is encrypted with a key of ``new`` or ``changed``: its passphrase is right."""
        passphrase = self._new.pop(key.id, None)
        if passphrase is not None:
            self._source.keep(key.id, passphrase)


def normal(passphrase: str) -> str:
    """One spelling for what looks the same, whatever keyboard it was typed on (NFKC)."""
    return unicodedata.normalize("NFKC", passphrase)


_keys: ContextVar[Keys | None] = ContextVar("facesearch-keys", default=None)


@contextmanager
def unlocking(keys: Keys) -> Iterator[Keys]:
    """Encrypted stores that are opened inside are opened with these keys."""
    token = _keys.set(keys)
    try:
        yield keys
    finally:
        _keys.reset(token)


def key_for(header: Header, path: Path, known: Key | None = None) -> Key:
    """The key of an encrypted file: ``known`` where it is that one, else as ``unlocking`` has it.

    Raises:
        StoreLockedError: nobody has the passphrase.
        StoreError: the header makes no sense.
    """
    if known is not None and known.id == header.key_id:
        return known
    keys = _keys.get()
    if keys is None:
        raise StoreLockedError(f"{path}: encrypted; open it with its passphrase")
    return keys.of(header, path)


def new_key(path: Path) -> Key:
    """A key for a store that is to be encrypted, from whoever ``unlocking`` named.

    Raises:
        StoreLockedError: nobody gives a passphrase.
    """
    return _asked(path).new(path)


def changed_key(key: Key, path: Path) -> tuple[Key, Key]:
    """A new key in place of an open one, as ``Keys.changed`` makes it.

    Raises:
        StoreLockedError: nobody gives a passphrase.
    """
    return _asked(path).changed(key, path)


def key_apart(key: Key, path: Path) -> Key:
    """A key of its own for a store that is made from one with ``key``, as ``Keys.apart``.

    Raises:
        StoreLockedError: nobody gives passphrases.
    """
    return _asked(path).apart(key, path)


def key_written(key: Key) -> None:
    """A key of ``new_key``, ``changed_key`` or ``key_apart`` is in use from now on."""
    keys = _keys.get()
    if keys is not None:
        keys.written(key)


def _asked(path: Path) -> Keys:
    keys = _keys.get()
    if keys is None:
        raise StoreLockedError(f"{path}: to encrypt it a passphrase is needed; give one")
    return keys
