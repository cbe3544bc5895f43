"""What a place of photos is called: a path of this machine, or an address in object storage."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from facesearch.errors import UsageError

SERVICES = {"s3": "S3", "gs": "Google Cloud Storage"}
"""Schemes of object storage, each with the service's name."""

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_WEB = ("http", "https", "ftp")
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,221}")


@dataclass(frozen=True, slots=True)
class Address:
    """A place in object storage: ``key`` is what is below the bucket, "" for all of it.

    It is no ``os.PathLike``: what takes it for a file of this machine should fail at once.
    """

    scheme: str
    bucket: str
    key: str = ""

    def __str__(self) -> str:
        bucket = f"{self.scheme}://{self.bucket}"
        return f"{bucket}/{self.key}" if self.key else bucket

    def at(self, key: str) -> Address:
        """What lies at a relative path; "" is the place itself."""
        joined = f"{self.key}/{key}" if self.key and key else self.key or key
        return Address(self.scheme, self.bucket, joined)


Location = Path | Address
"""A folder or file of this machine, or of object storage."""


def is_address(text: object) -> bool:
    """Whether it is text that begins as an address does ("s3://"), of whatever scheme."""
    return isinstance(text, str) and _SCHEME.match(text) is not None


def as_location(named: str | Path | Address) -> Location:
    """The place that is named. ``file:///folder`` is the folder itself, in the same words.

    Raises:
        UsageError: an address that cannot be meant.
    """
    if isinstance(named, Address):
        return named
    found = _SCHEME.match(named) if isinstance(named, str) else None
    if found is None:
        return _path(Path(named))
    scheme, rest = found[1].lower(), str(named)[found.end() :]
    if scheme == "file":
        return _local(str(named), rest)
    if scheme not in SERVICES:
        known = ", ".join(f"{name}://" for name in SERVICES)
        if scheme in _WEB:
            raise UsageError(
                f"{scheme}://: facesearch takes files and folders, or places at {known}, and no "
                "addresses of the web; save the photo and name its file"
            )
        raise UsageError(f"{scheme}://: photos lie in folders and at {known}; name such a place")
    bucket, _, key = rest.partition("/")
    if "@" in bucket or ":" in bucket:
        # What stands there may be a password: it is not repeated.
        raise UsageError(
            f"{scheme}://: a name or key before the bucket; {SERVICES[scheme]} takes them from the "
            "environment or its own files, never from an address"
        )
    if not _BUCKET.fullmatch(bucket):
        raise UsageError(f"{named}: no bucket has such a name; write {scheme}://BUCKET/FOLDER")
    return Address(scheme, bucket, key.rstrip("/"))


def _path(path: Path) -> Path:
    service = path.parts[0].removesuffix(":") if path.parts else ""
    if f"{service}:" in path.parts[:1] and service in SERVICES and not os.path.lexists(path):
        raise UsageError(f"{path}: give an address as text, for a Path makes one slash of two")
    return path


def _local(named: str, rest: str) -> Path:
    if os.name == "nt":
        rest = re.sub(r"^/(?=[A-Za-z]:)", "", rest)
    path = Path(rest)
    if not path.is_absolute():
        raise UsageError(f"{named}: a path of this machine begins with file:///")
    return path


def whole(location: Location) -> Location:
    """The place in full: a relative path counts from the current folder."""
    return location if isinstance(location, Address) else Path(os.path.abspath(location))


def join(location: Location | str, key: str) -> str:
    """The full path or address of what lies at a relative path; "" is the place itself."""
    text = str(location)
    if not key:
        return text
    return f"{text}/{key}" if is_address(text) else os.path.join(text, key)


def key_below(folder: Location, place: Location) -> str | None:
    """The way from a folder to a place in it: "" to itself, None where it does not lie inside."""
    if isinstance(folder, Address) or isinstance(place, Address):
        return _key_below(folder, place)
    if not place.is_relative_to(folder):
        return None
    return "" if place == folder else place.relative_to(folder).as_posix()


def _key_below(folder: Location, place: Location) -> str | None:
    if not isinstance(folder, Address) or not isinstance(place, Address):
        return None
    if (folder.scheme, folder.bucket) != (place.scheme, place.bucket):
        return None
    if not folder.key or folder.key == place.key:
        return "" if folder.key == place.key else place.key
    start = f"{folder.key}/"
    return place.key.removeprefix(start) if place.key.startswith(start) else None


def parts(location: Location) -> tuple[str, ...]:
    """The names on the way to a place, outermost first."""
    if isinstance(location, Path):
        return location.parts
    return (f"{location.scheme}:", location.bucket, *filter(None, location.key.split("/")))
