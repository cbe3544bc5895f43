"""What a calibration says between and beyond the distances of its table, and its files."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facesearch.calibration import Calibration, find_calibration, read_calibration
from facesearch.errors import DatasetError, UsageError
from facesearch.recipes import Recipe
from facesearch.systems import SYSTEMS
from facesearch.weights import sha256_of

SMALL = Calibration(
    space_digest="ab" * 32,
    distances=(0.0, 1.0, 1.5, 2.0),
    probabilities=(1.0, 0.5, 0.5, 0.0),
    false_match_rates=(1e-6, 1e-2, 1.0, 1.0),
    counted_from=1.0,
    facts={"people": 3},
)
SHIPPED = ("facenet", "facenet-best", "mtcnn-facenet")


def filled_in(recipe: Recipe) -> Recipe:
    """The recipe with the hash of its weights, as a store has it."""
    extractor = recipe.extractor
    return dataclasses.replace(
        recipe, extractor=dataclasses.replace(extractor, weights=sha256_of(extractor.model))
    )


def shipped(name: str) -> Calibration:
    found = find_calibration(filled_in(SYSTEMS[name].recipe).space_digest)
    assert found is not None
    return found


def test_probability_is_linear_between_the_distances():
    said = SMALL.probability([0.0, 0.5, 1.0, 1.2, 1.75, 2.0, 9.0])
    assert said.tolist() == pytest.approx([1.0, 0.75, 0.5, 0.5, 0.25, 0.0, 0.0])
    assert said.dtype == np.float64


def test_the_logarithm_of_the_rate_is_linear_between_the_distances():
    said = SMALL.false_match_rate([0.0, 0.5, 1.25, 1.5, 9.0])
    assert said.tolist() == pytest.approx([1e-6, 1e-4, 1e-1, 1.0, 1.0])


def test_expected_false_matches_grow_with_the_gallery():
    assert float(SMALL.expected_false_matches(0.5, 4_100_000)) == pytest.approx(410)
    assert SMALL.expected_false_matches([0.5, 2.0], 0).tolist() == [0, 0]
    assert SMALL.expected_false_matches(np.zeros((2, 3)), 10).shape == (2, 3)


@given(st.floats(0, 1.5))
def test_distance_at_inverts_the_rate(distance):
    rate = float(SMALL.false_match_rate(distance))
    assert SMALL.distance_at(min(rate, 1.0)) == pytest.approx(distance, abs=1e-9)


def test_distance_at_the_ends():
    assert SMALL.distance_at(1.0) == 1.5
    assert SMALL.distance_at(1e-7) == 0.0


@pytest.mark.parametrize("fmr", [0.0, -1e-4, 1.5, float("nan"), float("inf")])
def test_a_rate_that_cannot_be(fmr):
    with pytest.raises(UsageError, match="above 0 and at most 1"):
        SMALL.distance_at(fmr)


@pytest.mark.parametrize(
    ("probability", "expected", "band"),
    [
        (0.9, 0.0999, "likely"),
        (0.9, 0.1, "possible"),
        (0.8999, 0.0, "possible"),
        (0.5, 0.999, "possible"),
        (0.999, 1.0, "unlikely"),
        (0.4999, 0.0, "unlikely"),
    ],
)
def test_bands(probability, expected, band):
    assert Calibration.band(probability, expected) == band


def test_a_file_is_read_as_it_was_written():
    assert read_calibration(SMALL.as_json(), "x.json") == SMALL
    assert SMALL.as_json() == read_calibration(SMALL.as_json(), "x.json").as_json()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("schema", 2),
        ("distances", [0.0, 1.0, 1.0, 2.0]),
        ("distances", [0.1, 1.0, 1.5, 2.0]),
        ("distances", [0.0, 1.0]),
        ("probabilities", [1.0, 0.5, 0.6, 0.0]),
        ("probabilities", [1.1, 0.5, 0.5, 0.0]),
        ("false_match_rates", [0.0, 1e-2, 1.0, 1.0]),
        ("false_match_rates", [1e-2, 1e-6, 1.0, 1.0]),
        ("false_match_rates", [1e-6, 1e-2, 1.0, float("nan")]),
        ("probabilities", [1.0, 0.5, float("nan"), 0.0]),
        ("distances", [0.0, 1.0, float("nan"), 2.0]),
        ("facts", 3),
    ],
)
def test_a_table_that_cannot_be_is_refused(field, value):
    data = json.loads(SMALL.as_json()) | {field: value}
    with pytest.raises(DatasetError, match=r"^x\.json: no calibration"):
        read_calibration(json.dumps(data), "x.json")


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", "{"])
def test_what_is_no_table_is_refused(text):
    with pytest.raises(DatasetError, match=r"^x\.json: no calibration"):
        read_calibration(text, "x.json")


def test_an_unknown_space_has_none():
    assert find_calibration("0" * 64) is None
    assert find_calibration(Recipe().space_digest) is None  # weights not filled in


@pytest.mark.parametrize("name", SHIPPED)
def test_the_shipped_tables_hold_what_the_card_promises(name):
    found = shipped(name)
    held_out = found.facts["held_out"]
    assert found.facts["recipe"] == name
    assert held_out["calibration_error"] < 0.02
    matches = held_out["false_matches"]
    assert len({each["gallery"] for each in matches}) == 3
    assert {each["expected"] for each in matches} == {0.1, 1.0, 10.0}
    assert all(each["counted_in_all"] >= 10 for each in matches)
    assert all(0.5 <= each["counted_in_all"] / each["expected_in_all"] <= 2 for each in matches)


@pytest.mark.parametrize("name", SHIPPED)
@given(distances=st.lists(st.floats(0, 2.5), min_size=2, max_size=20).map(sorted))
def test_the_shipped_tables_rise_and_fall(name, distances):
    found = shipped(name)
    assert (np.diff(found.probability(distances)) <= 0).all()
    assert (np.diff(found.false_match_rate(distances)) >= 0).all()


@pytest.mark.parametrize("name", SHIPPED)
@pytest.mark.parametrize("fmr", [1e-2, 1e-4, 1e-6, 1e-7])
def test_the_shipped_tables_answer_beyond_what_was_counted(name, fmr):
    found = shipped(name)
    assert 0 < found.distance_at(fmr) < 2
    assert float(found.false_match_rate(found.distance_at(fmr))) == pytest.approx(fmr)
    assert found.distance_at(1e-7) < found.counted_from < found.distance_at(1e-4)
