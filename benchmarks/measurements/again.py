"""A second ``facesearch index`` over photos that have not changed: seconds, and files opened."""

from __future__ import annotations

from pathlib import Path

from benchmarks.photos import spread
from benchmarks.processes import Finished, Surroundings, run
from benchmarks.results import Figure, Measured, Ratio, interleaved
from benchmarks.workbench import Workbench

WANTED_SECONDS = 2.0
_FIRST = 20
_COUNTER = Path(__file__).resolve().parents[1] / "sides" / "opened"


def measure_again(bench: Workbench) -> Measured:
    """A counter in every process counts the photos that are opened. That it counts at all is shown
    by a first run over a few photos, in which each is opened.
    """
    first = spread(bench.photos, _FIRST)
    counted_first = _opened(bench, bench.folder_of(first), bench.new("first.npz"))
    folder = bench.folder_of(bench.photos)
    store = bench.new("again.npz")
    bench.index(folder, store)
    opened = _opened(bench, folder, store)
    seconds = interleaved({"again": lambda: bench.index(folder, store)[1].seconds},
                          bench.options.repeats)["again"]  # fmt: skip
    return Measured(
        (
            Figure("second index, nothing changed", "facesearch", "s", seconds),
            Figure("photos opened", "facesearch", "photos", (float(opened),)),
        ),
        (
            Ratio("second index over 2 s", tuple(s / WANTED_SECONDS for s in seconds), at_most=1.0),
            Ratio("photos opened by the second index", (float(opened),), at_most=0.0),
            Ratio(f"opened by a first index of {len(first)} photos, over {len(first)}",
                  (counted_first / len(first),), at_least=1.0),
        ),
        {"photos": len(bench.photos)},
    )  # fmt: skip


def _opened(bench: Workbench, folder: Path, store: Path) -> int:
    """How many photos below the folder were opened by an index run."""
    log = bench.new("opened")
    log.mkdir()
    _index_counted(bench, folder, store, log)
    return len({line for part in log.iterdir() for line in part.read_text().splitlines()})


def _index_counted(bench: Workbench, folder: Path, store: Path, log: Path) -> Finished:
    import sys

    environment = {
        **bench.environment,
        "PYTHONPATH": f"{_COUNTER}:{bench.environment['PYTHONPATH']}",
        "BENCHMARK_OPENED_BELOW": str(folder),
        "BENCHMARK_OPENED_LOG": str(log),
    }
    return run(
        [sys.executable, "-m", "facesearch", "index", str(folder), "--store", str(store)],
        Surroundings(bench.scratch, environment),
    )
