"""Whatever the description allows, and what it does not, is answered without a server error, and
as the description says.
"""

from __future__ import annotations

import base64
from typing import Any

import pytest
import schemathesis
from asking import HEADERS, library_at, photo_of, use_colors
from hypothesis import HealthCheck, given, seed, settings
from jsonschema import Draft202012Validator
from schemathesis import GenerationMode
from schemathesis.specs.openapi import checks

from facesearch import api
from facesearch.records import IndexSummary
from facesearch.web.app import make_app
from facesearch.web.options import ServeOptions
from facesearch.web.runs import RunView, summary_facts
from small_store import BLUE, RED, enroll, row_of, whole_recipe

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

AS_DESCRIBED = [
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
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
            lambda self, folder: self._ended("done", summary_facts(IndexSummary(""))),
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
        case.validate_response(answer, checks=AS_DESCRIBED)

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


JSON = {"Accept": "application/json"}
CALLS_WITH_JSON = sorted(
    set(OPERATIONS)
    - {"GET /api/photos/{photo_id}/faces/{number}", "POST /api/zip", "POST /api/index"}
)


def described_as(client) -> dict[str, Any]:
    """The schema of each call's answer, where that may be JSON."""
    paths = client.get("/openapi.json").json()["paths"]
    found = {}
    for path, calls in paths.items():
        for method, call in calls.items():
            content = call["responses"]["200"]["content"]
            if "application/json" in content:
                found[f"{method.upper()} {path}"] = content["application/json"]["schema"]
    return found


def closed(schema: Any) -> Any:
    """The same schema, where nothing may be held that it does not name."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    shut = {"additionalProperties": False} if "properties" in schema else {}
    return {**shut, **{name: closed(each) for name, each in schema.items()}}


def answered(client, photo: bytes) -> list[tuple[str, Any]]:
    """(call, answer) of every call that answers with JSON."""
    faces = client.post("/api/faces", files={"photo": photo}).json()
    asked = f"/api/faces/{faces['photo']}"
    found = client.post("/api/search", files={"photo": photo}, data={"k": "3"}).json()
    known = f"/api/photos/{found['neighbors'][0]['photo']}"
    by_row = {"embedding": row_of(RED).tolist(), "k": 100, "max_distance": 1.9, "offset": 2}
    return [
        ("GET /healthz", client.get("/healthz").json()),
        ("GET /api/store", client.get("/api/store").json()),
        ("GET /api/failures", client.get("/api/failures").json()),
        ("POST /api/faces", faces),
        ("GET /api/faces/{token}", client.get(asked, headers=JSON).json()),
        ("POST /api/search", found),
        ("POST /api/search", client.post("/api/search", json=by_row).json()),
        ("GET /api/photos/{photo_id}", client.get(known, headers=JSON).json()),
        ("PUT /api/photos/{key}", client.put("/api/photos/mine", files={"photo": photo}).json()),
        ("DELETE /api/photos/{key}", client.delete("/api/photos/mine").json()),
        ("GET /api/index", client.get("/api/index").json()),
        ("DELETE /api/index", client.delete("/api/index").json()),
    ]


def verdicts(client, photo: bytes) -> list[tuple[str, Any]]:
    """Verdicts by a rate and by a distance."""
    photos = {"a": photo, "b": photo}
    given = ({}, {"max_distance": "0.5"})
    return [
        ("POST /api/verify", client.post("/api/verify", files=photos, data=each).json())
        for each in given
    ]


def runs_of(client, monkeypatch) -> list[tuple[str, Any]]:
    """What is said of runs that go, are done, and failed."""
    runs = client.app.state.room.runs
    counts = {"done": 1, "total": 2, "faces": 1, "failed": 0}
    found = []
    for event, data in (
        ("progress", counts),
        ("done", summary_facts(IndexSummary(""))),
        ("error", {"code": "cancelled", "message": "it was cancelled"}),
    ):
        monkeypatch.setattr(runs, "_now", RunView("/photos", event, data))
        found.append(("GET /api/index", client.get("/api/index").json()))
        found.append(("GET /api/store", client.get("/api/store").json()))
    return found


def assert_as_described(schemas: dict[str, Any], answers: list[tuple[str, Any]]) -> None:
    for label, answer in answers:
        wrong = [
            f"{error.json_path}: {error.message}"
            for error in Draft202012Validator(closed(schemas[label])).iter_errors(answer)
        ]
        assert not wrong, label


def test_answers_hold_what_is_described_and_no_more(serving, tmp_path, monkeypatch):
    client = serving(allow_write=True)
    photo = photo_of(tmp_path, RED, BLUE)
    schemas = described_as(client)
    assert sorted(schemas) == CALLS_WITH_JSON
    answers = [*answered(client, photo), *verdicts(client, photo), *runs_of(client, monkeypatch)]
    assert {label for label, _ in answers} == set(schemas)
    assert_as_described(schemas, answers)


@pytest.mark.parametrize("unit", [True, False])
def test_so_do_those_of_whole_photos_without_calibration(
    serving, photos, tmp_path, monkeypatch, unit
):
    monkeypatch.setattr("facesearch.calibration.find_calibration", lambda digest: None)
    enroll(tmp_path / "whole.npz", [photos], recipe_=whole_recipe(unit))
    client = serving(api.open(tmp_path / "whole.npz"), allow_write=True)
    assert_as_described(described_as(client), answered(client, photo_of(tmp_path, RED)))


def test_an_answer_that_lacks_a_field_or_has_another_is_noticed(standing):
    schemas = described_as(standing)
    facts = standing.get("/api/store").json()
    for wrong in (
        {name: value for name, value in facts.items() if name != "cuts"},
        {**facts, "more": 1},
        {**facts, "name": None},
    ):
        with pytest.raises(AssertionError):
            assert_as_described(schemas, [("GET /api/store", wrong)])
