"""Runs a command as a person would and says what it took."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

_SECONDS_BETWEEN = 0.25
_SHARE_OF_TIME = 0.02
"""How much of one core watching may take from what is watched."""
_SHOWN = 400


class BenchmarkError(Exception):
    """A measurement could not be made. One line, for people."""


@dataclass(frozen=True, slots=True)
class Finished:
    """A command that ended well. ``peak_bytes`` is that of all its processes together, 0 where
    nobody watched.
    """

    seconds: float
    peak_bytes: int
    output: str


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where a command runs. Watching its memory takes a little of the processor's time, so a
    command that takes a second or less is timed without.
    """

    folder: Path
    environment: Mapping[str, str]
    watched: bool = False


def run(command: Sequence[str], surroundings: Surroundings) -> Finished:
    """Runs the command to its end.

    Raises:
        BenchmarkError: it cannot be started, or it failed.
    """
    started = time.perf_counter()
    try:
        process = subprocess.Popen(
            command,
            cwd=surroundings.folder,
            env=dict(surroundings.environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    except OSError as error:
        raise BenchmarkError(f"{command[0]}: {error.strerror}") from error
    watch = _Watch(process.pid)
    if surroundings.watched:
        watch.start()
    output, complaint = process.communicate()
    seconds = time.perf_counter() - started
    if process.returncode:
        said = (complaint.strip().splitlines() or ["nothing said"])[-1][:_SHOWN]
        called = " ".join(command[1:4])
        raise BenchmarkError(f"python {called} ...: exit code {process.returncode}: {said}")
    return Finished(seconds, watch.peak, output)


class _Watch(threading.Thread):
    """Samples the proportional set size of a process and its children until they are gone, so that
    pages shared between processes count once.
    """

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._pid = pid
        self.peak = 0

    def run(self) -> None:
        try:
            parent = psutil.Process(self._pid)
            while True:
                started = time.perf_counter()
                processes = [parent, *parent.children(recursive=True)]
                self.peak = max(self.peak, sum(map(_memory_of, processes)))
                looking = time.perf_counter() - started
                time.sleep(max(_SECONDS_BETWEEN, looking / _SHARE_OF_TIME))
        except psutil.Error:
            return


def _memory_of(process: psutil.Process) -> int:
    try:
        memory = process.memory_full_info()
    except psutil.Error:  # it has ended, or is another user's
        return 0
    return int(getattr(memory, "pss", memory.uss))
