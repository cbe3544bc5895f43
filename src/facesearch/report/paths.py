"""``--format paths``: where the neighbours are, for other programs."""

from __future__ import annotations

import os
from datetime import datetime

from facesearch.records import QueryReport


def render_lines(report: QueryReport, now: datetime) -> bytes:
    """One path a line, as the file system's own bytes. A name with a line break needs NULs."""
    return _render(report, b"\n")


def render_nul_separated(report: QueryReport, now: datetime) -> bytes:
    """The same with a NUL after each path, for ``xargs -0``."""
    return _render(report, b"\0")


def _render(report: QueryReport, end: bytes) -> bytes:
    # Each path once, where it is nearest, also when several queries or faces lead to it.
    paths = dict.fromkeys(
        neighbor.path for result in report.results for neighbor in result.neighbors
    )
    return b"".join(os.fsencode(path) + end for path in paths)
