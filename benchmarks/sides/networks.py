"""Times detection on decoded photos and embedding of ready crops, in several processes at once."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import time
from collections.abc import Sequence
from multiprocessing.pool import Pool
from pathlib import Path

import numpy as np

from facesearch.extractors import load_extractor
from facesearch.faces import load_detector, smallest_findable
from facesearch.faces.crop import crop_faces
from facesearch.index_options import DEFAULT_MAX_PIXELS
from facesearch.indexing import BATCH
from facesearch.photos import read_photo
from facesearch.processing import ProcessSpec
from facesearch.runtimes import RuntimeOptions
from facesearch.store import Store


class _Parts:
    """Detector, extractor and the share of the photos that one process has."""

    def __init__(self, spec: ProcessSpec, paths: Sequence[str]) -> None:
        self._recipe = spec.recipe
        self._detector = load_detector(spec.recipe.detector, spec.runtime)
        self._extractor = load_extractor(spec.recipe.extractor, spec.runtime)
        self._photos = [read_photo(path, spec.limits) for path in paths]
        self._crops: list[np.ndarray] = []
        self.faces = 0

    def detect(self) -> float:
        started = time.perf_counter()
        found = []
        for photo in self._photos:
            facts = photo.facts
            smallest = smallest_findable(
                self._recipe.detector, min(facts.width, facts.height), facts.scale
            )
            found.append(self._detector.detect(photo.pixels, float(smallest) * facts.scale))
        seconds = time.perf_counter() - started
        self.faces = sum(map(len, found))
        self._cut(found)
        return seconds

    def embed(self) -> float:
        started = time.perf_counter()
        for crops in self._crops:
            self._extractor.embed(crops)
        return time.perf_counter() - started

    def _cut(self, found: list) -> None:
        """In batches as the pipeline has them: the faces of so many photos."""
        size = self._extractor.input_size
        self._crops = []
        for start in range(0, len(found), BATCH):
            several = [
                crop_faces(photo.pixels, faces, crop, size)
                for photo, faces in zip(
                    self._photos[start : start + BATCH], found[start : start + BATCH], strict=True
                )
                for crop in self._recipe.crops
                if faces
            ]
            if several:
                self._crops.append(np.concatenate(several))


_held: list[_Parts] = []
"""Each process has one; functions sent to it find it here."""


def _load(spec: ProcessSpec, paths: Sequence[str]) -> int:
    _held.append(_Parts(spec, paths))
    _held[0].detect()  # the first call of a network is slower
    _held[0].embed()
    return _held[0].faces


def _timed(part: str) -> float:
    return _held[0].detect() if part == "detect" else _held[0].embed()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=Path, help="a file with a path in each line")
    parser.add_argument("--store", type=Path, required=True, help="whose recipe is taken")
    parser.add_argument("--jobs", type=int, required=True)
    options = parser.parse_args()
    paths = options.photos.read_text(encoding="utf-8").splitlines()
    spec = _spec(options.store)
    context = multiprocessing.get_context("spawn")
    pools = [context.Pool(1) for _ in range(options.jobs)]  # one process each, to address it
    shares = [paths[number :: options.jobs] for number in range(options.jobs)]
    waiting = [pool.apply_async(_load, (spec, share))
               for pool, share in zip(pools, shares, strict=True)]  # fmt: skip
    faces = sum(each.get() for each in waiting)
    result = {f"{part}_seconds": _together(pools, part) for part in ("detect", "embed")}
    for pool in pools:
        pool.terminate()
    print(json.dumps({**result, "faces": faces}))


def _together(pools: Sequence[Pool], part: str) -> float:
    """Seconds until the last process is done, where all work at once."""
    started = time.perf_counter()
    for each in [pool.apply_async(_timed, (part,)) for pool in pools]:
        each.get()
    return time.perf_counter() - started


def _spec(store: Path) -> ProcessSpec:
    """As a worker of ``facesearch index`` has it: one thread."""
    return ProcessSpec(Store.open(store).recipe, DEFAULT_MAX_PIXELS, RuntimeOptions(device="cpu"))


if __name__ == "__main__":
    main()
