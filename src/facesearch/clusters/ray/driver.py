"""The process of a run that speaks to Ray, so that the one that writes the store does not.

It is the one process of a ``WorkerPool``: what it is asked are items, what it answers results.
"""

from __future__ import annotations

import os
import sys
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from facesearch.clusters.ray import leftovers
from facesearch.clusters.ray.conductor import Conductor
from facesearch.clusters.ray.reader import ReaderSpec, table_of
from facesearch.clusters.ray.session import LOCAL, Wanted, connect, readers_for
from facesearch.errors import ClusterError, FacesearchError

_AHEAD = 2  # calls to the conductor under way: the next answer comes while one is written
_POLL_SECONDS = 0.5  # so long it does not hear that it is to end
_PATIENCE = 30.0  # seconds without a result before a person is told
_DEAF_SECONDS = 10.0  # seconds without a result before it looks whether the cluster is there


@dataclass(frozen=True, slots=True)
class Call:
    """What the driver is asked: to "add" pickled blocks, to "begin", for what is "ready", or to
    "end".
    """

    what: Literal["add", "begin", "ready", "end"]
    blocks: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """Pickled outcomes that are ready. ``done``: there are no more. ``note`` is for a person,
    ``ended`` says why the cluster did not go on, ``error`` what would be no better another time.
    """

    rows: tuple[bytes, ...] = ()
    done: bool = False
    note: str = ""
    ended: str = ""
    error: FacesearchError | None = None


@dataclass(frozen=True, slots=True)
class DriverSpec:
    """Makes a driver in its process, connected; picklable."""

    wanted: Wanted
    reader: ReaderSpec

    def __call__(self) -> Driver:
        """Connect; raises ``ClusterError``."""
        if self.wanted.address != LOCAL:
            _print_into(Path(os.devnull))
            connect(self.wanted, "")
            return Driver(self)
        folder = leftovers.new_folder()
        watching = leftovers.watch(folder)
        _print_into(folder / "driver.log")
        connect(self.wanted, os.fspath(folder))
        return Driver(self, watching)


class Driver:
    """A ``Worker`` whose items are calls; it keeps one conductor."""

    def __init__(self, spec: DriverSpec, watching: object = None) -> None:
        self._spec = spec
        self._watching = watching  # as long as this process lives
        self._conductor: Any = None
        self._asked: deque[Any] = deque()
        self._tables: list[Any] = []
        self._heard = time.monotonic()
        self._told = False

    def describe(self) -> str:
        """Which process this is."""
        return str(os.getpid())

    def process(self, batch: Sequence[Call]) -> list[Answer]:
        """One answer for each call."""
        return [self._answer(call) for call in batch]

    def _answer(self, call: Call) -> Answer:
        import ray

        try:
            if call.what == "ready":
                return self._ready()
            if call.what == "add":
                self._add(call.blocks)
            elif call.what == "begin":
                self._asked.extend(self._conductor.following.remote() for _ in range(_AHEAD))
                self._heard = time.monotonic()
            else:
                ray.shutdown()
        except FacesearchError as error:
            return Answer(error=error)
        except (ray.exceptions.RayError, ConnectionError, RuntimeError) as error:
            return Answer(ended=_last_line(error))
        return Answer()

    def _add(self, blocks: Sequence[bytes]) -> None:
        import ray

        if self._conductor is None:
            readers = readers_for(self._spec.wanted)
            remote = ray.remote(Conductor).options(num_cpus=0)
            self._conductor = remote.remote(self._spec.reader, readers)
        self._conductor.add.remote([table_of([block]) for block in blocks])

    def _ready(self) -> Answer:
        import ray

        if not self._asked:
            return Answer(done=True)
        if not ray.wait([self._asked[0]], timeout=_POLL_SECONDS)[0]:
            return self._silence()
        rows = ray.get(self._asked.popleft())
        self._heard, self._told = time.monotonic(), False
        if rows is None:
            ray.kill(self._conductor)
            self._conductor = None
            self._asked.clear()
            return Answer(done=True)
        self._asked.append(self._conductor.following.remote())
        return Answer(rows=tuple(rows))

    def _silence(self) -> Answer:
        """Why nothing comes: no machine is left, or none has room."""
        import ray

        silent = time.monotonic() - self._heard
        if silent > _DEAF_SECONDS and not any(node["Alive"] for node in ray.nodes()):
            return Answer(ended="no machine of the cluster is left")
        if silent < _PATIENCE or self._told:
            return Answer()
        self._told = True
        free = ray.available_resources()
        return Answer(
            note=f"the cluster has given no result for {_PATIENCE:.0f} seconds; free there: "
            f"{free.get('CPU', 0):g} processors, {free.get('GPU', 0):g} GPUs, "
            f"{free.get('memory', 0) / 1e9:.1f} GB; waiting"
        )


def _print_into(target: Path) -> None:
    """Ray prints of every task that it tries again, to standard output, where an answer belongs."""
    with target.open("ab") as sink:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
            os.dup2(sink.fileno(), stream.fileno())


def _last_line(error: Exception) -> str:
    """The last line of what Ray says, which is the error itself."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:300] if lines else type(error).__name__


def require_installed() -> None:
    """Raises where Ray or what Ray Data needs is not installed; imports neither.

    Raises:
        ClusterError: names what to install.
    """
    from importlib.util import find_spec

    missing = [name for name in ("ray", "pyarrow") if find_spec(name) is None]
    if missing:
        raise ClusterError(f'--cluster needs {" and ".join(missing)}; run: pip install "ray[data]"')
