"""Text that is safe on a terminal and lines up there."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

_MARKS = frozenset({"Mn", "Me"})
_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
# Joiners hold emoji and Persian words together and can hide nothing.
_HARMLESS_FORMATS = frozenset("\u200c\u200d")
# Letters and marks by their category that show nothing, or a blank.
_BLANKS = frozenset("\u034f\u115f\u1160\u2800\u3164\uffa0")
_MOST_MARKS = 4
"""So many marks on one letter at most, as Unicode's security mechanisms (UTS 39) have it: a pile of
them grows into other lines and pictures."""


def escape(text: str) -> str:
    r"""Make every character visible that could steer a terminal or mislead the eye.

    ASCII controls and undecodable bytes become ``\xNN``; other controls, marks that turn the
    direction of writing, invisible ones, and accents after the fourth on one letter become
    ``\uNNNN``. All else is kept, so the result is one line that any UTF-8 output takes.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escaped(text))


def _escaped(text: str) -> Iterator[str]:
    marks = 0
    for character in text:
        if unicodedata.category(character) in _MARKS:
            marks += 1
            yield (
                character if marks <= _MOST_MARKS and character not in _BLANKS else _code(character)
            )
        else:
            marks *= character in _HARMLESS_FORMATS  # which do not end a pile
            yield _escape_character(character)


def escape_lines(rendered: bytes) -> bytes:
    """``escape`` for output of several lines, which stay lines."""
    text = rendered.decode("utf-8", "surrogateescape")
    return "\n".join(map(escape, text.split("\n"))).encode()


def _escape_character(character: str) -> str:
    category = unicodedata.category(character)
    if character in _NAMED:
        return _NAMED[character]
    if character in _BLANKS:
        return _code(character)
    if category not in {"Cc", "Cf", "Cs", "Zl", "Zp"} or character in _HARMLESS_FORMATS:
        return character
    return _code(character)


def _code(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # how Python carries a byte of a name that is not UTF-8
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def display_width(text: str) -> int:
    """Columns that ``text``, already escaped, takes on a terminal."""
    return sum(map(_character_width, text))


def _character_width(character: str) -> int:
    if unicodedata.category(character) in {*_MARKS, "Cf"}:
        return 0
    return 2 if unicodedata.east_asian_width(character) in {"W", "F"} else 1


def pad(text: str, width: int, *, right: bool = False) -> str:
    """Fill ``text`` with blanks to ``width`` columns, before it when ``right`` aligned."""
    blanks = " " * (width - display_width(text))
    return blanks + text if right else text + blanks


def shorten(text: str, width: int) -> str:
    """Cut the middle out of ``text`` so that it takes at most ``width`` (2 or more) columns."""
    if display_width(text) <= width:
        return text
    head = _fitting(text, (width - 1) // 2)
    tail = _fitting(text[::-1], width - 1 - display_width(head))[::-1]
    return f"{head}…{tail}"


def _fitting(text: str, width: int) -> str:
    used = 0
    for position, character in enumerate(text):
        used += _character_width(character)
        if used > width:
            return text[:position]
    return text
