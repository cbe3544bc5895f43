"""Search alone: each back end over seeded unit vectors, one query at a time."""

from __future__ import annotations

from functools import partial

from benchmarks.results import Figure, Measured, interleaved
from benchmarks.workbench import Workbench
from facesearch.search import BACKENDS

SIZES = (10_000, 100_000, 1_000_000)
_LEFT_OUT = {"pca"}
"""It searches projections of wide rows; these have 128 numbers."""


def measure_search(bench: Workbench) -> Measured:
    names = [name for name in BACKENDS if name not in _LEFT_OUT]
    figures: list[Figure] = []
    for size in SIZES:
        found = interleaved(
            {name: partial(bench.side, "search", name, str(size)) for name in names},
            bench.options.repeats,
        )
        for name, runs in found.items():
            side = f"{name}, {size:,} faces"
            figures += [
                Figure("search", side, "ms", tuple(run["median_ms"] for run in runs)),
                Figure("making it ready", side, "s", tuple(run["ready_seconds"] for run in runs)),
                Figure("share of the nearest 25 found", side, "",
                       tuple(run["recall"] for run in runs), "more"),
                Figure("memory beside the rows", side, "MB",
                       tuple(run["beside_mb"] for run in runs)),
            ]  # fmt: skip
    return Measured(tuple(figures), (), {"dim": 128, "k": 25, "sizes": list(SIZES)})
