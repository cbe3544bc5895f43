"""Processes that work through batches side by side and may die without harm.

A plain process pool breaks whole when one of its workers dies. Here a dead or stuck worker is
replaced; its batch is tried again item by item, and only the item that kills a second worker, by
itself, is lost, by name. Workers are spawned, inherit no lock, and leave when the parent is gone.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import queue
import signal
import sys
import threading
import time
import types
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any, Generic, Protocol, TypeVar

from facesearch.errors import FacesearchError, ModelError

log = logging.getLogger(__name__)

T = TypeVar("T")
R = TypeVar("R")

_AHEAD = 2  # batches a worker holds: the one under way and the next, so that it never waits
_BATCH_PATIENCE = 3  # a batch may take as long as so many of its items
_FAILED_STARTS = 3
_DEATHS_IN_A_ROW = 20
_LEAVE_SECONDS = 0.5  # for workers to leave by themselves
_KILL_SECONDS = 5.0  # a process that waits for a dead disk cannot be killed, and is left behind


class Worker(Protocol[T, R]):
    """What runs in each process, made there by a factory."""

    def describe(self) -> str:
        """What it runs on, e.g. "CPU"."""

    def process(self, batch: list[T]) -> list[R]:
        """One result for each item, in order."""


@dataclass(frozen=True, slots=True)
class Lost:
    """An item without a result: ``reason`` is "worker-died" or "timeout"."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class PoolOptions:
    """How many processes, how long one item may take and a worker may need to start, in seconds.

    A batch that takes too long is tried again item by item.
    """

    jobs: int
    item_timeout: float = 120.0
    start_timeout: float = 300.0


@dataclass(frozen=True, slots=True, eq=False)
class _Batch(Generic[T]):
    """``again``: it was being worked on when a worker ended, alone or among others."""

    items: list[T]
    again: bool = False


@dataclass(slots=True, eq=False)
class _Process(Generic[T]):
    process: SpawnProcess
    pipe: Connection
    ready: bool = False
    since: float = field(default_factory=time.monotonic)
    batches: deque[_Batch[T]] = field(default_factory=deque)
    last_words: str = ""


class WorkerPool(Generic[T, R]):
    """Runs batches in ``options.jobs`` processes; results come in the order they are ready."""

    def __init__(self, factory: Callable[[], Worker[T, R]], options: PoolOptions) -> None:
        self._factory = factory
        self._options = options
        self._processes: list[_Process[T]] = []
        self._again: deque[_Batch[T]] = deque()
        self._failed_starts = 0
        self._deaths = 0
        self.description = ""

    def __enter__(self) -> WorkerPool[T, R]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def run(self, batches: Iterable[list[T]]) -> Iterator[tuple[T, R | Lost]]:
        """Yields (item, result) for every item of every batch; batches are taken as needed.

        Raises:
            FacesearchError: a worker could not be set up (its own error), or workers die one after
                another whatever they are given.
        """
        source = iter(batches)
        exhausted = False
        while True:
            exhausted = self._feed(source, exhausted)
            if exhausted and not self._again and not any(p.batches for p in self._processes):
                return
            for worker in self._wait():
                yield from self._receive(worker)
            for worker in self._overdue():
                yield from self._replace(worker, "timeout")

    def close(self) -> None:
        """Ends all workers; what they were doing is dropped."""
        for worker in self._processes:
            worker.pipe.close()
        until = time.monotonic() + _LEAVE_SECONDS
        for worker in self._processes:
            worker.process.join(max(0.0, until - time.monotonic()))
            _end(worker.process)
        self._processes.clear()

    def _feed(self, source: Iterator[list[T]], exhausted: bool) -> bool:
        """Hands out batches while a worker has room for one; whether ``source`` is exhausted."""
        while self._has_room():
            batch = self._again.popleft() if self._again else None
            if batch is None and not exhausted:
                items = next(source, None)
                exhausted = items is None
                batch = None if items is None else _Batch(items)
            if batch is None:
                break
            self._give(self._idlest(), batch)
        return exhausted

    def _has_room(self) -> bool:
        return len(self._processes) < self._options.jobs or any(
            len(worker.batches) < _AHEAD for worker in self._processes
        )

    def _idlest(self) -> _Process[T]:
        """The worker with the least to do; a new one while all are busy and more may run."""
        best = min(self._processes, key=lambda worker: len(worker.batches), default=None)
        if best is None or (best.batches and len(self._processes) < self._options.jobs):
            return self._start()
        return best

    def _give(self, worker: _Process[T], batch: _Batch[T]) -> None:
        if not worker.batches and worker.ready:
            worker.since = time.monotonic()
        worker.batches.append(batch)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            # A dead worker shows itself at the next wait, with its batches still on the books.
            worker.pipe.send(batch.items)

    def _start(self) -> _Process[T]:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(
            target=_serve, args=(theirs, self._factory), name="facesearch-worker", daemon=True
        )
        with _main_not_imported(), _interrupt_held_back():
            process.start()
        theirs.close()
        worker: _Process[T] = _Process(process, ours)
        self._processes.append(worker)
        return worker

    def _wait(self) -> list[_Process[T]]:
        by_pipe = {worker.pipe: worker for worker in self._processes}
        ready = set(wait(list(by_pipe), timeout=1.0))
        return [worker for pipe, worker in by_pipe.items() if pipe in ready]

    def _receive(self, worker: _Process[T]) -> Iterator[tuple[T, R | Lost]]:
        try:
            kind, value = worker.pipe.recv()
        except (EOFError, OSError):
            yield from self._replace(worker, "worker-died")
            return
        worker.since = time.monotonic()
        if kind == "broke":
            worker.last_words = value
        elif kind == "ready":
            worker.ready = True
            self.description = value
        elif kind == "error":
            raise value
        else:
            self._deaths = self._failed_starts = 0
            yield from zip(worker.batches.popleft().items, value, strict=True)

    def _overdue(self) -> list[_Process[T]]:
        now = time.monotonic()
        overdue = []
        for worker in self._processes:
            if not worker.ready:
                limit = self._options.start_timeout
            elif worker.batches:
                patience = min(len(worker.batches[0].items), _BATCH_PATIENCE)
                limit = self._options.item_timeout * patience
            else:
                continue
            # What is in the pipe came in time, however long the caller kept it waiting.
            if now - worker.since > limit and not worker.pipe.poll():
                overdue.append(worker)
        return overdue

    def _replace(self, worker: _Process[T], reason: str) -> Iterator[tuple[T, R | Lost]]:
        self._processes.remove(worker)
        worker.pipe.close()
        _end(worker.process)
        how = worker.last_words or _ending(worker.process.exitcode)
        log.warning("worker %s ended (%s, %s)", worker.process.pid, reason, how)
        if not worker.ready:
            self._failed_starts += 1
            self._again.extendleft(reversed(worker.batches))
            if self._failed_starts >= _FAILED_STARTS:
                raise ModelError(
                    f"the worker processes end while they start ({how}); "
                    "try fewer with --jobs 1, or see --debug"
                )
            return
        guilty = worker.batches.popleft() if worker.batches else None
        self._again.extendleft(reversed(worker.batches))
        if guilty is not None and _may_be_chance(guilty, reason):
            self._again.appendleft(_Batch(guilty.items, again=True))
            return
        self._deaths += 1
        if self._deaths >= _DEATHS_IN_A_ROW:
            raise ModelError(
                f"{self._deaths} worker processes in a row died ({how}), "
                "perhaps for want of memory; try --jobs 1"
            )
        if guilty is None:
            return
        if len(guilty.items) > 1:
            self._again.extendleft(_Batch([item], again=True) for item in reversed(guilty.items))
            return
        if reason == "timeout":
            how = f"gave no result within {self._options.item_timeout:g} seconds"
        else:
            how = f"the process that read it died: {how}"
        yield guilty.items[0], Lost(reason, how)


