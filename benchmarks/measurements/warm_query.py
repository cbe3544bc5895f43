"""Queries through an open gallery: from a photo's file to its neighbours."""

from __future__ import annotations

from benchmarks.photos import spread
from benchmarks.results import Figure, Measured, Ratio
from benchmarks.workbench import Workbench

_QUERIES = 50
WANTED_MS = 40.0


def measure_warm_query(bench: Workbench) -> Measured:
    """Each repeat is a process of its own, which asks some photos before the clock runs."""
    photos = spread(bench.photos, _QUERIES)
    listed = bench.new("queries.txt")
    listed.write_text("\n".join(map(str, photos)), encoding="utf-8")
    found = [
        bench.side("warm", str(listed), "--store", str(bench.store), watched=True)
        for _ in range(bench.options.repeats)
    ]
    medians = tuple(each["median_ms"] for each in found)
    return Measured(
        (
            Figure("warm query, median", "facesearch", "ms", medians),
            Figure("warm query, nine of ten within", "facesearch", "ms",
                   tuple(each["p90_ms"] for each in found)),
            Figure("peak memory", "facesearch", "MB",
                   tuple(each["peak_bytes"] / 1e6 for each in found)),
        ),
        (
            Ratio("warm query over 40 ms", tuple(m / WANTED_MS for m in medians), at_most=1.0),
        ),
        {"photos": len(bench.photos), "queries": len(photos)},
    )  # fmt: skip
