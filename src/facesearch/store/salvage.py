"""What is sound in a store file that may be damaged anywhere.

Arrays are looked for one by one. One is believed when its bytes have the CRC-32 that stands before
it or in the directory; headers that are damaged are made anew.
"""

from __future__ import annotations

import math
import mmap
import os
import re
import stat
import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facesearch.errors import StoreError
from facesearch.store import schema
from facesearch.store.archive import META, data_offset, digest_of, npy_header, read_npy_header
from facesearch.store.disk import first_bytes
from facesearch.store.mending import one_byte_mended
from facesearch.store.passphrases import key_for
from facesearch.store.sealing import HEADER, Key
from facesearch.store.unsealing import Left, header_left, unseal_what_is_left, was_sealed

NAMES = (META, *schema.NAMES)

_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_WIDE = 0xFFFFFFFF
_DIRECTORY_BYTES = 1 << 16  # of all that a file can have behind its arrays
_MAGIC = b"\x93NUMPY"
_MAGIC_WITHIN = 512  # bytes behind a local header's begin
_HEADER_BYTES = 1024
_MOST_DIRECTORY_ENTRIES = 200
_MOST_MEMBERS = 400  # looked at in one file, whatever it holds
_MOST_LOOSE = 16  # places where embeddings may begin
_MOST_CLAIMS = 4  # on one member
_MOST_READ = 48  # times the file, in looking for arrays
_MOST_MENDED = 256 << 20  # bytes that are gone through for a wrong one
_NAME = re.compile(b"(%s)\\.npy" % b"|".join(re.escape(name.encode()) for name in NAMES))
_SEAL = re.compile(rb"facesearch sha256:([0-9a-f]{64})")
_EMBEDDING = "faces.embedding"


@dataclass(frozen=True, slots=True)
class _Claim:
    """A member as a header somewhere tells of it."""

    name: str
    size: int
    crc: int


@dataclass(frozen=True, slots=True)
class _Spot:
    """A place where a member is said to be; ``start`` of its bytes is a guess, the best first."""

    at: int
    name: str
    claims: tuple[_Claim, ...]
    starts: tuple[int, ...]


@dataclass(slots=True)
class Found:
    """What was found in a file.

    Attributes:
        path: the file.
        size: its bytes.
        seal: the SHA-256 (hex) that it ends with; "" where that is gone.
        members: the bytes of each sound array with its header.
        arrays: the same as arrays, read-only.
        loose: where the bytes of embeddings may lie that are not sound as a whole.
        mended: arrays of which one byte was put right, proven by the file's digest.
        read, gone_through: how many bytes were, in looking for arrays and for a wrong byte.
        end: where the array ends that was found last.
        untried: chunks of an encrypted file that nobody tried to put right.
    """

    path: Path
    view: memoryview
    seal: str = ""
    members: dict[str, memoryview] = field(default_factory=dict)
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)
    loose: list[int] = field(default_factory=list)
    mended: list[str] = field(default_factory=list)
    read: int = 0
    gone_through: int = 0
    end: int = 0
    untried: int = 0

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return len(self.view)

    @property
    def is_ours(self) -> bool:
        """Whether anything in it says that facesearch wrote it."""
        return bool(self.seal or self.members)

    def digest(self) -> str:
        """The SHA-256 (hex) of the file that these arrays make; "" where one is missing."""
        names = [name for name in NAMES if name in self.members]
        if names not in ([META], list(NAMES)):
            return ""
        return digest_of((name, self.members[name]) for name in names)


def bytes_of(path: Path) -> memoryview:
    """What is in a store's file; raises as ``_left_of``."""
    return _left_of(path).plain


