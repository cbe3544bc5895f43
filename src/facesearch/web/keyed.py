"""Photos that programs put into the store under their own keys, where that is allowed."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request
from fastapi.responses import Response

from facesearch.web import answer_schemas, describing
from facesearch.web.asked import KEY, NoFields, checked
from facesearch.web.calls import Room
from facesearch.web.problems import HttpError, not_found, plain

Key = Annotated[str, Path(pattern=KEY, max_length=520, description="The caller's own name for it.")]


def keyed_calls(room: Room) -> APIRouter:
    """One photo in, one photo out."""
    calls = APIRouter(prefix="/api", tags=["photos"])

    @calls.put(
        "/photos/{key:path}",
        openapi_extra=describing.PUT,
        responses=describing.answers("The photo as it was added.", json=answer_schemas.ADDED),
    )
    async def put(request: Request, key: Key) -> Response:
        """Adds a photo under a key, or puts it in the place of the one that is there."""
        _require_write(room)
        async with room.bodies.of(request, ("photo",), raw=True) as body:
            checked(NoFields, body.fields)
            return plain(await room.work.run(room.service.add, key, body.photo()))

    @calls.delete(
        "/photos/{key:path}",
        responses=describing.answers("It is gone.", json=answer_schemas.REMOVED),
    )
    async def delete(key: Key) -> Response:
        """Takes a photo out that was added under this key; its file is deleted."""
        _require_write(room)
        if not await room.work.run(room.service.remove, key):
            raise not_found(f"{key}: no photo was added under this key")
        return plain({"key": key, "removed": True})

    return calls


def _require_write(room: Room) -> None:
    if not room.options.allow_write:
        message = "this server only reads; start facesearch serve with --allow-write"
        raise HttpError(403, "read-only", message)
