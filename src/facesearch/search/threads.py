"""Rows shared out among the cores, for one query at a time."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from facesearch.cores import cores

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")

_ALONE = 1 << 23
"""Bytes that one core has looked through before two have agreed who takes what."""


class Team:
    """Threads that begin when they are first needed; ``begin`` is called in each of them."""

    def __init__(self, begin: Callable[[], None] | None = None) -> None:
        self._begin = begin

    def pieces(self, count: int, row_bytes: int) -> list[slice]:
        """``count`` rows in one piece for each core, or in one where they are few."""
        parts = 1 if count * row_bytes < _ALONE else cores()
        ends = [count * part // parts for part in range(parts + 1)]
        return [slice(*pair) for pair in itertools.pairwise(ends)]

    def map(self, work: Callable[[Item], Outcome], items: Iterable[Item]) -> list[Outcome]:
        """``work`` of each item, side by side where there are several."""
        items = list(items)
        if len(items) == 1 or cores() == 1:
            return [work(item) for item in items]
        return list(self._threads.map(work, items))

    @cached_property
    def _threads(self) -> ThreadPoolExecutor:
        from concurrent.futures import ThreadPoolExecutor

        return ThreadPoolExecutor(cores(), "facesearch-rows", self._begin)
