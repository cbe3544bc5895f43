"""A real Milvus server of a test's own: started, killed, started again, ended with all it left."""

from __future__ import annotations

import os
import shutil
import socket
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

_TRIES = 3
_SECONDS = 120.0


def require_server() -> None:
    """Skips a test where there is no server for this kind of machine; not where it should be."""
    if os.environ.get("CI") != "true" or sys.platform != "linux":
        pytest.importorskip("milvus")


class RunningServer:
    """Listens on this machine alone, on a port of its own; its data go with it.

    ``settings`` are those of ``milvus.MilvusServerConfig``, as ``tls_mode``.
    """

    def __init__(self, folder: Path, **settings: Any) -> None:
        self._folder = folder
        self.port = free_port()
        self._settings = settings
        self._server: Any = None

    def start(self) -> None:
        """Returns when it is ready; after a kill it has what was acknowledged.

        Tried again, for between looking for a free port and listening on it another may take it.
        """
        for _ in range(_TRIES):
            self._launch()
            if self._is_up():
                return
            self._server.stop()
        raise RuntimeError(f"{self._folder}: the server does not start; see its logs")

    def _launch(self) -> None:
        from milvus import MilvusServer, MilvusServerConfig

        class Config(MilvusServerConfig):  # type: ignore[misc]
            """A port counts as free though connections of a killed server linger there."""

            def try_bind_port(self, port: int) -> socket.socket | None:
                probe = socket.socket()
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind(("127.0.0.1", port))
                    probe.listen()
                except OSError:
                    probe.close()
                    return None
                return probe

        here = Path.cwd()
        try:
            config = Config(data_dir=str(self._folder), proxy_port=self.port)
            config.template_text = config.template_text.replace(
                "\netcd:\n", f"\netcd:\n  config:\n    path: {self._etcd()}\n", 1
            )
            for name, value in self._settings.items():
                config.set(name, value)
            self._server = MilvusServer(config, wait_for_started=False)
            self._server.webservice_port = free_port()
            self._server.start()
        finally:
            os.chdir(here)

    def _etcd(self) -> Path:
        """Settings of the etcd inside it, which would listen where every other one does."""
        client, peer = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
        settings = {
            "name": "default",
            "listen-client-urls": client,
            "advertise-client-urls": client,
            "listen-peer-urls": peer,
            "initial-advertise-peer-urls": peer,
            "initial-cluster": f"default={peer}",
        }
        path = self._folder / "etcd.yaml"
        path.write_text("".join(f"{name}: {value}\n" for name, value in settings.items()))
        return path

    def _is_up(self) -> bool:
        """Whether it says that it is ready, before it dies."""
        end = time.monotonic() + _SECONDS
        health = f"http://127.0.0.1:{self._server.webservice_port}/healthz"
        while time.monotonic() < end and self._server.server_proc.poll() is None:
            try:
                with urllib.request.urlopen(health, timeout=5) as answer:
                    if b"OK" in answer.read():
                        time.sleep(1)  # as MilvusServer itself does
                        return True
            except (urllib.error.URLError, OSError):
                pass
            time.sleep(0.1)
        return False

    def kill(self) -> None:
        """As ``kill -9`` does."""
        self._server.server_proc.kill()
        self._server.server_proc.wait()
        self._server.server_proc = None

    def stop(self) -> None:
        """Ends it and removes its data."""
        if self._server is not None:
            self._server.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def address(self, collection: str) -> str:
        """Where a gallery in it is."""
        return f"milvus+http://127.0.0.1:{self.port}/{collection}"


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
