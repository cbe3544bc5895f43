"""Google Cloud Storage, through gcsfs.

Credentials come from where Google's own programs keep them (GOOGLE_APPLICATION_CREDENTIALS, or
``gcloud auth application-default login``); FSSPEC_GS_TOKEN=anon asks without any.
"""

from __future__ import annotations

import errno
import logging
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import aiohttp
import fsspec
import google.auth.exceptions
import requests
from gcsfs.retry import HttpError

from facesearch import buckets
from facesearch.buckets import Object, os_error, version_of

_FIELDS = "items(name,size,updated,etag),nextPageToken"


class Service:
    """Google Cloud Storage, with a client of its own."""

    def __init__(self) -> None:
        timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=buckets.CONNECT_SECONDS, sock_read=buckets.READ_SECONDS
        )
        log = logging.getLogger("gcsfs")
        if not log.isEnabledFor(logging.DEBUG):
            log.setLevel(logging.CRITICAL)  # it logs each error that it raises
        self._files = fsspec.filesystem(
            "gs", skip_instance_cache=True, use_listings_cache=False, requests_timeout=timeout
        )

    def pages(self, bucket: str, prefix: str, size: int) -> Iterator[list[Object]]:
        """See ``BucketService``. Google lists in the order of the names' bytes."""
        more: dict[str, str] = {}
        while True:
            page = self._files.call(
                "GET",
                "b/{}/o",
                bucket,
                prefix=prefix,
                maxResults=size,
                fields=_FIELDS,
                json_out=True,
                **more,
            )
            yield [_object(entry) for entry in page.get("items", ())]
            if not page.get("nextPageToken"):
                return
            more = {"pageToken": page["nextPageToken"]}

    def read(self, bucket: str, key: str, start: int, stop: int) -> bytes:
        """See ``BucketService``."""
        try:
            data: bytes = self._files.cat_file(f"{bucket}/{key}", start=start, end=stop)
        except (HttpError, ValueError) as error:
            if _is_beyond_its_end(error):
                return b""  # or it is empty
            raise
        return data

    @staticmethod
    def explained(error: Exception) -> OSError | None:
        """See ``BucketService``."""
        if isinstance(error, FileNotFoundError):
            return os_error(errno.ENOENT, "Not Found")
        if isinstance(error, TimeoutError):
            return buckets.timed_out()
        refused = isinstance(error, google.auth.exceptions.GoogleAuthError) or (
            str(error).startswith("Forbidden") or str(getattr(error, "code", "")) in ("401", "403")
        )
        others = (
            OSError,
            HttpError,
            aiohttp.ClientError,
            requests.RequestException,
            ValueError,  # gcsfs makes one of each bad request
        )
        if not refused and not isinstance(error, others):
            return None
        return os_error(errno.EACCES if refused else errno.EIO, str(error))


def _is_beyond_its_end(error: Exception) -> bool:
    # gcsfs makes a ValueError, "Bad Request: PATH" and the message below, of what it calls invalid.
    message = str(error).partition("\n")[2] if isinstance(error, ValueError) else ""
    return str(getattr(error, "code", "")) == "416" or "range" in message.lower()


def _object(entry: dict[str, Any]) -> Object:
    updated = datetime.fromisoformat(entry["updated"])
    return Object(entry["name"], int(entry["size"]), version_of(updated, entry.get("etag", "")))
