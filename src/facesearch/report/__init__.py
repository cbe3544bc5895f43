"""Results as table, JSON, CSV, paths and pictures. Takes records and knows no model.

A format is one file with ``render(report, now) -> bytes`` and one line in ``FORMATS``. Pictures
and evaluations are no names of this front: ``contact_sheet``, ``numbered_faces``, ``picture_file``
and ``evaluation`` are imported by those who draw and evaluate, and nobody else waits for them.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Literal

from facesearch.records import Coverage, QueryReport
from facesearch.report import document, ndjson, paths, spreadsheet, table
from facesearch.report.index_run import (
    render_index_summary,
    render_prediction,
    render_system_run,
    render_system_runs,
)
from facesearch.report.terminal import escape, escape_lines
from facesearch.report.wording import count, size

__all__ = [
    "FORMATS",
    "Format",
    "count",
    "coverage_line",
    "escape",
    "escape_lines",
    "render_index_summary",
    "render_prediction",
    "render_query",
    "render_system_run",
    "render_system_runs",
    "size",
]

Format = Literal["table", "json", "ndjson", "csv", "paths", "paths0"]

FORMATS: dict[Format, Callable[[QueryReport, datetime], bytes]] = {
    "table": table.render,
    "json": document.render,
    "ndjson": ndjson.render,
    "csv": spreadsheet.render,
    "paths": paths.render_lines,
    "paths0": paths.render_nul_separated,
}


def coverage_line(coverage: Coverage, now: datetime | None = None) -> str:
    """What was searched, in one line, for formats that have no place for it."""
    return table.coverage_line(coverage, now or datetime.now().astimezone())


def render_query(report: QueryReport, format: Format, now: datetime | None = None) -> bytes:
    """Render an answer, complete with its last line break, for standard output.

    Args:
        report: what was asked and found.
        format: a key of ``FORMATS``.
        now: the moment that "indexed today" is judged by; the present one when None.
    """
    return FORMATS[format](report, now or datetime.now().astimezone())
