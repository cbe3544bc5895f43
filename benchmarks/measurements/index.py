"""Photos a second and memory of ``facesearch index``, for few photos and for all."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.photos import spread
from benchmarks.results import Figure, Measured, Ratio, beyond_start, interleaved, ratios
from benchmarks.workbench import Workbench

FEW = 1_000
MEMORY_BYTES = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Indexed:
    """One run. ``summary`` is what it printed."""

    seconds: float
    peak_bytes: int
    summary: dict[str, Any]
    store: Path


def measure_index(bench: Workbench) -> Measured:
    """What starting takes is measured by runs over one photo a process, and is taken off for the
    figures without start-up.
    """
    few = min(FEW, max(1, len(bench.photos) // 2))
    counts = {"start": bench.jobs, "few": few, "all": len(bench.photos)}
    folders = {name: bench.folder_of(spread(bench.photos, count)) for name, count in counts.items()}

    def run(name: str) -> Indexed:
        store = bench.new(f"{name}.npz")
        summary, done = bench.index(folders[name], store)
        return Indexed(done.seconds, done.peak_bytes, summary, store)

    found = interleaved({name: partial(run, name) for name in counts}, bench.options.repeats)
    bench.take_store(found["all"][-1].store)
    costs = {name: _cost(found[name], found["start"], counts[name] - bench.jobs)
             for name in ("few", "all")}  # fmt: skip
    last = found["all"][-1].summary
    return Measured(
        (
            Figure("start-up", "facesearch", "s", tuple(r.seconds for r in found["start"])),
            *(figure for name in ("few", "all")
              for figure in _figures(counts[name], found[name], costs[name])),
        ),
        (
            Ratio(f"cost of a photo at {counts['all']:,} photos over {few:,}, without start-up",
                  ratios(costs["all"], costs["few"]), at_most=1.1),
            Ratio("peak memory over 1 GB",
                  tuple(run.peak_bytes / MEMORY_BYTES for run in found["all"]), at_most=1.0),
        ),
        {
            "photos": last["seen"],
            "faces": last["faces"],
            "without_face": last["without_face"],
            "failed": len(last["failures"]),
            "jobs": bench.jobs,
        },
    )  # fmt: skip


def _cost(runs: tuple[Indexed, ...], starts: tuple[Indexed, ...], photos: int) -> list[float]:
    """Seconds a photo, round by round."""
    return [
        beyond_start(run.seconds, start.seconds) / photos
        for run, start in zip(runs, starts, strict=True)
    ]


def _figures(count: int, runs: tuple[Indexed, ...], costs: list[float]) -> tuple[Figure, ...]:
    side = f"facesearch, {count:,} photos"
    return (
        Figure("indexing", side, "photos/s", tuple(count / r.seconds for r in runs), "more"),
        Figure("indexing without start-up", side, "photos/s",
               tuple(1 / cost for cost in costs), "more"),
        Figure("peak memory", side, "MB", tuple(run.peak_bytes / 1e6 for run in runs)),
    )  # fmt: skip
