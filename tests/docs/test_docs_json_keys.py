"""The reference names every key of the JSON output, and where answers say how sure they are."""

from __future__ import annotations

import json
import re

import pytest
from documents import ROOT, blocks

from facesearch.calibration import find_calibration
from facesearch.errors import WeightsError
from facesearch.index_options import recipe_of
from facesearch.records import (
    Box,
    Coverage,
    IndexPrediction,
    IndexSummary,
    Neighbor,
    Query,
    QueryError,
    QueryReport,
    QueryResult,
    StoreSummary,
    SystemRun,
)
from facesearch.report import render_index_summary, render_query, render_system_runs
from facesearch.systems import SYSTEMS

REFERENCE = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
NEAR = Neighbor(
    1, "a-1", "/a", "/", "a", (), 1, 0.5, 0.9, Box(1, 2, 3, 4), 9, 9, "", 1.0, "q"
)  # fmt: skip


def query_json():
    asked = Query("q", 1, ())
    report = QueryReport(
        StoreSummary("s", "facenet", "a", "b", 128),
        Coverage(0, 0, 0, 0, 0, ""),
        (
            QueryResult(asked, (NEAR,)),
            QueryResult(asked, error=QueryError("no-face", "none")),
        ),
    )
    return json.loads(render_query(report, "json"))


def keys_after(words: str) -> list[str]:
    """The names in backticks of the sentence that begins with ``words``."""
    flat = " ".join(REFERENCE.split())
    sentence = flat[flat.index(words) :].partition(". ")[0]
    return re.findall(r"`([a-z_]+)`", re.sub(r"\([^)]*\)", "", sentence))


def test_the_query_s_example_has_the_keys_that_there_are():
    (body,) = (block.body for block in blocks(REFERENCE) if block.language == "json")
    example, real = json.loads(body), query_json()
    assert list(example) == list(real)
    for part in ("store", "coverage"):
        assert list(example[part]) == list(real[part])
    for shown, result in zip(example["results"], real["results"], strict=True):
        assert list(shown) == list(result)
        assert list(shown["query"]) == list(result["query"])


def test_every_key_of_a_neighbour_is_named_in_order():
    assert keys_after("with neighbours of") == list(query_json()["results"][0]["neighbors"][0])


def test_every_key_of_an_index_run_is_named():
    real = json.loads(render_index_summary(IndexSummary("s"), json=True))
    named = keys_after("`--json` and `--log` give `store`")
    assert set(named) >= set(real) - {"schema"}


@pytest.mark.parametrize("outcome", [IndexSummary("s"), IndexPrediction(1, 1, 1, 1.0, 1)])
def test_every_key_of_several_systems_is_named(outcome):
    run = SystemRun(("facenet",), "facenet", "s", outcome)
    real = json.loads(render_system_runs([run]))
    assert set(keys_after("For several systems they give")) >= {*real, *real["systems"][0]}


def test_the_reference_names_the_systems_and_those_that_are_calibrated():
    def calibrated(name: str) -> bool:
        try:
            return find_calibration(recipe_of(name).space_digest) is not None
        except WeightsError:
            return False  # its hash is not known here, so neither was its space

    assert all(f"`{name}`" in REFERENCE for name in SYSTEMS)
    flat = " ".join(REFERENCE.split())
    sentence = re.search(r"what the distances mean: in stores of ([^.]*)\.", flat)[1]
    named = set(re.findall(r"`([a-z0-9-]+)`", sentence))
    assert named == {name for name in SYSTEMS if calibrated(name)}


def test_bands_are_as_the_reference_says():
    known = find_calibration(recipe_of("facenet").space_digest)
    assert known.band(0.9, 0.0999) == "likely"
    assert known.band(0.899, 0.0) == known.band(0.5, 0.999) == "possible"
    assert known.band(0.499, 0.0) == known.band(1.0, 1.0) == "unlikely"
    assert "`likely`: one person with a probability of 0.9 or more, and fewer than 0.1" in REFERENCE
    assert "`possible`: a probability of 0.5 or more, and less than 1 false match" in REFERENCE
