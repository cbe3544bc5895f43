"""Pictures for a contact sheet: the face cut out, and the whole photo small with its box."""

from __future__ import annotations

from pathlib import PurePath

import numpy as np
from PIL import Image

from facesearch.errors import PhotoError
from facesearch.photos import PhotoLimits, read_photo
from facesearch.records import Box, Neighbor, Photo, Pixels, Query, Tile

CROP_SIDE = 320
"""Longest side of a tile's crop, in pixels."""
VIEW_SIDE = 320
"""Longest side of a tile's whole view, in pixels."""
_AROUND = 0.35  # what a crop shows around the face, as a share of the box, so that hair is seen


def query_tile(photo: Photo, query: Query, name: str, face: int) -> Tile:
    """One example of the query: face number ``face`` of the photo called ``name``."""
    lines: tuple[str, ...] = (PurePath(name).name if name != "-" else "standard input",)
    box = None
    if name == query.path:
        box = next((found.box for found in query.faces if found.number == face), None)
        if len(query.faces) > 1:
            lines = (*lines, f"face {face} of {len(query.faces)}")
    return _tile(photo, box, lines)


def neighbor_tile(neighbor: Neighbor, lines: tuple[str, ...], limits: PhotoLimits) -> Tile:
    """A neighbour's tile; where its photo can no longer be read, an empty one that says so."""
    try:
        photo = read_photo(neighbor.path, limits)
    except PhotoError as error:
        blank = np.full((VIEW_SIDE, VIEW_SIDE, 3), 200, np.uint8)
        return Tile(blank, blank, None, (*lines, f"not shown: {error.reason}"))
    return _tile(photo, neighbor.box, lines)


def _tile(photo: Photo, box: Box | None, lines: tuple[str, ...]) -> Tile:
    view = _fitted(photo.pixels, VIEW_SIDE)
    if box is None:
        return Tile(_fitted(photo.pixels, CROP_SIDE), view, None, lines)
    scale = view.shape[1] / photo.facts.width
    small = Box(box.x * scale, box.y * scale, box.width * scale, box.height * scale)
    return Tile(_fitted(_around(photo, box), CROP_SIDE), view, small, lines)


def _around(photo: Photo, box: Box) -> Pixels:
    """The square around a face, as far as the photo reaches."""
    scale = photo.facts.scale
    half = max(box.width, box.height) * (0.5 + _AROUND) * scale
    x, y = (value * scale for value in box.center)
    height, width = photo.pixels.shape[:2]
    left, top = max(0, int(x - half)), max(0, int(y - half))
    right, bottom = min(width, int(x + half) + 1), min(height, int(y + half) + 1)
    return photo.pixels[top:bottom, left:right]


def _fitted(pixels: Pixels, side: int) -> Pixels:
    image = Image.fromarray(pixels)
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    return np.asarray(image)
