"""Writes a simulated store, with probes and what an exact search finds for them."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.simulated import Labelled, People, fit, labelled
from benchmarks.simulated_store import Faces, write_store
from facesearch.search.distances import euclidean
from facesearch.store import Store

PROBES = 500
FOUND = 25
_SEED = 7
_NEAR = 100
_ROWS_AT_ONCE = 1 << 16


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--faces", type=int, required=True, help="simulated ones")
    parser.add_argument("--like", type=Path, required=True, help="the store that they are like")
    parser.add_argument("--among", action="store_true", help="that store's faces are there too, and"
                        " are the probes")  # fmt: skip
    options = parser.parse_args()
    known = Store.open(options.like)
    real = labelled(known)
    people = fit(real)
    sizes = people.sizes(options.faces, _SEED)
    started = time.perf_counter()
    if options.among:
        probes = _with_real(options.out, known, (people, sizes), real)
    else:
        probes = _simulated(options.out, known, people, sizes)
    seconds = time.perf_counter() - started
    rows, person, own = probes
    exact = _exact(Store.open(options.out), rows, own)
    np.savez(probes_of(options.out), rows=rows, person=person, own=own, exact=exact)
    result = {"seconds": seconds, "people": len(sizes), "bytes": Store.open(options.out).size}
    print(json.dumps(result))


def probes_of(store: Path) -> Path:
    """Arrays ``rows``, ``person``, ``own`` (the probe's own face, -1 for none) and ``exact`` (the
    25 nearest other faces).
    """
    return store.with_suffix(".probes.npz")


Probes = tuple[np.ndarray, np.ndarray, np.ndarray]


def _simulated(out: Path, known: Store, people: People, sizes: np.ndarray) -> Probes:
    """Probes are further photos of people with several, spread over the gallery."""
    chosen = np.flatnonzero(sizes > 1)
    chosen = chosen[np.linspace(0, len(chosen) - 1, min(PROBES, len(chosen))).astype(int)]
    kept: list[np.ndarray] = []

    def rows() -> Iterator[np.ndarray]:
        start = 0
        for photos, further in people.photos(sizes, _SEED):
            here = chosen[(chosen >= start) & (chosen < start + len(further))] - start
            kept.append(further[here])
            start += len(further)
            yield photos

    write_store(out, known.recipe, Faces(np.repeat(np.arange(len(sizes)), sizes), rows()))
    return np.concatenate(kept), chosen, np.full(len(chosen), -1)


def _with_real(
    out: Path, known: Store, simulated: tuple[People, np.ndarray], real: Labelled
) -> Probes:
    """Probes are real photos of people with several; each is in the gallery itself."""
    people, sizes = simulated
    order = np.argsort(real.person, kind="stable")
    person = real.person[order] + len(sizes)

    def rows() -> Iterator[np.ndarray]:
        for photos, _ in people.photos(sizes, _SEED):
            yield photos
        yield real.rows[order]

    whose = np.concatenate([np.repeat(np.arange(len(sizes)), sizes), person])
    write_store(out, known.recipe, Faces(whose, rows()))
    several = np.flatnonzero(np.bincount(real.person)[real.person[order]] > 1)
    several = several[np.linspace(0, len(several) - 1, min(PROBES, len(several))).astype(int)]
    return real.rows[order][several], person[several], int(sizes.sum()) + several


def _exact(store: Store, probes: np.ndarray, own: np.ndarray) -> np.ndarray:
    """(p, 25) the nearest faces: by products in float32 first, those near in float64 then."""
    (rows,) = store.rows
    near = np.zeros((len(probes), 0), np.int64)
    cosines = np.zeros((len(probes), 0), np.float32)
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        block = probes @ rows[start : start + _ROWS_AT_ONCE].T
        best = np.argpartition(-block, min(_NEAR, block.shape[1]) - 1, axis=1)[:, :_NEAR]
        near = np.concatenate([near, best + start], axis=1)
        cosines = np.concatenate([cosines, np.take_along_axis(block, best, 1)], axis=1)
        if near.shape[1] > 20 * _NEAR:
            near, cosines = _nearest(near, cosines)
    near, _ = _nearest(near, cosines)
    found = []
    for probe, numbers, itself in zip(probes, near, own.tolist(), strict=True):
        others = numbers[numbers != itself]
        distances = euclidean(probe, rows[others])
        found.append(others[np.lexsort((others, distances))[:FOUND]])
    return np.array(found)


def _nearest(near: np.ndarray, cosines: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    best = np.argsort(-cosines, axis=1, kind="stable")[:, :_NEAR]
    return np.take_along_axis(near, best, 1), np.take_along_axis(cosines, best, 1)


if __name__ == "__main__":
    main()
