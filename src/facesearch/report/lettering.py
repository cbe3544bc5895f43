"""Text in pictures: any script that a font on this machine covers, the rest as escapes."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from functools import cache, cached_property
from itertools import groupby
from pathlib import Path

from PIL import ImageDraw, ImageFont

from facesearch.report.terminal import escape

# Families that cover much and read well; whatever else is installed comes after them.
_PREFERRED = (
    "notosans-regular",
    "dejavusans",
    "notosanscjk",
    "arial unicode",
    "segoeui",
    "liberationsans-regular",
    "pingfang",
    "hiragino",
    "applesdgothicneo",
    "wqy",
    "msyh",
    "malgun",
    "notosans",
)
_UNFIT = ("bold", "italic", "oblique", "condensed", "light", "thin", "black", "mono", "math")
_FONTS_TRIED = 80
_PROBE_SIZE = 20
_NO_CHARACTER = "\U0010ffff"
_ELLIPSIS = "…"

_DEFAULT = Path()  # stands for Pillow's own font, which has little beyond ASCII


class Lettering:
    """Measures and draws one-line texts. Control characters are escaped as on a terminal.

    Pillow's own font comes first. A text it does not cover is set in the first system font that
    does, or piece by piece in several. Characters that no font has appear as escapes.
    """

    def __init__(self) -> None:
        self._glyphs = cache(_Glyphs)
        self._font = cache(_load)
        self._home = cache(self._find_home)

    def width(self, text: str, size: int) -> float:
        """Pixels that ``text`` takes at ``size`` pixels."""
        return sum(_length(self._font(home, size), piece) for home, piece in self._pieces(text))

    def draw(
        self,
        canvas: ImageDraw.ImageDraw,
        start: tuple[float, float],
        text: str,
        size: int,
        ink: str,
    ) -> None:
        """Draw ``text`` with its baseline beginning at ``start``."""
        x, y = start
        for home, piece in self._pieces(text):
            font = self._font(home, size)
            canvas.text((x, y), piece, ink, font, anchor="ls", direction=_direction(font))
            x += _length(font, piece)

    def shorten(self, text: str, size: int, width: float) -> str:
        """Cut the middle out of ``text`` so that it takes at most ``width`` pixels."""
        text = escape(text)
        if self.width(text, size) <= width:
            return text
        fits, too_many = 0, len(text)
        while too_many - fits > 1:
            kept = (fits + too_many) // 2
            if self.width(_without_middle(text, kept), size) <= width:
                fits = kept
            else:
                too_many = kept
        return _without_middle(text, fits)

    def _pieces(self, text: str) -> Iterator[tuple[Path, str]]:
        text = escape(text)
        homes = [self._home(character) for character in text]
        shared = self._shared_home(text, {home for home in homes if home is not None})
        if shared is not None:
            yield shared, text
            return
        for home, group in groupby(zip(homes, text, strict=True), key=lambda pair: pair[0]):
            piece = "".join(character for _, character in group)
            if home is None:
                yield _DEFAULT, piece.encode("ascii", "backslashreplace").decode()
            else:
                yield home, piece

    def _shared_home(self, text: str, homes: set[Path]) -> Path | None:
        # One font for the whole name looks better than a change of font at every accent.
        for home in sorted(homes, key=lambda path: (path != _DEFAULT, path)):
            if all(self._glyphs(home).has(character) for character in text):
                return home
        return None

    def _find_home(self, character: str) -> Path | None:
        if self._glyphs(_DEFAULT).has(character):
            return _DEFAULT
        return next(
            (path for path in self._system_fonts if self._glyphs(path).has(character)), None
        )

    @cached_property
    def _system_fonts(self) -> list[Path]:
        return sorted(_installed_fonts(), key=_preference)[:_FONTS_TRIED]


class _Glyphs:
    """Which characters a font has."""

    def __init__(self, path: Path) -> None:
        self.has = cache(self._has)
        self._font: ImageFont.FreeTypeFont | None = None
        try:
            # Unshaped, for shaping puts a circle under a mark, also under one that is missing.
            self._font = _load(path, _PROBE_SIZE, ImageFont.Layout.BASIC)
            self._missing = self._picture(_NO_CHARACTER)
        except OSError:  # a bitmap font without this size, or a broken file: it has none for us
            return

    def _has(self, character: str) -> bool:
        if self._font is None:
            return False
        return character == " " or self._picture(character) != self._missing

    def _picture(self, character: str) -> tuple[tuple[int, int], bytes]:
        assert self._font is not None
        mask = self._font.getmask(character)
        return mask.size, bytes(mask)


def _load(path: Path, size: int, layout: ImageFont.Layout | None = None) -> ImageFont.FreeTypeFont:
    if path == _DEFAULT:
        font = ImageFont.load_default(size)
        assert isinstance(font, ImageFont.FreeTypeFont)
        return font
    return ImageFont.truetype(path, size, layout_engine=layout)


def _length(font: ImageFont.FreeTypeFont, text: str) -> float:
    return font.getlength(text, direction=_direction(font))


def _direction(font: ImageFont.FreeTypeFont) -> str | None:
    """Left to right, so that ".jpg" ends an Arabic name too; the Arabic itself still runs left."""
    return "ltr" if font.layout_engine == ImageFont.Layout.RAQM else None


def _without_middle(text: str, kept: int) -> str:
    head = kept // 2
    return text[:head] + _ELLIPSIS + text[len(text) - (kept - head) :]


def _installed_fonts() -> Iterator[Path]:
    for folder in _font_folders():
        for parent, _, names in os.walk(folder):
            for name in names:
                lowered = name.lower()
                fit = lowered.endswith((".ttf", ".ttc", ".otf"))
                if fit and not any(word in lowered for word in _UNFIT):
                    yield Path(parent, name)


def _font_folders() -> list[Path]:
    if sys.platform == "darwin":
        return [Path("/System/Library/Fonts"), Path("/Library/Fonts"), _in_home("Library/Fonts")]
    if sys.platform == "win32":
        return [Path(os.environ.get("WINDIR", "C:/Windows"), "Fonts")]
    return [
        Path("/usr/share/fonts"),
        Path("/usr/local/share/fonts"),
        _in_home(".local/share/fonts"),
    ]


def _in_home(folder: str) -> Path:
    return Path(os.environ.get("HOME", "/"), folder)


def _preference(path: Path) -> tuple[int, str]:
    name = path.name.lower()
    ranks = (rank for rank, start in enumerate(_PREFERRED) if name.startswith(start))
    return next(ranks, len(_PREFERRED)), name
