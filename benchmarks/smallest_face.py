"""What a larger smallest face loses, and what it saves.

    python -m benchmarks.smallest_face --lfw FOLDER [--photos 1000]

For each smallest face: the share of the faces found with the default one, the share of photos that
keep the face nearest the centre (whom LFW names), and the processor time of detection on one
thread, against the default's in the same run.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.matching import Boxes, overlaps
from benchmarks.photos import all_photos, spread
from facesearch.faces import Detector, load_detector
from facesearch.index_options import DEFAULT_MODEL, default_recipe
from facesearch.photos import read_photo
from facesearch.records import Box, Face, Pixels
from facesearch.runtimes import RuntimeOptions

SIZES = (20, 24, 30, 40, 50, 60, 80, 100)
OVERLAP = 0.5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--lfw", type=Path, default=os.environ.get("FACESEARCH_LFW", "../shared/lfw")
    )
    parser.add_argument("--photos", type=int, default=1000)
    options = parser.parse_args()
    paths = spread(all_photos(options.lfw), options.photos)
    photos = [read_photo(path).pixels for path in paths]
    detector = load_detector(default_recipe(DEFAULT_MODEL).detector, RuntimeOptions(device="cpu"))
    detector.detect(photos[0], 20.0)
    reference, whole = detected(detector, photos, SIZES[0])
    for size in SIZES:
        found, seconds = (
            (reference, whole) if size == SIZES[0] else detected(detector, photos, size)
        )
        kept = [[held(face, there) for face in first]
                for first, there in zip(reference, found, strict=True)]  # fmt: skip
        central = [
            held(most_central(first, pixels), there)
            for first, there, pixels in zip(reference, found, photos, strict=True)
            if first
        ]
        print(json.dumps({
            "smallest_face": size,
            "faces": sum(len(faces) for faces in found),
            "kept": round(sum(sum(row) for row in kept) / sum(len(row) for row in kept), 4),
            "central_kept": round(sum(central) / len(central), 4),
            "ms": round(seconds / len(photos) * 1e3, 2),
            "time": round(seconds / whole, 3),
        }), flush=True)  # fmt: skip


def detected(
    detector: Detector, photos: Sequence[Pixels], size: float
) -> tuple[list[list[Face]], float]:
    """The faces of each photo, and the processor time in seconds."""
    started = time.thread_time()
    found = [detector.detect(pixels, float(size)) for pixels in photos]
    return found, time.thread_time() - started


def most_central(faces: Sequence[Face], pixels: Pixels) -> Face:
    """The face nearest the centre of its photo."""
    middle = pixels.shape[1] / 2, pixels.shape[0] / 2
    return min(faces, key=lambda face: sum(abs(a - b) for a, b in zip(box(face).center, middle,
                                                                     strict=True)))  # fmt: skip


def held(face: Face, among: Sequence[Face]) -> bool:
    """Whether one of the others covers the same place."""
    return bool(among) and bool((overlaps(boxes([face]), boxes(among)) > OVERLAP).any())


def boxes(faces: Sequence[Face]) -> Boxes:
    """(n, 4) corners and sides."""
    return np.array([dataclasses.astuple(box(face)) for face in faces])


def box(face: Face) -> Box:
    """A found face always has one."""
    assert face.box is not None
    return face.box


if __name__ == "__main__":
    main()
