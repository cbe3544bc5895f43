"""One person or not: for people in some lines, for programs as JSON."""

from __future__ import annotations

import math

from facesearch.records import Query, Verdict
from facesearch.report.facts import SCHEMA, as_json, query_facts, rounded, significant
from facesearch.report.terminal import escape
from facesearch.report.wording import message_with_path

_MANY = 0.1
_FAR_BELOW = 1e-3
"""Of what was counted: from there on a fitted line says nothing."""


def render_verdict(verdict: Verdict, *, json: bool) -> bytes:
    """The verdict, complete with its last line break, for standard output."""
    if json:
        return _as_json(verdict)
    lines = _lines(verdict)
    return ("\n".join(lines) + "\n").encode() if lines else b""


def _lines(verdict: Verdict) -> list[str]:
    notes = [f"note: {escape(note)}" for note in verdict.notes]
    if verdict.distance is None:
        return notes
    said = "same person" if verdict.same else "different people"
    first, second = map(_face, (verdict.first, verdict.second))
    limit = f"up to {verdict.bound.max_distance:.3f} counts as one person"
    after = ", " if verdict.bound.fmr is None else ": "
    return [
        f"{said}: {first} and {second}",
        f"distance {verdict.distance:.3f}; {limit}{after}{_strangers(verdict)}",
        *notes,
    ]


def _face(query: Query) -> str:
    name = "standard input" if query.path == "-" else escape(query.path)
    (face,) = (face for face in query.faces if face.number == query.face)
    box = face.box
    place = f"{box.x:.0f},{box.y:.0f},{box.width:.0f},{box.height:.0f}"
    which = f"face {face.number} of {len(query.faces)} at" if face.number else "the given box"
    return f"{name} ({which} {place})"


def _strangers(verdict: Verdict) -> str:
    """How many pairs of different people lie as near as the limit."""
    bound = verdict.bound
    if bound.fmr is None:
        return f"and how many strangers lie so near is not known for {escape(verdict.recipe)}"
    least, pairs = bound.least_counted or 0.0, "pairs of different people lie so near too"
    if bound.counted:
        return f"{_share(bound.fmr)} {pairs}"
    if bound.fmr < least * _FAR_BELOW:
        return f"fewer than {_share(least)} {pairs}"
    return f"about {_share(bound.fmr)} {pairs} (a fitted line, not counted)"


def _share(rate: float) -> str:
    """The part of all pairs, as people say it: "12% of", "1 in 1,000"."""
    if rate >= _MANY or rate <= 0:
        return f"{rate:.0%} of"
    of = 1 / rate
    digits = 1 - math.floor(math.log10(of))
    return f"1 in {round(of, digits):,.0f}"


def failure_line(verdict: Verdict) -> str:
    """Why nothing was said, in one safe line; empty where something was."""
    if verdict.error is None:
        return ""
    message = verdict.error.message
    for query in (verdict.first, verdict.second):
        if query.path in message:
            return message_with_path(query.path, message)
    return escape(message)


def _as_json(verdict: Verdict) -> bytes:
    error, bound = verdict.error, verdict.bound
    facts = {
        "schema": SCHEMA,
        "recipe": verdict.recipe,
        "same": verdict.same,
        "distance": rounded(verdict.distance, 6),
        "similarity": rounded(verdict.similarity, 6),
        "probability": rounded(verdict.probability, 6),
        "false_match_rate": significant(verdict.fmr, 4),
        "bound": {
            "max_distance": rounded(bound.max_distance, 6),
            "fmr": significant(bound.fmr, 4),
            "counted": bound.counted,
            "least_counted": significant(bound.least_counted, 4),
        },
        "a": query_facts(verdict.first),
        "b": query_facts(verdict.second),
        "error": error and {"code": error.code, "message": error.message},
        "notes": list(verdict.notes),
    }
    return as_json(facts, indent=2)
