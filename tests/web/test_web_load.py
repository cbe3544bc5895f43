"""Many at once: work waits in a queue that has an end, and memory has one too."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from asking import HEADERS, code_of, first_line, listening, photo_of

from small_store import BLUE, GREEN, RED, ColorEmbedder


@pytest.fixture
def gate(monkeypatch):
    """Holds whoever looks for faces until it is opened; counts them."""
    opened, entered = threading.Event(), threading.Semaphore(0)
    detect = ColorEmbedder.detect

    def held(self, photo):
        entered.release()
        assert opened.wait(20)
        return detect(self, photo)

    monkeypatch.setattr(ColorEmbedder, "detect", held)
    yield opened, entered
    opened.set()


def ask(where, photo: bytes) -> httpx.Response:
    address = f"http://{where[0]}:{where[1]}/api/search"
    return httpx.post(address, headers=HEADERS, files={"photo": photo}, timeout=30)


def test_what_the_queue_cannot_hold_is_told_to_come_back(serving, tmp_path, gate):
    opened, entered = gate
    client = serving(threads=1, waiting=2)
    work = client.app.state.room.work
    photo = photo_of(tmp_path, RED)
    with listening(client.app) as where, ThreadPoolExecutor(8) as pool:
        waiting = [pool.submit(ask, where, photo) for _ in range(3)]
        assert entered.acquire(timeout=20)
        while work.inside < 3:
            pass
        refused = ask(where, photo)
        assert (refused.status_code, code_of(refused)) == (503, "busy")
        assert int(refused.headers["retry-after"]) >= 1
        # Pictures and facts have threads of their own.
        address = f"http://{where[0]}:{where[1]}/api/store"
        assert httpx.get(address, headers=HEADERS).status_code == 200
        opened.set()
        assert [each.result().status_code for each in waiting] == [200, 200, 200]
        assert ask(where, photo).status_code == 200
    assert work.inside == 0


def test_uploads_together_are_bounded(serving, tmp_path, gate):
    opened, entered = gate
    photo = photo_of(tmp_path, RED) + bytes(50_000)
    client = serving(threads=2, upload_bytes=120_000)
    bodies = client.app.state.room.bodies
    with listening(client.app) as where, ThreadPoolExecutor(8) as pool:
        waiting = [pool.submit(ask, where, photo) for _ in range(2)]
        assert entered.acquire(timeout=20)
        while bodies.held < 2 * 50_000:
            pass
        refused = ask(where, photo)
        assert (refused.status_code, code_of(refused)) == (503, "busy")
        opened.set()
        assert [each.result().status_code for each in waiting] == [200, 200]
    assert bodies.held == 0


def test_who_sends_nothing_is_not_waited_for(serving):
    client = serving(body_seconds=0.2)
    request = (
        "POST /api/search HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Authorization: {HEADERS['Authorization']}\r\n"
        "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
    )
    with listening(client.app) as where:
        assert b" 408 " in first_line(where, request.encode())


def test_thirty_two_clients_at_once(serving, tmp_path):
    client = serving()
    colors = (RED, GREEN, BLUE)
    photos = [photo_of(tmp_path, color, name=f"{n}.png") for n, color in enumerate(colors)]
    wanted = ["red/one.png", "green/one.png", "blue/one.png"]
    with listening(client.app) as where, ThreadPoolExecutor(32) as pool:

        def one(number: int) -> bool:
            answer = ask(where, photos[number % 3])
            assert answer.status_code == 200, answer.text
            return answer.json()["neighbors"][0]["relative_path"] == wanted[number % 3]

        assert all(pool.map(one, range(96)))


def test_answers_are_not_held_back_by_the_network(serving):
    """Nagle's algorithm and delayed acknowledgements together take 40 ms an answer."""
    import socket

    from facesearch.web.server import listen

    place = listen("127.0.0.1", 0)
    with place, socket.create_connection(place.getsockname()) as _:
        accepted, _ = place.accept()
        with accepted:
            assert accepted.proto == socket.IPPROTO_TCP
