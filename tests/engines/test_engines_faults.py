"""Servers that are away, slow, full, refuse, or come back: one line each, and bounded patience."""

from __future__ import annotations

import builtins
import os
import socket
import sys
import threading
import time

import pytest
from galleries import write_store
from milvus_server import free_port

from facesearch.addresses import parse_store
from facesearch.cli.main import run
from facesearch.errors import StoreError, StoreMissingError, UsageError
from facesearch.gallery.milvus import connection as connection_module
from facesearch.gallery.milvus.connection import Connection
from facesearch.gallery.opening import open_gallery
from facesearch.gallery.transfers import TransferOptions
from facesearch.transferring import push


@pytest.fixture(autouse=True)
def _little_patience(monkeypatch) -> None:
    monkeypatch.setenv("FACESEARCH_MILVUS_TIMEOUT", "1.5")


def test_nobody_listens(monkeypatch) -> None:
    monkeypatch.setenv("FACESEARCH_MILVUS_TIMEOUT", "5")  # a busy machine is slow to say so
    address = parse_store(f"milvus+http://127.0.0.1:{free_port()}/faces")
    with pytest.raises(StoreError, match="no server answers there; start it or check") as error:
        open_gallery(address)
    assert str(error.value).startswith(f"{address}: ")
    assert "\n" not in str(error.value)


def test_a_host_that_is_none(monkeypatch) -> None:
    monkeypatch.setenv("FACESEARCH_MILVUS_TIMEOUT", "5")
    with pytest.raises(StoreError, match="no server answers there"):
        open_gallery(parse_store("milvus+http://no-such-host.invalid/faces"))


def test_a_socket_that_accepts_and_never_answers() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        address = parse_store(f"milvus+http://127.0.0.1:{silent.getsockname()[1]}/faces")
        with pytest.raises(StoreError, match=r"no server answers there|no answer within 1\.5 s"):
            open_gallery(address)


def test_a_server_that_speaks_something_else() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()

        def answer() -> None:
            while True:
                try:
                    taken, _ = other.accept()
                except OSError:
                    return
                with taken:
                    taken.recv(100)
                    taken.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

        threading.Thread(target=answer, daemon=True).start()
        port = other.getsockname()[1]
        for scheme in ("http", "https"):
            with pytest.raises(StoreError, match="no server answers there") as error:
                open_gallery(parse_store(f"milvus+{scheme}://127.0.0.1:{port}/faces"))
            assert "\n" not in str(error.value)


