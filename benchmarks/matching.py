"""Which faces of one tool another found too, by how far their boxes overlap."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facesearch.evaluation.enrolment import held_files
from facesearch.store import Store

Boxes = NDArray[np.float64]
"""(n, 4): x, y, width, height."""

SAME = 0.4
"""Overlap over union from which two boxes are one face."""


def boxes_of_store(store: Path, folder: Path) -> dict[str, Boxes]:
    """Each photo's faces in original pixels, by path relative to the folder."""
    held = Store.open(store)
    boxes = np.asarray(held.faces.box, np.float64)
    content = np.asarray(held.files.content)
    found = {}
    for key, row in held_files(held, folder).items():
        start = held.contents.face_start(int(content[row]))
        stop = held.contents.face_stop(int(content[row]))
        found[key] = boxes[start:stop]
    return found


def boxes_of_peer(arrays: Path, folder: Path) -> dict[str, Boxes]:
    """The same of what ``peers/side.py`` wrote."""
    with np.load(arrays) as held:
        boxes, photo, paths = np.asarray(held["box"], np.float64), held["photo"], held["path"]
    return {
        Path(str(path)).relative_to(folder).as_posix(): boxes[photo == number]
        for number, path in enumerate(paths)
    }


def found_too(wanted: Mapping[str, Boxes], found: Mapping[str, Boxes]) -> tuple[int, int]:
    """How many of the faces wanted were found, and how many were wanted."""
    none = np.empty((0, 4))
    hits = sum(matches(boxes, found.get(key, none)) for key, boxes in wanted.items())
    return hits, sum(map(len, wanted.values()))


def matches(wanted: Boxes, found: Boxes) -> int:
    """The most pairs of boxes that are one face, best first; each box is in one pair at most."""
    if not len(wanted) or not len(found):
        return 0
    overlap = overlaps(wanted, found)
    count = 0
    while overlap.max() >= SAME:
        row, column = np.unravel_index(int(np.argmax(overlap)), overlap.shape)
        overlap[row, :] = overlap[:, column] = 0.0
        count += 1
    return count


def overlaps(first: Boxes, second: Boxes) -> NDArray[np.float64]:
    """(n, m) overlap over union."""
    a, b = first[:, None], second[None]
    low = np.maximum(a[..., :2], b[..., :2])
    high = np.minimum(a[..., :2] + a[..., 2:], b[..., :2] + b[..., 2:])
    shared = np.prod(np.maximum(high - low, 0.0), axis=-1)
    union = np.prod(a[..., 2:], axis=-1) + np.prod(b[..., 2:], axis=-1) - shared
    return np.asarray(shared / union, np.float64)
