"""One writer at a time, and who it is."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from facesearch import private
from facesearch.errors import StoreBusyError
from facesearch.store.disk import storing

_POLL_SECONDS = 0.2


class StoreLock:
    """The lock beside a store.

    The operating system frees it when its process dies, however that happens; programs started
    meanwhile do not inherit it. Who holds it stands in a file of its own, for people; a stale one
    means nothing.
    """

    def __init__(self, location: Path) -> None:
        from filelock import FileLock  # not above, for readers need no lock

        self._location = location
        self._lock = FileLock(
            location.with_name(location.name + ".lock"), timeout=0, mode=0o600, thread_local=False
        )
        self._owner = _owner_file(location)

    def acquire(self, wait: bool) -> None:
        """Take the lock.

        Args:
            wait: until it is free; otherwise fail at once.

        Raises:
            StoreBusyError: another writer holds it.
            StoreError: the folder cannot be written.
        """
        with storing(self._location):
            while not self._try():
                if not wait:
                    raise StoreBusyError(
                        f"{self._location}: held by {self._holder()}; wait with --wait"
                    )
                time.sleep(_POLL_SECONDS)
            facts = {"pid": os.getpid(), "host": platform.node(), "since": int(time.time())}
            try:
                private.write_locked_file(self._owner, json.dumps(facts).encode("ascii"))
            except BaseException:
                self._lock.release()
                raise

    def release(self) -> None:
        """Give the lock back; nothing happens when it is not held."""
        if self._lock.is_locked:
            with storing(self._location):
                self._owner.unlink(missing_ok=True)
            self._lock.release()

    def _try(self) -> bool:
        from filelock import Timeout

        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            return False
        return True

    def _holder(self) -> str:
        facts = _read_owner(self._location)
        if facts is None:
            return "another process"
        pid, host, since = facts[0], facts[1], time.localtime(facts[2])
        today = since[:3] == time.localtime()[:3]
        when = time.strftime("%H:%M" if today else "%Y-%m-%d %H:%M", since)
        return f"process {pid} on {host} since {when}"


@contextmanager
def locked(location: Path, wait: bool) -> Iterator[None]:
    """Holds the lock beside a store, as ``StoreLock.acquire`` takes it."""
    lock = StoreLock(location)
    lock.acquire(wait)
    try:
        yield
    finally:
        lock.release()


def owner_of(location: Path) -> int | None:
    """The process that writes the store, or has died while it did; None where none does."""
    facts = _read_owner(location)
    return facts and facts[0]


def _owner_file(location: Path) -> Path:
    return location.with_name(location.name + ".lock.owner")


def _read_owner(location: Path) -> tuple[int, str, int] | None:
    """(process, host, since) of the writer, as it says itself."""
    try:
        facts = json.loads(_owner_file(location).read_text(encoding="ascii"))
        return int(facts["pid"]), str(facts["host"]), int(facts["since"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
