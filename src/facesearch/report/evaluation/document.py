"""An evaluation as JSON and back."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from facesearch.errors import FacesearchError
from facesearch.report.terminal import escape
from facesearch.results import Evaluation
from facesearch.text_files import read_text

SCHEMA = 1
KIND = "facesearch evaluation"
"""The first key's value in every such file, by which it is known again."""
_OTHER_NUMBERS = {math.inf: "Infinity", -math.inf: "-Infinity"}


def as_document(evaluation: Evaluation) -> str:
    """The evaluation as indented ASCII JSON with a final line break.

    The keys are the fields of ``results.Evaluation`` after a first one, "kind". A number that JSON
    lacks (a threshold without end) is the text "Infinity", "-Infinity" or "NaN".
    """
    from pydantic import TypeAdapter

    fields = TypeAdapter(Evaluation).dump_python(evaluation)
    plain = {"kind": KIND, **_plain(fields)}
    return json.dumps(plain, indent=1, allow_nan=False) + "\n"


def read_evaluation(path: str | Path) -> Evaluation:
    """The evaluation in a ``results.json``.

    Raises:
        FacesearchError: the file cannot be read, is something else, or was written by a version
            whose schema this one does not know.
    """
    from pydantic import TypeAdapter, ValidationError

    document = _document(Path(path))
    if document.get("schema") != SCHEMA:
        raise FacesearchError(
            f"{path}: an evaluation of schema {escape(repr(document.get('schema')))[:40]}, this "
            f"version reads {SCHEMA}; read it with the version that wrote it, or run "
            "facesearch eval again"
        )
    try:
        return TypeAdapter(Evaluation).validate_python(document)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = escape(".".join(map(str, first["loc"])))
        raise FacesearchError(
            f"{path}: not a whole evaluation ({where}: {escape(first['msg'])}); run facesearch eval"
            " again"
        ) from error


def _document(path: Path) -> dict[str, Any]:
    wrong = f"{path}: not an evaluation of facesearch; name the results.json of a report"
    try:
        document = json.loads(read_text(path))
    except OSError as error:
        raise FacesearchError(
            f"{path}: cannot be read ({error.strerror or error}); name the results.json of a report"
        ) from error
    except (ValueError, RecursionError) as error:
        raise FacesearchError(wrong) from error
    if not isinstance(document, dict) or document.get("kind") != KIND:
        raise FacesearchError(wrong)
    return document


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return _OTHER_NUMBERS.get(value, "NaN")
    return value
