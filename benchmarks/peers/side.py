"""What the scripts of all peers share: the same photos in, the same arrays out.

    SCRIPT index LIST OUT.npz [--processes N]
    SCRIPT query STORE.npz PHOTO
    SCRIPT warm STORE.npz LIST

LIST is a file with a path in each line. Nothing but numpy and the peer's own packages is imported,
for this runs in the peer's environment. Rows are kept ready for the Euclidean distance.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import time
from collections.abc import Callable
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

K = 25
_WARMING = 3
_PATIENCE = 600  # seconds in which all processes must have loaded


class Found(NamedTuple):
    """A photo's faces: its (width, height), (n, 4) boxes x, y, width, height, and (n, dim) rows."""

    size: tuple[int, int]
    boxes: np.ndarray
    rows: np.ndarray


class Side(Protocol):
    """A peer with its networks loaded."""

    def find(self, path: str) -> Found:
        """All faces of a photo."""

    def nearest(self, rows: np.ndarray, row: np.ndarray, k: int) -> np.ndarray:
        """Numbers of the nearest ``rows``."""


def by_numpy(rows: np.ndarray, row: np.ndarray, k: int) -> np.ndarray:
    return np.argsort(np.linalg.norm(rows - row, axis=1), kind="stable")[:k]


def main(load: Callable[[], Side]) -> None:
    """Runs the command asked for; ``load`` is importable by name, for several processes."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    index = commands.add_parser("index")
    index.add_argument("list", type=Path)
    index.add_argument("out", type=Path)
    index.add_argument("--processes", type=int, default=1)
    query = commands.add_parser("query")
    query.add_argument("store", type=Path)
    query.add_argument("photo")
    warm = commands.add_parser("warm")
    warm.add_argument("store", type=Path)
    warm.add_argument("list", type=Path)
    options = parser.parse_args()
    if options.command == "index":
        result = _index(load, _listed(options.list), options.out, options.processes)
    elif options.command == "query":
        result = _query(load(), options.store, options.photo)
    else:
        result = _warm(load(), options.store, _listed(options.list))
    print(json.dumps(result), flush=True)


def _listed(file: Path) -> list[str]:
    return file.read_text(encoding="utf-8").splitlines()


def _index(load: Callable[[], Side], paths: list[str], out: Path, processes: int) -> dict:
    """``seconds`` is without loading, and without the first call, which is slower."""
    if processes == 1:
        side = load()
        side.find(paths[0])
        started = time.perf_counter()
        found = [side.find(path) for path in paths]
        seconds = time.perf_counter() - started
    else:
        context = multiprocessing.get_context("spawn")
        ready = context.Barrier(processes + 1)
        with context.Pool(processes, _hold, (load, paths[0], ready)) as pool:
            ready.wait(_PATIENCE)
            started = time.perf_counter()
            found = pool.map(_find_held, paths, chunksize=4)
            seconds = time.perf_counter() - started
    counts = [len(one.boxes) for one in found]
    with out.open("wb") as file:
        np.savez(
            file,
            photo=np.repeat(np.arange(len(paths)), counts),
            size=np.array([one.size for one in found]).reshape(-1, 2),
            box=np.concatenate([one.boxes.reshape(-1, 4) for one in found]),
            row=np.concatenate([one.rows for one in found if len(one.rows)] or [np.zeros((0, 1))]),
            path=np.array(paths),
        )
    return {"photos": len(paths), "faces": sum(counts), "seconds": seconds}


_held: list[Side] = []
"""Each process of a pool has one."""


def _hold(load: Callable[[], Side], first: str, ready: Barrier) -> None:
    _held.append(load())
    _held[0].find(first)
    ready.wait(_PATIENCE)


def _find_held(path: str) -> Found:
    return _held[0].find(path)


def _query(side: Side, store: Path, photo: str) -> dict:
    with np.load(store) as held:
        rows, of_photo, paths = held["row"], held["photo"], held["path"]
    return {"nearest": _paths(side, rows, of_photo, paths, photo)}


def _paths(side: Side, rows, of_photo, paths, photo: str) -> list[str]:
    found = side.find(photo)
    if not len(found.boxes):
        return []
    largest = int(np.argmax(found.boxes[:, 2] * found.boxes[:, 3]))
    nearest = side.nearest(rows, found.rows[largest], K)
    return [str(paths[of_photo[number]]) for number in nearest]


def _warm(side: Side, store: Path, photos: list[str]) -> dict:
    with np.load(store) as held:
        rows, of_photo, paths = held["row"], held["photo"], held["path"]
    seconds = []
    for photo in [*photos[:_WARMING], *photos]:
        started = time.perf_counter()
        _paths(side, rows, of_photo, paths, photo)
        seconds.append(time.perf_counter() - started)
    times = 1000 * np.array(seconds[_WARMING:])
    return {"median_ms": float(np.median(times)), "p90_ms": float(np.percentile(times, 90))}
