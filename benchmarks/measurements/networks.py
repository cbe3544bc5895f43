"""The whole pipeline against its two networks alone, on photos already decoded and faces already
cut out, with the same number of processes.
"""

from __future__ import annotations

from typing import Any

from benchmarks.photos import spread
from benchmarks.results import Figure, Measured, Ratio, beyond_start, interleaved, ratios
from benchmarks.workbench import Workbench

_PHOTOS = 1_000
"""Decoded photos are kept in memory: 190 MB."""


def measure_networks(bench: Workbench) -> Measured:
    photos = spread(bench.photos, _PHOTOS)
    whole, start = bench.folder_of(photos), bench.folder_of(photos[: bench.jobs])
    listed = bench.new("photos.txt")
    listed.write_text("\n".join(map(str, photos)), encoding="utf-8")
    store = str(bench.store)

    def pipeline() -> float:
        took = [bench.index(folder, bench.new("pipeline.npz"))[1].seconds
                for folder in (whole, start)]  # fmt: skip
        return (len(photos) - bench.jobs) / beyond_start(*took)

    parts: list[dict[str, Any]] = []

    def alone() -> float:
        found = bench.side("networks", str(listed), "--store", store, "--jobs", str(bench.jobs))
        parts.append(found)
        return len(photos) / float(found["detect_seconds"] + found["embed_seconds"])

    found = interleaved({"pipeline": pipeline, "networks": alone}, bench.options.repeats)
    return Measured(
        (
            Figure("whole pipeline without start-up", "facesearch", "photos/s",
                   found["pipeline"], "more"),
            Figure("both networks alone", "facesearch", "photos/s", found["networks"], "more"),
            *(
                Figure(f"{name} alone, a photo and process", "facesearch", "ms", tuple(
                    1000 * part[f"{name}_seconds"] * bench.jobs / len(photos) for part in parts
                ))
                for name in ("detect", "embed")
            ),
        ),
        (
            Ratio("whole pipeline over its networks alone",
                  ratios(found["pipeline"], found["networks"]), at_least=0.9),
        ),
        {"photos": len(photos), "faces": parts[-1]["faces"], "jobs": bench.jobs},
    )  # fmt: skip
