"""Looking on while something is done: which files it opens, what memory and time it takes."""

from __future__ import annotations

import contextlib
import os
import sys
import sysconfig
import time
from collections.abc import Iterator
from pathlib import Path

import facesearch

_CHANGES = ("os.remove", "os.rename", "os.mkdir", "os.link", "os.symlink", "os.truncate")
_NEVER = ("subprocess.Popen", "os.system", "os.exec", "socket.connect", "pickle.find_class")
_CODE = (".py", ".pyc", ".so")


class Watch:
    """Tells of every file that was opened or changed outside a folder, and of network and programs.

    Python's own code and facesearch's files, which are read when they are needed, and what the
    system says of processes and processors do not count. There should be one of these: its hook
    stays until the end.
    """

    def __init__(self, folder: Path) -> None:
        self.seen: list[str] = []
        self._folder = os.path.realpath(folder) + os.sep
        paths = sysconfig.get_paths().values()
        self._code = (*{os.path.realpath(path) for path in paths}, *filter(None, sys.path))
        self._own = [os.path.realpath(folder) + os.sep for folder in facesearch.__path__]
        self._watching = False
        sys.addaudithook(self._hook)

    @contextlib.contextmanager
    def watching(self) -> Iterator[list[str]]:
        """What is seen meanwhile."""
        self.seen = []
        self._watching = True
        try:
            yield self.seen
        finally:
            self._watching = False

    def _hook(self, event: str, arguments: tuple[object, ...]) -> None:
        if not self._watching:
            return
        if event in _NEVER:
            self.seen.append(f"{event} {arguments!r:.200}")
        elif event == "open" or event in _CHANGES:
            self._look_at(event, arguments)

    def _look_at(self, event: str, arguments: tuple[object, ...]) -> None:
        for path in arguments[: 2 if event in ("os.rename", "os.link", "os.symlink") else 1]:
            if not isinstance(path, (str, bytes, os.PathLike)):
                continue
            place = os.path.abspath(os.fsdecode(path))
            if place.startswith(self._folder) or place + os.sep == self._folder:
                continue
            if event == "open" and self._is_harmless(place):
                continue
            self.seen.append(f"{event} {place!r:.200}")

    def _is_harmless(self, place: str) -> bool:
        system = place.startswith(("/proc/", "/sys/devices/", *self._own))
        return system or (place.endswith(_CODE) and place.startswith(self._code))


@contextlib.contextmanager
def bounded_memory(more: int) -> Iterator[None]:
    """Meanwhile whoever asks for so many bytes more gets a ``MemoryError``; where the system says
    how much there is and can bound it.
    """
    try:
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except (ImportError, OSError):
        yield
        return
    before = resource.getrlimit(resource.RLIMIT_AS)
    limit = pages * resource.getpagesize() + more
    resource.setrlimit(resource.RLIMIT_AS, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


class TooLongError(BaseException):
    """What was done took longer than it may."""


@contextlib.contextmanager
def bounded_time(seconds: float) -> Iterator[None]:
    """Raises ``TooLongError`` when so much of the processor was used, or, where nothing can
    interrupt it, after. The clock says nothing on a machine that does much else; what waits for
    ever is ended by the test's own timeout.
    """
    import signal

    def ring(*_: object) -> None:
        raise TooLongError

    start = time.process_time()
    if hasattr(signal, "setitimer"):
        before = signal.signal(signal.SIGPROF, ring)
        signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        if hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.signal(signal.SIGPROF, before)
    if time.process_time() - start > seconds:
        raise TooLongError
