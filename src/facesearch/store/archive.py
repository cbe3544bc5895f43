"""The bytes of a store file: a zip of uncompressed ``.npy`` members in one exact form.

Plain ``numpy.load`` reads it; this module also maps it, which numpy does not do. There is only one
way to write given arrays (member order, timestamps, padding, headers), so that equal arrays give
equal files, and a reader can hold every header against what it must be.
"""

from __future__ import annotations

import hashlib
import math
import mmap
import os
import re
import stat
import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from facesearch.errors import StoreError, StoreMissingError
from facesearch.store.passphrases import key_for
from facesearch.store.sealing import Key, SealedFile, is_sealed, read_header, unseal
from facesearch.store.unsealing import was_sealed

ALIGNMENT = 64
ZIP64_LIMIT = 0xFFFFFFFF
META = "meta"
MAX_META = 64 << 20
"""Bytes that a store's description may take; one that claims more is not even parsed."""

_DTYPES = frozenset({"<f4", "<i4", "<i8", "<u4", "|u1"})
_MAX_MEMBERS = 200
_MAX_TOLD = 200  # characters
_DATE = 0x21  # 1980-01-01, the first day a zip can name
_ALIGN_EXTRA = 0xD935  # the extra field that Android's zipalign pads with
_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END64 = struct.Struct("<4sQ2H2I4Q")
_LOCATOR64 = struct.Struct("<4sIQI")
_END = struct.Struct("<4s4H2IH")
_COMMENT = b"facesearch sha256:%s"
_COMMENT_LENGTH = len(_COMMENT) - 2 + 64
_COMMENT_FORM = re.compile(rb"facesearch sha256:([0-9a-f]{64})")
_NPY_FORM = re.compile(
    rb"\{'descr': '([<|][a-z][0-9])', 'fortran_order': False, 'shape': \(([0-9, ]{1,100})\), \} *\n"
)
_COPY_BYTES = 1 << 20
_FOLDERS = (".parts", ".heads", ".derived")
"""What the folders beside a store end with."""


