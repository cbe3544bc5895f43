"""Asking a disk, and not waiting for its answer for ever."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from facesearch.errors import PhotoError
from facesearch.photos.files import photo_error

T = TypeVar("T")
Further = Callable[[str], None]
"""What a long question calls whenever it comes to another place, or further in the same."""
_Question = Callable[[], Any]
_Answer = tuple[Any, BaseException | None]


class Patience:
    """Waits for so many seconds for each answer, at most.

    A disk that does not answer holds whoever asks it, and nothing ends that. So a thread asks; one
    that gets no answer is left behind, and the next question has a new one. Whoever asks for the
    same place, or for anything in it, while a thread still waits there need not wait too. For one
    caller at a time.
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
        return self.work(lambda name, _: read(name), path)

    def work(self, read: Callable[[str, Further], T], path: str | os.PathLike[str]) -> T:
        """As ``read``, for what may take long: the seconds count from when it last came further.

        Raises:
            PhotoError: "timeout". Whatever ``read`` raises is raised too.
        """
        name = os.fspath(path)
        if _is_waited_for(name):
            raise self._timeout(name)
        self._thread = thread = self._thread or _Thread()
        thread.come_to(name)
        thread.questions.put(lambda: read(name, thread.come_to))
        try:
            value, error = self._answer_of(thread)
        except queue.Empty:
            place = thread.place
            self._leave(place)
            raise self._timeout(place) from None
        except BaseException:  # Ctrl-C: the answer that is still to come is nobody's
            self._leave(thread.place)
            raise
        if error is not None:
            raise error
        result: T = value
        return result

    def _answer_of(self, thread: _Thread) -> _Answer:
        while True:
            before = thread.steps
            try:
                return thread.answers.get(timeout=self._seconds)
            except queue.Empty:
                if thread.steps == before:
                    raise

    def _timeout(self, name: str) -> PhotoError:
        return photo_error("timeout", name, f"gave no answer within {self._seconds:g} seconds")

    def _leave(self, name: str = "") -> None:
        if self._thread is not None:
            self._thread.leave(name)
        self._thread = None


class _Thread(threading.Thread):
    """Answers questions in order, until there are none any more; does not keep a process alive."""

    def __init__(self) -> None:
        super().__init__(name="facesearch-patience", daemon=True)
        self.answers: queue.SimpleQueue[_Answer] = queue.SimpleQueue()
        self.steps = 0
        self.place = self.left_at = ""
        self.questions: queue.SimpleQueue[_Question | None] = queue.SimpleQueue()
        self.start()

    def come_to(self, place: str) -> None:
        self.place = place
        self.steps += 1

    def leave(self, name: str) -> None:
        """There are no more questions; ``name`` is what nobody waits for any more, if anything."""
        self.left_at = os.path.abspath(name) if name else ""
        self.questions.put(None)

    def run(self) -> None:
        while (question := self.questions.get()) is not None:
            try:
                self.answers.put((question(), None))
            except BaseException as error:
                self.answers.put((None, error))


def _is_waited_for(name: str) -> bool:
    """Whether a thread was left behind with a question for this place, or for one above it, and
    has no answer yet.
    """
    left = [each.left_at for each in threading.enumerate() if isinstance(each, _Thread)]
    if not any(left):
        return False
    place = os.path.abspath(name)
    return any(at and (place == at or place.startswith(at.rstrip(os.sep) + os.sep)) for at in left)
