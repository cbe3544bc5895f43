"""What the OpenAPI document says of bodies and answers that are read and written by hand."""

from __future__ import annotations

from typing import Any

from facesearch.web.answer_schemas import JsonSchema
from facesearch.web.asked import Form, IndexForm, NoFields, SearchForm, VerifyForm, ZipForm

ERRORS: dict[int | str, dict[str, Any]] = {
    400: {"description": "The request cannot be meant."},
    401: {"description": "The key is missing or wrong."},
    403: {"description": "Not from here: foreign host or origin, or outside the store's folders."},
    404: {"description": "There is no such thing, or no longer."},
    405: {"description": "Another method is meant."},
    408: {"description": "The body took too long to arrive."},
    409: {"description": "Not now: an index run goes, or the photo changed since."},
    413: {"description": "A photo of too many bytes or pixels."},
    415: {"description": "Another content type is meant."},
    422: {"description": "The photo cannot be used; the code says why (no-face, damaged, ...)."},
    500: {"description": "A network or this server failed."},
    503: {"description": "Busy, or the store cannot be read; see Retry-After."},
    504: {"description": "The disk did not answer in time."},
}
_ERROR_SCHEMA = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message"],
            "properties": {"code": {"type": "string"}, "message": {"type": "string"}},
        }
    },
}
_FILE = {"type": "string", "format": "binary"}
_BASE64 = {"type": "string", "contentEncoding": "base64", "description": "A photo as base64."}


def errors() -> dict[int | str, dict[str, Any]]:
    """What every call may answer besides."""
    content = {"application/json": {"schema": _ERROR_SCHEMA}}
    found = {status: {**facts, "content": content} for status, facts in ERRORS.items()}
    return {200: {"description": "What was asked for, as JSON."}, **found}


def body(form: type[Form], photos: tuple[str, ...], required: bool = True) -> dict[str, Any]:
    """A body with photos: a form with files, or JSON with base64."""
    schema = _plain(form)
    fields = schema.get("properties", {})
    needed = {"required": list(photos)} if required and photos else {}
    content = {
        kind: {
            "schema": {
                "type": "object",
                "additionalProperties": False,
                "properties": {**dict.fromkeys(photos, photo), **fields},
                **needed,
            }
        }
        for kind, photo in (("multipart/form-data", _FILE), ("application/json", _BASE64))
    }
    return {"requestBody": {"required": True, "content": content}}


def json_body(form: type[Form]) -> dict[str, Any]:
    """A body of JSON."""
    content = {"application/json": {"schema": _plain(form)}}
    return {"requestBody": {"required": True, "content": content}}


def photo_body() -> dict[str, Any]:
    """A photo alone: as a form, as JSON, or as the body itself."""
    described = body(NoFields, ("photo",))
    described["requestBody"]["content"]["application/octet-stream"] = {"schema": _FILE}
    return described


def answers(
    description: str, *kinds: str, json: JsonSchema | None = None
) -> dict[int | str, dict[str, Any]]:
    """The answer when all is well, by its content types; ``json`` is what it holds as JSON."""
    content: dict[str, Any] = {kind: {} for kind in kinds}
    if json is not None:
        content["application/json"] = {"schema": json}
    return {200: {"description": description, "content": content}}


def _plain(form: type[Form]) -> dict[str, Any]:
    return form.model_json_schema()


FACES = PUT = photo_body()
SEARCH = body(SearchForm, ("photo",), required=False)
VERIFY = body(VerifyForm, ("a", "b"))
ZIP = json_body(ZipForm)
INDEX = json_body(IndexForm)
