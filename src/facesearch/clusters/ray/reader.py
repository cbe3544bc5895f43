"""What runs on the machines of the cluster: a reader supervises one process with the networks."""

from __future__ import annotations

import contextlib
import logging
import os
import pickle
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import facesearch
from facesearch.clusters import WorkerFactory
from facesearch.errors import ClusterError, FacesearchError
from facesearch.locations import is_address
from facesearch.processing import PhotoTask
from facesearch.records import PhotoResult
from facesearch.workers import Lost, PoolOptions, WorkerPool

log = logging.getLogger(__name__)

COLUMN = "pickled"
"""The one column of the tables that travel: a pickled block in each row."""
_HIDDEN = frozenset({"vanished", "unreadable"})  # what a folder that is not mounted looks like

Block = list[list[PhotoTask]]
"""Batches that go to a reader together; the ``batches`` of a ``WorkerPool``."""


@dataclass(frozen=True, slots=True)
class ReaderSpec:
    """What a reader needs; travels to each machine. ``version`` is that of the run's facesearch.

    See ``ClusterJob`` for the rest.
    """

    factory: WorkerFactory
    prepare: Callable[[], None]
    item_timeout: float
    version: str = facesearch.__version__


@dataclass(frozen=True, slots=True)
class Finished:
    """What became of a block: (number of the task, result) of each, in any order. ``node`` is the
    machine's name, ``device`` what its networks run on. ``hidden`` are numbers of tasks whose
    folder this machine does not show.
    """

    results: tuple[tuple[int, PhotoResult | Lost], ...]
    node: str
    device: str
    hidden: tuple[int, ...] = ()


class Reader:
    """The stateful function that Ray Data maps over tables of blocks; one for each worker.

    The photos are read by a process of its own, so that one that crashes or hangs costs that
    process and is named, exactly as on one machine. What keeps a reader from working at all is
    handed back as a value: Ray would wrap it in its own words, and start the reader again.
    """

    def __init__(self, spec: ReaderSpec) -> None:
        self._pool: WorkerPool[PhotoTask, PhotoResult] | None = None
        self._error: FacesearchError | None = None
        try:
            _require_version(spec.version)
            spec.prepare()
        except FacesearchError as error:
            self._error = error
            return
        self._pool = WorkerPool(spec.factory, PoolOptions(1, spec.item_timeout))

    def __call__(self, table: Any) -> Any:
        """A table of as many rows, each a pickled ``Finished`` or error."""
        blocks = [pickle.loads(row) for row in table[COLUMN].to_pylist()]
        return table_of([pickle.dumps(self._outcome(block)) for block in blocks])

    def _outcome(self, block: Block) -> Finished | FacesearchError:
        if self._pool is None or self._error is not None:
            return _told_from(self._error or ClusterError("the reader has no workers"))
        try:
            found = list(self._pool.run(block))
        except FacesearchError as error:
            self._error = error
            return _told_from(error)
        except Exception as error:
            log.debug("a reader cannot go on", exc_info=True)
            return _told_from(ClusterError(f"{type(error).__name__}: {error}"))
        results = tuple((task.number, result) for task, result in found)
        hidden = tuple(task.number for task, result in found if _is_hidden(task, result))
        return Finished(results, socket.gethostname(), self._pool.description, hidden)


def table_of(rows: Sequence[bytes]) -> Any:
    """A table as it travels, one pickled object a row."""
    import pyarrow

    return pyarrow.table({COLUMN: pyarrow.array(rows, pyarrow.large_binary())})


def _require_version(wanted: str) -> None:
    if facesearch.__version__ != wanted:
        raise ClusterError(
            f"facesearch {facesearch.__version__} is installed, the run's is {wanted}; install the "
            "same version everywhere"
        )


def _told_from(error: FacesearchError) -> FacesearchError:
    """The error with the machine it comes from."""
    return ClusterError(f"{socket.gethostname()}: {error}")


def _is_hidden(task: PhotoTask, result: PhotoResult | Lost) -> bool:
    """Whether a photo is not there because its whole folder is not, or shows nothing."""
    failure = None if isinstance(result, Lost) else result.failure
    if failure is None or failure.reason not in _HIDDEN or is_address(task.path):
        return False
    with contextlib.suppress(OSError), os.scandir(Path(task.path).parent) as listing:
        return next(listing, None) is None
    return True
