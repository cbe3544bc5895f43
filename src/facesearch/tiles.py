"""Pictures of an answer: the face cut out, and the whole photo small with its box."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from facesearch.errors import PhotoError
from facesearch.photos import PhotoLimits, read_photo
from facesearch.records import Box, Neighbor, Photo, Pixels, Shown, Tile

SIDE = 192
"""Longest side of a tile's pictures in pixels: what the largest place on a sheet takes."""
_AROUND = 0.35  # what a crop shows around the face, as a share of the box, so that hair is seen


def query_tile(photo: Photo, boxes: Sequence[Box], chosen: int, lines: tuple[str, ...]) -> Tile:
    """A photo of the query, whose face in ``boxes[chosen]`` was searched for; the whole photo
    where there are no boxes.
    """
    if len(boxes) > 1:
        lines = (*lines, f"face {chosen + 1} of {len(boxes)}")
    return _tile(photo, boxes[chosen] if chosen < len(boxes) else None, lines)


def neighbor_tile(neighbor: Neighbor, lines: tuple[str, ...], limits: PhotoLimits) -> Tile:
    """A neighbour's tile, from any file of its content; where none is left, one that says so."""
    photo = photo_of(neighbor, limits)
    return (
        unread_tile(lines, photo) if isinstance(photo, str) else _tile(photo, neighbor.box, lines)
    )


def photo_of(neighbor: Neighbor, limits: PhotoLimits) -> Photo | str:
    """A neighbour's photo, from any file of its content; where none is left, why."""
    why = ""
    for path in (neighbor.path, *neighbor.also):
        try:
            photo = read_photo(path, limits)
        except PhotoError as error:
            why = why or error.reason
            continue
        if neighbor.id.startswith(photo.facts.content_hash.hex()[:16]):
            return photo
        why = why or "changed since it was indexed"
    return why


def shown(photo: Photo, box: Box | None, sides: tuple[int, int]) -> Shown:
    """The face of a photo (without a box the photo itself) and the photo, no larger than
    ``sides``.
    """
    face, view = sides
    crop = photo.pixels if box is None else around(photo, box)
    return Shown(_fitted(crop, face), _fitted(photo.pixels, view))


def unread_tile(lines: tuple[str, ...], why: str) -> Tile:
    """A tile without a picture."""
    blank = np.full((SIDE, SIDE, 3), 200, np.uint8)
    return Tile(blank, blank, None, (*lines, f"not shown: {why}"))


def _tile(photo: Photo, box: Box | None, lines: tuple[str, ...]) -> Tile:
    view = _fitted(photo.pixels)
    if box is None:
        return Tile(view, view, None, lines)
    scale = view.shape[1] / photo.facts.width
    small = Box(box.x * scale, box.y * scale, box.width * scale, box.height * scale)
    return Tile(_fitted(around(photo, box)), view, small, lines)


def around(photo: Photo, box: Box) -> Pixels:
    """The square around a face with some of its surroundings, as far as the photo reaches, in the
    pixels of the photo as it was decoded.
    """
    scale = photo.facts.scale
    half = max(box.width, box.height) * (0.5 + _AROUND) * scale
    x, y = (value * scale for value in box.center)
    height, width = photo.pixels.shape[:2]
    left, top = max(0, int(x - half)), max(0, int(y - half))
    right, bottom = min(width, int(x + half) + 1), min(height, int(y + half) + 1)
    return photo.pixels[top:bottom, left:right]


def _fitted(pixels: Pixels, side: int = SIDE) -> Pixels:
    image = Image.fromarray(pixels)
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    return np.asarray(image)


def thumbnail(
    path: Path, box: tuple[float, float, float, float] | None, side: int
) -> Pixels | None:
    """A face with what is around it, or the whole photo, at most ``side`` pixels wide and high;
    None where the photo cannot be read.

    Args:
        path: the photo.
        box: x, y, width, height in pixels of the upright photo.
        side: pixels.
    """
    try:
        photo = read_photo(str(path), PhotoLimits())
    except PhotoError:
        return None
    return _fitted(photo.pixels if box is None else around(photo, Box(*box)), side)
