"""What tests of the HTTP interface ask with."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from facesearch.web import server
from small_store import (
    BLUE,
    GOLD,
    GREEN,
    MIDDLE,
    RED,
    draw,
    embedder_of,
    small_calibration,
)

KEY = "a-key-of-this-test-0123"
HOME = "http://127.0.0.1:8480"
HEADERS = {"Authorization": f"Bearer {KEY}"}


def use_colors(patch: pytest.MonkeyPatch, home: Path) -> None:
    """Colours in place of networks, distances between them calibrated, a home of its own."""
    patch.setenv("FACESEARCH_HOME", str(home))
    patch.setattr("facesearch.processing.Pipeline", embedder_of)
    patch.setattr("facesearch.processing.make_ready", lambda *names: None)
    patch.setattr("facesearch.calibration.find_calibration", small_calibration)


def library_at(place: Path) -> Path:
    """Red, green, blue and gold, each on two photos, one with two faces, one with none, and a
    broken one.
    """
    for name, color in {"red": RED, "green": GREEN, "blue": BLUE, "gold": GOLD}.items():
        draw(place / name / "one.png", {color: MIDDLE}, note=1)
        near = (color[0], color[1] + 2, color[2])
        draw(place / name / "two.png", {near: MIDDLE}, note=2)
    draw(place / "both.png", {(199, 0, 0): (60, 5, 30, 30), (0, 159, 0): (5, 5, 30, 30)})
    draw(place / "none.png", {})
    (place / "broken.jpg").write_bytes(b"no photo at all")
    return place


def photo_of(folder: Path, *faces: tuple[int, int, int], name: str = "asked.png") -> bytes:
    """The bytes of a photo of coloured faces, side by side."""
    places = {color: (5 + 40 * n, 10, 30, 30) for n, color in enumerate(faces)}
    return draw(folder / "asked" / name, places, size=(50 + 40 * len(faces), 60)).read_bytes()


def code_of(answer: Any) -> str:
    """The stable code of an error, which has one line to read."""
    error = answer.json()["error"]
    assert error["message"] and "\n" not in error["message"]
    return error["code"]


def events_of(text: str) -> list[tuple[str, Any]]:
    """Server-sent events: (name, data)."""
    found = []
    for block in text.split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line[:8])
        if "event" in lines:
            found.append((lines["event"], json.loads(lines["data"])))
    return found


@contextlib.contextmanager
def listening(app: Any, port: int = 0) -> Iterator[tuple[str, int]]:
    """The application on a real socket of this machine, in a thread."""
    import uvicorn

    place = server.listen("127.0.0.1", port)
    running = uvicorn.Server(server.config_of(app))
    thread = threading.Thread(target=running.run, args=([place],), daemon=True)
    thread.start()
    try:
        while not running.started:
            time.sleep(0.01)
        yield place.getsockname()[:2]
    finally:
        running.should_exit = True
        thread.join(10)
        place.close()


def raw(where: tuple[str, int], request: bytes) -> bytes:
    """The whole answer to bytes that no well-behaved client would send."""
    with socket.create_connection(where, timeout=10) as connection:
        connection.sendall(request)
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
        return answer


def first_line(where: tuple[str, int], request: bytes) -> bytes:
    """What is answered first, to a request that may not have ended."""
    with socket.create_connection(where, timeout=10) as connection:
        connection.sendall(request)
        return connection.recv(4096).split(b"\r\n")[0]
