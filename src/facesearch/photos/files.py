"""Opening and reading photo files: regular files only, never blocking, never writing; and objects,
wherever a path may be an address.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO

from facesearch import buckets
from facesearch.errors import PhotoError, UsageError
from facesearch.locations import Address, as_location, is_address
from facesearch.photos.formats import HEADER_BYTES
from facesearch.records import REASONS

MAX_FILE_BYTES = 2 << 30
"""No larger file is read into memory."""

_NEXT_STEP = {
    "unreadable": "change its permissions",
    "vanished": "run again if it is back",
    "io-error": "check the disk or network, then run again",
    "timeout": "check the disk or network, then run again",
    "empty": "copy it again from where it came",
    "not-a-photo": "rename it, or leave it out with --exclude",
    "truncated": "copy it again from where it came",
    "damaged": "copy it again from where it came",
    "unsupported": "save it as JPEG or PNG",
    "too-large": "save it smaller",
}
_NEXT_STEP_AT_ADDRESS = {
    "unreadable": "check the bucket's rules and your credentials, which come from the environment "
    "or the provider's own files",
    "vanished": "check the address, or run again if it is back",
    "io-error": "check the network and the endpoint, then run again",
}
_KINDS = {
    stat.S_IFDIR: "folder",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "device",
    stat.S_IFBLK: "device",
}


@dataclass(frozen=True, slots=True)
class PhotoBytes:
    """A photo's content as read once: ``data``, their SHA-256, and the name for messages."""

    name: str
    data: bytes = field(repr=False)
    content_hash: bytes


def printable(path: str | os.PathLike[str] | Address) -> str:
    """A path on one line: newlines, escape characters and undecodable bytes as backslash codes."""
    text = _text(path)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def photo_error(reason: str, name: str, detail: str = "", advice: str = "") -> PhotoError:
    """Build the error for one photo, its message in the form all of them have.

    Args:
        reason: a key of ``records.REASONS``.
        name: path, or what stands for it.
        detail: what was found; taken from the reason when empty.
        advice: what to do next; taken from the reason when empty.
    """
    found = detail or REASONS[reason]
    return PhotoError(
        reason, f"{printable(name)}: {found} ({reason}); {advice or _NEXT_STEP[reason]}"
    )


def kind_of_mode(mode: int) -> str | None:
    """What a file that is not a regular one is: "folder", "fifo", "socket", "device"."""
    return None if stat.S_ISREG(mode) else _KINDS.get(stat.S_IFMT(mode), "device")


def reason_of(error: OSError) -> str:
    """The key of ``records.REASONS`` for an error of the file system."""
    if error.errno in {errno.EACCES, errno.EPERM}:
        return "unreadable"
    if error.errno in {errno.ENOENT, errno.ENOTDIR}:
        return "vanished"
    return "io-error"


def file_error(error: OSError, name: str) -> PhotoError:
    """Turn an error of the file system, or of object storage, into the photo's error."""
    reason = reason_of(error)
    remote = is_address(name)
    detail = f"{REASONS[reason]}: {error.strerror}" if remote or reason == "io-error" else ""
    advice = _NEXT_STEP_AT_ADDRESS[reason] if remote else ""
    return photo_error(reason, name, detail, advice)


@contextlib.contextmanager
def open_regular(path: str | os.PathLike[str]) -> Iterator[BufferedReader]:
    """Open a file for reading if it is a regular one.

    Looked at before opening, since opening a device can do things, and once more after it, for
    another file may have taken the name. Non-blocking, so that a FIFO never holds the run.

    Raises:
        PhotoError: "unreadable", "vanished", "io-error", or "not-a-photo" for a folder, FIFO,
            socket or device. Also for errors while the file is read inside the ``with``.
    """
    name = os.fspath(path)
    try:
        with os.fdopen(_descriptor_of(path), "rb") as file:
            _require_regular(os.fstat(file.fileno()).st_mode, name)
            yield file
    except OSError as error:
        raise file_error(error, name) from error


