"""Paired comparisons in words."""

from __future__ import annotations

from dataclasses import dataclass

from facesearch.report.evaluation import cells
from facesearch.report.evaluation.cells import Cell
from facesearch.report.evaluation.rows import protocol_title
from facesearch.results import Comparison

_MEASURES = {
    "rank_1": "rank-1",
    "rank_5": "rank-5",
    "map": "mAP",
    "accuracy": "accuracy",
    "auc": "AUC",
    "eer": "EER",
}
_PROTOCOLS = {"pairs": "Pairs", "open-set": "Open set"}
_LOWER_IS_BETTER = ("eer", "fnir")


@dataclass(frozen=True, slots=True)
class ComparisonWords:
    """A comparison as it reads. ``difference`` is in percentage points."""

    system: str
    reference: str
    protocol: str
    measure: str
    difference: Cell
    verdict: str


def in_words(comparison: Comparison) -> ComparisonWords:
    """How a difference reads: in percentage points, with what its interval allows to say."""
    cell = cells.share(comparison.difference, 2)
    return ComparisonWords(
        comparison.system,
        comparison.reference,
        _PROTOCOLS.get(comparison.protocol, protocol_title(comparison.protocol)),
        _MEASURES.get(comparison.measure, comparison.measure),
        Cell(_signed(cell.text), ", ".join(map(_signed, cell.interval.split(", ")))),
        _verdict(comparison),
    )


def _signed(text: str) -> str:
    return f"+{text}" if text and text[0].isdigit() and text.strip("0.") else text


def _verdict(comparison: Comparison) -> str:
    low, high = comparison.difference.low, comparison.difference.high
    if low is None or high is None:
        return "too little to say"
    if low <= 0 <= high:
        return "no difference shown"
    better = (low > 0) != comparison.measure.startswith(_LOWER_IS_BETTER)
    return "better" if better else "worse"
