"""What an evaluation found: terminal, JSON, and a folder with page, figures and tables."""

from __future__ import annotations

from facesearch.report.evaluation import text
from facesearch.report.evaluation.document import as_document, read_evaluation
from facesearch.report.evaluation.folder import write_report
from facesearch.results import Evaluation

__all__ = ["read_evaluation", "render_evaluation", "write_report"]


def render_evaluation(evaluation: Evaluation, as_json: bool) -> str:
    """The evaluation for standard output: tables for people, or one JSON object with all of it.

    Args:
        evaluation: what was found.
        as_json: JSON as in a report's ``results.json``, which ``read_evaluation`` reads.
    """
    return as_document(evaluation) if as_json else text.render(evaluation)
