"""The application: the calls, the page, and what stands before them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from facesearch import __version__
from facesearch.api import OpenGallery
from facesearch.errors import FacesearchError
from facesearch.web import answer_schemas, describing
from facesearch.web.asked import told
from facesearch.web.bodies import Bodies
from facesearch.web.calls import Room, index_calls, photo_calls, searching_calls, store_calls
from facesearch.web.guard import Guard, Tickets, cookie_of, cookie_value, is_key
from facesearch.web.keyed import keyed_calls
from facesearch.web.options import ServeOptions
from facesearch.web.pages import Templates, static_modules
from facesearch.web.problems import HttpError, answer, plain, problem_of
from facesearch.web.runs import Runs
from facesearch.web.service import Service
from facesearch.web.work import Work

_CODES = {404: "not-found", 405: "method-not-allowed"}


def make_app(options: ServeOptions, gallery: OpenGallery) -> FastAPI:
    """The application that serves one store; passphrases are those that are open where it is made.

    Args:
        options: who may ask, and for what.
        gallery: the store, which must be a file.
    """
    limits = options.limits
    service = Service(gallery, options)
    room = Room(
        service,
        Runs(service.now().store.path),
        Bodies(limits),
        Work(limits.threads, limits.waiting),
        Work(limits.threads, 4 * limits.waiting),
        options,
    )

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        yield
        await room.work.run(room.runs.close)

    app = FastAPI(
        title="facesearch",
        version=__version__,
        description="Search faces in your own photos. Every call under /api carries the key.",
        lifespan=life,
        docs_url=None,
        redoc_url=None,
        responses=describing.errors(),
    )
    app.state.room = room
    app.state.tickets = Tickets()
    for calls in (searching_calls, store_calls, photo_calls, keyed_calls, index_calls):
        app.include_router(calls(room))
    _pages(app, options)
    _errors(app)
    app.add_middleware(Guard, options=options)
    return app


def _pages(app: FastAPI, options: ServeOptions) -> None:
    templates = Templates()
    modules = static_modules()
    app.mount("/static", StaticFiles(packages=[("facesearch.web", "static")]), "static")

    @app.get(
        "/healthz",
        tags=["server"],
        responses=describing.answers("It does.", json=answer_schemas.ALIVE),
    )
    async def healthz() -> Response:
        """Whether the server answers; needs no key."""
        return plain({"status": "ok", "version": __version__})

    @app.get("/", include_in_schema=False)
    async def page(request: Request) -> Response:
        asked = request.query_params
        if is_key(asked.get("key", ""), options.key) or app.state.tickets.use(
            asked.get("once", "")
        ):
            home = RedirectResponse("/", 303)
            name = cookie_of(request.headers.get("host", ""))
            home.set_cookie(
                name, cookie_value(options.key), httponly=True, samesite="strict", path="/"
            )
            return home
        if not request.scope["facesearch.allowed"]:
            return HTMLResponse(templates.render("locked.html"), 401)
        most = options.limits.photo_bytes
        page = templates.render("page.html", version=__version__, modules=modules, photo_bytes=most)
        return HTMLResponse(page)

    @app.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        errors = {status: facts["description"] for status, facts in describing.ERRORS.items()}
        page = templates.render("interface.html", facts=app.openapi(), errors=errors)
        return HTMLResponse(page)


def _errors(app: FastAPI) -> None:
    async def failed(request: Request, error: Exception) -> Response:
        return answer(problem_of(error))

    async def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        code = _CODES.get(error.status_code, "bad-request")
        response = answer(HttpError(error.status_code, code, str(error.detail)))
        response.headers.update(error.headers or {})
        return response

    async def not_valid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        first: Any = error.errors()[0]
        return answer(HttpError(400, "bad-request", told(first)))

    app.add_exception_handler(HTTPException, refused)
    app.add_exception_handler(RequestValidationError, not_valid)
    app.add_exception_handler(FacesearchError, failed)
    app.add_exception_handler(HttpError, failed)
