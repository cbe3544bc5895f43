"""Times the search alone over the rows of a simulated store: our back ends and faiss's own."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.sides.simulate import FOUND, probes_of
from facesearch.gallery.codes import parts_of
from facesearch.store import Store

_QUERIES = 40
_BATCH = 100
Find = Callable[[np.ndarray], np.ndarray]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store", type=Path)
    parser.add_argument("backends", nargs="+", help="of ours, or flat, ivf, hnsw of faiss")
    parser.add_argument("--probes", type=int, help="no more than so many")
    options = parser.parse_args()
    store = Store.open(options.store)
    store.verify_rows()
    with np.load(probes_of(options.store)) as arrays:
        probes = {name: arrays[name][: options.probes] for name in arrays.files}
    made, build = {}, {}
    for name in options.backends:
        started = time.perf_counter()
        made[name] = _made(store, name)
        made[name](probes["rows"][:1])
        build[name] = time.perf_counter() - started
    seconds: dict[str, list[float]] = {name: [] for name in made}
    for row in probes["rows"][:_QUERIES]:  # in turn, so that the machine's moods meet all alike
        for name, find in made.items():
            started = time.perf_counter()
            find(row[None])
            seconds[name].append(time.perf_counter() - started)
    print(json.dumps({name: {
        "median_ms": 1e3 * float(np.median(seconds[name])),
        "build_s": build[name],
        "batch_a_second": _batch(find, probes["rows"][:_BATCH]),
        **_quality(find, store, probes),
    } for name, find in made.items()}))  # fmt: skip


def _made(store: Store, name: str) -> Find:
    if name in _FAISS:
        return _FAISS[name](store.rows[0])
    (part,) = parts_of(store, name)
    return lambda rows: part.backend.search(rows, FOUND + 1)


def _flat(rows: np.ndarray) -> Find:
    """One thread for one query: two of faiss's own wait for each other."""
    import faiss

    def find(queries: np.ndarray) -> np.ndarray:
        faiss.omp_set_num_threads(1 if len(queries) == 1 else 2)
        return np.asarray(faiss.knn(queries, rows, FOUND + 1)[1])

    return find


def _ivf(rows: np.ndarray) -> Find:
    return _index("IVF1024,SQ8", rows, nprobe=32)


def _hnsw(rows: np.ndarray) -> Find:
    return _index("HNSW32,SQ8", rows, efSearch=64)


def _index(factory: str, rows: np.ndarray, **settings: int) -> Find:
    import faiss

    index: Any = faiss.index_factory(rows.shape[1], factory)
    index.train(np.ascontiguousarray(rows[:: max(1, len(rows) // 100_000)]))
    index.add(rows)
    for name, value in settings.items():
        setattr(faiss.extract_index_ivf(index) if name == "nprobe" else index.hnsw, name, value)

    def find(queries: np.ndarray) -> np.ndarray:
        faiss.omp_set_num_threads(1 if len(queries) == 1 else 2)
        return np.asarray(index.search(queries, FOUND + 1)[1])

    return find


_FAISS = {"flat": _flat, "ivf": _ivf, "hnsw": _hnsw}


def _batch(find: Find, rows: np.ndarray) -> float:
    started = time.perf_counter()
    find(rows)
    return len(rows) / (time.perf_counter() - started)


def _quality(find: Find, store: Store, probes: dict[str, np.ndarray]) -> dict[str, float]:
    files = store.files
    mates = exact_mates = same = 0
    whose = {int(face): int(files.path(int(face)).split("/")[0])
             for face in np.unique(probes["exact"])}  # fmt: skip
    for found, own, person, exact in zip(
        find(probes["rows"]), probes["own"], probes["person"], probes["exact"], strict=True
    ):
        others = found[(found != own) & (found >= 0)][:FOUND]
        right = {face for face in exact.tolist() if whose[face] == int(person)}
        exact_mates += len(right)
        mates += len(right & set(others.tolist()))
        same += len(set(others.tolist()) & set(exact.tolist()))
    return {"mates": mates / max(1, exact_mates), "nearest": same / probes["exact"].size}


if __name__ == "__main__":
    main()