@dataclass(frozen=True, slots=True)
class Member:
    """One array to write.

    ``chunks`` are consecutive pieces along its first axis, made on demand, member by member.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    chunks: Iterable[NDArray[Any]]


@dataclass(frozen=True, slots=True)
class _Placed:
    """A member in a file: ``offset`` of its local header, ``size`` and ``crc`` of its bytes."""

    name: str
    offset: int
    size: int
    crc: int

    @property
    def file_name(self) -> bytes:
        return self.name.encode("ascii") + b".npy"

    def local_header(self) -> bytes:
        zip64 = self.size >= ZIP64_LIMIT
        extra = struct.pack("<HHQQ", 1, 16, self.size, self.size) if zip64 else b""
        length = _LOCAL.size + len(self.file_name) + len(extra) + 6
        padding = -(self.offset + length) % ALIGNMENT
        extra += struct.pack("<HHH", _ALIGN_EXTRA, 2 + padding, ALIGNMENT) + bytes(padding)
        size = min(self.size, 0xFFFFFFFF) if not zip64 else 0xFFFFFFFF
        fields = (b"PK\3\4", 45 if zip64 else 20, 0, 0, 0, _DATE, self.crc, size, size)
        return _LOCAL.pack(*fields, len(self.file_name), len(extra)) + self.file_name + extra

    def central_header(self) -> bytes:
        wide = b""
        size, offset = self.size, self.offset
        if size >= ZIP64_LIMIT:
            wide += struct.pack("<QQ", size, size)
            size = 0xFFFFFFFF
        if offset >= ZIP64_LIMIT:
            wide += struct.pack("<Q", offset)
            offset = 0xFFFFFFFF
        extra = struct.pack("<HH", 1, len(wide)) + wide if wide else b""
        need = 45 if wide else 20
        made = 3 << 8 | need
        fields = (b"PK\1\2", made, need, 0, 0, 0, _DATE, self.crc, size, size)
        lengths = (len(self.file_name), len(extra), 0, 0, 0)
        attributes = (stat.S_IFREG | 0o600) << 16
        head = _CENTRAL.pack(*fields, *lengths, attributes, offset)
        return head + self.file_name + extra

    @property
    def data_offset(self) -> int:
        return self.offset + len(self.local_header())

    @property
    def end(self) -> int:
        return self.data_offset + self.size


def _directory(placed: list[_Placed], start: int) -> bytes:
    """All that follows the last member, up to the comment."""
    central = b"".join(member.central_header() for member in placed)
    count, size = len(placed), len(central)
    tail = b""
    if start >= ZIP64_LIMIT or start + size >= ZIP64_LIMIT:
        record = (b"PK\6\6", _END64.size - 12, 3 << 8 | 45, 45, 0, 0, count, count, size, start)
        tail = _END64.pack(*record) + _LOCATOR64.pack(b"PK\6\7", 0, start + size, 1)
        start = 0xFFFFFFFF
    end = _END.pack(b"PK\5\6", 0, 0, count, count, size, start, _COMMENT_LENGTH)
    return central + tail + end


def npy_header(dtype: str, shape: tuple[int, ...]) -> bytes:
    """The header of an ``.npy`` file, version 1.0, a multiple of 64 bytes long."""
    sizes = ", ".join(str(size) for size in shape) + ("," if len(shape) == 1 else "")
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': ({sizes}), }}".encode()
    padding = -(10 + len(text) + 1) % ALIGNMENT
    length = len(text) + padding + 1
    return b"\x93NUMPY\1\0" + struct.pack("<H", length) + text + b" " * padding + b"\n"


def write_archive(file: BinaryIO, members: Iterable[Member], key: Key | None = None) -> str:
    """Write the members into an empty file open for reading and writing.

    Args:
        file: written from its beginning.
        members: the arrays, made while they are written.
        key: encrypt the file with this; no plain byte reaches the disk then.

    Returns:
        The SHA-256 (hex) over all bytes before the comment, which the comment repeats.

    Raises:
        ValueError: a member's chunks do not add up to its shape.
        OSError: the file cannot be written.
    """
    if key is None:
        return _write_plain(file, members)
    sealed = SealedFile(file, key)
    digest = _write_plain(sealed, members)
    sealed.close()
    return digest


def _write_plain(file: BinaryIO | SealedFile, members: Iterable[Member]) -> str:
    placed: list[_Placed] = []
    offset = 0
    for member in members:
        placed.append(_write_member(file, member, offset))
        offset = placed[-1].end
    file.write(_directory(placed, offset))
    file.flush()
    file.seek(0)
    digest = hashlib.sha256()
    while block := file.read(_COPY_BYTES):
        digest.update(block)
    file.write(_COMMENT % digest.hexdigest().encode())
    file.flush()
    return digest.hexdigest()


def _write_member(file: BinaryIO | SealedFile, member: Member, offset: int) -> _Placed:
    header = npy_header(member.dtype, member.shape)
    expected = len(header) + math.prod(member.shape) * np.dtype(member.dtype).itemsize
    placed = _Placed(member.name, offset, expected, 0)
    file.write(placed.local_header())
    file.write(header)
    crc, size = zlib.crc32(header), len(header)
    for chunk in member.chunks:
        whole = np.ascontiguousarray(chunk, dtype=member.dtype)
        piece = whole.reshape(-1).view(np.uint8).data
        file.write(piece)
        crc = zlib.crc32(piece, crc)
        size += piece.nbytes
    if size != expected:
        raise ValueError(f"{member.name}: {size} bytes for the shape {member.shape}")
    placed = _Placed(member.name, offset, size, crc)
    # The checksum is only known now; the header is written again over itself.
    file.seek(offset)
    file.write(placed.local_header())
    file.seek(placed.end)
    return placed


@dataclass(frozen=True, slots=True)
class _Array:
    placed: _Placed
    dtype: str
    shape: tuple[int, ...]
    offset: int


def data_offset(name: str, offset: int, size: int) -> int:
    """Where the bytes of a member lie whose local header is at ``offset``."""
    return _Placed(name, offset, size, 0).data_offset


def digest_of(members: Iterable[tuple[str, memoryview]]) -> str:
    """SHA-256 (hex) of the file that has these members (name, bytes with their header)."""
    placed: list[_Placed] = []
    digest = hashlib.sha256()
    offset = 0
    for name, raw in members:
        placed.append(_Placed(name, offset, len(raw), zlib.crc32(raw)))
        digest.update(placed[-1].local_header())
        digest.update(raw)
        offset = placed[-1].end
    digest.update(_directory(placed, offset))
    return digest.hexdigest()


class Archive:
    """A store file, mapped for reading; arrays are views into the map.

    Attributes:
        path: where it was opened.
        size: bytes of the file.
        key: what it is encrypted with, None where it is plain.
        digest: SHA-256 (hex) as its comment claims it; ``actual_digest`` computes it.
    """

    def __init__(self, path: Path, held: Bytes) -> None:
        self.path = path
        self.size = held.on_disk
        self.key = held.key
        self._view = held.plain
        self._length = len(held.plain)
        self.digest, self._arrays = self._parse()

    @classmethod
    def open(cls, path: Path, key: Key | None = None) -> Archive:
        """Map the file and hold all of its headers against the exact form.

        One that is encrypted is in memory then, as a whole.

        Args:
            path: the file.
            key: of an encrypted store, where it is known; else it is asked for.

        Raises:
            StoreMissingError: there is nothing at the path.
            StoreLockedError: it is encrypted, and there is no passphrase for it.
            StoreError: it is not a store file, is cut short, damaged or unreadable.
        """
        return cls(path, read_bytes(path, key))

    @property
    def names(self) -> tuple[str, ...]:
        """The arrays' names in file order."""
        return tuple(self._arrays)

    def dtype(self, name: str) -> str:
        """The array's dtype as the file spells it, e.g. "<f4"."""
        return self._arrays[name].dtype

    def shape(self, name: str) -> tuple[int, ...]:
        """The array's shape."""
        return self._arrays[name].shape

    def array(self, name: str) -> NDArray[Any]:
        """A read-only view of the array in the map; nothing is read or verified yet."""
        found = self._arrays[name]
        count = math.prod(found.shape)
        if count == 0:
            empty = np.zeros(found.shape, found.dtype)
            empty.flags.writeable = False
            return empty
        flat = np.frombuffer(self._view, found.dtype, count, found.offset)
        return flat.reshape(found.shape)

    def verified(self, name: str) -> NDArray[Any]:
        """``array`` after its checksum was found right.

        Raises:
            StoreError: it was not.
        """
        if not self.sound(name):
            raise self._damaged(f"{name} has a wrong checksum")
        return self.array(name)

    def sound(self, name: str) -> bool:
        """Whether the member's bytes have the CRC-32 that its header names."""
        placed = self._arrays[name].placed
        return zlib.crc32(self._view[placed.data_offset : placed.end]) == placed.crc

    def actual_digest(self) -> str:
        """SHA-256 (hex) over all bytes before the comment, computed now."""
        digest = hashlib.sha256()
        end = self._length - _COMMENT_LENGTH
        for start in range(0, end, _COPY_BYTES):
            digest.update(self._view[start : min(start + _COPY_BYTES, end)])
        return digest.hexdigest()

    def _damaged(self, what: str) -> StoreError:
        return damaged(self.path, what)

    def _parse(self) -> tuple[str, dict[str, _Array]]:
        if not _starts_as_store(self._view):
            raise _not_begun(self.path, self._view)
        comment_at = self._length - _COMMENT_LENGTH
        end_at = comment_at - _END.size
        comment = _COMMENT_FORM.fullmatch(self._view[max(comment_at, 0) :])
        if end_at < 0 or comment is None:
            raise StoreError(
                f"{self.path}: the store is cut short or its end is damaged; run facesearch "
                "repair, or bring back a copy"
            )
        placed, directory_at = self._read_directory(end_at)
        if bytes(self._view[directory_at:comment_at]) != _directory(placed, directory_at):
            raise self._damaged("its directory is not as it was written")
        arrays = {member.name: self._read_headers(member) for member in placed}
        return comment.group(1).decode(), arrays

    def _read_directory(self, end_at: int) -> tuple[list[_Placed], int]:
        end = _END.unpack_from(self._view, end_at)
        count, size, start, directory_end = end[4], end[5], end[6], end_at
        if start == 0xFFFFFFFF:
            directory_end = end_at - _LOCATOR64.size - _END64.size
            if directory_end < 0:
                raise self._damaged("its directory lies outside the file")
            start = _END64.unpack_from(self._view, directory_end)[9]
        if end[0] != b"PK\5\6" or not 0 < count <= _MAX_MEMBERS or start + size != directory_end:
            raise self._damaged("its directory is not as it was written")
        placed = list(self._read_entries(start, directory_end, count))
        return placed, start

    def _read_entries(self, position: int, end: int, count: int) -> Iterator[_Placed]:
        """The members as the directory lists them; each must start where the last one ended."""
        expected, limit, seen = 0, position, set()
        for _ in range(count):
            if position + _CENTRAL.size > end:
                raise self._damaged("its directory is cut short")
            fields = _CENTRAL.unpack_from(self._view, position)
            crc, size, name_length, extra_length = fields[7], fields[9], fields[10], fields[11]
            name_at = position + _CENTRAL.size
            extra_at = name_at + name_length
            position = extra_at + extra_length
            if position > end:
                raise self._damaged("its directory is cut short")
            if size == 0xFFFFFFFF and extra_length >= 12:
                size = struct.unpack_from("<Q", self._view, extra_at + 4)[0]
            name = _member_name(bytes(self._view[name_at:extra_at]))
            if name is None or name in seen:
                raise self._damaged("its directory names no array of a store")
            seen.add(name)
            member = _Placed(name, expected, size, crc)
            expected = member.end
            if expected > limit:
                raise self._damaged(f"{name} lies outside the file")
            yield member
        if expected != limit:
            raise self._damaged("there are bytes that belong to no array")

    def _read_headers(self, placed: _Placed) -> _Array:
        start = placed.data_offset
        if bytes(self._view[placed.offset : start]) != placed.local_header():
            raise self._damaged(f"the header of {placed.name} is not as it was written")
        parsed = read_npy_header(self._view[start : start + min(placed.size, 1024)])
        if parsed is None:
            raise self._damaged(f"{placed.name} is not an array")
        dtype, shape, length = parsed
        item = np.dtype(dtype).itemsize
        if length + math.prod(shape) * item != placed.size or _is_absurd(shape, item):
            raise self._damaged(f"{placed.name} is not as large as it says")
        return _Array(placed, dtype, shape, start + length)


