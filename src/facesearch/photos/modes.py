"""From any of Pillow's modes to upright 8-bit RGB, made small before it is converted."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from facesearch.records import Pixels

_TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_PLAIN = frozenset({"RGB", "RGBA", "L", "LA", "CMYK"})
_PREMULTIPLIED = {"La": "LA", "RGBa": "RGBA"}
_DEEP = ("I", "F")
_DEPTHS = (255, 1023, 4095, 65535)
_STRIP_PIXELS = 1 << 22


def upright_pixels(image: Image.Image, max_side: int | None, orientation: int) -> Pixels:
    """Turn a loaded image into pixels.

    Transparent parts become white, as paper and every viewer's page would show them: cut-out
    portraits then look like studio photos, whereas grey would darken soft edges of hair. An alpha
    channel that is zero everywhere is a writer's mistake and left out.

    Args:
        image: loaded Pillow image of any mode.
        max_side: longest side of the result in pixels; None keeps the size.
        orientation: 1..8 as EXIF counts.

    Returns:
        (height, width, 3) uint8 RGB, upright, read-only.
    """
    small = _smaller(_without_idle_alpha(_eight_bit(image)), max_side)
    flat = _on_white(small)
    if orientation in _TRANSPOSE:
        flat = flat.transpose(_TRANSPOSE[orientation])
    return np.asarray(flat)


def _eight_bit(image: Image.Image) -> Image.Image:
    if image.mode.startswith(_DEEP):
        return _scaled_grey(image)
    if image.mode in _PREMULTIPLIED:
        return image.convert(_PREMULTIPLIED[image.mode])
    if image.mode == "1":
        return image.convert("L")
    if image.mode not in {"LA", "RGBA"} and image.has_transparency_data:
        return image.convert("RGBA")
    return image if image.mode in _PLAIN else image.convert("RGB")


def _scaled_grey(image: Image.Image) -> Image.Image:
    """8-bit grey from 16- and 32-bit: the range is found, for a plain conversion would clip."""
    values = np.asarray(image)
    low, high = _value_range(values)
    tags = getattr(image, "tag_v2", {})
    if tags.get(262) == 0:  # TIFF's WhiteIsZero, which Pillow honours for 8 bits only
        low, high = high, low
    grey = np.empty(values.shape, np.uint8)
    factor = 255.0 / (high - low)
    with np.errstate(invalid="ignore", over="ignore"):  # NaN and infinity are dealt with
        for rows in _strips(values):
            scaled = (values[rows].astype(np.float64) - low) * factor + 0.5
            grey[rows] = np.clip(np.nan_to_num(scaled, nan=0.0), 0, 255)
    return Image.fromarray(grey)


def _value_range(values: NDArray[np.generic]) -> tuple[float, float]:
    """The values that stand for black and white.

    Whole numbers without a sign use a camera's or scanner's depth of 8, 10, 12 or 16 bits, the
    least that holds them: a 12-bit photo in 16 bits would be all but black otherwise. Floats are
    0..1 or 0..255 when they fit. Everything else is stretched to its own brightest value, and from
    its darkest where that is negative.
    """
    lows, highs = [], []
    for rows in _strips(values):
        finite = values[rows][np.isfinite(values[rows])]
        if finite.size:
            lows.append(float(finite.min()))
            highs.append(float(finite.max()))
    low, high = min(lows, default=0.0), max(highs, default=0.0)
    if low < 0:
        return low, high if high > low else low + 1.0
    if values.dtype.kind == "f":
        if high <= 2:  # a little over 1 is a bright light, to be clipped
            return 0.0, 1.0
        return 0.0, 255.0 if 16 < high <= 255 else high
    return 0.0, next((float(depth) for depth in _DEPTHS if high <= depth), high)


def _strips(values: NDArray[np.generic]) -> Iterator[slice]:
    """Slices of rows, so that wide intermediate numbers exist for a few rows at a time."""
    height, width = values.shape
    step = max(1, _STRIP_PIXELS // width)
    return (slice(top, top + step) for top in range(0, height, step))


def _without_idle_alpha(image: Image.Image) -> Image.Image:
    if image.mode not in {"LA", "RGBA"}:
        return image
    # Before resizing, which multiplies the colours with alpha and so would lose them at zero.
    extremes = image.getchannel("A").getextrema()
    return image.convert(image.mode[:-1]) if extremes in {(0, 0), (255, 255)} else image


def _smaller(image: Image.Image, max_side: int | None) -> Image.Image:
    longer = max(image.size)
    if max_side is None or longer <= max_side:
        return image
    width, height = (max(1, round(side * max_side / longer)) for side in image.size)
    return image.resize((width, height), Image.Resampling.BICUBIC, reducing_gap=2.0)


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode in {"LA", "RGBA"}:
        colours = image.convert("RGBA")
        page = Image.new("RGB", image.size, (255, 255, 255))
        page.paste(colours, mask=colours.getchannel("A"))
        return page
    return image if image.mode == "RGB" else image.convert("RGB")
