"""Work that goes on beside other work."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import Future

Outcome = TypeVar("Outcome")


def beside(work: Callable[[], Outcome]) -> Future[Outcome]:
    """Does ``work`` on a thread of its own. Whoever asks for the result waits for it, and gets the
    error if there was one.
    """
    from concurrent.futures import ThreadPoolExecutor
    from contextvars import copy_context

    executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="facesearch")
    future = executor.submit(copy_context().run, work)
    executor.shutdown(wait=False)  # the thread ends with its work
    return future
