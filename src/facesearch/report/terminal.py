"""Text that is safe on a terminal and lines up there."""

from __future__ import annotations

import unicodedata

_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
# Joiners hold emoji and Persian words together and can hide nothing.
_HARMLESS_FORMATS = frozenset("\u200c\u200d")


def escape(text: str) -> str:
    r"""Make every character visible that could steer a terminal or mislead the eye.

    ASCII controls and undecodable bytes become ``\xNN``; other controls, marks that turn the
    direction of writing, and invisible ones become ``\uNNNN``. All else is kept, so the result is
    one line that any UTF-8 output takes.
    """
    return "".join(map(_escape_character, text))


def escape_lines(rendered: bytes) -> bytes:
    """``escape`` for output of several lines, which stay lines."""
    text = rendered.decode("utf-8", "surrogateescape")
    return "\n".join(map(escape, text.split("\n"))).encode()


def _escape_character(character: str) -> str:
    category = unicodedata.category(character)
    if character in _NAMED:
        return _NAMED[character]
    if category not in {"Cc", "Cf", "Cs", "Zl", "Zp"} or character in _HARMLESS_FORMATS:
        return character
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
    if unicodedata.category(character) in {"Mn", "Me", "Cf"}:
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
