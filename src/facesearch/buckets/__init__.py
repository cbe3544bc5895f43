"""Object storage, through fsspec: listing what a bucket holds, reading it; nothing is written.

Whatever goes wrong comes out as an ``OSError`` with a number and one line of text, as from a disk:
``FileNotFoundError``, ``PermissionError``, or an input/output error after bounded retries.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import itertools
import os
from collections.abc import Iterator
from datetime import datetime
from importlib import import_module
from typing import Literal, NamedTuple, Protocol

from facesearch.errors import FacesearchError
from facesearch.locations import SERVICES, Address

Kind = Literal["folder", "object"]

KEYS_A_PAGE = 1000
CONNECT_SECONDS = 5
READ_SECONDS = 30
ATTEMPTS = 3
"""How often a request is tried: a busy service gets its rest, one that is away is told of."""
_PIECE = 64 << 20  # what is read at a time where an object need not be held whole

_MODULES = {"s3": "facesearch.buckets.s3", "gs": "facesearch.buckets.gs"}
"""Scheme -> the module whose ``Service`` speaks with it."""

_PACKAGES = {"s3": "s3fs", "gs": "gcsfs"}


class Object(NamedTuple):
    """An object as its bucket lists it; ``version`` changes whenever it is written anew."""

    key: str
    size: int
    version: int


class BucketService(Protocol):
    """What a service must do; its errors are its own, ``explained`` makes them an OSError."""

    def pages(self, bucket: str, prefix: str, size: int) -> Iterator[list[Object]]:
        """The objects whose keys begin so, in the order of their keys' bytes, so many a page."""

    def read(self, bucket: str, key: str, start: int, stop: int) -> bytes:
        """The bytes from ``start`` up to ``stop``, or to the end if that comes first."""

    @staticmethod
    def explained(error: Exception) -> OSError | None:
        """The error as one of the file system; None for a mistake of this program."""


def listing(address: Address, page: int | None = None) -> Iterator[Object]:
    """All objects below an address, in the order of their keys' bytes; memory holds one page.

    Raises:
        OSError: see the module.
        FacesearchError: what speaks with the service is not installed.
    """
    service = _service(address)
    with _as_of_a_disk(service):
        prefix = f"{address.key}/" if address.key else ""
        for objects in service.pages(address.bucket, prefix, page or KEYS_A_PAGE):
            yield from objects


def find(address: Address) -> Object | None:
    """The object at the very address, or None.

    Raises: as ``listing``.
    """
    if not address.key:
        return None
    service = _service(address)
    with _as_of_a_disk(service):
        # It comes first of all that begin so.
        first = next(service.pages(address.bucket, address.key, 1), [])
    return next((found for found in first if found.key == address.key), None)


def kind_of(address: Address) -> Kind | None:
    """Whether something lies below the address, or at it; a bucket is a folder even when empty.

    Raises: as ``listing``.
    """
    if any(True for _ in itertools.islice(listing(address, page=1), 1)) or not address.key:
        return "folder"
    return "object" if find(address) is not None else None


def read(address: Address, stop: int, start: int = 0) -> bytes:
    """The object's bytes from ``start`` up to ``stop``, in one request.

    Raises: as ``listing``.
    """
    service = _service(address)
    with _as_of_a_disk(service):
        return service.read(address.bucket, address.key, start, stop)


def sha256(address: Address) -> bytes:
    """SHA-256 of an object's bytes (32 bytes), read in pieces.

    Raises: as ``listing``.
    """
    digest = hashlib.sha256()
    for start in itertools.count(0, _PIECE):
        piece = read(address, start + _PIECE, start)
        digest.update(piece)
        if len(piece) < _PIECE:
            break
    return digest.digest()


def version_of(modified: datetime, tag: str) -> int:
    """A time in nanoseconds since 1970 that is the object's to the second; below that it tells by
    the entity tag what was written twice within one.
    """
    digest = hashlib.blake2b(tag.encode(), digest_size=8).digest()
    return int(modified.timestamp()) * 10**9 + int.from_bytes(digest, "little") % 10**9


def os_error(number: int, text: str) -> OSError:
    """The error of the file system with that number: PermissionError, FileNotFoundError, ..."""
    return OSError(number, " ".join(text.split())[:300] or os.strerror(number))


def _service(address: Address) -> BucketService:
    return _connected(address.scheme, os.getpid())


@functools.cache
def _connected(scheme: str, process: int) -> BucketService:
    """What speaks with a service; once a process, for its threads and sockets belong to that."""
    try:
        made: type[BucketService] = import_module(_MODULES[scheme]).Service
        with _as_of_a_disk(made):
            return made()
    except ImportError as error:
        raise FacesearchError(
            f"{scheme}://: {SERVICES[scheme]} needs packages that are not installed ({error}); "
            f"run: pip install {_PACKAGES[scheme]}"
        ) from error


@contextlib.contextmanager
def _as_of_a_disk(service: BucketService | type[BucketService]) -> Iterator[None]:
    try:
        yield
    except (FacesearchError, ImportError):
        raise
    except Exception as error:
        explained = service.explained(error)
        if explained is None:
            raise
        raise explained from error


def timed_out(text: str = "no answer in time") -> OSError:
    """A service that does not answer."""
    return os_error(errno.ETIMEDOUT, text)
