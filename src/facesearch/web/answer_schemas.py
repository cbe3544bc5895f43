"""JSON Schemas of what the calls answer with when all is well.

Each object names all that it holds. None is closed: answers may come to hold more, and programs
that read them should not mind.
"""

from __future__ import annotations

from typing import Any

from facesearch.report.facts import SCHEMA
from facesearch.web.asked import FACE_ID, PHOTO_ID

JsonSchema = dict[str, Any]


def record(required: dict[str, JsonSchema], **further: JsonSchema) -> JsonSchema:
    """An object; ``further`` are fields that it does not always have."""
    return {
        "type": "object",
        "required": list(required),
        "properties": {**required, **further},
    }


def several(of: JsonSchema, **limits: int) -> JsonSchema:
    """A list; ``limits`` are minItems and maxItems."""
    return {"type": "array", "items": of, **limits}


def or_null(schema: JsonSchema) -> JsonSchema:
    """The same, or null."""
    return {"anyOf": [schema, {"type": "null"}]}


def one_of(*words: str) -> JsonSchema:
    """One of these words."""
    return {"type": "string", "enum": list(words)}


def number(least: float, most: float | None = None) -> JsonSchema:
    """A number of this range."""
    limits = {"minimum": least} if most is None else {"minimum": least, "maximum": most}
    return {"type": "number", **limits}


def told(schema: JsonSchema, meaning: str) -> JsonSchema:
    """The same, with what it means."""
    return {**schema, "description": meaning}


_TEXT: JsonSchema = {"type": "string"}
_FLAG: JsonSchema = {"type": "boolean"}
_COUNT: JsonSchema = {"type": "integer", "minimum": 0}
_FACE_NUMBER: JsonSchema = {"type": "integer", "minimum": 1}
_SHARE = number(0, 1)
_DISTANCE = number(0)
_VERSION: JsonSchema = {"type": "integer", "const": SCHEMA}
_PHOTO_ID: JsonSchema = {"type": "string", "pattern": PHOTO_ID}
_FACE_ID: JsonSchema = {"type": "string", "pattern": FACE_ID}
_SUBJECT = one_of("face", "photo")
_BOX = told(
    several({"type": "number"}, minItems=4, maxItems=4),
    "x, y, width and height in pixels of the upright photo.",
)
_POINT = several({"type": "number"}, minItems=2, maxItems=2)
_TOKEN = told(or_null(_TEXT), "Names the photo in searches; null where none is kept.")
_ERROR = record({"code": _TEXT, "message": _TEXT})
_HELD = {"photos": _COUNT, "faces": _COUNT, "without_face": _COUNT, "failed": _COUNT}

_COVERAGE = record(
    {
        "subject": _SUBJECT,
        **_HELD,
        "roots_away": _COUNT,
        "indexed_at": _TEXT,
        "progress": or_null(record({"done": _COUNT, "total": _COUNT, "running": _FLAG})),
    }
)
_STORE_SUMMARY = record(
    {
        "path": _TEXT,
        "recipe": _TEXT,
        "recipe_digest": _TEXT,
        "space_digest": _TEXT,
        "dim": {"type": "integer", "minimum": 1},
    }
)
_QUERIED = told(
    or_null(_COUNT), "The number of the face taken: 0 for a box drawn by hand, null without one."
)
_QUERY = record(
    {
        "path": _TEXT,
        "face": _QUERIED,
        "faces": several(record({"number": _COUNT, "box": _BOX, "score": _SHARE})),
        "width": _COUNT,
        "height": _COUNT,
        "examples": several(record({"path": _TEXT, "face": or_null(_COUNT)})),
    }
)
_NEIGHBOR = record(
    {
        "rank": {"type": "integer", "minimum": 1},
        "id": _FACE_ID,
        "photo": _PHOTO_ID,
        "path": _TEXT,
        "root": _TEXT,
        "relative_path": _TEXT,
        "also": told(several(_TEXT), "Further paths with the same content."),
        "face": told(or_null(_FACE_NUMBER), "Null where whole photos are compared."),
        "distance": _DISTANCE,
        "similarity": told(
            or_null(number(-1, 1)), "A cosine; null where rows have no unit length."
        ),
        "probability": told(or_null(_SHARE), "Null where distances are not calibrated."),
        "expected_false_matches": or_null(number(0)),
        "band": or_null(one_of("likely", "possible", "unlikely")),
        "box": or_null(_BOX),
        "width": _COUNT,
        "height": _COUNT,
        "taken": told(_TEXT, "ISO 8601 without zone; empty where unknown."),
        "score": _SHARE,
        "example": _TEXT,
        "similar": told(
            {"type": "array", "maxItems": 0}, "Always empty here: nothing is folded into a line."
        ),
    }
)

ALIVE = record({"status": {"type": "string", "const": "ok"}, "version": _TEXT})

