"""S3 and what speaks as it does, through s3fs.

Keys, regions and endpoints come from where botocore looks: the environment (AWS_ACCESS_KEY_ID,
AWS_PROFILE, AWS_ENDPOINT_URL, ...) and its own files. FSSPEC_S3_ANON=true asks without a signature.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from typing import Any

import aiohttp
import fsspec
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
)
from fsspec.exceptions import FSTimeoutError

from facesearch import buckets
from facesearch.buckets import Object, os_error, version_of

# ValueError: an endpoint that is no URL.
_FAULTS = (OSError, BotoCoreError, ClientError, aiohttp.ClientError, ValueError)


class Service:
    """S3, with a client of its own."""

    def __init__(self) -> None:
        self._files = fsspec.filesystem(
            "s3",
            skip_instance_cache=True,
            use_listings_cache=False,
            max_concurrency=1,  # else each read asks for the object's size first
            config_kwargs={
                "connect_timeout": buckets.CONNECT_SECONDS,
                "read_timeout": buckets.READ_SECONDS,
                "retries": {"mode": "standard", "total_max_attempts": buckets.ATTEMPTS},
            },
        )
        self._files.retries = 1  # botocore has tried again already

    def pages(self, bucket: str, prefix: str, size: int) -> Iterator[list[Object]]:
        """See ``BucketService``. S3 lists in the order of the keys' bytes."""
        more: dict[str, str] = {}
        while True:
            page = self._files.call_s3(
                "list_objects_v2", Bucket=bucket, Prefix=prefix, MaxKeys=size, **more
            )
            yield [_object(entry) for entry in page.get("Contents", ())]
            if not page.get("IsTruncated"):
                return
            more = {"ContinuationToken": page["NextContinuationToken"]}

    def read(self, bucket: str, key: str, start: int, stop: int) -> bytes:
        """See ``BucketService``."""
        try:
            try:
                return self._read(bucket, key, start, stop)
            except aiohttp.ClientPayloadError:  # cut off: botocore does not read bodies again
                return self._read(bucket, key, start, stop)
        except OSError as error:
            if _code(error) in ("InvalidRange", "416"):
                return b""  # it ends before, or is empty
            raise

    def _read(self, bucket: str, key: str, start: int, stop: int) -> bytes:
        data: bytes = self._files.cat_file(f"{bucket}/{key}", start=start, end=stop)
        return data

    @staticmethod
    def explained(error: Exception) -> OSError | None:
        """See ``BucketService``."""
        if isinstance(error, (NoCredentialsError, PartialCredentialsError, ProfileNotFound)):
            return os_error(errno.EACCES, str(error))
        if isinstance(error, (FSTimeoutError, TimeoutError)):
            return buckets.timed_out()
        if not isinstance(error, _FAULTS):
            return None
        number = errno.EIO
        if isinstance(error, PermissionError):
            number = errno.EACCES
        elif isinstance(error, FileNotFoundError):
            number = errno.ENOENT
        code = _code(error)
        text = (error.strerror if isinstance(error, OSError) else None) or str(error)
        return os_error(number, f"{code}: {text}" if code and not code.isdigit() else text)


def _object(entry: dict[str, Any]) -> Object:
    version = version_of(entry["LastModified"], entry.get("ETag", ""))
    return Object(entry["Key"], entry["Size"], version)


def _code(error: Exception) -> str:
    """The service's own name of the error; s3fs keeps it in the cause."""
    for each in (error, error.__cause__):
        response = getattr(each, "response", None)
        if isinstance(response, dict):
            return str(response.get("Error", {}).get("Code", ""))
    return ""
