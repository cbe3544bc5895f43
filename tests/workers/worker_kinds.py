"""Workers that go wrong in every way; their processes import them from here."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from facesearch.errors import DeviceError


@dataclass(frozen=True)
class Squares:
    """Squares numbers; some of them do harm. With ``seconds`` it takes that long for each."""

    seconds: float = 0.0
    exits: tuple[int, ...] = ()
    hangs: tuple[int, ...] = ()
    segfaults: tuple[int, ...] = ()
    raises: tuple[int, ...] = ()
    refuses: tuple[int, ...] = ()
    log: str = ""

    def __call__(self) -> Squares:
        return self

    def describe(self) -> str:
        return f"process {os.getpid()}"

    def process(self, batch: list[int]) -> list[int]:
        return [self._square(number) for number in batch]

    def _square(self, number: int) -> int:
        if self.log:
            with Path(self.log).open("a") as log:
                log.write(f"{number}\n")
        time.sleep(self.seconds)
        if number in self.exits:
            os._exit(7)
        if number in self.hangs:
            time.sleep(600)
        if number in self.segfaults:
            os.kill(os.getpid(), signal.SIGSEGV)
        if number in self.raises:
            raise MemoryError("no room")
        if number in self.refuses:
            raise DeviceError("no such device here")
        return number * number


@dataclass(frozen=True)
class FailsToStart:
    """Ends while it starts: by an error of the program, by one of its own, or at once."""

    how: str
    log: str

    def __call__(self) -> Squares:
        with Path(self.log).open("a") as log:
            log.write(f"{os.getpid()}\n")
        if self.how == "exit":
            os._exit(3)
        if self.how == "slow":
            time.sleep(600)
        if self.how == "error":
            raise DeviceError("--device gpu: there is none here")
        raise ImportError("no module named tensorflow")


@dataclass(frozen=True)
class StartsAtSecondTry:
    """The first process dies while it starts."""

    mark: str

    def __call__(self) -> Squares:
        if not Path(self.mark).exists():
            Path(self.mark).touch()
            os._exit(3)
        return Squares()


@dataclass(frozen=True)
class DiesOnce:
    """The first process dies at its first item; later ones give each item back."""

    mark: str

    def __call__(self) -> DiesOnce:
        return self

    def describe(self) -> str:
        return "once"

    def process(self, batch: list[int]) -> list[int]:
        if not Path(self.mark).exists():
            Path(self.mark).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return batch


@dataclass(frozen=True)
class Blobs:
    """Turns every item into half a megabyte."""

    def __call__(self) -> Blobs:
        return self

    def describe(self) -> str:
        return "blobs"

    def process(self, batch: list[bytes]) -> list[bytes]:
        time.sleep(0.05)
        return [item[:1] * 500_000 for item in batch]
