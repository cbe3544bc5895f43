"""``--format paths``: where the neighbours are, for other programs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime

from facesearch.records import QueryReport


def render_lines(report: QueryReport, now: datetime) -> bytes:
    """One path a line, as the file system's own bytes, but for those of ``left_out``."""
    return _ended(filter(_is_one_line, _paths(report)), b"\n")


def render_nul_separated(report: QueryReport, now: datetime) -> bytes:
    """All paths with a NUL after each, for ``xargs -0``."""
    return _ended(_paths(report), b"\0")


def left_out(report: QueryReport) -> list[str]:
    """Paths with a line break: whoever reads lines would take one for two files, of which a
    stranger chose the second.
    """
    return [path for path in _paths(report) if not _is_one_line(path)]


def _is_one_line(path: str) -> bool:
    # A carriage return too, for some programs end lines there.
    return "\n" not in path and "\r" not in path


def _paths(report: QueryReport) -> Iterator[str]:
    """Each path once, where it is nearest, also when several queries or faces lead to it."""
    found = (neighbor.path for result in report.results for neighbor in result.neighbors)
    yield from dict.fromkeys(found)


def _ended(paths: Iterator[str], end: bytes) -> bytes:
    return b"".join(os.fsencode(path) + end for path in paths)
