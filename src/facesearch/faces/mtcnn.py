"""MTCNN's cascade over three networks: proposals, refinement, output.

The arithmetic is that of the ``mtcnn`` package (its coordinates, its suppression), written once in
numpy and OpenCV, so that it is the same over every runtime.
Source: Zhang et al. 2016, "Joint Face Detection and Alignment Using Multitask Cascaded
Convolutional Networks".
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facesearch.errors import ModelError, UsageError
from facesearch.faces import networks_of
from facesearch.faces.suppression import best_first, suppress
from facesearch.recipes import DetectorOptions
from facesearch.records import Box, Face, Pixels
from facesearch.runtimes import Network, NetworkSpec, RuntimeOptions, load_network

CELL = 12
"""Side in pixels of the window that P-Net looks at."""
STRIDE = 2
"""Pixels between neighbouring windows."""
DRAWN_SCORE = 0.3
"""O-Net's score from which its landmarks are believed in a box that a person drew."""
LARGE = 640
"""Shorter side in pixels from which a photo is too large to be handled as exactly as smaller ones,
whose boxes are those of the ``mtcnn`` package to the pixel."""
TILE = 160
"""Side in pixels of what P-Net sees at once: what it computes on the way stays in the cache."""
MAX_PATCHES = 256
"""Patches in one call at most, which bounds memory on crowded photos."""

Floats = NDArray[np.float32]
Image = NDArray[np.float32] | NDArray[np.uint8]
"""(h, w, 3) RGB, 0..255."""
Rows = NDArray[np.float64]
"""(n, 5): x1, y1, x2, y2 in pixels and the score."""


@dataclass(frozen=True, slots=True)
class MtcnnNetworks:
    """The three networks, in the order in which a face passes them."""

    proposal: Network
    refinement: Network
    output: Network


def load_mtcnn(options: DetectorOptions, runtime: RuntimeOptions) -> MtcnnDetector:
    """Load the three networks. See ``facesearch.faces.load_detector``.

    OpenCV, too, is held to the runtime's threads, for the whole process.
    """
    import cv2

    cv2.setNumThreads(runtime.threads)
    proposal, refinement, output = (
        load_network(NetworkSpec(name, runtime)) for name in networks_of(options)
    )
    return MtcnnDetector(options, MtcnnNetworks(proposal, refinement, output))


class MtcnnDetector:
    """Finds faces in one photo at a time, so that no photo changes what is found in another."""

    def __init__(self, options: DetectorOptions, networks: MtcnnNetworks) -> None:
        self._options = options
        self._networks = networks

    def detect(self, pixels: Pixels, min_face: float) -> list[Face]:
        """See ``facesearch.faces.Detector``."""
        if min_face <= 0:
            raise UsageError(f"the smallest face must be above 0 pixels, not {min_face}")
        image = _worked_on(pixels)
        rows = self._propose(image, min_face)
        if len(rows):
            rows = self._refine(image, rows)
        if not len(rows):
            return []
        rows, landmarks = self._finish(image, rows)
        return reading_order(_faces(rows, landmarks, *pixels.shape[:2]))

    def landmarks(self, pixels: Pixels, box: Box) -> tuple[tuple[float, float], ...]:
        """See ``facesearch.faces.Detector``."""
        drawn = np.array([[box.x, box.y, box.x + box.width, box.y + box.height, 1.0]])
        rows = _squared(drawn)
        outputs = _run(self._networks.output, _worked_on(pixels), rows, 48)
        if outputs["face"][0] < DRAWN_SCORE:
            return ()
        return tuple((float(x), float(y)) for x, y in _landmarks(rows, outputs)[0])

    def _propose(self, image: Image, min_face: float) -> Rows:
        scales = pyramid(min(image.shape[:2]), min_face, self._options.scale_factor)
        found = [self._propose_at(level) for level in levels(image, scales)]
        if not found:
            return np.empty((0, 5))
        cells = np.concatenate(found)
        number = np.repeat(np.arange(len(found)), [len(part) for part in found])
        corners = cells[:, [1, 0, 1, 0]] * STRIDE + np.array([1, 1, CELL, CELL])
        boxes = (corners + cells[:, 3:] * (CELL - 1.0)) / np.array(scales)[number, None]
        rows = suppress(np.column_stack([boxes, cells[:, 2]]), 0.5, apart=number)
        return _squared(suppress(best_first(rows), 0.7))

    def _propose_at(self, level: Image) -> Rows:
        """(n, 7): row and column of a proposing cell, its score and offsets; best first."""
        found = []
        for top, left, tile in tiles(level):
            maps = self._networks.proposal(tile[None].astype(np.float32, copy=False))
            scores = maps["face"][0]
            _require_finite(scores)
            y, x = np.nonzero(scores > self._options.thresholds[0])
            cells = np.empty((len(y), 7))
            cells[:, 0], cells[:, 1], cells[:, 2] = y + top, x + left, scores[y, x]
            cells[:, 3:] = maps["box"][0, y, x]
            _require_finite(cells)
            found.append(cells)
        return best_first(np.concatenate(found), by=2)

    def _refine(self, image: Image, rows: Rows) -> Rows:
        outputs = _run(self._networks.refinement, image, rows, 24)
        rows = _adjusted(rows, outputs)
        rows = rows[rows[:, 4] > self._options.thresholds[1]]
        return _squared(suppress(best_first(rows), 0.7))

    def _finish(self, image: Image, rows: Rows) -> tuple[Rows, NDArray[np.float64]]:
        outputs = _run(self._networks.output, image, rows, 48)
        landmarks = _landmarks(rows, outputs).reshape(-1, 10)
        rows = np.column_stack([_adjusted(rows, outputs), landmarks])
        scores = rows[:, 4]
        good = (scores > self._options.thresholds[2]) & (scores >= self._options.min_score)
        rows = suppress(best_first(rows[good]), 0.7, of_smaller=True)
        return rows[:, :5], rows[:, 5:].reshape(-1, 5, 2)


