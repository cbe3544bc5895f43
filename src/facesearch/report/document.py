"""``--format json``: the whole answer as one object."""

from __future__ import annotations

from datetime import datetime

from facesearch.records import QueryReport
from facesearch.report.facts import as_json, report_facts


def render(report: QueryReport, now: datetime) -> bytes:
    """The object described in ``facts``; times are absolute, so ``now`` plays no part."""
    return as_json(report_facts(report), indent=2)
