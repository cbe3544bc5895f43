"""An S3 server in this process (moto's) that counts what is asked and fails as it is told, and a
library of fake photos in a bucket of it.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from facesearch import buckets
from facesearch.locations import as_location
from facesearch.records import IndexPrediction, IndexSummary
from fake_networks import START
from photo_library import Library

ACCOUNT = "123456789012"
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Asked:
    """A request: ``key`` is "" for one to the bucket; ``range`` as the header has it."""

    method: str
    bucket: str
    key: str
    query: str
    range: str
    signed: bool = True

    @property
    def lists(self) -> bool:
        return "list-type=2" in self.query


Fault = Callable[[Asked], "Answer | None"]


@dataclass(frozen=True)
class Answer:
    """What the server says instead: a status, S3's code, and how much of the body really comes."""

    status: str
    code: str = ""
    body: bytes | None = None
    length: int | None = None


SLOW_DOWN = Answer("503 Slow Down", "SlowDown")
DENIED = Answer("403 Forbidden", "AccessDenied")


class S3Server:
    """moto behind an ear: ``asked`` has every request, ``fault`` may answer in moto's place."""

    def __init__(self) -> None:
        from moto.moto_server.werkzeug_app import (
            DomainDispatcherApplication,
            MotoRequestHandler,
            create_backend_app,
        )
        from werkzeug.serving import make_server

        self._moto = DomainDispatcherApplication(create_backend_app)
        self._server = make_server(
            "127.0.0.1", 0, self._answer, threaded=True, request_handler=MotoRequestHandler
        )
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}"
        self.asked: list[Asked] = []
        self.fault: Fault = lambda asked: None
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """From now on nobody answers at the address."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()

    def gets(self) -> list[str]:
        """The keys of the objects that were read since this was last asked."""
        keys = [asked.key for asked in self.asked if asked.method == "GET" and not asked.lists]
        self.asked.clear()
        return keys

    def _answer(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        bucket, _, key = environ["PATH_INFO"].lstrip("/").partition("/")
        asked = Asked(
            environ["REQUEST_METHOD"],
            bucket,
            # As WSGI has it: bytes as Latin-1.
            key.encode("latin-1").decode("utf-8", "replace"),
            environ["QUERY_STRING"],
            environ.get("HTTP_RANGE", ""),
            "HTTP_AUTHORIZATION" in environ,
        )
        self.asked.append(asked)
        answer = self.fault(asked)
        if answer is None:
            result: Iterable[bytes] = self._moto(environ, start)
            return result
        body = answer.body
        if body is None:
            body = f"<Error><Code>{answer.code}</Code><Message>told to</Message></Error>".encode()
        length = str(len(body) if answer.length is None else answer.length)
        start(answer.status, [("Content-Type", "application/xml"), ("Content-Length", length)])
        return [] if asked.method == "HEAD" else [body]


class Bucket:
    """A bucket of the server, filled without asking it."""

    def __init__(self, server: S3Server) -> None:
        from moto.s3.models import s3_backends

        self.server = server
        self.name = f"bucket-{next(_numbers)}"
        self._backend = s3_backends[ACCOUNT]["aws"]
        self._backend.create_bucket(self.name, "us-east-1")

    def __truediv__(self, key: str) -> str:
        """The address of a key."""
        return f"s3://{self.name}/{key}"

    def put(self, key: str, content: bytes) -> str:
        self._backend.put_object(self.name, key, content)
        return self / key

    def upload(self, folder: Path, prefix: str = "") -> None:
        """All files of a folder."""
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                self.put(prefix + path.relative_to(folder).as_posix(), path.read_bytes())

    def delete(self, *keys: str) -> None:
        for key in keys:
            self._backend.delete_object(self.name, key)

    def keys(self) -> list[str]:
        return list(self._backend.get_bucket(self.name).keys)

    def remove(self) -> None:
        """The bucket is no longer there."""
        self.delete(*self.keys())
        self._backend.delete_bucket(self.name)


class BucketLibrary(Library):
    """``root`` is ``photos/`` in a bucket; a store of it lies on the disk."""

    def __init__(self, home: Path, bucket: Bucket, processes: bool = False) -> None:
        super().__init__(home, processes)
        self.bucket = bucket
        self.root = bucket / "photos"

    def put(self, key: str, text: str = "") -> str:
        """Writes a photo; the text is its key unless it is given."""
        return self.bucket.put(f"photos/{key}", START + (text or key).encode())

    def put_many(self, count: int, folder: str = "") -> list[str]:
        """Writes so many photos of different sizes."""
        names = (f"{folder}{number:03}.jpg" for number in range(count))
        return [self.put(name, f"{name} {'x' * int(name[-7:-4])}") for name in names]

    def index_at(self, *addresses: str, **options: Any) -> IndexSummary:
        """Runs the index job, over the root unless other places are named."""
        return self.run([as_location(a) for a in addresses or (self.root,)], **options)

    def predict_at(self, *addresses: str) -> IndexPrediction:
        return self.predict(*(as_location(a) for a in addresses or (self.root,)))

    def name(self, path: str | Path) -> str:
        """The key from the root; other addresses in full."""
        text = str(path)
        return text.removeprefix(f"{self.root}/") if "://" in text else super().name(path)


@pytest.fixture(scope="session")
def one_server() -> Iterator[S3Server]:
    pytest.importorskip("s3fs")
    server = S3Server()
    yield server
    server.stop()


@pytest.fixture
def server(
    one_server: S3Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[S3Server]:
    """The server of all these tests, with nothing left of the last one."""
    one_server.asked.clear()
    yield from _in_use(one_server, monkeypatch, tmp_path)
    one_server.fault = lambda asked: None


@pytest.fixture
def own_server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[S3Server]:
    """A server that may be stopped."""
    pytest.importorskip("s3fs")
    server = S3Server()
    yield from _in_use(server, monkeypatch, tmp_path)
    server.stop()


def _in_use(
    server: S3Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[S3Server]:
    settings = {
        "AWS_ENDPOINT_URL": server.address,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": str(tmp_path / "no-config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "no-credentials"),
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
    # What was connected before has another test's settings.
    buckets._connected.cache_clear()
    yield server
    buckets._connected.cache_clear()


@pytest.fixture
def bucket(server: S3Server) -> Bucket:
    return Bucket(server)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each request is tried once where it is usually tried three times, with rests between."""
    monkeypatch.setattr(buckets, "ATTEMPTS", 1)
