"""The query photo with its faces numbered, so that a person can pick one with ``--face``."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PIL import Image, ImageDraw

from facesearch.records import Pixels, QueryFace
from facesearch.report.lettering import Lettering

_SMALLEST, _LARGEST = 900, 2400  # pixels of the picture's longer side
_CHOSEN = "#ffb020"
_OTHER = "#ffffff"
_DARK = "#10182b"


def numbered_faces(
    photo: Pixels, faces: Sequence[QueryFace], scale: float, chosen: int | None
) -> Image.Image:
    """Draw a box and its number on every face; the chosen one stands out in amber.

    Small photos are enlarged and large ones reduced until the numbers are legible.

    Args:
        photo: (height, width, 3) RGB, upright, as decoded.
        faces: boxes in pixels of the original.
        scale: decoded size over original size.
        chosen: the number of the face that was searched, None for none.

    Returns:
        An RGB image.
    """
    picture = Image.fromarray(photo)
    longer = max(picture.size)
    zoom = min(max(longer, _SMALLEST), _LARGEST) / longer
    size = max(1, round(picture.width * zoom)), max(1, round(picture.height * zoom))
    picture = picture.resize(size, Image.Resampling.LANCZOS)
    letters = Lettering()
    # The chosen one last, so that no other covers it.
    for face in sorted(faces, key=lambda face: face.number == chosen):
        _draw_face(picture, face, scale * zoom, face.number == chosen, letters)
    return picture


def _draw_face(
    picture: Image.Image, face: QueryFace, zoom: float, chosen: bool, letters: Lettering
) -> None:
    canvas = ImageDraw.Draw(picture)
    color = _CHOSEN if chosen else _OTHER
    line = max(2, round(max(picture.size) / (300 if chosen else 450)))
    left, top = face.box.x * zoom, face.box.y * zoom
    right, bottom = left + face.box.width * zoom, top + face.box.height * zoom
    # Dark around bright: one of them stands out on any photo.
    around = (left - line / 2, top - line / 2, right + line / 2, bottom + line / 2)
    canvas.rectangle(around, outline=_DARK, width=line + line // 2)
    canvas.rectangle((left, top, right, bottom), outline=color, width=line)
    if face.number:
        _draw_number(picture, face.number, (left, top), color, letters)


def _draw_number(
    picture: Image.Image,
    number: int,
    corner: tuple[float, float],
    color: str,
    letters: Lettering,
) -> None:
    canvas = ImageDraw.Draw(picture)
    size = max(20, round(math.sqrt(picture.width * picture.height) / 42))
    text = str(number)
    width, height = letters.width(text, size) + size * 0.7, size * 1.35
    # Above the box, or inside it at the upper edge of the picture.
    left = min(max(0.0, corner[0] - 1), picture.width - width)
    top = corner[1] - height if corner[1] >= height else max(0.0, corner[1])
    canvas.rounded_rectangle(
        (left, top, left + width, top + height), size * 0.25, fill=color, outline=_DARK
    )
    letters.draw(canvas, (left + size * 0.35, top + size * 1.03), text, size, _DARK)
