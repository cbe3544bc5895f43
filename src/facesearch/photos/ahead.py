"""Fetching the next photos while one is worked on, where they come over a network."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from facesearch.errors import PhotoError
from facesearch.locations import is_address
from facesearch.photos.files import PhotoBytes

AHEAD = 8
"""So many objects are on their way at a time; each is held whole."""


def read_ahead(
    read: Callable[[str], PhotoBytes], paths: Sequence[str]
) -> Iterator[PhotoBytes | PhotoError]:
    """What ``read`` gives for each path, in order, or the error that it raised.

    A file of this machine is read when its turn comes; objects are asked for before theirs, since
    most of the time a request takes is spent waiting.
    """

    def outcome(path: str) -> PhotoBytes | PhotoError:
        try:
            return read(path)
        except PhotoError as error:
            return error

    if len(paths) < 2 or not any(is_address(path) for path in paths):
        yield from map(outcome, paths)
        return
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(AHEAD, thread_name_prefix="facesearch-read") as threads:
        rest = iter(paths)
        under_way = deque(threads.submit(outcome, path) for path in islice(rest, AHEAD))
        while under_way:
            found = under_way.popleft().result()
            under_way.extend(threads.submit(outcome, path) for path in islice(rest, 1))
            yield found
