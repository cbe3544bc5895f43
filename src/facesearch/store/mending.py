"""Which byte is wrong where a CRC-32 is not right, if it is only one."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

_MOST_BYTES = 32 << 20  # that are gone through; each takes part of a microsecond
_POLYNOMIAL = 0xEDB88320


def one_byte_mended(raw: memoryview, crc: int) -> Iterator[bytes]:
    """The bytes with one of them changed so that they have this CRC-32: seldom more than one way.

    That such bytes are those that were written is likely, not sure.
    """
    if not 0 < len(raw) <= _MOST_BYTES:
        return
    # The difference of two checksums is that of the bytes, moved on by all bytes after it.
    difference = zlib.crc32(raw) ^ crc
    undo = _undo()
    last = len(raw) - 1
    for behind in range(len(raw)):
        # Now as if the byte were the last one.
        before = _back(difference, undo)
        if before <= 0xFF:
            changed = bytearray(raw)
            changed[last - behind] ^= before
            if zlib.crc32(changed) == crc:
                yield bytes(changed)
        difference = before


def _undo() -> list[int]:
    """The index of the table of CRC-32 whose entry has this highest byte."""
    table = _table()
    found = [0] * 256
    for index, value in enumerate(table):
        found[value >> 24] = (value << 8 & 0xFFFFFFFF) | index
    return found


def _back(state: int, undo: list[int]) -> int:
    """The state before a byte of zero went in."""
    return (state << 8 & 0xFFFFFFFF) ^ undo[state >> 24]


def _table() -> list[int]:
    found = []
    for index in range(256):
        value = index
        for _ in range(8):
            value = value >> 1 ^ (_POLYNOMIAL if value & 1 else 0)
        found.append(value)
    return found
