"""Photos read on a Ray cluster; the run stays the only writer.

A process beside the run speaks to Ray (``driver``). In the cluster a ``Conductor`` has Ray Data map
a ``Reader`` over the tasks; the results come back as they are ready. Ray Data brings back what a
machine that dies was doing; the run counts, so that each photo comes exactly once, and begins anew
with what is left where driver or conductor die.
"""

from __future__ import annotations

import contextlib
import logging
import os
import pickle
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from facesearch.clusters import ClusterJob
from facesearch.clusters.ray.driver import Answer, Call, DriverSpec, require_installed
from facesearch.clusters.ray.reader import Finished, ReaderSpec
from facesearch.clusters.ray.session import LOCAL, Wanted, reach
from facesearch.errors import ClusterError, FacesearchError, ModelError
from facesearch.photos import printable
from facesearch.processing import PhotoTask
from facesearch.records import PhotoResult
from facesearch.workers import Lost, PoolOptions, WorkerPool

__all__ = ["open_pool"]

log = logging.getLogger(__name__)

_BLOCK_BATCHES = 4  # a reader's share at a time: a second or two of work
_BLOCKS = 50_000  # more of them make Ray Data slow
_CALL_BLOCKS = 256
_STARTS = 3  # courses in a row that bring nothing
_CALL_SECONDS = 120.0  # what the driver is asked takes less than a second, if Ray lives
_LEAVE_SECONDS = 10.0  # for Ray's processes to leave by themselves


def open_pool(address: str, job: ClusterJob) -> RayPool:
    """See ``facesearch.clusters.Engine``."""
    require_installed()
    return RayPool(address, job)


class RayPool:
    """A ``PhotoPool`` whose workers are actors on a Ray cluster."""

    def __init__(self, address: str, job: ClusterJob) -> None:
        self._address = address
        self._job = job
        self._devices: dict[str, None] = {}
        self._nodes: dict[str, None] = {}
        self._driver: WorkerPool[Call, Answer] | None = None
        self._spec: DriverSpec | None = None

    @property
    def description(self) -> str:
        """What the networks run on, and on how many machines."""
        if not self._devices:
            return ""
        count = len(self._nodes)
        return f"{' and '.join(self._devices)}; Ray, {count} machine{'s' * (count > 1)}"

    def __enter__(self) -> Self:
        job, address = self._job, self._address
        if address == "auto":
            address = _running_cluster() or LOCAL
        if address == LOCAL:
            job.prepare_here()
        wanted = Wanted(address, job.jobs, job.local_jobs, job.worker_bytes, job.gpu)
        reader = ReaderSpec(job.factory, job.prepare, job.item_timeout)
        self._spec = DriverSpec(wanted, reader)
        return self

    def __exit__(self, *_: object) -> None:
        self._end_driver()

    def run(
        self, batches: Iterable[list[PhotoTask]]
    ) -> Iterator[tuple[PhotoTask, PhotoResult | Lost]]:
        """See ``facesearch.clusters.PhotoPool``. All batches are taken at once: Ray Data plans with
        them.
        """
        left = _Left(list(batches))
        failed_starts = 0
        while left.tasks:
            before = len(left.tasks)
            try:
                yield from self._course(left)
                why = "photos did not come back"
            except _CourseEndedError as ended:
                self._end_driver()
                why = str(ended)
            if not left.tasks:
                return
            failed_starts = 0 if len(left.tasks) < before else failed_starts + 1
            if failed_starts >= _STARTS:
                raise ClusterError(
                    f"{self._address}: the cluster's workers end again and again ({why}); are its "
                    "machines short of memory? try fewer with --jobs"
                )
            log.warning("the cluster has ended (%s); another start for what is left", why)

    def _course(self, left: _Left) -> Iterator[tuple[PhotoTask, PhotoResult | Lost]]:
        """Everything that is left, read once through.

        Raises:
            _CourseEndedError: the driver or the conductor died, or Ray Data gave up.
        """
        course = _Course(left.blocks(self._job.jobs or self._job.local_jobs))
        for answer in self._answers(course):
            if isinstance(answer, Lost):
                self._drop_driver()
                raise _CourseEndedError(answer.message)
            if answer.error is not None:
                raise answer.error
            if answer.ended:
                raise _CourseEndedError(answer.ended)
            if answer.note:
                self._job.on_message(answer.note)
            course.done = course.done or answer.done
            for row in answer.rows:
                yield from self._taken(pickle.loads(row), left)

    def _answers(self, course: _Course) -> Iterator[Answer | Lost]:
        try:
            for _, answer in self._started().run(course.calls()):
                yield answer
        except ModelError as error:  # it ends, or hangs, whenever it starts
            raise ClusterError(
                f"{self._address}: the process that speaks to Ray does not come up ({error})"
            ) from error

    def _taken(
        self, outcome: Finished | FacesearchError, left: _Left
    ) -> Iterator[tuple[PhotoTask, PhotoResult | Lost]]:
        if isinstance(outcome, FacesearchError):
            raise outcome
        self._devices.setdefault(outcome.device)
        self._nodes.setdefault(outcome.node)
        for number in outcome.hidden:
            _require_same_folders(left.tasks.get(number), outcome.node)
        for number, result in outcome.results:
            task = left.tasks.pop(number, None)
            if task is not None:
                yield task, result

    def _started(self) -> WorkerPool[Call, Answer]:
        if self._spec is None:
            raise ValueError("the pool is not open")
        if self._driver is None:
            self._driver = WorkerPool(self._spec, PoolOptions(1, _CALL_SECONDS, _CALL_SECONDS))
        return self._driver

    def _end_driver(self) -> None:
        """Has the driver leave Ray by itself, where it is in it."""
        if self._driver is not None and self._driver.description:
            with contextlib.suppress(FacesearchError):
                for call, answer in self._driver.run(iter([[Call("end")]])):
                    if isinstance(answer, Lost) or call.what == "end":
                        break
        self._drop_driver()

    def _drop_driver(self) -> None:
        """Ends the driver, and sees that nothing that it started stays."""
        import psutil

        driver, self._driver = self._driver, None
        if driver is None:
            return
        started: list[psutil.Process] = []
        with contextlib.suppress(psutil.NoSuchProcess, ValueError):
            started = psutil.Process(int(driver.description)).children(recursive=True)
        driver.close()
        _, left = psutil.wait_procs(started, timeout=_LEAVE_SECONDS)
        for process in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()