def _left_of(path: Path) -> Left:
    """What is in a store's file, mapped, or decrypted as far as that can be done; the one place
    where a damaged file is read.

    Raises:
        StoreLockedError: it is encrypted, and there is no passphrase for it.
        StoreError: it is no file, or cannot be read.
        FileNotFoundError: there is none.
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        descriptor = os.open(path, flags)
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(str(path)) from None
    except OSError as error:
        raise StoreError(
            f"{path}: cannot be read ({error.strerror}); check who may read it"
        ) from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise StoreError(f"{path}: not a file; name another with --store")
        if status.st_size == 0:
            return Left(memoryview(b""))
        return _in_plain(memoryview(mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ)), path)
    except OSError as error:
        raise StoreError(f"{path}: cannot be mapped ({error.strerror})") from error
    finally:
        os.close(descriptor)


def _in_plain(raw: memoryview, path: Path) -> Left:
    """Nothing where a file was encrypted and cannot be decrypted any more."""
    if not was_sealed(raw):
        return Left(raw)
    header = header_left(raw, path)
    if header is None:
        return Left(memoryview(b""))
    return unseal_what_is_left(raw, header, key_for(header, path))


def key_left(path: Path) -> Key | None:
    """What a file is encrypted with, though it be damaged; None where it is plain or nothing of it
    can be read.

    Raises:
        StoreLockedError: there is no passphrase for it.
    """
    raw = memoryview(first_bytes(path, HEADER))
    header = header_left(raw, path) if was_sealed(raw) else None
    return None if header is None else key_for(header, path)


def find_arrays(path: Path, sealed: str = "") -> Found:
    """Looks for the arrays of a store's file.

    Args:
        path: the file.
        sealed: its digest, where something else than the file itself knows it.

    Raises:
        StoreError: it is no file, or cannot be read.
        FileNotFoundError: there is none.
    """
    left = _left_of(path)
    view = left.plain
    seals = _SEAL.findall(bytes(view[-_DIRECTORY_BYTES:]))
    found = Found(path, view, seals[-1].decode() if seals else "", untried=left.untried)
    broken: list[_Spot] = []
    for spot in _spots(found):
        if spot.name not in found.members and not _take(found, spot):
            broken.append(spot)
    _mend(found, broken, sealed or found.seal)
    return found


def _spots(found: Found) -> Iterator[_Spot]:
    """Where members are said to be, in order. What lies inside a sound one is no place to look: a
    photo's own texts may look like anything.
    """
    view = found.view
    directory = list(_directory(view))
    at = 0
    for _ in range(_MOST_MEMBERS):
        spot = _spot(view, at, directory)
        if spot is not None:
            found.end = 0
            yield spot
            if found.end > at:
                at = found.end
                continue
        following = _following(view, at, spot, directory)
        if following is None:
            return
        at = following


def _following(
    view: memoryview, at: int, spot: _Spot | None, directory: list[tuple[int, _Claim]]
) -> int | None:
    """Where the next member may begin after one that is not sound."""
    if spot is not None:
        for claim in spot.claims:
            for start in spot.starts:
                end = start + claim.size
                if at < end <= len(view) and _begins(view, end, directory):
                    return end
    match = _NAME.search(view, at + _LOCAL.size + 1)
    ahead = [offset for offset, _ in directory if offset > at]
    if match is not None:
        ahead.append(match.start() - _LOCAL.size)
    return min(ahead, default=None)


def _begins(view: memoryview, at: int, directory: list[tuple[int, _Claim]]) -> bool:
    """Whether a member, or the directory, begins here."""
    mark = bytes(view[at : at + 4])
    named = _NAME.match(view, at + _LOCAL.size) is not None
    return mark == b"PK\1\2" or named or any(offset == at for offset, _ in directory)


def _spot(view: memoryview, at: int, directory: list[tuple[int, _Claim]]) -> _Spot | None:
    local = _local(view, at)
    listed = [claim for offset, claim in directory if offset == at]
    name = local[0].name if local else listed[0].name if listed else None
    if name is None:
        return None
    claims = [*([local[0]] if local else ()), *(each for each in listed if each.name == name)]
    claims += [claim for _, claim in directory if claim.name == name]
    claims = list(dict.fromkeys(claims))[:_MOST_CLAIMS]
    starts = [local[1]] if local else []
    starts += [data_offset(name, at, claim.size) for claim in claims]
    magic = bytes(view[at : at + _MAGIC_WITHIN]).find(_MAGIC)
    starts += [at + magic] if magic >= 0 else []
    starts = [start for start in dict.fromkeys(starts) if start < len(view)]
    return _Spot(at, name, tuple(claims), tuple(starts))


def _local(view: memoryview, at: int) -> tuple[_Claim, int] | None:
    """What the header before a member says, and where its bytes begin."""
    match = _NAME.match(view, at + _LOCAL.size) if at >= 0 else None
    if match is None:
        return None
    fields = _LOCAL.unpack_from(view, at)
    crc, size, name_length, extra_length = fields[6], fields[8], fields[9], fields[10]
    extra = at + _LOCAL.size + name_length
    if size == _WIDE and extra + 12 <= len(view):
        size = struct.unpack_from("<Q", view, extra + 4)[0]
    return _Claim(match.group(1).decode(), size, crc), extra + extra_length


def _directory(view: memoryview) -> Iterator[tuple[int, _Claim]]:
    """(offset, member) as the directory at the file's end lists them; each entry may be wrong."""
    first = max(0, len(view) - _DIRECTORY_BYTES)
    tail = bytes(view[first:])
    at = -1
    for _ in range(_MOST_DIRECTORY_ENTRIES):
        at = tail.find(b"PK\1\2", at + 1)
        if at < 0 or at + _CENTRAL.size > len(tail):
            return
        fields = _CENTRAL.unpack_from(tail, at)
        match = _NAME.match(tail, at + _CENTRAL.size)
        if match is None or match.end() != at + _CENTRAL.size + fields[10]:
            continue
        size, offset = fields[9], fields[16]
        wide = tail[match.end() + 4 : match.end() + fields[11]]
        numbers = iter(struct.unpack(f"<{len(wide) // 8}Q", wide[: len(wide) // 8 * 8]))
        if size == _WIDE:
            size = next(numbers, size)
            next(numbers, None)
        if offset == _WIDE:
            offset = next(numbers, offset)
        if offset < len(view):
            yield offset, _Claim(match.group(1).decode(), size, fields[7])


def _take(found: Found, spot: _Spot) -> bool:
    """Keeps the member that is said to be here, if it is sound."""
    crcs = {claim.crc for claim in spot.claims}
    sizes = tuple(dict.fromkeys(claim.size for claim in spot.claims))
    for start in spot.starts:
        header = read_npy_header(found.view[start : start + _HEADER_BYTES])
        if header is not None:
            dtype, shape, length = header
            end = start + length + math.prod(shape) * np.dtype(dtype).itemsize
            raw = found.view[start:end] if end <= len(found.view) else None
            if raw is not None and _crc(found, raw) in crcs:
                found.end = end
                return _keep(found, spot.name, raw)
        for size in sizes:
            for text in _headers(spot.name, size):
                data = found.view[start + len(text) : start + size]
                whole = len(text) + len(data) == size
                if whole and _crc(found, data, zlib.crc32(text)) in crcs:
                    found.end = start + size
                    return _keep(found, spot.name, memoryview(text + bytes(data)))
    if spot.name == _EMBEDDING:
        ends = [end - size for size in sizes for end in _ends(found.view, spot)]
        found.loose = list(dict.fromkeys([*found.loose, *spot.starts, *ends]))[:_MOST_LOOSE]
    return False


def _crc(found: Found, raw: memoryview, before: int = 0) -> int | None:
    """CRC-32 of some bytes; None when that was asked too often, for a stranger's file may ask it
    without end.
    """
    found.read += len(raw)
    if found.read > _MOST_READ * found.size:
        return None
    return zlib.crc32(raw, before)


def _ends(view: memoryview, spot: _Spot) -> Iterator[int]:
    """Where the member after this one begins, for bytes may be missing or too many in it."""
    match = re.compile(re.escape(b"faces.checksum.npy")).search(view, spot.at + _LOCAL.size + 1)
    if match is not None:
        yield match.start() - _LOCAL.size


def _headers(name: str, size: int) -> Iterator[bytes]:
    """The headers that an array of this name and so many bytes can have."""
    column = schema.BY_NAME.get(name)
    dtype, row = ("|u1", ()) if column is None else (column.dtype, column.row)
    if schema.DIM in row:
        return
    step = math.prod(row) * np.dtype(dtype).itemsize
    for length in (64, 128, 192):
        if size >= length and (size - length) % step == 0:
            text = npy_header(dtype, ((size - length) // step, *row))
            if len(text) == length:
                yield text


def _keep(found: Found, name: str, raw: memoryview) -> bool:
    header = read_npy_header(raw[:_HEADER_BYTES])
    if (
        header is None
        or len(raw) != header[2] + math.prod(header[1]) * np.dtype(header[0]).itemsize
    ):
        return False
    dtype, shape, length = header
    try:
        array = np.frombuffer(raw, dtype, math.prod(shape), length) if math.prod(shape) else None
        made = np.zeros(shape, dtype) if array is None else array.reshape(shape)
    except ValueError:  # no bytes, and a shape that numpy does not have
        return False
    made.flags.writeable = False
    found.members[name] = raw
    found.arrays[name] = made
    return True


def _mend(found: Found, broken: Iterable[_Spot], sealed: str) -> None:
    """Puts one byte right in each array that is not sound, where the digest of the whole file then
    says that this is what was written.
    """
    spots: dict[str, list[_Spot]] = {}
    for spot in broken:
        if spot.name not in found.members:
            spots.setdefault(spot.name, []).append(spot)
    wanted = NAMES if len(found.members) + len(spots) > 1 else (META,)
    if not spots or not sealed or any(n not in found.members and n not in spots for n in wanted):
        return
    held = dict(found.members), dict(found.arrays)
    for name, places in spots.items():
        tries = (raw for spot in places for raw in _mended(found, spot))
        if not any(_keep(found, name, memoryview(raw)) for raw in tries):
            break
    if found.digest() == sealed:
        found.mended += list(spots)
        return
    found.members, found.arrays = held


def _mended(found: Found, spot: _Spot) -> Iterator[bytes]:
    for claim in spot.claims:
        for start in spot.starts:
            raw = found.view[start : start + claim.size]
            found.gone_through += len(raw)
            if len(raw) == claim.size and found.gone_through <= _MOST_MENDED:
                yield from one_byte_mended(raw, claim.crc)
