"""The folder where facesearch keeps what it downloads, and how a file gets there whole or not."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

from facesearch.errors import WeightsError

CHUNK = 1 << 20
PARTIAL = ".part"
"""Suffix of files under way; whatever bears it is never believed."""


def home() -> Path:
    """The cache folder: ``FACESEARCH_HOME``, else the platform's own; it need not exist yet.

    Models lie in ``models/`` under it, data sets in ``datasets/``.
    """
    named = os.environ.get("FACESEARCH_HOME")
    if named:
        return Path(named).expanduser().absolute()
    from platformdirs import user_cache_path

    return user_cache_path("facesearch", appauthor=False)


def evaluations_of(folder: Path) -> Path:
    """Where stores and figures of evaluations on a data set's folder are kept."""
    name = hashlib.sha256(os.fsencode(os.path.realpath(folder))).hexdigest()[:16]
    return home() / "eval" / name


def model_file(name: str) -> Path:
    """Where the weights of a model are kept that do not lie in an installed package."""
    return home() / "models" / f"{name}.h5"


def sha256_file(path: Path) -> str:
    """SHA-256 (hex) of a file's bytes; a file that has not changed is hashed once a process.

    Raises:
        OSError: it cannot be read.
    """
    stat = path.stat()
    return _sha256(path, stat.st_size, stat.st_mtime_ns, stat.st_ino)


@lru_cache(maxsize=64)
def _sha256(path: Path, _size: int, _mtime_ns: int, _inode: int) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def copy_hashed(source: BinaryIO, target: BinaryIO, advance: Callable[[int], object]) -> str:
    """Copy all bytes, telling ``advance`` the size of each step; the SHA-256 (hex) of them."""
    digest = hashlib.sha256()
    while chunk := source.read(CHUNK):
        digest.update(chunk)
        target.write(chunk)
        advance(len(chunk))
    return digest.hexdigest()


@contextlib.contextmanager
def reading(source: Path) -> Iterator[BinaryIO]:
    """A stream of the bytes of a file that a person named.

    Raises:
        WeightsError: it is no file, or cannot be opened.
    """
    if source.exists() and not source.is_file():  # A pipe can be read but once.
        raise WeightsError(f"cannot read {source}: it is not a file; give the path of one")
    try:
        stream = source.open("rb")
    except OSError as error:
        raise WeightsError(
            f"cannot read {source}: {error.strerror}; give the path of a file"
        ) from error
    with stream:
        yield stream


@contextlib.contextmanager
def writing(target: Path) -> Iterator[BinaryIO]:
    """A stream whose bytes become ``target`` all at once, or not at all when the block raises.

    Raises:
        WeightsError: the folder or disk refuses; names the path.
    """
    with partial_file(target) as partial, disk_errors(target):
        with partial.open("w+b") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        partial.chmod(0o644)
        partial.replace(target)
        _sync_folder(target.parent)


@contextlib.contextmanager
def partial_file(target: Path) -> Iterator[Path]:
    """The path of an empty file beside ``target`` that is gone when the block ends.

    Raises:
        WeightsError: the folder or disk refuses; names the path.
    """
    with disk_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(PARTIAL, f".{target.name}.", target.parent)
        os.close(handle)
    try:
        yield Path(name)
    finally:
        with contextlib.suppress(OSError):
            Path(name).unlink()


def clear_partials() -> None:
    """Remove what killed runs left behind; only for whoever holds ``locked``."""
    for folder in (home() / "models", home() / "datasets"):
        if folder.is_dir():
            for leftover in folder.glob(f".*{PARTIAL}"):
                with contextlib.suppress(OSError):
                    leftover.unlink()


@contextlib.contextmanager
def locked(report: Callable[[str], object]) -> Iterator[None]:
    """Hold the cache folder for writing; a second writer waits, and ``report`` is told so.

    Raises:
        WeightsError: the folder cannot be made or written.
    """
    from filelock import FileLock, Timeout

    folder = home()
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".pull.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            report(f"another pull holds {folder}; waiting for it")
            lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn an operating system's refusal to write ``path`` into one line for a person."""
    try:
        yield
    except OSError as error:
        raise disk_error(path, error) from error


def disk_error(path: Path, error: OSError) -> WeightsError:
    """The operating system's refusal to write ``path``, as one line for a person."""
    reason = error.strerror or str(error) or type(error).__name__
    return WeightsError(
        f"cannot write {path}: {reason}; make room there or set FACESEARCH_HOME to another folder"
    )


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # Windows has no handle on a folder to flush.
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
