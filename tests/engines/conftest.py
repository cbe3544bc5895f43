"""Galleries in Milvus Lite and in a real server, and fake photos that are indexed there."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from engine_library import EngineLibrary
from milvus_server import RunningServer, require_server

from facesearch.addresses import EngineAddress, parse_store

_NUMBERS = itertools.count()


@pytest.fixture(autouse=True)
def _no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("USER", "PASSWORD", "TOKEN", "CREDENTIALS", "CA", "TIMEOUT"):
        monkeypatch.delenv(f"FACESEARCH_MILVUS_{name}", raising=False)


@pytest.fixture(scope="module")
def lite_file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A file of Milvus Lite for the galleries of a module's tests."""
    from milvus_lite.server_manager import server_manager_instance

    path = tmp_path_factory.mktemp("lite") / "galleries.db"
    yield path
    server_manager_instance.release_server(str(path))


@pytest.fixture
def lite(lite_file: Path) -> EngineAddress:
    """A gallery that is not there yet."""
    address = parse_store(f"milvus+file:{lite_file}#gallery_{next(_NUMBERS)}")
    assert isinstance(address, EngineAddress)
    return address


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A real server."""
    require_server()
    running = RunningServer(tmp_path_factory.mktemp("milvus"))
    running.start()
    yield running
    running.stop()


@pytest.fixture
def on_server(server: RunningServer) -> EngineAddress:
    """A gallery that is not there yet."""
    address = parse_store(server.address(f"gallery_{next(_NUMBERS)}"))
    assert isinstance(address, EngineAddress)
    return address


@pytest.fixture
def library(tmp_path: Path) -> Callable[[EngineAddress], EngineLibrary]:
    """A library that is indexed into a gallery."""
    return lambda address: EngineLibrary(tmp_path / "home", address)
