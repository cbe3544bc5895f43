"""Small pictures inside the page."""

from __future__ import annotations

import io
from collections.abc import Callable

from PIL import Image, ImageOps

from facesearch.records import Pixels
from facesearch.report.pages import data_uri
from facesearch.results import FourNumbers

Pictures = Callable[[str, FourNumbers | None], Pixels | None]
"""(path, box) to the face's pixels, the whole photo's without a box; None when it is gone."""
_SIZES = ((5_000, 84, 66), (12_000, 72, 55))
_SMALLEST = (56, 45)


class Thumbnails:
    """Makes each picture once. The more a page has, the smaller they are: side and quality."""

    def __init__(self, picture: Pictures, expected: int) -> None:
        self._picture = picture
        self._made: dict[tuple[str, FourNumbers | None], str | None] = {}
        sizes = (sizes[1:] for sizes in _SIZES if expected <= sizes[0])
        self.side, self._quality = next(sizes, _SMALLEST)

    def uri(self, path: str, box: FourNumbers | None) -> str | None:
        """The picture as a ``data:`` URI, None when the photo is not there any more."""
        key = path, box
        if key not in self._made:
            pixels = self._picture(path, box)
            self._made[key] = None if pixels is None else self._encoded(pixels, whole=box is None)
        return self._made[key]

    def _encoded(self, pixels: Pixels, *, whole: bool) -> str:
        image = Image.fromarray(pixels)
        # A whole photo is shown whole; a face fills its square.
        fit = ImageOps.contain if whole else ImageOps.fit
        small = fit(image, (self.side, self.side), Image.Resampling.LANCZOS)
        written = io.BytesIO()
        small.save(written, format="WEBP", quality=self._quality, method=4)
        return data_uri("image/webp", written.getvalue())