def peek_meta(path: Path) -> bytes | None:
    """The JSON text of a file that may be damaged or of a later version, None if not to be had.

    Only the first member is looked at, which every version keeps in this place.
    """
    try:
        view = read_bytes(path).plain
    except StoreError:
        return None
    if not _starts_as_store(view):
        return None
    fields = _LOCAL.unpack_from(view, 0)
    start = _LOCAL.size + fields[9] + fields[10]
    parsed = read_npy_header(view[start : start + 1024])
    if parsed is None:
        return None
    _, shape, length = parsed
    begin = start + length
    if len(shape) != 1 or shape[0] > min(MAX_META, len(view) - begin):
        return None
    return bytes(view[begin : begin + shape[0]])


def damaged(path: Path, what: str) -> StoreError:
    """The error for a store whose bytes are not those that were written."""
    return StoreError(
        f"{path}: the store is damaged ({in_short(what)}); run facesearch repair, or bring back a "
        "copy"
    )


def in_short(what: str) -> str:
    """What is wrong as part of one line, for it may quote what a stranger wrote."""
    shown = "".join(mark if mark.isprintable() else ascii(mark)[1:-1] for mark in what[:_MAX_TOLD])
    return shown if len(what) <= _MAX_TOLD else f"{shown}..."


def foreign(path: Path) -> StoreError:
    """The error for a file that is something else."""
    return StoreError(f"{path}: not a facesearch store; name another file with --store")


