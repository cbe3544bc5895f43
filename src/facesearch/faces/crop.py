"""Cutting faces out of a photo at the size that an extractor takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from facesearch.errors import UsageError
from facesearch.recipes import CropOptions
from facesearch.records import Box, Face, Pixels

Cutter = Callable[[Pixels, Face, CropOptions, int], Pixels]

TEMPLATE = np.array(
    [[0.3617, 0.4010], [0.6383, 0.4010], [0.5, 0.5644], [0.3773, 0.7090], [0.6227, 0.7090]]
)
"""Where the five landmarks lie on average in the square around a box with ``TEMPLATE_MARGIN``, as
shares of its side (229 faces of Labeled Faces in the Wild, made symmetric)."""
TEMPLATE_MARGIN = 0.1
STRETCH = 1.28
"""An aligned crop is made wider by this, as a box stretched to a square is on average: FaceNet was
trained on such crops."""


def crop_faces(pixels: Pixels, faces: Sequence[Face], options: CropOptions, size: int) -> Pixels:
    """Cut ``faces`` out of ``pixels``.

    Args:
        pixels: (h, w, 3) uint8 RGB.
        faces: boxes and landmarks in pixels of ``pixels``; a box may reach outside. "whole" looks
            at none of it.
        options: which cut, margin and resampling.
        size: side of a crop in pixels.

    Returns:
        (len(faces), size, size, 3) uint8 RGB.

    Raises:
        UsageError: unknown cut or resampling, or a box that is missing or lies outside the photo
            altogether.
    """
    if options.name not in CUTTERS:
        raise UsageError(f"there is no crop {options.name!r}; choose one of {', '.join(CUTTERS)}")
    if options.resampling not in RESAMPLINGS:
        known = ", ".join(RESAMPLINGS)
        raise UsageError(f"there is no resampling {options.resampling!r}; choose one of {known}")
    cut = CUTTERS[options.name]
    crops = np.empty((len(faces), size, size, 3), np.uint8)
    for number, face in enumerate(faces):
        crops[number] = cut(pixels, face, options, size)
    return crops


def sharpness(crop: Pixels) -> float:
    """Variance of the Laplacian of the grey ``crop`` (h, w, 3); higher is sharper."""
    import cv2

    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)
    return float(cv2.Laplacian(grey, cv2.CV_32F).var())


def _cut_margin(pixels: Pixels, face: Face, options: CropOptions, size: int) -> Pixels:
    """The box grown by the margin, stretched to a square."""
    box = _box(face)
    margin = options.margin * max(box.width, box.height)
    x1, x2 = _span(box.x - margin, box.x + box.width + margin, pixels.shape[1])
    y1, y2 = _span(box.y - margin, box.y + box.height + margin, pixels.shape[0])
    return _stretched(pixels[y1:y2, x1:x2], size, options.resampling)


def _cut_square(pixels: Pixels, face: Face, options: CropOptions, size: int) -> Pixels:
    """The square around the box grown by the margin."""
    box = _box(face)
    half = max(box.width, box.height) * (0.5 + options.margin)
    x, y = box.center
    x1, x2 = _span(x - half, x + half, pixels.shape[1])
    y1, y2 = _span(y - half, y + half, pixels.shape[0])
    return _stretched(pixels[y1:y2, x1:x2], size, options.resampling)


def _cut_aligned(pixels: Pixels, face: Face, options: CropOptions, size: int) -> Pixels:
    """The photo turned, scaled and moved so that the landmarks lie as in ``TEMPLATE``."""
    import cv2

    landmarks = np.array(face.landmarks, np.float64)
    share = (1 + 2 * TEMPLATE_MARGIN) / (1 + 2 * options.margin)
    targets = (0.5 + (TEMPLATE - 0.5) * share) * size
    matrix = _similarity(landmarks, targets) if _usable(landmarks, pixels) else None
    if matrix is None:
        return _cut_margin(pixels, face, options, size)
    scale = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    source = pixels
    if scale < 1:  # a warp looks at four pixels only, so shrink first
        source, matrix = _shrunk(pixels, matrix, scale, size)
    matrix[0] = matrix[0] * STRETCH + [0, 0, (1 - STRETCH) * size / 2]
    method = cv2.INTER_CUBIC if options.resampling == "cubic" else cv2.INTER_LINEAR
    warped = cv2.warpAffine(
        source, matrix, (size, size), flags=method, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(warped, np.uint8)


def _cut_whole(pixels: Pixels, face: Face, options: CropOptions, size: int) -> Pixels:
    """The whole photo stretched to a square.

    "cubic" is Pillow's own BICUBIC, pixel for pixel what ``Image.resize`` gives: it widens its
    kernel when it shrinks. The other cuts' "cubic" is areas where an axis shrinks.
    """
    del face
    if options.resampling != "cubic":
        return _stretched(pixels, size, options.resampling)
    from PIL import Image

    resized = Image.fromarray(pixels).resize((size, size), Image.Resampling.BICUBIC)
    return np.asarray(resized, np.uint8)


def _box(face: Face) -> Box:
    if face.box is None:
        raise UsageError("a whole photo has no box to cut out; its crop is 'whole'")
    return face.box


def _usable(landmarks: NDArray[np.float64], pixels: Pixels) -> bool:
    """Whether there are landmarks (a box drawn by hand has none) and they lie about the photo."""
    if len(landmarks) != 5:
        return False
    middle = landmarks.mean(axis=0)
    return bool((middle >= 0).all() and (middle <= pixels.shape[1::-1]).all())


def _shrunk(
    pixels: Pixels, matrix: NDArray[np.float64], scale: float, size: int
) -> tuple[Pixels, NDArray[np.float64]]:
    """The crop's surroundings made smaller by ``scale``, and the matrix that goes with them."""
    import cv2

    middle = np.linalg.solve(matrix[:, :2], size / 2 - matrix[:, 2])
    reach = size / scale  # past the crop's corners, however it is turned
    x1, x2 = _span(middle[0] - reach, middle[0] + reach, pixels.shape[1])
    y1, y2 = _span(middle[1] - reach, middle[1] + reach, pixels.shape[0])
    width, height = max(1, round((x2 - x1) * scale)), max(1, round((y2 - y1) * scale))
    small = cv2.resize(pixels[y1:y2, x1:x2], (width, height), interpolation=cv2.INTER_AREA)
    # Pixel centres, not corners, keep their places when an image shrinks.
    back = np.diag([(x2 - x1) / width, (y2 - y1) / height])
    start = np.array([x1, y1]) + (np.diag(back) - 1) / 2
    moved = np.column_stack([matrix[:, :2] @ back, matrix[:, :2] @ start + matrix[:, 2]])
    return small, moved


