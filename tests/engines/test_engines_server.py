"""A real server: the same answers, and nothing that was acknowledged is lost when it is killed."""

from __future__ import annotations

import shutil
import subprocess
import time

import numpy as np
import pytest
from galleries import SEARCHES, answers, rows, write_store
from milvus_server import RunningServer, require_server

from facesearch import indexing
from facesearch.addresses import parse_store
from facesearch.errors import StoreError
from facesearch.gallery import Search
from facesearch.gallery.milvus import pushing, schema
from facesearch.gallery.milvus.connection import Connection
from facesearch.gallery.milvus.tables import Table
from facesearch.gallery.opening import open_gallery, problems_of
from facesearch.gallery.transfers import TransferOptions
from facesearch.indexing import RunState
from facesearch.store import Store
from facesearch.transferring import pull, push
from small_store import store_of_rows

PLAIN = TransferOptions()


def test_there_and_back_and_the_same_answers(tmp_path, on_server) -> None:
    path, back = tmp_path / "faces.npz", tmp_path / "back.npz"
    store = write_store(path)
    push(path, on_server, PLAIN)
    theirs, ours = open_gallery(on_server), open_gallery(path)
    for search in SEARCHES[::4]:
        assert answers(theirs, rows(2, 1), search) == answers(ours, rows(2, 1), search)
    assert problems_of(on_server, False) == []
    pull(on_server, back, PLAIN)
    assert Store.open(back).content_digest() == store.content_digest()
    assert push(back, on_server, PLAIN).written == 0


@pytest.mark.full
def test_an_index_run(library, on_server, monkeypatch) -> None:
    monkeypatch.setattr(indexing, "COMMIT_SECONDS", 0.0)
    shelf = library(on_server)
    photos = shelf.add_many(12)
    shelf.index()
    photos[0].rename(photos[0].with_name("moved.jpg"))
    shutil.copy(photos[2], photos[2].with_name("copied.jpg"))
    photos[3].unlink()
    shelf.index()
    assert shelf.problems() == []
    assert shelf.store.content_digest() == shelf.digest_of_a_fresh_store()


@pytest.fixture
def mortal(tmp_path_factory, request):
    """A server of the test's own, which it may kill."""
    require_server()
    running = RunningServer(tmp_path_factory.mktemp("milvus"))
    request.addfinalizer(running.stop)
    running.start()
    return running


@pytest.mark.full
def test_killed_in_the_middle_of_a_push(tmp_path, mortal, monkeypatch) -> None:
    monkeypatch.setattr(pushing, "_AT_ONCE", 200)
    monkeypatch.setenv("FACESEARCH_MILVUS_TIMEOUT", "5")
    path, back = tmp_path / "faces.npz", tmp_path / "back.npz"
    made = rows(6_000)
    store = store_of_rows(path, [(f"{n:05}.jpg", made[n : n + 1]) for n in range(len(made))])
    address = parse_store(mortal.address("faces"))
    acknowledged: list[int] = []

    def watch(done: int, total: int) -> None:
        acknowledged.append(done)
        if done >= 2_000 and len(acknowledged) < 1_000:
            acknowledged.extend([done] * 1_000)
            mortal.kill()

    with pytest.raises(StoreError, match=r"no server answers there|no answer within"):
        push(path, address, PLAIN, watch)
    mortal.start()
    monkeypatch.setenv("FACESEARCH_MILVUS_TIMEOUT", "120")
    connection = Connection(address)
    schema.require_collections(connection)
    there = Table(connection, schema.FACES).count()
    assert 2_000 <= max(acknowledged) <= there < 6_000
    done = push(path, address, PLAIN)
    assert done.unchanged >= there
    assert done.unchanged + done.written == 12_000
    assert problems_of(address, False) == []
    pull(address, back, PLAIN)
    assert Store.open(back).content_digest() == store.content_digest()
    asked = made[:5]
    ours, theirs = (
        open_gallery(name).search(asked, [""] * 5, Search(50)) for name in (path, address)
    )
    assert ours == theirs


@pytest.mark.full
def test_killed_in_the_middle_of_an_index_run(library, mortal, monkeypatch) -> None:
    monkeypatch.setattr(indexing, "COMMIT_SECONDS", 0.0)
    monkeypatch.setenv("FACESEARCH_MILVUS_TIMEOUT", "5")
    shelf = library(parse_store(mortal.address("faces")))
    shelf.add_many(40)

    def kill(state: RunState) -> None:
        if state.done == 15:
            mortal.kill()

    shelf.hooks["on_progress"] = kill
    with pytest.raises(StoreError, match=r"no server answers there|no answer within"):
        shelf.index()
    shelf.hooks.clear()
    mortal.start()
    monkeypatch.setenv("FACESEARCH_MILVUS_TIMEOUT", "120")
    shelf.embedded()
    shelf.index()
    assert len(shelf.embedded()) <= 26  # at least what was committed before is not read again
    assert shelf.problems() == []
    assert shelf.store.content_digest() == shelf.digest_of_a_fresh_store()


