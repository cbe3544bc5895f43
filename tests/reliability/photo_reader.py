"""A process that reads photos within bounds; what it says of each, and its death, are outcomes."""

from __future__ import annotations

import hashlib
import multiprocessing
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess

MEMORY = 1 << 30
"""Bytes that reading may take besides what the process has when it begins."""
SECONDS = 10.0
"""Time of the processor that one photo may take."""
WAIT_SECONDS = 120.0
"""Time by the clock after which it hangs, on a machine that does much else."""
MAX_SIDE = 256
MAX_PIXELS = 4_000_000


@dataclass(frozen=True)
class Outcome:
    """``what`` is "read", a key of ``records.REASONS``, or what else became of it: "died: ...",
    "took too long", "raised ...", "wrong: ...".
    """

    what: str
    seconds: float = 0.0
    pixels: bytes = b""


class PhotoReader:
    """Reads photos in a process of its own, which is replaced where it does not survive one."""

    def __enter__(self) -> PhotoReader:
        self._start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def read(self, photos: Sequence[bytes]) -> list[Outcome]:
        """One outcome for each."""
        if not photos:
            return []
        self._pipe.send(list(photos))
        outcomes = []
        while len(outcomes) < len(photos):
            try:
                late = not self._pipe.poll(WAIT_SECONDS)
                outcomes.append(Outcome("took too long") if late else self._pipe.recv())
            except (EOFError, OSError):
                late = True
                self._process.join(5)
                outcomes.append(Outcome(f"died: {self._process.exitcode}"))
            if late:
                self._end()
                self._start()
                return outcomes + self.read(photos[len(outcomes) :])
        return outcomes

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process: SpawnProcess = context.Process(target=serve, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()
        self._pipe.recv()

    def _end(self) -> None:
        self._pipe.close()
        self._process.kill()
        self._process.join(5)


def serve(pipe: Connection) -> None:
    """The life of the process."""
    import resource

    import psutil
    from mutated_photos import samples

    for data in samples().values():
        outcome_of(data)  # all decoders are loaded before memory is bounded
    bound = psutil.Process().memory_info().vms + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (bound, bound))
    pipe.send("ready")
    while True:
        try:
            photos = pipe.recv()
        except (EOFError, OSError):
            return
        for data in photos:
            pipe.send(outcome_of(data))


def outcome_of(data: bytes) -> Outcome:
    """Read one photo and look at what came of it."""
    from facesearch.errors import PhotoError
    from facesearch.photos import PhotoLimits, read_photo
    from facesearch.records import REASONS, Photo

    started = time.process_time()
    photo: Photo | None = None
    try:
        photo = read_photo(data, PhotoLimits(MAX_SIDE, MAX_PIXELS))
        what = "read" if _is_right(photo, data) else f"wrong: {photo.facts}"
    except PhotoError as error:
        told = str(error).isprintable() and error.reason in REASONS
        what = error.reason if told else f"wrong: {error!r}"
        if "not enough memory" in str(error):
            what = "wrong: memory had no bound"
    except BaseException as error:
        what = f"raised {error!r}"
    pixels = b"" if photo is None else photo.facts.pixel_hash
    return Outcome(what, time.process_time() - started, pixels)


def _is_right(photo: object, data: bytes) -> bool:
    from facesearch.records import Photo

    assert isinstance(photo, Photo)
    height, width, channels = photo.pixels.shape
    facts = photo.facts
    return (
        channels == 3
        and photo.pixels.dtype == "uint8"
        and 1 <= min(height, width) <= max(height, width) <= MAX_SIDE
        and min(facts.width, facts.height, facts.frames) >= 1
        and (facts.width >= facts.height) == (width >= height)
        and abs(max(height, width) - facts.scale * max(facts.width, facts.height)) < 1
        and facts.content_hash == hashlib.sha256(data).digest()
        and facts.camera.isprintable()
        and facts.taken.isprintable()
    )
