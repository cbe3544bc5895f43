"""Whatever the description allows, and what it does not, is answered without a server error."""

from __future__ import annotations

import base64

import pytest
import schemathesis
from asking import HEADERS, library_at, photo_of, use_colors
from hypothesis import HealthCheck, given, seed, settings
from schemathesis import GenerationMode

from facesearch import api
from facesearch.records import IndexSummary
from facesearch.web.app import make_app
from facesearch.web.options import ServeOptions
from small_store import RED, enroll

HOST = {**HEADERS, "Host": "127.0.0.1"}
OPERATIONS = [
    "GET /api/store",
    "GET /api/failures",
    "POST /api/faces",
    "GET /api/faces/{token}",
    "POST /api/search",
    "POST /api/verify",
    "GET /api/photos/{photo_id}",
    "GET /api/photos/{photo_id}/faces/{number}",
    "POST /api/zip",
    "PUT /api/photos/{key}",
    "DELETE /api/photos/{key}",
    "GET /api/index",
    "POST /api/index",
    "DELETE /api/index",
    "GET /healthz",
]

WITHOUT_INPUT = {"GET /api/store", "GET /api/index", "DELETE /api/index", "GET /healthz"}
TRIED = [
    (label, mode)
    for label in OPERATIONS
    for mode in GenerationMode
    if mode is GenerationMode.POSITIVE or label not in WITHOUT_INPUT
]
"""There is nothing to do wrong where nothing is given."""


@pytest.fixture(scope="module")
def described(tmp_path_factory):
    """The description as a server gives it that may write, and whose runs do nothing."""
    folder = tmp_path_factory.mktemp("described")
    with pytest.MonkeyPatch.context() as patch:
        use_colors(patch, folder / "home")
        patch.setattr(
            "facesearch.web.runs.Runs._go",
            lambda self, folder: self._ended("done", {"folder": IndexSummary("").store}),
        )
        enroll(folder / "faces.npz", [library_at(folder / "photos")])
        app = make_app(
            ServeOptions(HEADERS["Authorization"][7:], allow_write=True),
            api.open(folder / "faces.npz"),
        )
        yield schemathesis.openapi.from_asgi("/openapi.json", app, headers=HOST)


def test_every_operation_is_among_those_tried(described):
    assert sorted(each.ok().label for each in described.get_all_operations()) == sorted(OPERATIONS)


@pytest.mark.parametrize(("label", "mode"), TRIED)
def test_no_input_makes_the_server_fail(described, label, mode):
    (operation,) = (
        each.ok() for each in described.get_all_operations() if each.ok().label == label
    )

    @seed(1)
    @settings(
        max_examples=20, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def tried(case):
        answer = case.call(headers=HOST)
        assert answer.status_code < 500
        assert str(answer.status_code) in operation.definition.raw["responses"]

    tried()


def test_what_is_tried_may_also_succeed(described, tmp_path):
    """Or only refusals would have been tried."""
    photo = base64.b64encode(photo_of(tmp_path, RED)).decode()
    (search,) = (
        each.ok()
        for each in described.get_all_operations()
        if each.ok().label == "POST /api/search"
    )
    case = search.Case(body={"photo": photo}, media_type="application/json")
    assert case.call(headers=HOST).status_code == 200
