"""Two threads inside each network against two processes side by side.

    python -m benchmarks.threads --lfw FOLDER [--photos 400] [--repeats 3]

Each way reads, detects and embeds the same photos, networks loaded and warm before the clock
starts; the ways take turns.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import time
from collections.abc import Iterator, Sequence
from multiprocessing.synchronize import Barrier
from pathlib import Path
from statistics import median

from benchmarks.photos import all_photos, spread
from facesearch.index_options import DEFAULT_MODEL, default_recipe
from facesearch.indexing import BATCH
from facesearch.processing import PhotoTask, Pipeline, ProcessSpec
from facesearch.runtimes import RuntimeOptions

WAYS = {"1 process, 1 thread": (1, 1), "1 process, 2 threads": (1, 2), "2 processes": (2, 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--lfw", type=Path, default=os.environ.get("FACESEARCH_LFW", "../shared/lfw")
    )
    parser.add_argument("--photos", type=int, default=400)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    paths = [str(path) for path in spread(all_photos(options.lfw), options.photos)]
    rates: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(options.repeats):
        for way, (processes, threads) in WAYS.items():
            rates[way].append(len(paths) / seconds(paths, processes, threads))
    for way, found in rates.items():
        print(json.dumps({"way": way, "photos_per_second": round(median(found), 1),
                          "all": [round(rate, 1) for rate in found]}))  # fmt: skip


def seconds(paths: Sequence[str], processes: int, threads: int) -> float:
    """From the moment when all processes are ready to the end of the last one."""
    context = multiprocessing.get_context("spawn")
    ready = context.Barrier(processes + 1)
    workers = [
        context.Process(target=work, args=(paths[number::processes], threads, ready))
        for number in range(processes)
    ]
    for worker in workers:
        worker.start()
    ready.wait()
    started = time.perf_counter()
    for worker in workers:
        worker.join()
    return time.perf_counter() - started


def work(paths: Sequence[str], threads: int, ready: Barrier) -> None:
    """One process: gets warm, waits for the others, reads its photos."""
    spec = ProcessSpec(default_recipe(DEFAULT_MODEL), 10**8, RuntimeOptions("auto", "cpu", threads))
    pipeline = Pipeline(spec)
    batches = list(in_batches(paths))
    pipeline.process(batches[0])
    ready.wait()
    for batch in batches:
        pipeline.process(batch)


def in_batches(paths: Sequence[str]) -> Iterator[list[PhotoTask]]:
    """As an index run hands them out."""
    for start in range(0, len(paths), BATCH):
        yield [PhotoTask(start, path) for path in paths[start : start + BATCH]]


if __name__ == "__main__":
    main()
