"""Request bodies: counted as they come, kept in memory alone, taken apart into their fields."""

from __future__ import annotations

import base64
import binascii
import json
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
from anyio import to_thread
from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from facesearch.web.options import MIB, Limits
from facesearch.web.problems import HttpError, bad_request, busy, of_photo

_FIELDS = 32
_FIELD_BYTES = MIB
_COMMAS = 20_000  # of JSON; a value of three bytes takes twenty times as much memory
JSON_TYPE = "application/json"
FORM_TYPE = "multipart/form-data"
RAW_TYPES = ("application/octet-stream", "image/")


@dataclass(frozen=True, slots=True)
class Body:
    """A request's fields, and the photos among them by name."""

    fields: dict[str, Any] = field(default_factory=dict)
    photos: dict[str, bytes] = field(default_factory=dict, repr=False)

    def photo(self, name: str = "photo") -> bytes:
        """A photo that has to be there.

        Raises:
            HttpError: it is missing.
        """
        if name not in self.photos:
            raise bad_request(f"the field {name!r} with a photo is missing")
        return self.photos[name]


class Bodies:
    """Reads bodies; all that are here at a time hold no more than ``limits.upload_bytes``."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._held = 0

    @asynccontextmanager
    async def of(
        self, request: Request, photos: tuple[str, ...] = (), raw: bool = False
    ) -> AsyncIterator[Body]:
        """The body of a request, counted as long as the block lasts.

        Args:
            request: whose body was not read yet.
            photos: names of the fields that are photos: files, or base64 in JSON.
            raw: the whole body may be the photo ("photo").

        Raises:
            HttpError: another content type, too large, too slow, not well formed; "busy" where
                other uploads fill the memory.
        """
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        most = len(photos) * self._limits.photo_bytes + _FIELD_BYTES
        if kind == JSON_TYPE:
            most = most * 4 // 3 + 4  # base64
        self._refuse(kind, raw, request.headers, most)
        counted = _Counted(self, most, self._limits.photo_bytes)
        try:
            with _in_time(self._limits.body_seconds):
                body = await self._read(request, kind, photos, counted)
            for data in body.photos.values():
                self._require_small(data)
            yield body
        finally:
            self._held -= counted.bytes

    async def _read(
        self, request: Request, kind: str, photos: tuple[str, ...], counted: _Counted
    ) -> Body:
        stream = counted.chunks(request)
        if kind == FORM_TYPE:
            return await _form(request.headers, stream, photos)
        data = b"".join([chunk async for chunk in stream])
        if kind == JSON_TYPE:
            return await to_thread.run_sync(_from_json, data, photos)
        return Body({}, {"photo": data})

    def take(self, count: int) -> None:
        """Counts bytes that have come.

        Raises:
            HttpError: "busy".
        """
        if self._held + count > self._limits.upload_bytes:
            raise busy("too many uploads at once")
        self._held += count

    @property
    def held(self) -> int:
        """Bytes of all bodies that are here."""
        return self._held

    def _refuse(self, kind: str, raw: bool, headers: Headers, most: int) -> None:
        """What can be told before a byte is read."""
        if kind not in (JSON_TYPE, FORM_TYPE) and not (raw and kind.startswith(RAW_TYPES)):
            known = "image/*, " if raw else ""
            message = f"send {known}{FORM_TYPE} or {JSON_TYPE}, not {kind[:60]!r}"
            raise HttpError(415, "unsupported-media-type", message)
        if headers.get("content-encoding", "identity").lower() != "identity":
            raise HttpError(415, "unsupported-media-type", "send the body without content encoding")
        declared = headers.get("content-length", "")
        if declared.isdigit() and int(declared) > most:
            raise too_large(self._limits.photo_bytes)

    def _require_small(self, data: bytes) -> None:
        if len(data) > self._limits.photo_bytes:
            raise too_large(self._limits.photo_bytes)
        if not data:
            raise of_photo("empty", "the photo: the file has no bytes (empty)")


class _Counted:
    """The bytes of one body, as they come."""

    def __init__(self, bodies: Bodies, most: int, photo_bytes: int) -> None:
        self.bytes = 0
        self._bodies = bodies
        self._most = most
        self._photo_bytes = photo_bytes

    async def chunks(self, request: Request) -> AsyncGenerator[bytes, None]:
        """The body's pieces.

        Raises:
            HttpError: it is larger than it may be, or its sender left.
        """
        try:
            async for chunk in request.stream():
                if self.bytes + len(chunk) > self._most:
                    raise too_large(self._photo_bytes)
                self._bodies.take(len(chunk))
                self.bytes += len(chunk)
                yield chunk
        except ClientDisconnect:
            raise bad_request("the body ended early") from None


class _MemoryParser(MultiPartParser):
    """The form parser that never puts a file on the disk: its sizes are bounded already."""

    spool_max_size = sys.maxsize


async def _form(
    headers: Headers, stream: AsyncGenerator[bytes, None], photos: tuple[str, ...]
) -> Body:
    try:
        parser = _MemoryParser(
            headers, stream, max_files=len(photos), max_fields=_FIELDS, max_part_size=_FIELD_BYTES
        )
        form = await parser.parse()
    except MultiPartException as error:
        raise bad_request(f"the form cannot be read: {error.message}") from error
    except (ValueError, KeyError, UnicodeError) as error:
        raise bad_request("the form cannot be read") from error
    fields: dict[str, Any] = {}
    found: dict[str, bytes] = {}
    for name, value in form.multi_items():
        if name in fields or name in found:
            raise bad_request(f"the field {name[:60]!r} is there twice")
        if isinstance(value, UploadFile):
            if name not in photos:
                raise bad_request(f"no file is expected in the field {name[:60]!r}")
            found[name] = await value.read()
            await value.close()
        elif name in photos:
            raise bad_request(f"the field {name!r} has to be a file")
        elif value:
            fields[name] = _as_value(name, value)
    return Body(fields, found)


def _as_value(name: str, value: str) -> Any:
    """Lists are written as JSON, or as numbers with commas."""
    if name not in ("box", "embedding"):
        return value
    try:
        return json.loads(value if value.startswith("[") else f"[{value}]")
    except (ValueError, RecursionError) as error:
        raise bad_request(f"the field {name!r} is no list of numbers") from error


def _from_json(data: bytes, photos: tuple[str, ...]) -> Body:
    if data.count(b",") > _COMMAS:
        raise bad_request(f"the body has more than {_COMMAS:,} values")
    try:
        held = json.loads(data) if data else {}
    except (ValueError, RecursionError) as error:
        raise bad_request("the body is no JSON") from error
    if not isinstance(held, dict):
        raise bad_request("the body is no JSON object")
    found = {}
    for name in photos:
        value = held.pop(name, None)
        if value is not None:
            found[name] = _from_base64(name, value)
    return Body(held, found)


def _from_base64(name: str, value: object) -> bytes:
    if not isinstance(value, str):
        raise bad_request(f"{name!r} has to be a photo as base64 text")
    text = value.partition(",")[2] if value.startswith("data:") else value
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise bad_request(f"{name!r} is no base64") from error


def too_large(most: int) -> HttpError:
    """A photo of more bytes than are taken."""
    return of_photo("too-large", f"the photo: more than {most / MIB:.0f} MiB (too-large)")


@contextmanager
def _in_time(seconds: float) -> Iterator[None]:
    """Ends with a HttpError when a body takes too long to arrive."""
    try:
        with anyio.fail_after(seconds):
            yield
    except TimeoutError:
        raise HttpError(408, "timeout", "the body took too long to arrive") from None
