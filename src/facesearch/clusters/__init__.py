"""Who reads photos where one machine is not enough: cluster engines, each behind one protocol.

An engine drives the very stages that the worker processes of one machine run, and hands the results
to the run, which writes them. Another engine is one module with an ``open_pool`` and one line in
``ENGINES``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol, Self, cast

from facesearch.errors import UsageError
from facesearch.processing import PhotoTask
from facesearch.records import PhotoResult
from facesearch.workers import Lost, Worker

ENGINES = {
    "auto": "facesearch.clusters.ray",
    "local": "facesearch.clusters.ray",
    "ray": "facesearch.clusters.ray",
}
"""What an address begins with (all of it, or what stands before "://") -> module, an ``Engine``."""

WorkerFactory = Callable[[], Worker[PhotoTask, PhotoResult]]


class PhotoPool(Protocol):
    """Whatever reads photos: the processes of this machine, or a cluster."""

    description: str
    """What the networks run on; "" before the first result."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def run(
        self, batches: Iterable[list[PhotoTask]]
    ) -> Iterator[tuple[PhotoTask, PhotoResult | Lost]]:
        """Yields (task, result) for every task exactly once, as they are ready.

        Raises:
            FacesearchError: the workers cannot be set up, or cannot go on.
        """


@dataclass(frozen=True, slots=True)
class ClusterJob:
    """What a cluster has to do with each photo, and what each of its workers needs.

    ``factory`` makes a worker and ``prepare`` brings what it needs to the machine it runs on,
    weights say; both travel there. ``prepare_here`` does the same where the workers run on this
    machine, and may show it. ``jobs`` are workers in all: None for as many as the cluster has
    room for, ``local_jobs`` where it is this machine. ``worker_bytes`` is the memory of one.
    ``gpu``: each takes a GPU where there are any. ``item_timeout`` is in seconds for one photo,
    ``on_message`` is told what a person should know.
    """

    factory: WorkerFactory
    prepare: Callable[[], None]
    prepare_here: Callable[[], None]
    jobs: int | None = None
    local_jobs: int = 1
    worker_bytes: int = 0
    gpu: bool = False
    item_timeout: float = 120.0
    on_message: Callable[[str], None] = lambda _text: None


class Engine(Protocol):
    """A module that runs jobs on one kind of cluster."""

    def open_pool(self, address: str, job: ClusterJob) -> PhotoPool:
        """A pool that connects when it is entered.

        Raises:
            ClusterError: what it needs is not installed.
        """


def open_pool(address: str, job: ClusterJob) -> PhotoPool:
    """The readers of the cluster at ``address``.

    Raises:
        UsageError: no engine knows such an address.
        ClusterError: the engine is not installed.
    """
    engine = cast(Engine, import_module(ENGINES[engine_of(address)]))
    return engine.open_pool(address, job)


def engine_of(address: str) -> str:
    """The key in ``ENGINES`` of an address.

    Raises:
        UsageError: no engine knows such an address.
    """
    name, separator, place = address.partition("://")
    bare = name in ("auto", "local")
    if name not in ENGINES or bool(separator) == bare or (separator and not place):
        raise UsageError(
            f"there is no cluster {address!r}; give auto, local or an address as ray://HOST:10001"
        )
    return name
