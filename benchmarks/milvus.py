"""A store in Milvus and back: how long it takes, and whether the answers are those of the file.

    milvus-server --data /tmp/milvus     # another terminal; or any server
    python -m benchmarks.milvus faces.npz milvus+http://localhost:19530/benchmark

Prints one JSON object. The gallery stays; a second run measures a push of what is there already.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from facesearch.addresses import EngineAddress, parse_store
from facesearch.gallery import Gallery, Search, Where
from facesearch.gallery.opening import open_gallery
from facesearch.gallery.transfers import TransferOptions
from facesearch.records import Neighbor
from facesearch.store import Store
from facesearch.transferring import pull, push


def main() -> int:
    asked = _asked()
    store, address = Path(asked.store), parse_store(asked.address)
    if not isinstance(address, EngineAddress):
        sys.exit(f"{asked.address}: no address of a gallery")
    held = Store.open(store)
    sent = push(store, address, TransferOptions(prune=True))
    again = push(store, address, TransferOptions())
    with tempfile.TemporaryDirectory() as folder:
        back = Path(folder, "back.npz")
        came = pull(address, back, TransferOptions())
        same = Store.open(back).content_digest() == held.content_digest()
    probes = _probes(held, asked.probes, asked.seed)
    ours, theirs = open_gallery(store), open_gallery(address)
    told = {
        "store": str(store),
        "gallery": str(address),
        "photos": sent.photos,
        "faces": sent.faces,
        "rows_written": sent.written,
        "push_seconds": sent.seconds,
        "push_rows_per_second": round(sent.written / sent.seconds),
        "push_again_seconds": again.seconds,
        "pull_seconds": came.seconds,
        "same_digest_back": same,
        "coverage_equal": ours.coverage() == theirs.coverage(),
        "plain": _compare(ours, theirs, probes, Search(asked.k)),
        "max_distance": _compare(
            ours, theirs, probes[:50], Search(asked.k, where=Where(max_distance=0.9))
        ),
        "by_face": _compare(ours, theirs, probes[:50], Search(asked.k, "face")),
    }
    for person in asked.person:
        told[f"person {person}"] = _compare(
            ours, theirs, probes[:20], Search(asked.k, where=Where(persons=(person,)))
        )
    print(json.dumps(told, indent=2))
    return 0 if same else 1


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("store")
    parser.add_argument("address")
    parser.add_argument("--probes", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-k", type=int, default=25)
    parser.add_argument("--person", action="append", default=[], help="compare --person too")
    return parser.parse_args()


def _probes(held: Store, count: int, seed: int) -> np.ndarray:
    """Rows of the store, half of them a little turned, as another photo would be."""
    rng = np.random.default_rng(seed)
    ids = rng.permutation(len(held.faces))[:count]
    rows = held.embeddings(ids)
    moved = rows[1::2] + rng.normal(scale=0.03, size=rows[1::2].shape).astype(np.float32)
    rows[1::2] = moved / np.linalg.norm(moved, axis=1, keepdims=True)
    return rows


def _compare(
    ours: Gallery, theirs: Gallery, probes: np.ndarray, search: Search
) -> dict[str, object]:
    """Whether both say the same, and how long each took, in milliseconds."""
    equal = same_faces = 0
    worst = 0.0
    seconds: dict[str, list[float]] = {"file": [], "milvus": []}
    for row in probes:
        answers: list[tuple[Neighbor, ...]] = []
        for name, gallery in (("file", ours), ("milvus", theirs)):
            began = time.perf_counter()
            answers.append(gallery.search(row[None], ["probe"], search))
            seconds[name].append(time.perf_counter() - began)
        file, milvus = answers
        equal += file == milvus
        same_faces += [near.id for near in file] == [near.id for near in milvus]
        worst = max(
            [worst, *(abs(a.distance - b.distance) for a, b in zip(file, milvus, strict=True))]
        )
    found: dict[str, object] = {
        "probes": len(probes),
        "equal_in_all": equal,
        "same_neighbours": same_faces,
        "largest_difference": worst,
    }
    for name, times in seconds.items():
        p50, p99 = np.percentile(times[1:], [50, 99]) * 1e3
        found |= {f"{name}_p50_ms": round(float(p50), 2), f"{name}_p99_ms": round(float(p99), 2)}
    return found


if __name__ == "__main__":
    sys.exit(main())
