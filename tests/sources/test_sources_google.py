"""Google Cloud Storage: the same source, against a small stand-in for its JSON interface."""

from __future__ import annotations

import json
import re
import sys
import threading
import urllib.parse
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from facesearch import buckets
from facesearch.errors import FacesearchError, PhotoError
from facesearch.locations import as_location
from facesearch.photos import hash_file, read_bytes, read_header
from facesearch.records import RootAway
from facesearch.sources import is_gone, open_source, root_state
from fake_networks import START
from photo_library import Library

pytest.importorskip("gcsfs")


class Google:
    """One bucket, "photos-here". ``status`` is what every request gets instead, if it is set."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.status = 0
        google = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                google.asked.append(self.path)
                status, body = google.answer(self.path, self.headers.get("Range", ""))
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.address = f"http://127.0.0.1:{self.server.server_port}"

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def answer(self, path: str, span: str) -> tuple[int, bytes]:
        url = urllib.parse.urlsplit(path)
        if self.status:
            return self.status, b'{"error": {"code": %d, "message": "told to"}}' % self.status
        found = re.fullmatch(r"(?:/download)?/storage/v1/b/([^/]+)/o(?:/(.+))?", url.path)
        if found is None or found[1] != "photos-here":
            return 404, b'{"error": {"code": 404, "message": "no such bucket"}}'
        if found[2] is None:
            return 200, json.dumps(self.page(dict(urllib.parse.parse_qsl(url.query)))).encode()
        content = self.objects.get(urllib.parse.unquote(found[2]))
        if content is None:
            return 404, b'{"error": {"code": 404, "message": "no such object"}}'
        limits = re.fullmatch(r"bytes=(\d+)-(\d+)", span)
        start, stop = (int(limits[1]), int(limits[2]) + 1) if limits else (0, len(content))
        if start >= len(content) and limits:
            return 416, b"The requested range cannot be satisfied."
        return 206 if limits else 200, content[start:stop]

    def page(self, query: dict[str, str]) -> dict[str, object]:
        names = sorted(name for name in self.objects if name.startswith(query.get("prefix", "")))
        start, size = int(query.get("pageToken", "0")), int(query["maxResults"])
        items = [
            {
                "name": name,
                "size": str(len(self.objects[name])),
                "updated": "2026-01-02T03:04:05.678Z",
                "etag": f"{hash(self.objects[name])}",
            }
            for name in names[start : start + size]
        ]
        more = {"nextPageToken": str(start + size)} if start + size < len(names) else {}
        return {"items": items, **more} if items else {}


@pytest.fixture
def google(monkeypatch: pytest.MonkeyPatch) -> Iterator[Google]:
    google = Google()
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", google.address)
    buckets._connected.cache_clear()
    yield google
    buckets._connected.cache_clear()
    google.stop()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No rest between attempts."""

    async def at_once(seconds: float) -> None:
        return

    monkeypatch.setattr("gcsfs.retry.asyncio.sleep", at_once)


def address(key: str = "") -> str:
    return f"gs://photos-here/{key}"


def test_listing_page_by_page(google: Google, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buckets, "KEYS_A_PAGE", 3)
    names = [
        "p/a.jpg",
        "p/a/b.jpg",
        "p/a//c.jpg",
        "p/ü +%20?.jpg",
        "p/é/x.jpg",
        "p/.h.jpg",
        "q.jpg",
    ]
    google.objects = dict.fromkeys([*names, "p/folder/"], b"x")
    source = open_source(as_location(address("p")), ("x*",))
    keys = [entry.key for entry in source.entries()]
    assert keys == ["a.jpg", "a//c.jpg", "a/b.jpg", "ü +%20?.jpg"]
    assert len(google.asked) == 3
    assert [entry.size for entry in source.entries()] == [1, 1, 1, 1]
    assert root_state(as_location(address("p"))) == "there"
    assert root_state(as_location(address("none"))) == "empty"
    assert root_state(as_location("gs://no-such-bucket/p")) == "missing"
    assert is_gone(as_location(address("none")))


def test_reading(google: Google, tmp_path: Path) -> None:
    content = bytes(range(256)) * 40
    (tmp_path / "a").write_bytes(content)
    google.objects = {"ü a/b+%20#?.jpg": content, "empty.jpg": b""}
    photo = address("ü a/b+%20#?.jpg")
    assert read_bytes(photo).data == content
    assert len(google.asked) == 1
    assert read_header(photo) == content[:128]
    assert hash_file(photo) == hash_file(tmp_path / "a")
    for key, reason in {"empty.jpg": "empty", "gone.jpg": "vanished"}.items():
        with pytest.raises(PhotoError) as caught:
            read_bytes(address(key))
        assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("status", "reason", "words"),
    [
        (403, "unreadable", "your credentials"),
        (401, "unreadable", "your credentials"),
        (503, "io-error", "check the network"),
        (400, "io-error", "told to"),
    ],
)
def test_errors(google: Google, impatient: None, status: int, reason: str, words: str) -> None:
    google.objects = {"orange.jpg": b"x"}
    google.status = status
    with pytest.raises(PhotoError, match=words) as caught:
        read_bytes(address("orange.jpg"))
    assert caught.value.reason == reason
    assert "\n" not in str(caught.value)
    assert len(google.asked) <= 6
    assert root_state(as_location(address())) == "unreadable"


def test_index_over_a_bucket_of_google(google: Google, impatient: None, tmp_path: Path) -> None:
    library = Library(tmp_path / "home")
    for number in range(12):
        google.objects[f"p/{number:02}.jpg"] = START + f"{number} {'x' * number}".encode()
    root = as_location(address("p"))
    assert library.run([root]).new == 12
    google.asked.clear()
    google.objects["p/03.jpg"] = START + b"3 yyy"
    summary = library.run([root])
    assert (summary.changed, summary.unchanged) == (1, 11)
    assert library.problems() == []
    google.status = 403
    assert library.refresh(prune=True).roots_away == (RootAway(address("p"), "unreadable", 12),)
    with pytest.raises(FacesearchError, match="your credentials"):
        library.run([root], store=tmp_path / "other.npz")


def test_a_server_that_is_away(google: Google, impatient: None) -> None:
    root = as_location(address("p"))
    google.stop()
    assert root_state(root) == "unreadable"
    with pytest.raises(PhotoError) as caught:
        read_bytes(address("p/a.jpg"))
    assert caught.value.reason == "io-error"


def test_credentials_that_are_none(google: Google, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are looked for when the first one asks, not at a request."""
    from google.auth.exceptions import DefaultCredentialsError

    def none(*_: object, **__: object) -> object:
        raise DefaultCredentialsError("File x.json was not found.")

    monkeypatch.setattr("facesearch.buckets.gs.fsspec.filesystem", none)
    assert root_state(as_location(address())) == "unreadable"
    with pytest.raises(PhotoError, match=r"x.json was not found") as caught:
        read_bytes(address("a.jpg"))
    assert caught.value.reason == "unreadable"


def test_without_the_extra(google: Google, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "facesearch.buckets.gs", None)
    with pytest.raises(FacesearchError, match=r"run: pip install gcsfs$"):
        read_bytes(address("a.jpg"))
