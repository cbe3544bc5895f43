"""Reading files, and not waiting for one of them for ever."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from facesearch.photos.files import photo_error

T = TypeVar("T")
_Question = tuple[Callable[[str], Any], str]
_Answer = tuple[Any, BaseException | None]


class Patience:
    """Waits for so many seconds for each file, at most.

    A disk that does not answer holds whoever reads from it, and nothing ends that. So a thread
    reads; one that gets no answer is left behind, and the next file has a new one. For one caller
    at a time.
    """

    def __init__(self, seconds: float) -> None:
        """Start nothing yet."""
        self._seconds = seconds
        self._thread: _Thread | None = None

    def __del__(self) -> None:
        self._leave()

    def read(self, read: Callable[[str], T], path: str | os.PathLike[str]) -> T:
        """What ``read`` gives for a path.

        Raises:
            PhotoError: "timeout". Whatever ``read`` raises is raised too.
        """
        name = os.fspath(path)
        self._thread = thread = self._thread or _Thread()
        thread.questions.put((read, name))
        try:
            value, error = thread.answers.get(timeout=self._seconds)
        except queue.Empty:
            self._leave()
            detail = f"gave no answer within {self._seconds:g} seconds"
            raise photo_error("timeout", name, detail) from None
        except BaseException:  # Ctrl-C: the answer that is still to come is nobody's
            self._leave()
            raise
        if error is not None:
            raise error
        result: T = value
        return result

    def _leave(self) -> None:
        if self._thread is not None:
            self._thread.questions.put(None)
        self._thread = None


class _Thread:
    """Answers questions in order, until there are none any more; does not keep a process alive."""

    def __init__(self) -> None:
        self.questions: queue.SimpleQueue[_Question | None] = queue.SimpleQueue()
        self.answers: queue.SimpleQueue[_Answer] = queue.SimpleQueue()
        threading.Thread(target=self._run, name="facesearch-patience", daemon=True).start()

    def _run(self) -> None:
        while (question := self.questions.get()) is not None:
            read, name = question
            try:
                self.answers.put((read(name), None))
            except BaseException as error:
                self.answers.put((None, error))
