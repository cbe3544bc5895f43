"""What is left of an encrypted file that is damaged.

One wrong byte in a chunk is put right, and the chunk's own tag proves it. A tag is a polynomial in
GF(2^128) over the blocks (NIST SP 800-38D, 6.4), so what the tag there differs by from the tag of
the bytes there is the difference of the wrong block times a power of the hash key; divided by the
right power, and by no other, a single byte is left.
"""

from __future__ import annotations

import hashlib
import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from facesearch.store import sealing
from facesearch.store.sealing import (
    CHECK,
    HEADER,
    MAGIC,
    NONCE,
    TAG,
    Header,
    Key,
    is_sealed,
    read_header,
)

_BLOCK = 16
_ONE = 1 << 127  # in GCM's order of bits
_POLYNOMIAL = 0xE1 << 120
_MOST_HOPELESS = 16  # chunks of a file; each costs a third of a second


def was_sealed(raw: memoryview) -> bool:
    """Whether a file was encrypted, though a byte that says so be wrong."""
    wrong = sum(one != other for one, other in zip(bytes(raw[: len(MAGIC)]), MAGIC, strict=False))
    return is_sealed(raw) or (len(raw) >= HEADER and wrong == 1)


def header_left(raw: memoryview, path: Path) -> Header | None:
    """The header of a file that was encrypted, one wrong byte of it put right; None where more is
    wrong.
    """
    if len(raw) < HEADER:
        return None
    for candidate in _with_one_byte_changed(bytes(raw[:HEADER])):
        text, check = candidate[:-CHECK], candidate[-CHECK:]
        right = hashlib.sha256(text).digest()
        wrong = sum(one != other for one, other in zip(right, check, strict=True))
        if wrong == 0 or (wrong == 1 and candidate == raw[:HEADER]):
            return read_header(memoryview(text + right), path)
    return None


def _with_one_byte_changed(raw: bytes) -> Iterator[bytes]:
    """The bytes as they are, then each way to change one of them that is no checksum."""
    yield raw
    for place in range(len(raw) - CHECK):
        for change in range(1, 256):
            yield raw[:place] + bytes([raw[place] ^ change]) + raw[place + 1 :]


@dataclass(frozen=True, slots=True)
class Left:
    """What is left of a file in plain; ``untried`` damaged chunks were not gone through for a wrong
    byte, for too many others had more.
    """

    plain: memoryview
    untried: int = 0


