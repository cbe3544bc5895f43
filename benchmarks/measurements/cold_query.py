"""A query in a new process, beside the import of scikit-learn's neighbours in the same rounds."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.results import Figure, Measured, Ratio, interleaved, ratios
from benchmarks.workbench import Workbench

ROUNDS = 5
"""Rounds for each repeat: one takes a second or two."""
IMPORT = "python -c 'import sklearn.neighbors'"


def measure_cold_query(bench: Workbench) -> Measured:
    store, photo = str(bench.store), str(bench.photos[len(bench.photos) // 2])
    query = ("query", photo, "--store", store, "--format", "paths")

    def seconds(*further: str) -> Callable[[], float]:
        return lambda: bench.facesearch(*query, *further).seconds

    has_brute = "--backend" in bench.help_of("query")
    sides = {
        IMPORT: lambda: bench.python("-c", "import sklearn.neighbors").seconds,
        "facesearch query": seconds(),
        **({"facesearch query, brute": seconds("--backend", "brute")} if has_brute else {}),
    }
    for take in sides.values():
        take()  # files come into the page cache
    found = interleaved(sides, ROUNDS * bench.options.repeats)
    wanted = {"facesearch query": 1.3, "facesearch query, brute": 0.5}
    peak = bench.facesearch(*query, watched=True).peak_bytes / 1e6
    return Measured(
        (
            *(Figure("cold query", side, "s", samples) for side, samples in found.items()),
            Figure("peak memory", "facesearch query", "MB", (peak,)),
        ),
        tuple(
            Ratio(f"{side} over {IMPORT}", ratios(found[side], found[IMPORT]), at_most=most)
            for side, most in wanted.items()
            if side in found
        ),
        {"photos": len(bench.photos)} | ({} if has_brute else {"brute": "no --backend to choose"}),
    )
