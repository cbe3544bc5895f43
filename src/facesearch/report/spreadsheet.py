"""``--format csv``: one neighbour a row, safe to open in a spreadsheet."""

from __future__ import annotations

import io
import json
from datetime import datetime

from facesearch.records import Neighbor, QueryReport, QueryResult
from facesearch.report.facts import box_facts, rounded, significant
from facesearch.report.terminal import escape

COLUMNS = (
    "query",
    "query_face",
    "rank",
    "id",
    "path",
    "root",
    "relative_path",
    "also",
    "face",
    "distance",
    "similarity",
    "probability",
    "expected_false_matches",
    "band",
    "box_x",
    "box_y",
    "box_width",
    "box_height",
    "width",
    "height",
    "taken",
    "score",
    "example",
    "similar",
    "error",
)
# The full-width forms start a formula in some locales.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")

Cell = str | float | None


def render(report: QueryReport, now: datetime) -> bytes:
    """A header, then a row for each neighbour and for each query that has no answer.

    Lines end with a line feed, text is quoted and in UTF-8. Characters that steer a terminal, line
    breaks and bytes that are not UTF-8 show as escapes. "also" is a JSON list. A path that a
    spreadsheet would run as a formula gets "./" before it, which names the same file.
    """
    import csv

    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
    writer.writerow(COLUMNS)
    for result in report.results:
        writer.writerows(_rows(result))
    return text.getvalue().encode()


def _rows(result: QueryResult) -> list[list[Cell]]:
    query: list[Cell] = [path_cell(result.query.path), result.query.face]
    if result.error is not None:
        blanks: list[Cell] = [None] * (len(COLUMNS) - len(query) - 1)
        return [[*query, *blanks, text_cell(f"{result.error.code}: {result.error.message}")]]
    return [[*query, *_cells(neighbor), None] for neighbor in result.neighbors]


def _cells(neighbor: Neighbor) -> list[Cell]:
    return [
        neighbor.rank,
        text_cell(neighbor.id),
        path_cell(neighbor.path),
        path_cell(neighbor.root),
        path_cell(neighbor.relative_path),
        json.dumps(neighbor.also) if neighbor.also else None,
        neighbor.face,
        rounded(neighbor.distance, 6),
        rounded(neighbor.similarity, 6),
        rounded(neighbor.probability, 6),
        significant(neighbor.expected_false_matches, 4),
        text_cell(neighbor.band) or None,
        *(box_facts(neighbor.box) or [None] * 4),
        neighbor.width,
        neighbor.height,
        text_cell(neighbor.taken),
        rounded(neighbor.score, 4),
        path_cell(neighbor.example),
        json.dumps([other.path for other in neighbor.similar]) if neighbor.similar else None,
    ]


def path_cell(path: str) -> str:
    """A path that does no harm in a spreadsheet."""
    # "-" alone stands for standard input and is no formula.
    formula = path != "-" and path.startswith(_FORMULA_STARTS)
    return escape(f"./{path}" if formula else path)


def text_cell(text: str) -> str:
    """Text that does no harm in a spreadsheet."""
    return escape(plain_text(text))


def plain_text(text: str) -> str:
    """The text, with a quotation mark before it where a spreadsheet would run it as a formula."""
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text
