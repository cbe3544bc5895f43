"""Questions that a disk does not answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from facesearch.errors import PhotoError
from facesearch.photos import Further, Patience

SECONDS = 0.2


@pytest.fixture
def never() -> Iterator[threading.Event]:
    """Comes when the test is over."""
    event = threading.Event()
    yield event
    event.set()


def test_nobody_waits_twice_for_one_place(never: threading.Event) -> None:
    asked: list[str] = []

    def hang(path: str) -> None:
        asked.append(path)
        never.wait(30)

    with pytest.raises(PhotoError, match="timeout"):
        Patience(SECONDS).read(hang, "/away")
    for place in ("/away", "/away/photos/1.jpg"):
        with pytest.raises(PhotoError, match="timeout"):
            Patience(60).read(hang, place)
    assert asked == ["/away"]
    assert Patience(60).read(len, "/away too") == 9
    never.set()
    while any(thread.name == "facesearch-patience" for thread in threading.enumerate()):
        time.sleep(0.01)
    assert Patience(60).read(len, "/away") == 5


def test_what_comes_further_may_take_its_time(never: threading.Event) -> None:
    def slow(path: str, further: Further) -> str:
        for number in range(20):
            further(f"{path}/{number}")
            time.sleep(SECONDS / 8)
        return "listed"

    def stuck(path: str, further: Further) -> None:
        further(f"{path}/one")
        never.wait(30)

    patience = Patience(SECONDS)
    assert patience.work(slow, "/folder") == "listed"
    with pytest.raises(PhotoError, match="/folder/one: gave no answer"):
        patience.work(stuck, "/folder")
    assert patience.read(len, "/folder") == 7
