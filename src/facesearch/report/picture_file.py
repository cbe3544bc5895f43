"""Pictures on disk: complete or not there at all."""

from __future__ import annotations

from pathlib import Path

from PIL import Image, PngImagePlugin

from facesearch import private
from facesearch.errors import FacesearchError

_SOFTWARE = "facesearch"


def is_ours(path: str | Path) -> bool:
    """Whether the file is a picture that facesearch wrote, which it may replace."""
    try:
        with Image.open(path) as image:
            return image.format == "PNG" and image.info.get("Software") == _SOFTWARE
    except (OSError, ValueError, SyntaxError):
        return False


def write_png(image: Image.Image, path: str | Path) -> None:
    """Write ``image`` as PNG, readable by its owner alone; what was at ``path`` is replaced.

    Raises:
        FacesearchError: the place cannot be written; what was there is untouched.
    """
    target = Path(path)
    try:
        with private.writing(target) as file:
            image.save(file, format="PNG", pnginfo=_signature())
    except OSError as error:
        raise FacesearchError(
            f"{target}: the picture cannot be written ({error.strerror or error}); "
            "name a file in a folder that exists, can be written and has room"
        ) from error


def _signature() -> PngImagePlugin.PngInfo:
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Software", _SOFTWARE)
    return texts