def _descriptor_of(path: str | os.PathLike[str]) -> int:
    flags = os.O_RDONLY
    for flag in ("O_NONBLOCK", "O_CLOEXEC", "O_NOCTTY", "O_BINARY"):
        flags |= getattr(os, flag, 0)
    try:
        _require_regular(Path(path).stat().st_mode, os.fspath(path))
        return os.open(path, flags)
    except ValueError as error:  # a NUL in a path: no such file can exist
        raise photo_error("vanished", os.fspath(path)) from error


def _require_regular(mode: int, name: str) -> None:
    kind = kind_of_mode(mode)
    if kind is not None:
        raise photo_error("not-a-photo", name, f"it is a {kind}, not a file", "name a photo file")


def read_header(path: str | os.PathLike[str] | Address) -> bytes:
    """Read the first ``HEADER_BYTES`` bytes of a file.

    Raises:
        PhotoError: as ``open_regular``.
    """
    path = _place(path)
    if isinstance(path, Address):
        return _read_object(path, HEADER_BYTES)
    with open_regular(path) as file:
        return file.read(HEADER_BYTES)


def read_bytes(
    source: str | os.PathLike[str] | Address | bytes | BinaryIO, name: str = ""
) -> PhotoBytes:
    """Read a photo's whole content once and hash it.

    Args:
        source: a path or address, the content itself, or a file opened in binary mode.
        name: what messages call it; by default the path, or the file's own name.

    Raises:
        PhotoError: "unreadable", "vanished", "io-error", "not-a-photo" (no regular file), "empty",
            "too-large" (over 2 GiB).
        UsageError: the source is nothing that can be read.
    """
    if isinstance(source, (str, os.PathLike, Address)):
        name = name or _text(source)
        data = _read_whole(_place(source), name)
    elif isinstance(source, (bytes, bytearray, memoryview)):
        name, data = name or "the photo", bytes(source)
    else:
        name = name or str(getattr(source, "name", "") or "the photo")
        data = _read_stream(source, name)
    _require_size(len(data), name)
    if not data:
        raise photo_error("empty", name)
    return PhotoBytes(name, data, hashlib.sha256(data).digest())


def _read_whole(place: str | os.PathLike[str] | Address, name: str) -> bytes:
    if isinstance(place, Address):
        return _read_object(place, MAX_FILE_BYTES + 1)
    with open_regular(place) as file:
        _require_size(os.fstat(file.fileno()).st_size, name)
        return file.read()


def _read_object(address: Address, stop: int) -> bytes:
    try:
        return buckets.read(address, stop)
    except OSError as error:
        raise file_error(error, str(address)) from error


def _place(path: str | os.PathLike[str] | Address) -> str | os.PathLike[str] | Address:
    """What text names; a path stays as it was given, letter by letter."""
    return as_location(path) if isinstance(path, str) and is_address(path) else path


def _text(path: str | os.PathLike[str] | Address) -> str:
    return str(path) if isinstance(path, Address) else os.fspath(path)


def _read_stream(stream: BinaryIO, name: str) -> bytes:
    if not hasattr(stream, "read"):
        raise UsageError(f"cannot read a photo from {type(stream).__name__}; give a path or bytes")
    chunks: list[bytes] = []
    total = 0
    try:
        while total <= MAX_FILE_BYTES and (chunk := stream.read(1 << 20)):
            if not isinstance(chunk, bytes):
                raise UsageError(f"{printable(name)}: opened as text; open it in binary mode")
            chunks.append(chunk)
            total += len(chunk)
    except OSError as error:
        raise file_error(error, name) from error
    return b"".join(chunks)


def _require_size(size: int, name: str) -> None:
    if size > MAX_FILE_BYTES:
        raise photo_error("too-large", name, f"a file of more than {MAX_FILE_BYTES >> 30} GiB")


def hash_file(path: str | os.PathLike[str] | Address) -> bytes:
    """SHA-256 of a file's bytes (32 bytes), read in pieces.

    Raises:
        PhotoError: as ``open_regular``.
    """
    path = _place(path)
    if isinstance(path, Address):
        try:
            return buckets.sha256(path)
        except OSError as error:
            raise file_error(error, str(path)) from error
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").digest()
