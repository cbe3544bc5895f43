"""Keeping decoders from printing; the one thing that threads of a process must share for it."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import warnings
from collections.abc import Iterator
from typing import Any

_PILLOWS_LOG = logging.getLogger("PIL.TiffImagePlugin")


def _nothing(record: logging.LogRecord) -> bool:
    return False


class Quiet:
    """Silences what decoders say besides their errors, in all threads of the process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stderr_lock = threading.Lock()
        self._inside = 0
        self._caught: Any = None

    def __enter__(self) -> None:
        """Ignore Pillow's warnings, and what it logs as errors, which else are printed too.

        ``warnings.catch_warnings`` restores what it found on entry; of threads that overlap, the
        last to leave would restore another's silence. So the first in sets it, the last out ends
        it.
        """
        with self._lock:
            if self._inside == 0:
                self._caught = warnings.catch_warnings()
                self._caught.__enter__()
                warnings.filterwarnings("ignore", module=r"PIL\.|pillow_heif")
                _PILLOWS_LOG.addFilter(_nothing)
            self._inside += 1

    def __exit__(self, *exc_info: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                _PILLOWS_LOG.removeFilter(_nothing)
                self._caught.__exit__(None, None, None)

    @contextlib.contextmanager
    def without_stderr(self) -> Iterator[None]:
        """Let nothing through to the standard error, for code in C that has no other switch.

        For milliseconds, and in one thread at a time: what others write meanwhile is lost as well.
        """
        with self._stderr_lock:
            try:
                kept = os.dup(2)
            except OSError:  # a process without a standard error
                yield
                return
            nothing = os.open(os.devnull, os.O_WRONLY)
            try:
                os.dup2(nothing, 2)
                yield
            finally:
                os.dup2(kept, 2)
                os.close(nothing)
                os.close(kept)


DECODERS_QUIET = Quiet()
