"""Times one search back end over seeded unit vectors."""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time

import numpy as np

from facesearch.search import load_backend

_DIM = 128
_K = 25
_QUERIES = 30
_BLOCK = 100_000


def unit_rows(count: int, seed: int) -> np.ndarray:
    """Without a copy on the way, which would hide in the peak what a search takes."""
    rows = np.random.default_rng(seed).standard_normal((count, _DIM), np.float32)
    rows /= np.sqrt(np.einsum("ij,ij->i", rows, rows))[:, None]
    return rows


def nearest(rows: np.ndarray, query: np.ndarray) -> set[int]:
    """The rows that are nearest, in float64 and block by block."""
    near = np.concatenate(
        [
            rows[start : start + _BLOCK].astype(np.float64) @ query.astype(np.float64)
            for start in range(0, len(rows), _BLOCK)
        ]
    )
    return set(np.argsort(-near, kind="stable")[:_K].tolist())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("backend")
    parser.add_argument("rows", type=int)
    options = parser.parse_args()
    rows, queries = unit_rows(options.rows, 0), unit_rows(_QUERIES, 1)
    load_backend(options.backend, rows[:_K]).search(queries[:1], _K)  # what libraries take
    before = peak()
    started = time.perf_counter()
    backend = load_backend(options.backend, rows)
    backend.search(queries[:1], _K)
    ready = time.perf_counter() - started
    seconds, found = [], []
    for query in queries:
        started = time.perf_counter()
        found.append(backend.search(query[None], _K)[0])
        seconds.append(time.perf_counter() - started)
    beside = peak() - before
    hits = [len(nearest(rows, query) & set(one.tolist())) for query, one in
            zip(queries[:10], found[:10], strict=True)]  # fmt: skip
    result = {
        "median_ms": 1000 * float(np.median(seconds)),
        "ready_seconds": ready,
        "recall": sum(hits) / (min(_K, options.rows) * len(hits)),
        "beside_mb": beside / 1e6,
    }
    print(json.dumps(result))


def peak() -> int:
    """Peak resident bytes of this process (macOS counts in bytes, Linux in kilobytes)."""
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used if sys.platform == "darwin" else used * 1024


if __name__ == "__main__":
    main()
