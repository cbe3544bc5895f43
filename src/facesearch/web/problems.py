"""What goes wrong, as an HTTP status with a code that stays the same."""

from __future__ import annotations

import logging
from typing import Any

from starlette.responses import Response

from facesearch.errors import (
    FacesearchError,
    ModelError,
    NoFaceError,
    PhotoError,
    StoreBusyError,
    StoreError,
    StoreLockedError,
    StoreMissingError,
    UsageError,
    WeightsError,
)
from facesearch.report.facts import as_json

_log = logging.getLogger(__name__)

_OF_PHOTOS = {"too-large": 413, "vanished": 404, "timeout": 504, "model-error": 500}
_OF_ERRORS: tuple[tuple[type[FacesearchError], int, str], ...] = (
    (NoFaceError, 422, "no-face"),
    (UsageError, 400, "bad-request"),
    (StoreBusyError, 503, "busy"),
    (StoreLockedError, 503, "store-locked"),
    (StoreMissingError, 503, "store-missing"),
    (StoreError, 503, "store-damaged"),
    (WeightsError, 503, "weights-missing"),
    (ModelError, 500, "model-error"),
)
RETRY_SECONDS = 1


class HttpError(Exception):
    """A request that is answered with an error: HTTP ``status``, stable ``code``, one line."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


def busy(what: str = "too many requests at once") -> HttpError:
    """Refused for now."""
    return HttpError(503, "busy", f"{what}; try again in a moment")


def not_found(what: str) -> HttpError:
    """Nothing there."""
    return HttpError(404, "not-found", what)


def bad_request(why: str) -> HttpError:
    """The request cannot be meant."""
    return HttpError(400, "bad-request", why)


def of_photo(reason: str, message: str) -> HttpError:
    """A photo without an answer; ``reason`` is "no-face" or one of ``records.REASONS``."""
    return HttpError(_OF_PHOTOS.get(reason, 422), reason, message)


def problem_of(error: Exception) -> HttpError:
    """What to answer for an error, whatever raised it."""
    if isinstance(error, HttpError):
        return error
    if isinstance(error, PhotoError):
        return of_photo(error.reason, str(error))
    for kind, status, code in _OF_ERRORS:
        if isinstance(error, kind):
            return HttpError(status, code, str(error))
    if isinstance(error, FacesearchError):
        return HttpError(500, "failed", str(error))
    _log.error("internal error", exc_info=error)
    return HttpError(500, "internal-error", "internal error; the server's log says where")


def answer(problem: HttpError) -> Response:
    """The error as every call tells it."""
    headers = {}
    if problem.status == 503:
        headers["Retry-After"] = str(RETRY_SECONDS)
    if problem.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    body: dict[str, Any] = {"error": {"code": problem.code, "message": str(problem)}}
    return plain(body, problem.status, headers)


def plain(data: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Data as JSON; names that are no UTF-8 are escaped as in the commands' JSON."""
    return Response(as_json(data), status, headers, "application/json")
