"""Peak memory of a search in rows as wide as EfficientNetV2L's, mapped from a file.

    python benchmarks/wide_rows.py --gigabytes 2 --queries 5

Writes random rows of 81,920 float32 numbers into a temporary file and searches it with each back
end in a process of its own. "beside" is the peak memory less the file, which is mapped and so
counts as it is read, and less what Python and its libraries take.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from facesearch.search import load_backend

DIM = 81_920


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gigabytes", type=float, default=2.0, help="size of the file")
    parser.add_argument("--queries", type=int, default=5, help="rows that are searched for")
    parser.add_argument("--folder", help="where the file goes; a temporary folder by default")
    parser.add_argument("--measure", nargs=2, metavar=("BACKEND", "FILE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(*options.measure, options.queries)))
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        file = Path(folder) / "rows"
        write(file, int(options.gigabytes * 1e9) // (DIM * 4))
        for name in ("sklearn", "brute"):
            command = [sys.executable, __file__, "--measure", name, str(file)]
            command += ["--queries", str(options.queries)]
            subprocess.run(command, check=True)


def write(file: Path, count: int) -> None:
    rng = np.random.default_rng(0)
    with file.open("wb") as out:
        for _ in range(count):
            out.write(rng.random(DIM, np.float32).tobytes())


def measure(name: str, file: str, queries: int) -> dict[str, object]:
    rows = np.memmap(file, np.float32, "r").reshape(-1, DIM)
    small = np.zeros((300, 4), np.float32)
    load_backend(name, small).search(small[:1], 2)  # what libraries take
    before = peak()
    backend = load_backend(name, rows)
    wanted = np.arange(queries) * (len(rows) // queries)
    start = time.perf_counter()
    found = backend.search(np.array(rows[wanted]), 20)
    seconds = time.perf_counter() - start
    if not np.array_equal(found[:, 0], wanted):
        raise SystemExit(f"{name}: a row is not its own nearest")
    return {
        "backend": name,
        "rows": len(rows),
        "file_mb": rows.nbytes // 10**6,
        "beside_mb": (peak() - before - rows.nbytes) // 10**6,
        "seconds_a_query": round(seconds / queries, 2),
    }


def peak() -> int:
    """Peak resident bytes of this process (Linux counts in kilobytes)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main()