def _similarity(
    points: NDArray[np.float64], targets: NDArray[np.float64]
) -> NDArray[np.float64] | None:
    """The (2, 3) matrix that turns, scales and moves ``points`` nearest to ``targets``."""
    source = points @ np.array([1, 1j])
    target = targets @ np.array([1, 1j])
    centred = source - source.mean()
    spread = np.vdot(centred, centred).real
    turn = np.vdot(centred, target) / spread if spread else 0
    if abs(turn) < 1e-6:  # no face looks like this
        return None
    move = target.mean() - turn * source.mean()
    return np.array([[turn.real, -turn.imag, move.real], [turn.imag, turn.real, move.imag]])


def _span(start: float, end: float, length: int) -> tuple[int, int]:
    """Whole pixels from ``start`` to ``end``, clipped to the photo, at least one."""
    first, last = max(0, round(start)), min(length, round(end))
    if first < last:
        return first, last
    if end < 0 or start > length:
        raise UsageError(f"the box reaches from {start:.0f} to {end:.0f}, outside the photo, "
                         f"which has {length} pixels there")  # fmt: skip
    first = min(first, length - 1)
    return first, first + 1


def _stretched(region: Pixels, size: int, resampling: str) -> Pixels:
    """Resample each axis by itself: areas where it shrinks, the kernel named where it grows."""
    import cv2

    height, width = region.shape[:2]
    if resampling != "linear" and (height > size or width > size):
        within = (min(width, size), min(height, size))
        region = cv2.resize(region, within, interpolation=cv2.INTER_AREA)
    if region.shape[:2] != (size, size):
        grow = cv2.INTER_CUBIC if resampling == "cubic" else cv2.INTER_LINEAR
        region = cv2.resize(region, (size, size), interpolation=grow)
    return region


CUTTERS: dict[str, Cutter] = {
    "margin": _cut_margin,
    "square": _cut_square,
    "aligned": _cut_aligned,
    "whole": _cut_whole,
}
RESAMPLINGS = ("area", "cubic", "linear")