@pytest.mark.full
def test_a_short_absence_is_waited_out(tmp_path, mortal, monkeypatch) -> None:
    """A server that starts again within the time limit costs a push nothing but the time."""
    monkeypatch.setattr(pushing, "_AT_ONCE", 200)
    monkeypatch.setenv("FACESEARCH_MILVUS_TIMEOUT", "180")
    path = tmp_path / "faces.npz"
    made = rows(1_500)
    store_of_rows(path, [(f"{n:05}.jpg", made[n : n + 1]) for n in range(len(made))])
    address = parse_store(mortal.address("faces"))
    killed: list[float] = []

    def watch(done: int, total: int) -> None:
        if done >= 600 and not killed:
            killed.append(time.monotonic())
            mortal.kill()
            mortal.start()

    assert push(path, address, PLAIN, watch).written == 3_000
    assert killed
    assert problems_of(address, False) == []


@pytest.mark.full
def test_user_and_password(tmp_path, tmp_path_factory, request, monkeypatch) -> None:
    running = RunningServer(tmp_path_factory.mktemp("milvus"), authorization_enabled=True)
    request.addfinalizer(running.stop)
    running.start()
    path = tmp_path / "faces.npz"
    write_store(path, 10)
    address = parse_store(running.address("faces"))
    refused = "user, password or token refused; set FACESEARCH_MILVUS_USER"
    with pytest.raises(StoreError, match=refused):
        push(path, address, PLAIN)
    monkeypatch.setenv("FACESEARCH_MILVUS_USER", "root")
    monkeypatch.setenv("FACESEARCH_MILVUS_PASSWORD", "wrong")
    with pytest.raises(StoreError, match=refused) as error:
        push(path, address, PLAIN)
    assert "wrong" not in str(error.value)
    monkeypatch.setenv("FACESEARCH_MILVUS_PASSWORD", "Milvus")
    push(path, address, PLAIN)
    connection = Connection(address)
    connection.call("create_user", "reader", "Reader123")
    connection.call("create_role", "reading")
    for right in ("Search", "Query", "Load"):
        connection.call("grant_privilege", "reading", "Collection", right, "*")
    for right in ("ShowCollections", "DescribeCollection"):
        connection.call("grant_privilege", "reading", "Global", right, "*")
    connection.call("grant_role", "reader", "reading")
    held = tmp_path / "reader.toml"
    held.write_text('user = "reader"\npassword = "Reader123"\n')
    held.chmod(0o600)
    monkeypatch.delenv("FACESEARCH_MILVUS_USER")
    monkeypatch.delenv("FACESEARCH_MILVUS_PASSWORD")
    monkeypatch.setenv("FACESEARCH_MILVUS_CREDENTIALS", str(held))
    assert open_gallery(address).coverage().photos > 0
    with pytest.raises(StoreError, match="this user may not do that"):
        push(path, address, TransferOptions())


@pytest.mark.full
def test_tls(tmp_path, tmp_path_factory, request, monkeypatch) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("no openssl to make a certificate with")
    key, certificate = tmp_path / "server.key", tmp_path / "server.pem"
    making = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext"
    subprocess.run(
        [
            *making.split(),
            "subjectAltName=DNS:localhost,IP:127.0.0.1",
            "-keyout",
            str(key),
            "-out",
            str(certificate),
        ],
        check=True,
        capture_output=True,
    )
    running = RunningServer(
        tmp_path_factory.mktemp("milvus"),
        tls_mode=1,
        server_pem_path=str(certificate),
        server_key_path=str(key),
    )
    request.addfinalizer(running.stop)
    running.start()
    path = tmp_path / "faces.npz"
    write_store(path, 10)
    monkeypatch.setenv("FACESEARCH_MILVUS_TIMEOUT", "5")
    address = parse_store(running.address("faces").replace("http:", "https:"))
    with pytest.raises(StoreError, match="no server answers there"):  # nobody vouches for it
        push(path, address, PLAIN)
    with pytest.raises(StoreError, match="no server answers there"):  # not encrypted
        push(path, parse_store(running.address("faces")), PLAIN)
    monkeypatch.setenv("FACESEARCH_MILVUS_CA", str(certificate))
    monkeypatch.setenv("FACESEARCH_MILVUS_TIMEOUT", "60")
    push(path, address, PLAIN)
    assert open_gallery(address).coverage().photos > 0


@pytest.mark.full
def test_rows_of_every_length_come_back_as_they_were(tmp_path, on_server) -> None:
    """Four numbers a row, and 4,096."""
    for dim in (4, 4_096):
        path, back = tmp_path / f"{dim}.npz", tmp_path / f"{dim}-back.npz"
        made = np.random.default_rng(dim).normal(size=(300, dim)).astype(np.float32)
        made /= np.linalg.norm(made, axis=1, keepdims=True)
        store = store_of_rows(path, [(f"{n}.jpg", made[n : n + 1]) for n in range(300)])
        address = parse_store(f"{on_server!s}_{dim}")
        push(path, address, PLAIN)
        pull(address, back, PLAIN)
        assert Store.open(back).content_digest() == store.content_digest()
        assert back.stat().st_size > 300 * dim * 4
