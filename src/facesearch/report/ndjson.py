"""``--format ndjson``: one result a line, each line complete in itself."""

from __future__ import annotations

from datetime import datetime

from facesearch.records import QueryReport
from facesearch.report.facts import as_json, report_facts


def render(report: QueryReport, now: datetime) -> bytes:
    """For each result its fields beside "schema", "store" and "coverage"."""
    facts = report_facts(report)
    results = facts.pop("results")
    return b"".join(as_json(facts | result) for result in results)
