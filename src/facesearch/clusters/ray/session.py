"""A connection to Ray: a private one on this machine, or one to a cluster that runs already.

All of it happens in a process of its own, see ``driver``: Ray changes the environment, the handlers
of signals and what is printed, and ends its process where it sees no way on.
"""

from __future__ import annotations

import logging
import math
import os
import re
import secrets
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from facesearch.clusters.ray.conductor import Readers
from facesearch.errors import ClusterError

log = logging.getLogger(__name__)

LOCAL = "local"
"""In the place of an address: a Ray of this machine that ends with the run."""
_STORE_BYTES = 256 << 20  # results wait here for the run, listings for the readers
_LOOPBACK = "127.0.0.1"
_CLIENT_PORT = 10001  # Ray's own default
_CONNECT_SECONDS = 10.0
_ATTEMPTS = 2

_ALWAYS = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_DATA_DISABLE_PROGRESS_BARS": "1"}
_LOCAL = {
    # Its servers listen on the loopback interface alone, as they do by default on a Mac.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    # Memory is bounded by how many workers there are, as without a cluster.
    "RAY_memory_monitor_refresh_ms": "0",
    "RAY_AUTH_MODE": "token",
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the readers need, see ``ClusterJob``; ``address`` is ``LOCAL`` or that of a cluster."""

    address: str
    jobs: int | None
    local_jobs: int
    worker_bytes: int
    gpu: bool


def connect(wanted: Wanted, folder: str) -> None:
    """Starts or joins the cluster.

    Args:
        wanted: which.
        folder: for the sockets and logs of one that is started.

    Raises:
        ClusterError: Ray cannot be loaded, or the cluster does not answer or does not fit.
    """
    if wanted.address != LOCAL:
        try:
            reach(wanted.address)
        except (OSError, ValueError) as error:
            raise ClusterError(_why(wanted.address, error)) from error
    os.environ.update(_ALWAYS)
    options: dict[str, Any] = {"address": wanted.address}
    if wanted.address == LOCAL:
        os.environ.update(_LOCAL)
        # Whoever speaks to it needs this token, which Ray else makes itself and leaves in a file
        # at home.
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
        options |= {
            "num_cpus": wanted.local_jobs,
            "object_store_memory": _STORE_BYTES,
            "include_dashboard": False,
            "_node_ip_address": _LOOPBACK,
            "_temp_dir": folder,
        }
    try:
        _start(options)
    except Exception as error:  # Ray's errors have no common root
        log.debug("no connection to Ray", exc_info=True)
        raise ClusterError(_why(wanted.address, error)) from error


def _start(options: Mapping[str, Any]) -> None:
    """Connects; once more where a busy cluster, which does listen, was too slow to answer."""
    import ray

    for attempt in range(_ATTEMPTS):
        try:
            ray.init(logging_level=logging.ERROR, log_to_driver=False, **options)
            return
        except ConnectionError:
            if attempt == _ATTEMPTS - 1:
                raise
            ray.shutdown()


def readers_for(wanted: Wanted) -> Readers:
    """How many readers there can be, and what each takes of its machine.

    Raises:
        ClusterError: there is no machine that could hold one.
    """
    import ray

    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    gpus = sum(node.get("GPU", 0.0) for node in nodes) if wanted.gpu else 0.0
    if wanted.address == LOCAL:
        return Readers(wanted.local_jobs, gpus=_share(gpus, wanted.local_jobs))
    count = wanted.jobs or _room(nodes, "GPU" if gpus else "CPU", wanted.worker_bytes)
    if not count:
        raise ClusterError(
            f"{wanted.address}: has no machine with a processor and "
            f"{wanted.worker_bytes / 1e9:.1f} GB of memory for a worker; add one, or say with "
            "--jobs up to how many workers it will have"
        )
    return Readers(count, gpus=_share(gpus, count), memory=wanted.worker_bytes, shared=True)


def reach(address: str) -> None:
    """Makes sure that somebody listens there; Ray itself would try for minutes.

    Raises:
        OSError: nobody does.
        ValueError: it is no address.
    """
    place = urlsplit(address if "://" in address else f"//{address}")
    host, port = place.hostname or "", place.port or _CLIENT_PORT
    socket.create_connection((host, port), _CONNECT_SECONDS).close()


def _room(nodes: Sequence[Mapping[str, float]], kind: str, worker_bytes: int) -> int:
    """Workers for which there are processors, or GPUs, and memory."""
    return sum(
        min(int(node.get(kind, 0)), int(node.get("memory", 0)) // max(1, worker_bytes))
        for node in nodes
    )


def _share(gpus: float, readers: int) -> float:
    """How much of a GPU each reader takes, whole readers to a GPU; 0 where there are none."""
    return 1 / math.ceil(readers / gpus) if gpus else 0.0


def _why(address: str, error: Exception) -> str:
    """What is wrong with a cluster, in one line."""
    text = " ".join(str(error).split())
    if isinstance(error, ImportError):
        return f"Ray cannot be loaded ({text}); install it again: pip install --force-reinstall ray"
    if address == LOCAL:
        return f"Ray does not start on this machine ({text[:300]}); leave out --cluster"
    if re.search(r"version", text, re.IGNORECASE):
        return f"{address}: {text[:300]}; install the same Ray and Python on both sides"
    if re.search(r"token|unauthenticated", text, re.IGNORECASE):
        return f"{address}: asks for a token; put it into RAY_AUTH_TOKEN, with RAY_AUTH_MODE=token"
    place = urlsplit(address).netloc or address
    return f"{address}: no answer ({text[:200]}); is a Ray cluster running at {place}?"