class Client:
    """Stands for pymilvus's: raises what it was given, then answers."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.calls = 0

    def query(self, *_: object, **asked: object) -> str:
        self.calls += 1
        assert 0 < asked["timeout"] <= 1.5
        if self.errors:
            raise self.errors.pop(0)
        return "rows"


@pytest.fixture
def connected(lite):
    connection = Connection(lite, create=True)

    def given(*errors: Exception) -> tuple[Connection, Client]:
        client = Client(*errors)
        connection._client = client
        return connection, client

    return given


def failed(code: int, message: str) -> Exception:
    from pymilvus import MilvusException

    return MilvusException(code, message)


class RpcError(Exception):
    """As gRPC has them."""

    def __init__(self, code: str) -> None:
        self._code = code

    def code(self) -> object:
        import grpc

        return getattr(grpc.StatusCode, self._code)

    def details(self) -> str:
        return "what gRPC says\nin two lines"


def rpc_failed(code: str) -> Exception:
    import grpc

    return type("Failed", (RpcError, grpc.RpcError), {})(code)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            lambda: failed(1400, "auth check failure, please check"),
            "user, password or token refuse",
        ),
        (lambda: failed(65535, "auth check failure"), "set FACESEARCH_MILVUS_USER"),
        (lambda: rpc_failed("UNAUTHENTICATED"), "user, password or token refused"),
        (lambda: failed(1402, "permission deny"), "this user may not do that"),
        (lambda: rpc_failed("PERMISSION_DENIED"), "ask for the role"),
        (lambda: failed(9, "quota exceeded[reason=disk quota exhausted]"), "full, or limited by a"),
        (lambda: failed(3, "memory limit exceeded"), "make room, then run the same command again"),
        (lambda: rpc_failed("RESOURCE_EXHAUSTED"), "full, or limited by a quota"),
        (lambda: rpc_failed("DEADLINE_EXCEEDED"), r"no answer within 1\.5 s; .*MILVUS_TIMEOUT"),
        (lambda: failed(65535, "something\nelse " + "x" * 300), "something else x{150}"),
    ],
)
def test_what_a_server_says_in_one_line(connected, lite, error, told) -> None:
    connection, client = connected(error())
    with pytest.raises(StoreError, match=told) as found:
        connection.call("query")
    assert str(found.value).startswith(f"{lite}: ")
    assert "\n" not in str(found.value)
    assert len(str(found.value)) < 500
    assert client.calls == 1


def test_what_is_below_what_pymilvus_says(connected) -> None:
    error = failed(2, "Fail connecting to server on x, illegal connection params")
    error.__cause__, error.__context__ = error, rpc_failed("UNAUTHENTICATED")
    connection, client = connected(error)
    with pytest.raises(StoreError, match="user, password or token refused"):
        connection.call("query")
    assert client.calls == 1


def test_a_server_that_went_away_is_waited_for_until_the_time_is_over(connected) -> None:
    connection, client = connected(*[rpc_failed("UNAVAILABLE")] * 100)
    with pytest.raises(StoreError, match="no server answers there; start it"):
        connection.call("query")
    assert 2 < client.calls < 10


def test_a_collection_that_is_gone(connected) -> None:
    connection, _ = connected(failed(100, "collection not found"))
    with pytest.raises(StoreMissingError, match="no gallery here"):
        connection.call("query")


def test_patience_with_a_server_that_will_be_ready_and_its_end(connected, monkeypatch) -> None:
    pauses: list[float] = []
    clock = [0.0]

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        clock[0] += seconds

    monkeypatch.setattr(connection_module.time, "sleep", sleep)
    monkeypatch.setattr(connection_module.time, "monotonic", lambda: clock[0])
    connection, client = connected(failed(503, "channel not available"), failed(106, "recovering"))
    assert connection.call("query") == "rows"
    assert (client.calls, pauses) == (3, [0.2, 0.4])
    pauses.clear()
    connection, client = connected(*[failed(101, "collection not loaded")] * 50)
    with pytest.raises(StoreError, match="collection not loaded"):
        connection.call("query")
    assert sum(pauses) <= 1.5
    assert client.calls == len(pauses) + 1 < 6


def test_an_error_of_our_own_is_not_hidden(connected) -> None:
    connection, _ = connected(ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        connection.call("query")


@pytest.mark.parametrize("text", ["0", "-1", "soon", "nan", "inf"])
def test_a_time_limit_that_is_none(lite, monkeypatch, text) -> None:
    monkeypatch.setenv("FACESEARCH_MILVUS_TIMEOUT", text)
    with pytest.raises(UsageError, match=f"FACESEARCH_MILVUS_TIMEOUT={text}: is no number"):
        Connection(lite, create=True)


@pytest.mark.parametrize("missing", ["pymilvus", "milvus_lite.server_manager"])
def test_without_the_extra(lite, monkeypatch, missing) -> None:
    real = builtins.__import__

    def refusing(name: str, *rest: object, **named: object) -> object:
        if name == missing:
            raise ModuleNotFoundError(name)
        return real(name, *rest, **named)

    monkeypatch.delitem(sys.modules, missing, raising=False)
    monkeypatch.setattr(builtins, "__import__", refusing)
    with pytest.raises(StoreError, match=r"run: pip install (pymilvus$|milvus-lite)") as error:
        Connection(lite, create=True)
    assert "\n" not in str(error.value)


def test_a_file_that_is_no_milvus_lite(tmp_path) -> None:
    path = tmp_path / "text.db"
    path.write_text("a letter")
    with pytest.raises(StoreError, match=r"cannot be opened; another process has it, or it is no"):
        open_gallery(parse_store(f"milvus+file:{path}"))
    assert path.read_text() == "a letter"


def test_rows_too_long_for_the_engine(tmp_path, lite) -> None:
    import numpy as np

    from small_store import store_of_rows

    path = tmp_path / "faces.npz"
    store_of_rows(path, [("a.jpg", np.ones((1, 40_000), np.float32))])
    with pytest.raises(StoreError, match="40,000 numbers are too long for Milvus"):
        push(path, lite, TransferOptions())


def test_importing_it_reads_no_settings_and_prints_nothing(tmp_path, capfd, lite) -> None:
    """pymilvus would load the ``.env`` of some folder above, and logs tracebacks."""
    import subprocess

    program = (
        "import os, sys\n"
        "from facesearch.gallery.milvus.connection import Connection\n"
        "from facesearch.addresses import parse_store\n"
        "assert 'pymilvus' not in sys.modules\n"
        "before = dict(os.environ)\n"
        f"address = parse_store('milvus+http://127.0.0.1:{free_port()}/faces')\n"
        "try:\n    Connection(address)\n"
        "except Exception as error:\n    print(type(error).__name__)\n"
        "assert dict(os.environ) == before\n"
    )
    home = tmp_path / "home"
    home.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={**os.environ, "HOME": str(home)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("StoreError\n", "")
    assert list(home.iterdir()) == []


def test_the_commands_tell_it_in_one_line(tmp_path, capfd, monkeypatch) -> None:
    monkeypatch.setenv("FACESEARCH_HOME", str(tmp_path / "home"))
    path = tmp_path / "faces.npz"
    write_store(path, 3)
    address = f"milvus+http://127.0.0.1:{free_port()}/faces"
    began = time.monotonic()
    monkeypatch.setenv("FACESEARCH_MILVUS_TIMEOUT", "0.5")
    for arguments in (
        ["push", str(path), address],
        ["pull", address, str(tmp_path / "back.npz")],
        ["info", address],
        ["check", "--store", address],
        ["query", "photo.jpg", "--store", address],
        ["index", str(tmp_path), "--store", address],
    ):
        assert run(arguments) == 1
        lines = capfd.readouterr().err.splitlines()
        assert lines[-1].startswith(f"facesearch: {address}: no server answers there"), arguments
        assert len(lines) <= 2
    assert time.monotonic() - began < 300  # each gave up by itself
    for arguments in (
        ["roots", "--store", address],
        ["label", "--forget", "--store", address],
        ["eval", "--store", address],
        ["split", address, "-o", "part.npz", "--parts", "2"],
    ):
        assert run(arguments) == 2
        assert f"this command needs a store file; facesearch pull {address}" in (
            capfd.readouterr().err
        )
    assert run(["push", str(path), str(path)]) == 2
    assert "is no address; write milvus+http" in capfd.readouterr().err
    assert run(["info", "milvus+http://ann:secret@host/faces"]) == 2
    told = capfd.readouterr().err
    assert "secret" not in told
    assert "ann:" not in told
