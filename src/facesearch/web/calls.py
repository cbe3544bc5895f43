"""The calls of the HTTP interface: from a request to a question in a thread, and its answer."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal
from urllib.parse import quote

import anyio
from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response, StreamingResponse

from facesearch.web import answer_schemas, describing
from facesearch.web.asked import (
    PHOTO_ID,
    IndexForm,
    NoFields,
    SearchForm,
    VerifyForm,
    ZipForm,
    checked,
)
from facesearch.web.bodies import Bodies
from facesearch.web.options import ServeOptions
from facesearch.web.problems import plain
from facesearch.web.runs import Runs, RunView, allowed_folder
from facesearch.web.service import Service
from facesearch.web.shown import content_type
from facesearch.web.work import Work
from facesearch.web.zipping import safe_name

_EVENT_SECONDS = 0.2
_PING_SECONDS = 15.0
PhotoId = Annotated[
    str,
    Path(
        pattern=PHOTO_ID,
        description="The id of a photo: what stands before the - in the ids of its faces.",
    ),
]


@dataclass(frozen=True, slots=True)
class Room:
    """What calls work with. ``work`` answers questions, ``showing`` reads pictures."""

    service: Service
    runs: Runs
    bodies: Bodies
    work: Work
    showing: Work
    options: ServeOptions


def searching_calls(room: Room) -> APIRouter:
    """Photos in, faces and neighbours out."""
    calls = APIRouter(prefix="/api", tags=["search"])

    @calls.post(
        "/faces",
        openapi_extra=describing.FACES,
        responses=describing.answers("The faces, and the token.", json=answer_schemas.FACES),
    )
    async def faces(request: Request) -> Response:
        """The faces of a photo, and a token that names it in searches."""
        async with room.bodies.of(request, ("photo",), raw=True) as body:
            checked(NoFields, body.fields)
            return plain(await room.work.run(room.service.faces, body.photo()))

    @calls.get(
        "/faces/{token}",
        responses=describing.answers(
            "The photo as JPEG, or its faces where JSON is accepted.",
            "image/jpeg",
            json=answer_schemas.FACES,
        ),
    )
    async def asked_photo(
        request: Request,
        token: Annotated[str, Path(max_length=64)],
        side: Annotated[int, Query(ge=16, le=8192)] = 1600,
    ) -> Response:
        """A photo that was looked at, while the server remembers it; or its faces once more."""
        if request.headers.get("accept", "").lower().startswith("application/json"):
            return plain(await room.showing.run(room.service.asked_facts, token))
        data = await room.showing.run(room.service.asked_photo, token, side)
        return Response(data, media_type="image/jpeg")

    @calls.post(
        "/search",
        openapi_extra=describing.SEARCH,
        responses=describing.answers("A page of neighbours.", json=answer_schemas.SEARCH),
    )
    async def search(request: Request) -> Response:
        """The photos nearest to a face: of a photo, of one looked at before, or of the store.

        Give one of photo, token, embedding and id. Without face or box the most prominent face is
        taken.
        """
        async with room.bodies.of(request, ("photo",)) as body:
            form = checked(SearchForm, body.fields)
            return plain(await room.work.run(room.service.search, form, body))

    @calls.post(
        "/verify",
        openapi_extra=describing.VERIFY,
        responses=describing.answers("Same or not, and how sure.", json=answer_schemas.VERIFY),
    )
    async def verify(request: Request) -> Response:
        """Whether two photos show one person."""
        async with room.bodies.of(request, ("a", "b")) as body:
            form = checked(VerifyForm, body.fields)
            found = await room.work.run(room.service.verify, form, body)
        return Response(found, media_type="application/json")

    return calls


def store_calls(room: Room) -> APIRouter:
    """What the store holds."""
    calls = APIRouter(prefix="/api", tags=["store"])

    @calls.get(
        "/store",
        responses=describing.answers("What the store holds.", json=answer_schemas.STORE),
    )
    async def store() -> Response:
        """What the store holds and where it comes from."""
        facts = await room.showing.run(room.service.store_facts)
        further = [str(folder) for folder in room.options.allow_index]
        facts["may_index"] = [*(root["path"] for root in facts["roots"]), *further]
        facts["may_write"] = room.options.allow_write
        now = room.runs.state()
        if now is not None and now.running and now.data is not None:
            facts["indexing"] = {**now.data, "running": True}
        return plain(facts)

    @calls.get(
        "/failures",
        responses=describing.answers("A page of them.", json=answer_schemas.FAILURES),
    )
    async def failures(
        offset: Annotated[int, Query(ge=0, le=1_000_000_000)] = 0,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    ) -> Response:
        """The photos that could not be used, with the reason of each."""
        return plain(await room.showing.run(room.service.failures, offset, limit))

    return calls


def photo_calls(room: Room) -> APIRouter:
    """Photos of the store, to be looked at and taken along."""
    calls = APIRouter(prefix="/api", tags=["photos"])

    @calls.get(
        "/photos/{photo_id}",
        responses=describing.answers(
            "The photo as JPEG, its facts as JSON where that is accepted, or the file itself.",
            "image/*",
            json=answer_schemas.PHOTO,
        ),
    )
    async def photo(
        request: Request,
        photo_id: PhotoId,
        side: Annotated[int, Query(ge=16, le=8192)] = 1600,
        original: Literal["0", "1"] = "0",
    ) -> Response:
        """A photo, upright and no larger than ``side``; or the file as it is, with original=1."""
        if request.headers.get("accept", "").lower().startswith("application/json"):
            return plain(await room.showing.run(room.service.photo_facts, photo_id))
        if original == "1":
            file = await room.showing.run(room.service.original, photo_id)
            headers = {"Content-Disposition": _attached(file.name)}
            return Response(file.data, media_type=content_type(file), headers=headers)
        data = await room.showing.run(room.service.view, photo_id, side)
        return Response(data, media_type="image/jpeg")

    @calls.get(
        "/photos/{photo_id}/faces/{number}",
        response_class=Response,
        responses={
            **describing.answers("The face with some margin as JPEG.", "image/jpeg"),
            304: {"description": "It is the one that was sent before."},
        },
    )
    async def face(
        request: Request,
        photo_id: PhotoId,
        number: Annotated[int, Path(ge=1, le=100_000)],
        side: Annotated[int, Query(ge=16, le=1024)] = 160,
    ) -> Response:
        """A face of a photo, cut out."""
        tag = await room.showing.run(room.service.crop_tag, photo_id, number, side)
        headers = {"Cache-Control": "private, no-cache", "ETag": tag}
        if room.service.is_encrypted():  # browsers keep pictures on the disk, in plain
            headers["Cache-Control"] = "private, no-store"
        if tag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        data = await room.showing.run(room.service.crop, photo_id, number, side)
        return Response(data, media_type="image/jpeg", headers=headers)

    @calls.post(
        "/zip",
        response_class=Response,
        openapi_extra=describing.ZIP,
        responses=describing.answers("The photos in one archive.", "application/zip"),
    )
    async def archive(request: Request) -> Response:
        """Several photos in one .zip file, as they are."""
        async with room.bodies.of(request) as body:
            form = checked(ZipForm, body.fields)
        pieces = await room.showing.run(room.service.archive, form.photos)
        headers = {"Content-Disposition": 'attachment; filename="photos.zip"'}
        return StreamingResponse(pieces, media_type="application/zip", headers=headers)

    return calls


def index_calls(room: Room) -> APIRouter:
    """Bringing the store up to date."""
    calls = APIRouter(prefix="/api", tags=["index"])

    @calls.post(
        "/index",
        response_class=Response,
        openapi_extra=describing.INDEX,
        responses=describing.answers(
            "Events: progress {done, total, faces, failed}, at last done or error.",
            "text/event-stream",
        ),
    )
    async def begin(request: Request) -> Response:
        """Indexes a folder, or all that the store knows; tells how far it is as it goes on."""
        async with room.bodies.of(request) as body:
            form = checked(IndexForm, body.fields)
        store = (await room.work.run(room.service.now)).store
        further = room.options.allow_index
        folder = (
            None
            if form.folder is None
            else await room.work.run(allowed_folder, store, further, form.folder)
        )
        room.runs.begin(folder)
        return _events(room.runs)

    @calls.get(
        "/index",
        responses=describing.answers(
            "The run as it is now, or its events.", "text/event-stream", json=answer_schemas.RUN
        ),
    )
    async def state(request: Request) -> Response:
        """The index run that goes, or the last one; its events, where those are accepted."""
        now = room.runs.state()
        wanted = request.headers.get("accept", "").lower().startswith("text/event-stream")
        if wanted and now is not None:
            return _events(room.runs)
        return plain(_state(now))

    @calls.delete(
        "/index",
        responses=describing.answers("Whether there was one.", json=answer_schemas.CANCELLED),
    )
    async def cancel() -> Response:
        """Ends the index run; what it has read is kept."""
        return plain({"cancelled": room.runs.cancel()})

    return calls


def _attached(path: str) -> str:
    """Names the file; for names that headers cannot carry both ways of RFC 6266."""
    name = safe_name(path)
    plain_name = name.encode("ascii", "replace").decode().replace("?", "_").replace('"', "_")
    if plain_name == name:
        return f'attachment; filename="{name}"'
    coded = quote(name.encode("utf-8", "replace"), safe="")
    return f"attachment; filename=\"{plain_name}\"; filename*=UTF-8''{coded}"


def _state(now: RunView | None) -> dict[str, Any]:
    if now is None:
        return {"running": False, "folder": None, "outcome": None, "error": None}
    facts: dict[str, Any] = {
        "running": now.running,
        "folder": now.folder,
        "outcome": None,
        "error": None,
    }
    match now.event:
        case "progress":
            facts.update(now.data or {})
        case "done":
            facts["outcome"] = now.data
        case _:
            facts["error"] = now.data
    return facts


def _events(runs: Runs) -> StreamingResponse:
    headers = {"X-Accel-Buffering": "no"}
    return StreamingResponse(_told(runs), media_type="text/event-stream", headers=headers)


async def _told(runs: Runs) -> AsyncIterator[str]:
    """The run's events as it goes on; nobody who leaves ends it."""
    last, silent = -1, 0.0
    while (now := runs.state()) is not None:
        if now.step != last:
            last, silent = now.step, 0.0
            yield f"event: {now.event}\ndata: {json.dumps(now.data)}\n\n"
        if not now.running:
            return
        if silent > _PING_SECONDS:
            silent = 0.0
            yield ": still here\n\n"
        await anyio.sleep(_EVENT_SECONDS)
        silent += _EVENT_SECONDS
