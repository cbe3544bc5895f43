"""Galleries of growing size, simulated, through the whole gallery and back end by back end."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.results import Better, Figure, Measured, Ratio, interleaved, ratios
from benchmarks.workbench import Workbench

AMONG = 1_000_000
LARGEST = 10_000_000
_SMALL, _MIDDLE = 100_000, 1_000_000
_FLAT_RATIO, _LARGEST_MS, _LARGEST_MB, _MATES = 0.7, 120.0, 4000.0, 0.999
_GROWTH = 1.1
"""Linear, and what two medians differ by."""

_FIGURES: tuple[tuple[str, str, str, Better], ...] = (
    ("one query", "p50_ms", "ms", "less"),
    ("one query, 99 of 100 within", "p99_ms", "ms", "less"),
    ("queries, two at once", "queries_a_second", "/s", "more"),
    ("opening", "open_ms", "ms", "less"),
    ("opening to the first answer", "first_s", "s", "less"),
    ("memory of its own", "own_mb", "MB", "less"),
    ("mapped pages", "mapped_mb", "MB", "neither"),
    ("mates found, of those that exact search finds", "mates", "", "more"),
    ("the 25 nearest found", "nearest", "", "more"),
    ("first is a mate", "rank_1", "", "more"),
)
_ALONE: tuple[tuple[str, str, str, Better], ...] = (
    ("search alone", "median_ms", "ms", "less"),
    ("making it", "build_s", "s", "less"),
    ("search alone, 100 at once", "batch_a_second", "/s", "more"),
    ("search alone: mates found", "mates", "", "more"),
    ("search alone: the 25 nearest found", "nearest", "", "more"),
)
_CALLED = {"flat": "float32 of faiss itself", "ivf": "IVF1024,SQ8 of faiss",
           "hnsw": "HNSW32,SQ8 of faiss"}  # fmt: skip


def measure_sizes(bench: Workbench) -> Measured:
    figures: list[Figure] = []
    wanted: list[Ratio] = []
    facts: dict[str, Any] = {"sizes": list(bench.options.sizes)}
    medians: dict[int, tuple[float, ...]] = {}
    for size in bench.options.sizes:
        store, made = _made(bench, size)
        facts[f"people among {size:,}"] = made["people"]
        figures.append(Figure("writing the store", _side("", size), "s", (made["seconds"],)))
        figures.append(Figure("store on disk", _side("", size), "MB", (made["bytes"] / 1e6,)))
        found = _through_the_gallery(bench, store, size)
        for name, runs in found.items():
            figures += _figures(_FIGURES, _side(name, size), runs)
        own = found["faiss"]
        medians[size] = tuple(run["p50_ms"] for run in own)
        wanted += _wanted(size, own)
        alone, ratio = _alone(bench, store, size)
        figures += alone
        wanted += ratio
        _remove(store)
    wanted += [
        Ratio(f"growth of a query over growth of the gallery, {small:,} to {large:,} faces",
              tuple(one / (large / small) for one in ratios(medians[large], medians[small])),
              at_most=_GROWTH)
        for small, large in zip(sorted(medians), sorted(medians)[1:], strict=False)
    ]  # fmt: skip
    if max(bench.options.sizes) >= AMONG:
        figures += _among_many(bench)
    return Measured(tuple(figures), tuple(wanted), facts)


def _made(bench: Workbench, faces: int, *options: str) -> tuple[Path, dict[str, Any]]:
    folder = bench.new("simulated")
    folder.mkdir()
    store = folder / "faces.npz"
    made = bench.side(
        "simulate", str(store), "--faces", str(faces), "--like", str(bench.store), *options
    )
    return store, made


def _through_the_gallery(
    bench: Workbench, store: Path, size: int
) -> dict[str, tuple[dict[str, Any], ...]]:
    names = ["faiss", "faiss-flat", "faiss-rabitq", *(["sklearn"] if size <= _MIDDLE else [])]
    first = {name: bench.side("gallery", str(store), name, "--only-open") for name in names}
    found = interleaved(
        {name: partial(bench.side, "gallery", str(store), name, "--probes", _probes(size, name))
         for name in names},
        bench.options.repeats,
    )  # fmt: skip
    # The very first answer makes what is kept.
    return {
        name: tuple({**run, "made_s": first[name]["first_s"]} for run in runs)
        for name, runs in found.items()
    }


def _probes(size: int, name: str = "") -> str:
    """So many that nobody waits for hours."""
    return "100" if size > _MIDDLE or name == "sklearn" else "500"


def _figures(
    kinds: Sequence[tuple[str, str, str, Better]], side: str, runs: Sequence[dict[str, Any]]
) -> list[Figure]:
    found = [
        Figure(name, side, unit, tuple(run[key] for run in runs), better)
        for name, key, unit, better in kinds
    ]
    made = {run["made_s"] for run in runs if "made_s" in run}
    if made:
        found.append(Figure("opening to the very first answer", side, "s", tuple(made)))
    return found


def _wanted(size: int, own: Sequence[dict[str, Any]]) -> list[Ratio]:
    mates = tuple(run["mates"] for run in own)
    found = [Ratio(f"mates found of exact, {size:,} faces", mates, at_least=_MATES)]
    if size == LARGEST:
        times = tuple(run["p50_ms"] / _LARGEST_MS for run in own)
        memory = tuple(run["own_mb"] / _LARGEST_MB for run in own)
        found += [
            Ratio(f"a query over 120 ms, {size:,} faces", times, at_most=1.0),
            Ratio(f"memory of its own over 4 GB, {size:,} faces", memory, at_most=1.0),
        ]
    return found


def _alone(bench: Workbench, store: Path, size: int) -> tuple[list[Figure], list[Ratio]]:
    names = ["faiss", "flat", "faiss-flat", "faiss-rabitq"]
    if size <= _MIDDLE:
        names.append("sklearn")
    if size <= _SMALL:
        names += ["ivf", "hnsw"]  # for the comparison; no query can choose them
    runs = [
        bench.side("scans", str(store), *names, "--probes", _probes(size))
        for _ in range(bench.options.repeats)
    ]
    figures = [
        figure
        for name in names
        for figure in _figures(_ALONE, _side(_CALLED.get(name, name), size),
                               [run[name] for run in runs])
    ]  # fmt: skip
    over = tuple(run["faiss"]["median_ms"] / run["flat"]["median_ms"] for run in runs)
    limit = _FLAT_RATIO if size == _MIDDLE else None
    name = f"faiss (8 bits, re-ranked) over float32 of faiss itself, {size:,} faces"
    return figures, [Ratio(name, over, at_most=limit)]


def _among_many(bench: Workbench) -> list[Figure]:
    """The real faces alone, and among a million others."""
    figures: list[Figure] = []
    for others in (0, AMONG):
        store, _ = _made(bench, others, "--among")
        run = bench.side("gallery", str(store), "faiss")
        side = f"real faces among {others:,} simulated"
        figures += [
            Figure("first is a mate, real faces", side, "", (run["rank_1"],), "more"),
            Figure("mates found of exact, real faces", side, "", (run["mates"],), "more"),
        ]
        _remove(store)
    return figures


def _side(name: str, size: int) -> str:
    return ", ".join(part for part in (name, f"{size:,} faces") if part)


def _remove(store: Path) -> None:
    """At once: ten million faces take 9 GB."""
    shutil.rmtree(store.parent)
