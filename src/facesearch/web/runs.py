"""Index runs that are begun from the page: one at a time, shown while it goes, and cancelled."""

from __future__ import annotations

import contextvars
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from facesearch import indexing
from facesearch.errors import InterruptedRunError, UsageError
from facesearch.index_options import IndexOptions
from facesearch.indexing import IndexHooks, RunState
from facesearch.locations import Address, Location, as_location, is_address, key_below
from facesearch.records import IndexSummary
from facesearch.store import Store
from facesearch.web.problems import HttpError, problem_of

Indexing = Callable[[Sequence[Location], Path, IndexOptions, IndexHooks], IndexSummary]


@dataclass(frozen=True, slots=True)
class RunView:
    """A run as it is now; ``event`` is "progress", and at last "done" or "error"."""

    folder: str | None
    event: str = "progress"
    data: dict[str, Any] | None = None
    step: int = 0

    @property
    def running(self) -> bool:
        """Whether it goes on."""
        return self.event == "progress"


class Runs:
    """The run that goes, or the last one that went."""

    def __init__(self, store: Path, index: Indexing = indexing.index) -> None:
        self._store = store
        self._index = index
        self._context = contextvars.copy_context()
        self._lock = threading.Lock()
        self._cancelled = threading.Event()
        self._thread: threading.Thread | None = None
        self._now: RunView | None = None

    def state(self) -> RunView | None:
        """The run as it is now; None where none was begun."""
        with self._lock:
            return self._now

    def begin(self, folder: Location | None) -> None:
        """Begins a run.

        Raises:
            HttpError: one goes already.
        """
        with self._lock:
            if self._now is not None and self._now.running:
                raise HttpError(
                    409, "index-running", "an index run goes already; cancel it, or wait"
                )
            nothing = {"done": 0, "total": 0, "faces": 0, "failed": 0}
            self._now = RunView(None if folder is None else str(folder), data=nothing)
            self._cancelled.clear()
            context = self._context.copy()
            self._thread = threading.Thread(
                target=context.run, args=(self._go, folder), name="index", daemon=True
            )
            self._thread.start()

    def cancel(self) -> bool:
        """Asks the run to end; what it has read is kept. Whether one goes."""
        now = self.state()
        self._cancelled.set()
        return now is not None and now.running

    def close(self, seconds: float = 30.0) -> None:
        """Ends the run before the server does."""
        self.cancel()
        if self._thread is not None:
            self._thread.join(seconds)

    def _go(self, folder: Location | None) -> None:
        try:
            paths = [] if folder is None else [folder]
            hooks = IndexHooks(on_listed=self._listed, on_progress=self._progress)
            summary = self._index(paths, self._store, IndexOptions(), hooks)
        except InterruptedRunError as error:
            self._ended("error", {"code": "cancelled", "message": str(error)})
        except BaseException as error:
            problem = problem_of(error if isinstance(error, Exception) else RuntimeError(error))
            self._ended("error", {"code": problem.code, "message": str(problem)})
        else:
            self._ended("done", summary_facts(summary))

    def _listed(self, found: int) -> None:
        if self._cancelled.is_set():
            raise KeyboardInterrupt  # as Ctrl-C does: what was read is committed

    def _progress(self, state: RunState) -> None:
        self._listed(state.total)
        self._set("progress", facts_of(state))

    def _ended(self, event: str, data: dict[str, Any]) -> None:
        self._set(event, data)

    def _set(self, event: str, data: dict[str, Any]) -> None:
        with self._lock:
            assert self._now is not None
            self._now = replace(self._now, event=event, data=data, step=self._now.step + 1)


def facts_of(state: RunState) -> dict[str, Any]:
    """How far a run is."""
    return {
        "done": state.done,
        "total": state.total,
        "faces": state.faces,
        "failed": state.failed,
    }


def summary_facts(summary: IndexSummary) -> dict[str, Any]:
    """What came of a run, in numbers."""
    names = ("seen", "new", "changed", "unchanged", "moved", "copies", "forgotten", "removed")
    counts = {name: getattr(summary, name) for name in names}
    return {
        **counts,
        "usable": summary.usable,
        "faces": summary.faces,
        "without_face": summary.without_face,
        "failed": summary.failed,
        "failed_by_reason": summary.failed_by_reason,
        "seconds": summary.seconds,
    }


def allowed_folder(store: Store, further: Sequence[Path], folder: str) -> Location:
    """A folder that may be indexed from the page.

    Raises:
        HttpError: it lies neither below the store's folders nor below those of ``--allow-index``.
    """
    roots = [root.resolve(store.folder) for root in store.roots]
    try:
        asked = as_location(folder)
    except (UsageError, ValueError) as error:
        raise HttpError(400, "bad-request", str(error)) from error
    if isinstance(asked, Address) or is_address(folder):
        if any(isinstance(root, Address) and key_below(root, asked) is not None for root in roots):
            return asked
        raise _foreign(folder)
    if not asked.is_absolute() or "\0" in folder:
        raise HttpError(400, "bad-request", "folder: an absolute path, as facesearch roots lists")
    asked = Path(os.path.abspath(asked))
    real = Path(os.path.realpath(asked))
    places = [*(root for root in roots if isinstance(root, Path)), *further]
    if any(real.is_relative_to(os.path.realpath(place)) for place in places):
        return asked
    raise _foreign(folder)


def _foreign(folder: str) -> HttpError:
    return HttpError(
        403,
        "outside-roots",
        f"{folder[:200]!r} lies outside the store's folders; start facesearch serve with "
        "--allow-index for it",
    )
