"""One person or not: for people in some lines, for programs as JSON."""

from __future__ import annotations

from facesearch.records import Bound, Query, Verdict
from facesearch.report.facts import SCHEMA, as_json, query_facts, rounded, significant
from facesearch.report.terminal import escape
from facesearch.report.wording import message_with_path


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
    limit = verdict.bound.max_distance
    lines = [f"{said}: distance {verdict.distance:.3f}, up to {limit:.3f} counts as one person"]
    lines += _rate_lines(verdict)
    return [*lines, *map(_face_line, (verdict.first, verdict.second)), *notes]


def _rate_lines(verdict: Verdict) -> list[str]:
    if verdict.bound.fmr is None or verdict.fmr is None or verdict.probability is None:
        return [f"distances of {escape(verdict.recipe)} are not calibrated: no rates are known"]
    return [
        f"false match rate {verdict.bound.fmr:.2g} ({_how(verdict.bound)}): so many pairs of "
        f"different people lie so near; {_share(verdict.fmr, verdict.bound)} lie as near as these",
        f"probability of one person {verdict.probability:.3f}, at even odds beforehand",
    ]


def _how(bound: Bound) -> str:
    return "counted" if bound.counted else "a fitted line, not counted"


def _share(fmr: float, bound: Bound) -> str:
    """A rate, but none that nobody counted."""
    if bound.least_counted is not None and fmr < bound.least_counted:
        return f"fewer than {bound.least_counted:.0e}"
    return f"{fmr:.1g}"


def _face_line(query: Query) -> str:
    name = "standard input" if query.path == "-" else escape(query.path)
    (face,) = (face for face in query.faces if face.number == query.face)
    box = face.box
    place = f"{box.x:.0f},{box.y:.0f},{box.width:.0f},{box.height:.0f}"
    which = f"face {face.number} of {len(query.faces)} at" if face.number else "the given box"
    return f"{name}: {which} {place}"


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