def unseal_what_is_left(raw: memoryview, header: Header, key: Key) -> Left:
    """The bytes of the plain file as far as the file goes, read-only; zeros where a chunk is
    damaged beyond one byte.
    """
    whole = max(1, -(-(len(raw) - HEADER) // sealing.RECORD)) * sealing.CHUNK
    size = min(header.length, whole)
    plain = mmap.mmap(-1, max(1, size))
    opener = _Opener(key, header)
    for index in range(-(-size // sealing.CHUNK)):
        at = HEADER + index * sealing.RECORD
        record = bytes(raw[at : min(at + sealing.RECORD, header.size)])
        found = opener.open(record, header.bound(index))
        start = index * sealing.CHUNK
        plain[start : start + len(found)] = found
    return Left(memoryview(plain).toreadonly()[:size], opener.untried)


class _Opener:
    """Opens chunks of one file, damaged ones too, as long as there is any use in that."""

    def __init__(self, key: Key, header: Header) -> None:
        self.untried = 0
        self._hopeless = 0
        self._cipher = key.of_file(header.salt)
        self._key = key.file_key(header.salt)

    def open(self, record: bytes, bound: bytes) -> bytes:
        """What is in a chunk; nothing where more of it than one byte is wrong."""
        if len(record) < NONCE + TAG or record.count(0) == len(record):
            return b""  # as after a crash of the machine
        found = self._decrypted(record, bound)
        if found is not None:
            return found
        if self._hopeless == _MOST_HOPELESS:
            self.untried += 1
            return b""
        for candidate in self._candidates(record, bound):
            found = self._decrypted(candidate, bound)
            if found is not None:
                return found
        self._hopeless += 1
        return b""

    def _decrypted(self, record: bytes, bound: bytes) -> bytes | None:
        from cryptography.exceptions import InvalidTag

        try:
            opened: bytes = self._cipher.decrypt(record[:NONCE], record[NONCE:], bound)
        except InvalidTag:
            return None
        return opened

    def _candidates(self, record: bytes, bound: bytes) -> Iterator[bytes]:
        """The chunk with what one wrong byte must have been: of the tag, of what is inside, or of
        the nonce.
        """
        nonce, inside, tag = record[:NONCE], record[NONCE:-TAG], record[-TAG:]
        actual = self._tag(nonce, inside, bound)
        difference = _number(actual) ^ _number(tag)
        if _single_byte(difference) is not None:
            yield nonce + inside + actual
        place = self._place(difference, len(inside))
        if place is not None:
            at, change = place
            yield nonce + inside[:at] + bytes([inside[at] ^ change]) + inside[at + 1 :] + tag
        for at in range(NONCE):
            for change in range(1, 256):
                other = nonce[:at] + bytes([nonce[at] ^ change]) + nonce[at + 1 :]
                yield other + inside + tag

    def _tag(self, nonce: bytes, inside: bytes, bound: bytes) -> bytes:
        """The tag that these bytes would have: that of encrypting what they decrypt to."""
        from cryptography.hazmat.primitives.ciphers import Cipher
        from cryptography.hazmat.primitives.ciphers.algorithms import AES
        from cryptography.hazmat.primitives.ciphers.modes import CTR

        first = nonce + (2).to_bytes(_BLOCK - NONCE, "big")  # the counter of the first block
        plain = Cipher(AES(self._key), CTR(first)).decryptor().update(inside)
        sealed: bytes = self._cipher.encrypt(nonce, plain, bound)
        return sealed[-TAG:]

    @cached_property
    def _hash_key(self) -> int:
        from cryptography.hazmat.primitives.ciphers import Cipher
        from cryptography.hazmat.primitives.ciphers.algorithms import AES
        from cryptography.hazmat.primitives.ciphers.modes import ECB

        return _number(Cipher(AES(self._key), ECB()).encryptor().update(bytes(_BLOCK)))

    def _place(self, difference: int, length: int) -> tuple[int, int] | None:
        """Where a byte is wrong, and what by."""
        inverse = _inverse(self._hash_key)
        table = _table_of(inverse)
        # The block of lengths comes after the last one, with the hash key itself.
        left = _times(_times(difference, inverse), inverse)
        for block in range(-(-length // _BLOCK) - 1, -1, -1):
            found = _single_byte(left)
            if found is not None and block * _BLOCK + found[0] < length:
                return block * _BLOCK + found[0], found[1]
            left = _times_by(table, left)
        return None


def _number(block: bytes) -> int:
    return int.from_bytes(block, "big")


def _single_byte(block: int) -> tuple[int, int] | None:
    """(place, value) of the only byte of a block that is not zero."""
    raw = block.to_bytes(_BLOCK, "big")
    there = [place for place in range(_BLOCK) if raw[place]]
    return (there[0], raw[there[0]]) if len(there) == 1 else None


def _times(one: int, other: int) -> int:
    """The product in GF(2^128), as GCM orders bits."""
    product = 0
    for bit in range(127, -1, -1):
        if one >> bit & 1:
            product ^= other
        other = other >> 1 ^ (_POLYNOMIAL if other & 1 else 0)
    return product


def _inverse(value: int) -> int:
    """What times ``value`` is one: its power 2^128 - 2."""
    result, square = _ONE, value
    for _ in range(127):
        square = _times(square, square)
        result = _times(result, square)
    return result


def _table_of(factor: int) -> list[list[int]]:
    """Products of ``factor`` with every byte at every place: sums of those with one bit."""
    table = []
    for place in range(_BLOCK):
        products = [0]
        for bit in range(8):
            product = _times(1 << 8 * (_BLOCK - 1 - place) + bit, factor)
            products += [held ^ product for held in products]
        table.append(products)
    return table


def _times_by(table: list[list[int]], value: int) -> int:
    product = 0
    for products, byte in zip(table, value.to_bytes(_BLOCK, "big"), strict=True):
        product ^= products[byte]
    return product
