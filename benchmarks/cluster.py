"""What a Ray cluster on this machine costs against the plain run, on the same photos.

    python -m benchmarks.cluster [--lfw FOLDER] [--photos N] [--turns N] [--jobs N] [--out FILE]

The two sides take turns over parts of Labeled Faces in the Wild, each run in a process of its own;
what counts is the ratio of the two runs of a turn, for the machine's moods meet both alike. Seconds
until the first photo comes (start-up) and after the last one (end) are told apart from the rate,
which is that from a tenth to nine tenths of the photos. ``--photos 0`` takes all photos in
every turn. Stores are compared: they must be the same.

    python -m benchmarks.cluster --writer 50000

How many photos a second one run can take in, when the cluster has them ready: results are made
beforehand, as they come from a cluster, and the run unpickles, counts, links and commits them.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from unittest import mock

import numpy as np

from benchmarks.photos import all_photos, link
from benchmarks.processes import BenchmarkError, Surroundings, run
from facesearch.clusters.ray.driver import Answer
from facesearch.clusters.ray.reader import Finished
from facesearch.index_options import IndexOptions
from facesearch.indexing import IndexHooks, RunState, index
from facesearch.processing import PhotoTask
from facesearch.records import Box, Face, PhotoFacts, PhotoResult
from facesearch.store import Store

SIDES = {"plain": None, "ray": "local"}


@dataclass(frozen=True, slots=True)
class Run:
    """One run: seconds to the first photo and from the last to the end, photos a second, and what
    the store holds.
    """

    side: str
    startup: float
    rate: float
    end: float
    digest: str


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    lfw = os.environ.get("FACESEARCH_LFW", "../shared/lfw")
    parser.add_argument("--lfw", type=Path, default=lfw)
    parser.add_argument("--photos", type=int, default=2000, help="of each turn")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--writer", type=int, metavar="PHOTOS")
    parser.add_argument("--one", nargs=3, metavar=("FOLDER", "STORE", "SIDE"))
    options = parser.parse_args()
    if options.one:
        folder, store, side = options.one
        print(json.dumps(asdict(measured(Path(folder), Path(store), side, options.jobs))))
        return
    if options.writer:
        rate = writer_rate(options.writer)
        print(json.dumps({"photos_per_second": rate, "ms_per_photo": round(1000 / rate, 4)}))
        return
    try:
        turns = [turn(options, number) for number in range(options.turns)]
    except BenchmarkError as error:
        sys.exit(str(error))
    overheads = [100 * (plain.rate / ray.rate - 1) for plain, ray in turns]
    result = {
        "turns": [[asdict(one) for one in sides] for sides in turns],
        "overhead_percent": round(statistics.median(overheads), 1),
        "overheads_percent": [round(one, 1) for one in overheads],
        "startup_seconds": round(statistics.median(ray.startup for _, ray in turns), 1),
    }
    print(json.dumps(result, indent=1))
    if options.out:
        options.out.write_text(json.dumps(result, indent=1) + "\n")


def turn(options: argparse.Namespace, number: int) -> tuple[Run, Run]:
    """Both sides over one part; which goes first changes from turn to turn.

    Raises:
        BenchmarkError: a run failed, or the stores differ.
    """
    photos = part(all_photos(options.lfw), options.photos, number, options.turns)
    with tempfile.TemporaryDirectory() as scratch:
        folder = link(photos, Path(scratch) / "photos")
        found = {}
        for side in sorted(SIDES, reverse=bool(number % 2)):
            command = [sys.executable, "-m", "benchmarks.cluster", "--jobs", str(options.jobs)]
            command += ["--one", str(folder), str(Path(scratch) / f"{side}.npz"), side]
            done = run(command, Surroundings(Path.cwd(), os.environ))
            found[side] = Run(**json.loads(done.output))
            print(found[side], file=sys.stderr)
    if found["plain"].digest != found["ray"].digest:
        raise BenchmarkError("the two stores differ")
    return found["plain"], found["ray"]


def part(photos: Sequence[Path], count: int, number: int, turns: int) -> list[Path]:
    """So many photos spread evenly, others in each turn; all of them for 0."""
    if not count:
        return list(photos)
    return list(photos[number :: max(turns, len(photos) // count)][:count])


def measured(folder: Path, store: Path, side: str, jobs: int) -> Run:
    moments: list[tuple[float, int]] = []

    def look(state: RunState) -> None:
        if state.done:
            moments.append((time.monotonic(), state.done))

    started = time.monotonic()
    index([folder], store, IndexOptions(jobs=jobs, cluster=SIDES[side]), IndexHooks(look))
    ended = time.monotonic()
    (first, _), (last, count) = moments[0], moments[-1]
    begun, before = next(moment for moment in moments if moment[1] >= 0.1 * count)
    nearly, after = next(moment for moment in moments if moment[1] >= 0.9 * count)
    rate = (after - before) / (nearly - begun)
    digest = Store.open(store).content_digest()
    return Run(side, first - started, rate, ended - last, digest)


class ReadyPool:
    """A pool whose results are there already, pickled as a cluster sends them: each photo with one
    face.
    """

    description = "nothing"

    def __init__(self, count: int) -> None:
        self._answers = [
            pickle.dumps(Answer(rows=(pickle.dumps(finished(start, min(count, start + 64))),)))
            for start in range(0, count, 64)
        ]

    def __enter__(self) -> ReadyPool:
        return self

    def __exit__(self, *_: object) -> None: ...

    def run(self, batches: Iterable[list[PhotoTask]]) -> Iterator[tuple[PhotoTask, PhotoResult]]:
        left = {task.number: task for batch in batches for task in batch}
        for answer in self._answers:
            for row in pickle.loads(answer).rows:
                for number, result in pickle.loads(row).results:
                    yield left.pop(number), result


def finished(start: int, end: int) -> Finished:
    rng = np.random.default_rng(start)
    points = ((1.5, 2.5),) * 5
    results = []
    for number in range(start, end):
        content = number.to_bytes(32, "big")
        facts = PhotoFacts(content, content[:16], 250, 250, 1.0, format="JPEG")
        face = Face(Box(10.5, 20.5, 90.25, 110.75), points, 0.999, 123.4)
        row = rng.normal(size=(1, 128)).astype(np.float32)
        row /= np.linalg.norm(row)
        results.append((number, PhotoResult(content, facts, (face,), row)))
    return Finished(tuple(results), "machine", "CPU")


def writer_rate(count: int) -> float:
    pool = ReadyPool(count)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "photos"
        folder.mkdir()
        for number in range(count):
            (folder / f"{number:08}.jpg").write_bytes(b"\xff\xd8\xff" + str(number).encode())
        with mock.patch("facesearch.indexing.photo_pool", lambda *_: pool):
            options = IndexOptions(jobs=1, cluster="auto")
            summary = index([folder], Path(scratch) / "faces.npz", options, IndexHooks())
    return summary.photos_per_second


if __name__ == "__main__":
    main()
