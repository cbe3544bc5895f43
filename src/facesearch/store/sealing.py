"""Store files at rest under a passphrase: what is in them, and that nobody changed it.

A sealed file is a header and then the bytes of the plain file in chunks, each under AES-256-GCM
(NIST SP 800-38D) with a nonce of its own. A file's key follows by HKDF (RFC 5869) from the store's
random key and a salt in the header; beside it lies the store's key, wrapped under scrypt (RFC
7914) of the passphrase. Numbers are little-endian.
"""

from __future__ import annotations

import hashlib
import hmac
import importlib.util
import mmap
import os
import struct
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

from facesearch.errors import StoreError, StoreLockedError, UsageError

MAGIC = b"facesearch-seal\1"
CHUNK = 1 << 18
"""Bytes of the plain file in a chunk."""

_CORE = struct.Struct("<16s16s16sQ")  # magic, key's id, file's salt, length of the plain file
_SLOT = struct.Struct("<3Bx16s12s48s")  # log2 n, r, p, salt, nonce, wrapped key
CHECK = 32  # SHA-256 of what is before: damage is told from a wrong passphrase
HEADER = _CORE.size + _SLOT.size + CHECK
NONCE = 12
TAG = 16
RECORD = NONCE + CHUNK + TAG
_KEY_BYTES = 32
_COST = (17, 8, 1)  # log2 n, r, p: 128 MiB and a third of a second
_HONEST_COSTS = frozenset((log2_n, 8, 1) for log2_n in range(14, 19))
"""What a header may name: a stranger's must not take all memory, nor make guessing cheap."""
_INFO = b"facesearch store file"
_HELP = "run facesearch repair, or bring back a copy"


@dataclass(frozen=True, slots=True)
class Slot:
    """The store's key wrapped under a passphrase: cost and ``salt`` of scrypt, and the box."""

    cost: tuple[int, int, int]
    salt: bytes
    nonce: bytes
    wrapped: bytes

    def encode(self) -> bytes:
        """As it stands in a header."""
        return _SLOT.pack(*self.cost, self.salt, self.nonce, self.wrapped)


@dataclass(frozen=True, slots=True)
class Key:
    """The key of all files of one store.

    Attributes:
        id: 16 bytes that name it, no secret.
        secret: 32 bytes.
        slot: how a passphrase gives it.
    """

    id: bytes
    secret: bytes = field(repr=False)
    slot: Slot = field(repr=False)

    @classmethod
    def new(cls, passphrase: str) -> Key:
        """A random key under a passphrase.

        Raises:
            MemoryError: there is not enough, see ``no_memory``.
        """
        return cls._under(passphrase, os.urandom(16), os.urandom(_KEY_BYTES))

    def under(self, passphrase: str) -> Key:
        """The same key under another passphrase; raises as ``new``."""
        return self._under(passphrase, self.id, self.secret)

    @classmethod
    def _under(cls, passphrase: str, id: bytes, secret: bytes) -> Key:
        salt, nonce = os.urandom(16), os.urandom(NONCE)
        outer = _stretched(passphrase, salt, _COST)
        wrapped = _cipher(outer).encrypt(nonce, secret, MAGIC + id)
        return cls(id, secret, Slot(_COST, salt, nonce, wrapped))

    def of_file(self, salt: bytes) -> Any:
        """The cipher of the file with this salt."""
        return _cipher(self.file_key(salt))

    def file_key(self, salt: bytes) -> bytes:
        """The 32 bytes that the file with this salt is encrypted with."""
        require_library()
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF

        return HKDF(SHA256(), _KEY_BYTES, salt, _INFO).derive(self.secret)


