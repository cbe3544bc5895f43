"""Made-up records for reports."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from browsing import started_browser
from facesearch.records import (
    Box,
    Coverage,
    Neighbor,
    Query,
    QueryError,
    QueryFace,
    QueryReport,
    QueryResult,
    StoreSummary,
)

NOW = datetime(2026, 5, 4, 9, 30, tzinfo=UTC)

_NEIGHBOR = Neighbor(
    rank=1,
    id="00112233445566ff-2",
    path="/photos/a.jpg",
    root="/photos",
    relative_path="a.jpg",
    also=(),
    face=2,
    distance=0.61234567,
    similarity=0.81251640,
    box=Box(10.123, 20, 30, 40.5),
    width=640,
    height=480,
    taken="2019-07-01T12:30:00",
    score=0.99987,
    example="me.jpg",
)


@pytest.fixture(scope="module")
def browser():
    with started_browser() as browser:
        yield browser


@pytest.fixture
def now():
    return NOW


@pytest.fixture
def neighbor():
    """A function that makes a neighbour, with fields changed."""

    def make(**changes):
        return replace(_NEIGHBOR, **changes)

    return make


@pytest.fixture
def coverage():
    return Coverage(15_769, 13_232, 1, 0, 0, "2026-05-04T00:00:00Z")


@pytest.fixture
def report_of(coverage):
    """A function that makes a report of the given results."""

    def make(*results, coverage=coverage):
        store = StoreSummary("/photos/faces.npz", "facenet", "aa" * 32, "bb" * 32, 128)
        return QueryReport(store, coverage, tuple(results))

    return make


@pytest.fixture
def found(neighbor):
    """A function that makes a result with these neighbours, by default one."""

    def make(*neighbors, path="me.jpg", **changes):
        faces = (QueryFace(1, Box(5, 6, 50, 60), 0.98), QueryFace(2, Box(100, 6, 20, 30), 0.97))
        query = Query(path, 1, faces, 800, 600, ((path, 1),))
        return QueryResult(replace(query, **changes), neighbors or (neighbor(),))

    return make


@pytest.fixture
def failed():
    query = Query("blank.jpg", None, ())
    error = QueryError("no-face", "no face found in blank.jpg: lower --min-score or give --box")
    return QueryResult(query, error=error)
