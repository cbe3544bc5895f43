"""Work in a few threads, with a queue that has an end."""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from functools import partial
from typing import ParamSpec, TypeVar

import anyio.to_thread

from facesearch.web.problems import busy

P = ParamSpec("P")
R = TypeVar("R")


class Work:
    """So many threads, and so many requests that may wait for them; what comes beyond is refused.

    Work is done in the context in which this was made: there the passphrases are.
    """

    def __init__(self, threads: int, waiting: int) -> None:
        self._threads = threads
        self._most = threads + waiting
        self._context = contextvars.copy_context()
        self._limiter: anyio.CapacityLimiter | None = None
        self.inside = 0

    async def run(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """What ``work`` returns.

        Raises:
            HttpError: "busy", when too many wait already; and whatever ``work`` raises.
        """
        if self.inside >= self._most:
            raise busy()
        if self._limiter is None:
            self._limiter = anyio.CapacityLimiter(self._threads)
        self.inside += 1
        try:
            # A context is entered by one thread at a time, so each has its own copy.
            call = partial(self._context.copy().run, partial(work, *args, **kwargs))
            return await anyio.to_thread.run_sync(call, limiter=self._limiter)
        finally:
            self.inside -= 1
