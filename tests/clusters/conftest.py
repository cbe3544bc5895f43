"""One Ray cluster of two machines for all tests, and what runs in it."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

SCRIPT = Path(__file__).with_name("ray_machines.py")


@dataclass(frozen=True)
class Machines:
    """``environment`` is what a run needs to find the cluster and be let in;
    ``for_clients`` is its ``ray://`` address.
    """

    process: subprocess.Popen[str]
    environment: dict[str, str]
    for_clients: str

    def readers(self) -> list[psutil.Process]:
        """The processes that supervise readers at this moment."""
        return self._named("ray::MapWorker")

    def conductors(self) -> list[psutil.Process]:
        return self._named("ray::Conductor")

    def _named(self, start: str) -> list[psutil.Process]:
        found = []
        for child in psutil.Process(self.process.pid).children(recursive=True):
            try:
                if (child.cmdline() or [""])[0].startswith(start):
                    found.append(child)
            except psutil.NoSuchProcess:
                continue
        return found


def ray_environment(home: Path) -> dict[str, str]:
    """For every process that has to do with Ray here: on the loopback interface, with a token, and
    with its modules compiled once.
    """
    environment = {
        **os.environ,
        "HOME": str(home),
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "PYTHONPYCACHEPREFIX": str(home / "compiled"),
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_memory_monitor_refresh_ms": "0",
    }
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    environment.pop("RAY_ADDRESS", None)
    return environment


@pytest.fixture(scope="session")
def ray_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="session")
def _machines(ray_home: Path) -> Iterator[Machines]:
    folder = tempfile.mkdtemp(prefix="fs-", dir="/tmp")  # names of sockets have to be short
    environment = {**ray_environment(ray_home), "RAY_TMPDIR": folder}
    with subprocess.Popen(
        [sys.executable, str(SCRIPT), "2"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
    ) as process:
        assert process.stdout is not None
        words = next((line for line in process.stdout if line.startswith("addresses ")), "")
        assert words, "the cluster does not start"
        _, address, for_clients = words.split()
        yield Machines(process, {**environment, "RAY_ADDRESS": address}, for_clients)
        process.communicate(timeout=60)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def machines(_machines: Machines, monkeypatch: pytest.MonkeyPatch) -> Machines:
    """The cluster, where ``--cluster auto`` finds it."""
    for name, value in _machines.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    return _machines
