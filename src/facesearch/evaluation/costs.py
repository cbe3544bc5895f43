"""What a system takes: time, memory and disk, foreseen and measured."""

from __future__ import annotations

import contextlib
import json
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from facesearch import private
from facesearch.cores import cores
from facesearch.errors import ModelError, PhotoError
from facesearch.index_options import query_spec, worker_bytes
from facesearch.photos import read_photo
from facesearch.records import Embeddings
from facesearch.runtimes import Fetch, RuntimeOptions
from facesearch.store import Store
from facesearch.systems import System

TIMED_QUERIES = 7
_ROW_BYTES = 120  # what a face takes in a store besides its embedding
_FACES_A_PHOTO = 1.2
_OWN_BYTES = 900_000_000  # this process, with a network to time queries with
_SECONDS_A_PRODUCT = 4e-11  # one multiplication of comparing two rows
_SECONDS_A_RANK = 2e-7  # ranking one photo for one probe
_SECONDS_BETWEEN = 2.0


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a system's run will take, before it begins: photos that are still to be read, the time
    at two cores, memory and the store's size.
    """

    system: str
    to_read: int
    seconds: float
    memory_bytes: int
    disk_bytes: int


@dataclass(frozen=True, slots=True)
class BuildCost:
    """What making a store took, and what ran its networks; kept beside it."""

    photos_per_second: float
    peak_memory_bytes: int
    runs_on: str = ""


@dataclass(frozen=True, slots=True)
class Work:
    """What a system has to do: photos ``to_read``, and ``probes`` to search for."""

    to_read: int
    probes: int


def forecast(system: System, photos: int, work: Work, jobs: int) -> Forecast:
    """What running ``system`` over ``photos`` will take with ``jobs`` processes reading them."""
    dim = system.recipe.extractor.dim
    row = 4 * dim
    rows = photos * (_FACES_A_PHOTO if system.recipe.subject == "face" else 1.0)
    reading = work.to_read / system.photos_per_second
    searching = work.probes * rows * (dim * _SECONDS_A_PRODUCT + _SECONDS_A_RANK)
    return Forecast(
        system.name,
        work.to_read,
        reading + searching,
        worker_bytes(system.recipe.extractor.model) * (jobs if work.to_read else 0) + _OWN_BYTES,
        int(rows * (row + _ROW_BYTES)),
    )


class PeakMemory:
    """The most memory that this process and its children had together while it was entered.

    Pages of mapped files are not in it: the system takes them back when it needs them. Pages that
    processes share count once where the system tells (Linux).
    """

    def __init__(self) -> None:
        self.bytes = 0
        self._done = threading.Event()

    @contextlib.contextmanager
    def watched(self) -> Iterator[PeakMemory]:
        """Watches until the block ends."""
        watcher = threading.Thread(target=self._watch, daemon=True)
        watcher.start()
        try:
            yield self
        finally:
            self._done.set()
            watcher.join()

    def _watch(self) -> None:
        while True:
            self.bytes = max(self.bytes, _memory_now())
            if self._done.wait(_SECONDS_BETWEEN):
                return


def _memory_now() -> int:
    own = psutil.Process()
    total = 0
    for process in (own, *own.children(recursive=True)):
        with contextlib.suppress(psutil.Error, OSError):  # a worker that just ended has none
            total += _memory_of(process)
    return total


def _memory_of(process: psutil.Process) -> int:
    rollup = Path(f"/proc/{process.pid}/smaps_rollup")
    if not rollup.exists():
        return int(process.memory_full_info().uss)
    sizes = dict(line.split()[:2] for line in rollup.read_text().splitlines()[1:])
    return 1024 * sum(int(sizes.get(kind, 0)) for kind in ("Pss_Anon:", "Pss_Shmem:"))


def keep_cost(store: Path, cost: BuildCost) -> None:
    """Remembers beside the store what making it took."""
    private.write_file(_cost_file(store), (json.dumps(asdict(cost)) + "\n").encode())


def kept_cost(store: Path) -> BuildCost | None:
    """What making the store took, None where nobody measured it."""
    try:
        return BuildCost(**json.loads(_cost_file(store).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _cost_file(store: Path) -> Path:
    return store.with_name(store.name + ".cost.json")


@dataclass(frozen=True, slots=True)
class QueryTime:
    """Medians in seconds, networks loaded and the store open: from file to neighbours, and the
    search alone.
    """

    whole: float
    search: float


def time_queries(
    store: Store, find: Callable[[Embeddings], object], photos: Sequence[Path]
) -> QueryTime | None:
    """Times the search for the first face of each photo; None where fewer than two have one."""
    spec = query_spec(store, RuntimeOptions(device="cpu", threads=cores()))
    spec.make_ready(Fetch(offline=True))  # another device's graphs may be all that was drawn
    pipeline = spec()
    wholes, searches = [], []
    for photo in photos:
        started = time.perf_counter()
        try:
            read = read_photo(str(photo), pipeline.limits)
            faces = pipeline.detect(read)
            rows = pipeline.embed(read, faces[:1])
        except (PhotoError, ModelError):
            continue  # its own failure is counted where it was indexed
        if not len(rows):
            continue
        ready = time.perf_counter()
        find(rows)
        ended = time.perf_counter()
        wholes.append(ended - started)
        searches.append(ended - ready)
    if len(wholes) < 2:
        return None
    # The first one also loads and fits.
    return QueryTime(statistics.median(wholes[1:]), statistics.median(searches[1:]))
