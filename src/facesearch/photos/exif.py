"""What a photo says about itself: orientation, capture time, camera. Broken EXIF says nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from PIL import ExifTags, Image

_TIME = re.compile(r"(\d{4})[:\-/](\d\d)[:\-/](\d\d)[ T](\d\d):(\d\d):(\d\d)")
_MAX_TEXT = 100


@dataclass(frozen=True, slots=True)
class ExifFacts:
    """``orientation`` 1..8 as EXIF counts; ``taken`` ISO 8601 without zone or ""; ``camera``."""

    orientation: int = 1
    taken: str = ""
    camera: str = ""


def read_exif(image: Image.Image) -> ExifFacts:
    """Read what is needed of a loaded image's EXIF (PNG may bring it after the pixels).

    Args:
        image: a Pillow image after ``load``; orientation also comes from XMP where EXIF has none.
    """
    try:
        tags = image.getexif()
    except Exception:  # Pillow's EXIF parser raises nearly anything on junk; a photo needs no EXIF
        return ExifFacts()
    orientation = tags.get(ExifTags.Base.Orientation)
    return ExifFacts(
        orientation if isinstance(orientation, int) and 1 <= orientation <= 8 else 1,
        _taken(_original_time(tags)) or _taken(tags.get(ExifTags.Base.DateTime)),
        _camera(_text(tags.get(ExifTags.Base.Make)), _text(tags.get(ExifTags.Base.Model))),
    )


def _original_time(tags: Image.Exif) -> Any:
    try:
        return tags.get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.DateTimeOriginal)
    except Exception:  # as above: the pointer may lead anywhere
        return None


def _text(value: Any) -> str:
    """A tag's value as one clean line; cameras pad with NUL and blanks."""
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if not isinstance(value, str):
        return ""
    value = value.split("\0", 1)[0]
    return " ".join("".join(c if c.isprintable() else " " for c in value).split())[:_MAX_TEXT]


def _taken(value: Any) -> str:
    match = _TIME.match(_text(value))
    if match is None:
        return ""
    try:
        return datetime(*map(int, match.groups())).isoformat()  # type: ignore[arg-type]
    except ValueError:  # "0000:00:00 00:00:00" and the like
        return ""


def _camera(make: str, model: str) -> str:
    if not make or not model:
        return make or model
    # "Canon" + "Canon EOS 5D", "NIKON CORPORATION" + "NIKON D90": the model says it all
    if model.lower().startswith(make.split(maxsplit=1)[0].lower()):
        return model
    return f"{make} {model}"
