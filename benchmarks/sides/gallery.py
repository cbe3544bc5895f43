"""Times searches of a simulated store through the gallery, and says what it takes and finds."""

from __future__ import annotations

import argparse
import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from benchmarks.sides.simulate import FOUND, probes_of
from facesearch.gallery import Search
from facesearch.gallery.npz import NpzGallery
from facesearch.store import Store

_WARMING = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store", type=Path)
    parser.add_argument("backend")
    parser.add_argument("--probes", type=int, help="no more than so many")
    parser.add_argument("--only-open", action="store_true", help="open and ask once")
    options = parser.parse_args()
    with np.load(probes_of(options.store)) as arrays:
        probes = {name: arrays[name][: options.probes] for name in arrays.files}
    rows = probes["rows"]
    # The libraries' import is no part of opening a store.
    Searched(options.store, options.backend)
    before = memory()
    started = time.perf_counter()
    searched = Searched(options.store, options.backend)
    opened = time.perf_counter()
    searched.ask(rows[0])
    first = time.perf_counter()
    result: dict[str, Any] = {"open_ms": 1e3 * (opened - started), "first_s": first - started}
    if not options.only_open:
        result |= _measure(searched, probes)
        held = memory()
        result |= {name: (held[name] - before[name]) / 1e6 for name in held}
    print(json.dumps(result))


class Searched:
    def __init__(self, store: Path, backend: str) -> None:
        self.gallery = NpzGallery(Store.open(store), backend)

    def ask(self, row: np.ndarray) -> np.ndarray:
        """Numbers of the photos found, which are those of their faces too."""
        found = self.gallery.search(row[None], [""], Search(FOUND + 1))
        return np.array([int(PurePosixPath(near.relative_path).stem) for near in found])

    def person(self, faces: np.ndarray) -> list[int]:
        """Whose photos they are, by their folders."""
        files = self.gallery.store.files
        return [int(files.path(int(face)).split("/")[0]) for face in faces]


def _measure(searched: Searched, probes: dict[str, np.ndarray]) -> dict[str, float]:
    rows = probes["rows"]
    for row in rows[:_WARMING]:
        searched.ask(row)
    seconds, answers = [], []
    for row in rows:
        started = time.perf_counter()
        answers.append(searched.ask(row))
        seconds.append(time.perf_counter() - started)
    started = time.perf_counter()
    with ThreadPoolExecutor(2) as two:
        for _ in two.map(searched.ask, rows):
            pass
    together = time.perf_counter() - started
    return {
        "p50_ms": 1e3 * float(np.median(seconds)),
        "p99_ms": 1e3 * float(np.percentile(seconds, 99)),
        "queries_a_second": len(rows) / together,
        **_quality(searched, probes, answers),
    }


def _quality(
    searched: Searched, probes: dict[str, np.ndarray], answers: list[np.ndarray]
) -> dict[str, float]:
    """Mates found over those that an exact search finds, and the share of its 25 nearest."""
    mates = exact_mates = first = same = 0
    for answer, own, person, exact in zip(
        answers, probes["own"], probes["person"], probes["exact"], strict=True
    ):
        found = answer[answer != own][:FOUND]
        whose = searched.person(found)
        mates += whose.count(int(person))
        exact_mates += searched.person(exact).count(int(person))
        first += whose[:1] == [int(person)]
        same += len(set(found.tolist()) & set(exact.tolist()))
    return {
        "mates": mates / max(1, exact_mates),
        "nearest": same / probes["exact"].size,
        "rank_1": first / len(answers),
    }


def memory() -> dict[str, float]:
    """Bytes of this process in memory: its own, and pages of files that are mapped."""
    facts = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    lines = dict(line.split(":", 1) for line in facts)
    return {
        name: 1024 * int(lines[key].split()[0])
        for name, key in (("own_mb", "RssAnon"), ("mapped_mb", "RssFile"))
    }


if __name__ == "__main__":
    main()
