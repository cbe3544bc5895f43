"""Files that are there whole or not at all, and what to tell people when the disk says no."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from facesearch.errors import StoreError

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_DENIED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_NO_FOLDER_SYNC = frozenset({errno.EINVAL, errno.ENOTSUP, errno.EBADF})


@contextmanager
def storing(path: Path) -> Iterator[None]:
    """Turn the operating system's refusals into a ``StoreError`` about the store at ``path``."""
    try:
        yield
    except OSError as error:
        raise StoreError(f"{path}: {_advice(error)}") from error


def _advice(error: OSError) -> str:
    if error.errno in _FULL:
        return (
            "the disk is full; free some space and run the command again, what was committed "
            "before is kept"
        )
    if error.errno in _DENIED:
        if os.name == "nt":
            return "cannot be replaced while another program has it open; close that and try again"
        return (
            f"cannot be written ({error.strerror}); make its folder writable, or choose another "
            "place with --store"
        )
    if error.errno == errno.ENOENT:
        return "its folder does not exist; create it, or choose another place with --store"
    return f"cannot be written ({error.strerror or error}); choose another place with --store"


def first_bytes(path: Path, count: int) -> bytes:
    """Up to so many bytes that a file begins with; none where there is anything but a plain file,
    which nobody waits for.

    Raises:
        OSError: it cannot be read.
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    if not stat.S_ISREG(path.stat().st_mode):  # to open a device may start it
        return b""
    with os.fdopen(os.open(path, flags), "rb") as file:
        return file.read(count) if stat.S_ISREG(os.fstat(file.fileno()).st_mode) else b""


def write_temporary(path: Path, write: Callable[[BinaryIO], str]) -> str:
    """Fill a new file through ``write`` and bring it to the disk; nothing is left when it fails.

    Returns:
        What ``write`` returned.

    Raises:
        OSError: it could not be written.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC
    flags |= getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
    try:
        with os.fdopen(os.open(path, flags, 0o600), "w+b") as file:
            result = write(file)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return result


def put_in_place(temporary: Path, path: Path) -> None:
    """Give a complete file its name, in one step that a power cut does not undo.

    Raises:
        OSError: it could not be done; the temporary file is gone then.
    """
    try:
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def link_or_copy(source: Path, target: Path) -> None:
    """Make the same bytes appear under a second name, without copying where the disk can.

    A name that is free is given in one step, with nothing renamed, which Windows would refuse for a
    file that is mapped.

    Raises:
        OSError: neither worked.
    """
    if target.exists() and source.samefile(target):
        return
    if not target.exists():
        with suppress(OSError):
            os.link(source, target)
            sync_folder(target.parent)
            return
    temporary = target.with_name(target.name + ".tmp")
    temporary.unlink(missing_ok=True)
    try:
        try:
            os.link(source, temporary)
        except OSError:
            # FAT and some network folders know no hard links.
            _copy(source, temporary)
        temporary.replace(target)
    finally:
        # Renaming one hard link over another of the same file does nothing and leaves both.
        temporary.unlink(missing_ok=True)
    sync_folder(target.parent)


def _copy(source: Path, target: Path) -> None:
    def write(copy: BinaryIO) -> str:
        with source.open("rb") as file:
            shutil.copyfileobj(file, copy)
        return ""

    write_temporary(target, write)


def sync_folder(folder: Path) -> None:
    """Bring a folder's list of names to the disk, where the platform can.

    Raises:
        OSError: the disk failed.
    """
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC:
            raise
    finally:
        os.close(descriptor)