def _not_begun(path: Path, view: memoryview) -> StoreError:
    """The error for a file that does not begin as a store does."""
    if any(view[:ALIGNMENT]):
        known = _ends_as_store(view) or _is_named_as_store(view) or was_sealed(view)
        wrong = "its first bytes are not as they were written"
        return damaged(path, wrong) if known else foreign(path)
    if _is_zero(view):
        return _nothing_in(path, "holds nothing but zeros, as after a crash of the machine")
    return StoreError(
        f"{path}: the file begins with zeros, as after a crash of the machine; run facesearch "
        "repair, or delete it and run facesearch index"
    )


def _nothing_in(path: Path, what: str) -> StoreError:
    """The error for a file without content; repair helps where more is left of the store."""
    place = Path(os.path.realpath(path))
    left = place.parent.name.endswith(_FOLDERS) or any(
        place.with_name(place.name + ending).is_dir() for ending in _FOLDERS
    )
    helps = "run facesearch repair, or " if left else ""
    return StoreError(f"{path}: the file {what}; {helps}delete it and run facesearch index")


def _is_zero(view: memoryview) -> bool:
    starts = range(0, len(view), _COPY_BYTES)
    return not any(bytes(view[start : start + _COPY_BYTES]).strip(b"\0") for start in starts)