@dataclass(frozen=True, slots=True)
class Header:
    """What a sealed file says in the clear. ``length`` is that of the plain file."""

    key_id: bytes
    salt: bytes
    length: int
    slot: Slot

    @property
    def core(self) -> bytes:
        """What every chunk is bound to."""
        return MAGIC + self.key_id + self.salt

    @property
    def size(self) -> int:
        """Bytes of the whole sealed file."""
        return HEADER + self.length + self.chunks * (NONCE + TAG)

    @property
    def chunks(self) -> int:
        """How many there are; the last one may be short."""
        return max(1, -(-self.length // CHUNK))

    def encode(self) -> bytes:
        """The first bytes of the file."""
        text = _CORE.pack(MAGIC, self.key_id, self.salt, self.length) + self.slot.encode()
        return text + hashlib.sha256(text).digest()

    def bound(self, index: int) -> bytes:
        """What a chunk is authenticated with: its file, its place, and of the last one the length,
        so that none can be exchanged, moved or left out.
        """
        last = index == self.chunks - 1
        return self.core + struct.pack("<QQ", index, self.length if last else 1 << 63)


def is_sealed(raw: memoryview) -> bool:
    """Whether these bytes begin as a sealed file does."""
    return len(raw) >= len(MAGIC) and bytes(raw[: len(MAGIC)]) == MAGIC


def read_header(raw: memoryview, path: Path) -> Header:
    """The header of a sealed file.

    Raises:
        StoreError: it is cut short or not as it was written.
    """
    if len(raw) < HEADER:
        raise _cut(path)
    text, check = bytes(raw[: HEADER - CHECK]), bytes(raw[HEADER - CHECK : HEADER])
    if not hmac.compare_digest(hashlib.sha256(text).digest(), check):
        raise StoreError(f"{path}: the header of the encrypted file is damaged; {_HELP}")
    _, key_id, salt, length = _CORE.unpack_from(text)
    log2_n, r, p, *box = _SLOT.unpack_from(text, _CORE.size)
    return Header(key_id, salt, length, Slot((log2_n, r, p), *box))


def unlock(header: Header, passphrase: str, path: Path) -> Key:
    """The store's key out of the header of one of its files.

    Raises:
        StoreLockedError: the passphrase is another one.
        StoreError: the header names a cost that no honest one has, or there is no memory for it.
    """
    require_library()
    from cryptography.exceptions import InvalidTag

    slot = header.slot
    if slot.cost not in _HONEST_COSTS:
        raise StoreError(
            f"{path}: its header asks for work that no store asks for; bring back a copy"
        )
    try:
        outer = _stretched(passphrase, slot.salt, slot.cost)
    except MemoryError:
        raise no_memory(path, slot.cost) from None
    try:
        secret = _cipher(outer).decrypt(slot.nonce, slot.wrapped, MAGIC + header.key_id)
    except InvalidTag:
        raise StoreLockedError(f"{path}: wrong passphrase") from None
    return Key(header.key_id, secret, slot)


def unseal(raw: memoryview, header: Header, key: Key, path: Path) -> memoryview:
    """The bytes of the plain file, read-only, in memory alone and in no core dump.

    Raises:
        StoreError: it is cut short, or was changed by somebody or something without the key.
    """
    if len(raw) < header.size:
        raise _cut(path)
    plain = mmap.mmap(-1, max(1, header.length))
    if hasattr(mmap, "MADV_DONTDUMP"):
        plain.madvise(mmap.MADV_DONTDUMP)
    cipher = key.of_file(header.salt)
    for index in range(header.chunks):
        start = index * CHUNK
        plain[start : min(start + CHUNK, header.length)] = _opened(cipher, header, index, raw, path)
    if len(raw) > header.size:
        raise _changed(path, "bytes were added to its end")
    return memoryview(plain).toreadonly()[: header.length]


def _opened(cipher: Any, header: Header, index: int, raw: memoryview, path: Path) -> bytes:
    from cryptography.exceptions import InvalidTag

    at = HEADER + index * RECORD
    record = bytes(raw[at : min(at + RECORD, header.size)])
    try:
        opened: bytes = cipher.decrypt(record[:NONCE], record[NONCE:], header.bound(index))
    except InvalidTag:
        raise _changed(path, f"bytes {at:,} to {at + len(record) - 1:,}") from None
    return opened


class SealedFile:
    """A file that is written and read as if it were plain, and of which the disk never sees more
    than sealed chunks. Every time a chunk is written it gets a new nonce.

    The file must be empty and open for reading and writing; ``close`` must be called, which leaves
    the file itself open.
    """

    def __init__(self, file: BinaryIO, key: Key) -> None:
        self._file = file
        self._header = Header(key.id, os.urandom(16), 0, key.slot)
        self._cipher = key.of_file(self._header.salt)
        self._chunk = bytearray()
        self._index = 0
        self._position = 0
        self._dirty = True
        file.write(bytes(HEADER))

    def write(self, data: bytes | memoryview) -> int:
        """Write at the position; no gap may lie before it."""
        view = memoryview(data).cast("B")
        for start in range(0, len(view), CHUNK):
            self._write(view[start : start + CHUNK])
        return len(view)

    def _write(self, piece: memoryview) -> None:
        while len(piece):
            self._turn_to(self._position // CHUNK)
            at = self._position % CHUNK
            taken = piece[: CHUNK - at]
            self._chunk[at : at + len(taken)] = taken
            self._dirty = True
            self._position += len(taken)
            length = max(self._header.length, self._position)
            self._header = replace(self._header, length=length)
            piece = piece[len(taken) :]

    def read(self, count: int) -> bytes:
        """Up to so many bytes from the position on; none at the end."""
        self._turn_to(self._position // CHUNK)
        at = self._position % CHUNK
        found = bytes(self._chunk[at : at + count])
        self._position += len(found)
        return found

    def seek(self, position: int) -> int:
        """Go to a position, at most the end."""
        self._position = position
        return position

    def flush(self) -> None:
        """Nothing: what is not sealed yet is in memory alone."""

    def close(self) -> None:
        """Seal the last chunk as the last, and write the header."""
        self._turn_to(self._header.chunks - 1)
        self._seal(self._header)
        self._file.seek(0)
        self._file.write(self._header.encode())
        self._file.flush()

    def _turn_to(self, index: int) -> None:
        if index == self._index:
            return
        if self._dirty:
            self._seal(self._unfinished)
        self._index, self._dirty = index, False
        self._file.seek(HEADER + index * RECORD)
        record = self._file.read(RECORD)
        self._chunk = bytearray()
        if record:
            bound = self._unfinished.bound(index)
            self._chunk += self._cipher.decrypt(record[:NONCE], record[NONCE:], bound)

    @property
    def _unfinished(self) -> Header:
        """For chunks of which it is not known yet whether one will be the last."""
        return replace(self._header, length=1 << 62)

    def _seal(self, header: Header) -> None:
        nonce = os.urandom(NONCE)
        self._file.seek(HEADER + self._index * RECORD)
        self._file.write(nonce)
        self._file.write(self._cipher.encrypt(nonce, bytes(self._chunk), header.bound(self._index)))


def require_library() -> None:
    """Raise where encryption cannot be had.

    Raises:
        UsageError: the library is not installed.
    """
    if importlib.util.find_spec("cryptography") is None:
        raise UsageError(
            "encrypted stores need a library that is not installed; install it with: pip install "
            "cryptography"
        )


def _stretched(passphrase: str, salt: bytes, cost: tuple[int, int, int]) -> bytes:
    require_library()
    from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

    log2_n, r, p = cost
    return Scrypt(salt, _KEY_BYTES, 1 << log2_n, r, p).derive(passphrase.encode("utf-8"))


def _cipher(key: bytes) -> Any:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(key)


def no_memory(path: Path, cost: tuple[int, int, int] = _COST) -> StoreError:
    """The error for a machine on which a passphrase cannot be tried."""
    log2_n, r, _ = cost
    needed = 128 * r << log2_n >> 20
    return StoreError(
        f"{path}: about {needed} MiB of memory for a passphrase are not to be had; close "
        "other programs and run the command again"
    )


def _cut(path: Path) -> StoreError:
    return StoreError(f"{path}: the encrypted file is cut short; {_HELP}")


def _changed(path: Path, where: str) -> StoreError:
    return StoreError(f"{path}: the encrypted file was changed or damaged ({where}); {_HELP}")