def _may_be_chance(batch: _Batch[Any], reason: str) -> bool:
    """Whether an item was alone with the first worker that died of it. The system ends processes
    too, for want of memory say; who waited in vain for a result does not wait twice.
    """
    return reason == "worker-died" and len(batch.items) == 1 and not batch.again


def _ending(code: int | None) -> str:
    """How a process ended, for people."""
    if code is None:
        return "it does not end"
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"ended by {signal.Signals(-code).name}"
    except ValueError:  # real-time signals have no name
        return f"ended by signal {-code}"


def _end(process: SpawnProcess) -> None:
    if process.is_alive():
        process.kill()
    process.join(_KILL_SECONDS)


@contextlib.contextmanager
def _main_not_imported() -> Iterator[None]:
    """A spawned process imports the caller's main script again, which then would start over where
    it has no ``__main__`` guard; workers need nothing of it, so they are shown an empty one.
    """
    with _MAIN_LOCK:
        real = sys.modules["__main__"]
        sys.modules["__main__"] = types.ModuleType("__main__")
        try:
            yield
        finally:
            sys.modules["__main__"] = real


_MAIN_LOCK = threading.Lock()


@contextlib.contextmanager
def _interrupt_held_back() -> Iterator[None]:
    """Ctrl-C goes to all processes of a terminal. One that is started in here inherits that it is
    held back, and so cannot die of it before it has come to ignoring it.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # starting it would let Ctrl-C through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(pipe: Connection, factory: Callable[[], Worker[Any, Any]]) -> None:
    """The life of a worker process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what Ctrl-C means
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    batches: queue.SimpleQueue[list[Any] | None] = queue.SimpleQueue()
    threading.Thread(target=_take_in, args=(pipe, batches), daemon=True).start()
    ready = False
    try:
        worker = factory()
        pipe.send(("ready", worker.describe()))
        ready = True
        while (batch := batches.get()) is not None:
            pipe.send(("results", worker.process(batch)))
    except (BrokenPipeError, ConnectionResetError):
        return
    except Exception as error:
        log.debug("a worker ends", exc_info=True)
        told: tuple[str, object] = "broke", f"{type(error).__name__}: {error}"
        if isinstance(error, FacesearchError) and not ready:
            told = "error", error
        with contextlib.suppress(OSError):
            pipe.send(told)
        sys.exit(1)


def _take_in(pipe: Connection, batches: queue.SimpleQueue[list[Any] | None]) -> None:
    """Empties the pipe at once: were it full, parent and worker could wait for each other."""
    while True:
        try:
            batches.put(pipe.recv())
        except (EOFError, OSError):
            batches.put(None)
            return


def _leave_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