class _CourseEndedError(Exception):
    """Driver or conductor died or gave up."""


@dataclass(slots=True)
class _Course:
    """What the driver is asked, one after the other, until there is no more."""

    blocks: list[bytes]
    done: bool = False

    def calls(self) -> Iterator[list[Call]]:
        for start in range(0, len(self.blocks), _CALL_BLOCKS):
            yield [Call("add", tuple(self.blocks[start : start + _CALL_BLOCKS]))]
        self.blocks.clear()
        yield [Call("begin")]
        while not self.done:
            yield [Call("ready")]


@dataclass(slots=True)
class _Left:
    """The tasks without a result, by number, and the batches they came in."""

    batches: list[list[PhotoTask]]
    tasks: dict[int, PhotoTask] = field(init=False)

    def __post_init__(self) -> None:
        self.tasks = {task.number: task for batch in self.batches for task in batch}

    def blocks(self, readers: int) -> list[bytes]:
        """What is left, pickled in shares: large enough to be worth a call, and several for each
        reader.
        """
        batches = [
            rest
            for batch in self.batches
            if (rest := [task for task in batch if task.number in self.tasks])
        ]
        self.batches = batches
        size = max(1, min(_BLOCK_BATCHES, len(batches) // (4 * readers)))
        size = max(size, -(-len(batches) // _BLOCKS))
        return [
            pickle.dumps(batches[start : start + size]) for start in range(0, len(batches), size)
        ]


def _running_cluster() -> str:
    """Address of a cluster that this program is connected to, that the environment names or that
    ``ray start`` has begun here; or "".

    Ray's own "auto" would also find the private one of another run, by looking through processes.
    """
    if "ray" in sys.modules and sys.modules["ray"].is_initialized():
        return str(sys.modules["ray"].get_runtime_context().gcs_address)
    named = os.environ.get("RAY_ADDRESS", "")
    if named not in ("", "auto", "local"):
        return named
    parent = os.environ.get("RAY_TMPDIR") or os.environ.get("TMPDIR") or "/tmp"
    try:
        begun = (Path(parent) / "ray" / "ray_current_cluster").read_text().strip()
        reach(begun)
    except (OSError, ValueError):  # there is none, or one that was killed has left it
        return ""
    return begun


def _require_same_folders(task: PhotoTask | None, node: str) -> None:
    """Raises where a machine does not show a photo that is here."""
    if task is None:
        return
    path = Path(task.path)
    with contextlib.suppress(OSError):
        path.stat()
        raise ClusterError(
            f"{node}: does not show {printable(path.parent)}; mount the folder at the same place "
            "on every machine of the cluster, or keep the photos in object storage"
        )