def _landmarks(rows: Rows, outputs: dict[str, Floats]) -> NDArray[np.float64]:
    """(n, 5, 2) points x, y in pixels, from O-Net's shares of each box."""
    sides = (rows[:, 2:4] - rows[:, :2] + 1)[:, :, None]
    points = outputs["landmarks"].reshape(-1, 2, 5) * sides + rows[:, :2, None] - 1
    return np.asarray(points.transpose(0, 2, 1))


def pyramid(shorter: int, min_face: float, factor: float) -> list[float]:
    """Scales at which P-Net's window sees faces from ``min_face`` pixels up to the whole photo.

    ``shorter`` is the photo's shorter side in pixels.
    """
    scales = []
    scale = CELL / min_face
    while int(shorter * scale) >= CELL:
        scales.append(scale)
        scale *= factor
    return scales


def reading_order(faces: list[Face]) -> list[Face]:
    """Sort ``faces``, which have boxes, as people read: rows from the top, each from the left.

    A face belongs to a row when its centre is within half a face height of the row's mean centre.
    """
    placed = [(face.box, face) for face in faces if face.box is not None]
    rows: list[list[tuple[Box, Face]]] = []
    for box, face in sorted(placed, key=lambda at: (at[0].center[1], at[0].x, -at[1].score)):
        if rows:
            row = rows[-1]
            middle = sum(member.center[1] for member, _ in row) / len(row)
            height = sum(member.height for member, _ in row) / len(row)
            if box.center[1] - middle <= (height + box.height) / 4:
                row.append((box, face))
                continue
        rows.append([(box, face)])
    return [face for row in rows for _, face in sorted(row, key=lambda at: (at[0].x, at[0].y))]


def _faces(rows: Rows, landmarks: NDArray[np.float64], height: int, width: int) -> list[Face]:
    """Records with boxes fitted to the photo; one that lies outside altogether is left out."""
    corners = np.clip(rows[:, :4], 0, [width - 1, height - 1, width - 1, height - 1])
    return [
        Face(
            Box(float(x1), float(y1), float(x2 - x1), float(y2 - y1)),
            tuple((float(x), float(y)) for x, y in points),
            float(score),
        )
        for (x1, y1, x2, y2), score, points in zip(corners, rows[:, 4], landmarks, strict=True)
        if x2 > x1 and y2 > y1
    ]


def _worked_on(pixels: Pixels) -> Image:
    """Small photos in float32, where a level's rounding would move boxes; large ones as they are,
    which takes a quarter of the memory.
    """
    return pixels if _is_large(pixels) else pixels.astype(np.float32)


def _is_large(image: Image) -> bool:
    return bool(min(image.shape[:2]) >= LARGE)


