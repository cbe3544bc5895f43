"""Records as plain data: the one place that fixes the names and rounding of the JSON output."""

from __future__ import annotations

import json
import math
from typing import Any

from facesearch.records import (
    Box,
    Coverage,
    Neighbor,
    Query,
    QueryReport,
    QueryResult,
    StoreSummary,
)

SCHEMA = 1
"""Version of the JSON output; it rises when a field changes its meaning or goes away."""


def as_json(data: object, *, indent: int | None = None) -> bytes:
    r"""Encode plain data as ASCII JSON with a final line break.

    A byte of a name that is not UTF-8 becomes a ``\udcNN`` escape; in Python ``json.loads`` and
    ``os.fsencode`` give the name back.
    """
    return json.dumps(data, indent=indent, allow_nan=False).encode("ascii") + b"\n"


def report_facts(report: QueryReport) -> dict[str, Any]:
    """The whole answer."""
    return {
        "schema": SCHEMA,
        "store": store_facts(report.store),
        "coverage": coverage_facts(report.coverage),
        "results": [result_facts(result) for result in report.results],
    }


def store_facts(store: StoreSummary) -> dict[str, Any]:
    """Which store answered."""
    return {
        "path": store.path,
        "recipe": store.recipe,
        "recipe_digest": store.recipe_digest,
        "space_digest": store.space_digest,
        "dim": int(store.dim),
    }


def coverage_facts(coverage: Coverage) -> dict[str, Any]:
    """What was searched; "progress" is null unless an index run has not ended."""
    progress = coverage.progress
    return {
        "subject": coverage.subject,
        "faces": int(coverage.faces),
        "photos": int(coverage.photos),
        "without_face": int(coverage.without_face),
        "failed": int(coverage.failed),
        "roots_away": int(coverage.roots_away),
        "indexed_at": coverage.indexed_at,
        "progress": progress
        and {
            "done": int(progress.done),
            "total": int(progress.total),
            "running": progress.running,
        },
    }


def result_facts(result: QueryResult) -> dict[str, Any]:
    """One query with its neighbours or its error."""
    query = query_facts(result.query)
    notes = list(result.notes)
    if result.error is not None:
        error = {"code": result.error.code, "message": result.error.message}
        return {"query": query, "error": error, "notes": notes}
    neighbors = [neighbor_facts(neighbor) for neighbor in result.neighbors]
    searched = int(result.searched)
    return {"query": query, "neighbors": neighbors, "searched": searched, "notes": notes}


def query_facts(query: Query) -> dict[str, Any]:
    """What was searched for."""
    return {
        "path": query.path,
        "face": None if query.face is None else int(query.face),
        "faces": [
            {
                "number": int(face.number),
                "box": box_facts(face.box),
                "score": rounded(face.score, 4),
            }
            for face in query.faces
        ],
        "width": int(query.width),
        "height": int(query.height),
        "examples": [
            {"path": path, "face": None if face is None else int(face)}
            for path, face in query.examples
        ],
    }


def neighbor_facts(neighbor: Neighbor) -> dict[str, Any]:
    """One line of the answer."""
    return {
        "rank": int(neighbor.rank),
        "id": neighbor.id,
        "path": neighbor.path,
        "root": neighbor.root,
        "relative_path": neighbor.relative_path,
        "also": list(neighbor.also),
        "face": None if neighbor.face is None else int(neighbor.face),
        "distance": rounded(neighbor.distance, 6),
        "similarity": rounded(neighbor.similarity, 6),
        "probability": rounded(neighbor.probability, 6),
        "expected_false_matches": significant(neighbor.expected_false_matches, 4),
        "band": neighbor.band or None,
        "box": box_facts(neighbor.box),
        "width": int(neighbor.width),
        "height": int(neighbor.height),
        "taken": neighbor.taken,
        "score": rounded(neighbor.score, 4),
        "example": neighbor.example,
        "similar": [neighbor_facts(other) for other in neighbor.similar],
    }


def box_facts(box: Box | None) -> list[float | None] | None:
    """[x, y, width, height] to a hundredth of a pixel."""
    if box is None:
        return None
    return [rounded(side, 2) for side in (box.x, box.y, box.width, box.height)]


def rounded(value: float | None, digits: int) -> float | None:
    """A number that JSON can carry; None where there is none, or it has none (not finite)."""
    if value is None or not math.isfinite(value):
        return None
    return round(float(value), digits)


def significant(value: float | None, digits: int) -> float | None:
    """The same, rounded to so many digits that count: such numbers span many powers of ten."""
    if value is None or not math.isfinite(value):
        return None
    return float(f"{value:.{digits}g}")