@dataclass(frozen=True, slots=True)
class Bytes:
    """What a store file says, in plain; ``on_disk`` is its length there, encrypted or not."""

    plain: memoryview
    on_disk: int
    key: Key | None


def read_bytes(path: Path, key: Key | None = None) -> Bytes:
    """What is in a file of a store: mapped, or opened with its key.

    Raises:
        StoreMissingError: there is nothing at the path.
        StoreLockedError: it is encrypted, and there is no passphrase for it.
        StoreError: it is no regular file, empty, unreadable, or encrypted and not as written.
    """
    raw = memoryview(_map(path))
    if not is_sealed(raw):
        return Bytes(raw, len(raw), None)
    header = read_header(raw, path)
    key = key_for(header, path, key)
    return Bytes(unseal(raw, header, key, path), len(raw), key)


def key_at(path: Path) -> Key | None:
    """What a file is encrypted with, though the rest of it be damaged; None where it is plain.

    Raises:
        StoreLockedError: there is no passphrase for it.
        StoreError: there is no such file, or its header is damaged.
    """
    raw = memoryview(_map(path))
    if not is_sealed(raw):
        return None
    return key_for(read_header(raw, path), path)


def _map(path: Path) -> mmap.mmap:
    try:
        # O_NONBLOCK: a FIFO of that name must not hang the reader.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | _BINARY)
    except FileNotFoundError:
        raise StoreMissingError(
            f"{path}: no store there; make one with facesearch index FOLDER, or name one with "
            "--store"
        ) from None
    except OSError as error:
        raise StoreError(f"{path}: cannot be read ({error.strerror}); check who may read it") from (
            error
        )
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise foreign(path)
        if status.st_size == 0:
            raise _nothing_in(path, "is empty, no store")
        return mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ)
    except OSError as error:
        raise StoreError(
            f"{path}: cannot be mapped ({error.strerror}); copy it to another disk"
        ) from (error)
    finally:
        os.close(descriptor)


_BINARY = getattr(os, "O_BINARY", 0)


def _starts_as_store(view: memoryview) -> bool:
    return bytes(view[:4]) == b"PK\3\4" and _is_named_as_store(view)


def _is_named_as_store(view: memoryview) -> bool:
    """Whether the name of the first member is where a store has it."""
    name = META.encode() + b".npy"
    return bytes(view[_LOCAL.size :][: len(name)]) == name


def _ends_as_store(view: memoryview) -> bool:
    return _COMMENT_FORM.fullmatch(view[max(len(view) - _COMMENT_LENGTH, 0) :]) is not None


def _member_name(raw: bytes) -> str | None:
    match = re.fullmatch(rb"([a-z_.]{1,64})\.npy", raw)
    return match.group(1).decode() if match else None


def _is_absurd(shape: tuple[int, ...], item: int) -> bool:
    """Whether numpy has no array of this shape: one without bytes can still claim any length."""
    return math.prod(size or 1 for size in shape) * item >= 1 << 62


def read_npy_header(view: memoryview) -> tuple[str, tuple[int, ...], int] | None:
    """(dtype, shape, header length) of an array, None where it is not in the exact form."""
    raw = bytes(view)
    if len(raw) < 10:
        return None
    length = 10 + struct.unpack_from("<H", raw, 8)[0]
    match = _NPY_FORM.fullmatch(raw[10:length])
    if match is None or match.group(1).decode() not in _DTYPES:
        return None
    dtype = match.group(1).decode()
    parts = [part.strip() for part in match.group(2).decode().split(",")]
    if not all(part.isdigit() for part in parts if part) or len(parts) > 4:
        return None
    shape = tuple(int(part) for part in parts if part)
    if raw[:length] != npy_header(dtype, shape):
        return None
    return dtype, shape, length