STORE = record(
    {
        "name": _TEXT,
        "path": _TEXT,
        **_HELD,
        "indexed_at": _TEXT,
        "indexing": told(
            or_null(
                record(
                    {"done": _COUNT, "total": _COUNT, "running": _FLAG},
                    faces=_COUNT,
                    failed=_COUNT,
                )
            ),
            "An index run that has not ended; faces and failed of one that this server does.",
        ),
        "subject": _SUBJECT,
        "recipe": _TEXT,
        "model": _TEXT,
        "dim": {"type": "integer", "minimum": 1},
        "roots": several(
            record({"path": _TEXT, "state": one_of("there", "away"), "photos": _COUNT})
        ),
        "calibrated": _FLAG,
        "cuts": told(
            or_null(record({"likely": or_null(_DISTANCE), "possible": or_null(_DISTANCE)})),
            "The largest distances at which a neighbour is so; null where not calibrated.",
        ),
        "may_index": told(several(_TEXT), "Below these folders runs may be begun."),
        "may_write": _FLAG,
    }
)

FAILURES = record(
    {
        "items": several(record({"path": _TEXT, "reason": _TEXT, "message": _TEXT})),
        "total": _COUNT,
    }
)

FACES = record(
    {
        "photo": _TOKEN,
        "width": _COUNT,
        "height": _COUNT,
        "prominent": told(or_null(_FACE_NUMBER), "The face that is searched when none is named."),
        "faces": several(
            record(
                {
                    "number": _FACE_NUMBER,
                    "box": _BOX,
                    "score": _SHARE,
                    "landmarks": told(
                        several(_POINT), "Eyes, nose and corners of the mouth, left before right."
                    ),
                }
            )
        ),
    }
)

SEARCH = record(
    {
        "schema": _VERSION,
        "store": _STORE_SUMMARY,
        "coverage": _COVERAGE,
        "query": _QUERY,
        "neighbors": several(_NEIGHBOR),
        "searched": _COUNT,
        "notes": several(_TEXT),
        "offset": _COUNT,
        "total": told(or_null(_COUNT), "Null where only a full search would tell."),
        "next": told(or_null(_COUNT), "Where the next page begins; null on the last."),
        "photo": _TOKEN,
    }
)

VERIFY = record(
    {
        "schema": _VERSION,
        "recipe": _TEXT,
        "same": _FLAG,
        "distance": _DISTANCE,
        "similarity": or_null(number(-1, 1)),
        "probability": told(or_null(_SHARE), "Null where distances are not calibrated."),
        "false_match_rate": or_null(_SHARE),
        "bound": record(
            {
                "max_distance": _DISTANCE,
                "fmr": or_null(_SHARE),
                "counted": _FLAG,
                "least_counted": or_null(_SHARE),
            }
        ),
        "a": _QUERY,
        "b": _QUERY,
        "error": told({"type": "null"}, "Always null here: what went wrong has its own status."),
        "notes": several(_TEXT),
    }
)

PHOTO = record(
    {
        "id": _PHOTO_ID,
        "paths": several(_TEXT),
        "width": _COUNT,
        "height": _COUNT,
        "taken": told(_TEXT, "ISO 8601 without zone; empty where unknown."),
        "camera": told(_TEXT, "Empty where unknown."),
        "faces": several(
            record(
                {
                    "number": _FACE_NUMBER,
                    "id": _FACE_ID,
                    "box": told(or_null(_BOX), "Null where the face is the whole photo."),
                    "score": _SHARE,
                }
            )
        ),
    }
)

ADDED = record({"key": _TEXT, "photo": _PHOTO_ID, "path": _TEXT, "faces": _COUNT})
REMOVED = record({"key": _TEXT, "removed": {"type": "boolean", "const": True}})

_OUTCOME = record(
    {
        "seen": _COUNT,
        "new": _COUNT,
        "changed": _COUNT,
        "unchanged": _COUNT,
        "moved": _COUNT,
        "copies": _COUNT,
        "forgotten": _COUNT,
        "removed": _COUNT,
        "usable": _COUNT,
        "faces": _COUNT,
        "without_face": _COUNT,
        "failed": _COUNT,
        "failed_by_reason": {"type": "object", "additionalProperties": _COUNT},
        "seconds": number(0),
    }
)
RUN = record(
    {
        "running": _FLAG,
        "folder": told(or_null(_TEXT), "Null where all folders are indexed again, or none."),
        "outcome": told(or_null(_OUTCOME), "What came of a run that is done."),
        "error": told(or_null(_ERROR), "Why a run ended early."),
    },
    done=told(_COUNT, "While it goes: photos so far."),
    total=told(_COUNT, "While it goes: photos in all."),
    faces=told(_COUNT, "While it goes: faces so far."),
    failed=told(_COUNT, "While it goes: photos that could not be used so far."),
)
CANCELLED = record({"cancelled": told(_FLAG, "Whether a run went on.")})
