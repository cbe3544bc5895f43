"""``facesearch query``: what its networks run on, and how closely its photos are searched."""

from __future__ import annotations

import pytest

from facesearch.index_options import cores
from facesearch.runtimes import Fetch, RuntimeOptions
from small_store import embedder_of, recipe


@pytest.fixture
def made(program, monkeypatch):
    """The specs that networks were loaded from."""
    specs = []

    def pipeline(spec):
        specs.append(spec)
        return embedder_of(spec)

    monkeypatch.setattr("facesearch.processing.Pipeline", pipeline)
    return specs


@pytest.fixture
def readied(program, monkeypatch):
    """What was brought before that."""
    calls = []
    monkeypatch.setattr("facesearch.processing.make_ready", lambda *given: calls.append(given))
    return calls


def test_options_reach_the_networks(program, store, red, made, readied):
    options = ["--runtime", "onnx", "--precision", "int8", "--device", "cpu"]
    assert program("query", "me.png", *options).code == 0
    runtime = RuntimeOptions("onnx", "cpu", cores(), "int8")
    assert [spec.runtime for spec in made] == [runtime]
    ((names, asked, fetch),) = readied
    assert (names[-1], asked) == ("facenet-128", runtime)
    assert isinstance(fetch, Fetch)
    assert not fetch.offline
    program("query", "me.png", "--offline")
    assert readied[-1][2].offline


def test_without_options_the_store_and_the_machine_decide(program, store, red, made):
    assert program("query", "me.png").code == 0
    (spec,) = made
    assert spec.runtime == RuntimeOptions(threads=cores())
    assert spec.recipe == recipe()


@pytest.mark.parametrize(("detail", "high"), [("high", True), ("normal", False)])
def test_detail_is_that_of_the_query_photo(program, store, red, made, detail, high):
    assert program("query", "me.png", "--detail", detail).code == 0
    (spec,) = made
    assert spec.recipe == recipe().in_detail(high)
    assert spec.limits.max_side == (None if high else 2048)


def test_whole_photos_have_no_detail(program, whole_store, red, made):
    done = program("query", "me.png", "--detail", "high")
    assert done.code == 2
    assert "--detail are for faces, and whole takes whole photos" in done.err
    assert made == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--detail", "higher"], "'normal', 'high'"),
        (["--runtime", "torch"], "'auto', 'onnx', 'tensorflow'"),
        (["--precision", "int4"], "'auto', 'int8', 'float32'"),
        (["--runtime", "tensorflow", "--precision", "int8"], "leave out --precision int8"),
    ],
)
def test_what_there_is_not(program, store, red, made, options, words):
    done = program("query", "me.png", *options)
    assert done.code == 2
    assert words in done.err
    assert made == []
