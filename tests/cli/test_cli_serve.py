"""``facesearch serve``: what it prints, refuses and how it ends."""

from __future__ import annotations

import builtins
import os
import signal
import socket
import subprocess
import time

import httpx
import pytest
from starlette.testclient import TestClient

KEY = "key-for-this-test-0123"


@pytest.fixture
def key_file(folder):
    file = folder.parent / "key"
    file.write_text(KEY + "\n")
    file.chmod(0o600)
    return file


@pytest.fixture
def serve(child):
    """Begins the program; ends it as Ctrl-C does. Gives the process and its first line."""
    started = []

    def begin(*arguments: object, **environment: str):
        process = subprocess.Popen(
            child("serve", *arguments),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment},
        )
        started.append(process)
        return process, process.stdout.readline().strip()

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def end(process, number=signal.SIGINT) -> tuple[int, str]:
    process.send_signal(number)
    _, err = process.communicate(timeout=30)
    return process.returncode, err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_prints_an_address_with_a_key_and_ends_well(serve, store, number):
    process, address = serve(store, "--port", 0)
    assert address.startswith("http://127.0.0.1:")
    opened = httpx.get(address)
    assert opened.status_code == 303
    place = address.partition("?")[0]
    assert httpx.get(place + "api/store").status_code == 401
    facts = httpx.get(place + "api/store", cookies=opened.cookies)
    assert facts.json()["photos"] == 9
    code, err = end(process, number)
    assert code == 0
    assert address.rpartition("=")[2] not in err  # the key is in no log
    assert "Traceback" not in err


def test_a_request_under_way_is_cut_off_in_silence(serve, store):
    process, address = serve(store, "--port", 0)
    place, _, key = address.partition("?key=")
    port = int(place.rstrip("/").rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)) as slow:
        slow.sendall(
            f"POST /api/search HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
            f"Authorization: Bearer {key}\r\n"
            "Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{".encode()
        )
        time.sleep(0.5)
        code, err = end(process)
    assert (code, err.splitlines()[-1]) == (0, "Ctrl-C ends it")


def test_each_key_that_is_made_is_another(serve, store):
    keys = set()
    for _ in range(2):
        process, address = serve(store, "--port", 0)
        keys.add(address.rpartition("=")[2])
        end(process)
    assert len(keys) == 2 and all(len(key) >= 32 for key in keys)


def test_the_key_of_a_file_is_not_printed(serve, store, key_file):
    process, address = serve(store, "--port", 0, "--key-file", key_file)
    headers = {"Authorization": f"Bearer {KEY}"}
    assert httpx.get(address + "api/store", headers=headers).status_code == 200
    _, err = end(process)
    assert KEY not in address + err
    assert str(key_file) in err


def test_a_key_that_others_may_read_is_told(program, store, key_file, monkeypatch):
    monkeypatch.setattr("facesearch.web.server.run", lambda app, place: None)
    monkeypatch.setattr("facesearch.web.service.Service.warm_up", lambda self: None)
    warning = f"{key_file}: others may read this key; run chmod 600 on it"
    asked = ("serve", store, "--port", 0, "--key-file", key_file)
    assert warning not in program(*asked).err
    key_file.chmod(0o644)
    done = program(*asked)
    assert (done.code, warning in done.err) == (0, True)


def test_others_are_let_in_only_when_that_is_asked_for(serve, store):
    process, address = serve(store, "--port", 0, "--host", "0.0.0.0")
    name = socket.gethostname()
    assert address.startswith(f"http://{name}:"), "0.0.0.0 is no address to open"
    place = address.partition("?")[0].replace(name, "127.0.0.1", 1)
    assert httpx.get(place + "api/store").status_code == 401
    _, err = end(process)
    assert "not encrypted on the way" in err


def test_an_encrypted_store_asks_for_its_passphrase_once(serve, program, store, folder):
    secret = folder.parent / "secret"
    secret.write_text("sesame\n")
    secret.chmod(0o600)
    assert program("encrypt", store, "--passphrase-file", secret).code == 0
    process, address = serve(store, "--port", 0, "--passphrase-file", secret)
    opened = httpx.get(address)
    facts = httpx.get(address.partition("?")[0] + "api/store", cookies=opened.cookies)
    assert facts.json()["faces"] == 10
    assert end(process)[0] == 0
    refused = program("serve", store, "--port", 0)
    assert refused.code == 1
    assert "encrypted" in refused.err


def test_what_cannot_be_meant_is_refused_in_one_line(program, store, folder, key_file):
    taken = socket.create_server(("127.0.0.1", 0))
    short = folder / "short"
    short.write_text("short\n")
    cases = [
        (("serve", "nothing.npz"), 1, "no store here"),
        (("serve", store, "--key-file", folder / "nothing"), 2, "cannot be read"),
        (("serve", store, "--key-file", short), 2, "at least 16"),
        (("serve", store, "--allow-index", folder / "nothing"), 2, "no folder there"),
        (("serve", store, "--port", taken.getsockname()[1]), 1, "cannot be listened on"),
        (("serve", store, "--host", "no.such.host.invalid"), 1, "cannot be listened on"),
        (("serve", store, "--port", 99999), 2, "--port"),
        (("serve", "milvus+http://host:1/x"), 2, "needs a store file"),
    ]
    with taken:
        for arguments, code, said in cases:
            done = program(*arguments)
            assert (done.code, said in done.err) == (code, True), done.err
            assert done.out == ""


def test_a_missing_library_is_named_with_what_brings_it(program, store, monkeypatch):
    true = builtins.__import__

    def without(name, *rest):
        if name == "fastapi":
            raise ImportError("no", name="fastapi")
        return true(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    done = program("serve", store)
    assert done.code == 2
    assert "fastapi" in done.err and "pip install fastapi uvicorn" in done.err


def test_the_browser_is_opened_with_an_address_that_counts_once(
    program, store, monkeypatch, key_file
):
    """Other users of the machine see the arguments of its programs, those of browsers too."""
    opened, apps = [], []
    monkeypatch.setattr("click.launch", opened.append)
    monkeypatch.setattr("facesearch.web.server.run", lambda app, place: apps.append(app))
    monkeypatch.setattr("facesearch.web.service.Service.warm_up", lambda self: None)
    program("serve", store, "--port", 0, "--open", "--key-file", key_file)
    (address,), (app,) = opened, apps
    assert KEY not in address
    home = address.partition("?")[0]
    with TestClient(app, base_url=home, follow_redirects=False) as client:
        first = client.get(address)
        assert (first.status_code, first.headers["location"]) == (303, "/")
        assert client.get("/api/store").status_code == 200
        client.cookies.clear()
        second = client.get(address)
        assert (second.status_code, "set-cookie" in second.headers) == (401, False)
        assert client.get(f"{home}?once=").status_code == 401
