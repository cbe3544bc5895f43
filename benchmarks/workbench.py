"""What measurements share: photos, a scratch folder, and the store that queries look through."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from benchmarks.photos import all_photos, link, spread
from benchmarks.processes import BenchmarkError, Finished, Surroundings, run
from facesearch import weights
from facesearch.cores import cores

ROOT = Path(__file__).resolve().parents[1]
SIZES = (100_000, 1_000_000)


@dataclass(frozen=True, slots=True)
class Options:
    """How to measure. ``photos`` of LFW, None for all of it; ``peers`` is the folder of their
    environments; ``store`` one of ``facesearch index`` over ``lfw`` to take instead of making it;
    ``sizes`` are those of simulated galleries.
    """

    lfw: Path
    photos: int | None = None
    repeats: int = 3
    peers: Path | None = None
    store: Path | None = None
    sizes: tuple[int, ...] = SIZES


class Workbench:
    """The scratch folder of one run and what was already made there."""

    def __init__(self, options: Options, scratch: Path) -> None:
        self.options = options
        self.scratch = scratch
        self._made = 0

    @cached_property
    def photos(self) -> list[Path]:
        """The photos that count as all."""
        found = all_photos(self.options.lfw)
        if not found:
            raise BenchmarkError(
                f"{self.options.lfw}: no photos of Labeled Faces in the Wild; name its folder with "
                "--lfw"
            )
        return spread(found, self.options.photos)

    @cached_property
    def environment(self) -> dict[str, str]:
        """The weights are those of this machine; stores used lately stay out of its memory."""
        home = self.scratch / "home"
        home.mkdir()
        (home / "models").symlink_to(weights.home() / "models")
        kept = {name: value for name, value in os.environ.items() if name != "FACESEARCH_STORE"}
        return {**kept, "FACESEARCH_HOME": str(home), "PYTHONPATH": str(ROOT)}

    @property
    def jobs(self) -> int:
        """Worker processes; said to every run, so that few photos start as many as all do."""
        return cores()

    def new(self, name: str) -> Path:
        """A path in the scratch folder that nobody has used."""
        self._made += 1
        return self.scratch / f"{self._made}-{name}"

    def folder_of(self, photos: Sequence[Path]) -> Path:
        """A folder with links to the photos."""
        return link(photos, self.new("photos"))

    def facesearch(self, *arguments: str, watched: bool = False) -> Finished:
        """Runs the program in a process of its own."""
        return self.python("-m", "facesearch", *arguments, watched=watched)

    def python(self, *arguments: str, watched: bool = False) -> Finished:
        """Runs this Python."""
        surroundings = Surroundings(self.scratch, self.environment, watched)
        return run([sys.executable, *arguments], surroundings)

    def side(self, name: str, *arguments: str, watched: bool = False) -> dict[str, Any]:
        """What a module of ``benchmarks.sides`` found, in a process of its own."""
        done = self.python("-m", f"benchmarks.sides.{name}", *arguments, watched=watched)
        found: dict[str, Any] = json.loads(done.output.splitlines()[-1])
        return {**found, "peak_bytes": done.peak_bytes}

    def index(self, folder: Path, store: Path, *options: str) -> tuple[dict[str, Any], Finished]:
        """``facesearch index`` with all processes, its summary and what it took."""
        jobs = () if "--jobs" in options else ("--jobs", str(self.jobs))
        done = self.facesearch(
            "index", str(folder), "--store", str(store), "--json", *jobs, *options, watched=True
        )
        return json.loads(done.output), done

    @cached_property
    def store(self) -> Path:
        """A store of all photos, the one given or made once."""
        target = self.new("all.npz")
        if self.options.store is not None:
            shutil.copy(self.options.store, target)
            return target
        self.index(self.folder_of(self.photos), target)
        return target

    def take_store(self, made: Path) -> None:
        """Spares the work of ``store`` where a measurement has just made it."""
        if self.options.store is None:
            self.__dict__.setdefault("store", made)

    def help_of(self, command: str) -> str:
        return self.facesearch(command, "--help").output
