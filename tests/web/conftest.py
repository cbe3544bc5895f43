"""A store of coloured photos behind the application, asked in this process."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from asking import HEADERS, HOME, KEY, library_at, use_colors
from starlette.testclient import TestClient

from facesearch import api
from facesearch.web.app import make_app
from facesearch.web.options import Limits, ServeOptions
from small_store import enroll

Serving = Callable[..., TestClient]


@pytest.fixture(autouse=True)
def colors(request, monkeypatch, tmp_path):
    """See ``use_colors``; tests with real weights go without."""
    if "weights" not in request.keywords:
        use_colors(monkeypatch, tmp_path / "home")


@pytest.fixture(scope="module")
def standing(tmp_path_factory) -> Iterator[TestClient]:
    """A client of a store that no test of the module changes."""
    folder = tmp_path_factory.mktemp("standing")
    with pytest.MonkeyPatch.context() as patch:
        use_colors(patch, folder / "home")
        enroll(folder / "faces.npz", [library_at(folder / "photos")])
        app = make_app(ServeOptions(KEY), api.open(folder / "faces.npz"))
        with TestClient(
            app, base_url=HOME, headers=HEADERS, raise_server_exceptions=False
        ) as client:
            yield client


@pytest.fixture
def photos(tmp_path) -> Path:
    """See ``library_at``."""
    return library_at(tmp_path / "photos")


@pytest.fixture
def store(photos, tmp_path) -> Path:
    """``faces.npz`` of those photos."""
    enroll(tmp_path / "faces.npz", [photos])
    return tmp_path / "faces.npz"


@pytest.fixture
def serving(store) -> Iterator[Serving]:
    """Serves the store; options are those of ``ServeOptions`` and ``Limits``."""
    with contextlib.ExitStack() as stack:

        def serve(gallery: Any = None, **options: Any) -> TestClient:
            limits = {name: options.pop(name) for name in Limits.__slots__ if name in options}
            given = ServeOptions(KEY, limits=replace(Limits(), **limits), **options)
            app = make_app(given, gallery or api.open(store))
            client = TestClient(app, base_url=HOME, headers=HEADERS, raise_server_exceptions=False)
            return stack.enter_context(client)

        yield serve


@pytest.fixture
def client(serving) -> TestClient:
    """Asks the store with the right key."""
    return serving()
