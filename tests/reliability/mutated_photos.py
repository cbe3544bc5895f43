"""Small photos of every format, and seeded ways to break their bytes."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Callable, Iterator

from every_format import ROOM, SIZE, samples

_TAGS = (0x0112, 0x010F, 0x0110, 0x0132, 0x8769, 0x8825, 0xA005, 0x9003, 0x0100, 0x0101)
_HOSTILE = (0, 1, 2, 0x7F, 0x8000, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


def mutants(count: int, seed: int) -> Iterator[tuple[str, str, bytes]]:
    """(kind of photo, what was done, bytes), every kind and every deed equally often."""
    kinds, deeds = list(samples()), list(MUTATORS)
    for number in range(count):
        kind = kinds[number % len(kinds)]
        deed = deeds[number // len(kinds) % len(deeds)]
        chance = random.Random(f"{seed} {number}")
        yield kind, deed, MUTATORS[deed](kind, chance)


def _flipped(kind: str, chance: random.Random) -> bytes:
    data = bytearray(samples()[kind])
    for _ in range(chance.choice([1, 1, 2, 5, 20, 100])):
        data[_place(data, chance)] = chance.randrange(256)
    return bytes(data)


def _cut(kind: str, chance: random.Random) -> bytes:
    data = samples()[kind]
    return data[: chance.randrange(1, len(data))]


def _zeroed(kind: str, chance: random.Random) -> bytes:
    data = bytearray(samples()[kind])
    start = _place(data, chance)
    end = min(len(data), start + chance.choice([1, 4, 16, 200, len(data)]))
    data[start:end] = bytes(end - start)
    return bytes(data)


def _resized(kind: str, chance: random.Random) -> bytes:
    """Wherever the header tells a side, it may tell another; else any number of the header."""
    data = bytearray(samples()[kind])
    for side in SIZE:
        for width, order in ((4, ">"), (4, "<"), (2, ">"), (2, "<")):
            told = struct.pack(f"{order}{'I' if width == 4 else 'H'}", side)
            at = data.find(told, 0, 800)
            if at >= 0 and chance.random() < 0.7:
                value = chance.choice([*_HOSTILE, chance.randrange(1 << 16)])
                data[at : at + width] = (value % (1 << 8 * width)).to_bytes(
                    width, "big" if order == ">" else "little"
                )
                break
    at = chance.randrange(min(len(data) - 4, 200))
    if chance.random() < 0.4 or bytes(data) == samples()[kind]:
        data[at : at + 4] = struct.pack(chance.choice("<>") + "I", chance.choice(_HOSTILE))
    return _with_sums(bytes(data))


def _with_sums(data: bytes) -> bytes:
    """A PNG's first chunk with the checksum it needs to be believed."""
    if not data.startswith(b"\x89PNG"):
        return data
    return data[:29] + struct.pack(">I", zlib.crc32(data[12:29])) + data[33:]


def _hostile_exif(kind: str, chance: random.Random) -> bytes:
    """EXIF that points anywhere, to itself, and tells of counts beyond all bounds."""
    data, block = samples()[kind], _exif_block(chance)
    if kind.startswith("JPEG"):
        body = b"Exif\0\0" + block
        return data[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + data[2:]
    if "PNG" in kind:
        chunk = b"eXIf" + block
        whole = struct.pack(">I", len(block)) + chunk + struct.pack(">I", zlib.crc32(chunk))
        return data[:33] + whole + data[33:]
    if kind in {"WEBP", "HEIF", "AVIF"}:
        at = max(data.find(b"II*\0"), data.find(b"MM\0*"))
        return data[:at] + block[:ROOM] + data[at + len(block[:ROOM]) :]
    if "TIFF" in kind:
        return _hostile_entries(kind, chance)
    return _flipped(kind, chance)


def _exif_block(chance: random.Random) -> bytes:
    order = chance.choice("<>")
    entries = b"".join(_entry(order, chance) for _ in range(chance.randrange(1, 12)))
    count = chance.choice([len(entries) // 12, 0, 0xFFFF])
    start = b"II*\0" if order == "<" else b"MM\0*"
    first = chance.choice([8, 8, 8, 0, 4, 0xFFFFFFFF])
    link = struct.pack(f"{order}I", chance.choice([0, 8, 0xFFFFFFFF]))
    head = start + struct.pack(f"{order}IH", first, count)
    return head + entries + link + chance.randbytes(chance.randrange(80))


def _entry(order: str, chance: random.Random) -> bytes:
    value = chance.choice([8, 10, chance.randrange(200), *_HOSTILE])
    count = chance.choice([0, 1, 2, 20, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF])
    return struct.pack(f"{order}HHII", chance.choice(_TAGS), chance.randrange(15), count, value)


def _hostile_entries(kind: str, chance: random.Random) -> bytes:
    """A TIFF's own table with other types, counts and values."""
    data = bytearray(samples()[kind])
    big = kind == "BigTIFF"
    at = int.from_bytes(data[8:16] if big else data[4:8], "little")
    width, start = (20, 8) if big else (12, 2)
    entries = int.from_bytes(data[at : at + start], "little")
    for _ in range(chance.randrange(1, 4)):
        entry = at + start + width * chance.randrange(entries)
        field, size = chance.choice([(2, 2), (4, 4), (8, 4), (width - 4, 4)])
        value = chance.randrange(15) if field == 2 else chance.choice(_HOSTILE)
        data[entry + field : entry + field + size] = value.to_bytes(size, "little")
    return bytes(data)


def _doubled(kind: str, chance: random.Random) -> bytes:
    """A chunk, segment or any part comes twice, or at another place."""
    data = samples()[kind]
    edges = _edges(kind, data)
    if len(edges) > 2 and chance.random() < 0.7:
        index = chance.randrange(len(edges) - 1)
        start, end, to = edges[index], edges[index + 1], chance.choice(edges)
    else:
        start, to = chance.randrange(len(data)), chance.randrange(len(data))
        end = start + chance.randrange(1, 400)
    return data[:to] + data[start:end] * chance.choice([1, 1, 2, 50]) + data[to:]


def _edges(kind: str, data: bytes) -> list[int]:
    """Where a PNG's chunks or a JPEG's segments begin."""
    edges = []
    at = 8 if "PNG" in kind else 2
    while ("PNG" in kind or kind.startswith("JPEG")) and at + 8 <= len(data):
        edges.append(at)
        if "PNG" in kind:
            at += 12 + int.from_bytes(data[at : at + 4], "big")
        elif data[at + 1] == 0xDA:
            break
        else:
            at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return edges


def _followed(kind: str, chance: random.Random) -> bytes:
    """Something lies behind the photo: zeros, junk, or another photo."""
    other = samples()[chance.choice(list(samples()))]
    junk = chance.choice([bytes(1000), chance.randbytes(chance.randrange(1, 3000)), other])
    return samples()[kind] + junk


def _place(data: bytearray, chance: random.Random) -> int:
    """Anywhere, but every other time in the header, where more hangs on it."""
    return chance.randrange(min(len(data), 200) if chance.random() < 0.5 else len(data))


MUTATORS: dict[str, Callable[[str, random.Random], bytes]] = {
    "bytes changed": _flipped,
    "cut short": _cut,
    "zeroed in part": _zeroed,
    "other sizes told": _resized,
    "hostile EXIF": _hostile_exif,
    "parts doubled": _doubled,
    "followed by more": _followed,
}