def levels(image: Image, scales: Sequence[float]) -> Iterator[Image]:
    """The photo at each of ``scales``, largest first, (h, w, 3).

    Shrunk areas are averaged. A large photo is halved as often as a level allows, and what is left
    is linear between pixels: nearly all the time would go into reading its pixels for each level.
    """
    import cv2

    halved = image
    for scale in scales:
        height, width = int(image.shape[0] * scale), int(image.shape[1] * scale)
        method = cv2.INTER_LINEAR
        if _is_large(image):
            while min(halved.shape[:2]) >= 2 * min(height, width):
                half = halved.shape[1] // 2, halved.shape[0] // 2
                halved = cv2.resize(halved, half, interpolation=cv2.INTER_AREA)
        elif scale <= 1:
            method = cv2.INTER_AREA
        yield cv2.resize(halved, (width, height), interpolation=method)


def tiles(level: Image) -> Iterator[tuple[int, int, Image]]:
    """A level cut into parts that overlap by P-Net's window, so that memory has a bound.

    Yields:
        Row and column of the part's first cell, and its pixels; the cells of all parts are those of
        the whole.
    """
    for top, bottom in _spans(level.shape[0]):
        for left, right in _spans(level.shape[1]):
            yield top // STRIDE, left // STRIDE, level[top:bottom, left:right]


def _spans(length: int) -> Iterator[tuple[int, int]]:
    """First and last pixel of each part along one side."""
    overlap = CELL - STRIDE
    starts = range(0, max(1, length - overlap - TILE // 4), TILE)  # none that is next to nothing
    for start in starts:
        yield start, length if start == starts[-1] else start + TILE + overlap


def _run(network: Network, image: Image, rows: Rows, size: int) -> dict[str, Floats]:
    """Cut out ``rows``, run ``network`` over them in chunks, and join the outputs."""
    parts = [network(patches(image, boxes, size)) for boxes in _chunks(rows)]
    outputs = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    for values in outputs.values():
        _require_finite(values)
    return outputs


def _chunks(rows: Rows) -> Iterator[Rows]:
    for start in range(0, len(rows), MAX_PATCHES):
        yield rows[start : start + MAX_PATCHES]


def patches(image: Image, rows: Rows, size: int) -> Floats:
    """Cut the boxes of ``rows`` out of ``image`` and resample them to ``size``.

    Corners of a patch lie on corners of its box, pixels between are bilinear, what lies outside
    the photo is mid-grey: the sampling that the networks were converted with.

    Returns:
        (n, size, size, 3) float32.
    """
    import cv2

    steps = np.arange(size, dtype=np.float32)
    height, width = image.shape[:2]
    columns = _positions(rows[:, 0], rows[:, 2], steps, width)
    lines = _positions(rows[:, 1], rows[:, 3], steps, height)
    shape = (len(rows), size, size)
    map_x = np.broadcast_to(columns[:, None, :], shape).reshape(-1, size)
    map_y = np.broadcast_to(lines[:, :, None], shape).reshape(-1, size)
    cut = cv2.remap(
        image, map_x, map_y, cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT, borderValue=(127.5, 127.5, 127.5),
    )  # fmt: skip
    return np.asarray(cut, np.float32).reshape(*shape, 3)


def _positions(start: Rows, end: Rows, steps: Floats, length: int) -> Floats:
    """Where to sample along one axis, (n, size); outside the photo: far outside, so all grey."""
    share = (length - 1) / length
    first = (start * share).astype(np.float32)[:, None]
    step = ((end - start) * share / (len(steps) - 1)).astype(np.float32)[:, None]
    at = first + steps * step
    at[(at < 0) | (at > length - 1)] = -10.0
    return at


def _adjusted(rows: Rows, outputs: dict[str, Floats]) -> Rows:
    """Move each box by the network's offsets and give it the network's score."""
    sides = rows[:, 2:4] - rows[:, :2] + 1
    boxes = rows[:, :4] + outputs["box"] * np.tile(sides, 2)
    return np.column_stack([boxes, outputs["face"]])


def _squared(rows: Rows) -> Rows:
    """Boxes grown to squares around their centres."""
    sides = rows[:, 2:4] - rows[:, :2]
    longest = sides.max(axis=1, keepdims=True)
    corners = rows[:, :2] + sides * 0.5 - longest * 0.5
    return np.column_stack([corners, corners + longest, rows[:, 4]])


def _require_finite(values: NDArray[np.floating]) -> None:
    if not math.isfinite(values.sum()):  # one number that is none makes the sum none
        raise ModelError(
            "a network of the face detector gave values that are no numbers; "
            "check its weights with: facesearch models verify"
        )
